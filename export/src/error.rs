use std::path::PathBuf;

use egom2p_graph::ParameterError;

/// Why a stage or a folder could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A parameter that the layout of the weights file does not hold.
    #[error(
        "stage {graph} needs {name}, which {location} does not hold\n\
         lay the weights file out for every stage that reads it"
    )]
    NotLaidOut {
        /// The stage.
        graph: String,
        /// The parameter, or the digest of a table.
        name: String,
        /// The weights file.
        location: String,
    },
    /// One parameter with two shapes.
    #[error("shape mismatch for {name}: expected {expected:?}, got {actual:?}\nexport stages of one preset together")]
    Shape {
        /// The parameter.
        name: String,
        /// The shape that was seen first.
        expected: Vec<usize>,
        /// The shape that differs.
        actual: Vec<usize>,
    },
    /// A tensor that is too large to address.
    #[error("{name} of shape {shape:?} is too large to export\nuse a preset with smaller sizes")]
    TooLarge {
        /// The parameter.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Parameters in the weights that no stage reads.
    #[error(
        "{location}: {} of the weights are used by no stage: {}\nuse weights of the same preset as the stages",
        names.len(), abbreviate(names)
    )]
    Unused {
        /// The weights file that was to be written.
        location: String,
        /// Their names.
        names: Vec<String>,
    },
    /// A parameter could not be read; the message is the source's own.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A source gave another number of values than the shape has.
    #[error("{name} of shape {shape:?} came with {n_values} values\nthe weights are damaged; import them again")]
    ValueCount {
        /// The parameter.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// How many values came.
        n_values: usize,
    },
    /// A value that the precision asked for cannot hold.
    #[error(
        "{name} holds {value:e} at place {place}, which is beyond the range of {precision}\n\
         export in precision {wider}"
    )]
    Overflow {
        /// The parameter.
        name: String,
        /// Which of its values, rows first.
        place: usize,
        /// The value.
        value: f32,
        /// The precision: `fp16` or `bf16`.
        precision: &'static str,
        /// The precisions that hold more.
        wider: &'static str,
    },
    /// Half values for a reader that has operators for single precision only.
    #[error(
        "stage {graph} computes in {precision}, but target onnxruntime-cpu has operators of fp32 only\n\
         export with --target standard"
    )]
    SingleOnly {
        /// The stage.
        graph: String,
        /// The precision: `fp16` or `bf16`.
        precision: &'static str,
    },
    /// An operation on values of `bf16` that came into the standard later than the rest.
    #[error(
        "stage {graph} has {op} of bf16 values, which operator set {opset} lacks\n\
         export for operator set 22, or in precision fp16"
    )]
    OperatorSet {
        /// The stage.
        graph: String,
        /// The operator.
        op: &'static str,
        /// The number of the operator set that was asked for.
        opset: i64,
    },
    /// A named dimension that no input carries by itself.
    #[error(
        "stage {graph}: the size {dim} cannot be computed, because no input has an axis {name}\n\
         give the stage an input with that axis"
    )]
    UnboundDim {
        /// The stage.
        graph: String,
        /// The size.
        dim: String,
        /// The name at fault.
        name: String,
    },
    /// One name for two things that ONNX keeps in one name space.
    #[error("stage {graph}: {name} names two of its inputs, outputs and weights\nrename one of them")]
    NameClash {
        /// The stage.
        graph: String,
        /// The name.
        name: String,
    },
    /// A name that is not fit for a file.
    #[error(
        "{name:?} does not name a file: expected letters, digits, _ and -\nrename the stage, variant or weights file"
    )]
    FileName {
        /// The name.
        name: String,
    },
    /// One file name for two stages.
    #[error("two stages would be written to {file}\ngive them different variants")]
    SameFile {
        /// The file.
        file: String,
    },
    /// A stage that refers to weights which were not given.
    #[error("stage {stage} reads {weights}.weights, which is not exported\nexport the weights too")]
    NoWeights {
        /// The stage.
        stage: String,
        /// The weights file, without its extension.
        weights: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}\ncheck the folder, its permissions and the free space", path.display())]
    Io {
        /// What was tried: `create`, `write`, `rename`, `remove`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl ExportError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

fn abbreviate(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, …") } else { shown }
}
