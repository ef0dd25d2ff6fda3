use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use egom2p::engine_stages::EngineStages;
use egom2p_engine_core::SessionOptions;
use egom2p_engines::{BackendOptions, Bundle};

/// How engines run.
#[derive(clap::Args)]
#[command(next_help_heading = "Engines")]
pub(crate) struct EngineArgs {
    /// Threads of the engines and the sampler [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The ONNX Runtime library [default: `$ORT_DYLIB_PATH`, beside the program, or what `cargo xtask setup` fetched]
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
    /// The library of tensorrt or tensorrt-rtx, or its folder [default: `$TENSORRT_LIBRARY` or `$TENSORRT_RTX_LIBRARY`,
    /// beside the program, where NVIDIA installs it, or what `cargo xtask setup` fetched]
    #[arg(long, value_name = "FILE|DIR")]
    tensorrt: Option<PathBuf>,
    /// Give memory back after every call: lower peak, slower
    #[arg(long)]
    low_memory: bool,
    /// Rearrange weights when an engine is loaded: seconds and a private copy of the weights for up to a tenth less time
    /// per call, which pays for many clips
    #[arg(long)]
    prepack: bool,
    /// Let threads wait busily between operations: faster on an idle machine, much slower on a shared one
    #[arg(long)]
    spin: bool,
}

impl EngineArgs {
    /// What was typed, or one thread per core.
    pub(crate) fn n_threads(&self) -> NonZeroUsize {
        let typed = self.threads.map(usize::from).and_then(NonZeroUsize::new);
        typed.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }

    /// Where native libraries are.
    pub(crate) fn backend_options(&self) -> BackendOptions {
        BackendOptions {
            onnxruntime_library: self.onnxruntime.clone(),
            tensorrt_library: self.tensorrt.clone(),
            timing_cache: None,
        }
    }

    /// Opens a bundle; nothing native is loaded before the first call.
    pub(crate) fn open(&self, bundle: &Path) -> anyhow::Result<EngineStages> {
        let bundle = Bundle::open(bundle, self.backend_options())?;
        Ok(EngineStages::new(bundle, self.session_options()))
    }

    /// How sessions run.
    pub(crate) fn session_options(&self) -> SessionOptions {
        SessionOptions {
            threads: Some(self.n_threads()),
            memory_arena: !self.low_memory,
            prepack: self.prepack,
            spinning: self.spin,
        }
    }
}
