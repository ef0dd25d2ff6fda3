//! Weights to a bundle of engines in one command: `egom2p export`, then `egom2p build`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{process, program::Programs, setup, workspace::Workspace};

/// Export weights to ONNX and build a bundle of engines.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The weights folder.
    #[arg(long, value_name = "DIR")]
    weights: PathBuf,
    /// The bundle folder.
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// The engines' library: onnxruntime, tensorrt or tensorrt-rtx.
    #[arg(long)]
    backend: Option<String>,
    /// Arithmetic: fp32, fp16, bf16, int8 or fp8.
    #[arg(long)]
    precision: Option<String>,
    /// Where the engines run: cpu or cuda.
    #[arg(long)]
    device: Option<String>,
    /// Only these stages, separated by commas.
    #[arg(long)]
    stages: Option<String>,
    /// Ranges of the named dimensions.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Activation ranges for int8 and fp8.
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Build everything again, whether or not it changed.
    #[arg(long)]
    force: bool,
}

impl Arguments {
    /// Everything as it is by default.
    pub(crate) fn plain(weights: &Path, out: &Path) -> Self {
        Self {
            weights: weights.to_owned(),
            out: out.to_owned(),
            backend: None,
            precision: None,
            device: None,
            stages: None,
            profile: None,
            calibration: None,
            force: false,
        }
    }
}

/// Sets up, builds the programs and chains the two commands.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    setup::run(workspace)?;
    chain(&Programs::build(workspace)?, arguments)
}

/// Chains the two commands; the exported ONNX is the bundle's own, so that nothing is copied.
pub(crate) fn chain(programs: &Programs, arguments: &Arguments) -> Result<()> {
    let onnx = arguments.out.join("onnx");
    let for_onnxruntime = arguments.backend.as_deref().is_none_or(|backend| backend == "onnxruntime");
    let mut export = programs.egom2p();
    export.arg("export").arg(&arguments.weights).arg("--out").arg(&onnx);
    export.args(["--target", if for_onnxruntime { "onnxruntime" } else { "standard" }]);
    process::run(&mut export)?;

    let mut build = programs.egom2p();
    build.arg("build").arg(&onnx).arg("--out").arg(&arguments.out);
    let texts = [
        ("--backend", &arguments.backend),
        ("--precision", &arguments.precision),
        ("--device", &arguments.device),
        ("--stages", &arguments.stages),
    ];
    build.args(texts.into_iter().filter_map(|(name, value)| Some([name, value.as_deref()?])).flatten());
    for (name, file) in [("--profile", &arguments.profile), ("--calibration", &arguments.calibration)] {
        if let Some(file) = file {
            build.arg(name).arg(file);
        }
    }
    if arguments.force {
        build.arg("--force");
    }
    process::run(&mut build)
}
