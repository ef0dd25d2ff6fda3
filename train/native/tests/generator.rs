//! States of generators.

use egom2p_torch_native::{generator_state, seed_generator, set_generator_state};
use tch::{Device, Kind, Tensor};

/// Numbers of several distributions: normal ones are drawn in pairs, so that the state holds half a pair at times.
fn draw() -> Vec<Tensor> {
    let on_cpu = (Kind::Float, Device::Cpu);
    vec![
        Tensor::randn([3], on_cpu),
        Tensor::rand([5], on_cpu),
        Tensor::randint(1 << 40, [7], (Kind::Int64, Device::Cpu)),
        Tensor::randn([20], (Kind::Double, Device::Cpu)),
    ]
}

#[test]
fn a_restored_state_gives_the_same_stream() {
    tch::set_num_threads(1);
    seed_generator(Device::Cpu, 11).expect("the processor has a generator");
    draw();
    let state = generator_state(Device::Cpu).expect("the processor has a generator");
    let stream = [draw(), draw()];
    assert_ne!(stream[0], stream[1]);
    let bytes = Vec::<u8>::try_from(&state).expect("a list of bytes");
    seed_generator(Device::Cpu, 12).expect("the processor has a generator");
    assert_ne!(draw(), stream[0]);
    set_generator_state(Device::Cpu, &Tensor::from_slice(&bytes)).expect("the state is right");
    assert_eq!([draw(), draw()], stream);
}

#[test]
fn a_seed_is_that_of_tch() {
    tch::manual_seed(5);
    let expected = draw();
    seed_generator(Device::Cpu, 5).expect("the processor has a generator");
    assert_eq!(draw(), expected);
}

#[test]
fn foreign_states_and_devices_are_refused() {
    let errors = [
        set_generator_state(Device::Cpu, &Tensor::zeros([7], (Kind::Uint8, Device::Cpu))),
        set_generator_state(Device::Cpu, &Tensor::zeros([7], (Kind::Float, Device::Cpu))),
        set_generator_state(Device::Cpu, &Tensor::new()),
        seed_generator(Device::Cuda(99), 1),
        generator_state(Device::Mps).map(|_| ()),
    ];
    for error in errors {
        let error = error.expect_err("the argument is wrong").to_string();
        assert_eq!(error.lines().count(), 2, "{error}");
    }
}
