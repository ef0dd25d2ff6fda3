/// What a device call gives.
pub type Result<T, E = DeviceError> = std::result::Result<T, E>;

/// A device that cannot be had, or that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without the feature.
    #[error("this program was built without support for NVIDIA GPUs\nbuild it with --features cuda")]
    LeftOut,
    /// The driver's library is not there.
    #[error("there is no NVIDIA driver: {why}\ninstall the driver of the GPU, or use a bundle for the processor")]
    DriverMissing {
        /// What the loader said.
        why: String,
    },
    /// The driver supports an older CUDA version than the kernels are compiled for.
    #[error(
        "the NVIDIA driver supports CUDA {}.{}, expected at least {}.{}\ninstall a newer driver (nvidia-smi shows the version)",
        found.0, found.1, needed.0, needed.1
    )]
    DriverTooOld {
        /// What is there.
        found: (u32, u32),
        /// What is needed.
        needed: (u32, u32),
    },
    /// The driver works and sees nothing.
    #[error("the NVIDIA driver finds no GPU\ncheck nvidia-smi and CUDA_VISIBLE_DEVICES")]
    NoDevice,
    /// Another ordinal than there are GPUs.
    #[error("there is no GPU {ordinal}: the driver shows {n_devices}\nname a GPU from 0 to {}", n_devices - 1)]
    NoSuchDevice {
        /// What was asked for.
        ordinal: usize,
        /// How many there are, at least 1.
        n_devices: usize,
    },
    /// The GPU is older than the kernels are compiled for.
    #[error(
        "{name} has compute capability {}.{}, expected at least {}.{}\nuse a GPU of the Ampere generation or newer",
        found.0, found.1, needed.0, needed.1
    )]
    DeviceTooOld {
        /// The GPU.
        name: String,
        /// What it has.
        found: (u32, u32),
        /// What is needed.
        needed: (u32, u32),
    },
    /// Memory that is not to be had.
    #[error(
        "{name} has {free_bytes} bytes of memory free of {total_bytes}, expected {asked_bytes} more\nuse a smaller --batch, engines of half precision, or a device with more memory"
    )]
    OutOfMemory {
        /// The device.
        name: String,
        /// What was asked for.
        asked_bytes: u64,
        /// What is free.
        free_bytes: u64,
        /// All that it has.
        total_bytes: u64,
    },
    /// The device stopped working in the middle: nothing that it holds can be used any more.
    #[error("{name} was lost: {what}\nrun the command again: what was finished is kept (dmesg may say why)")]
    Lost {
        /// The device.
        name: String,
        /// What the driver says.
        what: String,
    },
    /// A call of the driver failed.
    #[error("{name}: {action} failed: {what}\ncheck the driver and the free memory with nvidia-smi")]
    Call {
        /// The device.
        name: String,
        /// What was to be done.
        action: &'static str,
        /// What the driver says.
        what: String,
    },
    /// A range that is not inside a buffer.
    #[error(
        "bytes {start} to {end} are not inside a device buffer of {n_bytes} bytes\nreport this: a size was not checked"
    )]
    Range {
        /// First byte.
        start: usize,
        /// Byte after the last.
        end: usize,
        /// Bytes of the buffer.
        n_bytes: usize,
    },
    /// Two buffers, or a buffer and a kernel's sizes, that do not fit each other.
    #[error("{what} has {got} bytes on the device, expected {expected}\nreport this: a size was not checked")]
    Size {
        /// What does not fit.
        what: &'static str,
        /// What is needed.
        expected: usize,
        /// What it has.
        got: usize,
    },
    /// A buffer of another device.
    #[error("{name} was given a buffer of another device\nreport this: tensors of two devices are mixed")]
    Foreign {
        /// The device that was to use it.
        name: String,
    },
    /// The host device has no kernels.
    #[error("this program was built without kernels for the host\nbuild it with --features host-kernels, or use a GPU")]
    NoHostKernels,
}
