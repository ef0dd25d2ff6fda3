use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::PathBuf;

use super::{ExpectedTensor, ImportError};
use crate::weights::published::{is_codebook_bookkeeping, is_traced_constant, is_zero_buffer, recognise};
use crate::weights::quote::{listed, quoted};
use crate::weights::{Checkpoint, StoredTensor, WeightsPart, canonical_name};

/// What becomes of each tensor of the checkpoints of one part.
pub(super) struct Plan {
    checkpoints: Vec<Checkpoint>,
    /// What the weights file will hold, by canonical name.
    pub(super) stored: BTreeMap<String, Origin>,
    /// Names that repeat a stored tensor, with its name.
    pub(super) aliases: Vec<(Origin, String)>,
    /// Tensors that must be zero.
    pub(super) zero_biases: Vec<Origin>,
}

/// Where a tensor comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    checkpoint: usize,
    /// The name in the checkpoint.
    name: String,
    pub(super) shape: Vec<usize>,
}

impl Plan {
    /// Sorts the checkpoints' tensors and compares their names and shapes with what is expected.
    pub(super) fn new(
        part: WeightsPart,
        checkpoints: Vec<Checkpoint>,
        expected: &[ExpectedTensor],
    ) -> Result<Self, ImportError> {
        let Some(first) = checkpoints.first() else { return Err(ImportError::NoSource { part }) };
        let path = first.path().to_owned();
        for checkpoint in &checkpoints {
            let shape_of = |name: &str| checkpoint.tensors().get(name).map(|tensor| tensor.shape.as_slice());
            let (path, expected) = (checkpoint.path().to_owned(), part);
            if let Some(found) = recognise(shape_of).filter(|&found| found != part) {
                return Err(ImportError::OtherPart { path, expected, found });
            }
        }
        let mut plan = Self { checkpoints, stored: BTreeMap::new(), aliases: Vec::new(), zero_biases: Vec::new() };
        plan.sort(part)?;
        let expected = plan.narrowed(part, expected);
        plan.compare(part, path, &expected)?;
        Ok(plan)
    }

    /// How many tensors are read in all.
    pub(super) fn n_steps(&self) -> usize {
        self.stored.len() + self.aliases.len() + self.zero_biases.len()
    }

    /// Checks that aliases repeat what they name and that biases are zero.
    pub(super) fn verified(
        mut self,
        step: &mut impl FnMut(&str) -> Result<(), ImportError>,
    ) -> Result<Self, ImportError> {
        for bias in self.zero_biases.clone() {
            step(&bias.name)?;
            let path = self.checkpoints[bias.checkpoint].path().to_owned();
            let mut n_before = 0;
            self.read_origin(&bias, |values| match values.iter().position(|&value| value != 0.0) {
                None => {
                    n_before += values.len();
                    Ok(())
                }
                Some(i) => {
                    let (index, value) = (n_before + i, values[i]);
                    Err(ImportError::Bias { path: path.clone(), name: quoted(&bias.name), index, value })
                }
            })?;
        }
        for (alias, name) in self.aliases.clone() {
            step(&alias.name)?;
            self.check_alias(&alias, &name)?;
        }
        Ok(self)
    }

    /// Streams a stored tensor's values, all of which must be finite.
    pub(super) fn read(
        &mut self,
        name: &str,
        mut sink: impl FnMut(&[f32]) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let Some(origin) = self.stored.get(name).cloned() else { return Ok(()) };
        let path = self.checkpoints[origin.checkpoint].path().to_owned();
        let mut n_before = 0;
        self.read_origin(&origin, |values| {
            if let Some(i) = values.iter().position(|value| !value.is_finite()) {
                let (index, value) = (n_before + i, values[i]);
                return Err(ImportError::NotFinite { path: path.clone(), name: quoted(name), index, value });
            }
            n_before += values.len();
            sink(values)
        })
    }

    fn sort(&mut self, part: WeightsPart) -> Result<(), ImportError> {
        let mut aliases = Vec::new();
        for (index, checkpoint) in self.checkpoints.iter().enumerate() {
            for (name, tensor) in checkpoint.tensors() {
                let origin = Origin { checkpoint: index, name: name.clone(), shape: tensor.shape.clone() };
                let canonical = canonical_name(part, name);
                if is_traced_constant(part, name) {
                    continue;
                }
                if is_zero_buffer(part, name) {
                    self.zero_biases.push(origin);
                } else if canonical != *name {
                    aliases.push((origin, canonical.into_owned()));
                } else if self.stored.insert(name.clone(), origin).is_some() {
                    return Err(ImportError::Overlap { name: quoted(name) });
                }
            }
        }
        for (origin, canonical) in aliases {
            // A checkpoint that lists a shared tensor under its other name only is complete as well.
            match self.stored.entry(canonical) {
                Entry::Occupied(original) => self.aliases.push((origin, original.key().clone())),
                Entry::Vacant(vacant) => drop(vacant.insert(origin)),
            }
        }
        Ok(())
    }

    /// Of a video tokenizer of which only one archive is given, what that archive has.
    fn narrowed<'e>(&self, part: WeightsPart, expected: &'e [ExpectedTensor]) -> Vec<&'e ExpectedTensor> {
        let has = |convolution: &str| self.stored.keys().any(|name| name.starts_with(convolution));
        let (encoder, decoder) = (has("quant_conv."), has("post_quant_conv."));
        let wanted = |tensor: &&ExpectedTensor| {
            let of_encoder = ["encoder.", "quant_conv."].iter().any(|prefix| tensor.name.starts_with(prefix));
            let of_decoder = ["decoder.", "post_quant_conv."].iter().any(|prefix| tensor.name.starts_with(prefix));
            part != WeightsPart::Video || encoder == decoder || (encoder && !of_decoder) || (decoder && !of_encoder)
        };
        expected.iter().filter(wanted).collect()
    }

    fn compare(&self, part: WeightsPart, path: PathBuf, expected: &[&ExpectedTensor]) -> Result<(), ImportError> {
        let names: BTreeSet<&str> = expected.iter().map(|tensor| tensor.name.as_str()).collect();
        let is_missing = |tensor: &&&ExpectedTensor| !tensor.optional && !self.stored.contains_key(&tensor.name);
        let missing: Vec<&str> = expected.iter().filter(is_missing).map(|tensor| tensor.name.as_str()).collect();
        let is_unexpected = |name: &&str| !names.contains(name) && !is_codebook_bookkeeping(part, name);
        let unexpected: Vec<&str> = self.stored.keys().map(String::as_str).filter(is_unexpected).collect();
        let mut differences = Vec::new();
        if !missing.is_empty() {
            differences.push(format!("it lacks {}", listed(&missing)));
        }
        if !unexpected.is_empty() {
            differences.push(format!("the preset has no {}", listed(&unexpected)));
        }
        if !differences.is_empty() {
            return Err(ImportError::Names { path, difference: differences.join("; ") });
        }
        let mut shapes = expected.iter().filter_map(|tensor| {
            let got = &self.stored.get(&tensor.name)?.shape;
            (*got != tensor.shape).then_some((tensor, got))
        });
        let Some((tensor, got)) = shapes.next() else { return Ok(()) };
        let others = match shapes.count() {
            0 => String::new(),
            1 => ", and one more tensor".into(),
            n => format!(", and {n} more tensors"),
        };
        let (name, expected, got) = (tensor.name.clone(), tensor.shape.clone(), got.clone());
        Err(ImportError::Shape { path, name, expected, got, others })
    }

    fn check_alias(&mut self, alias: &Origin, name: &str) -> Result<(), ImportError> {
        let Some(original) = self.stored.get(name).cloned() else { return Ok(()) };
        if self.tensor(alias) == self.tensor(&original) {
            return Ok(());
        }
        let path = self.checkpoints[alias.checkpoint].path().to_owned();
        let differs = || ImportError::Alias { path: path.clone(), alias: quoted(&alias.name), name: quoted(name) };
        if alias.shape != original.shape {
            return Err(differs());
        }
        // Both are digested as f32 bytes, so that neither has to be held.
        if self.digest(alias)? == self.digest(&original)? { Ok(()) } else { Err(differs()) }
    }

    fn digest(&mut self, origin: &Origin) -> Result<blake3::Hash, ImportError> {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::new();
        self.read_origin(origin, |values| {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            hasher.update(&bytes);
            Ok(())
        })?;
        Ok(hasher.finalize())
    }

    fn tensor(&self, origin: &Origin) -> Option<&StoredTensor> {
        self.checkpoints[origin.checkpoint].tensors().get(&origin.name)
    }

    fn read_origin(
        &mut self,
        origin: &Origin,
        sink: impl FnMut(&[f32]) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        self.checkpoints[origin.checkpoint].read_f32(&origin.name, sink)
    }
}
