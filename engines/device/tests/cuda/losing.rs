//! A GPU that fails in the middle.

use std::sync::Arc;

use egom2p_device::{ComputeDevice, DeviceError, Kernel, Result, open_cuda};
use egom2p_kernels::SampleArguments;

use crate::driver::{alive, fail, with_driver};

const ILLEGAL_ADDRESS: i32 = 700;
const NOT_SUPPORTED: i32 = 801;

/// Something of everything, on a device that is open.
fn work(device: &Arc<dyn ComputeDevice>) -> Result<()> {
    device.memory()?;
    let stream = Arc::clone(device).stream()?;
    let other = Arc::clone(device).stream()?;
    let buffer = device.allocate(64)?;
    stream.upload(&buffer, &[0; 64])?;
    other.wait_for(&*stream)?;
    let arguments = SampleArguments::new(4, 1.0, 0.5, 0, 7, 0).expect("a small vocabulary");
    let (outcomes, logits) = (buffer.slice(32..64)?, buffer.slice(0..16)?);
    assert!(other.begin_capture()?);
    other.launch(&Kernel::Sample { outcomes: &outcomes, logits: &logits, arguments, n_rows: 1 })?;
    let graph = other.end_capture()?;
    graph.launch()?;
    other.copy(&logits, &outcomes.slice(0..16)?)?;
    other.synchronize()?;
    other.download(&buffer, &mut [0; 64])
}

/// Wherever the GPU is lost, the error says so, and so does every call from then on. Each place takes a GPU of its own.
#[test]
fn a_lost_device_stays_lost() {
    with_driver("losing::a_lost_device_stays_lost", &[("EGOM2P_FAKE_DEVICES", "1000")], || {
        for n_calls in 0_i32.. {
            let device = open_cuda(n_calls.unsigned_abs() as usize).unwrap();
            fail(ILLEGAL_ADDRESS, n_calls.into());
            let outcome = work(&device);
            fail(0, 0);
            let Err(error) = outcome else {
                assert!(n_calls > 40, "{n_calls} calls");
                break;
            };
            let what = "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)".to_owned();
            let lost = DeviceError::Lost { name: device.facts().name.clone(), what };
            assert_eq!(error, lost, "after {n_calls} calls");
            assert_eq!(error.to_string().lines().count(), 2);
            assert_eq!(device.memory(), Err(lost.clone()));
            assert_eq!(device.allocate(1).unwrap_err(), lost);
            assert_eq!(work(&device), Err(lost));
        }
    });
}

/// An error that the driver does not call final leaves a device that works.
#[test]
fn other_errors_pass() {
    with_driver("losing::other_errors_pass", &[], || {
        let device = open_cuda(0).unwrap();
        for n_calls in 0..1000 {
            fail(NOT_SUPPORTED, n_calls);
            let outcome = work(&device);
            fail(0, 0);
            if let Err(error) = outcome {
                assert!(matches!(error, DeviceError::Call { .. }), "{error} after {n_calls} calls");
                assert!(error.to_string().contains(" failed: error 801\n"), "{error}");
            } else {
                assert!(n_calls > 40, "{n_calls} calls");
                return work(&device).unwrap();
            }
        }
        panic!("the work does not end");
    });
}

/// The driver tells of a kernel's fault when something waits for it.
#[test]
fn a_fault_of_enqueued_work() {
    with_driver("losing::a_fault_of_enqueued_work", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let buffer = device.allocate(8).unwrap();
        stream.upload(&buffer, &[0; 8]).unwrap();
        let n_before = alive();
        fail(ILLEGAL_ADDRESS, 1);
        assert!(matches!(stream.synchronize(), Err(DeviceError::Lost { .. })));
        assert!(matches!(stream.upload(&buffer, &[0; 8]), Err(DeviceError::Lost { .. })));
        drop((stream, buffer));
        fail(0, 0);
        assert_eq!(alive(), n_before, "nothing of a lost device is touched again");
    });
}
