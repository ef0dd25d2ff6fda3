//! What runs give, with and without graphs.

use crate::bench::{Bench, ENGINE, Given, SCRATCH_BYTES, counted, device, inputs, sum};
use crate::fake::in_child;
use egom2p_engine_core::{DType, DeviceTensor, SessionOptions};

#[test]
fn tensors_of_the_host_go_to_the_device_and_back() {
    in_child("runs::tensors_of_the_host_go_to_the_device_and_back", &[], || {
        for bench in Bench::all(ENGINE) {
            for memory_arena in [true, false] {
                let options = SessionOptions { memory_arena, ..SessionOptions::default() };
                let mut session = bench.open().unwrap().session(&options).unwrap();
                // The widest profile comes last in the record and first in the engine; both are used, some runs thrice.
                for (batch, n_tokens) in [(1, 3), (2, 7), (1, 0), (4, 16), (1, 3), (1, 0), (2, 7), (1, 0), (1, 3)] {
                    let (tokens, mask) = inputs(batch, n_tokens);
                    let outputs = session.run(&[("tokens", &tokens), ("mask", &mask)]).unwrap();
                    let [(hidden_name, hidden), (counts_name, counts)] = &outputs[..] else { panic!("{outputs:?}") };
                    assert_eq!((&**hidden_name, &**counts_name), ("hidden", "counts"));
                    assert_eq!(hidden.as_f32().unwrap(), counted(sum(batch, n_tokens), batch * n_tokens));
                    let expected: Vec<i64> = (0..batch).map(|at| (sum(batch, n_tokens) + at) as i64).collect();
                    assert_eq!(counts.as_i64().unwrap(), expected);
                }
            }
        }
    });
}

#[test]
fn the_third_run_of_a_kind_is_a_graph() {
    in_child("runs::the_third_run_of_a_kind_is_a_graph", &[], || {
        for bench in Bench::all(&format!("{ENGINE}counts_runs\n")) {
            let mut session = bench.session().unwrap();
            let (device, stream) = device();
            let (one, two) = (Given::new(&*device, 1, 3), Given::new(&*device, 2, 5));
            let mut run = |given: &Given, batch, n_tokens| {
                let runs = given.run(&mut *session, &*stream) - sum(batch, n_tokens);
                assert_eq!(runs % 1000, 0);
                runs / 1000
            };
            // A first run; a second run, and a third that is recorded; then the recorded one, whatever ran in between.
            let runs = [run(&one, 1, 3), run(&one, 1, 3), run(&one, 1, 3), run(&two, 2, 5), run(&one, 1, 3)];
            assert_eq!(runs, [1, 2, 3, 4, 3]);
            let runs = [run(&two, 2, 5), run(&two, 2, 5), run(&one, 1, 3), run(&two, 2, 5)];
            assert_eq!(runs, [5, 6, 3, 6]);
            // Other addresses are another kind.
            assert_eq!(run(&Given::new(&*device, 1, 3), 1, 3), 7);
        }
    });
}

#[test]
fn sessions_of_one_engine_share_its_weights_and_what_is_lent() {
    in_child("runs::sessions_of_one_engine_share_its_weights_and_what_is_lent", &[], || {
        for bench in Bench::all(ENGINE) {
            let engine = bench.open().unwrap();
            let (device, stream) = device();
            let mut sessions = [(); 2].map(|()| engine.session_on(&device, &SessionOptions::default()).unwrap());
            let scratch = device.allocate(SCRATCH_BYTES).unwrap();
            for session in &mut sessions {
                assert_eq!(session.scratch_bytes(), SCRATCH_BYTES as u64);
                session.lend_scratch(&scratch).unwrap();
            }
            let given = Given::new(&*device, 4, 9);
            for _ in 0..4 {
                for session in &mut sessions {
                    assert_eq!(given.run(&mut **session, &*stream), sum(4, 9));
                }
            }
        }
    });
}

#[test]
fn a_session_may_be_dropped_while_its_runs_are_not_done() {
    in_child("runs::a_session_may_be_dropped_while_its_runs_are_not_done", &[], || {
        for bench in Bench::all(ENGINE) {
            for n_runs in 1..=3 {
                let mut session = bench.session().unwrap();
                let (device, stream) = device();
                let given = Given::new(&*device, 1, 4);
                let (tokens, mask) = inputs(1, 4);
                given.tensors[0].upload(&*stream, &tokens).unwrap();
                given.tensors[1].upload(&*stream, &mask).unwrap();
                for _ in 0..n_runs {
                    given.enqueue(&mut *session, &*stream).unwrap();
                }
                drop(session);
                let hidden = given.tensors[2].download(&*stream).unwrap().into_f32().unwrap();
                assert_eq!(hidden, counted(sum(1, 4), 4), "{n_runs}");
            }
        }
    });
}

#[test]
fn tensors_may_lie_anywhere() {
    in_child("runs::tensors_may_lie_anywhere", &[], || {
        for bench in Bench::all(ENGINE) {
            let mut session = bench.session().unwrap();
            let (device, stream) = device();
            let all = device.allocate(4096).unwrap();
            let at = |first: usize, dtype, shape: &[usize]| {
                DeviceTensor::new(dtype, shape, &all.slice(first..first + 256).unwrap()).unwrap()
            };
            let tensors = [
                at(8, DType::I64, &[2, 3]),
                at(301, DType::Bool, &[2]),
                at(604, DType::F32, &[2, 3]),
                at(1000, DType::I64, &[2]),
            ];
            let given = Given { tensors };
            for _ in 0..4 {
                assert_eq!(given.run(&mut *session, &*stream), sum(2, 3));
            }
        }
    });
}

#[test]
fn what_rtx_cannot_capture_is_run_and_what_fails_to_be_captured_is_an_error() {
    in_child("runs::what_rtx_cannot_capture_is_run_and_what_fails_to_be_captured_is_an_error", &[], || {
        for bench in Bench::all(&format!("{ENGINE}uncapturable\n")) {
            let mut session = bench.session().unwrap();
            let (device, stream) = device();
            let given = Given::new(&*device, 1, 2);
            assert_eq!(given.run(&mut *session, &*stream), sum(1, 2));
            if bench.is_rtx() {
                for _ in 0..3 {
                    assert_eq!(given.run(&mut *session, &*stream), sum(1, 2));
                }
                continue;
            }
            let text = given.enqueue(&mut *session, &*stream).unwrap_err().to_string();
            assert!(text.contains("enqueueV3: this engine synchronises"), "{text}");
            // The stream is of use still.
            stream.synchronize().unwrap();
        }
    });
}
