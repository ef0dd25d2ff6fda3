//! The ONNX graph under construction: the one file of this crate that writes protobuf messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
};

use egom2p_graph::{DType, Dim, Fact, Literal, LiteralData};
use egom2p_onnx_proto::{
    AttributeProto, AttributeType, DataLocation, DataType, Dimension, DimensionValue, FunctionProto, GraphProto,
    Message, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TensorType, TypeProto, TypeValue, ValueInfoProto,
};

use crate::{ExportError, ExternalLayout, Target, constants, encoding, reads::Stored};

/// The name of an ONNX value; cheap to copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Wire(Rc<str>);

/// The value of a node's attribute.
pub(crate) enum Attribute {
    /// A number.
    Float(f32),
    /// An integer, or a truth value as 0 or 1.
    Int(i64),
    /// Integers.
    Ints(Vec<i64>),
    /// A keyword.
    Text(&'static str),
}

/// What [`Context::cast`] converts to.
#[derive(Clone, Copy)]
pub(crate) enum Element {
    /// A type of the graph's; a number that is not zero is true.
    Of(DType),
    /// 32-bit integer, which some operators of ONNX Runtime take masks in.
    Int32,
}

/// A stretch of a stored tensor, read in a shape of its own: the same bytes of the weights file, never a copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct View {
    /// The tensor.
    pub(crate) stored: Stored,
    /// The first element.
    pub(crate) start: usize,
    /// The shape it is read in.
    pub(crate) shape: Vec<usize>,
}

/// Collects nodes and initialisers, and gives everything its name.
pub(crate) struct Context<'g> {
    target: Target,
    stage: &'g str,
    layout: &'g ExternalLayout,
    path: String,
    names: BTreeSet<String>,
    graph: GraphProto,
    literals: BTreeMap<(DType, Vec<usize>, Vec<u8>), Wire>,
    views: BTreeMap<View, Wire>,
    renamed: BTreeMap<Wire, Wire>,
    is_contrib_used: bool,
    functions: Vec<FunctionProto>,
    body: Option<Vec<NodeProto>>,
}

/// The domain of ONNX Runtime's own operators.
const CONTRIB: &str = "com.microsoft";
/// The domain of the functions that a model brings along.
const LOCAL: &str = "egom2p";

impl Wire {
    /// The name that stands for an optional input left out.
    pub(crate) fn absent() -> Self {
        Self("".into())
    }
}

impl<'g> Context<'g> {
    /// An empty graph. `reserved` are the names that belong to inputs and outputs.
    pub(crate) fn new(
        stage: &'g str,
        target: Target,
        layout: &'g ExternalLayout,
        reserved: impl IntoIterator<Item = &'g str>,
    ) -> Result<Self, ExportError> {
        let graph = GraphProto { name: stage.to_owned(), ..GraphProto::default() };
        let mut context = Self {
            target,
            stage,
            layout,
            path: String::new(),
            names: BTreeSet::new(),
            graph,
            literals: BTreeMap::new(),
            views: BTreeMap::new(),
            renamed: BTreeMap::new(),
            is_contrib_used: false,
            functions: Vec::new(),
            body: None,
        };
        for name in reserved {
            context.reserve(name)?;
        }
        Ok(context)
    }

    /// Who will read the model.
    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// Says which path the nodes to come are named after.
    pub(crate) fn enter(&mut self, path: impl fmt::Display) {
        self.path = path.to_string();
    }

    /// Declares an input of the model.
    pub(crate) fn input(&mut self, name: &str, fact: &Fact) -> Wire {
        self.graph.input.push(value_info(name, fact));
        Wire(name.into())
    }

    /// A node of the standard domain with one output.
    pub(crate) fn node(&mut self, op: &str, inputs: &[&Wire], attributes: &[(&str, Attribute)]) -> Wire {
        self.push("", op, inputs, attributes)
    }

    /// A node of ONNX Runtime's own domain with one output.
    pub(crate) fn contrib(&mut self, op: &str, inputs: &[&Wire], attributes: &[(&str, Attribute)]) -> Wire {
        self.is_contrib_used = true;
        self.push(CONTRIB, op, inputs, attributes)
    }

    /// A node that calls the function `name`, which the model brings along; `body` says what it does, the first time.
    ///
    /// Within `body`, the inputs go by the names given here, and nodes and constants are the function's own.
    pub(crate) fn call<const N: usize>(
        &mut self,
        name: &'static str,
        inputs: [(&'static str, &Wire); N],
        body: impl FnOnce(&mut Self, [Wire; N]) -> Wire,
    ) -> Wire {
        if self.functions.iter().all(|function| function.name != name) {
            let formal = inputs.map(|(name, _)| Wire(name.into()));
            let outer = (
                std::mem::replace(&mut self.path, name.to_owned()),
                std::mem::replace(&mut self.names, formal.iter().map(|wire| wire.0.to_string()).collect()),
                std::mem::take(&mut self.literals),
            );
            self.body = Some(Vec::new());
            let output = body(self, formal.clone());
            self.functions.push(FunctionProto {
                name: name.to_owned(),
                domain: LOCAL.to_owned(),
                input: formal.iter().map(|wire| wire.0.to_string()).collect(),
                output: vec![output.0.to_string()],
                node: self.body.take().unwrap_or_default(),
                opset_import: vec![opset("", self.target.opset().version())],
                ..FunctionProto::default()
            });
            (self.path, self.names, self.literals) = outer;
        }
        self.push(LOCAL, name, &inputs.map(|(_, wire)| wire), &[])
    }

    /// The same values as another type.
    pub(crate) fn cast(&mut self, x: &Wire, element: Element) -> Wire {
        let to = match element {
            Element::Of(dtype) => data_type(dtype),
            Element::Int32 => DataType::Int32,
        };
        self.node("Cast", &[x], &[("to", Attribute::Int(to as i64))])
    }

    /// Integers known now, of rank 1.
    pub(crate) fn integers(&mut self, values: &[i64]) -> Wire {
        self.embed(&[values.len()], &LiteralData::I64(values.to_vec()))
    }

    /// One integer known now, of rank 0.
    pub(crate) fn integer(&mut self, value: i64) -> Wire {
        self.embed(&[], &LiteralData::I64(vec![value]))
    }

    /// One float known now, of rank 0.
    pub(crate) fn float(&mut self, value: f32) -> Wire {
        self.floats(DType::F32, &[], vec![value])
    }

    /// Floats known now, rounded to the float type `dtype`.
    pub(crate) fn floats(&mut self, dtype: DType, shape: &[usize], values: Vec<f32>) -> Wire {
        let bytes = encoding::float_bytes(&values, dtype);
        self.embed_bytes(dtype, shape, &LiteralData::F32(values), bytes)
    }

    /// Values known now; equal ones are one initialiser. They stand in the model itself.
    pub(crate) fn embed(&mut self, shape: &[usize], data: &LiteralData) -> Wire {
        self.embed_bytes(dtype_of(data), shape, data, encoding::literal_bytes(data))
    }

    fn embed_bytes(&mut self, dtype: DType, shape: &[usize], data: &LiteralData, bytes: Vec<u8>) -> Wire {
        let key = (dtype, shape.to_vec(), bytes.clone());
        if let Some(wire) = self.literals.get(&key) {
            return wire.clone();
        }
        let name = self.unique(&literal_name(&self.path, dtype, shape, data));
        let tensor = TensorProto { raw_data: Some(bytes), ..tensor(&name, dtype, shape) };
        let wire = Wire(name.as_str().into());
        match &mut self.body {
            None => self.graph.initializer.push(tensor),
            Some(body) => {
                let value = AttributeProto {
                    name: "value".to_owned(),
                    r#type: AttributeType::Tensor as i32,
                    t: Some(tensor),
                    ..AttributeProto::default()
                };
                body.push(NodeProto {
                    output: vec![name.clone()],
                    name,
                    op_type: "Constant".to_owned(),
                    attribute: vec![value],
                    ..NodeProto::default()
                });
            }
        }
        self.literals.insert(key, wire.clone());
        wire
    }

    /// A constant of the stage; a large one stands in the weights file.
    pub(crate) fn literal(&mut self, literal: &Literal) -> Result<Wire, ExportError> {
        if constants::is_embedded(literal) {
            return Ok(self.embed(literal.shape(), literal.data()));
        }
        self.view(&View { stored: Stored::constant(literal), start: 0, shape: literal.shape().to_vec() })
    }

    /// A stored tensor, whole or in part, as it lies in the weights file.
    pub(crate) fn view(&mut self, view: &View) -> Result<Wire, ExportError> {
        if let Some(wire) = self.views.get(view) {
            return Ok(wire.clone());
        }
        let name = view.stored.name();
        let stored = self.layout.tensor(&name).ok_or_else(|| ExportError::NotLaidOut {
            graph: self.stage.to_owned(),
            name: name.clone(),
            location: self.layout.location().to_owned(),
        })?;
        let element_bytes = stored.dtype.size_bytes() as u64;
        let n_bytes = view.shape.iter().try_fold(element_bytes, |product, &size| product.checked_mul(size as u64));
        let start_bytes = (view.start as u64).checked_mul(element_bytes);
        let fits = start_bytes
            .zip(n_bytes)
            .filter(|(start, n)| start.checked_add(*n).is_some_and(|end| end <= stored.n_bytes));
        let Some((start_bytes, n_bytes)) = fits else {
            return Err(ExportError::Shape { name, expected: stored.shape.clone(), actual: view.shape.clone() });
        };
        let label = if n_bytes == stored.n_bytes {
            name.clone()
        } else {
            let n_elements = n_bytes / element_bytes;
            format!("{name}[{}..{}]", view.start, view.start as u64 + n_elements)
        };
        let name = if self.views.keys().any(|other| other.stored == view.stored) || label != name {
            self.unique(&label)
        } else {
            self.reserve(&label)?;
            label
        };
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
        self.graph.initializer.push(TensorProto {
            external_data: vec![
                entry("location", self.layout.location().to_owned()),
                entry("offset", (stored.offset_bytes + start_bytes).to_string()),
                entry("length", n_bytes.to_string()),
            ],
            data_location: DataLocation::External as i32,
            ..tensor(&name, stored.dtype, &view.shape)
        });
        let wire = Wire(name.into());
        self.views.insert(view.clone(), wire.clone());
        Ok(wire)
    }

    /// Makes `wire` the output called `name`.
    pub(crate) fn output(&mut self, name: &str, wire: &Wire, fact: &Fact) {
        let wire = &self.renamed.get(wire).unwrap_or(wire).clone();
        let made = self.graph.node.iter().position(|node| node.output.iter().any(|output| **output == *wire.0));
        let is_named = self.graph.output.iter().any(|output| *output.name == *wire.0);
        self.graph.output.push(value_info(name, fact));
        let Some(made) = made.filter(|_| !is_named) else {
            // Inputs, weights and other outputs keep their names: only a copy can have this one.
            self.enter(format!("output/{name}"));
            let node_name = self.unique(&format!("{}/Identity", self.path));
            self.graph.node.push(NodeProto {
                input: vec![wire.0.to_string()],
                output: vec![name.to_owned()],
                name: node_name,
                op_type: "Identity".to_owned(),
                ..NodeProto::default()
            });
            return;
        };
        for node in &mut self.graph.node[made..] {
            for value in node.input.iter_mut().chain(&mut node.output).filter(|value| ***value == *wire.0) {
                name.clone_into(value);
            }
        }
        self.renamed.insert(wire.clone(), Wire(name.into()));
    }

    /// The finished model.
    pub(crate) fn finish(self) -> Vec<u8> {
        let standard = self.target.opset();
        let mut opset_import = vec![opset("", standard.version())];
        if self.is_contrib_used {
            opset_import.push(opset(CONTRIB, 1));
        }
        if !self.functions.is_empty() {
            opset_import.push(opset(LOCAL, 1));
        }
        let model = ModelProto {
            ir_version: standard.ir_version(),
            opset_import,
            producer_name: "egom2p".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.graph),
            functions: self.functions,
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    fn push(&mut self, domain: &str, op: &str, inputs: &[&Wire], attributes: &[(&str, Attribute)]) -> Wire {
        let name = self.unique(&format!("{}/{op}", self.path));
        let nodes = self.body.as_mut().unwrap_or(&mut self.graph.node);
        nodes.push(NodeProto {
            input: inputs.iter().map(|wire| wire.0.to_string()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.to_owned(),
            domain: domain.to_owned(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            ..NodeProto::default()
        });
        Wire(name.into())
    }

    /// `base`, or `base#2`, `base#3`, … where that is taken.
    fn unique(&mut self, base: &str) -> String {
        let numbered = (2_usize..).map(|n| format!("{base}#{n}"));
        let mut candidates = std::iter::once(base.to_owned()).chain(numbered);
        let name = candidates.find(|name| !self.names.contains(name)).expect("numbers never end");
        self.names.insert(name.clone());
        name
    }

    /// Takes a name that may not be changed.
    fn reserve(&mut self, name: &str) -> Result<(), ExportError> {
        if self.names.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(ExportError::NameClash { graph: self.stage.to_owned(), name: name.to_owned() })
        }
    }
}

fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: domain.to_owned(), version }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Float(number) => {
            proto.f = Some(*number);
            AttributeType::Float
        }
        Attribute::Int(number) => {
            proto.i = Some(*number);
            AttributeType::Int
        }
        Attribute::Ints(numbers) => {
            proto.ints.clone_from(numbers);
            AttributeType::Ints
        }
        Attribute::Text(text) => {
            proto.s = Some(text.as_bytes().to_vec());
            AttributeType::String
        }
    };
    proto.r#type = kind as i32;
    proto
}

fn tensor(name: &str, dtype: DType, shape: &[usize]) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|&size| size as i64).collect(),
        data_type: data_type(dtype) as i32,
        name: name.to_owned(),
        ..TensorProto::default()
    }
}

fn value_info(name: &str, fact: &Fact) -> ValueInfoProto {
    let axis = |dim: &Dim| {
        let value = match dim.as_fixed() {
            Some(size) => DimensionValue::DimValue(size as i64),
            None => DimensionValue::DimParam(dim.to_string()),
        };
        Dimension { value: Some(value), ..Dimension::default() }
    };
    let shape = TensorShapeProto { dim: fact.shape.iter().map(axis).collect() };
    let tensor = TensorType { elem_type: data_type(fact.dtype) as i32, shape: Some(shape) };
    let r#type = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(r#type), ..ValueInfoProto::default() }
}

fn data_type(dtype: DType) -> DataType {
    match dtype {
        DType::F32 => DataType::Float,
        DType::F16 => DataType::Float16,
        DType::Bf16 => DataType::Bfloat16,
        DType::I64 => DataType::Int64,
        DType::Bool => DataType::Bool,
    }
}

fn dtype_of(data: &LiteralData) -> DType {
    match data {
        LiteralData::F32(_) => DType::F32,
        LiteralData::I64(_) => DType::I64,
        LiteralData::Bool(_) => DType::Bool,
    }
}

/// A short constant is named by what it says, a longer one by where it is first used.
fn literal_name(path: &str, dtype: DType, shape: &[usize], data: &LiteralData) -> String {
    const SPELT_OUT: usize = 8;
    let values = match data {
        data if data.len() > SPELT_OUT || shape.len() > 1 => return format!("{path}/{dtype}{shape:?}"),
        LiteralData::F32(values) => format!("{values:?}"),
        LiteralData::I64(values) => format!("{values:?}"),
        LiteralData::Bool(values) => format!("{values:?}"),
    };
    let values = if shape.is_empty() { values.trim_matches(['[', ']']) } else { &values };
    format!("{dtype} {values}")
}
