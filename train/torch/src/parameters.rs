use crate::{Result, TorchError};
use egom2p_graph::{ParameterError, Parameters};
use std::collections::BTreeMap;
use tch::{Device, Tensor};

/// Parameters of graphs, by their published names.
#[derive(Debug, Default)]
pub struct TorchParameters {
    tensors: BTreeMap<String, Tensor>,
}

impl TorchParameters {
    /// The parameters of these names and shapes, `f32`, from where a graph's parameters come from. A name that comes again
    /// is loaded once; a run checks that its shape is the graph's.
    pub fn load<'a>(
        names: impl IntoIterator<Item = (&'a str, Vec<usize>)>,
        source: &dyn Parameters,
        device: Device,
    ) -> Result<Self> {
        let mut parameters = Self::default();
        for (name, shape) in names {
            if parameters.tensors.contains_key(name) {
                continue;
            }
            let values = source.parameter(name, &shape)?;
            let sizes: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            let tensor = Tensor::f_from_slice(&values)
                .and_then(|tensor| tensor.f_reshape(sizes))
                .and_then(|tensor| tensor.f_to_device(device))
                .map_err(TorchError::at(name))?;
            parameters.tensors.insert(name.to_owned(), tensor);
        }
        Ok(parameters)
    }

    /// Adds a parameter, `f32`, or replaces it.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The parameter of this name, which must have this shape.
    pub(crate) fn expect(&self, name: &str, shape: &[i64]) -> Result<&Tensor> {
        let missing = || ParameterError::Missing { name: name.to_owned() };
        let tensor = self.get(name).ok_or_else(missing)?;
        if tensor.size() != shape {
            let sizes = |sizes: &[i64]| sizes.iter().map(|&size| size as usize).collect();
            let (expected, actual) = (sizes(shape), sizes(&tensor.size()));
            return Err(ParameterError::Shape { name: name.to_owned(), expected, actual }.into());
        }
        Ok(tensor)
    }
}
