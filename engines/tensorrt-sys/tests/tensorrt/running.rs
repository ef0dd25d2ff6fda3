//! Engines that are run: the shim of every ABI and its safe types, on a fake TensorRT and a fake driver.

use crate::fake::{self, in_child};
use crate::support::Remembered;
use egom2p_device::{Buffer, ComputeDevice, CudaDevice, Stream};
use egom2p_tensorrt_sys::{
    Abi, Binding, Driver, ExecutionContext, Library, LoadedEngine, RunBindings, SysError, TensorMode,
};
use std::sync::Arc;

/// Two inputs, two outputs, and two profiles of 4096 and 65536 bytes.
const ENGINE: &str = "FAKE
input tokens int64 -1 -1
input mask bool -1
output hidden float32 tokens:0 tokens:1
output counts int64 tokens:0
profile 4096
range tokens 1 0 ; 1 2 ; 1 4
range mask 1 ; 1 ; 1
profile 65536
range tokens 1 1 ; 2 8 ; 4 16
range mask 1 ; 2 ; 4
";

/// A device, a stream, and an engine of each ABI.
struct Bench {
    device: Arc<dyn ComputeDevice>,
    stream: Arc<dyn Stream>,
    driver: Driver,
}

/// Memory of a run of `batch` rows of `n_tokens`.
struct Memory {
    shapes: [Vec<usize>; 4],
    buffers: [Buffer; 4],
    scratch: Buffer,
}

impl Bench {
    fn new() -> Self {
        let device = CudaDevice::shared(0).unwrap();
        let stream = Arc::clone(&device).stream().unwrap();
        Self { device, stream, driver: Driver::open().unwrap() }
    }

    fn library(abi: Abi) -> &'static Library {
        let folder = fake::libraries(abi);
        Library::open(abi.family(), &folder.join(abi.core_name()), &folder.join(abi.parser_name())).unwrap()
    }

    fn load(&self, abi: Abi, text: &str, kernels: &[u8]) -> Result<Arc<LoadedEngine>, SysError> {
        Self::library(abi).load_engine(&self.driver, 0, text.as_bytes(), kernels, Remembered::new())
    }

    fn context(&self, abi: Abi, text: &str) -> ExecutionContext {
        self.load(abi, text, &[]).unwrap().context().unwrap()
    }

    /// Tokens from 1 on and a mask of ones.
    fn memory(&self, batch: usize, n_tokens: usize) -> Memory {
        let shapes = [vec![batch, n_tokens], vec![batch], vec![batch, n_tokens], vec![batch]];
        let tokens: Vec<u8> = (1..=batch * n_tokens).flat_map(|token| (token as i64).to_ne_bytes()).collect();
        let allocate = |n_bytes: usize| self.device.allocate(n_bytes.max(1)).unwrap();
        let n_bytes = [tokens.len(), batch, tokens.len() / 2, 8 * batch];
        let buffers = n_bytes.map(allocate);
        self.stream.upload(&buffers[0], &tokens).unwrap();
        self.stream.upload(&buffers[1], &vec![1; batch]).unwrap();
        Memory { shapes, buffers, scratch: allocate(65536) }
    }

    fn hidden(&self, memory: &Memory) -> Vec<f32> {
        let n_bytes = 4 * memory.shapes[2].iter().product::<usize>();
        let mut bytes = vec![0; n_bytes];
        self.stream.download(&memory.buffers[2], &mut bytes).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect()
    }
}

impl Memory {
    fn bindings(&self) -> Vec<Binding<'_>> {
        let all = self.shapes.iter().zip(&self.buffers).enumerate();
        all.map(|(tensor, (shape, buffer))| Binding { tensor, shape, buffer }).collect()
    }

    fn run(&self, context: &mut ExecutionContext, stream: &dyn Stream, profile: usize) -> Result<(), SysError> {
        let tensors = self.bindings();
        context.prepare(stream, &RunBindings { profile, tensors: &tensors, scratch: Some(&self.scratch) })?;
        context.enqueue(stream)
    }

    /// What the fake engine gives: the sum of all inputs, and one more for every element.
    fn expected(&self) -> Vec<f32> {
        let [batch, n_tokens] = self.shapes[0][..] else { panic!("tokens have two axes") };
        let n = batch * n_tokens;
        (0..n).map(|at| (n * (n + 1) / 2 + batch + at) as f32).collect()
    }
}

fn two_lines(error: &SysError) -> String {
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
    error.to_string()
}

#[test]
fn an_engine_says_what_it_takes_and_a_run_gives_what_it_computes() {
    in_child("running::an_engine_says_what_it_takes_and_a_run_gives_what_it_computes", &[], || {
        let bench = Bench::new();
        for abi in fake::abis() {
            let engine = bench.load(abi, ENGINE, &[]).unwrap();
            let description = engine.description();
            let modes: Vec<_> = description.tensors.iter().map(|tensor| (&*tensor.name, tensor.mode)).collect();
            let (input, output) = (TensorMode::Input, TensorMode::Output);
            assert_eq!(modes, [("tokens", input), ("mask", input), ("hidden", output), ("counts", output)]);
            let memory: Vec<_> = description.profiles.iter().map(|profile| profile.device_memory_bytes).collect();
            assert_eq!(memory, [4096, 65536]);
            assert_eq!(description.profiles[1].ranges[0].max, [4, 16]);

            let mut context = engine.context().unwrap();
            for (profile, batch, n_tokens) in [(0, 1, 3), (1, 2, 7), (1, 4, 16), (0, 1, 0), (0, 1, 3)] {
                let memory = bench.memory(batch, n_tokens);
                memory.run(&mut context, &*bench.stream, profile).unwrap();
                assert_eq!(bench.hidden(&memory), memory.expected(), "{abi}: {batch} x {n_tokens}");
            }
        }
    });
}

#[test]
fn what_does_not_fit_is_refused_before_tensorrt_runs() {
    in_child("running::what_does_not_fit_is_refused_before_tensorrt_runs", &[], || {
        let bench = Bench::new();
        let abi = fake::abis()[0];
        let mut context = bench.context(abi, ENGINE);
        let memory = bench.memory(2, 3);
        let mut refusal = |profile, change: &dyn Fn(&mut Vec<Binding<'_>>), scratch: Option<&Buffer>| {
            let mut tensors = memory.bindings();
            change(&mut tensors);
            let error = context.prepare(&*bench.stream, &RunBindings { profile, tensors: &tensors, scratch });
            let text = two_lines(&error.unwrap_err());
            let unprepared = context.enqueue(&*bench.stream).unwrap_err();
            assert!(two_lines(&unprepared).contains("nothing is prepared"), "{unprepared}");
            text
        };
        let scratch = Some(&memory.scratch);
        let text = refusal(1, &|tensors| tensors.truncate(3), scratch);
        assert!(text.contains("3 of 4 tensors are given"), "{text}");
        let text = refusal(2, &|_| (), scratch);
        assert!(text.contains("no profile 2 among 2"), "{text}");
        let text = refusal(1, &|_| (), None);
        assert!(text.contains("profile 1 needs 65536 bytes, 0 are lent"), "{text}");
        let text = refusal(1, &|tensors| tensors[0].shape = &[2, 4], scratch);
        assert!(text.contains("tokens of shape [2, 4] does not fit into 48 bytes"), "{text}");
        let text = refusal(1, &|tensors| tensors[0].shape = &[usize::MAX, 4], scratch);
        assert!(text.contains("tokens has an axis of"), "{text}");
        let odd = memory.buffers[0].slice(8..40).unwrap();
        let text = refusal(1, &|tensors| (tensors[0].shape, tensors[0].buffer) = (&[2, 2], bindable(&odd)), scratch);
        assert!(text.contains("tokens lies at 0x") && text.contains("a multiple of 256"), "{text}");
        let text = refusal(0, &|_| (), scratch);
        assert!(text.contains("setInputShape (tokens): the shape of tokens is outside of the profile"), "{text}");
        let text = refusal(1, &|tensors| tensors[2].shape = &[2, 2], scratch);
        assert!(text.contains("getTensorShape (hidden is [2, 3], expected [2, 2])"), "{text}");
        // What was refused before does no harm to the next run.
        memory.run(&mut context, &*bench.stream, 1).unwrap();
        assert_eq!(bench.hidden(&memory), memory.expected());
    });
}

/// Lends for as long as a test lives.
fn bindable(buffer: &Buffer) -> &'static Buffer {
    Box::leak(Box::new(buffer.clone()))
}

#[test]
fn what_tensorrt_refuses_is_said_in_its_words() {
    in_child("running::what_tensorrt_refuses_is_said_in_its_words", &[], || {
        let bench = Bench::new();
        for abi in fake::abis() {
            let error = bench.load(abi, "not an engine", &[]).unwrap_err();
            assert!(two_lines(&error).contains("deserializeCudaEngine: this is no engine\n"), "{error}");
            let error = bench.load(abi, &format!("{ENGINE}too_large\n"), &[]).unwrap_err();
            assert!(matches!(error, SysError::OutOfMemory { .. }), "{error}");
            let error = Bench::library(abi).load_engine(&bench.driver, 2, ENGINE.as_bytes(), &[], Remembered::new());
            assert!(two_lines(&error.unwrap_err()).contains("there is no device 2 among 2"));
            let on_host = bench.load(abi, &format!("{ENGINE}on_host mask\n"), &[]).unwrap();
            let error = on_host.context().unwrap_err();
            assert!(two_lines(&error).contains("getTensorLocation (mask is not on the device)"), "{error}");
            let mut context = bench.context(abi, &format!("{ENGINE}refuses_runs\n"));
            let error = bench.memory(1, 2).run(&mut context, &*bench.stream, 0).unwrap_err();
            assert!(two_lines(&error).contains("enqueueV3: this engine refuses to run\n"), "{error}");
        }
    });
}

#[test]
fn contexts_of_one_engine_run_in_threads_of_their_own() {
    in_child("running::contexts_of_one_engine_run_in_threads_of_their_own", &[], || {
        let bench = Bench::new();
        for abi in fake::abis() {
            let engine = bench.load(abi, ENGINE, &[]).unwrap();
            std::thread::scope(|scope| {
                for n_tokens in 1..=4 {
                    let engine = &engine;
                    scope.spawn(move || {
                        let bench = Bench::new();
                        for _ in 0..10 {
                            let memory = bench.memory(1, n_tokens);
                            let mut context = engine.context().unwrap();
                            memory.run(&mut context, &*bench.stream, 0).unwrap();
                            assert_eq!(bench.hidden(&memory), memory.expected());
                        }
                    });
                }
            });
        }
    });
}

#[test]
fn a_captured_run_needs_a_run_before_it() {
    in_child("running::a_captured_run_needs_a_run_before_it", &[], || {
        let bench = Bench::new();
        for abi in fake::abis() {
            let mut context = bench.context(abi, ENGINE);
            let memory = bench.memory(2, 5);
            let tensors = memory.bindings();
            let run = RunBindings { profile: 1, tensors: &tensors, scratch: Some(&memory.scratch) };
            context.prepare(&*bench.stream, &run).unwrap();
            assert!(context.is_capturable(&*bench.stream).unwrap());
            assert!(bench.stream.begin_capture().unwrap());
            let error = context.enqueue(&*bench.stream).unwrap_err();
            drop(bench.stream.end_capture());
            assert!(error.to_string().contains("what was put off cannot be captured"), "{error}");

            context.enqueue(&*bench.stream).unwrap();
            assert!(bench.stream.begin_capture().unwrap());
            context.enqueue(&*bench.stream).unwrap();
            let graph = bench.stream.end_capture().unwrap();
            bench.stream.upload(&memory.buffers[1], &[0; 2]).unwrap();
            graph.launch().unwrap();
            let expected: Vec<f32> = memory.expected().iter().map(|value| value - 2.0).collect();
            assert_eq!(bench.hidden(&memory), expected, "the graph ran with the new mask");
        }
    });
}

#[test]
fn rtx_says_what_cannot_be_captured_and_keeps_kernels() {
    in_child("running::rtx_says_what_cannot_be_captured_and_keeps_kernels", &[], || {
        let bench = Bench::new();
        for abi in fake::abis() {
            let is_rtx = abi == Abi::Rtx;
            let mut context = bench.context(abi, &format!("{ENGINE}uncapturable\n"));
            assert_eq!(context.is_capturable(&*bench.stream).unwrap(), !is_rtx);

            let kernels = |kernels: &[u8], n_tokens| {
                let engine = bench.load(abi, ENGINE, kernels).unwrap();
                let (mut context, memory) = (engine.context().unwrap(), bench.memory(1, n_tokens));
                memory.run(&mut context, &*bench.stream, 0).unwrap();
                bench.stream.synchronize().unwrap();
                engine.kernels().unwrap().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
            };
            let first = kernels(&[], 2);
            assert_eq!(first.is_some(), is_rtx);
            let Some(first) = first else { continue };
            assert_eq!(first, "KERNELS 1\n1 2 1 1 2 1 \n");
            assert_eq!(kernels(first.as_bytes(), 2).unwrap(), first, "they were not compiled again");
            assert!(kernels(first.as_bytes(), 3).unwrap().starts_with("KERNELS 2\n"));
            assert_eq!(kernels(b"damaged", 2).unwrap(), first, "a damaged cache is an empty one");
        }
    });
}
