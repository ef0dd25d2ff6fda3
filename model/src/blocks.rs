//! The pieces that stages are made of. Each records itself into the builder's present scope.

pub(crate) mod attention;
pub(crate) mod conv;
pub(crate) mod mlp;
pub(crate) mod resample;
pub(crate) mod residual;
pub(crate) mod rows;
pub(crate) mod transformer;
pub(crate) mod video_attention;

/// Added to the variance by every normalisation of the model and of its tokenizers (specification sections 1.5, 2.1, 3.2).
pub(crate) const NORM_EPSILON: f32 = 1e-6;
