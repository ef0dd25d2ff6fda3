//! A folder to run the binary in.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// A temporary folder in which the binary runs, so that paths in messages are short and the same everywhere.
pub(crate) struct Bench {
    folder: TempDir,
    transcript: String,
}

impl Bench {
    /// With the sizes of a model that trains in seconds in `config.json`.
    pub(crate) fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), transcript: String::new() };
        let motion = json!({ "dim": 16, "heads": 2, "blocks": 1, "mlp_hidden": 32, "code_dim": 8 });
        bench.write_json("config.json", &json!({
            "dim": 48, "heads": 4, "encoder_blocks": 1, "decoder_blocks": 1, "mlp_hidden": 64,
            "video": { "frames": 8, "height": 16, "width": 16, "vocabulary": 16 },
            "motion": { "samples": 16, "vocabulary": 16 },
            "video_tokenizer": {
                "channels": 8, "channel_multipliers": [1, 1, 1], "residual_blocks": 1, "z_channels": 4, "levels": [4, 4],
            },
            "camera_tokenizer": motion, "gaze_tokenizer": motion,
        }));
        bench
    }

    /// With clips of all kinds in `clips`.
    pub(crate) fn with_clips() -> Self {
        let bench = Self::new();
        bench.succeed("synth --config config.json --out clips --clips 16");
        bench
    }

    /// With settings of every training that fit such clips: `gaze.json`, `camera.json`, `video.json`, `main.json`.
    pub(crate) fn with_settings(self, n_steps: u64) -> Self {
        for (name, epochs) in [("gaze", 6), ("camera", 3), ("video", 1)] {
            let mut settings: Value = serde_json::from_str(&self.succeed(&format!("settings {name}"))).unwrap();
            (settings["batch"], settings["epochs"], settings["warmup_epochs"]) = (json!(4), json!(epochs), json!(1));
            settings["learning_rate"] = json!(2e-3);
            self.write_json(&format!("{name}.json"), &settings);
        }
        let mut settings: Value = serde_json::from_str(&self.succeed("settings pretraining")).unwrap();
        settings["precision"] = json!("fp32");
        settings["batch"] = json!({ "samples": 4, "samples_per_pass": 2 });
        settings["masking"]["visible_tokens"] = json!(12);
        settings["masking"]["target_tokens"] = json!(8);
        settings["schedule"] = json!({
            "base_learning_rate": 0.1, "final_learning_rate": 0.0,
            "warmup_tokens": 80 * (n_steps / 10), "total_tokens": 80 * n_steps, "epoch_samples": null,
        });
        self.write_json("main.json", &settings);
        self
    }

    /// With shards of tokens in `tokens` whose tokenizers have learned nothing.
    pub(crate) fn with_tokens(self) -> Self {
        for name in ["gaze", "camera", "video"] {
            self.succeed(&format!(
                "tokenizer {name} --data clips --config config.json --settings {name}.json --out {name} --steps 0"
            ));
        }
        let checkpoints = ["gaze", "camera", "video"].map(|name| format!("{name}/checkpoints/step-00000000"));
        self.succeed(&format!(
            "tokenize --data clips --tokenizers {} --out tokens --shard-samples 4",
            checkpoints.join(" ")
        ));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn write_json(&self, name: &str, value: &Value) {
        fs::write(self.path(name), value.to_string()).unwrap();
    }

    /// The binary, ready to run in the folder with one thread; arguments are apart by one space.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egom2p-train"));
        command.args(line.split(' ')).current_dir(self.folder.path()).env("OMP_NUM_THREADS", "1");
        command
    }

    /// A shell in the folder that finds the binary, ready to run a script.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut folders = vec![Path::new(env!("CARGO_BIN_EXE_egom2p-train")).parent().unwrap().to_owned()];
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(self.folder.path());
        command.env("PATH", env::join_paths(folders).unwrap()).env("OMP_NUM_THREADS", "1");
        command
    }

    /// Runs a command that succeeds; gives its standard output.
    pub(crate) fn succeed(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that succeeds; gives what it printed.
    pub(crate) fn output(&self, line: &str) -> (String, String) {
        let output = self.command(line).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{line}: {stderr}");
        (stdout, stderr)
    }

    /// Runs a command that fails with one line what and one line how to mend it; gives them.
    pub(crate) fn error(&self, line: &str) -> String {
        failure(line, &self.command(line).output().unwrap())
    }

    /// Runs a command that fails: with one line what and one line how to mend it, and nothing left behind.
    pub(crate) fn fails(&mut self, line: &str) {
        let before = self.files();
        let output = self.note(line);
        failure(line, &output);
        assert_eq!(self.files(), before, "{line} left something behind");
    }

    /// Runs a command and writes what it prints into the transcript.
    pub(crate) fn note(&mut self, line: &str) -> Output {
        let output = self.command(line).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let status = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
        let _ = writeln!(self.transcript, "$ egom2p-train {line}\n{stdout}{stderr}[{status}]\n");
        output
    }

    /// What was noted.
    pub(crate) fn transcript(self) -> String {
        self.transcript
    }

    /// The newest checkpoint of a training.
    pub(crate) fn newest(&self, folder: &str) -> String {
        let names = fs::read_dir(self.path(folder).join("checkpoints")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        format!("{folder}/checkpoints/{}", names.max().unwrap())
    }

    /// The files of a folder and their bytes, by their paths in it; hidden files are left out.
    pub(crate) fn contents(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.path(folder);
        let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let files = self.files().into_iter().filter(|(path, n_bytes)| n_bytes.is_some() && !is_hidden(path));
        let files = files.filter_map(|(path, _)| Some((path.strip_prefix(&root).ok()?.to_owned(), path)));
        files.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
    }

    /// Everything in the folder, with sizes; folders have none.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Option<u64>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                found.insert(path.clone(), metadata.is_file().then_some(metadata.len()));
                if metadata.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }
}

/// The last two lines of a command that failed: what, and how to mend it.
pub(crate) fn failure(line: &str, output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{line}: {stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    let n_errors = lines.iter().filter(|line| line.starts_with("error: ")).count();
    let [.., what, mend] = lines[..] else { panic!("{line}: {stderr}") };
    assert!(n_errors == 1 && what.starts_with("error: ") && mend.starts_with("  help: "), "{line}: {stderr}");
    assert!(!stderr.contains("panicked"), "{line}: {stderr}");
    format!("{what}\n{mend}\n")
}
