use crate::family::FamilyFacts;
use crate::fit::PresentDevice;
use egom2p_engine_core::{ComputeCapability, EngineError, Result};
use egom2p_tensorrt_sys::{Driver, Family};

/// The device that TensorRT builds for: the driver's first.
pub(crate) fn present(driver: &Driver) -> Option<PresentDevice> {
    all_present(driver).into_iter().next()
}

/// The devices that engines can run on.
pub(crate) fn all_present(driver: &Driver) -> Vec<PresentDevice> {
    let device = |device: &egom2p_tensorrt_sys::Device| {
        let (major, minor) = device.compute_capability;
        PresentDevice { name: device.name.clone(), compute_capability: ComputeCapability { major, minor } }
    };
    driver.devices().iter().map(device).collect()
}

/// The driver, for what cannot do without one.
pub(crate) fn driver_for(action: &str, mend: &str) -> Result<Driver> {
    Driver::open().map_err(|error| {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default();
        EngineError::Backend { what: format!("{action}: {what}"), mend: mend.to_owned() }
    })
}

/// The driver and the device that engines are built for when no compute capability is named.
pub(crate) fn build_device(facts: &FamilyFacts) -> Result<(Driver, PresentDevice)> {
    let mend = match facts.family {
        Family::Rtx => {
            "name the devices that the engine is for, such as --compute-capability 8.6, or build on a machine with an \
             NVIDIA GPU"
        }
        Family::TensorRt => {
            "build on a machine with an NVIDIA GPU, or with --backend tensorrt-rtx, which builds without one"
        }
    };
    let driver = driver_for(&format!("{} cannot build for the present device", facts.name), mend)?;
    let device = present(&driver).ok_or_else(|| EngineError::Backend {
        what: format!("{} cannot build for the present device: there is none", facts.name),
        mend: mend.to_owned(),
    })?;
    Ok((driver, device))
}
