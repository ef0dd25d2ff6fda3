//! Recorded work.

use std::sync::Arc;

use egom2p_device::{DeviceError, Kernel, open_cuda};

use crate::driver::{launches, with_driver};
use crate::transfers::bytes;

fn tokens(tokens: &[i64]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.to_ne_bytes()).collect()
}

#[test]
fn recorded_work_runs_when_launched() {
    with_driver("recording::recorded_work_runs_when_launched", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let buffer = |values: &[i64]| {
            let buffer = device.allocate(8 * values.len()).unwrap();
            stream.upload(&buffer, &tokens(values)).unwrap();
            buffer
        };
        let (table, next) = (buffer(&[1, 2, 3, 0]), buffer(&[9, 9, 9, 9]));
        let (turned, ends) = (buffer(&[3, 0, 1, 2]), buffer(&[5]));
        let first = ends.slice(0..8).unwrap();
        assert!(stream.begin_capture().unwrap());
        stream.launch(&Kernel::Gather { gathered: &next, table: &table, indices: &turned, n_indices: 4 }).unwrap();
        stream.copy(&table, &next).unwrap();
        stream.launch(&Kernel::Scatter { table: &table, indices: &ends, values: &first, n_indices: 1 }).unwrap();
        let graph = stream.end_capture().unwrap();
        assert_eq!(bytes(&*stream, &table), tokens(&[1, 2, 3, 0]), "recording does not run anything");
        graph.launch().unwrap();
        graph.launch().unwrap();
        assert_eq!(bytes(&*stream, &table), tokens(&[3, 0, 1, 2]));
        stream.upload(&table, &tokens(&[7, 8, 9, 10])).unwrap();
        stream.upload(&ends, &tokens(&[2])).unwrap();
        graph.launch().unwrap();
        assert_eq!(bytes(&*stream, &table), tokens(&[10, 7, 2, 9]), "what buffers hold when it is launched counts");
        assert_eq!(launches(), 2);
    });
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    with_driver("recording::what_cannot_be_recorded_is_refused", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let buffer = device.allocate(8).unwrap();
        let refused = |outcome: Result<(), DeviceError>| matches!(outcome, Err(DeviceError::Call { .. }));
        assert!(refused(stream.end_capture().map(drop)));
        assert!(stream.begin_capture().unwrap());
        assert!(refused(stream.begin_capture().map(drop)));
        assert!(refused(stream.upload(&buffer, &[1; 8])));
        assert!(refused(stream.download(&buffer, &mut [1; 8])));
        assert!(refused(stream.synchronize()));
        let graph = stream.end_capture().unwrap();
        graph.launch().unwrap();
        stream.upload(&buffer, &[1; 8]).unwrap();
        assert_eq!(bytes(&*stream, &buffer), [1; 8]);
    });
}

/// Memory comes and goes, and other streams work, while one stream records.
#[test]
fn memory_beside_a_recording() {
    with_driver("recording::memory_beside_a_recording", &[], || {
        let device = open_cuda(0).unwrap();
        let (stream, other) = (Arc::clone(&device).stream().unwrap(), Arc::clone(&device).stream().unwrap());
        let freed = device.allocate(100).unwrap();
        let free_bytes = device.memory().unwrap().free_bytes;
        assert!(stream.begin_capture().unwrap());
        drop(freed);
        let made = device.allocate(50).unwrap();
        other.upload(&made, &[3; 50]).unwrap();
        assert_eq!(bytes(&*other, &made), [3; 50]);
        stream.end_capture().unwrap();
        assert_eq!(device.memory().unwrap().free_bytes, free_bytes + 50);
    });
}
