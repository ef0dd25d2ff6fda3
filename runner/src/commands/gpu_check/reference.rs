use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use egom2p::tensors::read_tensors;
use egom2p_engine_core::{Digest, FileEntry, RelativePath, Tensor};
use egom2p_engines::digest_file;
use egom2p_model::{Modality, ModelConfig};
use serde::{Deserialize, Serialize};

use super::sample::{OutputRecord, Sample};

/// Name of the manifest.
pub(super) const REFERENCE_FILE: &str = "reference.json";
/// Version of the manifest that this program writes and reads.
pub(super) const REFERENCE_SCHEMA: u32 = 1;
/// The file of generated tokens.
pub(super) const TOKENS_FILE: &str = "tokens.safetensors";
/// What follows the name of an output of logits.
pub(super) const LARGEST_SUFFIX: &str = ".largest";
/// The largest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;
/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 64 << 20;
const MEND: &str = "store it again with \"egom2p gpu-check CPU_BUNDLE --store DIR\"";

/// What a folder of results of the processor holds. All paths are relative to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferenceManifest {
    /// Version of the manifest: [`REFERENCE_SCHEMA`].
    pub(super) schema: u32,
    /// Name of the preset, if the sizes are those of one.
    pub(super) preset: Option<String>,
    /// Sizes of the model.
    pub(super) config: ModelConfig,
    /// Precision of the engines.
    pub(super) precision: String,
    /// Versions of the program and of the libraries.
    pub(super) versions: BTreeMap<String, String>,
    /// Seed of all inputs, which are made again and not kept.
    pub(super) seed: u64,
    /// How outputs are kept.
    pub(super) sampling: String,
    /// Digests of the beginnings of all fp32 weights by name.
    pub(super) weights: BTreeMap<String, Digest>,
    /// Calls of single stages.
    pub(super) stages: Vec<StageRecord>,
    /// Tokens of a clip, where the bundle could make some.
    pub(super) generation: Option<GenerationRecord>,
    /// Size and digest of every file.
    pub(super) files: BTreeMap<RelativePath, FileEntry>,
}

/// A call of an engine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StageRecord {
    pub(super) stage: String,
    pub(super) variant: String,
    pub(super) case: String,
    /// Digest of the inputs.
    pub(super) inputs: Digest,
    pub(super) file: RelativePath,
    pub(super) outputs: Vec<OutputRecord>,
}

/// Tokens that were decoded from RGB tokens.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerationRecord {
    /// Names of the targets in their order.
    pub(super) targets: Vec<String>,
    /// Digest of the tokens that were given.
    pub(super) given: Digest,
    /// Tokens of the first step.
    pub(super) n_first: usize,
    /// The largest magnitude of a greedy logit.
    pub(super) max_abs: f64,
}

/// Generated tokens in the order in which they were decoded, all targets together.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct StoredTokens {
    /// Where each stands among those of its target.
    pub(super) positions: Vec<i64>,
    /// At temperature 0.
    pub(super) greedy: Vec<i64>,
    /// By how much the largest greedy logit leads the next.
    pub(super) leads: Vec<f32>,
    /// With the published settings.
    pub(super) published: Vec<i64>,
}

/// An opened folder of results, whose files are read when they are needed.
pub(super) struct Reference {
    folder: PathBuf,
    pub(super) manifest: ReferenceManifest,
}

impl Reference {
    /// Reads and checks the manifest, and that every file is there.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(REFERENCE_FILE);
        let shown = path.display().to_string();
        let n_bytes = fs::metadata(&path)
            .with_context(|| format!("{} holds no results of the processor\n{MEND}", folder.display()))?
            .len();
        ensure!(
            n_bytes <= MAX_MANIFEST_BYTES,
            "{shown} has {n_bytes} bytes, expected at most {MAX_MANIFEST_BYTES}\n{MEND}"
        );
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {shown}\n{MEND}"))?;
        let malformed = |error: serde_json::Error| {
            let what = error.to_string();
            anyhow::anyhow!("{shown} is not valid: {}\n{MEND}", what.lines().next().unwrap_or_default())
        };
        let Schema { schema } = serde_json::from_str(&text).map_err(malformed)?;
        ensure!(
            schema == u64::from(REFERENCE_SCHEMA),
            "{shown} has schema {schema}, this program reads {REFERENCE_SCHEMA}\n{MEND}"
        );
        let manifest: ReferenceManifest = serde_json::from_str(&text).map_err(malformed)?;
        manifest.config.validate()?;
        for record in &manifest.stages {
            for output in &record.outputs {
                output.check().map_err(|error| anyhow::anyhow!("{shown} is not valid: {error}\n{MEND}"))?;
            }
        }
        let reference = Self { folder: folder.to_owned(), manifest };
        for (file, entry) in &reference.manifest.files {
            ensure!(
                entry.bytes <= MAX_FILE_BYTES,
                "{file} of {} has {} bytes, expected at most {MAX_FILE_BYTES}\n{MEND}",
                folder.display(),
                entry.bytes
            );
            reference.inside(file)?;
        }
        Ok(reference)
    }

    /// What was kept of the outputs of a call.
    pub(super) fn outputs(&self, record: &StageRecord) -> anyhow::Result<Vec<Sample>> {
        let mut tensors = self.tensors(&record.file)?;
        let mut samples = Vec::with_capacity(record.outputs.len());
        for output in &record.outputs {
            let values = self.take(&mut tensors, &record.file, &output.name)?;
            if (values.dtype(), values.n_elements()) != (output.dtype, output.n_kept()) {
                bail!(
                    "{} of {} holds {} values of {}, expected {} of {}\n{MEND}",
                    output.name,
                    record.file,
                    values.n_elements(),
                    values.dtype(),
                    output.n_kept(),
                    output.dtype
                );
            }
            let largest = tensors.remove(&format!("{}{LARGEST_SUFFIX}", output.name));
            let largest = largest.map(Tensor::into_i64).transpose()?;
            samples.push(Sample { record: output.clone(), values, largest });
        }
        Ok(samples)
    }

    /// The generated tokens, which must be tokens of the targets.
    pub(super) fn tokens(&self, record: &GenerationRecord) -> anyhow::Result<(Vec<Modality>, StoredTokens)> {
        let file = RelativePath::new(TOKENS_FILE)?;
        let mut tensors = self.tensors(&file)?;
        let mut take = |name| self.take(&mut tensors, &file, name);
        let stored = StoredTokens {
            positions: take("positions")?.into_i64()?,
            greedy: take("greedy")?.into_i64()?,
            leads: take("leads")?.into_f32()?,
            published: take("published")?.into_i64()?,
        };
        let config = &self.manifest.config;
        let damaged = || format!("{file} of {} holds no tokens of this model\n{MEND}", self.folder.display());
        let targets = record.targets.iter().map(|name| Modality::from_name(name)).collect::<Option<Vec<_>>>();
        let targets = targets.with_context(damaged)?;
        let n_tokens: usize = targets.iter().map(|&target| config.n_tokens(target)).sum();
        let lengths = [stored.positions.len(), stored.greedy.len(), stored.leads.len(), stored.published.len()];
        ensure!(lengths == [n_tokens; 4] && record.n_first <= n_tokens && record.max_abs.is_finite(), damaged());
        let mut first = 0;
        for &target in &targets {
            let places = first..first + config.n_tokens(target);
            first = places.end;
            let below = |values: &[i64], n: usize| values.iter().all(|&value| (0..n as i64).contains(&value));
            let vocabulary = config.vocabulary(target);
            let known = below(&stored.greedy[places.clone()], vocabulary)
                && below(&stored.published[places.clone()], vocabulary)
                && below(&stored.positions[places.clone()], config.n_tokens(target));
            ensure!(known, damaged());
        }
        Ok((targets, stored))
    }

    /// The tensors of a file, after checking it against its digest.
    fn tensors(&self, file: &RelativePath) -> anyhow::Result<BTreeMap<String, Tensor>> {
        let shown = self.folder.display();
        let Some(entry) = self.manifest.files.get(file) else {
            bail!("{shown} names {file}, which is not listed under \"files\"\n{MEND}")
        };
        let path = self.inside(file)?;
        let (digest, n_bytes) = digest_file(&path)?;
        ensure!(
            (digest, n_bytes) == (entry.blake3, entry.bytes),
            "{file} of {shown} has changed: expected digest {}, got {digest}\n{MEND}",
            entry.blake3
        );
        Ok(read_tensors(&path)?.into_iter().collect())
    }

    fn take(&self, tensors: &mut BTreeMap<String, Tensor>, file: &RelativePath, name: &str) -> anyhow::Result<Tensor> {
        let lacks = || format!("{file} of {} lacks {name}\n{MEND}", self.folder.display());
        tensors.remove(name).with_context(lacks)
    }

    /// The path of a file that really lies in the folder and has its size.
    fn inside(&self, file: &RelativePath) -> anyhow::Result<PathBuf> {
        let shown = self.folder.display();
        let missing = || format!("{file} of {shown} is missing\n{MEND}");
        let path = file.below(&self.folder).canonicalize().with_context(missing)?;
        let root = self.folder.canonicalize().with_context(missing)?;
        ensure!(path.starts_with(root), "{file} of {shown} is a link that leads out of it\n{MEND}");
        let n_bytes = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len());
        let expected = self.manifest.files.get(file).map(|entry| entry.bytes);
        ensure!(n_bytes == expected, "{file} of {shown} has another size than it was written with\n{MEND}");
        Ok(path)
    }
}

/// The field that is read before the others, which a newer manifest may lay out differently.
#[derive(Deserialize)]
struct Schema {
    schema: u64,
}
