use crate::library::Library;
use crate::message::{NAME, one_line};
use crate::sharing::{Sources, share};
use egom2p_engine_core::onnx::{check_external, model_specs, read_model};
use egom2p_engine_core::{BuildReport, BuildRequest, EngineError, Result};
use egom2p_onnx_proto::Message;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The optimisations that are saved. The level above this one lays weights out for the processor at hand, which would
/// tie a bundle to it, and gains nothing on these graphs.
const LEVEL: GraphOptimizationLevel = GraphOptimizationLevel::Level2;
/// Weights of at least this size stand in files; smaller ones stand in the graph.
const EXTERNAL_BYTES: u32 = 1024;

const GRAPH_FILE: &str = "optimised.onnx";
const WEIGHTS_FILE: &str = "optimised.weights";

/// Lets ONNX Runtime optimise a graph, saves what comes out, and shares the weights with the source model.
pub(crate) fn build(library: &Library, request: &BuildRequest<'_>) -> Result<BuildReport> {
    let source_path = request.onnx.below(request.root);
    let source_folder = source_path.parent().unwrap_or(request.root);
    let (mut source, _) = read_model(&source_path)?;
    check_external(&mut source, &source_path, source_folder)?;
    model_specs(&source, &source_path)?;

    let partial = request.engine_dir.join(&format!(".partial-{}", request.name))?;
    let partial = PartialFolder::create(partial.below(request.root))?;
    optimise(library, &source_path, &partial.0).map_err(|error| EngineError::Native {
        backend: NAME,
        action: format!("optimise {}", source_path.display()),
        what: one_line(&error),
        mend: "free space if the disk is full; otherwise re-export with \"egom2p export\" and check the library: \"egom2p doctor\"",
    })?;

    let graph_path = partial.file(GRAPH_FILE);
    let (mut model, _) = read_model(&graph_path)?;
    let sources = Sources::new(&source, request.root, request.onnx.parent().as_ref())?;
    let own = request.engine_dir.join(&format!("{}.weights", request.name))?;
    let own_partial = partial.file("own.weights");
    let shared = share(&mut model, &partial.0, &sources, (&own_partial, &own))?;

    let engine = request.engine_dir.join(&format!("{}.onnx", request.name))?;
    let bytes = model.encode_to_vec();
    let engine_partial = partial.file("engine.onnx");
    write_synced(&engine_partial, &bytes)?;

    let mut files = vec![engine.clone()];
    if !shared.rewritten.is_empty() {
        rename(&own_partial, &own.below(request.root))?;
        files.push(own);
    }
    rename(&engine_partial, &engine.below(request.root))?;
    Ok(BuildReport {
        files,
        shared_bytes: shared.source_bytes,
        own_bytes: shared.own_bytes + bytes.len() as u64,
        rewritten: shared.rewritten,
        memory: None,
        peak_bytes: None,
    })
}

/// What every session of this backend has in common.
pub(crate) fn session_builder(library: &Library) -> Result<SessionBuilder, ort::Error> {
    Ok(Session::builder(&library.environment)?
        .with_auto_device(ort::session::builder::AutoDevicePolicy::PreferCPU)?
        .with_no_environment_execution_providers()?)
}

fn optimise(library: &Library, source: &Path, folder: &Path) -> Result<(), ort::Error> {
    session_builder(library)?
        .with_optimization_level(LEVEL)?
        .with_prepacking(false)?
        .with_intra_threads(1)?
        .with_optimized_model_path(folder.join(GRAPH_FILE))?
        .with_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS_FILE)?
        .with_config_entry(
            "session.optimized_model_external_initializers_min_size_in_bytes",
            EXTERNAL_BYTES.to_string(),
        )?
        .commit_from_file(source)?;
    Ok(())
}

/// A folder for unfinished files, removed with whatever is left in it.
pub(crate) struct PartialFolder(PathBuf);

impl PartialFolder {
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        let write = |source| EngineError::Write { path: path.clone(), source };
        if path.exists() {
            fs::remove_dir_all(&path).map_err(write)?;
        }
        fs::create_dir_all(&path).map_err(write)?;
        Ok(Self(path))
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        // The next build removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|source| EngineError::Write { path: path.to_owned(), source })
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|source| EngineError::Write { path: to.to_owned(), source })
}
