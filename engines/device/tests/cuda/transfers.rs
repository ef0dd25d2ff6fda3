//! Memory, transfers, and the order of work.

use std::sync::Arc;
use std::thread;

use egom2p_device::{Buffer, ComputeDevice, DeviceError, HostDevice, Stream, open_cuda};

use crate::driver::{alive, pinned, with_driver};

/// The bytes of a buffer once everything enqueued is done.
pub(crate) fn bytes(stream: &dyn Stream, buffer: &Buffer) -> Vec<u8> {
    let mut bytes = vec![0; buffer.n_bytes()];
    stream.download(buffer, &mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_come_back() {
    with_driver("transfers::bytes_come_back", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        assert_ne!(stream.handle(), 0);
        let (first, second) = (device.allocate(1000).unwrap(), device.allocate(1000).unwrap());
        assert!(first.address().is_multiple_of(256) && second.address().is_multiple_of(256));
        let given: Vec<u8> = (0..1000).map(|i| (i % 251) as u8).collect();
        stream.upload(&first, &given).unwrap();
        stream.copy(&second, &first).unwrap();
        stream.upload(&second.slice(10..13).unwrap(), &[1, 2, 3]).unwrap();
        let mut expected = given.clone();
        expected[10..13].copy_from_slice(&[1, 2, 3]);
        assert_eq!(bytes(&*stream, &first), given);
        assert_eq!(bytes(&*stream, &second), expected);
        let mut part = [0; 2];
        stream.download(&second.slice(12..20).unwrap(), &mut part).unwrap();
        assert_eq!(part, [3, 13]);
        let error = stream.copy(&first, &second.slice(0..999).unwrap()).unwrap_err();
        assert_eq!(error, DeviceError::Size { what: "a copy", expected: 999, got: 1000 });
    });
}

/// Nothing waits in between, so the page-locked memory of earlier transfers must be left alone until they have run.
#[test]
fn many_transfers_under_way() {
    with_driver("transfers::many_transfers_under_way", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let sizes = [1, 70_000, 3, 400_000, 10, 65_536, 131_073, 5];
        let buffers: Vec<Buffer> = (0..100).map(|i| device.allocate(sizes[i % 8] * (1 + i / 50)).unwrap()).collect();
        for (i, buffer) in buffers.iter().enumerate() {
            stream.write(buffer, &mut |staged| staged.fill(i as u8)).unwrap();
        }
        for (i, buffer) in buffers.iter().enumerate() {
            assert!(bytes(&*stream, buffer).iter().all(|&byte| byte == i as u8), "buffer {i}");
        }
        let n_pinned = pinned();
        for buffer in &buffers[..4] {
            stream.write(buffer, &mut |staged| staged.fill(200)).unwrap();
            stream.write(buffer, &mut |staged| staged.fill(201)).unwrap();
            assert!(bytes(&*stream, buffer).iter().all(|&byte| byte == 201));
        }
        assert!(pinned() <= n_pinned + 4, "{n_pinned} pieces of page-locked memory, then {}", pinned());
    });
}

#[test]
fn memory_that_is_not_to_be_had() {
    with_driver("transfers::memory_that_is_not_to_be_had", &[("EGOM2P_FAKE_TOTAL_BYTES", "10000")], || {
        let device = open_cuda(0).unwrap();
        let held = device.allocate(4000).unwrap();
        let part = held.slice(0..10).unwrap();
        let name = "Fake GPU".to_owned();
        let (free_bytes, total_bytes) = (6000, 10_000);
        let error = DeviceError::OutOfMemory { name, asked_bytes: 6001, free_bytes, total_bytes };
        assert_eq!(device.allocate(6001).unwrap_err(), error);
        assert!(device.allocate(6000).is_ok());
        drop(held);
        assert_eq!(device.memory().unwrap().free_bytes, 6000, "a slice keeps the buffer");
        drop(part);
        assert_eq!(device.memory().unwrap().free_bytes, 10_000);
    });
}

#[test]
fn nothing_is_transferred_too() {
    with_driver("transfers::nothing_is_transferred_too", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let empty = device.allocate(0).unwrap();
        stream.upload(&empty, &[]).unwrap();
        stream.copy(&empty, &empty).unwrap();
        assert_eq!(bytes(&*stream, &empty), []);
        assert_eq!(pinned(), 0);
    });
}

#[test]
fn everything_is_given_back() {
    with_driver("transfers::everything_is_given_back", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let other = Arc::clone(&device).stream().unwrap();
        let buffer = device.allocate(100).unwrap();
        for _ in 0..10 {
            stream.upload(&buffer, &[1; 100]).unwrap();
        }
        bytes(&*stream, &buffer);
        other.wait_for(&*stream).unwrap();
        assert!(stream.begin_capture().unwrap());
        stream.copy(&buffer.slice(0..10).unwrap(), &buffer.slice(10..20).unwrap()).unwrap();
        let graph = stream.end_capture().unwrap();
        graph.launch().unwrap();
        stream.upload(&buffer, &[2; 100]).unwrap();
        drop(stream);
        graph.launch().unwrap();
        drop((graph, other));
        let unfinished = Arc::clone(&device).stream().unwrap();
        unfinished.upload(&buffer, &[3; 100]).unwrap();
        assert!(unfinished.begin_capture().unwrap());
        drop((unfinished, buffer));
        assert_eq!(alive(), 0);
    });
}

/// Streams are not ordered among each other unless they are told to be.
#[test]
fn a_stream_waits_for_another() {
    with_driver("transfers::a_stream_waits_for_another", &[], || {
        let device = open_cuda(0).unwrap();
        let (stream, other) = (Arc::clone(&device).stream().unwrap(), Arc::clone(&device).stream().unwrap());
        let (early, late) = (device.allocate(3).unwrap(), device.allocate(3).unwrap());
        stream.upload(&early, &[1, 2, 3]).unwrap();
        stream.upload(&late, &[4, 5, 6]).unwrap();
        assert_ne!(bytes(&*other, &early), [1, 2, 3], "the driver runs work late, so the check below can fail");
        other.wait_for(&*stream).unwrap();
        assert_eq!(bytes(&*other, &early), [1, 2, 3]);
        assert_eq!(bytes(&*other, &late), [4, 5, 6]);
    });
}

#[test]
fn a_stream_waits_for_another_device() {
    with_driver("transfers::a_stream_waits_for_another_device", &[], || {
        let (device, second) = (open_cuda(0).unwrap(), open_cuda(1).unwrap());
        let (stream, other) = (Arc::clone(&device).stream().unwrap(), second.stream().unwrap());
        let host = HostDevice::new(100).stream().unwrap();
        let buffer = device.allocate(3).unwrap();
        stream.upload(&buffer, &[1, 2, 3]).unwrap();
        other.wait_for(&*stream).unwrap();
        let witness = Arc::clone(&device).stream().unwrap();
        assert_eq!(bytes(&*witness, &buffer), [1, 2, 3]);
        stream.upload(&buffer, &[4, 5, 6]).unwrap();
        host.wait_for(&*stream).unwrap();
        assert_eq!(bytes(&*witness, &buffer), [4, 5, 6]);
        stream.wait_for(&*host).unwrap();
    });
}

#[test]
fn buffers_of_another_device_are_refused() {
    with_driver("transfers::buffers_of_another_device_are_refused", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let own = device.allocate(8).unwrap();
        let refused = DeviceError::Foreign { name: "Fake GPU".to_owned() };
        let host = HostDevice::new(100);
        for foreign in [host.allocate(8).unwrap(), open_cuda(1).unwrap().allocate(8).unwrap()] {
            assert_eq!(stream.upload(&foreign, &[0; 8]), Err(refused.clone()));
            assert_eq!(stream.download(&foreign, &mut [0; 8]), Err(refused.clone()));
            assert_eq!(stream.copy(&own, &foreign), Err(refused.clone()));
            assert_eq!(stream.copy(&foreign, &own), Err(refused.clone()));
        }
        let refused = DeviceError::Foreign { name: "host".to_owned() };
        assert_eq!(host.stream().unwrap().upload(&own, &[0; 8]), Err(refused));
    });
}

/// The context is made current on whatever thread calls.
#[test]
fn other_threads_may_call() {
    with_driver("transfers::other_threads_may_call", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let buffer = device.allocate(100).unwrap();
        thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..50 {
                        let own = device.allocate(64).unwrap();
                        stream.upload(&own, &[7; 64]).unwrap();
                        assert_eq!(bytes(&*stream, &own), [7; 64]);
                    }
                });
            }
        });
        thread::spawn(move || drop((stream, buffer))).join().unwrap();
        assert_eq!(alive(), 0);
    });
}

#[test]
fn the_stream_may_be_used_while_bytes_are_filled_and_taken() {
    with_driver("transfers::the_stream_may_be_used_while_bytes_are_filled_and_taken", &[], || {
        let device = open_cuda(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        let (first, second) = (device.allocate(3).unwrap(), device.allocate(3).unwrap());
        let fill = &mut |staged: &mut [u8]| {
            stream.upload(&second, &[1, 2, 3]).unwrap();
            staged.copy_from_slice(&bytes(&*stream, &second));
        };
        stream.write(&first, fill).unwrap();
        let take = &mut |staged: &[u8]| {
            stream.upload(&second, &[4, 5, 6]).unwrap();
            assert_eq!(bytes(&*stream, &second), [4, 5, 6]);
            assert_eq!(staged, [1, 2, 3]);
        };
        stream.read(&first, take).unwrap();
    });
}
