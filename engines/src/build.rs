use crate::ProfileOverrides;
use egom2p_engine_core::{CompileOptions, Device, EngineMemory, RelativePath};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What to build, and how.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Where the engines are to run.
    pub device: Device,
    /// The stages to build; `None` for all. The others stay in the bundle as they are, unless the export has changed
    /// a file that they share.
    pub stages: Option<Vec<String>>,
    /// Ranges of named dimensions, in place of the export's.
    pub profiles: ProfileOverrides,
    /// How engines are compiled, for backends that compile.
    pub compile: CompileOptions,
    /// Engines that were built elsewhere, by stage and variant: they are taken over where others are compiled.
    pub adopted: BTreeMap<(String, String), PathBuf>,
    /// Whether to build even what has not changed, and to replace a bundle that cannot be read.
    pub force: bool,
    /// Whether to check unchanged files against their digests, not only against their size and time.
    pub verify: bool,
}

/// What a build did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildSummary {
    /// Engines that were built.
    pub built: Vec<BuiltVariant>,
    /// Engines that were as they should be, as stage and variant.
    pub unchanged: Vec<(String, String)>,
    /// Engines that the bundle no longer has, as stage and variant.
    pub dropped: Vec<(String, String)>,
    /// Files that nothing needs any more, and that were removed.
    pub removed: Vec<RelativePath>,
    /// Seconds that it all took.
    pub secs: f64,
}

/// One engine that was built.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltVariant {
    /// Name of the stage.
    pub stage: String,
    /// Name of the variant.
    pub variant: String,
    /// Seconds that it took.
    pub secs: f64,
    /// Bytes of weights that the engine shares with the export.
    pub shared_bytes: u64,
    /// Bytes of the engine's own files.
    pub own_bytes: u64,
    /// Device memory that the engine takes; none for backends that do not compile.
    pub memory: Option<EngineMemory>,
    /// The most memory of this machine that the process held during the build, where it is known.
    pub peak_bytes: Option<u64>,
}

impl BuildSummary {
    /// Whether there was nothing to do.
    pub fn nothing_to_do(&self) -> bool {
        self.built.is_empty() && self.dropped.is_empty() && self.removed.is_empty()
    }
}
