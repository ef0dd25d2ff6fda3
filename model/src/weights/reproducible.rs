//! Weights that follow from their names, so that reference values need no stored weights.

mod hash;
mod rule;

use thiserror::Error;

use self::hash::{fnv1a64, uniform};
use self::rule::Rule;
use super::quote::quoted;
use super::{WeightsPart, canonical_name, sincos_1d, sincos_3d};

/// How many frames a video token grid has.
const VIDEO_FRAMES: usize = 5;
/// How many tokens a motion sequence has.
const MOTION_TOKENS: usize = 30;

/// One tensor of the reproducible weights: any range of its values can be computed at any time.
///
/// Value `i` (row-major) of tensor `<model>/<name>` is `f32(offset + scale * u_i)`, in `f64` and rounded once, with
/// `u_i = (splitmix64(key + i) >> 40) * 2^-23 - 1` and `key` the FNV-1a-64 hash of `{seed}:<model>/<name>`. Offset and
/// scale follow from the name; position embeddings, codebooks and what is centred on a position embedding have rules of
/// their own. Aliased names have the values of their [canonical name](canonical_name).
#[derive(Clone, Debug)]
pub struct ReproducibleTensor {
    n_values: usize,
    values: Values,
}

/// What [`ReproducibleTensor::new`] refuses.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReproducibleError {
    /// No rule matches.
    #[error("no reproducible-weights rule for {name}\nuse a published tensor name")]
    NoRule {
        /// The tensor, with its model's prefix.
        name: String,
    },
    /// The tensor's rule cannot make such a shape.
    #[error(
        "the reproducible-weights rule of {name} cannot make shape {shape:?}: {expected}\ncheck the sizes of the preset"
    )]
    Shape {
        /// The tensor, with its model's prefix.
        name: String,
        /// The shape asked for.
        shape: Vec<usize>,
        /// What the rule can make.
        expected: &'static str,
    },
}

#[derive(Clone, Debug)]
enum Values {
    Affine { key: u64, offset: f64, scale: f64 },
    Table(Vec<f32>),
}

impl ReproducibleTensor {
    /// The tensor `name` of a part's state dict with this shape. `video_side` is the height and the width of the video
    /// token grid (32 at the published size); the modality embeddings of RGB and depth depend on it.
    pub fn new(
        seed: u64,
        part: WeightsPart,
        name: &str,
        shape: &[usize],
        video_side: usize,
    ) -> Result<Self, ReproducibleError> {
        let name = canonical_name(part, name);
        let full_name = format!("{}/{name}", part.rule_prefix());
        let refuse = |expected| ReproducibleError::Shape { name: quoted(&full_name), shape: shape.to_vec(), expected };
        let rule = Rule::of(part, &name).ok_or_else(|| ReproducibleError::NoRule { name: quoted(&full_name) })?;
        let n_values = checked_product(shape).ok_or_else(|| refuse("it has too many values"))?;
        let key = fnv1a64(&format!("{seed}:{full_name}"));
        let values = match rule {
            Rule::Uniform { offset, scale } => Values::Affine { key, offset, scale },
            Rule::Matrix { gain } => {
                let fan_in = checked_product(shape.get(1..).unwrap_or_default());
                let fan_in = fan_in.ok_or_else(|| refuse("it has too many values"))?;
                Values::Affine { key, offset: 0.0, scale: gain * (3.0 / fan_in as f64).sqrt() }
            }
            Rule::Sincos1d => Values::Table(
                match *shape {
                    [1, length, dim] => sincos_1d(length, dim),
                    _ => None,
                }
                .ok_or_else(|| refuse("expected [1, length, an even number]"))?,
            ),
            Rule::Sincos3d => Values::Table(
                match *shape {
                    [1, length, dim] => video_grid(length).and_then(|grid| sincos_3d(grid, dim)),
                    _ => None,
                }
                .ok_or_else(|| refuse("expected [1, 5 * side * side, a multiple of 6]"))?,
            ),
            Rule::Codebook => match *shape {
                [_, dim] => {
                    let norms_key = fnv1a64(&format!("{seed}:{full_name}.norms"));
                    Values::Table(codebook(key, norms_key, n_values, dim))
                }
                _ => return Err(refuse("expected [codes, dim]")),
            },
            Rule::MinusMeanPosition { scale } => {
                let dim = shape.last().copied().filter(|&dim| dim == n_values);
                let dim = dim.ok_or_else(|| refuse("expected all axes but the last to be 1"))?;
                let video = name.contains("tok_rgb") || name.contains("tok_depth");
                let table = if video {
                    sincos_3d([VIDEO_FRAMES, video_side, video_side], dim)
                } else {
                    sincos_1d(MOTION_TOKENS, dim)
                };
                let table = table.ok_or_else(|| refuse("its position embedding cannot have this width"))?;
                Values::Table(minus_column_means(key, scale, &table, dim))
            }
            Rule::Zeros => Values::Affine { key, offset: 0.0, scale: 0.0 },
            Rule::Ones => Values::Affine { key, offset: 1.0, scale: 0.0 },
        };
        Ok(Self { n_values, values })
    }

    /// How many values the tensor has.
    pub fn n_values(&self) -> usize {
        self.n_values
    }

    /// Fills `values` with the tensor's values from flat index `start` on.
    ///
    /// # Panics
    /// When the range reaches beyond [`n_values`](Self::n_values).
    pub fn fill(&self, start: usize, values: &mut [f32]) {
        let in_range = start.checked_add(values.len()).is_some_and(|end| end <= self.n_values);
        assert!(in_range, "a range inside the tensor");
        match &self.values {
            Values::Table(table) => values.copy_from_slice(&table[start..start + values.len()]),
            Values::Affine { key, offset, scale } => {
                let first = key.wrapping_add(start as u64);
                for (i, value) in values.iter_mut().enumerate() {
                    *value = (offset + scale * uniform(first.wrapping_add(i as u64))) as f32;
                }
            }
        }
    }

    /// All values, row-major.
    pub fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.n_values];
        self.fill(0, &mut values);
        values
    }
}

fn checked_product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).filter(|&n| n <= isize::MAX as usize / 4)
}

/// The grid of a flattened video token sequence, when `5 * side * side` makes its length.
fn video_grid(length: usize) -> Option<[usize; 3]> {
    let side = (length / VIDEO_FRAMES).isqrt();
    (VIDEO_FRAMES * side * side == length).then_some([VIDEO_FRAMES, side, side])
}

/// Rows drawn at random, scaled to lengths in [0.8, 1) that are drawn as well.
fn codebook(key: u64, norms_key: u64, n_values: usize, dim: usize) -> Vec<f32> {
    let mut table = Vec::with_capacity(n_values);
    let n_rows = n_values.checked_div(dim).unwrap_or(0);
    for row in 0..n_rows {
        let draw = |i: usize| uniform(key.wrapping_add((row * dim + i) as u64));
        let length = (0..dim).map(|i| draw(i) * draw(i)).sum::<f64>().sqrt();
        let target = 0.9 + 0.1 * uniform(norms_key.wrapping_add(row as u64));
        table.extend((0..dim).map(|i| (draw(i) / length * target) as f32));
    }
    table
}

/// Drawn values minus the column means of a `[rows, dim]` table, which keeps positions distinguishable where they are added.
fn minus_column_means(key: u64, scale: f64, table: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dim];
    let mut n_rows = 0_usize;
    for row in table.chunks_exact(dim.max(1)) {
        n_rows += 1;
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    let centred = |(i, sum): (usize, f64)| {
        let mean = sum / n_rows as f64;
        (scale * uniform(key.wrapping_add(i as u64)) - mean) as f32
    };
    sums.into_iter().enumerate().map(centred).collect()
}

#[cfg(test)]
mod tests;
