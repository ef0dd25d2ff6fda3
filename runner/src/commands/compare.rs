//! `egom2p compare`: how far two results are apart.

use std::path::{Path, PathBuf};

use anyhow::bail;
use egom2p::{io::read_npy, tensors::read_tensors};
use egom2p_engine_core::{Comparison, Tensor, Tolerance};

use crate::console;

/// `egom2p compare`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A .safetensors or .npy file, or the output folder of a run
    actual: PathBuf,
    /// What it should be: the same kind of file or folder
    reference: PathBuf,
    /// Largest absolute difference that passes
    #[arg(long, value_name = "ERROR", default_value_t = 1e-4)]
    abs: f64,
    /// Largest difference that passes, relative to the reference
    #[arg(long, value_name = "ERROR", default_value_t = 0.0)]
    rel: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The files of a run's output folder that hold numbers.
const RUN_FILES: [&str; 3] = ["tokens.safetensors", "camera.npy", "depth.npy"];

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (actual, reference) = (tensors(&args.actual)?, tensors(&args.reference)?);
    let comparison = Comparison::new(&actual, &reference, Tolerance { abs: args.abs, rel: args.rel });
    if args.json {
        console::print_json(&comparison)?;
    } else {
        console::print(&comparison);
    }
    if !comparison.passed() {
        bail!("{} differs from {}\nthe report names the tolerance that would pass; docs/how-to/outputs-differ.md says where to look", args.actual.display(), args.reference.display());
    }
    Ok(())
}

fn tensors(path: &Path) -> anyhow::Result<Vec<(String, Tensor)>> {
    if !path.is_dir() {
        return file(path, path);
    }
    let present: Vec<_> = RUN_FILES.into_iter().filter(|name| path.join(name).is_file()).collect();
    if present.is_empty() {
        bail!("{} holds no run output\nname a folder that \"egom2p run\" wrote, or a file", path.display());
    }
    let mut tensors = Vec::new();
    for name in present {
        tensors.extend(file(&path.join(name), Path::new(name))?);
    }
    Ok(tensors)
}

fn file(path: &Path, shown: &Path) -> anyhow::Result<Vec<(String, Tensor)>> {
    if path.extension().is_some_and(|extension| extension == "npy") {
        let name = shown.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let values = read_npy(path)?;
        let floats = values.floats(path)?.into_iter().map(|value| value as f32).collect();
        return Ok(vec![(name, Tensor::f32(values.shape, floats)?)]);
    }
    Ok(read_tensors(path)?)
}
