//! What has to be stored to go on exactly.

use super::{Result, Tokenizer, TokenizerError, TokenizerTraining};
use std::collections::{BTreeMap, BTreeSet};
use tch::Tensor;

impl<T: Tokenizer> TokenizerTraining<T> {
    /// Everything that steps change besides their number: the tokenizer's tensors by published names, and the moments of its
    /// parameters as `optimizer.first.NAME` and `optimizer.second.NAME`. The tensors are those of the training, not copies.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let own = self.tokenizer.tensors().into_iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
        let moments = self.optimizer.moments().flat_map(|(name, first, second)| {
            let moment = |kind: &str, tensor: &Tensor| (format!("optimizer.{kind}.{name}"), tensor.shallow_clone());
            [moment("first", first), moment("second", second)]
        });
        own.chain(moments).collect()
    }

    /// Goes on from a stored state after this many steps. Every tensor must be there with its shape and nothing else; otherwise
    /// nothing changes.
    pub fn restore(&mut self, n_steps: u64, stored: &BTreeMap<String, Tensor>) -> Result<()> {
        let own = self.state();
        let names: BTreeSet<&String> = own.keys().chain(stored.keys()).collect();
        for name in names {
            let problem = match (own.get(name), stored.get(name)) {
                (Some(own), Some(stored)) if own.size() == stored.size() => continue,
                (Some(own), Some(stored)) => format!("shape {:?}, expected {:?}", stored.size(), own.size()),
                (Some(_), None) => "no such tensor".to_owned(),
                (None, _) => "a tensor that this training does not know".to_owned(),
            };
            return Err(TokenizerError::State { name: name.clone(), problem });
        }
        let _no_gradient = tch::no_grad_guard();
        for (name, tensor) in &own {
            let mut tensor = tensor.shallow_clone();
            tensor.f_copy_(&stored[name]).map_err(TokenizerError::operation("restore a tensor"))?;
        }
        self.optimizer.set_n_steps(n_steps);
        self.n_steps = n_steps;
        Ok(())
    }
}
