use egom2p::stages::{Stages, StagesError};
use egom2p_engine_core::Tensor;
use egom2p_model::Stage;

/// Runs stages and remembers what they gave.
pub struct Recorder<S> {
    /// What runs them.
    pub stages: S,
    /// Every call, in order.
    pub calls: Vec<Call>,
}

/// One call of a stage.
pub struct Call {
    /// The stage.
    pub stage: Stage,
    /// Its outputs by name.
    pub outputs: Vec<(String, Tensor)>,
}

impl<S> Recorder<S> {
    /// Nothing recorded yet.
    pub fn new(stages: S) -> Self {
        Self { stages, calls: Vec::new() }
    }

    /// The values that a stage gave at every call, of stages with one float output.
    pub fn floats(&self, stage: Stage) -> Vec<&[f32]> {
        let calls = self.calls.iter().filter(|call| call.stage == stage);
        calls.filter_map(|call| call.outputs.first()?.1.as_f32()).collect()
    }
}

impl<S: Stages> Stages for Recorder<S> {
    fn run(&mut self, stage: Stage, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>, StagesError> {
        let outputs = self.stages.run(stage, inputs)?;
        self.calls.push(Call { stage, outputs: outputs.clone() });
        Ok(outputs)
    }
}
