//! `egom2p compare`: how far two results are apart.

use std::path::{Path, PathBuf};

use anyhow::bail;
use egom2p::{
    io::{read_gaze_csv, read_npy},
    tensors::read_tensors,
};
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
const RUN_FILES: [&str; 4] = ["tokens.safetensors", "camera.npy", "depth.npy", "gaze.csv"];

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (actual, reference) = (tensors(&args.actual)?, tensors(&args.reference)?);
    let comparison = Comparison::new(&actual, &reference, Tolerance { abs: args.abs, rel: args.rel });
    if args.json {
        console::print_json(&comparison)?;
    } else {
        console::print(&comparison);
    }
    if !comparison.passed() {
        bail!(
            "{} differs from {}\nthe report names the tolerance that would pass; docs/how-to/outputs-differ.md says where to look",
            args.actual.display(),
            args.reference.display()
        );
    }
    Ok(())
}

fn tensors(path: &Path) -> anyhow::Result<Vec<(String, Tensor)>> {
    if !path.is_dir() {
        let name = "values";
        return if has_extension(path, "npy") {
            Ok(vec![(name.to_owned(), array(path)?)])
        } else {
            Ok(read_tensors(path)?)
        };
    }
    let mut tensors = Vec::new();
    for name in RUN_FILES.into_iter().filter(|name| path.join(name).is_file()) {
        let file = path.join(name);
        let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if has_extension(&file, "npy") {
            tensors.push((stem, array(&file)?));
        } else if has_extension(&file, "csv") {
            let rows = read_gaze_csv(&file)?;
            tensors.push((stem, Tensor::f32(vec![rows.len(), 3], rows.concat())?));
        } else {
            let named = read_tensors(&file)?.into_iter().map(|(name, tensor)| (format!("{stem}.{name}"), tensor));
            tensors.extend(named);
        }
    }
    if tensors.is_empty() {
        bail!("{} holds no run output\nname a folder that \"egom2p run\" wrote, or a file", path.display());
    }
    Ok(tensors)
}

fn array(path: &Path) -> anyhow::Result<Tensor> {
    let array = read_npy(path)?;
    Ok(match array.integers(path) {
        Ok(values) => Tensor::i64(array.shape, values)?,
        Err(_) => {
            Tensor::f32(array.shape.clone(), array.floats(path)?.into_iter().map(|value| value as f32).collect())?
        }
    })
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|other| other.eq_ignore_ascii_case(extension))
}
