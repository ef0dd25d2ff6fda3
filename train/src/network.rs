use crate::batch::Rows;
use crate::head::Head;
use crate::losses::ModalityLosses;
use crate::{Batch, Result, TrainError};
use egom2p_calibration::{Precision, with_precision};
use egom2p_graph::{Graph, Parameters};
use egom2p_model::{Modality, ModelConfig, Stage, Variant, stage_graph};
use egom2p_torch::{CheckpointedGraph, TorchParameters, run};
use tch::{Device, TchError, Tensor};

/// The tables of sines and cosines, which the checkpoint stores and nobody learns.
const FIXED_SUFFIX: &str = "pos_emb";

/// EgoM2P in training: the masked encoder and decoder and the four heads, with their parameters.
#[derive(Debug)]
pub struct Network {
    config: ModelConfig,
    encoder: Trunk,
    decoder: Trunk,
    heads: [Head; 4],
    parameters: TorchParameters,
    device: Device,
}

/// The encoder or the decoder.
#[derive(Debug)]
enum Trunk {
    /// What the backward pass needs is kept.
    Kept(Graph),
    /// What the backward pass needs of a block is computed again there.
    Checkpointed(CheckpointedGraph),
}

impl Network {
    /// The network with parameters from `source`. With a half precision, products are computed in it by the rule of
    /// autocast, and parameters and their gradients stay f32.
    pub fn new(config: &ModelConfig, source: &dyn Parameters, precision: Precision, device: Device) -> Result<Self> {
        let graph =
            |stage, variant| -> Result<Graph> { Ok(with_precision(&stage_graph(config, stage, variant)?, precision)?) };
        let head = |modality| -> Result<Head> {
            Ok(Head::new(graph(Stage::head(modality), Variant::Default)?, config.vocabulary(modality)))
        };
        let encoder = graph(Stage::Encoder, Variant::Masked)?;
        let decoder = graph(Stage::Decoder, Variant::Masked)?;
        let [camera, depth, gaze, rgb] = Modality::ALL;
        let heads = [head(camera)?, head(depth)?, head(gaze)?, head(rgb)?];
        let graphs = [&encoder, &decoder].into_iter().chain(heads.iter().map(Head::graph));
        let names = graphs.flat_map(Graph::params);
        let parameters = TorchParameters::load(names, source, device)?;
        for (name, tensor) in parameters.iter() {
            let _ = tensor
                .f_set_requires_grad(!name.ends_with(FIXED_SUFFIX))
                .map_err(TrainError::operation("make a parameter"))?;
        }
        let (encoder, decoder) = (Trunk::Kept(encoder), Trunk::Kept(decoder));
        Ok(Self { config: config.clone(), encoder, decoder, heads, parameters, device })
    }

    /// The same network, whose blocks keep nothing for the backward pass but what crosses their borders and are computed again
    /// there: less memory for more time, the same losses and gradients.
    #[must_use]
    pub fn checkpointed(self) -> Self {
        Self { encoder: self.encoder.checkpointed(), decoder: self.decoder.checkpointed(), ..self }
    }

    /// What is learned, in the order of the names.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.parameters.iter().filter(|(name, _)| !name.ends_with(FIXED_SUFFIX))
    }

    /// All parameters, the fixed tables too.
    pub fn parameters(&self) -> &TorchParameters {
        &self.parameters
    }

    /// The cross-entropy of every modality that has targets (specification sections 1.4 to 1.8).
    pub fn losses(&self, batch: &Batch) -> Result<ModalityLosses> {
        let hidden = self.hidden(batch)?;
        let flat = hidden.f_reshape([-1, self.config.dim as i64]).map_err(TrainError::operation("flatten rows"))?;
        let mut losses = [const { None }; 4];
        let (mut n_targets, mut vocabulary) = ([0; 4], [0; 4]);
        for modality in Modality::ALL {
            let index = modality.index();
            let places = &batch.targets.places[index];
            n_targets[index] = places.numel();
            vocabulary[index] = self.config.vocabulary(modality);
            if n_targets[index] == 0 {
                continue;
            }
            let pick = || -> Result<(Tensor, Tensor), TchError> {
                let rows = flat.f_index_select(0, places)?;
                Ok((rows, batch.targets.tokens.f_flatten(0, -1)?.f_index_select(0, places)?))
            };
            let (rows, targets) = pick().map_err(TrainError::operation("pick the targets"))?;
            losses[index] = Some(self.heads[index].loss(&rows, &targets, &self.parameters, self.device)?);
        }
        Ok(ModalityLosses { losses, n_targets, vocabulary })
    }

    fn hidden(&self, batch: &Batch) -> Result<Tensor> {
        let Rows { tokens, modality, position, mask, .. } = &batch.visible;
        let visible = [("tokens", tokens), ("modality", modality), ("position", position), ("visible_mask", mask)];
        let context = self.encoder.run(&visible, self)?;
        let Rows { modality, position, mask: query_mask, .. } = &batch.targets;
        let queries = [
            ("context", &context),
            ("visible_mask", mask),
            ("modality", modality),
            ("position", position),
            ("query_mask", query_mask),
        ];
        self.decoder.run(&queries, self)
    }
}

impl Trunk {
    fn checkpointed(self) -> Self {
        match self {
            Self::Kept(graph) => Self::Checkpointed(CheckpointedGraph::new(graph)),
            Self::Checkpointed(_) => self,
        }
    }

    /// The only output, with the parameters of `network`.
    fn run(&self, inputs: &[(&str, &Tensor)], network: &Network) -> Result<Tensor> {
        let Network { parameters, device, .. } = network;
        let mut outputs = match self {
            Self::Kept(graph) => run(graph, inputs, parameters, *device),
            Self::Checkpointed(graph) => graph.run(inputs, parameters, *device),
        }?;
        Ok(outputs.swap_remove(0).1)
    }
}
