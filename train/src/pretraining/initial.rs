use super::Initialization;
use crate::random::Random;
use egom2p_graph::{ParameterError, Parameters};
use egom2p_model::weights::{WeightsPart, canonical_name, sincos_1d, sincos_3d};
use egom2p_model::{Modality, ModelConfig};

/// The deviation of tables that are added up.
const EMBEDDING_DEVIATION: f64 = 0.02;
/// The deviation of the encoder's token tables in [`Initialization::Mimetic`]: near that of the positions, which is 0.71.
const MIMETIC_TOKEN_DEVIATION: f64 = 0.5;
/// The length of the rows of queries and keys in [`Initialization::Mimetic`]. A row of a head of 32 channels then scores its
/// own place `1.44 * 32 / sqrt(32) = 8.1` above an unrelated one.
const MIMETIC_GAIN: f64 = 1.2;

/// What the main model's parameters are before the first step, from a seed (specification section 1.9).
///
/// A parameter's values follow from the seed and its name, whatever else is asked for.
#[derive(Clone, Debug)]
pub struct Initial {
    grid: [usize; 3],
    heads: usize,
    initialization: Initialization,
    seed: u64,
}

/// How a parameter starts.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Rule {
    /// The same everywhere.
    Constant(f32),
    /// Normal with mean 0.
    Normal { deviation: f64 },
    /// Uniform up to Xavier's bound (Glorot and Bengio 2010) for this many matrices stacked along the outputs.
    Xavier { stacked: usize },
    /// The table of sines and cosines of a modality.
    Positions(Modality),
}

impl Initial {
    /// The first parameters of a model, as published.
    pub fn new(config: &ModelConfig, seed: u64) -> Self {
        Self { grid: config.video.grid(), heads: config.heads, initialization: Initialization::Published, seed }
    }

    /// The same parameters by another rule.
    #[must_use]
    pub fn with(self, initialization: Initialization) -> Self {
        Self { initialization, ..self }
    }

    fn values(&self, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let n_values = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))?;
        let mut random = Random::named(self.seed, "initial", name);
        let mut rule = Rule::of(name)?;
        if self.initialization == Initialization::Mimetic
            && name.ends_with(".token_emb.weight")
            && let Rule::Normal { deviation } = &mut rule
        {
            *deviation = MIMETIC_TOKEN_DEVIATION;
        }
        let mut values = match rule {
            Rule::Constant(value) => vec![value; n_values],
            Rule::Normal { deviation } => (0..n_values).map(|_| (deviation * random.normal()) as f32).collect(),
            Rule::Xavier { stacked } => {
                let &[outputs, inputs] = shape else { return None };
                let bound = (6.0 / (outputs as f64 / stacked as f64 + inputs as f64)).sqrt();
                (0..n_values).map(|_| (bound * (2.0 * random.unit() - 1.0)) as f32).collect()
            }
            Rule::Positions(modality) => {
                let &[1, length, dim] = shape else { return None };
                let table = if modality.is_video() { sincos_3d(self.grid, dim) } else { sincos_1d(length, dim) };
                table.filter(|table| table.len() == n_values)?
            }
        };
        if self.initialization == Initialization::Mimetic {
            self.align(name, shape, &mut values)?;
        }
        Some(values)
    }

    /// Overwrites the rows of queries and keys: those of a head are the same orthonormal rows in both.
    fn align(&self, name: &str, shape: &[usize], values: &mut [f32]) -> Option<()> {
        let Some((path, matrix)) = name.strip_suffix(".weight").and_then(|name| name.rsplit_once('.')) else {
            return Some(());
        };
        // Which of the stacked matrices are queries or keys.
        let aligned = match matrix {
            "qkv" => 2,
            "q" | "kv" => 1,
            _ => return Some(()),
        };
        let &[_, dim] = shape else { return None };
        let rows_of_head = dim.checked_div(self.heads)?;
        for head in 0..self.heads {
            let mut random = Random::named(self.seed, "initial", &format!("{path}.{head}"));
            let rows = orthonormal_rows(rows_of_head, dim, &mut random);
            for stacked in 0..aligned {
                let start = (stacked * self.heads + head) * rows_of_head * dim;
                for (value, row) in values.get_mut(start..)?.iter_mut().zip(rows.iter().flatten()) {
                    *value = (MIMETIC_GAIN * row) as f32;
                }
            }
        }
        Some(())
    }
}

/// Rows of length 1 that are orthogonal to each other, evenly distributed: normal ones, orthogonalised in turn.
fn orthonormal_rows(n_rows: usize, dim: usize, random: &mut Random) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n_rows);
    for _ in 0..n_rows {
        let mut row: Vec<f64> = (0..dim).map(|_| random.normal()).collect();
        for other in &rows {
            let share: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            for (value, other) in row.iter_mut().zip(other) {
                *value -= share * other;
            }
        }
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        rows.push(row.iter().map(|value| value / length).collect());
    }
    rows
}

impl Parameters for Initial {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let name = canonical_name(WeightsPart::Model, name);
        self.values(&name, shape).ok_or_else(|| ParameterError::Missing { name: name.into_owned() })
    }
}

impl Rule {
    fn of(name: &str) -> Option<Self> {
        let (path, field) = name.rsplit_once('.').unwrap_or(("", name));
        let layer = path.rsplit('.').next().unwrap_or(path);
        Some(match (layer, field) {
            (_, "pos_emb") => {
                let key = |modality: &Modality| modality.published_key() == layer;
                Self::Positions(Modality::ALL.into_iter().find(key)?)
            }
            (_, "mod_emb" | "mask_token") => Self::Normal { deviation: EMBEDDING_DEVIATION },
            // The decoder's tables are its heads, which are visited last and set like any other matrix.
            ("token_emb", "weight") if name.starts_with("encoder_embeddings.") => {
                Self::Normal { deviation: EMBEDDING_DEVIATION }
            }
            (layer, "weight") if layer.contains("norm") => Self::Constant(1.0),
            ("qkv", "weight") => Self::Xavier { stacked: 3 },
            ("kv", "weight") => Self::Xavier { stacked: 2 },
            (_, "weight") => Self::Xavier { stacked: 1 },
            (_, "bias") => Self::Constant(0.0),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Initial, MIMETIC_GAIN};
    use crate::Initialization;
    use egom2p_graph::Parameters;
    use egom2p_model::weights::WeightsPart;
    use egom2p_model::{Preset, expected_tensors};

    /// How far a moment may be from what it estimates, in its standard errors; the draws are fixed.
    const STANDARD_ERRORS: f64 = 4.5;

    fn values(name: &str, shape: &[usize]) -> Vec<f32> {
        values_of(Initialization::Published, name, shape)
    }

    fn values_of(initialization: Initialization, name: &str, shape: &[usize]) -> Vec<f32> {
        let initial = Initial::new(&Preset::Tiny.config(), 7).with(initialization);
        initial.parameter(name, shape).expect("a rule")
    }

    fn assert_moments(name: &str, values: &[f32], variance: f64, kurtosis: f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let square = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() <= STANDARD_ERRORS * (variance / n).sqrt(), "{name}: mean {mean:e}");
        let error = variance * ((kurtosis - 1.0) / n).sqrt();
        assert!((square - variance).abs() <= STANDARD_ERRORS * error, "{name}: {square:e}, expected {variance:e}");
    }

    fn assert_uniform(name: &str, shape: &[usize], bound: f64) {
        let values = values(name, shape);
        let largest = values.iter().fold(0.0_f64, |largest, &x| largest.max(f64::from(x).abs()));
        // The largest of n draws is missed by a share of about 1/n.
        assert!(
            largest <= bound * (1.0 + 1e-6) && largest > bound * (1.0 - 20.0 / values.len() as f64),
            "{name}: {largest}"
        );
        assert_moments(name, &values, bound * bound / 3.0, 9.0 / 5.0);
    }

    #[test]
    fn matrices_are_uniform_up_to_their_bounds() {
        let bound = |fan: f64| (6.0 / fan).sqrt();
        assert_uniform("encoder.0.attn.qkv.weight", &[576, 192], bound(192.0 + 192.0));
        assert_uniform("decoder.3.self_attn.qkv.weight", &[576, 192], bound(192.0 + 192.0));
        assert_uniform("decoder.3.cross_attn.kv.weight", &[384, 192], bound(192.0 + 192.0));
        assert_uniform("decoder.3.cross_attn.q.weight", &[192, 192], bound(192.0 + 192.0));
        assert_uniform("encoder.2.mlp.fc1.weight", &[512, 192], bound(512.0 + 192.0));
        assert_uniform("encoder.2.mlp.fc2.weight", &[192, 512], bound(512.0 + 192.0));
        assert_uniform("decoder_proj_context.weight", &[192, 192], bound(192.0 + 192.0));
        // Specification section 1.9 gives this bound for 256 tokens of width 768.
        assert_uniform("decoder_embeddings.tok_cam.token_emb.weight", &[256, 768], 0.076_546_55);
    }

    #[test]
    fn added_tables_are_normal() {
        for (name, shape) in [
            ("encoder_embeddings.tok_rgb.token_emb.weight", &[1000, 192][..]),
            ("encoder_embeddings.tok_gaze.mod_emb", &[1, 1, 4096]),
            ("mask_token", &[1, 1, 4096]),
        ] {
            assert_moments(name, &values(name, shape), 0.02_f64.powi(2), 3.0);
        }
    }

    #[test]
    fn mimetic_queries_and_keys_of_a_head_are_the_same_orthogonal_rows() {
        let initial = Initial::new(&Preset::Tiny.config(), 7).with(Initialization::Mimetic);
        let values = |name: &str, shape: &[usize]| initial.parameter(name, shape).expect("a rule");
        let (dim, head) = (192, 32);
        let queries = values("decoder.3.cross_attn.q.weight", &[dim, dim]);
        let keys = values("decoder.3.cross_attn.kv.weight", &[2 * dim, dim]);
        let both = values("encoder.0.attn.qkv.weight", &[3 * dim, dim]);
        assert_eq!(queries, keys[..dim * dim]);
        assert_eq!(both[..dim * dim], both[dim * dim..2 * dim * dim]);
        assert_ne!(both[..dim * dim], queries[..]);
        // The values' rows are those of the published rule.
        let published = values_of(Initialization::Published, "encoder.0.attn.qkv.weight", &[3 * dim, dim]);
        assert_eq!(both[2 * dim * dim..], published[2 * dim * dim..]);
        for rows in queries.chunks_exact(head * dim) {
            for (i, a) in rows.chunks_exact(dim).enumerate() {
                for (j, b) in rows.chunks_exact(dim).enumerate() {
                    let product: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    let expected = if i == j { MIMETIC_GAIN.powi(2) } else { 0.0 };
                    assert!((product - expected).abs() < 1e-5, "rows {i} and {j}: {product}, expected {expected}");
                }
            }
        }
        let name = "encoder_embeddings.tok_rgb.token_emb.weight";
        assert_moments(name, &values(name, &[1000, dim]), 0.25, 3.0);
    }

    #[test]
    fn values_follow_from_seed_and_name() {
        let shape = [64, 64];
        let first = values("encoder.0.attn.proj.weight", &shape);
        assert_eq!(first, values("encoder.0.attn.proj.weight", &shape));
        assert_ne!(first, values("encoder.1.attn.proj.weight", &shape));
        let other = Initial::new(&Preset::Tiny.config(), 8).parameter("encoder.0.attn.proj.weight", &shape);
        assert_ne!(first, other.expect("a rule"));
        let head = values("decoder_embeddings.tok_cam.to_logits.weight", &[256, 192]);
        assert_eq!(head, values("decoder_embeddings.tok_cam.token_emb.weight", &[256, 192]));
    }

    #[test]
    fn every_parameter_of_the_model_has_a_rule() {
        for tensor in expected_tensors(&Preset::Tiny.config(), WeightsPart::Model).expect("tensors") {
            let values = values(&tensor.name, &tensor.shape);
            assert_eq!(values.len(), tensor.shape.iter().product::<usize>(), "{}", tensor.name);
            let constant = values.iter().all(|&value| value.to_bits() == values[0].to_bits());
            assert_eq!(
                constant,
                tensor.name.contains("norm") || tensor.name.rsplit('.').next() == Some("bias"),
                "{}",
                tensor.name
            );
        }
        assert!(Initial::new(&Preset::Tiny.config(), 0).parameter("something", &[2]).is_err());
    }
}
