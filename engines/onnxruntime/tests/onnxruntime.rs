//! Models that are built, opened and run by the real library, and models that must be refused.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests panic where they fail, and these numbers are exact")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod support;

use egom2p_engine_core::onnx::read_model;
use egom2p_engine_core::{
    Backend, BuildReport, BuildRequest, CompileOptions, Device, Engine, EngineError, OpenRequest, RelativePath,
    SessionOptions, Tensor,
};
use egom2p_engine_onnxruntime::{OnnxRuntime, OnnxRuntimeOptions};
use egom2p_onnx_proto::{DataLocation, Message, ModelProto};
use std::num::NonZeroUsize;
use std::path::Path;
use support::{HIDDEN, WEIGHTS, WIDTH, weight};

/// The backend, or a printed line and `None` where the library is absent. A broken library is a failure.
fn backend() -> Option<OnnxRuntime> {
    let backend = OnnxRuntime::default();
    match backend.check() {
        Ok(_) => Some(backend),
        Err(error @ EngineError::LibraryMissing { .. }) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn path(text: &str) -> RelativePath {
    RelativePath::new(text).unwrap()
}

fn build(backend: &OnnxRuntime, root: &Path) -> Result<BuildReport, EngineError> {
    backend.build(&BuildRequest {
        root,
        onnx: &path("onnx/test.onnx"),
        engine_dir: &path("engines"),
        name: "test-0123",
        profiles: &[],
        device: Device::Cpu,
        options: &CompileOptions::default(),
        monitor: &(),
    })
}

fn open(backend: &OnnxRuntime, root: &Path, files: &[RelativePath]) -> Result<Box<dyn Engine>, EngineError> {
    backend.open(&OpenRequest { root, files, profiles: &[], device: Device::Cpu })
}

fn one_thread() -> SessionOptions {
    SessionOptions { threads: NonZeroUsize::new(1), ..SessionOptions::default() }
}

fn x(batch: usize, visible: usize) -> Tensor {
    let data = (0..batch * visible * WIDTH).map(|i| (i % 7) as f32 - 3.0).collect();
    Tensor::f32([batch, visible, WIDTH], data).unwrap()
}

fn mask(batch: usize, visible: usize) -> Tensor {
    Tensor::bool([batch, visible], (0..batch * visible).map(|i| i % 3 != 1).collect()).unwrap()
}

/// Row `row` of `x`, times the transposed weights that start at element `first`.
fn product(x: &Tensor, row: usize, first: usize) -> Vec<f32> {
    let x = &x.as_f32().unwrap()[row * WIDTH..][..WIDTH];
    (0..HIDDEN).map(|o| (0..WIDTH).map(|i| x[i] * weight(first + o * WIDTH + i)).sum()).collect()
}

#[test]
fn builds_shares_weights_and_runs_every_shape() {
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    support::write(&bundle.path().join("onnx"), "test", &support::model());
    let report = build(&backend, bundle.path()).unwrap();

    let w_bytes = (HIDDEN * WIDTH * 4) as u64;
    assert_eq!(report.shared_bytes, 2 * w_bytes, "w is shared, and so is its reshaped form");
    assert_eq!(report.rewritten, ["w2_transposed"], "what constant folding made is the engine's own");
    assert_eq!(report.files, [path("engines/test-0123.onnx"), path("engines/test-0123.weights")]);
    assert_eq!(std::fs::metadata(report.files[1].below(bundle.path())).unwrap().len(), w_bytes);
    let left: Vec<_> = std::fs::read_dir(bundle.path().join("engines")).unwrap().collect();
    assert_eq!(left.len(), 2, "no unfinished files are left: {left:?}");

    // The engine works wherever the bundle is moved to.
    let moved = bundle.path().with_extension("moved");
    std::fs::rename(bundle.path(), &moved).unwrap();
    let engine = open(&backend, &moved, &report.files).unwrap();
    let listing: Vec<String> = engine.inputs().iter().chain(engine.outputs()).map(ToString::to_string).collect();
    assert_eq!(
        listing,
        [
            "x f32 [batch, visible, 8]",
            "mask bool [batch, visible]",
            "projected f32 [batch, visible, 48]",
            "rounded i64 [batch, visible, 48]",
            "twice f32 [batch, doubled, 8]",
            "folded f32 [batch, visible, 48]",
            "widened f32 [batch, visible, 48]",
            "mask_again bool [batch, visible]",
        ]
    );
    for options in [
        one_thread(),
        SessionOptions { prepack: true, memory_arena: false, ..one_thread() },
        SessionOptions { threads: NonZeroUsize::new(2), spinning: true, ..one_thread() },
    ] {
        let mut session = engine.session(&options).unwrap();
        for (batch, visible) in [(1, 3), (2, 5), (1, 0), (2, 5)] {
            let (x, mask) = (x(batch, visible), mask(batch, visible));
            let outputs = session.run(&[("mask", &mask), ("x", &x)]).unwrap();
            let tensor = |i: usize| &outputs[i].1;
            let (projected, folded) = (tensor(0).as_f32().unwrap(), tensor(3).as_f32().unwrap());
            for (row, used) in mask.as_bool().unwrap().iter().enumerate() {
                let expected: Vec<f32> =
                    product(&x, row, 0).iter().map(|y| if *used { y + 0.25 } else { 0.0 }).collect();
                assert_eq!(&projected[row * HIDDEN..][..HIDDEN], expected, "row {row}");
                let rounded: Vec<i64> = expected.iter().map(|y| *y as i64).collect();
                assert_eq!(&tensor(1).as_i64().unwrap()[row * HIDDEN..][..HIDDEN], rounded);
                assert_eq!(&folded[row * HIDDEN..][..HIDDEN], product(&x, row, HIDDEN * WIDTH));
            }
            assert_eq!(tensor(2).shape(), [batch, 2 * visible, WIDTH]);
            let widened: Vec<f32> = x
                .as_f32()
                .unwrap()
                .chunks(WIDTH)
                .flat_map(|x| (0..HIDDEN).map(|o| (0..WIDTH).map(|i| x[i] * weight(i * HIDDEN + o)).sum()))
                .collect();
            assert_eq!(tensor(4).as_f32().unwrap(), widened);
            assert_eq!(tensor(5), &mask);
        }
    }
    std::fs::rename(&moved, bundle.path()).unwrap();
}

#[test]
fn a_native_failure_is_two_lines_and_leaves_nothing() {
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    let mut model = support::model();
    model.graph.as_mut().unwrap().node[0].op_type = "NoSuchOperator".to_owned();
    support::write(&bundle.path().join("onnx"), "test", &model);
    let error = build(&backend, bundle.path()).unwrap_err();
    assert!(matches!(error, EngineError::Native { .. }), "{error}");
    assert!(error.to_string().contains("NoSuchOperator"), "{error}");
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
    assert_eq!(std::fs::read_dir(bundle.path().join("engines")).unwrap().count(), 0);
}

#[test]
fn a_missing_library_says_where_it_looked() {
    // Another test's environment is another process's: nextest runs each test on its own.
    let absent = OnnxRuntimeOptions { library: Some("/nowhere/libonnxruntime.so".into()) };
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        eprintln!("skipped: ORT_DYLIB_PATH is set and goes before the setting");
        return;
    }
    let error = OnnxRuntime::new(absent).check().unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, EngineError::LibraryMissing { .. }), "{text}");
    assert!(text.contains("/nowhere/libonnxruntime.so") && text.contains("cargo xtask setup"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let text_file = folder.path().join("libonnxruntime.so");
    std::fs::write(&text_file, "not a library").unwrap();
    let error = OnnxRuntime::new(OnnxRuntimeOptions { library: Some(text_file) }).check().unwrap_err();
    assert!(matches!(error, EngineError::LibraryBroken { .. }), "{error}");
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
}

/// What is said about a model with broken external data, when it is built and when it is opened as an engine.
fn refusals(model: &ModelProto) -> Option<[String; 2]> {
    let backend = backend()?;
    let bundle = tempfile::tempdir().unwrap();
    support::write(&bundle.path().join("onnx"), "test", model);
    let built = build(&backend, bundle.path()).unwrap_err();
    support::write(bundle.path(), "engine", model);
    let opened = open(&backend, bundle.path(), &[path("engine.onnx")]).err().unwrap();
    Some([built, opened].map(|error| {
        assert!(matches!(error, EngineError::Model { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
        error.to_string()
    }))
}

fn with_external(key: &str, value: &str) -> ModelProto {
    let mut model = support::model();
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    let entry = tensor.external_data.iter_mut().find(|entry| entry.key == key).unwrap();
    value.clone_into(&mut entry.value);
    model
}

#[test]
fn external_data_outside_of_the_folder_are_refused() {
    for location in ["../weights.bin", "/etc/passwd", "a/../../weights.bin", "", ".", "*/_ORT_MEM_ADDR_/*", "a\\b"] {
        let Some(refusals) = refusals(&with_external("location", location)) else { return };
        for text in refusals {
            assert!(text.contains("expected a path inside the folder"), "{location}: {text}");
        }
    }
    let mut nested = support::model();
    let tensor = support::external("hidden", "../weights.bin", 0, HIDDEN * WIDTH * 4);
    let attribute = egom2p_onnx_proto::AttributeProto {
        name: "value".to_owned(),
        r#type: egom2p_onnx_proto::AttributeType::Tensor as i32,
        t: Some(tensor),
        ..Default::default()
    };
    nested.graph.as_mut().unwrap().node.push(support::node("", "Constant", &[], "hidden", vec![attribute]));
    for text in refusals(&nested).unwrap() {
        assert!(text.contains("external data of hidden"), "{text}");
    }
}

#[test]
fn external_data_that_do_not_fit_their_file_are_refused() {
    for (key, value, expected) in [
        ("offset", "4000", "too short for w"),
        ("offset", "18446744073709551615", "too short for w"),
        ("offset", "-1", "expected a number"),
        ("length", "12", "expected 1536"),
        ("location", "absent.bin", "weights file absent.bin"),
    ] {
        let Some(refusals) = refusals(&with_external(key, value)) else { return };
        for text in refusals {
            assert!(text.contains(expected), "{key}={value}: {text}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_bundle_is_refused() {
    let Some(backend) = backend() else { return };
    let (bundle, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    support::write(&bundle.path().join("onnx"), "test", &support::model());
    let weights = bundle.path().join("onnx").join(WEIGHTS);
    std::fs::rename(&weights, outside.path().join(WEIGHTS)).unwrap();
    std::os::unix::fs::symlink(outside.path().join(WEIGHTS), &weights).unwrap();
    let error = build(&backend, bundle.path()).unwrap_err();
    assert!(error.to_string().contains("leads out of the folder"), "{error}");
}

#[test]
fn a_truncated_or_damaged_file_gives_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.onnx");
    let bytes = support::model().encode_to_vec();
    for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        let error = read_model(&file).unwrap_err();
        assert!(matches!(error, EngineError::Model { .. }), "{length}: {error}");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    }
    std::fs::write(&file, "this is text").unwrap();
    assert!(matches!(read_model(&file).unwrap_err(), EngineError::Model { .. }));
    assert!(matches!(read_model(&folder.path().join("absent.onnx")).unwrap_err(), EngineError::Read { .. }));
}

#[test]
fn shared_weights_point_into_the_source() {
    let Some(backend) = backend() else { return };
    let bundle = tempfile::tempdir().unwrap();
    support::write(&bundle.path().join("onnx"), "test", &support::model());
    let report = build(&backend, bundle.path()).unwrap();
    let (model, _) = read_model(&report.files[0].below(bundle.path())).unwrap();
    let location = |name: &str| {
        let graph = model.graph.as_ref().unwrap();
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name).unwrap();
        assert_eq!(tensor.data_location(), DataLocation::External);
        tensor.external_data[0].value.clone()
    };
    assert_eq!(location("w"), format!("onnx/{WEIGHTS}"));
    assert_eq!(location("w2_transposed"), "engines/test-0123.weights");
}
