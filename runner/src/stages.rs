//! Stages by the names of the contract.

use egom2p_engine_core::Tensor;
use egom2p_model::Stage;

/// Runs stages by the contract's names, inputs and outputs; which engine serves a call is the implementor's business.
pub trait Stages {
    /// Runs one stage on all of its contract inputs.
    fn run(&mut self, stage: Stage, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>, StagesError>;

    /// Says that a stage will not be called for a while, so that its memory may be given back. Later calls still work.
    fn release(&mut self, stage: Stage) {
        let _ = stage;
    }

    /// Runs a stage with a single output.
    fn run_one(&mut self, stage: Stage, inputs: &[(&str, &Tensor)]) -> Result<Tensor, StagesError> {
        let mut outputs = self.run(stage, inputs)?;
        match (outputs.pop(), outputs.is_empty()) {
            (Some((_, tensor)), true) => Ok(tensor),
            _ => Err(StagesError::Outputs { stage: stage.name() }),
        }
    }
}

/// A stage that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum StagesError {
    /// The bundle has no engine for the stage.
    #[error("this bundle has no stage {stage}\nexport and build it from a weights folder that has {file}")]
    Missing {
        /// The stage asked for.
        stage: &'static str,
        /// The weights file that it is made from.
        file: &'static str,
    },
    /// The bundle has engines for the stage, but none for such a call.
    #[error(
        "no engine of stage {stage} takes this call: it needs variant {variant}\nbuild the bundle again with every variant"
    )]
    Variant {
        /// The stage asked for.
        stage: &'static str,
        /// The engine that would serve the call.
        variant: &'static str,
    },
    /// An input that the contract names is not given.
    #[error("stage {stage} needs an input called {input}\npass every input of the stage by its contract name")]
    Input {
        /// The stage asked for.
        stage: &'static str,
        /// The missing input.
        input: &'static str,
    },
    /// Another number of outputs than the contract says.
    #[error("stage {stage} did not give exactly one output\nbuild the bundle again")]
    Outputs {
        /// The stage asked for.
        stage: &'static str,
    },
    /// An output has another shape or type than the contract says.
    #[error("stage {stage} gave {actual}, expected {expected}\nbuild the bundle again from weights of one preset")]
    Output {
        /// The stage.
        stage: &'static str,
        /// What came.
        actual: String,
        /// What the contract says.
        expected: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] egom2p_engine_core::EngineError),
    /// The bundle failed.
    #[error(transparent)]
    Bundle(#[from] egom2p_engines::BundleError),
    /// A stage run by something else than a bundle failed.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// Fails unless a stage's output has exactly this shape.
pub(crate) fn expect_shape(stage: Stage, output: &Tensor, shape: &[usize]) -> Result<(), StagesError> {
    if output.shape() == shape {
        return Ok(());
    }
    let (actual, expected) = (format!("{:?}", output.shape()), format!("{shape:?}"));
    Err(StagesError::Output { stage: stage.name(), actual, expected })
}
