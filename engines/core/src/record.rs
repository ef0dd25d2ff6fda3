use crate::{CompileOptions, ComputeCapability, Digest, EngineError, FileEntry, Profile, Result, TensorSpec};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Version of the record that this program writes and reads.
pub const ENGINE_RECORD_SCHEMA: u32 = 1;
/// What the name of a compiled engine's file ends with.
pub const ENGINE_SUFFIX: &str = ".engine";
/// What a record's file adds to the name of its engine.
pub const ENGINE_RECORD_SUFFIX: &str = ".json";

/// The largest record that is read.
const MAX_RECORD_BYTES: u64 = 256 << 20;

/// What a compiled engine is: the file `NAME.engine.json` beside `NAME.engine`.
///
/// A compiled engine tells nothing about itself without its library and a device; its record does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineRecord {
    /// Version of the record: [`ENGINE_RECORD_SCHEMA`].
    pub schema: u32,
    /// Size and digest of the engine.
    pub engine: FileEntry,
    /// Name of the backend.
    pub backend: String,
    /// Version of the library that compiled it.
    pub library: String,
    /// What it runs on.
    pub target: EngineTarget,
    /// What it was compiled with.
    pub options: CompileOptions,
    /// What it takes.
    pub inputs: Vec<TensorSpec>,
    /// What it gives.
    pub outputs: Vec<TensorSpec>,
    /// Ranges of named dimensions that it was compiled for; a call must fit one of them.
    pub profiles: Vec<Profile>,
    /// Device memory that it takes.
    pub memory: EngineMemory,
    /// The layers after optimisation, as far as the library tells.
    pub layers: Vec<LayerRecord>,
    /// Digest of the ONNX file that it was compiled from; none for an engine that was built elsewhere.
    pub onnx: Option<Digest>,
    /// Seconds that compiling took; none for an engine that was built elsewhere.
    pub build_secs: Option<f64>,
    /// The most memory of this machine that the process held while it compiled, where the system tells.
    pub build_peak_bytes: Option<u64>,
}

/// What a compiled engine runs on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineTarget {
    /// The processor, any of them.
    Cpu,
    /// Devices of these compute capabilities; where there are none, every NVIDIA GPU that the backend's library supports.
    ComputeCapabilities(Vec<ComputeCapability>),
    /// The device that it was compiled on.
    Device {
        /// Its name.
        name: String,
        /// Its compute capability.
        compute_capability: ComputeCapability,
    },
}

/// Device memory of an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineMemory {
    /// Bytes of weights.
    pub weights_bytes: Option<u64>,
    /// Bytes of activations that a context needs, for the most demanding profile.
    pub activation_bytes: Option<u64>,
}

/// One layer of a compiled engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRecord {
    /// Its name in the engine.
    pub name: String,
    /// What it is, in the words of the library.
    pub kind: String,
    /// What it takes.
    pub inputs: Vec<LayerTensor>,
    /// What it gives.
    pub outputs: Vec<LayerTensor>,
    /// The implementation that was chosen; empty where the library does not tell.
    pub tactic: String,
    /// Names of the ONNX nodes that it computes.
    pub nodes: Vec<String>,
}

/// A tensor between layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerTensor {
    /// Its name.
    pub name: String,
    /// Its element type, in the words of the library.
    pub dtype: String,
    /// Its shape, -1 for an axis that is known at run time.
    pub shape: Vec<i64>,
}

impl EngineRecord {
    /// Where the record of an engine is.
    pub fn path(engine: &Path) -> PathBuf {
        let mut name = engine.as_os_str().to_owned();
        name.push(ENGINE_RECORD_SUFFIX);
        PathBuf::from(name)
    }

    /// Reads a record. Its engine is not looked at.
    pub fn read(path: &Path) -> Result<Self> {
        let read = |source| EngineError::Read {
            path: path.to_owned(),
            source,
            mend: "an engine's record is written when it is built; build it again with \"egom2p build --force\"",
        };
        let damaged = |what: String| EngineError::Manifest {
            path: path.to_owned(),
            what,
            mend: "build the engine again with \"egom2p build --force\"",
        };
        let mut text = String::new();
        let n_bytes = File::open(path)
            .and_then(|file| file.take(MAX_RECORD_BYTES + 1).read_to_string(&mut text))
            .map_err(read)?;
        if n_bytes as u64 > MAX_RECORD_BYTES {
            return Err(damaged(format!("it has more than {MAX_RECORD_BYTES} bytes")));
        }
        let first_line = |error: serde_json::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
        let Schema { schema } = serde_json::from_str(&text).map_err(|error| damaged(first_line(error)))?;
        if schema != ENGINE_RECORD_SCHEMA {
            return Err(damaged(format!("it has schema {schema}, this program reads {ENGINE_RECORD_SCHEMA}")));
        }
        serde_json::from_str(&text).map_err(|error| damaged(first_line(error)))
    }

    /// The record as it stands in its file.
    ///
    /// # Panics
    /// Never: names and finite numbers can always be written as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("names and finite numbers can always be written as JSON")
    }
}

impl std::fmt::Display for EngineTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EngineTarget::Cpu => f.write_str("cpu"),
            EngineTarget::ComputeCapabilities(capabilities) if capabilities.is_empty() => f.write_str("any NVIDIA GPU"),
            EngineTarget::ComputeCapabilities(capabilities) => {
                let names: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
                write!(f, "compute capability {}", names.join(", "))
            }
            EngineTarget::Device { name, compute_capability } => {
                write!(f, "{name}, compute capability {compute_capability}")
            }
        }
    }
}

/// The field that is read before the others, which a newer record may lay out differently.
#[derive(Deserialize)]
struct Schema {
    schema: u32,
}
