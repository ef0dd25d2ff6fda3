use crate::{Result, TrainError};
use egom2p_graph::Graph;
use egom2p_torch::{TorchParameters, run};
use egom2p_torch_native::checkpoint;
use std::sync::Arc;
use tch::{Device, Reduction, TchError, Tensor};

/// Logits that the backward pass finds stored, in values: 64 MB of single precision.
const MAX_LOGITS: usize = 1 << 24;

/// What turns hidden rows of a modality into its loss.
///
/// Logits are many: 2,048 rows of 64,000 take 0.5 GB, and as much again for their softmax and for their gradient. More than
/// [`MAX_LOGITS`] of them go by in chunks of rows, which are computed again in the backward pass.
#[derive(Debug)]
pub(crate) struct Head {
    graph: Arc<Graph>,
    vocabulary: usize,
}

impl Head {
    /// The head of this graph, `hidden` to `logits` of `vocabulary` values.
    pub(crate) fn new(graph: Graph, vocabulary: usize) -> Self {
        Self { graph: Arc::new(graph), vocabulary }
    }

    /// Its graph.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The mean cross-entropy of rows f32 `[n, dim]` with targets i64 `[n]`, an f32 scalar; `n` is not 0.
    pub(crate) fn loss(
        &self,
        rows: &Tensor,
        targets: &Tensor,
        parameters: &TorchParameters,
        device: Device,
    ) -> Result<Tensor> {
        self.loss_by(MAX_LOGITS / self.vocabulary.max(1), rows, targets, parameters, device)
    }

    /// The same, with at most `max_rows` rows at a time.
    fn loss_by(
        &self,
        max_rows: usize,
        rows: &Tensor,
        targets: &Tensor,
        parameters: &TorchParameters,
        device: Device,
    ) -> Result<Tensor> {
        let (n_rows, max_rows) = (rows.size()[0], max_rows.max(1) as i64);
        if n_rows <= max_rows {
            return self.cross_entropy(rows, targets, parameters, device, Reduction::Mean);
        }
        let failed = || TrainError::operation("add up a cross-entropy");
        let mut sums = Vec::new();
        for first in (0..n_rows).step_by(max_rows as usize) {
            let n = max_rows.min(n_rows - first);
            let part = |of: &Tensor| of.f_narrow(0, first, n).map_err(failed());
            sums.push(self.checkpointed_sum(&part(rows)?, part(targets)?, parameters, device)?);
        }
        let mean = Tensor::f_stack(&sums, 0).and_then(|sums| sums.f_sum(tch::Kind::Float)?.f_div_scalar(n_rows as f64));
        mean.map_err(failed())
    }

    /// The sum of the cross-entropies of some rows, whose logits nobody keeps.
    fn checkpointed_sum(
        &self,
        rows: &Tensor,
        targets: Tensor,
        parameters: &TorchParameters,
        device: Device,
    ) -> Result<Tensor> {
        let mut own = TorchParameters::default();
        for (name, _) in self.graph.params() {
            if let Some(tensor) = parameters.get(name) {
                own.insert(name, tensor.shallow_clone());
            }
        }
        let head = Self { graph: Arc::clone(&self.graph), vocabulary: self.vocabulary };
        let sum = move |rows: &[Tensor]| {
            Ok::<_, TrainError>(vec![head.cross_entropy(&rows[0], &targets, &own, device, Reduction::Sum)?])
        };
        Ok(checkpoint(&[rows], sum)?.swap_remove(0))
    }

    fn cross_entropy(
        &self,
        rows: &Tensor,
        targets: &Tensor,
        parameters: &TorchParameters,
        device: Device,
        reduction: Reduction,
    ) -> Result<Tensor> {
        let failed = || TrainError::operation("compute a cross-entropy");
        let hidden = rows.f_unsqueeze(0).map_err(failed())?;
        let logits = run(&self.graph, &[("hidden", &hidden)], parameters, device)?.swap_remove(0).1;
        let loss: Result<Tensor, TchError> = logits
            .f_squeeze_dim(0)
            .and_then(|logits| logits.f_cross_entropy_loss(targets, None::<Tensor>, reduction, -100, 0.0));
        loss.map_err(failed())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::Head;
    use crate::Initial;
    use egom2p_model::{Modality, Preset, Stage, Variant, stage_graph};
    use egom2p_torch::TorchParameters;
    use tch::{Device, Kind, Tensor};

    /// The loss of 23 rows in chunks of at most `max_rows`, with the gradients of the rows and of the head.
    fn loss(max_rows: usize) -> (f64, Tensor, Tensor) {
        tch::set_num_threads(1);
        let config = Preset::Tiny.config();
        let graph = stage_graph(&config, Stage::head(Modality::Depth), Variant::Default).unwrap();
        let parameters = TorchParameters::load(graph.params(), &Initial::new(&config, 3), Device::Cpu).unwrap();
        let (_, weight) = parameters.iter().next().unwrap();
        let weight = weight.set_requires_grad(true);
        let wave = |n: i64, rate: f64| (Tensor::arange(n, (Kind::Float, Device::Cpu)) * rate).sin();
        let rows = wave(23 * config.dim as i64, 0.37).reshape([23, config.dim as i64]).set_requires_grad(true);
        let targets = (Tensor::arange(23, (Kind::Int64, Device::Cpu)) * 41).remainder(1000);
        let head = Head::new(graph, 1000);
        let loss = head.loss_by(max_rows, &rows, &targets, &parameters, Device::Cpu).unwrap();
        loss.backward();
        (loss.double_value(&[]), rows.grad(), weight.grad())
    }

    #[test]
    fn chunks_change_nothing_but_rounding() {
        let (whole, of_rows, of_weight) = loss(23);
        for max_rows in [1, 5, 22] {
            let (in_chunks, rows, weight) = loss(max_rows);
            assert!((in_chunks - whole).abs() < 1e-6 * whole, "{in_chunks} and {whole}");
            for (chunked, whole) in [(rows, &of_rows), (weight, &of_weight)] {
                let apart = (chunked - whole).norm().double_value(&[]) / whole.norm().double_value(&[]);
                assert!(apart < 1e-6, "{apart} at {max_rows} rows");
            }
        }
    }
}
