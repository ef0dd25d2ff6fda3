//! What there is, and every way to have no GPU that can be used.

use std::fs;
use std::sync::Arc;

use egom2p_device::{DeviceError, DeviceFacts, DeviceKind, DeviceMemory, open_cuda};

use crate::driver::{alive, compile, with_driver, with_library};

#[test]
fn a_device_says_what_it_is() {
    with_driver("opening::a_device_says_what_it_is", &[("EGOM2P_FAKE_VERSION", "13020")], || {
        let device = open_cuda(1).unwrap();
        let facts = DeviceFacts {
            kind: DeviceKind::Cuda(1),
            name: "Other fake GPU".to_owned(),
            compute_capability: Some((9, 0)),
            driver: Some((13, 2)),
        };
        assert_eq!(device.facts(), &facts);
        assert_eq!(device.memory(), Ok(DeviceMemory { total_bytes: 1 << 30, free_bytes: 1 << 30 }));
        assert!(Arc::ptr_eq(&device, &open_cuda(1).unwrap()));
        assert!(!Arc::ptr_eq(&device, &open_cuda(0).unwrap()));
        assert_eq!(alive(), 0);
    });
}

#[test]
fn a_library_that_does_not_load() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("libcuda.so.1"), "no library").unwrap();
    with_library("opening::a_library_that_does_not_load", folder.path(), &[], || {
        let error = open_cuda(0).unwrap_err();
        assert!(matches!(&error, DeviceError::DriverMissing { why } if why.contains("libcuda.so.1")), "{error}");
        assert_eq!(error.to_string().lines().count(), 2);
    });
}

#[test]
fn a_library_that_lacks_functions() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("bare.cpp");
    let bare = "extern \"C\" int cuInit(unsigned) { return 0; }
        extern \"C\" int cuDriverGetVersion(int* version) { *version = 13000; return 0; }";
    fs::write(&source, bare).unwrap();
    compile(&source, folder.path());
    with_library("opening::a_library_that_lacks_functions", folder.path(), &[], || {
        let error = open_cuda(0).unwrap_err().to_string();
        assert!(error.starts_with("the NVIDIA driver: opening it failed: libcuda.so.1 has no cu"), "{error}");
    });
}

#[test]
fn an_old_driver_that_lacks_functions() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("old.cpp");
    let old = "extern \"C\" int cuInit(unsigned) { return 0; }
        extern \"C\" int cuDriverGetVersion(int* version) { *version = 12080; return 0; }";
    fs::write(&source, old).unwrap();
    compile(&source, folder.path());
    with_library("opening::an_old_driver_that_lacks_functions", folder.path(), &[], || {
        let error = DeviceError::DriverTooOld { found: (12, 8), needed: (13, 0) };
        assert_eq!(open_cuda(0).unwrap_err(), error);
    });
}

#[test]
fn an_old_driver() {
    with_driver("opening::an_old_driver", &[("EGOM2P_FAKE_VERSION", "12090")], || {
        let error = DeviceError::DriverTooOld { found: (12, 9), needed: (13, 0) };
        assert_eq!(open_cuda(0).unwrap_err(), error);
    });
}

#[test]
fn no_device_on_starting() {
    with_driver("opening::no_device_on_starting", &[("EGOM2P_FAKE_INIT", "100")], || {
        assert_eq!(open_cuda(0).unwrap_err(), DeviceError::NoDevice);
    });
}

#[test]
fn no_device_when_counted() {
    with_driver("opening::no_device_when_counted", &[("EGOM2P_FAKE_DEVICES", "0")], || {
        assert_eq!(open_cuda(0).unwrap_err(), DeviceError::NoDevice);
    });
}

#[test]
fn the_stub_of_a_toolkit() {
    with_driver("opening::the_stub_of_a_toolkit", &[("EGOM2P_FAKE_INIT", "34")], || {
        assert!(matches!(open_cuda(0), Err(DeviceError::DriverMissing { .. })));
    });
}

#[test]
fn a_driver_that_does_not_start() {
    with_driver("opening::a_driver_that_does_not_start", &[("EGOM2P_FAKE_INIT", "803")], || {
        let error = open_cuda(0).unwrap_err().to_string();
        assert!(error.starts_with("the NVIDIA driver: starting failed: error 803\n"), "{error}");
    });
}

#[test]
fn another_ordinal_than_there_are() {
    with_driver("opening::another_ordinal_than_there_are", &[], || {
        let error = open_cuda(2).unwrap_err();
        assert_eq!(error, DeviceError::NoSuchDevice { ordinal: 2, n_devices: 2 });
        assert!(error.to_string().ends_with("from 0 to 1"), "{error}");
        assert!(open_cuda(1).is_ok());
    });
}

#[test]
fn an_old_device() {
    with_driver("opening::an_old_device", &[("EGOM2P_FAKE_CAPABILITY", "75")], || {
        let name = "Fake GPU".to_owned();
        assert_eq!(open_cuda(0).unwrap_err(), DeviceError::DeviceTooOld { name, found: (7, 5), needed: (8, 0) });
    });
}

#[test]
fn a_device_that_cannot_be_had() {
    with_driver("opening::a_device_that_cannot_be_had", &[("EGOM2P_FAKE_RETAIN", "46")], || {
        let error = open_cuda(0).unwrap_err().to_string();
        assert!(error.starts_with("Fake GPU: opening it failed: error 46\n"), "{error}");
    });
}
