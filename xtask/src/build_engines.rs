//! Weights to a bundle of engines in one command: `egom2p export`, then `egom2p build`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::ValueEnum;

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
    /// The engines' library [default: onnxruntime]
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Arithmetic: fp32, fp16, bf16, int8 or fp8 [default: fp32]
    #[arg(long, value_name = "NAME")]
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
    /// Further options of "egom2p build", as they stand in its help.
    #[arg(last = true, value_name = "BUILD OPTIONS")]
    build_options: Vec<OsString>,
}

/// What the program is built with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Needs {
    Processor,
    Cuda,
    TensorRt,
    TensorRtRtx,
}

/// The library that runs the engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Backend {
    Onnxruntime,
    Tensorrt,
    TensorrtRtx,
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
            build_options: Vec::new(),
        }
    }

    /// What the two commands need.
    fn needs(&self) -> Needs {
        match self.backend {
            None | Some(Backend::Onnxruntime) if self.device.as_deref() == Some("cuda") => Needs::Cuda,
            None | Some(Backend::Onnxruntime) => Needs::Processor,
            Some(Backend::Tensorrt) => Needs::TensorRt,
            Some(Backend::TensorrtRtx) => Needs::TensorRtRtx,
        }
    }

    /// Who reads the exported ONNX: ONNX Runtime's own operators are for its fp32 engines on the processor only.
    fn export_target(&self) -> &'static str {
        let fused = self.needs() == Needs::Processor && matches!(self.precision.as_deref(), None | Some("fp32"));
        if fused { "onnxruntime" } else { "standard" }
    }

    /// What `egom2p export` is given: all stages, because a bundle keeps those that are not built this time.
    fn export_arguments(&self, onnx: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["export".into(), (&self.weights).into(), "--out".into(), onnx.into()];
        arguments.extend(["--target", self.export_target()].map(OsString::from));
        arguments.extend(self.typed_precision());
        arguments
    }

    /// What `egom2p build` is given.
    fn build_arguments(&self, onnx: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["build".into(), onnx.into(), "--out".into(), (&self.out).into()];
        if let Some(backend) = self.backend.and_then(|backend| backend.to_possible_value()) {
            arguments.extend(["--backend", backend.get_name()].map(OsString::from));
        }
        arguments.extend(self.typed_precision());
        let options = [
            ("--device", self.device.as_ref().map(OsString::from)),
            ("--stages", self.stages.as_ref().map(OsString::from)),
            ("--profile", self.profile.as_ref().map(OsString::from)),
            ("--calibration", self.calibration.as_ref().map(OsString::from)),
        ];
        arguments.extend(options.into_iter().filter_map(|(option, value)| Some([option.into(), value?])).flatten());
        arguments.extend(self.force.then(|| "--force".into()));
        arguments.extend_from_slice(&self.build_options);
        arguments
    }

    fn typed_precision(&self) -> impl Iterator<Item = OsString> {
        self.precision.iter().flat_map(|precision| ["--precision".into(), precision.into()])
    }
}

/// Sets up, builds the programs and chains the two commands.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let programs = match arguments.needs() {
        Needs::Processor => {
            setup::plain(workspace)?;
            Programs::build(workspace)?
        }
        Needs::Cuda => {
            setup::plain(workspace)?;
            Programs::build_with_cuda(workspace)?
        }
        Needs::TensorRt => {
            setup::with_tensorrt(workspace)?;
            Programs::build_with_tensorrt(workspace)?
        }
        Needs::TensorRtRtx => {
            setup::with_tensorrt_rtx(workspace)?;
            Programs::build_with_tensorrt(workspace)?
        }
    };
    chain(&programs, arguments)
}

/// Chains the two commands; the exported ONNX is the bundle's own, so that nothing is copied.
pub(crate) fn chain(programs: &Programs, arguments: &Arguments) -> Result<()> {
    let onnx = arguments.out.join("onnx");
    process::run(programs.egom2p().args(arguments.export_arguments(&onnx)))?;
    process::run(programs.egom2p().args(arguments.build_arguments(&onnx)))
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, path::Path};

    use clap::Parser;

    use super::{Arguments, Needs};

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// What is typed after `--weights W --out B`.
    fn parsed(typed: &str) -> Arguments {
        let words = "xtask --weights W --out B".split(' ').chain(typed.split_whitespace());
        CommandLine::try_parse_from(words).expect("the options exist").arguments
    }

    /// What the two commands are given.
    fn chained(typed: &str) -> [String; 2] {
        let arguments = parsed(typed);
        let onnx = Path::new("B/onnx");
        [arguments.export_arguments(onnx), arguments.build_arguments(onnx)]
            .map(|words| words.join(OsStr::new(" ")).into_string().expect("the words are UTF-8"))
    }

    #[test]
    fn what_is_not_typed_is_left_to_the_program() {
        assert_eq!(chained(""), ["export W --out B/onnx --target onnxruntime", "build B/onnx --out B"]);
    }

    #[test]
    fn backend_and_precision_choose_the_target_of_the_export() {
        for (typed, target) in [
            ("--backend onnxruntime --precision fp32", "onnxruntime"),
            ("--precision fp16", "standard"),
            ("--device cpu", "onnxruntime"),
            ("--device cuda", "standard"),
            ("--backend onnxruntime --device cuda", "standard"),
            ("--backend tensorrt", "standard"),
            ("--backend tensorrt-rtx --precision fp32", "standard"),
        ] {
            let [export, build] = chained(typed);
            assert!(export.contains(&format!("--target {target}")), "{typed}: {export}");
            assert_eq!(build, format!("build B/onnx --out B {typed}"));
        }
    }

    #[test]
    fn the_program_is_built_with_what_the_engines_need() {
        for (typed, needs) in [
            ("", Needs::Processor),
            ("--device cpu --precision fp16", Needs::Processor),
            ("--device cuda", Needs::Cuda),
            ("--backend onnxruntime --device cuda --precision fp16", Needs::Cuda),
            ("--backend tensorrt --device cuda", Needs::TensorRt),
            ("--backend tensorrt-rtx", Needs::TensorRtRtx),
        ] {
            assert_eq!(parsed(typed).needs(), needs, "{typed}");
        }
    }

    #[test]
    fn the_export_knows_the_precision_and_all_stages() {
        let [export, build] = chained("--precision bf16 --stages encoder,decoder --force");
        assert_eq!(export, "export W --out B/onnx --target standard --precision bf16");
        assert_eq!(build, "build B/onnx --out B --precision bf16 --stages encoder,decoder --force");
    }

    #[test]
    fn further_options_reach_the_build() {
        let [export, build] = chained("--backend tensorrt-rtx -- --compute-capability 8.6,8.9 --verify");
        assert!(!export.contains("8.6"), "{export}");
        assert_eq!(build, "build B/onnx --out B --backend tensorrt-rtx --compute-capability 8.6,8.9 --verify");
    }
}
