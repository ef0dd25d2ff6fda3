use std::{collections::BTreeMap, io::Write as _, path::Path};

use anyhow::{bail, ensure};
use egom2p::{
    engine_stages::EngineStages,
    io::{OutputFolder, partial},
    tensors::write_tensors,
};
use egom2p_calibration::Precision;
use egom2p_engine_core::{Device, FileEntry, RelativePath, Tensor};
use egom2p_engines::{Bundle, digest_file};
use egom2p_model::{Modality, ModelConfig, Stage};

use super::{
    calls::{Call, Called, digest},
    cases::SEED,
    reference::{
        GenerationRecord, LARGEST_SUFFIX, REFERENCE_FILE, REFERENCE_SCHEMA, ReferenceManifest, StageRecord, TOKENS_FILE,
    },
    sample::{SAMPLING_RULE, Sample},
    tokens::{self, Watch},
    weights,
};
use crate::{
    commands::engines::EngineArgs,
    console,
    quantity::{bytes, count},
};

/// Keeps what a bundle gives on the processor.
pub(super) fn store(bundle: &Bundle, config: &ModelConfig, engines: &EngineArgs, out: &Path) -> anyhow::Result<()> {
    let manifest = bundle.manifest();
    let variants = || manifest.stages.values().flat_map(BTreeMap::values);
    for variant in variants() {
        ensure!(
            variant.device == Device::Cpu && variant.precision == Precision::Fp32.name(),
            "bundle {} runs on {} in {}, expected the processor in fp32\nbuild a bundle with --device cpu and --precision fp32 from the same weights",
            bundle.folder().display(),
            variant.device,
            variant.precision
        );
    }
    let calls = Call::of(bundle, config)?;
    ensure!(!calls.is_empty(), "bundle {} has no engines\nbuild it from an exported folder", bundle.folder().display());
    let folder = OutputFolder::new(out)?;
    let weights = weights::weights(bundle)?;
    let bar = console::progress(calls.len() as u64 + 2, "");
    let mut files = BTreeMap::new();
    let mut stages = Vec::new();
    for call in calls {
        bar.set_message(call.name());
        let (inputs, samples) = match call.run(bundle, config, &engines.session_options())? {
            Called::Done(inputs, samples) => (inputs, samples),
            Called::OutsideRanges(why) => {
                console::note(format_args!("{} is not stored: {why}", call.name()));
                continue;
            }
        };
        let file = RelativePath::new(format!("stages/{}.safetensors", call.name()))?;
        let mut tensors = Vec::new();
        let mut outputs = Vec::new();
        for Sample { record, values, largest } in samples {
            if let Some(largest) = largest {
                let largest = Tensor::i64([largest.len()], largest)?;
                tensors.push((format!("{}{LARGEST_SUFFIX}", record.name), largest));
            }
            tensors.push((record.name.clone(), values));
            outputs.push(record);
        }
        files.insert(file.clone(), write(&folder, &file, &tensors)?);
        stages.push(StageRecord {
            stage: call.stage.name().to_owned(),
            variant: call.variant.name().to_owned(),
            case: call.case.name.to_owned(),
            inputs,
            file,
            outputs,
        });
        bar.inc(1);
    }
    bar.set_message("tokens");
    let generation = generation(bundle, config, engines, &folder, &mut files)?;
    bar.finish_and_clear();
    let mut versions: BTreeMap<String, String> = variants().flat_map(|variant| variant.libraries.clone()).collect();
    versions.insert("egom2p".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let n_bytes = files.values().map(|file| file.bytes).sum();
    let (n_calls, n_files) = (stages.len(), files.len());
    let reference = ReferenceManifest {
        schema: REFERENCE_SCHEMA,
        preset: manifest.preset.clone(),
        config: config.clone(),
        precision: Precision::Fp32.name().to_owned(),
        versions,
        seed: SEED,
        sampling: SAMPLING_RULE.to_owned(),
        weights,
        stages,
        generation,
        files,
    };
    let text = serde_json::to_string_pretty(&reference)?;
    folder.write(REFERENCE_FILE, |file| writeln!(file, "{text}"))?;
    partial::watch(out, REFERENCE_FILE)?;
    folder.commit()?;
    console::print(format_args!(
        "{}: {} in {}, {}",
        out.display(),
        count(n_calls, "call"),
        count(n_files, "file"),
        bytes(n_bytes)
    ));
    Ok(())
}

/// Decodes a clip at temperature 0 and with the published settings, as far as the bundle has the stages.
fn generation(
    bundle: &Bundle,
    config: &ModelConfig,
    engines: &EngineArgs,
    folder: &OutputFolder,
    files: &mut BTreeMap<RelativePath, FileEntry>,
) -> anyhow::Result<Option<GenerationRecord>> {
    let has = |stage: Stage| bundle.has_stage(stage.name());
    let targets: Vec<Modality> = tokens::TARGETS.into_iter().filter(|&target| has(Stage::head(target))).collect();
    if targets.is_empty() || !has(Stage::Encoder) || !has(Stage::Decoder) {
        return Ok(None);
    }
    let mut stages =
        EngineStages::new(Bundle::open(bundle.folder(), engines.backend_options())?, engines.session_options());
    let settings = |greedy| tokens::settings(&targets, greedy, engines.n_threads());
    let mut watch = Watch::new(&mut stages, None);
    let greedy = tokens::decode(&mut watch, config, &settings(true))?;
    let (leads, max_abs) = (std::mem::take(&mut watch.leads), watch.max_abs);
    let published = tokens::decode(&mut stages, config, &settings(false))?;
    let n_first = greedy.steps.first().map_or(0, |step| step.tokens.len());
    let (positions, greedy) = tokens::in_order(&greedy);
    let (_, published) = tokens::in_order(&published);
    if leads.len() != greedy.len() {
        bail!(
            "the heads of bundle {} gave another number of rows than tokens\nbuild the bundle again",
            bundle.folder().display()
        );
    }
    let file = RelativePath::new(TOKENS_FILE)?;
    let tensors = [
        ("positions".to_owned(), Tensor::i64([positions.len()], positions)?),
        ("greedy".to_owned(), Tensor::i64([greedy.len()], greedy)?),
        ("leads".to_owned(), Tensor::f32([leads.len()], leads)?),
        ("published".to_owned(), Tensor::i64([published.len()], published)?),
    ];
    let entry = write(folder, &file, &tensors)?;
    files.insert(file, entry);
    Ok(Some(GenerationRecord {
        targets: targets.iter().map(|target| target.name().to_owned()).collect(),
        given: given_digest(config)?,
        n_first,
        max_abs,
    }))
}

/// Digest of the tokens that a clip is decoded from.
pub(super) fn given_digest(config: &ModelConfig) -> anyhow::Result<egom2p_engine_core::Digest> {
    let given = tokens::given(config).into_iter();
    let tensors =
        given.map(|given| Ok((given.modality.name().to_owned(), Tensor::i64([given.tokens.len()], given.tokens)?)));
    Ok(digest(&tensors.collect::<anyhow::Result<Vec<_>>>()?))
}

fn write(folder: &OutputFolder, file: &RelativePath, tensors: &[(String, Tensor)]) -> anyhow::Result<FileEntry> {
    let path = folder.path(file.as_str())?;
    write_tensors(&path, tensors)?;
    let (blake3, bytes) = digest_file(&path)?;
    Ok(FileEntry { bytes, blake3 })
}
