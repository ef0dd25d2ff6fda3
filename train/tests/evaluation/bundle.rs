//! A folder with clips and a bundle for them.

use egom2p::profiles::default_profiles;
use egom2p_engine_core::EngineError;
use egom2p_engines::{BackendKind, BackendOptions, BuildOptions, Builder, digest_file, open_backend};
use egom2p_export::{FolderExport, StageExport, Target, WeightsExport, export_folder};
use egom2p_model::weights::WeightsPart;
use egom2p_model::{ModelConfig, Stage, WeightsFolder, stage_graph};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};
use tempfile::TempDir;

/// A temporary folder with `config.json`, `clips` and `bundle`.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    /// With 20 training clips and 3 held-out ones; `None` where ONNX Runtime is not at hand.
    pub(crate) fn new() -> Option<Self> {
        let backend = open_backend(BackendKind::OnnxRuntime, &BackendOptions::default()).expect("it is built in");
        match backend.check() {
            Ok(_) => {}
            Err(error @ EngineError::LibraryMissing { .. }) => {
                skipped(&error.to_string());
                return None;
            }
            Err(error) => panic!("{error}"),
        }
        let bench = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let config = config();
        fs::write(bench.path("config.json"), config.to_json()).expect("the folder is writable");
        let output = bench.run("synth --config config.json --out clips --clips 20");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let weights = WeightsFolder::create(&bench.path("weights"), &config).expect("a folder");
        for part in WeightsPart::ALL {
            weights.write_reproducible(part, 0, |_, _| {}).expect("weights");
        }
        let graphs: Vec<_> = Stage::ALL
            .into_iter()
            .flat_map(|stage| stage.variants().iter().map(move |variant| (stage, *variant)))
            .map(|(stage, variant)| (stage, variant, stage_graph(&config, stage, variant).expect("a graph")))
            .collect();
        let stages: Vec<_> = graphs
            .iter()
            .map(|(stage, variant, graph)| StageExport {
                stage: stage.name(),
                variant: variant.name(),
                graph,
                weights: name(stage.weights_file()),
                precision: "fp32",
                profiles: default_profiles(&config, graph),
            })
            .collect();
        let files: Vec<_> =
            WeightsPart::ALL.into_iter().map(|part| (part, weights.part(part).expect("a file"))).collect();
        let weights: Vec<_> = files
            .iter()
            .map(|(part, file)| {
                let (digest, _) = digest_file(file.path()).expect("a readable file");
                WeightsExport { name: name(*part), parameters: file, digest, all_used: None }
            })
            .collect();
        let export = FolderExport {
            target: Target::OnnxRuntimeCpu,
            preset: None,
            config: serde_json::to_value(&config).expect("a config is JSON"),
            stages: &stages,
            weights: &weights,
        };
        export_folder(&bench.path("onnx"), &export).unwrap_or_else(|error| panic!("{error}"));
        let builder = Builder::new(backend.as_ref(), BuildOptions::default());
        let built = builder.build(&bench.path("onnx"), &bench.path("bundle"), &mut ());
        built.unwrap_or_else(|error| panic!("{error}"));
        Some(bench)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the binary in the folder; arguments are apart by one space.
    pub(crate) fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egom2p-train"));
        command.args(line.split(' ')).current_dir(self.folder.path()).output().expect("the binary runs")
    }

    /// The object that a command prints.
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one object")
    }

    /// The two lines of a command that fails.
    pub(crate) fn failure(&self, line: &str) -> [String; 2] {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<&str> = stderr.lines().collect();
        let [.., what, mend] = lines[..] else { panic!("{line}: {stderr}") };
        [what.to_owned(), mend.to_owned()]
    }
}

/// Sizes with which a clip is predicted in a moment.
fn config() -> ModelConfig {
    let motion = json!({ "dim": 16, "heads": 2, "blocks": 1, "mlp_hidden": 32, "code_dim": 8 });
    let config = json!({
        "dim": 48, "heads": 4, "encoder_blocks": 1, "decoder_blocks": 1, "mlp_hidden": 64,
        "video": { "frames": 16, "height": 16, "width": 16, "vocabulary": 16 },
        "motion": { "samples": 16, "vocabulary": 16 },
        "video_tokenizer": {
            "channels": 8, "channel_multipliers": [1, 1, 1], "residual_blocks": 1, "z_channels": 4, "levels": [4, 4],
        },
        "camera_tokenizer": motion, "gaze_tokenizer": motion,
    });
    ModelConfig::from_json(&config.to_string()).unwrap_or_else(|error| panic!("{error}"))
}

fn name(part: WeightsPart) -> &'static str {
    part.file_name().trim_end_matches(".safetensors")
}

#[expect(clippy::print_stderr, reason = "says why a test does nothing")]
fn skipped(why: &str) {
    eprintln!("skipped: {}", why.replace('\n', "; "));
}
