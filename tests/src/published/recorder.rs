use std::collections::VecDeque;

use egom2p::stages::{Stages, StagesError};
use egom2p_engine_core::Tensor;
use egom2p_model::{Modality, Stage};

/// Runs stages and remembers what they gave.
pub struct Recorder<S> {
    /// What runs them.
    pub stages: S,
    /// Every call, in order.
    pub calls: Vec<Call>,
    choices: VecDeque<Vec<i64>>,
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
        Self::choosing(stages, [])
    }

    /// Leaves whoever samples no choice: to the outside, every call of a head gives logits that only the next of `choices`
    /// can be drawn from, one token per row. What it gave is recorded.
    pub fn choosing(stages: S, choices: impl IntoIterator<Item = Vec<i64>>) -> Self {
        Self { stages, calls: Vec::new(), choices: choices.into_iter().collect() }
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
        if !Modality::ALL.map(Stage::head).contains(&stage) {
            return Ok(outputs);
        }
        let Some(tokens) = self.choices.pop_front() else { return Ok(outputs) };
        Ok(outputs.into_iter().map(|(name, logits)| (name, only(&tokens, &logits))).collect())
    }
}

/// Logits in the shape of others of which only these tokens can be drawn.
fn only(tokens: &[i64], logits: &Tensor) -> Tensor {
    /// A lead that no temperature and no noise makes up for.
    const LEAD: f32 = 1e4;
    let shape = logits.shape().to_vec();
    let vocabulary = shape.last().copied().expect("logits have a vocabulary");
    assert_eq!(logits.as_f32().map(<[f32]>::len), Some(tokens.len() * vocabulary), "a token for every row");
    let mut values = vec![0.0; tokens.len() * vocabulary];
    for (row, &token) in values.chunks_exact_mut(vocabulary).zip(tokens) {
        row[token as usize] = LEAD;
    }
    Tensor::f32(shape, values).expect("the shape of the logits")
}
