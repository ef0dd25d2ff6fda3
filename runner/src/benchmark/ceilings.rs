use std::{io::Write as _, sync::Arc, time::Duration};

use egom2p_calibration::Precision;
use egom2p_device::{ComputeDevice, DeviceError, DeviceKind};
use egom2p_engine_core::{
    Backend, BuildRequest, CompileOptions, Device, EngineError, OpenRequest, Profile, RelativePath, RelativePathError,
    SessionOptions, Tensor,
};
use egom2p_onnx_proto::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionValue, GraphProto, Message as _, ModelProto,
    NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};

use super::{Latency, measure, resident::measure_resident};
use crate::io::{FileError, OutputFolder};

/// Rows and columns of the matrices that the processor multiplies, and of a row of the tensor of [`N_ROWS`].
const MATRIX_SIZE: usize = 1024;
/// Rows and columns of the matrices that a GPU multiplies.
const GPU_MATRIX_SIZE: usize = 8192;
/// Bytes that a GPU copies: more than any of its caches holds.
const GPU_COPY_BYTES: usize = 1 << 30;
/// Products of one run, each of the result before.
const N_PRODUCTS: usize = 4;
/// Rows of [`MATRIX_SIZE`] numbers of the tensor that is read and written: 128 MiB, more than most caches hold.
const N_ROWS: usize = 32 * 1024;
/// Additions to that tensor in one run.
const N_ADDITIONS: usize = 8;

/// How the ceilings are measured, for reports.
pub const CEILINGS_RULE: &str = "the best run of 4 products of 1024 x 1024 matrices, and of 8 additions of a number to a tensor of 128 MiB, which \
     read and write it once each; fp32, on the backend and with the threads of the engines";

/// How the ceilings of a GPU are measured, for reports.
pub const DEVICE_CEILINGS_RULE: &str = "the best run of 4 products of 8192 x 8192 matrices on the backend of the engines, in the precision of the first \
     one, and of a copy of 1 GiB on the device, which reads and writes it";

const MATRIX_FILE: &str = "matrix.onnx";
const DEVICE_MATRIX_FILE: &str = "matrix.device.onnx";
const MEMORY_FILE: &str = "memory.onnx";
const IR_VERSION: i64 = 8;
const OPSET_VERSION: i64 = 17;

/// What a backend reaches at best on this machine.
#[derive(Clone, PartialEq, Debug)]
pub struct Ceilings {
    /// Name of the backend.
    pub backend: String,
    /// Precision of the products, by name.
    pub precision: String,
    /// Floating-point operations per second of products of large square matrices.
    pub matrix_flops_per_sec: f64,
    /// Bytes per second, read and written, of operations on a tensor that caches do not hold.
    pub memory_bytes_per_sec: f64,
    /// What a run of the products took.
    pub matrix: Latency,
    /// What a run of the additions took.
    pub memory: Latency,
}

/// Ceilings that could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum CeilingsError {
    /// The graphs cannot be written to the folder for temporary files.
    #[error(transparent)]
    File(#[from] FileError),
    /// The graphs cannot be named.
    #[error(transparent)]
    Path(#[from] RelativePathError),
    /// The backend failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// The graphs by which ceilings are measured, in a folder for temporary files that goes when this is dropped.
#[derive(Debug)]
pub struct CeilingGraphs {
    folder: OutputFolder,
}

impl CeilingGraphs {
    /// Writes the graphs.
    ///
    /// # Errors
    /// A folder for temporary files that cannot be written.
    pub fn write() -> Result<Self, CeilingsError> {
        let folder = OutputFolder::new(&std::env::temp_dir())?;
        for (name, model) in [(MATRIX_FILE, matrix_model(MATRIX_SIZE, Precision::Fp32)), (MEMORY_FILE, memory_model())]
        {
            folder.write(name, |file| file.write_all(&model.encode_to_vec()))?;
        }
        Ok(Self { folder })
    }

    /// Measures products of matrices and the bandwidth of the memory through a backend, with this much time for each.
    ///
    /// # Errors
    /// A backend that cannot run such graphs.
    pub fn measure(
        &self,
        backend: &dyn Backend,
        device: Device,
        options: &SessionOptions,
        budget: Duration,
    ) -> Result<Ceilings, CeilingsError> {
        let time = |name: &str, value: f32| {
            let files = [RelativePath::new(name)?];
            let request = OpenRequest { root: self.folder.staging(), files: &files, profiles: &[], device };
            let mut session = backend.open(&request)?.session(options)?;
            let value = Tensor::f32([1], vec![value])?;
            Ok::<_, CeilingsError>(measure(budget, || session.run(&[("value", &value)]).map(drop))?)
        };
        // Products of matrices of this value are the same matrix again.
        let matrix = time(MATRIX_FILE, 1.0 / MATRIX_SIZE as f32)?;
        let memory = time(MEMORY_FILE, 1.0)?;
        let flops = product_flops(MATRIX_SIZE);
        let bytes = (2 * N_ADDITIONS * N_ROWS * MATRIX_SIZE * size_of::<f32>()) as f64;
        Ok(Ceilings {
            backend: backend.name().to_owned(),
            precision: Precision::Fp32.name().to_owned(),
            matrix_flops_per_sec: flops / matrix.min_secs(),
            memory_bytes_per_sec: bytes / memory.min_secs(),
            matrix,
            memory,
        })
    }

    /// Measures products of matrices through a backend and copies of memory on a device, with this much time for each.
    /// A backend that compiles builds the products first, with these options.
    ///
    /// # Errors
    /// A backend that cannot build or run such a graph there.
    pub fn measure_on(
        &self,
        backend: &dyn Backend,
        device: &Arc<dyn ComputeDevice>,
        precision: Precision,
        compile: &CompileOptions,
        (options, budget): (&SessionOptions, Duration),
    ) -> Result<Ceilings, CeilingsError> {
        let (kind, size, n_copied) = match device.facts().kind {
            DeviceKind::Host => (Device::Cpu, MATRIX_SIZE, N_ROWS * MATRIX_SIZE * size_of::<f32>()),
            DeviceKind::Cuda(_) => (Device::Cuda, GPU_MATRIX_SIZE, GPU_COPY_BYTES),
        };
        let onnx = RelativePath::new(DEVICE_MATRIX_FILE)?;
        let model = matrix_model(size, precision);
        self.folder.write(DEVICE_MATRIX_FILE, |file| file.write_all(&model.encode_to_vec()))?;
        let profiles = [Profile::default()];
        let built = backend.build(&BuildRequest {
            root: self.folder.staging(),
            onnx: &onnx,
            engine_dir: &RelativePath::new("engines")?,
            name: "matrix",
            profiles: &profiles,
            device: kind,
            options: compile,
            monitor: &(),
        })?;
        let request =
            OpenRequest { root: self.folder.staging(), files: &built.files, profiles: &profiles, device: kind };
        let mut session = backend.open(&request)?.session_on(device, options)?;
        let value = Tensor::f32([1], vec![1.0 / size as f32])?;
        let (matrix, _) =
            measure_resident(&mut *session, device, &[("value", &value)], &[("row", vec![1, size])], budget)?;
        drop(session);

        let stream = Arc::clone(device).stream()?;
        let (from, to) = (device.allocate(n_copied)?, device.allocate(n_copied)?);
        let memory = measure(budget, || {
            stream.copy(&to, &from)?;
            stream.synchronize()
        })?;
        Ok(Ceilings {
            backend: backend.name().to_owned(),
            precision: precision.name().to_owned(),
            matrix_flops_per_sec: product_flops(size) / matrix.min_secs(),
            memory_bytes_per_sec: 2.0 * n_copied as f64 / memory.min_secs(),
            matrix,
            memory,
        })
    }
}

/// Operations of [`N_PRODUCTS`] products of square matrices.
fn product_flops(size: usize) -> f64 {
    2.0 * (size as f64).powi(3) * N_PRODUCTS as f64
}

/// `x^5` of a square matrix that is filled with the input.
fn matrix_model(size: usize, precision: Precision) -> ModelProto {
    let product = |before: &str| node("MatMul", &[before, "filled"]);
    model("matrix_ceiling", (size, size), (N_PRODUCTS, precision), product)
}

/// A large tensor that is filled with the input, to which the input is added again and again.
fn memory_model() -> ModelProto {
    let addition = |before: &str| node("Add", &[before, "value"]);
    model("memory_ceiling", (N_ROWS, MATRIX_SIZE), (N_ADDITIONS, Precision::Fp32), addition)
}

/// A chain of operations on a matrix that is filled with the input `value`. The output is one row of the last result, so
/// that neither inputs nor outputs take time; nothing can be known before the input is fed.
fn model(
    name: &str,
    (n_rows, n_columns): (usize, usize),
    (n_steps, precision): (usize, Precision),
    step: impl Fn(&str) -> NodeProto,
) -> ModelProto {
    let half = match precision {
        Precision::Fp32 => None,
        Precision::Fp16 => Some(DataType::Float16),
        Precision::Bf16 => Some(DataType::Bfloat16),
    };
    let mut nodes = match half {
        None => vec![named(node("Expand", &["value", "shape"]), "filled")],
        Some(half) => {
            vec![named(cast("value", half), "rounded"), named(node("Expand", &["rounded", "shape"]), "filled")]
        }
    };
    let mut last = "filled".to_owned();
    for index in 0..n_steps {
        let next = format!("step{index}");
        nodes.push(named(step(&last), &next));
        last = next;
    }
    if half.is_some() {
        nodes.push(named(node("Gather", &[&last, "first"]), "rounded_row"));
        nodes.push(named(cast("rounded_row", DataType::Float), "row"));
    } else {
        nodes.push(named(node("Gather", &[&last, "first"]), "row"));
    }
    let graph = GraphProto {
        name: name.to_owned(),
        node: nodes,
        initializer: vec![integers("shape", &[n_rows as i64, n_columns as i64]), integers("first", &[0])],
        input: vec![floats("value", &[1])],
        output: vec![floats("row", &[1, n_columns as i64])],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET_VERSION }],
        producer_name: "egom2p".to_owned(),
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn node(operator: &str, inputs: &[&str]) -> NodeProto {
    let input = inputs.iter().map(|&input| input.to_owned()).collect();
    NodeProto { op_type: operator.to_owned(), input, ..NodeProto::default() }
}

fn cast(input: &str, to: DataType) -> NodeProto {
    let to = AttributeProto {
        name: "to".to_owned(),
        r#type: AttributeType::Int.into(),
        i: Some(i64::from(i32::from(to))),
        ..AttributeProto::default()
    };
    NodeProto { attribute: vec![to], ..node("Cast", &[input]) }
}

fn named(node: NodeProto, output: &str) -> NodeProto {
    NodeProto { name: output.to_owned(), output: vec![output.to_owned()], ..node }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64.into(),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn floats(name: &str, shape: &[i64]) -> ValueInfoProto {
    let axis = |&length: &i64| Dimension { value: Some(DimensionValue::DimValue(length)), ..Dimension::default() };
    let shape = TensorShapeProto { dim: shape.iter().map(axis).collect() };
    let tensor = TensorType { elem_type: DataType::Float.into(), shape: Some(shape) };
    let r#type = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.to_owned(), r#type, ..ValueInfoProto::default() }
}
