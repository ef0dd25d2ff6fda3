//! The values that parameters start from.

use crate::random::Random;
use egom2p_graph::{Graph, ParameterError, Parameters};
use egom2p_model::weights::sincos_1d;
use std::collections::BTreeMap;

/// Initial values of a tokenizer's parameters; they follow from a seed and the order of the parameters' names.
pub(super) struct InitialValues<'a> {
    scheme: Scheme,
    seed: u64,
    shapes: BTreeMap<&'a str, Vec<usize>>,
}

/// Whose rules hold.
#[derive(Clone, Copy)]
pub(super) enum Scheme {
    /// Camera and gaze (specification section 2.1).
    Motion,
    /// Video: what PyTorch gives to convolutions and normalisations.
    Video,
}

impl<'a> InitialValues<'a> {
    pub(super) fn new(scheme: Scheme, seed: u64, graphs: [&'a Graph; 2]) -> Self {
        Self { scheme, seed, shapes: graphs.into_iter().flat_map(Graph::params).collect() }
    }

    /// The bound of a uniform draw; `None` for a value that is not drawn.
    fn bound(&self, name: &str, shape: &[usize]) -> Option<f64> {
        let default = match name.strip_suffix("bias") {
            Some(layer) => self.shapes.get(format!("{layer}weight").as_str()).map(|weight| fan_in(weight)),
            None => Some(fan_in(shape)),
        };
        let default = default.map(|fan_in| (1.0 / fan_in).sqrt());
        match self.scheme {
            Scheme::Video => default,
            Scheme::Motion if name.starts_with("quant_proj.") || name.starts_with("post_quant_proj.") => default,
            Scheme::Motion if name == "encoder.conv.bias" => default,
            Scheme::Motion if name.ends_with("bias") => None,
            // Queries, keys and values count as three matrices, a convolution as the product that it is.
            Scheme::Motion => {
                let n_matrices = if name.ends_with(".qkv.weight") { 3.0 } else { 1.0 };
                Some((6.0 / (shape[0] as f64 / n_matrices + fan_in(shape))).sqrt())
            }
        }
    }
}

impl Parameters for InitialValues<'_> {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let n_values = shape.iter().product();
        if let (true, &[1, length, dim]) = (name.ends_with("position_embeddings"), shape) {
            return sincos_1d(length, dim).ok_or_else(|| ParameterError::Missing { name: name.to_owned() });
        }
        if name.contains("norm") {
            return Ok(vec![if name.ends_with(".weight") { 1.0 } else { 0.0 }; n_values]);
        }
        let Some(bound) = self.bound(name, shape) else { return Ok(vec![0.0; n_values]) };
        let index = self.shapes.range(..name).count();
        let mut random = Random::new(self.seed, "initial values", index as u64);
        Ok((0..n_values).map(|_| (bound * (2.0 * random.unit() - 1.0)) as f32).collect())
    }
}

/// How many values each output of a layer is made from.
fn fan_in(weight: &[usize]) -> f64 {
    weight.iter().skip(1).product::<usize>() as f64
}
