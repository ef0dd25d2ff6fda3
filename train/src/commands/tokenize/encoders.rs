use super::record::digest;
use anyhow::{Context as _, ensure};
use egom2p_graph::Graph;
use egom2p_model::weights::WeightsPart;
use egom2p_model::{Modality, ModelConfig, Stage, Variant, WeightsFolder, stage_graph};
use egom2p_torch::{TorchParameters, run};
use std::{collections::BTreeMap, path::PathBuf};
use tch::{Device, TchError, Tensor};

/// The encoders of trained tokenizers.
pub(super) struct Encoders {
    config: ModelConfig,
    /// The digests of the weights files by the names of the modalities.
    digests: BTreeMap<String, String>,
    modalities: Vec<Modality>,
    by_stage: BTreeMap<Stage, Encoder>,
}

/// A stage with its weights.
struct Encoder {
    graph: Graph,
    parameters: TorchParameters,
}

impl Encoders {
    /// Opens the tokenizers of some weights folders: those of `modalities`, or all that there are.
    pub(super) fn open(paths: &[PathBuf], modalities: Option<&[Modality]>) -> anyhow::Result<Self> {
        let folders = paths.iter().map(|path| WeightsFolder::open(path)).collect::<Result<Vec<_>, _>>()?;
        let config = folders.first().context("no weights were named\nname a weights folder")?.config().clone();
        for folder in &folders {
            let (path, first) = (folder.path().display(), paths[0].display());
            ensure!(
                *folder.config() == config,
                "{path} is of another model than {first}\nuse tokenizers that were trained with the same sizes"
            );
        }
        let (digests, by_stage) = (BTreeMap::new(), BTreeMap::new());
        let mut tokenizers = Self { config, digests, modalities: Vec::new(), by_stage };
        for modality in Modality::ALL {
            let part = Stage::tokenizer(modality).weights_file();
            let holders: Vec<&WeightsFolder> =
                folders.iter().filter(|folder| folder.parts().any(|found| found == part)).collect();
            let is_wanted = modalities.is_none_or(|modalities| modalities.contains(&modality));
            ensure!(holders.len() < 2, "several folders have {}\nname one for every tokenizer", part.file_name());
            if let Some(folder) = holders.first().filter(|_| is_wanted) {
                tokenizers.add(modality, folder, part)?;
            } else {
                let is_named = modalities.is_some() && is_wanted;
                ensure!(!is_named, "no folder has a tokenizer of {modality}\nname one that holds {}", part.file_name());
            }
        }
        ensure!(!tokenizers.modalities.is_empty(), "no folder has a tokenizer\nname the folders of trained tokenizers");
        Ok(tokenizers)
    }

    /// The sizes of the model.
    pub(super) fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The digests of the weights files by the names of the modalities.
    pub(super) fn digests(&self) -> &BTreeMap<String, String> {
        &self.digests
    }

    /// Whether there is a tokenizer of a modality.
    pub(super) fn has(&self, modality: Modality) -> bool {
        self.modalities.contains(&modality)
    }

    /// The tokens of one clip, row-major.
    pub(super) fn encode(&self, modality: Modality, values: &[f32], shape: &[i64]) -> anyhow::Result<Vec<i64>> {
        let stage = Stage::tokenizer(modality);
        let Encoder { graph, parameters } =
            self.by_stage.get(&stage).with_context(|| format!("no tokenizer of {modality}\nname one"))?;
        let _no_gradient = tch::no_grad_guard();
        let sizes: Vec<i64> = std::iter::once(1).chain(shape.iter().copied()).collect();
        let clip = Tensor::f_from_slice(values).and_then(|clip| clip.f_reshape(sizes)).context(MEMORY)?;
        let input = graph.inputs().next().map_or("", |(name, _)| name);
        let tokens = run(graph, &[(input, &clip)], parameters, Device::Cpu)?.swap_remove(0).1;
        let flat = || -> Result<Vec<i64>, TchError> { Vec::try_from(&tokens.f_flatten(0, -1)?) };
        flat().context(MEMORY)
    }

    fn add(&mut self, modality: Modality, folder: &WeightsFolder, part: WeightsPart) -> anyhow::Result<()> {
        let stage = Stage::tokenizer(modality);
        if !self.by_stage.contains_key(&stage) {
            let graph = stage_graph(&self.config, stage, Variant::Default)?;
            let parameters = TorchParameters::load(graph.params(), &folder.part(part)?, Device::Cpu)?;
            self.by_stage.insert(stage, Encoder { graph, parameters });
        }
        self.digests.insert(modality.name().to_owned(), digest(folder, part)?);
        self.modalities.push(modality);
        Ok(())
    }
}

const MEMORY: &str = "cannot pass a clip on\ncheck the free memory";
