//! `egom2p export`: a weights folder to ONNX.

use std::path::PathBuf;

use egom2p::{io::partial, profiles::default_profiles, source_digests::SourceDigests, weights_check::check_weights};
use egom2p_calibration::{Precision, with_precision};
use egom2p_engine_core::EXPORT_MANIFEST_FILE;
use egom2p_export::{FolderExport, Opset, StageExport, Target, WeightsExport, export_folder};
use egom2p_graph::Graph;
use egom2p_model::{Preset, Stage, Variant, WeightsFolder, stage_graph};

use crate::console;

/// `egom2p export`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The weights folder
    weights: PathBuf,
    /// The folder to write ONNX files into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only these stages [default: all that the weights allow]
    #[arg(long, value_name = "STAGES", value_delimiter = ',', value_parser = super::stage)]
    stages: Option<Vec<Stage>>,
    /// Who will read the files
    #[arg(long, value_enum, default_value_t)]
    target: TargetName,
    /// What products are computed in, where that is safe: fp32, fp16 or bf16
    #[arg(long, value_name = "NAME", default_value = "fp32", value_parser = super::precision)]
    precision: Precision,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum TargetName {
    /// ONNX Runtime on a CPU, with its own fused operators
    #[default]
    Onnxruntime,
    /// Any reader of standard ONNX operators
    Standard,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = WeightsFolder::open(&args.weights)?;
    let stages = args.stages.clone().unwrap_or_else(|| folder.stages());
    let mut graphs: Vec<(Stage, Variant, Graph)> = Vec::new();
    for stage in stages {
        for variant in stage.variants() {
            let graph = stage_graph(folder.config(), stage, *variant)?;
            graphs.push((stage, *variant, with_precision(&graph, args.precision)?));
        }
    }
    let exports: Vec<StageExport<'_>> = graphs
        .iter()
        .map(|(stage, variant, graph)| StageExport {
            stage: stage.name(),
            variant: variant.name(),
            graph,
            precision: args.precision.name(),
            weights: super::part_name(stage.weights_file()),
            profiles: default_profiles(folder.config(), graph),
        })
        .collect();

    partial::watch(&args.out, EXPORT_MANIFEST_FILE)?;
    let mut digests = SourceDigests::read(&args.out);
    let mut parts: Vec<_> = graphs.iter().map(|(stage, ..)| stage.weights_file()).collect();
    parts.sort_unstable();
    parts.dedup();
    let mut files = Vec::new();
    for part in parts {
        let file = folder.part(part)?;
        check_weights(&file, folder.config(), part)?;
        let digest = digests.digest(part.file_name(), file.path())?;
        files.push((part, file, digest));
    }
    let weights: Vec<WeightsExport<'_>> = files
        .iter()
        .map(|(part, file, digest)| WeightsExport {
            name: super::part_name(*part),
            parameters: file,
            digest: *digest,
            all_used: None,
        })
        .collect();
    let report = export_folder(
        &args.out,
        &FolderExport {
            target: args.target(),
            preset: folder.preset().map(Preset::name),
            config: serde_json::to_value(folder.config())?,
            stages: &exports,
            weights: &weights,
        },
    )?;
    if let Err(error) = digests.write() {
        console::note(format_args!("digests are not remembered, the next export reads the weights again: {error}"));
    }
    for (files, what) in [(&report.written, "written"), (&report.removed, "removed")] {
        for file in files {
            console::note(format_args!("{what} {file}"));
        }
    }
    console::print(format_args!(
        "{}: {} files written, {} unchanged",
        args.out.display(),
        report.written.len(),
        report.unchanged.len()
    ));
    Ok(())
}

impl Args {
    fn target(&self) -> Target {
        match self.target {
            TargetName::Onnxruntime => Target::OnnxRuntimeCpu,
            TargetName::Standard => {
                // Earlier operator sets have no convolutions of bf16.
                let opset = if self.precision == Precision::Bf16 { Opset::V22 } else { Opset::default() };
                Target::Standard { opset }
            }
        }
    }
}
