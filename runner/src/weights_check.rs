//! Whether a weights file belongs to a model: every tensor there, none too many, all of the right shape.

use std::path::PathBuf;

use egom2p_model::{
    ModelConfig, StageError, expected_tensors,
    weights::{WeightsError, WeightsFile, WeightsPart},
};

/// How many names a message shows.
const SHOWN: usize = 4;

/// A weights file that does not belong to the model.
#[derive(Debug, thiserror::Error)]
pub enum WeightsMismatch {
    /// Tensors that the model needs are not there.
    #[error("{} lacks {}\nuse the weights that config.json came with, or import them again", path.display(), abbreviated(names))]
    Missing {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// Tensors are there that the model does not have.
    #[error("{} holds {}, which this model does not have\nuse the weights that config.json came with, or import them again", path.display(), abbreviated(names))]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A tensor has another shape.
    #[error(
        "shape mismatch for {name} of {}: expected {expected:?}, got {actual:?}\n\
         use the weights that config.json came with, or import them again", path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape in the model.
        expected: Vec<usize>,
        /// Its shape in the file.
        actual: Vec<usize>,
    },
    /// The model cannot be built.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The file cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Fails unless `file` holds the tensors that `part` of the model has.
pub fn check_weights(file: &WeightsFile, config: &ModelConfig, part: WeightsPart) -> Result<(), WeightsMismatch> {
    let path = || file.path().to_owned();
    let expected = expected_tensors(config, part)?;
    let missing = expected.iter().filter(|tensor| !tensor.optional && !file.contains(&tensor.name));
    let names: Vec<String> = missing.map(|tensor| tensor.name.clone()).collect();
    if !names.is_empty() {
        return Err(WeightsMismatch::Missing { path: path(), names });
    }
    let is_known = |name: &&String| expected.iter().any(|tensor| tensor.name == **name);
    let names: Vec<String> = file.names().iter().filter(|name| !is_known(name)).cloned().collect();
    if !names.is_empty() {
        return Err(WeightsMismatch::Unexpected { path: path(), names });
    }
    for tensor in expected.into_iter().filter(|tensor| file.contains(&tensor.name)) {
        let actual = file.shape(&tensor.name)?;
        if actual != tensor.shape {
            let (name, expected, actual) = (tensor.name, tensor.shape, actual.to_vec());
            return Err(WeightsMismatch::Shape { path: path(), name, expected, actual });
        }
    }
    Ok(())
}

fn abbreviated(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(|name| name.escape_debug().to_string()).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more tensors", names.len() - SHOWN) } else { shown }
}
