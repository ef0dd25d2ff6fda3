//! Which weights a bundle was made from, in a form that is the same for every precision and target.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use anyhow::{Context as _, bail};
use egom2p_engine_core::{
    Digest, RelativePath,
    onnx::{External, broken, read_model, visit_tensors},
};
use egom2p_engines::Bundle;
use egom2p_onnx_proto::DataType;

/// Bytes of a tensor that are looked at: weights of another model differ from the first on.
const MAX_BYTES: u64 = 1 << 16;

/// Fails unless the weights that a bundle and a reference both name are the same, of every file of weights some.
pub(super) fn check_weights(bundle: &Bundle, reference: (&Path, &BTreeMap<String, Digest>)) -> anyhow::Result<()> {
    let file = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let own = weights(bundle)?;
    let mut compared: BTreeMap<String, usize> = own.keys().map(|name| (file(name), 0)).collect();
    let (folder, known) = reference;
    let of_reference: BTreeSet<String> = known.keys().map(|name| file(name)).collect();
    let refuse = |what: String| {
        bail!(
            "reference {} is of other weights than bundle {}: {what}\nstore it again from the bundle of these weights for the processor: \"egom2p gpu-check CPU_BUNDLE --store DIR\"",
            folder.display(),
            bundle.folder().display()
        )
    };
    for (name, digest) in &own {
        match known.get(name) {
            Some(known) if known != digest => return refuse(format!("{name} differs")),
            Some(_) => *compared.entry(file(name)).or_default() += 1,
            None => {}
        }
    }
    match compared.iter().find(|(file, n_compared)| of_reference.contains(*file) && **n_compared == 0) {
        Some((file, _)) => refuse(format!("none of {file} is in both")),
        None => Ok(()),
    }
}

/// Digests of the beginnings of all fp32 weights of a bundle by name: precisions keep their own weights in half, and share
/// these. The files themselves are checked against their digests when engines are opened.
pub(super) fn weights(bundle: &Bundle) -> anyhow::Result<BTreeMap<String, Digest>> {
    let mut weights = BTreeMap::new();
    for variant in bundle.manifest().stages.values().flat_map(|variants| variants.values()) {
        let path = variant.onnx.below(bundle.folder());
        let (mut model, _) = read_model(&path)?;
        let mut found: Vec<(String, External)> = Vec::new();
        visit_tensors(&mut model, &mut |tensor| {
            if let Some(external) = External::of(tensor)?
                && tensor.data_type == i32::from(DataType::Float)
                && !weights.contains_key(&name_in(&external, &tensor.name))
            {
                found.push((name_in(&external, &tensor.name), external));
            }
            Ok::<_, String>(())
        })
        .map_err(|what| broken(&path, what))?;
        for (name, external) in found {
            let file = match variant.onnx.parent() {
                Some(folder) => folder.join(external.location.as_str())?,
                None => external.location.clone(),
            };
            if !variant.weights.contains(&file) {
                bail!("{} names weights in {file}, which is none of its files\nbuild the bundle again", path.display());
            }
            let digest = digest(bundle, &file, &external).with_context(|| {
                format!("cannot read {file} of bundle {}\nbuild the bundle again", bundle.folder().display())
            })?;
            weights.insert(name, digest);
        }
    }
    Ok(weights)
}

/// The name of a tensor with that of its file: tokenizers of one architecture have the same names.
fn name_in(external: &External, name: &str) -> String {
    format!("{}/{name}", external.location)
}

fn digest(bundle: &Bundle, file: &RelativePath, external: &External) -> std::io::Result<Digest> {
    let mut file = File::open(file.below(bundle.folder()))?;
    file.seek(SeekFrom::Start(external.offset))?;
    let mut bytes = vec![0; external.length.min(MAX_BYTES) as usize];
    file.read_exact(&mut bytes)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&external.length.to_le_bytes()).update(&bytes);
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}
