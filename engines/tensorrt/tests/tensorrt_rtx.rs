//! Engines that the real TensorRT for RTX compiles, without a device, and whatever must be refused.

#![cfg(feature = "shim")]
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod support;

use egom2p_engine_core::{
    Axis, Backend, BuildMonitor, BuildReport, BuildRequest, CompileOptions, DType, Device, DimRange, EngineError,
    EngineRecord, EngineTarget, EngineWeights, HardwareCompatibility, OpenRequest, Profile, RelativePath, Result,
    TensorSpec,
};
use egom2p_engine_tensorrt::{Family, TensorRt, TensorRtOptions};
use egom2p_onnx_proto::ModelProto;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::{HIDDEN, WEIGHTS, WIDTH, changed, external, model, node, value};

/// Set in a process that this file's test of too little memory starts.
const CHILD_VARIABLE: &str = "EGOM2P_TEST_BUILD_IN";

/// The backend, or a printed line and `None` where the library is absent. A broken library is a failure.
fn backend() -> Option<TensorRt> {
    let backend = TensorRt::new(Family::Rtx, TensorRtOptions::default());
    match backend.check() {
        Ok(_) => Some(backend),
        Err(error @ EngineError::LibraryMissing { .. }) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whether a test of what happens without a driver has to be left out here.
fn has_driver(backend: &TensorRt) -> bool {
    let has_driver = !backend.check().unwrap().devices.is_empty();
    if has_driver {
        eprintln!("skipped: this machine has a driver and a device");
    }
    has_driver
}

fn path(text: &str) -> RelativePath {
    RelativePath::new(text).unwrap()
}

fn profile(dims: &[(&str, usize, usize, usize)]) -> Profile {
    let range = |&(name, min, opt, max): &(&str, _, _, _)| (name.to_owned(), DimRange { min, opt, max });
    Profile { dims: dims.iter().map(range).collect() }
}

fn profiles() -> Vec<Profile> {
    vec![profile(&[("batch", 1, 1, 4), ("visible", 0, 5, 9)])]
}

fn options() -> CompileOptions {
    CompileOptions {
        compute_capabilities: ["8.9", "8.6", "8.9"].map(|text| text.parse().unwrap()).to_vec(),
        ..CompileOptions::default()
    }
}

fn build_with(
    backend: &TensorRt,
    bundle: &Path,
    profiles: &[Profile],
    options: &CompileOptions,
    monitor: &dyn BuildMonitor,
) -> Result<BuildReport> {
    backend.build(&BuildRequest {
        root: bundle,
        onnx: &path("onnx/test.onnx"),
        engine_dir: &path("engines"),
        name: "test-0123",
        profiles,
        device: Device::Cuda,
        options,
        monitor,
    })
}

fn build(backend: &TensorRt, bundle: &Path) -> Result<BuildReport> {
    build_with(backend, bundle, &profiles(), &options(), &())
}

fn build_model(backend: &TensorRt, model: &ModelProto, profiles: &[Profile]) -> Result<BuildReport> {
    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), model);
    let built = build_with(backend, bundle.path(), profiles, &options(), &());
    if built.is_err() {
        assert_eq!(files(&bundle.path().join("engines")), [""; 0], "a failed build leaves nothing");
    }
    built
}

fn open(backend: &TensorRt, bundle: &Path, report: &BuildReport) -> Result<()> {
    let request = OpenRequest { root: bundle, files: &report.files, profiles: &[], device: Device::Cuda };
    backend.open(&request).map(drop)
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The two lines of an error.
fn lines<T>(result: Result<T>) -> [String; 2] {
    let Err(error) = result else { panic!("an error was expected") };
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    lines.try_into().expect("an error has two lines")
}

fn spec(name: &str, width: usize) -> TensorSpec {
    let named = |dim: &str| Axis::Named(dim.to_owned());
    TensorSpec {
        name: name.to_owned(),
        dtype: DType::F32,
        shape: vec![named("batch"), named("visible"), Axis::Fixed(width)],
    }
}

#[test]
fn an_engine_is_written_with_a_record_that_says_what_it_is() {
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), &model());
    let report = build(&backend, bundle.path()).unwrap();
    assert_eq!(report.files, [path("engines/test-0123.engine"), path("engines/test-0123.engine.json")]);
    assert_eq!(files(&bundle.path().join("engines")), ["test-0123.engine", "test-0123.engine.json"]);

    let engine_path = report.files[0].below(bundle.path());
    let engine = std::fs::read(&engine_path).unwrap();
    assert!(engine.starts_with(b"vtrt"));
    let record = EngineRecord::read(&EngineRecord::path(&engine_path)).unwrap();
    assert_eq!(record.engine.bytes, engine.len() as u64);
    assert_eq!(record.engine.blake3.as_bytes(), blake3::hash(&engine).as_bytes());
    assert_eq!((&*record.backend, &*record.library), ("tensorrt-rtx", &*backend.check().unwrap().version));
    assert_eq!(record.target.to_string(), "compute capability 8.6, 8.9", "sorted, each once");
    assert_eq!(record.options.compute_capabilities.len(), 2);
    assert_eq!((record.inputs, record.outputs), (vec![spec("x", WIDTH)], vec![spec("y", HIDDEN)]));
    assert_eq!(record.profiles, profiles());
    let onnx = std::fs::read(bundle.path().join("onnx/test.onnx")).unwrap();
    assert_eq!(record.onnx.unwrap().as_bytes(), blake3::hash(&onnx).as_bytes());
    assert!(record.build_secs.unwrap() > 0.0);
    assert_eq!(report.memory.as_ref(), Some(&record.memory));
    assert!(record.memory.weights_bytes.unwrap() >= (WIDTH * HIDDEN * 4) as u64);
    assert!(record.memory.activation_bytes.is_some());

    let nodes: Vec<&str> = record.layers.iter().flat_map(|layer| &layer.nodes).map(String::as_str).collect();
    assert!(nodes.contains(&"block.0/linear/MatMul"), "{:?}", record.layers);
    let y = record.layers.iter().flat_map(|layer| &layer.outputs).find(|tensor| tensor.name == "y").unwrap();
    assert_eq!((&*y.dtype, y.shape.last()), ("Float", Some(&(HIDDEN as i64))));
    #[cfg(target_os = "linux")]
    assert!(record.build_peak_bytes.unwrap() > 50_000_000, "the library alone holds more");
    assert_eq!(report.peak_bytes, record.build_peak_bytes);
    assert_eq!(
        report.own_bytes,
        files(&bundle.path().join("engines"))
            .iter()
            .map(|name| { std::fs::metadata(bundle.path().join("engines").join(name)).unwrap().len() })
            .sum::<u64>()
    );
}

#[test]
fn one_engine_can_have_several_profiles() {
    let Some(backend) = backend() else { return };
    let profiles =
        [profile(&[("batch", 1, 1, 1), ("visible", 1, 7, 7)]), profile(&[("batch", 2, 2, 8), ("visible", 0, 0, 9)])];
    build_model(&backend, &model(), &profiles).unwrap();
}

#[test]
fn what_a_profile_lacks_is_named() {
    let Some(backend) = backend() else { return };
    let refusal = |model: &ModelProto, profiles: &[Profile]| lines(build_model(&backend, model, profiles));
    let [what, mend] = refusal(&model(), &[profile(&[("batch", 1, 1, 4)])]);
    assert!(what.ends_with("test.onnx: dimension visible of input x has no range: the profile has batch"), "{what}");
    assert!(mend.contains("--profile FILE"));
    let [what, _] = refusal(&model(), &[]);
    assert!(what.contains("input x") && what.ends_with("and there is no profile"), "{what}");
    let unnamed = changed(|graph| graph.input = vec![value("x", &["batch", "", "8"])]);
    let [what, _] = refusal(&unnamed, &profiles());
    assert!(what.contains("axis 1 of input x has neither a length nor a name"), "{what}");
}

#[test]
fn an_operator_that_the_parser_refuses_is_named_with_its_scope() {
    let Some(backend) = backend() else { return };
    let unknown = changed(|graph| {
        graph.node[1].output = vec!["biased".to_owned()];
        graph.node.push(node("block.0/frobnicate/Frobnicate", "Frobnicate", &["biased"], "y"));
    });
    let [what, mend] = lines(build_model(&backend, &unknown, &profiles()));
    assert!(what.contains("test.onnx: the parser refuses block.0/frobnicate/Frobnicate"), "{what}");
    assert!(what.contains("Frobnicate)") && mend.contains("--target standard"), "{what}\n{mend}");
}

#[test]
fn a_cancelled_build_leaves_nothing() {
    struct Cancels {
        n_steps: AtomicU32,
        after: u32,
    }
    impl BuildMonitor for Cancels {
        fn step(&self, _: &str, _: u32, _: u32) {
            self.n_steps.fetch_add(1, Ordering::Relaxed);
        }
        fn is_cancelled(&self) -> bool {
            self.n_steps.load(Ordering::Relaxed) >= self.after
        }
    }
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), &model());
    for after in [0, 1, 2] {
        let monitor = Cancels { n_steps: AtomicU32::new(0), after };
        let built = build_with(&backend, bundle.path(), &profiles(), &options(), &monitor);
        assert!(matches!(built, Err(EngineError::Cancelled)), "{built:?}");
        assert_eq!(files(&bundle.path().join("engines")), [""; 0]);
    }
    let monitor = Cancels { n_steps: AtomicU32::new(0), after: u32::MAX };
    build_with(&backend, bundle.path(), &profiles(), &options(), &monitor).unwrap();
    assert!(monitor.n_steps.load(Ordering::Relaxed) > 2, "a whole build tells its steps");
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_the_build() {
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), &model());
    std::fs::write(bundle.path().join("engines"), "a file").unwrap();
    assert!(matches!(build(&backend, bundle.path()).unwrap_err(), EngineError::Write { .. }));
}

#[test]
fn models_are_checked_before_the_library_sees_them() {
    let Some(backend) = backend() else { return };
    let outside = changed(|graph| graph.initializer[0] = external("w", "../../outside.bin", WIDTH * HIDDEN * 4));
    let [what, _] = lines(build_model(&backend, &outside, &profiles()));
    assert!(what.contains("expected a path inside the folder of the model"), "{what}");

    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), &model());
    std::fs::write(bundle.path().join("onnx").join(WEIGHTS), [0; 8]).unwrap();
    assert!(lines(build(&backend, bundle.path()))[0].contains("weights.bin is too short for w"));
    let onnx = bundle.path().join("onnx/test.onnx");
    let bytes = std::fs::read(&onnx).unwrap();
    std::fs::write(&onnx, &bytes[..bytes.len() / 2]).unwrap();
    assert!(lines(build(&backend, bundle.path()))[0].contains("not an ONNX model"));
}

#[test]
fn too_little_memory_is_refused_before_the_build() {
    if let Some(bundle) = std::env::var_os(CHILD_VARIABLE) {
        let backend = backend().unwrap();
        panic!("refused: {}", build(&backend, &PathBuf::from(bundle)).unwrap_err());
    }
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), &model());
    build(&backend, bundle.path()).unwrap();
    // Enough to open the library, and less than the smallest build takes.
    let mut child = Command::new("sh")
        .args([
            "-c",
            "ulimit -v 800000 && exec \"$0\" --exact too_little_memory_is_refused_before_the_build --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD_VARIABLE, bundle.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_mins(1) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let refusal = text.lines().find(|line| line.contains("refused: ")).unwrap_or_else(|| panic!("{text}"));
    assert!(refusal.contains("onnx/test.onnx takes about 750 MB of memory, "), "{refusal}");
    assert!(refusal.ends_with(" MB are free"), "{refusal}");
}

#[test]
fn without_a_driver_only_named_devices_are_built_for() {
    let Some(backend) = backend() else { return };
    if has_driver(&backend) {
        return;
    }
    let [what, mend] = lines(backend.target(Device::Cuda, &CompileOptions::default()));
    assert!(what.starts_with("tensorrt-rtx cannot build for the present device: "), "{what}");
    assert!(mend.contains("--compute-capability 8.6"), "{mend}");
    for weights in [EngineWeights::Refittable, EngineWeights::Stripped] {
        let bundle = tempfile::tempdir().unwrap();
        support::write(bundle.path(), &model());
        let options = CompileOptions { weights, ..options() };
        let [what, mend] = lines(build_with(&backend, bundle.path(), &profiles(), &options, &()));
        assert!(what.starts_with("tensorrt-rtx cannot make weights replaceable: "), "{what}");
        assert!(mend.contains("embedded weights"), "{mend}");
    }
    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), &model());
    let report = build(&backend, bundle.path()).unwrap();
    let engine = report.files[0].below(bundle.path());
    let [what, mend] = lines(backend.adopt(&engine, &[spec("x", WIDTH)], &[spec("y", HIDDEN)]));
    assert!(what.starts_with("an engine that was built elsewhere tells its tensors"), "{what}");
    assert!(mend.contains("NVIDIA GPU"), "{mend}");
    let [what, mend] = lines(open(&backend, bundle.path(), &report));
    assert!(what.contains("compute capability 8.6, 8.9, this machine has no NVIDIA driver"), "{what}");
    assert!(mend.contains("--backend onnxruntime"), "{mend}");
}

#[test]
fn an_engine_that_does_not_fit_its_record_or_its_library_is_refused() {
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), &model());
    let report = build(&backend, bundle.path()).unwrap();
    let engine = report.files[0].below(bundle.path());
    let record_path = EngineRecord::path(&engine);
    let bytes = std::fs::read(&engine).unwrap();
    let record = EngineRecord::read(&record_path).unwrap();

    std::fs::write(&engine, &bytes[..bytes.len() - 1]).unwrap();
    assert!(lines(open(&backend, bundle.path(), &report))[0].contains("its record says"));
    assert!(lines(backend.adopt(&engine, &[], &[]))[0].contains("its header says"));
    std::fs::write(&engine, vec![0; bytes.len()]).unwrap();
    assert!(lines(open(&backend, bundle.path(), &report))[0].contains("does not begin as an engine"));
    std::fs::write(&engine, &bytes).unwrap();

    let other = EngineRecord { library: "1.6.0".to_owned(), ..record.clone() };
    std::fs::write(&record_path, other.to_json()).unwrap();
    let [what, mend] = lines(open(&backend, bundle.path(), &report));
    assert!(
        what.starts_with("the engine was built for tensorrt-rtx 1.6.0, this machine has tensorrt-rtx 1."),
        "{what}"
    );
    assert!(mend.contains("egom2p build EXPORTED --out BUNDLE --backend tensorrt-rtx"), "{mend}");
    std::fs::write(&record_path, "{").unwrap();
    assert!(lines(open(&backend, bundle.path(), &report))[0].contains("is not valid"));
    std::fs::remove_file(&record_path).unwrap();
    assert!(matches!(open(&backend, bundle.path(), &report), Err(EngineError::Read { .. })));
}

#[test]
fn an_engine_of_another_version_is_known_by_its_header() {
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    support::write(bundle.path(), &model());
    let report = build(&backend, bundle.path()).unwrap();
    let engine = report.files[0].below(bundle.path());
    let mut bytes = std::fs::read(&engine).unwrap();
    bytes[0x19] += 1;
    std::fs::write(&engine, &bytes).unwrap();
    assert!(matches!(backend.adopt(&engine, &[], &[]), Err(EngineError::WrongTarget { .. })));
}

#[test]
fn libraries_that_are_missing_or_something_else_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let with = |library: &Path| {
        let options = TensorRtOptions { library: Some(library.to_owned()), ..TensorRtOptions::default() };
        TensorRt::new(Family::Rtx, options)
    };
    let absent = folder.path().join("absent");
    assert!(lines(with(&absent).check())[0].contains("absent (from the setting)"));
    let [what, mend] = lines(with(folder.path()).check());
    assert!(what.starts_with("TensorRT for RTX was not found; looked at ") && what.contains("libtensorrt_rtx.so.1"));
    assert!(mend.contains("cargo xtask setup") && mend.contains("TENSORRT_RTX_LIBRARY"));
    for name in ["libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"] {
        std::fs::write(folder.path().join(name), "not a library").unwrap();
    }
    let [what, _] = lines(with(folder.path()).check());
    assert!(what.contains("libtensorrt_rtx.so.1"), "{what}");
}

#[test]
fn options_that_would_not_be_heeded_are_refused() {
    let rtx = TensorRt::new(Family::Rtx, TensorRtOptions::default());
    let tensorrt = TensorRt::new(Family::TensorRt, TensorRtOptions::default());
    let compatible = CompileOptions { version_compatible: true, ..options() };
    assert!(lines(rtx.target(Device::Cuda, &compatible))[1].contains("--version-compatible"));
    for level in [HardwareCompatibility::AmperePlus, HardwareCompatibility::SameComputeCapability] {
        let compatible = CompileOptions { hardware_compatibility: Some(level), ..options() };
        assert!(lines(rtx.target(Device::Cuda, &compatible))[1].contains("--hardware-compatibility"));
    }
    assert!(lines(tensorrt.target(Device::Cuda, &options()))[1].contains("--compute-capability"));
    let level = CompileOptions { optimization_level: Some(6), ..options() };
    assert!(lines(rtx.target(Device::Cuda, &level))[0].contains("levels go from 0 to 5"));
    assert!(matches!(rtx.target(Device::Cpu, &options()), Err(EngineError::DeviceUnsupported { .. })));

    let Some(rtx) = backend() else { return };
    let unknown = CompileOptions { compute_capabilities: vec!["9.0".parse().unwrap()], ..CompileOptions::default() };
    let [what, mend] = lines(rtx.target(Device::Cuda, &unknown));
    assert!(what.contains("9.0") && mend.contains("8.9"), "{what}\n{mend}");
    let target = rtx.target(Device::Cuda, &options()).unwrap();
    assert!(matches!(target, EngineTarget::ComputeCapabilities(capabilities) if capabilities.len() == 2));
}
