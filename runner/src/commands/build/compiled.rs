use std::{collections::BTreeMap, path::PathBuf};

use anyhow::bail;
use egom2p_engine_core::{CompileOptions, ComputeCapability, EngineWeights, HardwareCompatibility};
use egom2p_engines::BackendKind;

use super::{adopted::AdoptedEngine, size};

/// How engines for NVIDIA GPUs are compiled.
#[derive(clap::Args)]
#[command(next_help_heading = "Compiled engines")]
pub(super) struct CompiledArgs {
    /// GPUs to compile for, with tensorrt-rtx, such as 8.6,8.9 [default: the GPU of this machine]
    #[arg(long, value_name = "N.N", value_delimiter = ',', value_parser = compute_capability)]
    compute_capability: Vec<ComputeCapability>,
    /// How hard the compiler tries, from 0 to 5 [default: the compiler's]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=5))]
    optimization_level: Option<u8>,
    /// Device memory that a layer may use to compute, such as 512MB or 4GB [default: all of the device's]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    workspace: Option<u64>,
    /// Let products of fp32 numbers be computed in TF32, which keeps 10 bits of their mantissas
    #[arg(long)]
    tf32: bool,
    /// Let later versions of the library, of the same major version, run the engines
    #[arg(long)]
    version_compatible: bool,
    /// Let other GPUs than those that they are compiled for run the engines
    #[arg(long, value_enum, value_name = "GPUS")]
    hardware_compatibility: Option<Compatibility>,
    /// Where the weights are
    #[arg(long, value_enum, value_name = "WHERE", default_value_t)]
    engine_weights: Weights,
    /// The folder for timing caches of tensorrt [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub(super) timing_cache: Option<PathBuf>,
    /// The library of tensorrt or tensorrt-rtx, or its folder
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) tensorrt: Option<PathBuf>,
    /// An engine that was built elsewhere, to take over instead of compiling one
    #[arg(long, value_name = "STAGE.VARIANT=FILE", value_parser = AdoptedEngine::parse)]
    engine: Vec<AdoptedEngine>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Compatibility {
    /// Every GPU of compute capability 8.0 or later
    AmperePlus,
    /// Every GPU of the same compute capability
    SameComputeCapability,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Weights {
    /// In the engine, for good
    #[default]
    Embedded,
    /// In the engine, and they can be replaced
    Refittable,
    /// Not in the engine: they are put in when it is loaded
    Stripped,
}

impl CompiledArgs {
    /// Refuses what the backend would not look at.
    pub(super) fn check(&self, backend: BackendKind) -> anyhow::Result<()> {
        let given = [("--timing-cache", self.timing_cache.is_some()), ("--tensorrt", self.tensorrt.is_some())];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if backend == BackendKind::OnnxRuntime => {
                bail!("onnxruntime has no use for {option}\nleave it out, or choose another --backend")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn options(&self) -> CompileOptions {
        let mut compute_capabilities = self.compute_capability.clone();
        compute_capabilities.sort_unstable();
        compute_capabilities.dedup();
        CompileOptions {
            compute_capabilities,
            optimization_level: self.optimization_level,
            workspace_bytes: self.workspace,
            tf32: self.tf32,
            version_compatible: self.version_compatible,
            hardware_compatibility: self.hardware_compatibility.map(|compatibility| match compatibility {
                Compatibility::AmperePlus => HardwareCompatibility::AmperePlus,
                Compatibility::SameComputeCapability => HardwareCompatibility::SameComputeCapability,
            }),
            weights: match self.engine_weights {
                Weights::Embedded => EngineWeights::Embedded,
                Weights::Refittable => EngineWeights::Refittable,
                Weights::Stripped => EngineWeights::Stripped,
            },
        }
    }

    /// The engines that were built elsewhere, by stage and variant.
    pub(super) fn adopted(&self) -> anyhow::Result<BTreeMap<(String, String), PathBuf>> {
        AdoptedEngine::by_name(&self.engine)
    }
}

fn compute_capability(text: &str) -> Result<ComputeCapability, String> {
    text.parse().map_err(|error| super::super::one_line(&error))
}
