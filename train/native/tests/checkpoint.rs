//! Checkpointed gradients against plain ones.

use egom2p_torch_native::{NativeError, checkpoint, seed_generator};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use tch::{Device, Kind, TchError, Tensor};

#[derive(Debug, thiserror::Error)]
enum BlockError {
    #[error(transparent)]
    Native(#[from] NativeError),
    #[error("a block fails\nmake it run once")]
    Fails,
    #[error("{0}")]
    Torch(#[from] TchError),
}

/// Two layers, the second of which reads the first one's weight again, with noise between them.
fn block(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    let hidden = x.f_matmul(weight)?.f_add(bias)?.f_gelu("none")?;
    let hidden = hidden.f_dropout(0.3, true)?;
    hidden.f_matmul(weight)?.f_softmax(-1, None)?.f_add(x)
}

fn plain_block(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    block(x, weight, bias).expect("the block runs")
}

/// The same block behind a checkpoint, which counts its runs.
fn checkpointed_block(x: &Tensor, weight: &Tensor, bias: &Tensor, runs: &Arc<AtomicUsize>) -> Tensor {
    let (weight, bias, runs) = (weight.shallow_clone(), bias.shallow_clone(), Arc::clone(runs));
    let outputs = checkpoint::<BlockError>(&[x], move |inputs| {
        runs.fetch_add(1, Ordering::Relaxed);
        Ok(vec![block(&inputs[0], &weight, &bias)?])
    });
    outputs.expect("the block runs").remove(0)
}

struct Network {
    input: Tensor,
    layers: Vec<(Tensor, Tensor)>,
}

impl Network {
    fn new() -> Self {
        tch::set_num_threads(1);
        seed_generator(Device::Cpu, 3).expect("the processor has a generator");
        let leaf = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        Self { input: leaf(&[6, 16]), layers: (0..4).map(|_| (leaf(&[16, 16]), leaf(&[16]))).collect() }
    }

    /// The loss and all gradients, that of the input first; the first `n_again` layers run twice.
    fn gradients(&self, n_again: usize, run: impl Fn(&Tensor, &Tensor, &Tensor) -> Tensor) -> Vec<Tensor> {
        seed_generator(Device::Cpu, 4).expect("the processor has a generator");
        let layers = self.layers.iter().chain(&self.layers[..n_again]);
        let output = layers.fold(self.input.shallow_clone(), |x, (weight, bias)| run(&x, weight, bias));
        let loss = output.square().sum(Kind::Float);
        loss.backward();
        let parameters = self.layers.iter().flat_map(|(weight, bias)| [weight, bias]);
        let take = |leaf: &Tensor| {
            let gradient = leaf.grad().copy();
            let _ = leaf.grad().zero_();
            gradient
        };
        [loss.detach()].into_iter().chain([&self.input].into_iter().chain(parameters).map(take)).collect()
    }
}

#[test]
fn gradients_equal_plain_ones_bit_for_bit() {
    let network = Network::new();
    let plain = network.gradients(0, plain_block);
    let runs = Arc::new(AtomicUsize::new(0));
    assert_eq!(plain, network.gradients(0, |x, weight, bias| checkpointed_block(x, weight, bias, &runs)));
    assert!(plain.iter().all(|gradient| gradient.abs().max().double_value(&[]) > 0.0));
    assert_eq!(runs.load(Ordering::Relaxed), 8, "four blocks, each run twice");
}

#[test]
fn gradients_of_a_parameter_of_two_checkpoints_add_up() {
    let network = Network::new();
    let plain = network.gradients(2, plain_block);
    let checkpointed =
        network.gradients(2, |x, weight, bias| checkpointed_block(x, weight, bias, &Arc::new(AtomicUsize::new(0))));
    for (plain, checkpointed) in plain.iter().zip(&checkpointed) {
        // A sum of four is made in another order.
        let difference = (plain - checkpointed).abs().max() / plain.abs().max();
        assert!(difference.double_value(&[]) < 1e-6, "{difference:?}");
    }
}

#[test]
fn nested_checkpoints_and_inputs_without_a_gradient_work() {
    let network = Network::new();
    let plain = network.gradients(0, plain_block);
    let nested = network.gradients(0, |x, weight, bias| {
        let (weight, bias) = (weight.shallow_clone(), bias.shallow_clone());
        let scale = Tensor::from(1_i64);
        let outer = move |inputs: &[Tensor]| {
            let (weight, bias) = (weight.shallow_clone(), bias.shallow_clone());
            let inner = move |inner: &[Tensor]| Ok(vec![block(&inner[0], &weight, &bias)?]);
            checkpoint::<BlockError>(&[&inputs[0].f_mul(&inputs[1])?], inner)
        };
        checkpoint::<BlockError>(&[x, &scale], outer).expect("the block runs").remove(0)
    });
    assert_eq!(plain, nested);
}

#[test]
fn outputs_that_need_no_gradient_pass_through() {
    let network = Network::new();
    let (weight, x) = (network.layers[0].0.shallow_clone(), network.input.shallow_clone());
    let outputs = checkpoint::<BlockError>(&[&x], move |inputs| {
        let product = inputs[0].f_matmul(&weight)?;
        Ok(vec![product.f_argmax(-1, false)?, product, inputs[0].shallow_clone()])
    });
    let outputs = outputs.expect("the block runs");
    assert_eq!(outputs.iter().map(Tensor::requires_grad).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(outputs[0], x.matmul(&network.layers[0].0).argmax(-1, false));
    (outputs[1].sum(Kind::Float) + outputs[2].sum(Kind::Float)).backward();
    let expected = network.layers[0].0.sum_dim_intlist([1].as_slice(), false, Kind::Float) + 1.0;
    assert!(network.input.grad().get(2).allclose(&expected, 1e-5, 1e-5, false));
}

#[test]
fn without_gradients_it_runs_once_and_keeps_nothing() {
    let network = Network::new();
    let captured = Arc::new(());
    let alive: Weak<()> = Arc::downgrade(&captured);
    let run = |network: &Network, captured: Arc<()>| {
        checkpoint::<BlockError>(&[&network.input], move |inputs| {
            let _ = &captured;
            Ok(vec![inputs[0].f_neg()?])
        })
    };
    let outputs = tch::no_grad(|| run(&network, Arc::clone(&captured))).expect("the block runs");
    assert!(!outputs[0].requires_grad());
    let outputs = run(&network, captured).expect("the block runs");
    assert!(outputs[0].requires_grad() && alive.upgrade().is_some(), "the graph holds the closure");
    drop(outputs);
    assert!(alive.upgrade().is_none(), "the closure goes with the graph");
}

/// Runs a block whose second run is `second`, and gives what the backward pass says.
fn second_run(second: fn(&Tensor) -> Result<Vec<Tensor>, BlockError>) -> Result<(), TchError> {
    let network = Network::new();
    let first = AtomicUsize::new(0);
    let outputs = checkpoint::<BlockError>(&[&network.input], move |inputs| {
        if first.fetch_add(1, Ordering::Relaxed) == 0 { Ok(vec![inputs[0].f_neg()?]) } else { second(&inputs[0]) }
    });
    outputs.expect("the first run succeeds")[0].sum(Kind::Float).f_backward()
}

#[test]
fn an_error_or_a_panic_of_the_second_run_ends_the_backward_pass() {
    let error = second_run(|_| Err(BlockError::Fails)).expect_err("the second run fails").to_string();
    assert!(error.contains("a block fails\nmake it run once"), "{error}");
    let error = second_run(|_| panic!("a slip")).expect_err("the second run panics").to_string();
    assert!(error.contains("a checkpointed closure panicked: a slip\nreport this as a bug"), "{error}");
    let error = second_run(|_| Ok(Vec::new())).expect_err("the second run gives less").to_string();
    assert!(error.contains("a checkpointed closure gave 1 tensors, and then 0"), "{error}");
    second_run(|x| Ok(vec![x.f_neg()?])).expect("the second run succeeds");
}

#[test]
fn an_error_of_the_first_run_is_returned() {
    let network = Network::new();
    let failed = checkpoint(&[&network.input], |_| Err::<Vec<Tensor>, _>(BlockError::Fails));
    assert!(matches!(failed, Err(BlockError::Fails)));
    let undefined = checkpoint::<BlockError>(&[&network.input], |_| Ok(vec![Tensor::new()]));
    assert!(matches!(undefined, Err(BlockError::Native(NativeError::Refused { .. }))));
}
