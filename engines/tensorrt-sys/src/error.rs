use crate::{Abi, CompiledShim, Family, Version};
use std::fmt;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = SysError> = std::result::Result<T, E>;

/// What can go wrong with TensorRT. The text has two lines: what, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum SysError {
    /// The program has no shim at all.
    #[error("this program was built without TensorRT\nbuild it with \"--features tensorrt\"")]
    NotCompiled,
    /// The program has no shim for the library.
    #[error(
        "{} is version {version} of {abi}, but this program was built for {}\n\
         build it with TENSORRT_INCLUDE_DIR naming a folder with the headers of {abi}, or use a library that it was \
         built for",
        path.display(),
        listed(shims)
    )]
    ShimMissing {
        /// The library.
        path: PathBuf,
        /// What it says.
        version: Version,
        /// What that means.
        abi: Abi,
        /// What the program has.
        shims: Vec<CompiledShim>,
    },
    /// The library is older than the headers of its shim.
    #[error(
        "{} is version {version}, but this program was built with the headers of {headers}\n\
         use a library of version {}.{} or newer, or build with TENSORRT_INCLUDE_DIR naming the headers of {version}",
        path.display(),
        headers.major,
        headers.minor
    )]
    LibraryOlderThanHeaders {
        /// The library.
        path: PathBuf,
        /// What it says.
        version: Version,
        /// What the shim was compiled against.
        headers: Version,
    },
    /// The library is of a version that no shim is made for.
    #[error("{} is version {version}: expected {family}\n{}", path.display(), mend_library(*family))]
    UnsupportedVersion {
        /// The library.
        path: PathBuf,
        /// What it says.
        version: Version,
        /// What it was expected to be.
        family: Family,
    },
    /// There is no such library.
    #[error("there is no library {}\n{}", path.display(), mend_library(*family))]
    LibraryMissing {
        /// The library.
        path: PathBuf,
        /// What it was expected to be.
        family: Family,
    },
    /// The library cannot be loaded.
    #[error("{} cannot be loaded: {why}\n{}", path.display(), mend_library(*family))]
    LibraryBroken {
        /// The library.
        path: PathBuf,
        /// What it was expected to be.
        family: Family,
        /// What the loader says.
        why: String,
    },
    /// The library lacks a function that TensorRT's have.
    #[error("{} is no library of {family}: it has no {symbol}\n{}", path.display(), mend_library(*family))]
    NotTensorRt {
        /// The library.
        path: PathBuf,
        /// What it was expected to be.
        family: Family,
        /// The function.
        symbol: &'static str,
    },
    /// The parser is of another family or major version than the core library.
    #[error(
        "{} does not go with {}: expected {}, got {got}\nname the ONNX parser that came with the library",
        parser.display(),
        core.display(),
        abi.parser_name()
    )]
    WrongParser {
        /// The library with the builder.
        core: PathBuf,
        /// The library with the parser.
        parser: PathBuf,
        /// ABI of the core library.
        abi: Abi,
        /// What the parser calls itself.
        got: String,
    },
    /// The process has opened another library of the same ABI.
    #[error(
        "this process already uses {}, so {} cannot be used\nuse one library in a process",
        open.display(),
        path.display()
    )]
    AnotherLibraryOpen {
        /// The library that was asked for.
        path: PathBuf,
        /// The one that is open.
        open: PathBuf,
    },
    /// There is no CUDA driver.
    #[error("there is no CUDA driver: {why}\ninstall an NVIDIA driver, or use a machine that has one")]
    DriverMissing {
        /// What the loader says.
        why: String,
    },
    /// The CUDA driver does not start.
    #[error(
        "the CUDA driver does not start: {what}\n\
         check the NVIDIA driver with \"nvidia-smi\", and install it anew if that fails too"
    )]
    DriverBroken {
        /// The call and what it gave.
        what: String,
    },
    /// The CUDA driver has no device.
    #[error(
        "the CUDA driver finds no GPU\nuse a machine with an NVIDIA GPU, or make one visible with CUDA_VISIBLE_DEVICES"
    )]
    NoDevice,
    /// What was asked for needs a driver, and none was given.
    #[error("{what} needs an NVIDIA driver\n{mend}")]
    DriverNeeded {
        /// What was asked for.
        what: &'static str,
        /// What to do.
        mend: &'static str,
    },
    /// The ONNX file cannot be read.
    #[error("cannot read {}: {source}\nname an ONNX file that can be read", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The parser takes the file, but finds nothing in it that could be computed: an empty file is such a model.
    #[error("{} has no outputs\nname an ONNX file with a model", path.display())]
    NoOutputs {
        /// The file.
        path: PathBuf,
    },
    /// The parser refuses the network.
    #[error(
        "{}\nexport the stage anew with \"--target standard\", or change what the line names",
        parser_line(path, errors, lines)
    )]
    Parse {
        /// The ONNX file.
        path: PathBuf,
        /// All errors of the parser, in its order.
        errors: Vec<ParserError>,
        /// What TensorRT logged.
        lines: Vec<String>,
    },
    /// The ABI has no enumerator of that name.
    #[error("{abi} has no {kind} {name}\nuse one of: {}", known.join(", "))]
    UnknownName {
        /// ABI of the library.
        abi: Abi,
        /// What the name was to be.
        kind: &'static str,
        /// The name.
        name: String,
        /// Names that the ABI has.
        known: Vec<String>,
    },
    /// A flag is to be both set and cleared.
    #[error("the builder flag {name} is to be both set and cleared\nname it once")]
    FlagSetAndCleared {
        /// The flag.
        name: String,
    },
    /// The ABI builds for no such compute capability.
    #[error("{abi} builds for no compute capability {}.{}\n{}", asked.0, asked.1, mend_capability(known))]
    ComputeCapability {
        /// ABI of the library.
        abi: Abi,
        /// What was asked for.
        asked: (u32, u32),
        /// What the ABI has; none if it builds for the present device only.
        known: Vec<(u32, u32)>,
    },
    /// A profile does not fit the network.
    #[error("profile {profile}: {what}\ngive every dynamic input a range that fits its dimensions")]
    Profile {
        /// Place of the profile.
        profile: usize,
        /// What is wrong.
        what: String,
    },
    /// A setting is outside of what TensorRT takes.
    #[error("{what}\nchange that build setting")]
    Setting {
        /// What is wrong.
        what: String,
    },
    /// The ABI has no timing cache.
    #[error("{abi} has no timing cache\nbuild without one")]
    NoTimingCache {
        /// ABI of the library.
        abi: Abi,
    },
    /// TensorRT refused a call.
    #[error(
        "TensorRT refused {call}{}\nchange what the line names: the network, a profile, a build setting or the engine",
        after_colon(lines)
    )]
    Refused {
        /// The call.
        call: String,
        /// What TensorRT logged.
        lines: Vec<String>,
    },
    /// There was not enough memory.
    #[error("not enough memory for {call}{}\nfree memory, or use a machine with more of it", after_colon(lines))]
    OutOfMemory {
        /// The call.
        call: String,
        /// What TensorRT logged.
        lines: Vec<String>,
    },
    /// A C++ exception.
    #[error(
        "TensorRT failed in {call}{}\nuse another version of the library, or change the network",
        after_colon(lines)
    )]
    Exception {
        /// The call, and the text of the exception.
        call: String,
        /// What TensorRT logged.
        lines: Vec<String>,
    },
    /// A run was given tensors or memory that do not fit the engine.
    #[error("a run does not fit the engine: {what}\nreport this: a size was not checked")]
    Binding {
        /// What does not fit.
        what: String,
    },
    /// The build was cancelled by its progress callback.
    #[error("the build was cancelled\nstart it again when it is wanted")]
    Cancelled,
}

/// One error of the ONNX parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParserError {
    /// Path of the node; empty where the error is of the whole file.
    pub node: String,
    /// Operator of the node; empty where the error is of the whole file.
    pub operator: String,
    /// What is wrong, in the words of the parser.
    pub text: String,
    /// Name of the error code in the parser's header, such as `kUNSUPPORTED_NODE`; its number where the header has
    /// none.
    pub code: String,
    /// Source file of the parser.
    pub file: String,
    /// Line in that file.
    pub line: i32,
    /// Function of the parser.
    pub function: String,
}

impl fmt::Display for ParserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.node.as_str(), self.operator.as_str()) {
            ("", "") => {}
            (node, "") => write!(f, "{node}: ")?,
            ("", operator) => write!(f, "a node without a name ({operator}): ")?,
            (node, operator) => write!(f, "{node} ({operator}): ")?,
        }
        let text = self.text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        write!(f, "{} [{}]", text.trim().trim_end_matches('.'), self.code)
    }
}

fn listed(shims: &[CompiledShim]) -> String {
    shims.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn after_colon(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join("; ")) }
}

/// An error of a whole file says little: what TensorRT logged before it has the reason.
fn parser_line(path: &Path, errors: &[ParserError], lines: &[String]) -> String {
    let path = path.display();
    let Some((first, rest)) = errors.split_first() else {
        return format!("TensorRT cannot parse {path}{}", after_colon(lines));
    };
    let reason = if first.node.is_empty() { lines.first() } else { None };
    let reason = reason.map(|line| format!(" ({line})")).unwrap_or_default();
    let more = match rest.len() {
        0 => String::new(),
        1 => ", and 1 more error".to_owned(),
        n_errors => format!(", and {n_errors} more errors"),
    };
    format!("{first}{reason}, in {path}{more}")
}

fn mend_library(family: Family) -> &'static str {
    match family {
        Family::Rtx => "run \"cargo xtask setup\", or name a folder with the libraries with TENSORRT_RTX_LIBRARY",
        Family::TensorRt => {
            "install TensorRT 10 or 11 from NVIDIA, and name the folder with its libraries with TENSORRT_LIBRARY"
        }
    }
}

fn mend_capability(known: &[(u32, u32)]) -> String {
    if known.is_empty() {
        return "leave compute capabilities out to build for the present device, or use TensorRT-RTX".to_owned();
    }
    let known: Vec<String> = known.iter().map(|(major, minor)| format!("{major}.{minor}")).collect();
    format!("use one of: {}", known.join(", "))
}
