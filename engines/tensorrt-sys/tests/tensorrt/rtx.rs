//! The shim with TensorRT-RTX as it is released, on machines without a GPU. Where the library is absent, every test
//! says so and ends.
#![allow(clippy::print_stderr, reason = "a test that cannot run says so")]

use crate::support::{Counted, DIM, Remembered, model, model_with_external, profile, settings, weight_bytes, write};
use egom2p_tensorrt_sys::{
    Abi, BuildProgress, BuildSettings, Built, Driver, ElementType, Family, Library, Network, NetworkDim, Severity,
    SysError, TensorMode,
};
use std::path::{Path, PathBuf};

fn library() -> Option<&'static Library> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache/tensorrt/rtx-1.7.1.116");
    let folder = std::env::var_os("TENSORRT_RTX_LIBRARY").map_or(cache, PathBuf::from);
    let core = folder.join(Abi::Rtx.core_name());
    if !core.is_file() {
        eprintln!("skipped: there is no {}", core.display());
        return None;
    }
    Some(Library::open(Family::Rtx, &core, &folder.join(Abi::Rtx.parser_name())).unwrap())
}

fn parsed(library: &'static Library) -> Network {
    let folder = tempfile::tempdir().unwrap();
    library.parse(&write(folder.path(), &model()), None, Remembered::new()).unwrap()
}

fn build(library: &'static Library, settings: &BuildSettings) -> Result<Built, SysError> {
    parsed(library).build(settings, &mut Counted::default())
}

fn two_lines(error: &SysError) -> String {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    text
}

#[test]
fn the_library_says_what_it_is() {
    let Some(library) = library() else { return };
    assert_eq!((library.version().major, library.abi()), (1, Abi::Rtx));
    let again = Library::open(Family::Rtx, library.core_path(), library.parser_path()).unwrap();
    assert!(std::ptr::eq(library, again));
    assert!(library.compute_capabilities().starts_with(&[(7, 5), (8, 0), (8, 6), (8, 9), (12, 0)]));
    assert!(library.builder_flags().contains(&"kTF32"));
    assert!(library.builder_flags().contains(&"kREFIT"));
    assert_eq!(library.hardware_compatibility_levels(), ["kNONE", "kAMPERE_PLUS", "kSAME_COMPUTE_CAPABILITY"]);
}

#[test]
fn a_network_has_the_tensors_and_layers_of_the_file() {
    let Some(library) = library() else { return };
    let network = parsed(library);
    let named = |name: &str| NetworkDim::Dynamic(Some(name.to_owned()));
    let [input] = network.inputs() else { panic!("{:?}", network.inputs()) };
    assert_eq!((input.name.as_str(), input.dtype), ("tokens", ElementType::Float));
    assert_eq!(input.dims, [named("batch"), named("tokens"), NetworkDim::Fixed(DIM)]);
    assert_eq!(input.to_string(), "tokens float32 [batch, tokens, 4]");
    let [output] = network.outputs() else { panic!("{:?}", network.outputs()) };
    assert_eq!((output.name.as_str(), output.dims.len()), ("tokens_out", 3));
    let layers = network.layers().unwrap();
    let product = layers.iter().find(|layer| layer.kind == "kMATRIX_MULTIPLY").unwrap();
    assert!(product.name.contains("block.proj"), "{product:?}");
    assert!(product.metadata.contains("block.proj"), "{product:?}");
    assert_eq!(product.outputs[0].dtype, ElementType::Float);
    assert!(layers.iter().any(|layer| layer.outputs.iter().any(|output| output.name == "tokens_out")));
}

#[test]
fn an_engine_is_built_for_devices_that_are_not_there() {
    let Some(library) = library() else { return };
    let all = BuildSettings {
        compute_capabilities: vec![(8, 0), (8, 6), (8, 9), (12, 0)],
        profiles: vec![profile(64), profile(16)],
        cleared_flags: vec!["kTF32".to_owned()],
        workspace_bytes: Some(1 << 28),
        optimization_level: Some(3),
        max_threads: Some(2),
        detailed_layers: true,
        ..Default::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let log = Remembered::new();
    let network = library.parse(&write(folder.path(), &model()), None, log.clone()).unwrap();
    let mut progress = Counted::default();
    let built = network.build(&all, &mut progress).unwrap();
    assert!(built.engine.len() > 1000 && built.engine.iter().any(|byte| *byte != 0), "{built:?}");
    assert!(built.timing_cache.is_none());
    assert!(!progress.steps.is_empty());
    for (phase, _, step, n_steps) in &progress.steps {
        assert!(step <= n_steps, "{phase} {step} of {n_steps}");
    }
    assert!(progress.steps.iter().any(|(_, parent, ..)| parent.is_some()), "{:?}", progress.steps);
    assert!(progress.steps.iter().any(|(_, _, step, n_steps)| step == n_steps), "{:?}", progress.steps);
    assert!(log.lines(Severity::Verbose).iter().any(|text| text.starts_with("Layers:\n")));

    let one = build(library, &settings()).unwrap();
    assert!(one.engine.len() < built.engine.len(), "{one:?} {built:?}");
}

#[test]
fn a_cancelled_build_ends() {
    let Some(library) = library() else { return };
    for cancel_after in [0, 1, 3] {
        let mut progress = Counted { cancel_after: Some(cancel_after), ..Default::default() };
        let error = parsed(library).build(&settings(), &mut progress).unwrap_err();
        assert!(matches!(error, SysError::Cancelled), "{error}");
        assert_eq!(progress.steps.len(), cancel_after + 1);
    }
    build(library, &settings()).unwrap();
}

#[test]
#[should_panic = "the progress is broken"]
fn a_panic_in_progress_passes_through_the_build() {
    struct Panics;
    impl BuildProgress for Panics {
        fn step(&mut self, _: &str, _: Option<&str>, _: u32, _: u32) -> bool {
            panic!("the progress is broken");
        }
    }
    let Some(library) = library() else { panic!("the progress is broken, for there is no library") };
    let _ = parsed(library).build(&settings(), &mut Panics);
}

#[test]
fn names_that_the_library_does_not_have_are_refused() {
    let Some(library) = library() else { return };
    let name = || vec!["kFP16".to_owned()];
    let error = build(library, &BuildSettings { flags: name(), ..settings() }).unwrap_err();
    let text = two_lines(&error);
    assert!(text.starts_with("TensorRT-RTX 1 has no builder flag kFP16\nuse one of: kDEBUG, "), "{text}");
    let error = build(library, &BuildSettings { cleared_flags: name(), ..settings() }).unwrap_err();
    assert!(matches!(error, SysError::UnknownName { .. }), "{error}");
    let hardware_compatibility = Some("kEVERYTHING".to_owned());
    let error = build(library, &BuildSettings { hardware_compatibility, ..settings() }).unwrap_err();
    assert!(two_lines(&error).ends_with("use one of: kNONE, kAMPERE_PLUS, kSAME_COMPUTE_CAPABILITY"), "{error}");
    let tf32 = vec!["kTF32".to_owned()];
    let both = BuildSettings { flags: tf32.clone(), cleared_flags: tf32, ..settings() };
    assert!(matches!(build(library, &both), Err(SysError::FlagSetAndCleared { .. })));
}

#[test]
fn settings_that_the_library_does_not_have_are_refused() {
    let Some(library) = library() else { return };
    let error = build(library, &BuildSettings { compute_capabilities: vec![(9, 0)], ..settings() }).unwrap_err();
    let text = two_lines(&error);
    assert!(text.contains("9.0") && text.contains("use one of: 7.5, 8.0, 8.6, 8.9, 12.0"), "{text}");
    let error = build(library, &BuildSettings { timing_cache: Some(Vec::new()), ..settings() }).unwrap_err();
    assert_eq!(two_lines(&error), "TensorRT-RTX 1 has no timing cache\nbuild without one");
    for wrong in [
        BuildSettings { optimization_level: Some(6), ..settings() },
        BuildSettings { max_threads: Some(0), ..settings() },
        BuildSettings { workspace_bytes: Some(u64::MAX), ..settings() },
    ] {
        assert!(matches!(build(library, &wrong), Err(SysError::Setting { .. })));
    }
}

#[test]
fn the_present_device_needs_a_driver() {
    let Some(library) = library() else { return };
    let error = build(library, &BuildSettings { compute_capabilities: Vec::new(), ..settings() }).unwrap_err();
    assert!(two_lines(&error).starts_with("building for the present device needs an NVIDIA driver\n"), "{error}");
}

#[test]
fn profiles_are_checked_against_the_network() {
    let Some(library) = library() else { return };
    let refusal = |change: &dyn Fn(&mut Vec<egom2p_tensorrt_sys::InputRange>)| {
        let mut profile = profile(64);
        change(&mut profile);
        let error = build(library, &BuildSettings { profiles: vec![profile], ..settings() }).unwrap_err();
        assert!(matches!(error, SysError::Profile { profile: 0, .. }), "{error}");
        two_lines(&error)
    };
    let text = refusal(&|profile| profile[0].input = "token".to_owned());
    assert!(text.starts_with("profile 0: there is no input token: expected tokens\n"), "{text}");
    let text = refusal(&|profile| profile[0].min[1] = 65);
    assert!(text.starts_with("profile 0: axis 1 of tokens is tokens, but its range is 65, 32, 64\n"), "{text}");
    let text = refusal(&|profile| profile[0].max[2] = 5);
    assert!(text.starts_with("profile 0: axis 2 of tokens is 4, but its range is 4, 4, 5\n"), "{text}");
    let text = refusal(&|profile| profile[0].opt.truncate(1));
    assert!(text.contains("opt of tokens has 1 dimensions"), "{text}");
    let text = refusal(&|profile| profile.push(profile[0].clone()));
    assert!(text.contains("two ranges"), "{text}");
    let text = refusal(&|profile| profile.clear());
    assert!(text.contains("input tokens float32 [batch, tokens, 4] has no range"), "{text}");
}

#[test]
fn without_a_profile_the_library_says_what_is_missing() {
    let Some(library) = library() else { return };
    let error = build(library, &BuildSettings { profiles: Vec::new(), ..settings() }).unwrap_err();
    let SysError::Refused { call, lines } = &error else { panic!("{error}") };
    assert_eq!(call, "buildSerializedNetwork");
    assert!(lines.iter().any(|line| line.contains("optimization profile")), "{lines:?}");
    two_lines(&error);
}

#[test]
fn an_engine_describes_itself_where_there_is_a_gpu() {
    let Some(library) = library() else { return };
    let driver = match Driver::open() {
        Ok(driver) => driver,
        Err(error) => {
            let text = two_lines(&error);
            eprintln!("skipped: {text}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let network = library.parse(&write(folder.path(), &model()), Some(&driver), Remembered::new()).unwrap();
    let profiles = vec![profile(64), profile(16)];
    let present = BuildSettings { profiles: profiles.clone(), detailed_layers: true, ..Default::default() };
    let built = network.build(&present, &mut Counted::default()).unwrap();
    let engine = library.load_engine(&driver, 0, &built.engine, &[], Remembered::new()).unwrap();
    let engine = engine.description();
    let modes: Vec<_> = engine.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.mode)).collect();
    assert_eq!(modes, [("tokens", TensorMode::Input), ("tokens_out", TensorMode::Output)]);
    assert_eq!(engine.tensors[0].dims, [None, None, Some(DIM)]);
    let ranges: Vec<_> = engine.profiles.iter().map(|profile| profile.ranges.clone()).collect();
    assert_eq!(ranges, profiles);
    assert_eq!(engine.hardware_compatibility, "kNONE");
    assert!(engine.n_layers > 0 && engine.layers_json.contains("Layers"), "{engine:?}");
    let corrupt = library.load_engine(&driver, 0, &built.engine[..100], &[], Remembered::new()).unwrap_err();
    assert!(matches!(corrupt, SysError::Refused { .. }), "{corrupt}");
}

#[test]
fn stripping_weights_without_a_gpu_gives_the_lines_of_the_library() {
    let Some(library) = library() else { return };
    if Driver::open().is_ok() {
        eprintln!("skipped: there is a GPU");
        return;
    }
    let flags = vec!["kSTRIP_PLAN".to_owned(), "kREFIT_IDENTICAL".to_owned()];
    let error = build(library, &BuildSettings { flags, ..settings() }).unwrap_err();
    let SysError::Refused { lines, .. } = &error else { panic!("{error}") };
    assert!(!lines.is_empty());
    two_lines(&error);
}

#[test]
fn every_operator_that_the_parser_refuses_is_named() {
    let Some(library) = library() else { return };
    let mut model = model();
    for node in &mut model.graph.as_mut().unwrap().node {
        node.op_type = "Teleport".to_owned();
        node.name = format!("encoder.0.{}", node.name);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &model);
    let log = Remembered::new();
    let error = library.parse(&path, None, log.clone()).unwrap_err();
    let SysError::Parse { errors, .. } = &error else { panic!("{error}") };
    assert_eq!((errors[0].node.as_str(), errors[0].operator.as_str()), ("encoder.0.block.proj", "Teleport"));
    assert!(errors[0].code.starts_with('k') && errors[0].line > 0 && !errors[0].file.is_empty(), "{errors:?}");
    let text = two_lines(&error);
    assert!(text.starts_with("encoder.0.block.proj (Teleport): "), "{text}");
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(!log.lines(Severity::Error).is_empty());
}

#[test]
fn external_data_lies_beside_the_file() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &model_with_external("weights.bin"));
    let error = library.parse(&path, None, Remembered::new()).unwrap_err();
    assert!(matches!(error, SysError::Parse { .. }), "{error}");
    let text = two_lines(&error);
    assert!(text.contains("initializer: weight") && text.contains("weights.bin"), "{text}");
    std::fs::write(folder.path().join("weights.bin"), weight_bytes()).unwrap();
    let network = library.parse(&path, None, Remembered::new()).unwrap();
    network.build(&settings(), &mut Counted::default()).unwrap();
}

#[test]
fn what_is_no_model_is_refused() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let missing = library.parse(&folder.path().join("no.onnx"), None, Remembered::new()).unwrap_err();
    assert!(matches!(missing, SysError::Onnx { .. }), "{missing}");
    two_lines(&missing);
    let path = write(folder.path(), &model());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, []).unwrap();
    let empty = library.parse(&path, None, Remembered::new()).unwrap_err();
    assert!(matches!(empty, SysError::NoOutputs { .. }), "{empty}");
    two_lines(&empty);
    for bytes in [b"not a model".to_vec(), whole[..whole.len() / 2].to_vec(), vec![0xff; 4096]] {
        std::fs::write(&path, bytes).unwrap();
        let error = library.parse(&path, None, Remembered::new()).unwrap_err();
        assert!(matches!(error, SysError::Parse { .. } | SysError::Refused { .. }), "{error}");
        two_lines(&error);
    }
}

#[test]
fn networks_build_in_threads_of_their_own_and_log_to_their_own() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &model());
    let sizes: Vec<usize> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let log = Remembered::new();
                    let network = library.parse(&path, None, log.clone()).unwrap();
                    let built = network.build(&settings(), &mut Counted::default()).unwrap();
                    assert!(!log.0.lock().unwrap().is_empty());
                    built.engine.len()
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(sizes.iter().all(|n_bytes| *n_bytes > 1000), "{sizes:?}");
}
