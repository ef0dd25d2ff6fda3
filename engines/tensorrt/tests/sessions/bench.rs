//! A bundle with one fake engine, and tensors for it.

use crate::fake;
use egom2p_device::{ComputeDevice, CudaDevice, Stream};
use egom2p_engine_core::{
    Axis, Backend, CompileOptions, DType, Device, DeviceTensor, Digest, DimRange, ENGINE_RECORD_SCHEMA, Engine,
    EngineMemory, EngineRecord, EngineTarget, FileEntry, OpenRequest, Profile, RelativePath, Result, Session,
    SessionOptions, Tensor, TensorSpec,
};
use egom2p_engine_tensorrt::{Family, TensorRt, TensorRtOptions};
use egom2p_tensorrt_sys::Abi;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// Two inputs, two outputs, and two profiles of 4096 and 65536 bytes. The first profile of the engine is the second of
/// its record.
pub(crate) const ENGINE: &str = "FAKE
input tokens int64 -1 -1
input mask bool -1
output hidden float32 tokens:0 tokens:1
output counts int64 tokens:0
profile 65536
range tokens 1 1 ; 2 8 ; 4 16
range mask 1 ; 2 ; 4
profile 4096
range tokens 1 0 ; 1 2 ; 1 4
range mask 1 ; 1 ; 1
";
/// Bytes of the engine's weights, as its record has them.
pub(crate) const WEIGHTS_BYTES: u64 = 1_000_000;
/// Bytes that its larger profile needs.
pub(crate) const SCRATCH_BYTES: usize = 65536;

/// A folder with an engine of an ABI.
pub(crate) struct Bench {
    abi: Abi,
    folder: TempDir,
    backend: TensorRt,
}

/// Tensors of a run on a device: inputs, then outputs.
pub(crate) struct Given {
    pub(crate) tensors: [DeviceTensor; 4],
}

impl Bench {
    pub(crate) fn new(abi: Abi, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            TensorRtOptions { library: Some(fake::libraries(abi)), timing_cache: Some(folder.path().join("caches")) };
        let bench = Self { abi, folder, backend: TensorRt::new(abi.family(), options) };
        bench.write(text, |_| ());
        bench
    }

    /// One of every ABI.
    pub(crate) fn all(text: &str) -> impl Iterator<Item = Self> {
        fake::abis().into_iter().map(move |abi| Self::new(abi, text))
    }

    pub(crate) fn is_rtx(&self) -> bool {
        self.abi == Abi::Rtx
    }

    /// The folder of caches, which is made when it is needed.
    pub(crate) fn caches(&self) -> PathBuf {
        self.folder.path().join("caches")
    }

    /// Writes another engine, and a record that is changed.
    pub(crate) fn write(&self, text: &str, change: impl FnOnce(&mut EngineRecord)) {
        let engine = bytes(self.abi.family(), text);
        let mut record = self.record(engine.len());
        change(&mut record);
        let path = self.folder.path().join("a.engine");
        std::fs::write(EngineRecord::path(&path), record.to_json()).unwrap();
        std::fs::write(path, engine).unwrap();
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Engine>> {
        let files = [RelativePath::new("a.engine").unwrap()];
        let root = self.folder.path();
        self.backend.open(&OpenRequest { root, files: &files, profiles: &[], device: Device::Cuda })
    }

    pub(crate) fn session(&self) -> Result<Box<dyn Session>> {
        self.open()?.session(&SessionOptions::default())
    }

    fn record(&self, n_bytes: usize) -> EngineRecord {
        let spec = |name: &str, dtype, shape: &[&str]| {
            let shape = shape.iter().map(|dim| Axis::Named((*dim).to_owned())).collect();
            TensorSpec { name: name.to_owned(), dtype, shape }
        };
        let profile = |batch: [usize; 3], visible: [usize; 3]| {
            let range = |[min, opt, max]: [usize; 3]| DimRange { min, opt, max };
            Profile { dims: [("batch".to_owned(), range(batch)), ("visible".to_owned(), range(visible))].into() }
        };
        let info = self.backend.check().unwrap();
        let capability = "9.0".parse().unwrap();
        EngineRecord {
            schema: ENGINE_RECORD_SCHEMA,
            engine: FileEntry { bytes: n_bytes as u64, blake3: Digest::from_bytes([7; 32]) },
            backend: info.backend,
            library: info.version,
            target: match self.abi {
                Abi::Rtx => EngineTarget::ComputeCapabilities(vec![capability]),
                _ => EngineTarget::Device { name: "Fake GPU".to_owned(), compute_capability: capability },
            },
            options: CompileOptions::default(),
            inputs: vec![spec("tokens", DType::I64, &["batch", "visible"]), spec("mask", DType::Bool, &["batch"])],
            outputs: vec![spec("hidden", DType::F32, &["batch", "visible"]), spec("counts", DType::I64, &["batch"])],
            profiles: vec![profile([1, 1, 1], [0, 2, 4]), profile([1, 2, 4], [1, 8, 16])],
            memory: EngineMemory { weights_bytes: Some(WEIGHTS_BYTES), activation_bytes: Some(SCRATCH_BYTES as u64) },
            layers: Vec::new(),
            onnx: None,
            build_secs: None,
            build_peak_bytes: None,
        }
    }
}

/// The first visible device and a stream of it.
pub(crate) fn device() -> (Arc<dyn ComputeDevice>, Arc<dyn Stream>) {
    let device = CudaDevice::shared(0).unwrap();
    let stream = Arc::clone(&device).stream().unwrap();
    (device, stream)
}

/// Tokens from 1 on, and a mask of ones.
pub(crate) fn inputs(batch: usize, n_tokens: usize) -> (Tensor, Tensor) {
    let tokens = (1..=batch * n_tokens).map(|token| token as i64).collect();
    (Tensor::i64([batch, n_tokens], tokens).unwrap(), Tensor::bool([batch], vec![true; batch]).unwrap())
}

/// The sum of the inputs.
pub(crate) fn sum(batch: usize, n_tokens: usize) -> usize {
    let n = batch * n_tokens;
    n * (n + 1) / 2 + batch
}

/// `n` numbers from `first` on.
pub(crate) fn counted(first: usize, n: usize) -> Vec<f32> {
    (first..first + n).map(|value| value as f32).collect()
}

impl Given {
    pub(crate) fn new(device: &dyn ComputeDevice, batch: usize, n_tokens: usize) -> Self {
        let of = |dtype, shape: &[usize]| DeviceTensor::allocate(device, dtype, shape).unwrap();
        let tensors = [
            of(DType::I64, &[batch, n_tokens]),
            of(DType::Bool, &[batch]),
            of(DType::F32, &[batch, n_tokens]),
            of(DType::I64, &[batch]),
        ];
        Self { tensors }
    }

    pub(crate) fn enqueue(&self, session: &mut dyn Session, stream: &dyn Stream) -> Result<()> {
        let [tokens, mask, hidden, counts] = &self.tensors;
        session.enqueue(stream, &[("mask", mask), ("tokens", tokens)], &[("counts", counts), ("hidden", hidden)])
    }

    /// Uploads inputs, runs, and gives the first value of the first output, after all others were checked.
    pub(crate) fn run(&self, session: &mut dyn Session, stream: &dyn Stream) -> usize {
        let [batch, n_tokens] = self.tensors[0].shape()[..] else { panic!("tokens have two axes") };
        let (tokens, mask) = inputs(batch, n_tokens);
        self.tensors[0].upload(stream, &tokens).unwrap();
        self.tensors[1].upload(stream, &mask).unwrap();
        self.enqueue(session, stream).unwrap_or_else(|error| panic!("{error}"));
        let hidden = self.tensors[2].download(stream).unwrap().into_f32().unwrap();
        let counts = self.tensors[3].download(stream).unwrap().into_i64().unwrap();
        let first = counts[0] as usize;
        assert_eq!(hidden, counted(first, batch * n_tokens));
        assert_eq!(counts, (first..first + batch).map(|value| value as i64).collect::<Vec<_>>());
        first
    }
}

/// The text as an engine of a family begins.
fn bytes(family: Family, text: &str) -> Vec<u8> {
    if family == Family::TensorRt {
        return [b"ftrt\n", text.as_bytes()].concat();
    }
    let mut bytes = vec![0; 0x70];
    bytes[..4].copy_from_slice(b"vtrt");
    bytes.extend(text.as_bytes());
    let n_bytes = bytes.len() as u64;
    bytes[0x10..0x18].copy_from_slice(&n_bytes.to_le_bytes());
    bytes
}
