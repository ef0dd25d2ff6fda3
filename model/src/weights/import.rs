//! Published checkpoints to weights files.

mod error;
mod plan;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use self::error::ImportError;
use self::plan::Plan;
use super::{Checkpoint, TensorSpec, WeightsPart, WeightsWriter};

/// The checkpoint of one part, as published.
#[derive(Clone, Copy, Debug)]
pub enum ImportSource<'a> {
    /// The EgoM2P training checkpoint (`checkpoint-main.pth`).
    Model(&'a Path),
    /// The camera tokenizer's training checkpoint (`checkpoint-cam.pth`).
    Camera(&'a Path),
    /// The gaze tokenizer's training checkpoint (`checkpoint-gaze.pth`).
    Gaze(&'a Path),
    /// The video tokenizer's TorchScript archives. One of them is enough for the stages it serves.
    Video {
        /// `encoder.jit`: the encoder, `quant_conv` and the quantizer.
        encoder: Option<&'a Path>,
        /// `decoder.jit`: the inverse quantizer, `post_quant_conv` and the decoder.
        decoder: Option<&'a Path>,
    },
}

/// A tensor that the model needs: its canonical name and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// The published name.
    pub name: String,
    /// The shape that the preset gives it.
    pub shape: Vec<usize>,
    /// Whether a checkpoint may lack it (the video tokenizer's unused convolutions).
    pub optional: bool,
}

/// How far an import is. Tensors are counted twice where they are checked before they are written.
#[derive(Clone, Copy, Debug)]
pub struct ImportProgress<'a> {
    /// The tensor that is read now, by its published name.
    pub tensor: &'a str,
    /// How many tensors are done.
    pub n_done: usize,
    /// How many there are in all.
    pub n_tensors: usize,
}

/// What an import made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedFile {
    /// Which part it is.
    pub part: WeightsPart,
    /// Where the file is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub n_bytes: u64,
    /// The BLAKE3 digest of the whole file, in hexadecimal.
    pub digest: String,
    /// How many tensors it holds.
    pub n_tensors: usize,
    /// How many further names turned out to be aliases of these.
    pub n_aliases: usize,
    /// How many norm biases turned out to be zero and were left out.
    pub n_zero_biases: usize,
}

/// Imports one part's checkpoint into `folder`, which is created when it does not exist.
///
/// `expected` lists what the preset's part has, without aliases and without the zero norm biases. Everything in it must
/// be in the checkpoint with the same shape, and everything in the checkpoint must be in it; known aliases must agree
/// with what they repeat, EgoM2P's norm biases must be zero, the codebook counters of the motion tokenizers are kept, and
/// constants of traced modules are left out. For a video tokenizer of which only one archive is given, `expected` is
/// narrowed to what that archive has. All values are stored as `f32`; values that are not finite are refused.
///
/// `progress` is called before each tensor and stops the import by returning [`ControlFlow::Break`]. Nothing is left in
/// `folder` unless the import succeeds.
pub fn import_weights(
    source: ImportSource<'_>,
    expected: &[ExpectedTensor],
    folder: &Path,
    mut progress: impl FnMut(ImportProgress<'_>) -> ControlFlow<()>,
) -> Result<ImportedFile, ImportError> {
    let part = source.part();
    let plan = Plan::new(part, source.open()?, expected)?;
    let n_tensors = plan.n_steps();
    let mut n_done = 0;
    let mut step = |tensor: &str| {
        let flow = progress(ImportProgress { tensor, n_done, n_tensors });
        n_done += 1;
        if flow.is_break() { Err(ImportError::Interrupted { part }) } else { Ok(()) }
    };
    let mut plan = plan.verified(&mut step)?;

    fs::create_dir_all(folder).map_err(|source| ImportError::Folder { path: folder.to_owned(), source })?;
    let specs = plan.stored.iter().map(|(name, tensor)| TensorSpec { name: name.clone(), shape: tensor.shape.clone() });
    let mut writer = WeightsWriter::create(&folder.join(part.file_name()), specs.collect())?;
    while let Some(mut tensor) = writer.next_tensor()? {
        let name = tensor.name().to_owned();
        step(&name)?;
        plan.read(&name, |values| Ok(tensor.write(values)?))?;
    }
    let written = writer.finish()?;
    Ok(ImportedFile {
        part,
        path: written.path,
        n_bytes: written.n_bytes,
        digest: written.digest,
        n_tensors: plan.stored.len(),
        n_aliases: plan.aliases.len(),
        n_zero_biases: plan.zero_biases.len(),
    })
}

impl ImportSource<'_> {
    /// Which part this is.
    pub fn part(&self) -> WeightsPart {
        match self {
            Self::Model(_) => WeightsPart::Model,
            Self::Camera(_) => WeightsPart::Camera,
            Self::Gaze(_) => WeightsPart::Gaze,
            Self::Video { .. } => WeightsPart::Video,
        }
    }

    fn open(&self) -> Result<Vec<Checkpoint>, ImportError> {
        match *self {
            Self::Model(path) | Self::Camera(path) | Self::Gaze(path) => Ok(vec![Checkpoint::open(path)?]),
            Self::Video { encoder, decoder } => {
                let encoder = encoder.map(|path| open_archive(path, ["encoder", "quant_conv", "quantizer"]));
                let decoder = decoder.map(|path| open_archive(path, ["inv_quant", "post_quant_conv", "decoder"]));
                encoder.into_iter().chain(decoder).collect()
            }
        }
    }
}

/// Opens one archive of the video tokenizer and gives its three children their names where it only numbers them.
fn open_archive(path: &Path, children: [&str; 3]) -> Result<Checkpoint, ImportError> {
    let mut checkpoint = Checkpoint::open(path)?;
    let child = |name: &str| name.split_once('.').and_then(|(index, _)| index.parse::<usize>().ok());
    if checkpoint.tensors().keys().all(|name| child(name).is_some_and(|index| index < children.len())) {
        checkpoint.rename(|name| {
            let (index, rest) = name.split_once('.')?;
            Some(format!("{}.{rest}", children.get(index.parse::<usize>().ok()?)?))
        });
    }
    Ok(checkpoint)
}
