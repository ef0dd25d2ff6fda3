use super::{Result, TokenizerError};
use tch::Tensor;

/// The processes that train one tokenizer together, each on its own part of the batch.
///
/// Every rank makes the same calls in the same order.
pub trait Peers {
    /// Which of them this is.
    fn rank(&self) -> usize;

    /// How many there are, at least 1.
    fn n_ranks(&self) -> usize;

    /// The sum of all ranks' tensors, the same to the last bit everywhere. Codebook statistics go through here.
    fn sum(&self, tensor: &Tensor) -> Result<Tensor>;

    /// Leaves the mean over the ranks of the loss's gradient in every one of `parameters`.
    fn backward(&self, loss: &Tensor, parameters: &[&Tensor]) -> Result<()>;
}

/// Training in one process.
#[derive(Clone, Copy, Default, Debug)]
pub struct Alone;

impl Peers for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn n_ranks(&self) -> usize {
        1
    }

    fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor.shallow_clone())
    }

    fn backward(&self, loss: &Tensor, _parameters: &[&Tensor]) -> Result<()> {
        loss.f_backward().map_err(TokenizerError::operation("compute the gradient"))
    }
}
