//! Memory of a device: what an engine takes, and what is there.

use egom2p_device::{ComputeDevice, DeviceMemory};
use egom2p_engine_core::{EngineError, EngineRecord, Result};

/// Memory that an engine takes on a device.
#[derive(Debug, Clone)]
pub(crate) struct Room<'a> {
    record: &'a EngineRecord,
    /// Bytes of weights.
    pub(crate) weights_bytes: u64,
    /// Bytes of activations, for the most demanding profile.
    pub(crate) run_bytes: u64,
}

impl<'a> Room<'a> {
    /// What an engine takes by its record; the size of its file stands in for its weights where the record has none.
    pub(crate) fn of(record: &'a EngineRecord) -> Self {
        let weights_bytes = record.memory.weights_bytes.unwrap_or(record.engine.bytes);
        Self { record, weights_bytes, run_bytes: record.memory.activation_bytes.unwrap_or(0) }
    }

    /// Checks that a device has room for the weights. Memory for runs may be lent later.
    pub(crate) fn check_weights(&self, device: &dyn ComputeDevice) -> Result<()> {
        let memory = device.memory()?;
        if memory.free_bytes < self.weights_bytes { Err(self.too_small(device, memory, 0)) } else { Ok(()) }
    }

    /// What is said when memory ended; `loaded_bytes` of the engine are on the device already.
    pub(crate) fn error(&self, device: &dyn ComputeDevice, loaded_bytes: u64) -> EngineError {
        match device.memory() {
            Ok(memory) => self.too_small(device, memory, loaded_bytes),
            Err(error) => error.into(),
        }
    }

    fn too_small(&self, device: &dyn ComputeDevice, memory: DeviceMemory, loaded_bytes: u64) -> EngineError {
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        let DeviceMemory { total_bytes, free_bytes } = memory;
        let free_bytes = free_bytes.saturating_add(loaded_bytes);
        let mend = match self.fitting_batch(free_bytes.saturating_sub(self.weights_bytes)) {
            Some(batch) => format!(
                "build it for smaller batches: \"egom2p build --profile FILE\" with batches of up to {batch} fits about"
            ),
            None => "build it in half precision, or use a device with more memory".to_owned(),
        };
        EngineError::Backend {
            what: format!(
                "the engine takes {} MB for weights and {} MB for a run, {} has {} MB free of {} MB",
                mb(self.weights_bytes),
                mb(self.run_bytes),
                device.facts().name,
                free_bytes / 1_000_000,
                total_bytes / 1_000_000
            ),
            mend,
        }
    }

    /// The largest batch whose activations fit into that many bytes, if they grow with the batch as they mostly do;
    /// none where even one clip does not fit, and where a smaller batch is no help.
    fn fitting_batch(&self, bytes: u64) -> Option<u64> {
        let batches = self.record.profiles.iter().filter_map(|profile| profile.dims.get("batch"));
        let largest = batches.map(|range| range.max).max()? as u64;
        let batch = (u128::from(bytes) * u128::from(largest)).checked_div(u128::from(self.run_bytes))?;
        let batch = u64::try_from(batch).unwrap_or(u64::MAX);
        (1..largest).contains(&batch).then_some(batch)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;
    use egom2p_device::HostDevice;
    use egom2p_engine_core::{
        CompileOptions, Digest, DimRange, ENGINE_RECORD_SCHEMA, EngineMemory, EngineTarget, FileEntry, Profile,
    };

    const MB: u64 = 1_000_000;

    fn record(weights_mb: u64, run_mb: u64) -> EngineRecord {
        let profile = |max| Profile { dims: [("batch".to_owned(), DimRange { min: 1, opt: 1, max })].into() };
        EngineRecord {
            schema: ENGINE_RECORD_SCHEMA,
            engine: FileEntry { bytes: 1, blake3: Digest::from_bytes([0; 32]) },
            backend: "tensorrt".to_owned(),
            library: "11.4.0".to_owned(),
            target: EngineTarget::Cpu,
            options: CompileOptions::default(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            profiles: vec![profile(1), profile(8)],
            memory: EngineMemory { weights_bytes: Some(weights_mb * MB), activation_bytes: Some(run_mb * MB) },
            layers: Vec::new(),
            onnx: None,
            build_secs: None,
            build_peak_bytes: None,
        }
    }

    #[test]
    fn too_little_memory_for_weights_is_said_with_all_figures() {
        let record = record(300, 80);
        let room = Room::of(&record);
        room.check_weights(&*HostDevice::new(300 * MB)).unwrap();
        let error = room.check_weights(&*HostDevice::new(299 * MB)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the engine takes 300 MB for weights and 80 MB for a run, host has 299 MB free of 299 MB\n\
             build it in half precision, or use a device with more memory"
        );
    }

    #[test]
    fn the_batch_that_would_fit_is_named() {
        let record = record(300, 80);
        let room = Room::of(&record);
        let device = HostDevice::new(335 * MB);
        let weights = device.allocate(300 * 1_000_000).unwrap();
        let text = room.error(&*device, 300 * MB).to_string();
        assert!(text.contains("host has 335 MB free of 335 MB\n"), "{text}");
        assert!(text.contains("batches of up to 3 fits about"), "{text}");
        drop(weights);
        assert_eq!(room.fitting_batch(9 * MB), None, "not even one clip");
        assert_eq!(room.fitting_batch(80 * MB), None, "it fits as it is");
    }
}
