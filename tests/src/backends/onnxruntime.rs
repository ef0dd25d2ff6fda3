use std::{error::Error, fs, num::NonZeroUsize, path::Path};

use egom2p_engine_core::{
    Backend, BuildRequest, CompileOptions, Data, Device, Engine, EngineError, OpenRequest, RelativePath,
    SessionOptions, Tensor,
};
use egom2p_engine_onnxruntime::OnnxRuntime;
use egom2p_export::{ExternalLayout, Target, export_graph, write_weights};
use egom2p_graph::{Graph, Literal, LiteralData, Parameters};

use crate::op_suite::{Case, Runs};

/// Export to ONNX for one target, an engine of ONNX Runtime, one thread.
pub struct ExportedToOnnxRuntime {
    backend: OnnxRuntime,
    target: Target,
}

impl ExportedToOnnxRuntime {
    /// The backend, or `None` with a line on standard error where the library is absent.
    ///
    /// # Panics
    /// When there is a library that does not work.
    pub fn open(target: Target) -> Option<Self> {
        let backend = OnnxRuntime::default();
        match backend.check() {
            Ok(_) => Some(Self { backend, target }),
            Err(error @ EngineError::LibraryMissing { .. }) => {
                #[allow(clippy::print_stderr, reason = "a skipped test says so")]
                {
                    eprintln!("skipped: {error}");
                }
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Exports a graph into the folder `root`, has the library optimise it, and opens what came of it.
    pub fn engine(
        &self,
        root: &Path,
        graph: &Graph,
        parameters: &dyn Parameters,
    ) -> Result<Box<dyn Engine>, Box<dyn Error>> {
        let (onnx, engine_dir) = (RelativePath::new("onnx/case.onnx")?, RelativePath::new("engines")?);
        write_model(&onnx.below(root), graph, parameters, self.target)?;
        let (profiles, device) = (&[], Device::Cpu);
        let request = BuildRequest {
            root,
            onnx: &onnx,
            engine_dir: &engine_dir,
            name: "case",
            profiles,
            device,
            options: &CompileOptions::default(),
            monitor: &(),
        };
        let files = self.backend.build(&request)?.files;
        Ok(self.backend.open(&OpenRequest { root, files: &files, profiles, device })?)
    }
}

impl Runs for ExportedToOnnxRuntime {
    fn name(&self) -> String {
        format!("{} on onnxruntime", self.target)
    }

    fn run(&self, case: &Case) -> Result<Vec<(String, Literal)>, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let engine = self.engine(folder.path(), &case.graph, case.parameters.as_ref())?;
        let options = SessionOptions { threads: NonZeroUsize::new(1), ..SessionOptions::default() };
        let inputs = case.inputs.iter().map(|(name, literal)| Ok((*name, to_tensor(literal)?)));
        let inputs: Vec<(&str, Tensor)> = inputs.collect::<Result<_, EngineError>>()?;
        let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let outputs = engine.session(&options)?.run(&inputs)?;
        outputs.into_iter().map(|(name, tensor)| Ok((name, to_literal(&tensor)?))).collect()
    }
}

fn write_model(path: &Path, graph: &Graph, parameters: &dyn Parameters, target: Target) -> Result<(), Box<dyn Error>> {
    const WEIGHTS: &str = "case.weights";
    let folder = path.parent().expect("a file in a folder");
    fs::create_dir_all(folder)?;
    let layout = ExternalLayout::new(WEIGHTS, [graph])?;
    write_weights(&folder.join(WEIGHTS), &layout, [graph], parameters)?;
    fs::write(path, export_graph(graph, target, &layout)?)?;
    Ok(())
}

fn to_tensor(literal: &Literal) -> Result<Tensor, EngineError> {
    let data = match literal.data() {
        LiteralData::F32(values) => Data::F32(values.clone()),
        LiteralData::I64(values) => Data::I64(values.clone()),
        LiteralData::Bool(values) => Data::Bool(values.clone()),
    };
    Tensor::new(literal.shape().to_vec(), data)
}

fn to_literal(tensor: &Tensor) -> Result<Literal, egom2p_graph::LiteralError> {
    let data = match tensor.data() {
        Data::F32(values) => LiteralData::F32(values.clone()),
        Data::I64(values) => LiteralData::I64(values.clone()),
        Data::Bool(values) => LiteralData::Bool(values.clone()),
    };
    Literal::new(tensor.shape().to_vec(), data)
}
