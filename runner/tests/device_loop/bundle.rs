//! The bundles that the tests share.

use std::{
    fs::{self, File},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::Command,
};

use egom2p_engine_core::SessionOptions;
use egom2p_engines::{BackendOptions, Bundle};
use egom2p_model::{ModelConfig, Preset, read_golden_json};

/// Sizes with which a clip is decoded in a moment: 80 video tokens. The tokenizers are left out.
const SMALL: &str = r#"{ "model_prefix": "egom2p", "weight_seed": 0, "config": { "dim": 48, "heads": 4, "enc_depth": 2,
    "dec_depth": 2, "video_vocab": 500, "motion_vocab": 64, "swiglu_hidden": 96, "video_side": 4 } }"#;

/// A bundle with reproducible weights, for ONNX Runtime on the processor.
pub(crate) struct TestBundle {
    folder: PathBuf,
    pub(crate) config: ModelConfig,
}

impl TestBundle {
    /// The model with the smallest sizes; `None` where ONNX Runtime is not at hand.
    pub(crate) fn small() -> Option<Self> {
        let golden = read_golden_json(SMALL).expect("it is JSON");
        Self::make("small", &["--golden", "small.json"], ModelConfig::from_golden_json(&golden).expect("sound sizes"))
    }

    /// `egom2p-tiny`.
    pub(crate) fn tiny() -> Option<Self> {
        Self::make("tiny", &["--preset", Preset::Tiny.name()], Preset::Tiny.config())
    }

    /// Makes it, or brings up to date what an earlier test made.
    fn make(name: &str, model: &[&str], config: ModelConfig) -> Option<Self> {
        let report = Command::new(env!("CARGO_BIN_EXE_egom2p")).args(["doctor", "--json"]).output();
        let report: serde_json::Value =
            serde_json::from_slice(&report.expect("the binary runs").stdout).expect("one object");
        if !report["findings"][0]["found"].is_string() {
            skipped("run \"cargo xtask setup\" to test what needs ONNX Runtime");
            return None;
        }
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache/test/device-loop").join(name);
        fs::create_dir_all(&cache).expect("the workspace can be written to");
        let lock = File::create(cache.join("lock")).expect("the workspace can be written to");
        lock.lock().expect("the file system has locks");
        let run = |arguments: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_egom2p")).current_dir(&cache).args(arguments).output();
            let output = output.expect("the binary runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let stored = fs::read_to_string(cache.join("weights/config.json"));
        if !stored.is_ok_and(|stored| ModelConfig::from_json(&stored).as_ref() == Ok(&config)) {
            let outdated = ["weights", "onnx", "bundle"].map(|name| cache.join(name));
            for folder in outdated.iter().filter(|folder| folder.exists()) {
                fs::remove_dir_all(folder).expect("the workspace can be written to");
            }
            fs::write(cache.join("small.json"), SMALL).expect("the workspace can be written to");
            run(&[&["weights", "reproducible", "--out", "weights"], model].concat());
        }
        run(&["export", "weights", "--out", "onnx"]);
        run(&["build", "onnx", "--out", "bundle"]);
        Some(Self { folder: cache.join("bundle"), config })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn open(&self) -> Bundle {
        Bundle::open(&self.folder, BackendOptions::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One thread, so that sums are the same in every session.
    pub(crate) fn session_options() -> SessionOptions {
        SessionOptions { threads: Some(NonZeroUsize::MIN), ..SessionOptions::default() }
    }
}

#[expect(clippy::print_stderr, reason = "says why a test does nothing")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
