//! Sessions on tensors of a device: of the host, which is there, and of a GPU, which is refused without its provider.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests panic where they fail, and these numbers are exact")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod support;

use egom2p_device::{
    Buffer, ComputeDevice, DeviceError, DeviceFacts, DeviceKind, DeviceMemory, HostDevice, Stream, open_cuda,
};
use egom2p_engine_core::onnx::read_model;
use egom2p_engine_core::{
    Axis, Backend, BuildReport, BuildRequest, CompileOptions, Device, DeviceTensor, Dims, Engine, EngineError,
    EngineTarget, OpenRequest, RelativePath, Session, SessionOptions, Tensor, TensorSpec,
};
use egom2p_engine_onnxruntime::OnnxRuntime;
use egom2p_onnx_proto::{DataType, Message, ModelProto};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use support::{WIDTH, node, value};
use tempfile::TempDir;

/// The backend, or a printed line and `None` where the library is absent. A broken library is a failure.
fn backend() -> Option<OnnxRuntime> {
    let backend = OnnxRuntime::default();
    match backend.check() {
        Ok(_) => Some(backend),
        Err(error @ EngineError::LibraryMissing { .. }) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn path(text: &str) -> RelativePath {
    RelativePath::new(text).unwrap()
}

fn build(backend: &OnnxRuntime, root: &Path, device: Device) -> BuildReport {
    let request = BuildRequest {
        root,
        onnx: &path("onnx/test.onnx"),
        engine_dir: &path("engines"),
        name: "test-0123",
        profiles: &[],
        device,
        options: &CompileOptions::default(),
        monitor: &(),
    };
    backend.build(&request).unwrap()
}

/// An engine of a model, built for a device, in a bundle of its own.
fn engine(backend: &OnnxRuntime, model: &ModelProto, device: Device) -> (TempDir, Box<dyn Engine>) {
    let bundle = tempfile::tempdir().unwrap();
    support::write(&bundle.path().join("onnx"), "test", model);
    let report = build(backend, bundle.path(), device);
    let request = OpenRequest { root: bundle.path(), files: &report.files, profiles: &[], device };
    let engine = backend.open(&request).unwrap();
    (bundle, engine)
}

/// The model without the output whose length follows from none of the inputs.
fn model() -> ModelProto {
    let mut model = support::model();
    model.graph.as_mut().unwrap().output.retain(|output| output.name != "twice");
    model
}

fn one_thread() -> SessionOptions {
    SessionOptions { threads: NonZeroUsize::new(1), ..SessionOptions::default() }
}

fn host() -> Arc<dyn ComputeDevice> {
    HostDevice::new(1 << 30)
}

fn inputs(batch: usize, visible: usize) -> [(&'static str, Tensor); 2] {
    let x = (0..batch * visible * WIDTH).map(|i| (i % 11) as f32 / 8.0 - 0.5).collect();
    let mask = (0..batch * visible).map(|i| i % 3 != 1).collect();
    [("mask", Tensor::bool([batch, visible], mask).unwrap()), ("x", Tensor::f32([batch, visible, WIDTH], x).unwrap())]
}

fn uploaded(
    device: &dyn ComputeDevice,
    stream: &dyn Stream,
    inputs: &[(&'static str, Tensor)],
) -> Vec<(&'static str, DeviceTensor)> {
    let upload = |(name, tensor): &(&'static str, Tensor)| {
        let there = DeviceTensor::allocate(device, tensor.dtype(), tensor.shape()).unwrap();
        there.upload(stream, tensor).unwrap();
        (*name, there)
    };
    inputs.iter().map(upload).collect()
}

fn shape(spec: &TensorSpec, batch: usize, visible: usize) -> Vec<usize> {
    let length = |axis: &Axis| match axis {
        Axis::Fixed(length) => *length,
        Axis::Named(name) if name == "batch" => batch,
        Axis::Named(name) if name == "visible" => visible,
        Axis::Named(name) => panic!("{name}"),
    };
    spec.shape.iter().map(length).collect()
}

fn named<'a>(tensors: &'a [(&'a str, DeviceTensor)]) -> Vec<(&'a str, &'a DeviceTensor)> {
    tensors.iter().map(|(name, tensor)| (*name, tensor)).collect()
}

/// What a session gives for inputs that lie on its device. Outputs begin in the middle of buffers whose other bytes must
/// stay.
fn enqueued(session: &mut dyn Session, batch: usize, visible: usize) -> Vec<(String, Tensor)> {
    const MARGIN: usize = 256;
    const FILL: u8 = 0xa5;
    let device = Arc::clone(session.device().unwrap());
    let stream = Arc::clone(&device).stream().unwrap();
    let given = uploaded(&*device, &*stream, &inputs(batch, visible));
    let specs = session.outputs().to_vec();
    let outputs: Vec<(Buffer, DeviceTensor)> = specs
        .iter()
        .map(|spec| {
            let n_bytes = shape(spec, batch, visible).iter().product::<usize>() * 8;
            let buffer = device.allocate(n_bytes + 2 * MARGIN).unwrap();
            stream.write(&buffer, &mut |bytes| bytes.fill(FILL)).unwrap();
            let inner = buffer.slice(MARGIN..MARGIN + n_bytes).unwrap();
            (buffer, DeviceTensor::new(spec.dtype, shape(spec, batch, visible), &inner).unwrap())
        })
        .collect();
    let to: Vec<_> = specs.iter().zip(&outputs).map(|(spec, (_, tensor))| (spec.name.as_str(), tensor)).collect();
    session.enqueue(&*stream, &named(&given), &to).unwrap();
    for (buffer, tensor) in &outputs {
        let after = MARGIN + tensor.buffer().n_bytes();
        stream
            .read(buffer, &mut |bytes| {
                assert!(bytes[..MARGIN].iter().chain(&bytes[after..]).all(|byte| *byte == FILL));
            })
            .unwrap();
    }
    for ((name, before), (_, after)) in inputs(batch, visible).iter().zip(&given) {
        assert_eq!(after.download(&*stream).unwrap(), *before, "input {name} was written");
    }
    let down = |(spec, (_, tensor)): (&TensorSpec, &(Buffer, DeviceTensor))| {
        (spec.name.clone(), tensor.download(&*stream).unwrap())
    };
    specs.iter().zip(&outputs).map(down).collect()
}

#[test]
fn tensors_of_the_host_give_what_a_run_gives() {
    let Some(backend) = backend() else { return };
    let (_bundle, engine) = engine(&backend, &model(), Device::Cpu);
    for options in [one_thread(), SessionOptions { prepack: true, memory_arena: false, ..one_thread() }] {
        let mut session = engine.session_on(&host(), &options).unwrap();
        let mut plain = engine.session(&options).unwrap();
        assert_eq!(session.scratch_bytes(), 0);
        for (batch, visible) in [(2, 5), (1, 3), (1, 0), (2, 5)] {
            let inputs = inputs(batch, visible);
            let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
            let expected = plain.run(&inputs).unwrap();
            assert_eq!(enqueued(&mut *session, batch, visible), expected, "{batch} x {visible}");
            assert_eq!(session.run(&inputs).unwrap(), expected, "{batch} x {visible}");
        }
    }
}

#[test]
fn sessions_of_one_engine_do_not_disturb_each_other() {
    let Some(backend) = backend() else { return };
    let (_bundle, engine) = engine(&backend, &model(), Device::Cpu);
    let device = host();
    let mut sessions = [(); 2].map(|()| engine.session_on(&device, &one_thread()).unwrap());
    let first = enqueued(&mut *sessions[0], 2, 5);
    let _ = enqueued(&mut *sessions[1], 1, 3);
    assert_eq!(enqueued(&mut *sessions[0], 2, 5), first);
    assert_eq!(enqueued(&mut *sessions[1], 2, 5), first);
}

#[test]
fn an_output_of_unknown_shape_is_refused() {
    let Some(backend) = backend() else { return };
    let (_bundle, engine) = engine(&backend, &support::model(), Device::Cpu);
    let device = host();
    let mut session = engine.session_on(&device, &one_thread()).unwrap();
    let stream = Arc::clone(&device).stream().unwrap();
    let given = uploaded(&*device, &*stream, &inputs(1, 1));
    let error = session.enqueue(&*stream, &named(&given), &[]).unwrap_err();
    assert!(matches!(&error, EngineError::UnknownShape { name } if name == "twice"), "{error}");
    assert!(Dims::default().shape(&session.outputs()[0]).is_none());
}

/// The host under the name of a GPU.
#[derive(Debug)]
struct OtherDevice {
    facts: DeviceFacts,
    host: Arc<HostDevice>,
}

impl OtherDevice {
    fn gpu() -> Arc<dyn ComputeDevice> {
        let host = HostDevice::new(1 << 20);
        let facts = DeviceFacts { kind: DeviceKind::Cuda(0), name: "a GPU".to_owned(), ..host.facts().clone() };
        Arc::new(Self { facts, host })
    }
}

impl ComputeDevice for OtherDevice {
    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    fn memory(&self) -> Result<DeviceMemory, DeviceError> {
        self.host.memory()
    }

    fn allocate(&self, n_bytes: usize) -> Result<Buffer, DeviceError> {
        self.host.allocate(n_bytes)
    }

    fn stream(self: Arc<Self>) -> Result<Arc<dyn Stream>, DeviceError> {
        Arc::clone(&self.host).stream()
    }
}

#[test]
fn another_device_than_the_engine_was_built_for_is_refused() {
    let Some(backend) = backend() else { return };
    let (_cpu, on_cpu) = engine(&backend, &model(), Device::Cpu);
    let (_cuda, on_cuda) = engine(&backend, &model(), Device::Cuda);
    for (engine, device) in [(on_cpu.as_ref(), OtherDevice::gpu()), (on_cuda.as_ref(), host())] {
        let error = engine.session_on(&device, &one_thread()).err().unwrap();
        assert!(matches!(error, EngineError::NotOnDevice { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    }
    let mut session = on_cpu.session(&one_thread()).unwrap();
    assert!(session.device().is_none());
    let device = host();
    let stream = Arc::clone(&device).stream().unwrap();
    let error = session.enqueue(&*stream, &[], &[]).unwrap_err();
    assert!(matches!(error, EngineError::NotOnDevice { .. }), "{error}");
}

/// Without a GPU, or without the provider, there is one error and never the processor in place of the GPU.
#[test]
fn an_engine_for_a_gpu_is_built_anywhere_and_runs_only_there() {
    let Some(backend) = backend() else { return };
    let target = backend.target(Device::Cuda, &CompileOptions::default()).unwrap();
    assert_eq!(target, EngineTarget::ComputeCapabilities(Vec::new()));
    let (_bundle, engine) = engine(&backend, &model(), Device::Cuda);
    assert_eq!(engine.inputs()[0].to_string(), "x f32 [batch, visible, 8]");
    let has_provider = backend.check().unwrap().devices == ["cpu", "cuda"];
    if has_provider && open_cuda(0).is_ok() {
        eprintln!("skipped: this machine has a GPU and a library that uses it");
        return;
    }
    let error = engine.session(&one_thread()).err().unwrap();
    let text = error.to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    if has_provider {
        assert!(matches!(error, EngineError::Device(_)), "{text}");
        let text = engine.session_on(&OtherDevice::gpu(), &one_thread()).err().unwrap().to_string();
        assert_eq!(text.lines().count(), 2, "{text}");
        eprintln!("{text}");
        return;
    }
    assert!(text.starts_with("this library of ONNX Runtime has no CUDA provider: /"), "{text}");
    assert!(text.contains("onnxruntime-gpu 1.31.1"), "{text}");
    let error = engine.session_on(&OtherDevice::gpu(), &one_thread()).err().unwrap();
    assert_eq!(error.to_string(), text);
}

#[test]
fn an_engine_for_a_gpu_is_the_exported_graph() {
    let Some(backend) = backend() else { return };
    let mut model = model();
    let graph = model.graph.as_mut().unwrap();
    // A product of halves, for which the processor has no kernel.
    let half = |name: &str, to| node("", "Cast", &[name], &format!("{name}_{to}"), vec![support::int("to", to)]);
    graph.node.extend([
        half("x", DataType::Float16 as i64),
        half("w_wide", DataType::Float16 as i64),
        node("", "MatMul", &["x_10", "w_wide_10"], "product_of_halves", vec![]),
        half("product_of_halves", DataType::Float as i64),
    ]);
    graph.output.push(value("product_of_halves_1", DataType::Float, &["batch", "visible", "48"]));
    let bundle = tempfile::tempdir().unwrap();
    support::write(&bundle.path().join("onnx"), "test", &model);
    let report = build(&backend, bundle.path(), Device::Cuda);

    assert_eq!(report.files, [path("engines/test-0123.onnx")]);
    assert!(report.rewritten.is_empty());
    assert_eq!(report.shared_bytes, support::weights().len() as u64);
    let left: Vec<_> = std::fs::read_dir(bundle.path().join("engines")).unwrap().collect();
    assert_eq!(left.len(), 1, "no unfinished files are left: {left:?}");
    let (built, bytes) = read_model(&report.files[0].below(bundle.path())).unwrap();
    assert_eq!(report.own_bytes, bytes.len() as u64);
    let mut expected = model.clone();
    for tensor in &mut expected.graph.as_mut().unwrap().initializer {
        for entry in tensor.external_data.iter_mut().filter(|entry| entry.key == "location") {
            entry.value = format!("onnx/{}", support::WEIGHTS);
        }
    }
    assert_eq!(built.encode_to_vec(), expected.encode_to_vec());
}
