//! `egom2p doctor`: what this machine has, and what follows.

use std::iter;

use egom2p::video::VideoProgram;
use egom2p_device::{DeviceError, DeviceFacts, open_cuda};
use egom2p_engine_core::{BackendInfo, Device};
use egom2p_engines::{BackendKind, BackendOptions, BundleError, open_backend};
use serde_json::{Value, json};

use super::engines::EngineArgs;
use crate::console;

/// `egom2p doctor`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engines: EngineArgs,
}

/// One thing that was looked for.
struct Finding {
    name: &'static str,
    state: State,
    /// What works with it.
    serves: &'static str,
}

enum State {
    /// It is there: what it is, and what more there is to say, one line each.
    Found { what: String, more: Vec<String> },
    /// It is not there: two lines, what and how to mend it.
    Missing(String),
    /// This program cannot use it: two lines, what and how to mend it.
    LeftOut(String),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let options = args.engines.backend_options();
    let gpus = gpus();
    let mut findings = vec![onnxruntime(&options, &gpus), video()];
    findings.extend(compilers(&options));
    findings.push(Finding { name: "NVIDIA GPUs", state: State::of_gpus(&gpus), serves: "run and stage on cuda" });
    if args.json {
        return console::print_json(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "threads": args.engines.n_threads(),
            "memory_bytes": memory_bytes(),
            "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
        }));
    }
    console::print(format_args!("egom2p {}", env!("CARGO_PKG_VERSION")));
    let memory = memory_bytes().map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.1} GB", bytes as f64 / 1e9));
    console::print(format_args!("threads: {}, memory: {memory}", args.engines.n_threads()));
    for finding in &findings {
        console::print(finding.lines());
    }
    Ok(())
}

fn onnxruntime(options: &BackendOptions, gpus: &Result<Vec<DeviceFacts>, DeviceError>) -> Finding {
    let mut info = check(BackendKind::OnnxRuntime, options);
    if let Ok(info) = &mut info {
        // What the library was compiled with decides nothing else.
        info.features = vec![match gpus {
            _ if !info.devices.contains(&Device::Cuda.to_string()) => "runs engines on cpu".to_owned(),
            Ok(_) => "runs engines on cpu and cuda".to_owned(),
            Err(error) => format!("runs engines on cpu, and not on cuda: {}", first_line(error)),
        }];
    }
    let state = State::of_backend(&info);
    Finding { name: "ONNX Runtime", state, serves: "build, run, stage" }
}

fn video() -> Finding {
    let state = match VideoProgram::find() {
        Ok(program) => State::Found { what: program.path().display().to_string(), more: Vec::new() },
        Err(error) => State::Missing(error.to_string()),
    };
    Finding { name: "egom2p-video", state, serves: "run --input, depth.mp4, rgb.mp4" }
}

/// The libraries that compile engines; one finding where this program can use neither.
fn compilers(options: &BackendOptions) -> Vec<Finding> {
    let tensorrt = check(BackendKind::TensorRt, options);
    if let Err(error @ BundleError::BackendLeftOut { .. }) = tensorrt {
        let state = State::LeftOut(error.to_string());
        return vec![Finding { name: "TensorRT", state, serves: "build --backend tensorrt or tensorrt-rtx" }];
    }
    vec![
        Finding {
            name: "TensorRT",
            state: State::of_backend(&tensorrt),
            serves: "build --backend tensorrt, on the GPU that runs the engines",
        },
        Finding {
            name: "TensorRT for RTX",
            state: State::of_backend(&check(BackendKind::TensorRtRtx, options)),
            serves: "build --backend tensorrt-rtx, with --compute-capability on any machine",
        },
    ]
}

/// The GPUs that this program can use, of which there is at least one.
fn gpus() -> Result<Vec<DeviceFacts>, DeviceError> {
    let mut gpus = vec![open_cuda(0)?.facts().clone()];
    gpus.extend((1..).map_while(|ordinal| Some(open_cuda(ordinal).ok()?.facts().clone())));
    Ok(gpus)
}

fn check(kind: BackendKind, options: &BackendOptions) -> Result<BackendInfo, BundleError> {
    Ok(open_backend(kind, options)?.check()?)
}

impl State {
    fn of_gpus(gpus: &Result<Vec<DeviceFacts>, DeviceError>) -> Self {
        match gpus {
            Ok(gpus) => {
                let names: Vec<&str> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
                Self::Found { what: names.join(", "), more: gpus.iter().filter_map(abilities).collect() }
            }
            Err(error @ DeviceError::LeftOut) => Self::LeftOut(error.to_string()),
            Err(error) => Self::Missing(error.to_string()),
        }
    }

    fn of_backend(info: &Result<BackendInfo, BundleError>) -> Self {
        match info {
            Ok(info) => Self::Found {
                what: format!("{} at {}", info.version, info.library.display()),
                more: info.features.clone(),
            },
            Err(error) => Self::Missing(error.to_string()),
        }
    }
}

impl Finding {
    fn lines(&self) -> String {
        match &self.state {
            State::Found { what, more } => {
                let first = format!("{}: {what} (for {})", self.name, self.serves);
                let more = more.iter().map(|line| format!("  {line}"));
                iter::once(first).chain(more).collect::<Vec<_>>().join("\n")
            }
            State::Missing(error) => {
                format!("{}: missing (for {})\n  {}", self.name, self.serves, error.replace('\n', "\n  help: "))
            }
            State::LeftOut(error) => {
                let mend = error.lines().nth(1).unwrap_or_default();
                format!("{}: this program was built without it ({mend})", self.name)
            }
        }
    }

    fn json(&self) -> Value {
        let (found, more, missing) = match &self.state {
            State::Found { what, more } => (Some(what), more.as_slice(), None),
            State::Missing(error) | State::LeftOut(error) => (None, Default::default(), Some(error)),
        };
        json!({ "name": self.name, "found": found, "more": more, "missing": missing, "serves": self.serves })
    }
}

/// What a GPU and its driver can do.
fn abilities(gpu: &DeviceFacts) -> Option<String> {
    let ((major, minor), driver) = (gpu.compute_capability?, gpu.driver?);
    Some(format!("{}: compute capability {major}.{minor}, a driver for CUDA {}.{}", gpu.name, driver.0, driver.1))
}

fn first_line(error: &DeviceError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// All memory of the machine, where the system tells it.
fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}
