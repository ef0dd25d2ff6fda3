use egom2p_engine_core::{ComputeCapability, EngineError, EngineRecord, EngineTarget, HardwareCompatibility, Result};

/// What a machine has that decides whether it runs an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Present {
    /// Name of the backend.
    pub(crate) backend: &'static str,
    /// Version of its library.
    pub(crate) library: String,
    /// The device; none without a driver or a device.
    pub(crate) device: Option<PresentDevice>,
}

/// A device of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PresentDevice {
    pub(crate) name: String,
    pub(crate) compute_capability: ComputeCapability,
}

/// Checks that an engine runs here, by its record alone. The error says what it was built for, what is here, and the
/// command that builds it for this machine.
pub(crate) fn check(record: &EngineRecord, present: &Present) -> Result<()> {
    let built = format!("{} {}", record.backend, record.library);
    let found = format!("{} {}", present.backend, present.library);
    if record.backend != present.backend || !library_fits(record, &present.library) {
        return Err(wrong(built, found, present));
    }
    let Some(device) = &present.device else {
        return Err(EngineError::WrongTarget {
            built: record.target.to_string(),
            found: "no NVIDIA driver and no device".to_owned(),
            mend: "install NVIDIA's driver, or build for the processor with --backend onnxruntime".to_owned(),
        });
    };
    if device_fits(record, device) {
        return Ok(());
    }
    let found = format!("{}, compute capability {}", device.name, device.compute_capability);
    Err(wrong(record.target.to_string(), found, present))
}

/// The version that compiled an engine also runs it; a later one of the same major version does if the engine says so.
fn library_fits(record: &EngineRecord, library: &str) -> bool {
    if record.library == library {
        return true;
    }
    match (numbers(&record.library), numbers(library)) {
        (Some(built), Some(present)) if record.options.version_compatible => {
            built.first() == present.first() && built <= present
        }
        _ => false,
    }
}

fn device_fits(record: &EngineRecord, device: &PresentDevice) -> bool {
    let present = device.compute_capability;
    let ampere_plus = record.options.hardware_compatibility == Some(HardwareCompatibility::AmperePlus)
        && present >= ComputeCapability { major: 8, minor: 0 };
    match &record.target {
        EngineTarget::Cpu => false,
        EngineTarget::ComputeCapabilities(capabilities) => capabilities.contains(&present) || ampere_plus,
        EngineTarget::Device { name, compute_capability } => {
            let same_capability = *compute_capability == present;
            let any_name = record.options.hardware_compatibility == Some(HardwareCompatibility::SameComputeCapability);
            ampere_plus || (same_capability && (any_name || *name == device.name))
        }
    }
}

/// The numbers of a version such as `1.7.1`.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|number| number.parse().ok()).collect()
}

fn wrong(built: String, found: String, present: &Present) -> EngineError {
    EngineError::WrongTarget { built, found, mend: rebuild(present) }
}

/// The command that builds an engine for what is here.
fn rebuild(present: &Present) -> String {
    let backend = present.backend;
    let capability = match &present.device {
        Some(device) if backend == crate::family::RTX.name => {
            format!(" --compute-capability {}", device.compute_capability)
        }
        _ => String::new(),
    };
    format!("build it for this machine: \"egom2p build EXPORTED --out BUNDLE --backend {backend}{capability}\"")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;
    use egom2p_engine_core::{CompileOptions, Digest, ENGINE_RECORD_SCHEMA, EngineMemory, FileEntry};

    fn record(backend: &str, library: &str, target: EngineTarget) -> EngineRecord {
        EngineRecord {
            schema: ENGINE_RECORD_SCHEMA,
            engine: FileEntry { bytes: 1, blake3: Digest::from_bytes([0; 32]) },
            backend: backend.to_owned(),
            library: library.to_owned(),
            target,
            options: CompileOptions::default(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            profiles: Vec::new(),
            memory: EngineMemory::default(),
            layers: Vec::new(),
            onnx: None,
            build_secs: None,
            build_peak_bytes: None,
        }
    }

    fn capability(text: &str) -> ComputeCapability {
        text.parse().unwrap()
    }

    fn capabilities(texts: &[&str]) -> EngineTarget {
        EngineTarget::ComputeCapabilities(texts.iter().map(|text| capability(text)).collect())
    }

    fn device(name: &str, text: &str) -> PresentDevice {
        PresentDevice { name: name.to_owned(), compute_capability: capability(text) }
    }

    fn rtx(device: impl Into<Option<PresentDevice>>) -> Present {
        Present { backend: "tensorrt-rtx", library: "1.7.1".to_owned(), device: device.into() }
    }

    fn tensorrt(library: &str, device: PresentDevice) -> Present {
        Present { backend: "tensorrt", library: library.to_owned(), device: Some(device) }
    }

    fn refusal(record: &EngineRecord, present: &Present) -> String {
        check(record, present).unwrap_err().to_string()
    }

    #[test]
    fn an_engine_runs_on_each_of_its_compute_capabilities() {
        let record = record("tensorrt-rtx", "1.7.1", capabilities(&["8.6", "8.9"]));
        check(&record, &rtx(device("NVIDIA RTX A5000", "8.6"))).unwrap();
        check(&record, &rtx(device("NVIDIA RTX 4090", "8.9"))).unwrap();
        assert_eq!(
            refusal(&record, &rtx(device("NVIDIA RTX 5090", "12.0"))),
            "the engine was built for compute capability 8.6, 8.9, this machine has NVIDIA RTX 5090, compute capability \
             12.0\nbuild it for this machine: \"egom2p build EXPORTED --out BUNDLE --backend tensorrt-rtx \
             --compute-capability 12.0\""
        );
        // Minor versions of one generation are different devices for an engine.
        assert!(check(&record, &rtx(device("NVIDIA A100", "8.0"))).is_err());
    }

    #[test]
    fn no_device_is_said() {
        let record = record("tensorrt-rtx", "1.7.1", capabilities(&["8.6"]));
        assert_eq!(
            refusal(&record, &rtx(None)),
            "the engine was built for compute capability 8.6, this machine has no NVIDIA driver and no device\n\
             install NVIDIA's driver, or build for the processor with --backend onnxruntime"
        );
    }

    #[test]
    fn an_engine_of_the_other_library_is_refused() {
        let record = record("tensorrt", "11.4.0", capabilities(&["8.6"]));
        let text = refusal(&record, &rtx(device("NVIDIA RTX A5000", "8.6")));
        assert!(text.starts_with("the engine was built for tensorrt 11.4.0, this machine has tensorrt-rtx 1.7.1\n"));
        assert!(text.contains("--backend tensorrt-rtx --compute-capability 8.6"));
    }

    #[test]
    fn an_engine_of_another_version_is_refused_unless_it_is_version_compatible() {
        let here = || device("NVIDIA L4", "8.9");
        let target = EngineTarget::Device { name: "NVIDIA L4".to_owned(), compute_capability: capability("8.9") };
        let mut record = record("tensorrt", "11.2.0", target);
        check(&record, &tensorrt("11.2.0", here())).unwrap();
        let text = refusal(&record, &tensorrt("11.4.0", here()));
        assert!(text.starts_with("the engine was built for tensorrt 11.2.0, this machine has tensorrt 11.4.0\n"));
        assert!(text.ends_with("--backend tensorrt\""), "TensorRT takes no compute capability: {text}");

        record.options.version_compatible = true;
        check(&record, &tensorrt("11.4.0", here())).unwrap();
        check(&record, &tensorrt("11.10.0", here())).unwrap();
        for other in ["11.1.0", "12.0.0", "10.16.0", "unknown"] {
            assert!(check(&record, &tensorrt(other, here())).is_err(), "{other}");
        }
    }

    #[test]
    fn an_engine_of_a_device_runs_on_that_device_only() {
        let target = EngineTarget::Device { name: "NVIDIA L4".to_owned(), compute_capability: capability("8.9") };
        let mut record = record("tensorrt", "11.4.0", target);
        let present = |name, text| tensorrt("11.4.0", device(name, text));
        check(&record, &present("NVIDIA L4", "8.9")).unwrap();
        assert!(check(&record, &present("NVIDIA L40S", "8.9")).is_err());
        assert!(check(&record, &present("NVIDIA A100", "8.0")).is_err());

        record.options.hardware_compatibility = Some(HardwareCompatibility::SameComputeCapability);
        check(&record, &present("NVIDIA L40S", "8.9")).unwrap();
        assert!(check(&record, &present("NVIDIA A100", "8.0")).is_err());

        record.options.hardware_compatibility = Some(HardwareCompatibility::AmperePlus);
        for (name, text) in [("NVIDIA L40S", "8.9"), ("NVIDIA A100", "8.0"), ("NVIDIA H100", "9.0")] {
            check(&record, &present(name, text)).unwrap();
        }
        assert!(check(&record, &present("NVIDIA T4", "7.5")).is_err());
    }

    #[test]
    fn a_record_of_the_processor_is_no_engine_of_a_device() {
        let record = record("tensorrt", "11.4.0", EngineTarget::Cpu);
        assert!(check(&record, &tensorrt("11.4.0", device("NVIDIA L4", "8.9"))).is_err());
    }
}
