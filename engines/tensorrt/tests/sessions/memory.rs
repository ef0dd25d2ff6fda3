//! Devices that are too small.

use crate::bench::{Bench, ENGINE, Given, SCRATCH_BYTES, WEIGHTS_BYTES, device, inputs, sum};
use crate::fake::in_child;
use egom2p_engine_core::{EngineError, SessionOptions};

#[test]
fn a_device_that_is_too_small_for_the_weights_is_said_to_be() {
    let total = WEIGHTS_BYTES - 1;
    let settings = [("EGOM2P_FAKE_TOTAL_BYTES", &*total.to_string())];
    in_child("memory::a_device_that_is_too_small_for_the_weights_is_said_to_be", &settings, || {
        for bench in Bench::all(ENGINE) {
            let text = bench.session().err().unwrap().to_string();
            assert_eq!(
                text,
                "the engine takes 1 MB for weights and 1 MB for a run, Fake GPU has 0 MB free of 0 MB\n\
                 build it in half precision, or use a device with more memory"
            );
        }
    });
}

#[test]
fn a_device_that_is_too_small_for_a_run_is_said_to_be_with_the_batch_that_fits() {
    // The fake engine's weights take nothing: they are filled in by hand.
    let total = WEIGHTS_BYTES + SCRATCH_BYTES as u64 / 2;
    let settings = [("EGOM2P_FAKE_TOTAL_BYTES", &*total.to_string())];
    in_child("memory::a_device_that_is_too_small_for_a_run_is_said_to_be_with_the_batch_that_fits", &settings, || {
        for bench in Bench::all(ENGINE) {
            let mut session = bench.session().unwrap();
            let (device, stream) = device();
            let given = Given::new(&*device, 1, 2);
            let weights = device.allocate(WEIGHTS_BYTES as usize).unwrap();
            let text = given.enqueue(&mut *session, &*stream).unwrap_err().to_string();
            assert!(text.starts_with("the engine takes 1 MB for weights and 1 MB for a run, Fake GPU has 1 MB free"));
            assert!(text.contains("with batches of up to 1 fits about"), "{text}");
            drop(weights);
            assert_eq!(given.run(&mut *session, &*stream), sum(1, 2));
        }
    });
}

#[test]
fn a_device_whose_memory_ends_while_weights_are_loaded_is_said_to_be_too_small() {
    in_child("memory::a_device_whose_memory_ends_while_weights_are_loaded_is_said_to_be_too_small", &[], || {
        for bench in Bench::all(&format!("{ENGINE}too_large\n")) {
            let text = bench.session().err().unwrap().to_string();
            assert!(text.starts_with("the engine takes 1 MB for weights and 1 MB for a run, Fake GPU has "), "{text}");
        }
    });
}

#[test]
fn memory_that_is_lent_is_used_from_then_on() {
    in_child("memory::memory_that_is_lent_is_used_from_then_on", &[], || {
        for bench in Bench::all(ENGINE) {
            for (memory_arena, lends) in [(true, true), (false, true), (false, false), (true, false)] {
                let options = SessionOptions { memory_arena, ..SessionOptions::default() };
                let mut session = bench.open().unwrap().session(&options).unwrap();
                let (device, stream) = device();
                let scratch = device.allocate(SCRATCH_BYTES).unwrap();
                if lends {
                    session.lend_scratch(&scratch).unwrap();
                }
                let given = Given::new(&*device, 2, 3);
                let (tokens, mask) = inputs(2, 3);
                session.run(&[("tokens", &tokens), ("mask", &mask)]).unwrap();
                let before = device.memory().unwrap().free_bytes;
                given.run(&mut *session, &*stream);
                let taken = before - device.memory().unwrap().free_bytes;
                let expected = if memory_arena || lends { 0 } else { SCRATCH_BYTES as u64 };
                assert_eq!(taken, expected, "memory_arena {memory_arena}, lends {lends}");
            }
        }
    });
}

#[test]
fn memory_that_is_lent_must_be_enough() {
    in_child("memory::memory_that_is_lent_must_be_enough", &[], || {
        for bench in Bench::all(ENGINE) {
            let mut session = bench.session().unwrap();
            let (device, _) = device();
            for lent in [
                device.allocate(SCRATCH_BYTES - 1).unwrap(),
                device.allocate(2 * SCRATCH_BYTES).unwrap().slice(8..8 + SCRATCH_BYTES).unwrap(),
            ] {
                let error = session.lend_scratch(&lent).unwrap_err();
                assert!(matches!(error, EngineError::Device(_)), "{error}");
                assert_eq!(error.to_string().lines().count(), 2, "{error}");
            }
        }
    });
}
