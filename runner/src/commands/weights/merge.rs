//! `egom2p weights merge`: the parts of several weights folders in one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use egom2p::{io::OutputFolder, weights_check::check_weights};
use egom2p_model::{
    ModelConfig, WeightsFolder, expected_tensors,
    weights::{CHUNK_VALUES, TensorSpec, WeightsFile, WeightsPart, WeightsStorage, WeightsWriter, WrittenWeights},
};

use crate::console;

/// `egom2p weights merge`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Weights folders or checkpoints of one model; no two of them hold the same part
    #[arg(value_name = "FOLDER", required = true)]
    folders: Vec<PathBuf>,
    /// The weights folder to write
    #[arg(long, value_name = "WEIGHTS")]
    out: PathBuf,
    /// What values are stored as: fp32, bf16 or fp16, rounded to the nearest; all are computed with as fp32
    #[arg(long, value_name = "NAME", default_value_t, value_parser = storage)]
    store: WeightsStorage,
}

/// A part and where it is.
struct Source<'a> {
    part: WeightsPart,
    folder: &'a WeightsFolder,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let folders = args.folders.iter().map(|path| WeightsFolder::open(path)).collect::<Result<Vec<_>, _>>()?;
    let config = folders.first().context("no folder is named\nname folders to merge")?.config();
    let sources = sources(&folders)?;
    WeightsFolder::check_fits(&args.out, config)?;
    let output = OutputFolder::new(&args.out)?;
    WeightsFolder::create(output.staging(), config)?;
    let mut lines = Vec::new();
    for Source { part, folder } in sources {
        let file = folder.part(part)?;
        check_weights(&file, config, part)?;
        let written = copy(&file, &output.staging().join(part.file_name()), (config, part), args.store)?;
        let path = args.out.join(part.file_name());
        let from = folder.path().display();
        lines.push(format!(
            "{}: {:.1} MB of {}, from {from}",
            path.display(),
            written.n_bytes as f64 / 1e6,
            args.store
        ));
    }
    output.commit()?;
    lines.iter().for_each(console::print);
    Ok(())
}

/// The parts of all folders, which must be of one model and hold each part at most once.
fn sources(folders: &[WeightsFolder]) -> anyhow::Result<Vec<Source<'_>>> {
    let mut sources: Vec<Source<'_>> = Vec::new();
    for folder in folders {
        let (path, first) = (folder.path().display(), folders[0].path().display());
        ensure!(
            folder.config() == folders[0].config(),
            "{path} holds weights of another model than {first}\nmerge folders that were made with the same sizes"
        );
        for part in folder.parts() {
            if let Some(other) = sources.iter().find(|source| source.part == part) {
                let (other, name) = (other.folder.path().display(), part.file_name());
                bail!("{other} and {path} both hold {name}\nname only the folder whose {name} is to be taken");
            }
            sources.push(Source { part, folder });
        }
    }
    sources.sort_unstable_by_key(|source| source.part);
    Ok(sources)
}

/// Copies the tensors that stages read; fails where one holds a value that is not finite.
fn copy(
    file: &WeightsFile,
    path: &Path,
    (config, part): (&ModelConfig, WeightsPart),
    storage: WeightsStorage,
) -> anyhow::Result<WrittenWeights> {
    let read = expected_tensors(config, part)?.into_iter().filter(|tensor| !tensor.optional);
    let specs: Vec<_> = read.map(|tensor| TensorSpec { name: tensor.name, shape: tensor.shape }).collect();
    let bar = console::progress(specs.len() as u64, part.file_name());
    let mut writer = WeightsWriter::create_stored(path, specs, storage)?;
    let mut values = vec![0.0; CHUNK_VALUES];
    while let Some(mut tensor) = writer.next_tensor()? {
        let (name, n_values) = (tensor.name().to_owned(), tensor.n_values());
        for start in (0..n_values).step_by(CHUNK_VALUES) {
            let chunk = &mut values[..CHUNK_VALUES.min(n_values - start)];
            file.read_f32_into(&name, start, chunk)?;
            if let Some(value) = chunk.iter().find(|value| !value.is_finite()) {
                let path = file.path().display();
                bail!("tensor {name} of {path} holds {value}\nuse a checkpoint from before the values went astray");
            }
            tensor.write(chunk)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(writer.finish()?)
}

fn storage(name: &str) -> Result<WeightsStorage, String> {
    let storage = WeightsStorage::ALL.into_iter().find(|storage| storage.name() == name);
    storage.ok_or_else(|| format!("{name} is not what weights are stored as; use fp32, bf16 or fp16"))
}
