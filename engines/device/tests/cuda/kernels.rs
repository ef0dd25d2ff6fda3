//! Kernels: what is launched is what the host computes.

use std::sync::Arc;

use egom2p_device::{Buffer, ComputeDevice, DeviceError, HostDevice, Kernel, Stream, open_cuda};
use egom2p_kernels::SampleArguments;

use crate::driver::{launches, with_driver};
use crate::transfers::bytes;

/// The same work on a GPU and on the host.
fn on_both(work: impl Fn(&Arc<dyn ComputeDevice>, &dyn Stream) -> Vec<u8>) {
    let host: Arc<dyn ComputeDevice> = HostDevice::new(1 << 24);
    let [on_gpu, on_host] = [open_cuda(0).unwrap(), host].map(|device| {
        let stream = Arc::clone(&device).stream().unwrap();
        work(&device, &*stream)
    });
    assert!(on_gpu == on_host);
}

fn buffer<T: Copy, const N: usize>(
    device: &Arc<dyn ComputeDevice>,
    stream: &dyn Stream,
    values: &[T],
    to_bytes: fn(T) -> [u8; N],
) -> Buffer {
    let buffer = device.allocate(N * values.len()).unwrap();
    let values: Vec<u8> = values.iter().flat_map(|&value| to_bytes(value)).collect();
    stream.upload(&buffer, &values).unwrap();
    buffer
}

/// Numbers between -4 and 4 without an end.
fn numbers() -> impl Iterator<Item = f32> {
    std::iter::successors(Some(12_345_u32), |state| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
        .map(|state| (state >> 8) as f32 / (1_u32 << 21) as f32 - 4.0)
}

#[test]
fn guidance() {
    with_driver("kernels::guidance", &[], || {
        for n_values in [1, 2047, 2049, 100_000] {
            let values: Vec<f32> = numbers().take(2 * n_values).collect();
            on_both(|device, stream| {
                let conditional = buffer(device, stream, &values[..n_values], f32::to_ne_bytes);
                let unconditional = buffer(device, stream, &values[n_values..], f32::to_ne_bytes);
                let mixed = device.allocate(4 * n_values).unwrap();
                let (conditional, unconditional) = (&conditional, &unconditional);
                let weight = 3.5;
                stream.launch(&Kernel::Guide { mixed: &mixed, conditional, unconditional, weight, n_values }).unwrap();
                let mixed_apart = bytes(stream, &mixed);
                let in_place = Kernel::Guide { mixed: conditional, conditional, unconditional, weight, n_values };
                stream.launch(&in_place).unwrap();
                assert!(bytes(stream, conditional) == mixed_apart);
                mixed_apart
            });
        }
    });
}

#[test]
fn sampling() {
    with_driver("kernels::sampling", &[], || {
        for (n_vocabulary, n_rows) in [(1, 1), (256, 40), (1000, 7)] {
            let logits: Vec<f32> = numbers().take(n_vocabulary * n_rows).collect();
            for (temperature, top_p, top_k) in [(0.0, 0.0, 0), (0.01, 0.8, 0), (1.0, 0.9, 50)] {
                let arguments = SampleArguments::new(n_vocabulary, temperature, top_p, top_k, 99, 5).unwrap();
                on_both(|device, stream| {
                    let logits = buffer(device, stream, &logits, f32::to_ne_bytes);
                    let outcomes = device.allocate(8 * n_rows).unwrap();
                    let kernel = Kernel::Sample { outcomes: &outcomes, logits: &logits, arguments, n_rows };
                    stream.launch(&kernel).unwrap();
                    bytes(stream, &outcomes)
                });
            }
        }
    });
}

#[test]
fn tokens_by_place() {
    with_driver("kernels::tokens_by_place", &[], || {
        let table: Vec<i64> = (0..700).map(|i| 1000 + i).collect();
        let indices: Vec<i64> = (0..900).map(|i| (i * 7) % 901 - 20).collect();
        let values: Vec<i64> = (0..900).map(|i| if i % 5 == 0 { -1 - i } else { i }).collect();
        on_both(|device, stream| {
            let [table, indices, values] =
                [&table, &indices, &values].map(|values| buffer(device, stream, values, i64::to_ne_bytes));
            let gathered = device.allocate(8 * 900).unwrap();
            let gather = Kernel::Gather { gathered: &gathered, table: &table, indices: &indices, n_indices: 900 };
            stream.launch(&gather).unwrap();
            let scatter = Kernel::Scatter { table: &table, indices: &indices, values: &values, n_indices: 850 };
            stream.launch(&scatter).unwrap();
            [bytes(stream, &gathered), bytes(stream, &table)].concat()
        });
    });
}

#[test]
fn nothing_to_do_is_not_launched() {
    with_driver("kernels::nothing_to_do_is_not_launched", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let empty = device.allocate(0).unwrap();
        let (mixed, conditional, unconditional) = (&empty, &empty, &empty);
        stream.launch(&Kernel::Guide { mixed, conditional, unconditional, weight: 1.0, n_values: 0 }).unwrap();
        let arguments = SampleArguments::new(4, 1.0, 0.5, 0, 7, 0).unwrap();
        stream.launch(&Kernel::Sample { outcomes: &empty, logits: &empty, arguments, n_rows: 0 }).unwrap();
        let (table, indices) = (&empty, &empty);
        stream.launch(&Kernel::Gather { gathered: &empty, table, indices, n_indices: 0 }).unwrap();
        stream.launch(&Kernel::Scatter { table, indices, values: &empty, n_indices: 0 }).unwrap();
        assert_eq!(launches(), 0);
    });
}

#[test]
fn buffers_that_do_not_fit_are_refused() {
    with_driver("kernels::buffers_that_do_not_fit_are_refused", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let (large, small) = (device.allocate(64).unwrap(), device.allocate(56).unwrap());
        let foreign = HostDevice::new(100).allocate(64).unwrap();
        let gather =
            |gathered, table, indices| stream.launch(&Kernel::Gather { gathered, table, indices, n_indices: 8 });
        assert!(matches!(gather(&small, &large, &large), Err(DeviceError::Size { expected: 64, got: 56, .. })));
        assert!(matches!(gather(&large, &large, &small), Err(DeviceError::Size { .. })));
        assert!(matches!(gather(&large, &foreign, &large), Err(DeviceError::Foreign { .. })));
        assert!(gather(&large, &small, &large).is_ok());
        let odd = large.slice(4..60).unwrap();
        assert!(matches!(gather(&large, &odd, &large), Err(DeviceError::Size { .. })), "not aligned");
        assert_eq!(launches(), 1);
    });
}
