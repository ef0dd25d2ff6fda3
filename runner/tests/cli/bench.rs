//! A folder to run the binary in.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use egom2p::video::PROGRAM_NAME;
use tempfile::TempDir;

/// A temporary folder in which the binary runs, so that paths in messages are short and the same everywhere.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// With weights of `egom2p-tiny` in `weights`: all parts, or only some.
    pub(crate) fn with_weights(parts: &str) -> Self {
        let bench = Self::new();
        bench.succeed(&["weights", "reproducible", "--preset", "egom2p-tiny", "--parts", parts, "--out", "weights"]);
        bench
    }

    /// With the stages of [`Self::STAGES`] in `weights`, `onnx` and `bundle`, where ONNX Runtime is at hand.
    pub(crate) fn with_bundle(parts: &str, stages: &str) -> Option<Self> {
        if !has_onnxruntime() {
            skipped("run \"cargo xtask setup\" to test what needs ONNX Runtime");
            return None;
        }
        let bench = Self::with_weights(parts);
        bench.succeed(&["export", "weights", "--stages", stages, "--out", "onnx"]);
        bench.succeed(&["build", "onnx", "--out", "bundle"]);
        Some(bench)
    }

    /// With all that predicting a camera from tokens takes.
    pub(crate) fn with_camera_bundle() -> Option<Self> {
        Self::with_bundle("model,camera", "encoder,decoder,head_camera,camera_decoder")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("the folder is writable");
    }

    /// A copy of a fixture of the model's tests.
    pub(crate) fn checkpoint(&self, name: &str) -> &Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/checkpoints");
        fs::copy(fixtures.join(name), self.path(name)).expect("the fixture is there");
        self
    }

    /// A copy of a folder of the bench, which stays as it is.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        for (file, _) in self.files().into_iter().filter(|(_, size)| size.is_some()) {
            if let Ok(name) = Path::new(&file).strip_prefix(from) {
                let target = self.path(to).join(name);
                fs::create_dir_all(target.parent().expect("it is in a folder")).expect("the folder is writable");
                fs::copy(self.path(&file), target).expect("the file can be copied");
            }
        }
    }

    /// Changes one byte of a file in its middle.
    pub(crate) fn flip(&self, file: &str) {
        let mut bytes = fs::read(self.path(file)).expect("the file is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x41;
        self.write(file, bytes);
    }

    /// Replaces text in a file, which must be there.
    pub(crate) fn replace(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).expect("the file is text");
        assert!(text.contains(from), "{file} has no {from}");
        self.write(file, text.replace(from, to));
    }

    /// The binary, ready to run in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egom2p"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("TENSORRT_LIBRARY").env_remove("TENSORRT_RTX_LIBRARY");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Everything in the folder, with sizes; folders have none.
    pub(crate) fn files(&self) -> BTreeMap<String, Option<u64>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(self.folder.path()).expect("it is below").display().to_string();
                let metadata = fs::symlink_metadata(&path).expect("an entry");
                if metadata.is_dir() {
                    found.insert(name, None);
                    folders.push(path);
                } else {
                    found.insert(name, Some(metadata.len()));
                }
            }
        }
        found
    }

    /// What is called like something unfinished.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let is_hidden =
            |name: &String| Path::new(name).file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        self.files().into_keys().filter(is_hidden).collect()
    }
}

/// Whether the video program lies beside the binary.
pub(crate) fn has_video_program() -> bool {
    let is_there = Path::new(env!("CARGO_BIN_EXE_egom2p")).with_file_name(PROGRAM_NAME).is_file();
    if !is_there {
        skipped("build egom2p-video with \"cargo build -p egom2p-video\" to test videos");
    }
    is_there
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

fn has_onnxruntime() -> bool {
    let output =
        Command::new(env!("CARGO_BIN_EXE_egom2p")).args(["doctor", "--json"]).output().expect("the binary runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    report["findings"][0]["found"].is_string()
}
