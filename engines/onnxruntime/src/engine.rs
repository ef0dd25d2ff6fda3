use crate::library::Library;
use crate::session::OrtSession;
use egom2p_engine_core::onnx::{broken, check_external, model_specs, read_model};
use egom2p_engine_core::{Engine, OpenRequest, Result, Session, SessionOptions, TensorSpec};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An optimised graph, checked and ready to be handed to ONNX Runtime.
pub(crate) struct OrtEngine {
    pub(crate) library: &'static Library,
    pub(crate) path: PathBuf,
    /// The folder that the places of external weights are relative to.
    pub(crate) root: PathBuf,
    pub(crate) graph: Vec<u8>,
    pub(crate) inputs: Arc<[TensorSpec]>,
    pub(crate) outputs: Arc<[TensorSpec]>,
}

impl OrtEngine {
    pub(crate) fn open(library: &'static Library, request: &OpenRequest<'_>) -> Result<Self> {
        let Some(file) = request.files.first() else {
            return Err(broken(request.root, "the engine has no files".to_owned()));
        };
        let path = file.below(request.root);
        let (mut model, graph) = read_model(&path)?;
        check_external(&mut model, &path, request.root)?;
        let (inputs, outputs) = model_specs(&model, &path)?;
        let root = absolute(request.root, &path)?;
        Ok(Self { library, path, root, graph, inputs: inputs.into(), outputs: outputs.into() })
    }
}

impl Engine for OrtEngine {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>> {
        Ok(Box::new(OrtSession::load(self, options)?))
    }
}

fn absolute(root: &Path, engine: &Path) -> Result<PathBuf> {
    std::path::absolute(root).map_err(|source| egom2p_engine_core::EngineError::Read {
        path: engine.to_owned(),
        source,
        mend: "name the bundle by its full path",
    })
}
