//! `egom2p inspect`: what a file or folder is, without any native library.

mod array;
mod bundle;
mod engine;
mod exported;
mod model;
mod onnx;
mod predictions;
mod report;
mod safetensors;
mod weights;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use egom2p_engine_core::EXPORT_MANIFEST_FILE;
use egom2p_engines::BUNDLE_MANIFEST_FILE;
use egom2p_model::{CONFIG_FILE, weights::WeightsPart};

use self::{
    predictions::RUN_FILE,
    report::{Report, count},
};
use crate::console;

/// `egom2p inspect`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A weights folder, exported folder, bundle or run output, or a .safetensors, .onnx, .engine, .npy or .npz file
    path: PathBuf,
    /// Show long lists whole
    #[arg(long)]
    all: bool,
    /// Read all files: show their digests and check them
    #[arg(long)]
    digests: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let report = report(args)?;
    if args.json {
        console::print_json(&report.to_json())?;
    } else {
        console::print(report.to_text(args.all).trim_end());
    }
    let Some(first) = report.problems.first() else { return Ok(()) };
    let more = match report.problems.len() - 1 {
        0 => String::new(),
        n_more => format!(" (and {})", count(n_more, "more problem")),
    };
    bail!("{}: {}{more}\n{}", args.path.display(), first, report.mend);
}

fn report(args: &Args) -> anyhow::Result<Report> {
    let path = &args.path;
    let metadata = fs::metadata(path).with_context(|| {
        format!("cannot read {}\nname a file or folder that egom2p reads or writes", path.display())
    })?;
    if metadata.is_dir() { folder(path, args) } else { file(path, args) }
}

fn folder(path: &Path, args: &Args) -> anyhow::Result<Report> {
    let has = |name: &str| path.join(name).is_file();
    if has(BUNDLE_MANIFEST_FILE) {
        bundle::report(path, args.digests)
    } else if has(EXPORT_MANIFEST_FILE) {
        exported::report(path, args.digests)
    } else if has(RUN_FILE) {
        predictions::report(path)
    } else if has(CONFIG_FILE) || WeightsPart::ALL.iter().any(|part| has(part.file_name())) {
        weights::report(path, args.digests)
    } else {
        bail!(
            "{} is no folder of egom2p: it has none of {BUNDLE_MANIFEST_FILE}, {EXPORT_MANIFEST_FILE}, {RUN_FILE} and {CONFIG_FILE}\n\
             name a weights folder, an exported folder, a bundle or the folder of one predicted clip",
            path.display()
        )
    }
}

fn file(path: &Path, args: &Args) -> anyhow::Result<Report> {
    if let Some(engine) = engine::of_record(path) {
        return engine::report(&engine, args.digests);
    }
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str().unwrap_or_default() {
        "safetensors" => safetensors::report(path, args.digests),
        "onnx" => onnx::report(path),
        "engine" => engine::report(path, args.digests),
        "npy" | "npz" => array::report(path),
        "json" | "weights" => bail!("{} is part of a folder\ninspect the folder that it is in", path.display()),
        "pth" | "pt" | "jit" => bail!(
            "{} is a checkpoint that has not been imported\nimport it with \"egom2p import\" and inspect the weights folder",
            path.display()
        ),
        _ => bail!(
            "{} has an unknown file type\nname a folder, or a file ending in .safetensors, .onnx, .engine, .npy or .npz",
            path.display()
        ),
    }
}
