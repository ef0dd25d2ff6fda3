//! Bundles that are opened: their checks, and sessions of the real library.

#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod support;

use egom2p_device::{ComputeDevice, HostDevice, open_cuda};
use egom2p_engine_core::{Device, EngineError, EngineTarget, SessionOptions, Tensor};
use egom2p_engines::{
    BackendKind, BackendOptions, BuildOptions, Builder, Bundle, BundleError, BundleManifest, BundleVariant,
    open_backend,
};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use support::{FakeBackend, export, flip_byte, models::WEIGHTS};
use tempfile::TempDir;

fn fake_bundle() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    export(&folder.path().join("onnx"), "");
    let backend = FakeBackend::new();
    Builder::new(&backend, BuildOptions::default()).build(&folder.path().join("onnx"), folder.path(), &mut ()).unwrap();
    folder
}

/// A bundle of the real backend for the processor, or a printed line and `None` where its library is absent.
fn real_bundle() -> Option<TempDir> {
    real_bundle_for(Device::Cpu)
}

fn real_bundle_for(device: Device) -> Option<TempDir> {
    let backend = open_backend(BackendKind::OnnxRuntime, &BackendOptions::default()).unwrap();
    if let Err(error @ EngineError::LibraryMissing { .. }) = backend.check() {
        eprintln!("skipped: {error}");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    export(&folder.path().join("exported"), "");
    let bundle = folder.path().join("bundle");
    let summary = Builder::new(&*backend, BuildOptions { device, ..BuildOptions::default() })
        .build(&folder.path().join("exported"), &bundle, &mut ())
        .unwrap();
    assert_eq!(summary.built.len(), 3);
    assert!(summary.built.iter().all(|built| built.shared_bytes > 0));
    fs::remove_dir_all(folder.path().join("exported")).unwrap();
    Some(folder)
}

fn open(folder: &Path) -> Result<Bundle, BundleError> {
    Bundle::open(folder, BackendOptions::default())
}

fn refusal(folder: &Path) -> String {
    let text = open(folder).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    text
}

fn options() -> SessionOptions {
    SessionOptions { threads: NonZeroUsize::new(1), ..SessionOptions::default() }
}

#[test]
fn a_moved_bundle_runs_and_hashes_each_file_once() {
    let Some(folder) = real_bundle() else { return };
    let moved = folder.path().join("moved");
    fs::rename(folder.path().join("bundle"), &moved).unwrap();
    let bundle = open(&moved).unwrap();
    assert_eq!(bundle.stages().collect::<Vec<_>>(), ["encoder", "head"]);
    assert_eq!(bundle.variants("encoder").unwrap(), ["masked", "unmasked"]);
    assert_eq!(bundle.verification().n_bytes, 0, "opening hashes nothing");

    let x = Tensor::f32([1, 2, support::models::WIDTH], vec![1.0; 2 * support::models::WIDTH]).unwrap();
    let mask = Tensor::bool([1, 2], vec![true, false]).unwrap();
    let mut session = bundle.session("encoder", "masked", &options()).unwrap();
    let outputs = session.run(&[("x", &x), ("mask", &mask)]).unwrap();
    let hidden = support::models::HIDDEN;
    assert_eq!(outputs[0].1.shape(), [1, 2, hidden]);
    assert!(outputs[0].1.as_f32().unwrap()[hidden..].iter().all(|y| *y == 0.0), "the masked row is zero");

    let once = bundle.verification().n_bytes;
    bundle.session("encoder", "masked", &options()).unwrap();
    assert_eq!(bundle.verification().n_bytes, once);
    bundle.engine("encoder", "unmasked").unwrap();
    let weights = fs::metadata(moved.join("onnx").join(WEIGHTS)).unwrap().len();
    assert!(bundle.verification().n_bytes - once < once, "shared weights of {weights} bytes are not hashed again");
    bundle.verify_all().unwrap();
}

#[test]
fn a_flipped_byte_is_found_before_the_stage_runs() {
    let Some(folder) = real_bundle() else { return };
    let path = folder.path().join("bundle");
    let manifest = BundleManifest::read(&path).unwrap();
    for file in manifest.stages["encoder"]["masked"].files() {
        let file = file.below(&path);
        flip_byte(&file);
        let bundle = open(&path).unwrap();
        assert!(matches!(bundle.verify_all(), Err(BundleError::Digest { .. })), "{}", file.display());
        if !file.ends_with("encoder.masked.onnx") {
            let error = bundle.session("encoder", "masked", &options()).err().unwrap();
            assert!(matches!(error, BundleError::Digest { .. }), "{error}");
            assert_eq!(error.to_string().lines().count(), 2, "{error}");
        }
        flip_byte(&file);
    }
    let only_encoder = &manifest.stages["encoder"]["masked"].engine[0];
    flip_byte(&only_encoder.below(&path));
    open(&path).unwrap().session("head", "default", &options()).unwrap();
}

#[test]
fn an_engine_of_another_library_version_is_refused() {
    let Some(folder) = real_bundle() else { return };
    let path = folder.path().join("bundle");
    let manifest = fs::read_to_string(path.join("bundle.json")).unwrap();
    let version = BundleManifest::read(&path).unwrap().stages["head"]["default"].libraries["onnxruntime"].clone();
    fs::write(path.join("bundle.json"), manifest.replace(&version, "1.2.3")).unwrap();
    let error = open(&path).unwrap().engine("head", "default").err().unwrap();
    assert!(matches!(error, BundleError::LibraryVersion { .. }), "{error}");

    // An engine that was built for later versions is the library's to judge.
    let compatible = manifest.replace("\"version_compatible\": false", "\"version_compatible\": true");
    fs::write(path.join("bundle.json"), compatible.replace(&version, "1.2.3")).unwrap();
    open(&path).unwrap().engine("head", "default").unwrap();
}

#[test]
fn a_bundle_for_a_gpu_says_so_and_runs_nowhere_else() {
    let Some(folder) = real_bundle_for(Device::Cuda) else { return };
    let path = folder.path().join("moved");
    fs::rename(folder.path().join("bundle"), &path).unwrap();
    let head = BundleManifest::read(&path).unwrap().stages["head"]["default"].clone();
    assert_eq!(head.device, Device::Cuda);
    assert_eq!(head.target, EngineTarget::ComputeCapabilities(Vec::new()));
    assert_eq!(head.target.to_string(), "any NVIDIA GPU");
    assert_eq!(serde_json::from_str::<BundleVariant>(&serde_json::to_string(&head).unwrap()).unwrap(), head);

    let engine = open(&path).unwrap().engine("head", "default").unwrap();
    let host: Arc<dyn ComputeDevice> = HostDevice::new(1 << 20);
    let error = engine.session_on(&host, &options()).err().unwrap();
    assert!(matches!(error, EngineError::NotOnDevice { .. }), "{error}");
    if open_cuda(0).is_err() {
        let error = open(&path).unwrap().session("head", "default", &options()).err().unwrap();
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    }

    let manifest = fs::read_to_string(path.join("bundle.json")).unwrap();
    fs::write(path.join("bundle.json"), manifest.replace(&head.libraries["onnxruntime"], "1.2.3")).unwrap();
    let error = open(&path).unwrap().engine("head", "default").err().unwrap();
    assert!(error.to_string().contains("--backend onnxruntime --device cuda\""), "{error}");
}

#[test]
fn names_that_are_not_there_are_answered_with_those_that_are() {
    let folder = fake_bundle();
    let bundle = open(folder.path()).unwrap();
    let error = bundle.session("decoder", "masked", &options()).err().unwrap().to_string();
    assert!(error.contains("has no stage decoder: it has encoder, head\n"), "{error}");
    let error = bundle.session("encoder", "default", &options()).err().unwrap().to_string();
    assert!(error.contains("no variant default: it has masked, unmasked\n"), "{error}");
    let error = bundle.engine("head", "default").err().unwrap();
    assert!(matches!(error, BundleError::UnknownBackend { .. }), "the backend of this bundle is fake: {error}");
}

#[test]
fn broken_manifests_are_refused() {
    let folder = fake_bundle();
    let file = folder.path().join("bundle.json");
    let good = fs::read_to_string(&file).unwrap();
    for (from, to, expected) in [
        ("\"schema\": 2", "\"schema\": 3", "has schema 3: this program reads schema 2\n"),
        ("\"schema\": 2", "\"schema\": 1", "it has schema 1, this program reads 2\n"),
        ("\"schema\": 2", "\"schema\": -1", "is not valid"),
        ("\"preset\"", "\"newer\": 1, \"preset\"", "unknown field `newer`"),
        ("\"onnx/encoder.masked.onnx\"", "\"../encoder.masked.onnx\"", "not a path inside its folder"),
        ("\"onnx/encoder.masked.onnx\"", "\"/etc/passwd\"", "not a path inside its folder"),
        ("\"onnx/encoder.masked.onnx\"", "\"onnx/other.onnx\"", "names onnx/other.onnx, which is not listed"),
        ("\"key\": \"", "\"key\": \"G", "not a digest"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&file, good.replacen(from, to, 1)).unwrap();
        assert!(refusal(folder.path()).contains(expected), "{from}: {}", refusal(folder.path()));
    }
    for length in [0, 1, good.len() / 2, good.len() - 2] {
        fs::write(&file, &good[..length]).unwrap();
        assert!(refusal(folder.path()).contains("is not valid"), "{length}");
    }
    fs::remove_file(&file).unwrap();
    assert!(refusal(folder.path()).contains("is not a bundle"));
}

#[test]
fn missing_and_shortened_files_are_named() {
    let folder = fake_bundle();
    let weights = folder.path().join("onnx").join(WEIGHTS);
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[1..]).unwrap();
    assert!(refusal(folder.path()).contains(&format!("onnx/{WEIGHTS} has {} bytes", bytes.len() - 1)));
    fs::remove_file(&weights).unwrap();
    assert!(refusal(folder.path()).contains(&format!("onnx/{WEIGHTS} is missing")));
    #[cfg(unix)]
    {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("w"), bytes).unwrap();
        std::os::unix::fs::symlink(outside.path().join("w"), &weights).unwrap();
        assert!(refusal(folder.path()).contains("leads out of the bundle"));
    }
}
