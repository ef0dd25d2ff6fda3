//! What is refused, and what is lost.

use crate::bench::{Bench, ENGINE, Given, device, inputs};
use crate::fake::in_child;
use egom2p_device::{ComputeDevice, CudaDevice, DeviceError, HostDevice, Stream};
use egom2p_engine_core::{EngineError, EngineTarget, SessionOptions};
use std::sync::Arc;

fn two_lines(error: &EngineError) -> String {
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
    error.to_string()
}

#[test]
fn runs_outside_of_every_profile_are_refused() {
    in_child("refusals::runs_outside_of_every_profile_are_refused", &[], || {
        for bench in Bench::all(ENGINE) {
            let mut session = bench.session().unwrap();
            for (batch, n_tokens, expected) in [
                (1, 17, "dimension visible is 17: this engine was built for 1 to 16"),
                (5, 1, "dimension batch is 5: this engine was built for 1 to 4"),
            ] {
                let (tokens, mask) = inputs(batch, n_tokens);
                let error = session.run(&[("tokens", &tokens), ("mask", &mask)]).unwrap_err();
                assert!(two_lines(&error).starts_with(expected), "{error}");
            }
        }
    });
}

#[test]
fn devices_that_the_engine_was_not_built_for_are_refused() {
    in_child("refusals::devices_that_the_engine_was_not_built_for_are_refused", &[], || {
        for bench in Bench::all(ENGINE) {
            let engine = bench.open().unwrap();
            let host: Arc<dyn ComputeDevice> = HostDevice::new(1 << 20);
            let error = engine.session_on(&host, &SessionOptions::default()).err().unwrap();
            assert!(matches!(error, EngineError::NotOnDevice { .. }), "{error}");
            let other = CudaDevice::shared(1).unwrap();
            let session = engine.session_on(&other, &SessionOptions::default());
            if bench.is_rtx() {
                let stream: Arc<dyn Stream> = Arc::clone(&other).stream().unwrap();
                Given::new(&*other, 1, 2).run(&mut *session.unwrap(), &*stream);
            } else {
                let text = two_lines(&session.err().unwrap());
                assert!(text.contains("this machine has Other fake GPU, compute capability 9.0\n"), "{text}");
            }
            bench.write(ENGINE, |record| {
                let capability = "12.0".parse().unwrap();
                record.target = EngineTarget::ComputeCapabilities(vec![capability]);
            });
            let error = bench.open().err().unwrap();
            assert!(two_lines(&error).starts_with("the engine was built for compute capability 12.0"), "{error}");
        }
    });
}

#[test]
fn engines_that_do_not_fit_their_records_are_refused() {
    in_child("refusals::engines_that_do_not_fit_their_records_are_refused", &[], || {
        for bench in Bench::all(ENGINE) {
            let refusal = |text: &str| {
                bench.write(text, |_| ());
                let engine = bench.open().unwrap();
                two_lines(&engine.session(&SessionOptions::default()).err().unwrap())
            };
            let text = refusal(&ENGINE.replace("mask", "musk"));
            assert!(text.contains("the engine is another one: it has no input mask bool [batch]"), "{text}");
            let text = refusal(&ENGINE.replace("4 16", "4 15"));
            assert!(text.contains("a.engine.json is not valid: the engine has other profiles\n"), "{text}");
            let text = refusal("not an engine");
            assert!(text.contains("deserializeCudaEngine: this is no engine"), "{text}");
        }
    });
}

#[test]
fn a_lost_device_is_said_to_be_lost() {
    in_child("refusals::a_lost_device_is_said_to_be_lost", &[], || {
        let bench = Bench::all(&format!("{ENGINE}loses_device\n")).next().unwrap();
        let mut session = bench.session().unwrap();
        let (device, stream) = device();
        let error = Given::new(&*device, 1, 2).enqueue(&mut *session, &*stream).unwrap_err();
        assert!(matches!(error, EngineError::Device(DeviceError::Lost { .. })), "{error}");
        assert!(two_lines(&error).starts_with("Fake GPU was lost: CUDA_ERROR_ILLEGAL_ADDRESS"), "{error}");
        // Nothing that it held can be freed; nothing crashes over that.
        std::mem::forget(session);
    });
}
