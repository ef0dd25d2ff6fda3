use egom2p_graph::{ParameterError, Parameters};
use egom2p_model::weights::{ReproducibleTensor, WeightsPart};

/// Weights that follow from their names.
#[derive(Clone, Copy, Debug)]
pub struct ReproducibleParameters {
    /// Whose names they are.
    pub part: WeightsPart,
    /// What all values follow from besides the names.
    pub seed: u64,
    /// The height and width of the video token grid.
    pub video_side: usize,
}

impl Parameters for ReproducibleParameters {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let tensor = ReproducibleTensor::new(self.seed, self.part, name, shape, self.video_side);
        Ok(tensor.map_err(|error| ParameterError::Source(Box::new(error)))?.values())
    }
}
