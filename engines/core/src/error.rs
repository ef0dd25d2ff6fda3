use crate::{DType, DimRange, RelativePathError, TensorSpec};
use std::path::PathBuf;

/// Result of this crate and of backends.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// What can go wrong with engines. The text has two lines: what, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A device cannot be had, or failed.
    #[error(transparent)]
    Device(#[from] egom2p_device::DeviceError),
    /// A session that takes no tensors of a device, or of another.
    #[error(
        "this engine does not run on tensors of the device {device}\nbuild the engine with --device cuda for a GPU, or with --device cpu for the processor"
    )]
    NotOnDevice {
        /// The device.
        device: String,
    },
    /// An output whose shape does not follow from the inputs.
    #[error(
        "the shape of output {name} does not follow from the inputs\nexport the stage with outputs whose dimensions are those of its inputs"
    )]
    UnknownShape {
        /// The output.
        name: String,
    },
    /// The number of elements does not fit the shape.
    #[error("tensor of shape {shape:?} needs {expected} elements, got {got}\npass as many elements as the shape has")]
    TensorLength {
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Elements that the shape has.
        expected: usize,
        /// Elements that were given.
        got: usize,
    },
    /// The shape has more elements than can be counted.
    #[error("tensor of shape {shape:?} is too large\nuse smaller inputs")]
    TensorTooLarge {
        /// Shape of the tensor.
        shape: Vec<usize>,
    },
    /// A tensor was asked for elements of another type.
    #[error("expected a tensor of {expected}, got {got}\nconvert the tensor first")]
    WrongDType {
        /// Type that was asked for.
        expected: DType,
        /// Type of the tensor.
        got: DType,
    },
    /// An input that the engine does not have.
    #[error("there is no input {name}: expected {}\npass the inputs by these names", names.join(", "))]
    UnknownInput {
        /// Name that was given.
        name: String,
        /// Names that the engine has.
        names: Vec<String>,
    },
    /// An input was given twice.
    #[error("input {name} is given twice\npass every input once")]
    RepeatedInput {
        /// Name of the input.
        name: String,
    },
    /// An input was not given.
    #[error("input {} is missing: expected {spec}\npass every input of the stage", spec.name)]
    MissingInput {
        /// The input.
        spec: TensorSpec,
    },
    /// An input or output has the wrong element type.
    #[error("element type mismatch for {name}: expected {expected}, got {got}\nconvert the tensor to {expected}")]
    DType {
        /// Name of the tensor.
        name: String,
        /// Type in the spec.
        expected: DType,
        /// Type of the tensor.
        got: DType,
    },
    /// An input or output has the wrong shape.
    #[error("shape mismatch for {}: expected {spec}, got {got:?}\npass a tensor of that shape", spec.name)]
    Shape {
        /// The spec.
        spec: TensorSpec,
        /// Shape of the tensor.
        got: Vec<usize>,
    },
    /// Axes of one name differ in length.
    #[error(
        "dimension {dim} of {name} is {got}, but {from} has {expected}\n\
         make axes of the same name equally long"
    )]
    NamedDim {
        /// Name of the dimension.
        dim: String,
        /// The tensor that differs.
        name: String,
        /// Its length.
        got: usize,
        /// The length before.
        expected: usize,
        /// The tensor that set it.
        from: String,
    },
    /// A named dimension is outside of what the engine was built for.
    #[error(
        "dimension {dim} is {got}: this engine was built for {} to {}\n\
         build again with a profile that covers it: \"egom2p build --profile FILE\"", range.min, range.max
    )]
    OutsideProfile {
        /// Name of the dimension.
        dim: String,
        /// Its length.
        got: usize,
        /// What the engine takes.
        range: DimRange,
    },
    /// A range of a profile is out of order.
    #[error(
        "profile of dimension {dim} is out of order: expected min <= opt <= max, got {}, {}, {}\n\
         correct the profile", range.min, range.opt, range.max
    )]
    ProfileRange {
        /// Name of the dimension.
        dim: String,
        /// The range.
        range: DimRange,
    },
    /// A backend gave another number of outputs than it said.
    #[error("the engine gave {got} outputs, expected {expected}\nbuild the engine again with \"egom2p build --force\"")]
    OutputCount {
        /// Outputs in the spec.
        expected: usize,
        /// Outputs that came.
        got: usize,
    },
    /// A native library was not found.
    #[error("{library} was not found; looked at {}\n{mend}", looked.join(", "))]
    LibraryMissing {
        /// Name of the library.
        library: &'static str,
        /// Where it was looked for.
        looked: Vec<String>,
        /// How to get it.
        mend: &'static str,
    },
    /// A native library could not be opened.
    #[error("cannot open {}: {what}\n{mend}", path.display())]
    LibraryBroken {
        /// The library.
        path: PathBuf,
        /// What went wrong.
        what: String,
        /// How to mend it.
        mend: &'static str,
    },
    /// The backend does not run on this device.
    #[error("{backend} does not run on {device}: it runs on {supported}\n{mend}")]
    DeviceUnsupported {
        /// Name of the backend.
        backend: &'static str,
        /// The device that was asked for.
        device: String,
        /// The devices that it runs on.
        supported: &'static str,
        /// What to do instead.
        mend: &'static str,
    },
    /// An ONNX file is broken or not safe to hand to a native library.
    #[error("{}: {what}\n{mend}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// How to mend it.
        mend: String,
    },
    /// The native library refused an operation.
    #[error("{backend} failed to {action}: {what}\n{mend}")]
    Native {
        /// Name of the backend.
        backend: &'static str,
        /// What it was asked to do.
        action: String,
        /// What the library says.
        what: String,
        /// What to do.
        mend: &'static str,
    },
    /// The build was stopped.
    #[error("the build was cancelled\nstart it again when it suits; nothing was changed")]
    Cancelled,
    /// An engine does not run on this machine.
    #[error("the engine was built for {built}, this machine has {found}\n{mend}")]
    WrongTarget {
        /// What it was built for.
        built: String,
        /// What was found.
        found: String,
        /// How to mend it.
        mend: String,
    },
    /// There is less memory than a build takes.
    #[error("building {} takes about {} MB of memory, {} MB are free\nfree memory, raise the limit of this process, or build fewer stages at a time on a larger machine", onnx.display(), needed_bytes / 1_000_000, free_bytes / 1_000_000)]
    Memory {
        /// The model.
        onnx: PathBuf,
        /// Bytes that the build is expected to take.
        needed_bytes: u64,
        /// Bytes that are free.
        free_bytes: u64,
    },
    /// The backend does not have an option.
    #[error("{backend} has no {option}\nleave {flag} out, or choose another backend")]
    OptionUnsupported {
        /// Name of the backend.
        backend: &'static str,
        /// What it does not have.
        option: String,
        /// The option of the command line.
        flag: &'static str,
    },
    /// A backend cannot do what was asked for, for a reason of its own.
    #[error("{what}\n{mend}")]
    Backend {
        /// The reason.
        what: String,
        /// How to mend it.
        mend: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}\n{mend}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// How to mend it.
        mend: &'static str,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}\nfree space or choose a folder that can be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A manifest is damaged.
    #[error("{} is not valid: {what}\n{mend}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// How to mend it.
        mend: &'static str,
    },
    /// A manifest has a version that this program does not read.
    #[error(
        "{} has schema {got}: this program reads schema {expected}\n\
         re-export with this version's \"egom2p export\", or use the version that wrote it", path.display()
    )]
    ManifestSchema {
        /// The manifest.
        path: PathBuf,
        /// The version that this program reads.
        expected: u32,
        /// The version of the file.
        got: u32,
    },
    /// A path leads out of its folder.
    #[error(transparent)]
    Path(#[from] RelativePathError),
}
