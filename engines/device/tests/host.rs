//! The processor as a device.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

use std::sync::Arc;

use egom2p_device::{Buffer, ComputeDevice, DeviceError, DeviceKind, DeviceMemory, HostDevice, Kernel, Stream};
use egom2p_kernels::{Outcome, SampleArguments};

fn device() -> (Arc<HostDevice>, Arc<dyn Stream>) {
    let device = HostDevice::new(1 << 20);
    (Arc::clone(&device), device.stream().unwrap())
}

fn floats(device: &HostDevice, stream: &dyn Stream, values: &[f32]) -> Buffer {
    let buffer = device.allocate(4 * values.len()).unwrap();
    stream
        .write(&buffer, &mut |staged| {
            for (bytes, value) in staged.chunks_exact_mut(4).zip(values) {
                bytes.copy_from_slice(&value.to_ne_bytes());
            }
        })
        .unwrap();
    buffer
}

fn tokens(device: &HostDevice, stream: &dyn Stream, values: &[i64]) -> Buffer {
    let buffer = device.allocate(8 * values.len()).unwrap();
    stream.upload(&buffer, &values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>()).unwrap();
    buffer
}

fn read_tokens(stream: &dyn Stream, buffer: &Buffer) -> Vec<i64> {
    let mut values = Vec::new();
    let mut take = |bytes: &[u8]| {
        values = bytes.chunks_exact(8).map(|bytes| i64::from_ne_bytes(bytes.try_into().unwrap())).collect();
    };
    stream.read(buffer, &mut take).unwrap();
    values
}

fn read_floats(stream: &dyn Stream, buffer: &Buffer) -> Vec<f32> {
    let mut bytes = vec![0; buffer.n_bytes()];
    stream.download(buffer, &mut bytes).unwrap();
    bytes.chunks_exact(4).map(|bytes| f32::from_ne_bytes(bytes.try_into().unwrap())).collect()
}

#[test]
fn memory_is_counted() {
    let device = HostDevice::new(1000);
    assert_eq!(device.facts().kind, DeviceKind::Host);
    let held = device.allocate(600).unwrap();
    assert!(held.address().is_multiple_of(256));
    let part = held.slice(500..600).unwrap();
    let error = device.allocate(401).unwrap_err();
    let name = "host".to_owned();
    assert_eq!(error, DeviceError::OutOfMemory { name, asked_bytes: 401, free_bytes: 400, total_bytes: 1000 });
    assert!(HostDevice::new(u64::MAX).allocate(usize::MAX / 2).is_err());
    drop(held);
    assert_eq!(device.memory(), Ok(DeviceMemory { total_bytes: 1000, free_bytes: 400 }), "a slice keeps the buffer");
    drop(part);
    assert_eq!(device.memory().unwrap().free_bytes, 1000);
    assert_eq!(device.allocate(0).unwrap().n_bytes(), 0);
}

#[test]
fn bytes_come_back() {
    let (device, stream) = device();
    let (first, second) = (device.allocate(6).unwrap(), device.allocate(4).unwrap());
    stream.upload(&first, &[1, 2, 3, 4, 5, 6]).unwrap();
    stream.copy(&second, &first.slice(1..5).unwrap()).unwrap();
    let mut bytes = [0; 4];
    stream.download(&second, &mut bytes).unwrap();
    assert_eq!(bytes, [2, 3, 4, 5]);
    assert_eq!(stream.copy(&second, &first).unwrap_err(), DeviceError::Size { what: "a copy", expected: 6, got: 4 });
    let error = DeviceError::Range { start: 0, end: 7, n_bytes: 6 };
    assert_eq!(stream.upload(&first, &[0; 7]), Err(error));
    assert!(first.slice(7..7).is_err());
    assert_eq!(stream.begin_capture(), Ok(false));
    assert!(stream.end_capture().is_err());
    let other = Arc::clone(&device).stream().unwrap();
    assert_eq!((stream.wait_for(&*other), stream.synchronize(), stream.handle()), (Ok(()), Ok(()), 0));
}

#[test]
fn guidance_may_be_written_over_either_pass() {
    let (device, stream) = device();
    let expected = [6.0, -4.0];
    for target in 0..3 {
        let passes = [[3.0, 0.0], [1.5, 2.0], [0.0, 0.0]].map(|values| floats(&device, &*stream, &values));
        let [conditional, unconditional, _] = &passes;
        let kernel = Kernel::Guide { mixed: &passes[target], conditional, unconditional, weight: 3.0, n_values: 2 };
        stream.launch(&kernel).unwrap();
        assert_eq!(read_floats(&*stream, &passes[target]), expected);
    }
}

#[test]
fn rows_give_outcomes() {
    let (device, stream) = device();
    let logits = floats(&device, &*stream, &[0.0, 2.0, 1.0, 5.0, f32::NAN, 0.0, 0.0, 0.0, f32::INFINITY]);
    let outcomes = device.allocate(3 * 8).unwrap();
    let arguments = SampleArguments::new(3, 0.0, 0.0, 0, 1, 0).unwrap();
    stream.launch(&Kernel::Sample { outcomes: &outcomes, logits: &logits, arguments, n_rows: 3 }).unwrap();
    let found: Vec<_> = read_tokens(&*stream, &outcomes).into_iter().map(Outcome::from_code).collect();
    assert_eq!(found, [Outcome::Token(1), Outcome::NanLogit, Outcome::InfiniteLogit].map(Some));
}

#[test]
fn tokens_by_place() {
    let (device, stream) = device();
    let tokens = |values: &[i64]| tokens(&device, &*stream, values);
    let (table, indices) = (tokens(&[10, 11, 12]), tokens(&[2, -1, 3, 0]));
    let gathered = tokens(&[9, 9, 9, 9]);
    let gather = Kernel::Gather { gathered: &gathered, table: &table, indices: &indices, n_indices: 4 };
    stream.launch(&gather).unwrap();
    assert_eq!(read_tokens(&*stream, &gathered), [12, 0, 0, 10]);
    let values = tokens(&[20, 21, 22, -1]);
    let scatter = |n_indices| Kernel::Scatter { table: &table, indices: &indices, values: &values, n_indices };
    stream.launch(&scatter(4)).unwrap();
    assert_eq!(read_tokens(&*stream, &table), [10, 11, 20]);
    let error = stream.launch(&scatter(5)).unwrap_err();
    assert_eq!(error, DeviceError::Size { what: "scattered tokens", expected: 40, got: 32 });
}
