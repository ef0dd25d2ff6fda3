use std::{fs, num::NonZeroUsize, path::Path};

use egom2p_engine_core::{
    BuildRequest, CompileOptions, Device, ExportManifest, OpenRequest, RelativePath, Session, SessionOptions, Tensor,
};
use egom2p_engines::{BackendKind, BackendOptions, ONNX_FOLDER, open_backend};
use egom2p_model::{Stage, Variant};
use egom2p_onnx_proto::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionValue, GraphProto, Message as _, NodeProto,
    TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto, decode_model,
};
use tempfile::TempDir;

use super::BuiltModel;

/// A value inside an exported stage: the last one whose name, `SCOPE/OPERATION/OPERATOR`, begins so.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The beginning of the name.
    pub path: &'static str,
    /// The number of axes.
    pub rank: usize,
}

/// An engine of a stage that gives values inside it instead of its outputs.
pub struct InsideEngine {
    session: Box<dyn Session>,
    _folder: TempDir,
}

impl InsideEngine {
    /// Builds the engine from the ONNX file of a stage, which keeps its nodes and weights and gets other outputs.
    ///
    /// # Panics
    /// When the model has no such value, or the engine cannot be built.
    pub fn new(model: &BuiltModel, stage: Stage, variant: Variant, places: &[Place], n_threads: NonZeroUsize) -> Self {
        let exported = model.folder().join(ONNX_FOLDER);
        let manifest = ExportManifest::read(&exported).expect("an export");
        let entry = manifest.stages[stage.name()].iter().find(|entry| entry.name == variant.name());
        let entry = entry.expect("the variant is exported");
        let mut onnx = decode_model(&fs::read(entry.onnx.below(&exported)).expect("the file is there"))
            .expect("the export is sound");
        show(onnx.graph.as_mut().expect("a model has a graph"), places);

        let parent = model.folder().parent().expect("a bundle lies in a folder");
        let folder = tempfile::tempdir_in(parent).expect("the cache can be written to");
        let [root, inside] = [folder.path(), &folder.path().join(ONNX_FOLDER)];
        fs::create_dir(inside).expect("the cache can be written to");
        fs::write(inside.join("inside.onnx"), onnx.encode_to_vec()).expect("the cache can be written to");
        for weights in &entry.weights {
            fs::hard_link(weights.below(&exported), weights.below(inside)).expect("one file system");
        }
        let session = open(root, n_threads);
        Self { session, _folder: folder }
    }

    /// The values at the places, in their order.
    ///
    /// # Panics
    /// When the inputs are not those of the stage.
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Vec<Tensor> {
        let outputs = self.session.run(inputs).unwrap_or_else(|error| panic!("{error}"));
        outputs.into_iter().map(|(_, tensor)| tensor).collect()
    }
}

fn open(root: &Path, n_threads: NonZeroUsize) -> Box<dyn Session> {
    let backend = open_backend(BackendKind::OnnxRuntime, &BackendOptions::default()).expect("the backend is built in");
    let path = |text: &str| RelativePath::new(text).expect("a relative path");
    let (onnx, engine_dir) = (path("onnx/inside.onnx"), path("engines"));
    let (profiles, device) = (&[], Device::Cpu);
    let request = BuildRequest {
        root,
        onnx: &onnx,
        engine_dir: &engine_dir,
        name: "inside",
        profiles,
        device,
        options: &CompileOptions::default(),
        monitor: &(),
    };
    let files = backend.build(&request).unwrap_or_else(|error| panic!("{error}")).files;
    let engine = backend.open(&OpenRequest { root, files: &files, profiles, device });
    let options = SessionOptions { threads: Some(n_threads), ..SessionOptions::default() };
    let session = engine.and_then(|engine| engine.session(&options));
    session.unwrap_or_else(|error| panic!("{error}"))
}

/// Makes the places the outputs of the graph, in single precision.
fn show(graph: &mut GraphProto, places: &[Place]) {
    graph.output.clear();
    for (index, place) in places.iter().enumerate() {
        let names = graph.node.iter().rev().flat_map(|node| &node.output);
        let name = names.clone().find(|name| name.starts_with(place.path));
        let inside = name.unwrap_or_else(|| panic!("no value is called {}", place.path)).clone();
        let name = format!("inside/{index}");
        let axis = |axis| Dimension {
            value: Some(DimensionValue::DimParam(format!("{name}[{axis}]"))),
            ..Dimension::default()
        };
        let tensor = TensorType {
            elem_type: DataType::Float as i32,
            shape: Some(TensorShapeProto { dim: (0..place.rank).map(axis).collect() }),
        };
        let r#type = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
        graph.node.push(cast_to_single(inside, &name));
        graph.output.push(ValueInfoProto { name, r#type: Some(r#type), ..ValueInfoProto::default() });
    }
}

fn cast_to_single(from: String, to: &str) -> NodeProto {
    let attribute = AttributeProto {
        name: "to".to_owned(),
        r#type: AttributeType::Int as i32,
        i: Some(DataType::Float as i64),
        ..AttributeProto::default()
    };
    NodeProto {
        input: vec![from],
        output: vec![to.to_owned()],
        name: to.to_owned(),
        op_type: "Cast".to_owned(),
        attribute: vec![attribute],
        ..NodeProto::default()
    }
}
