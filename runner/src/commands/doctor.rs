//! `egom2p doctor`: what this machine has, and what follows.

use egom2p::video::VideoProgram;
use egom2p_engines::{BackendKind, BackendOptions, open_backend};
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
    found: Result<String, String>,
    /// What works with it.
    serves: &'static str,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let findings = [onnxruntime(&args.engines.backend_options()), video()];
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
        console::print(finding.line());
    }
    Ok(())
}

fn onnxruntime(options: &BackendOptions) -> Finding {
    let info = open_backend(BackendKind::OnnxRuntime, options).and_then(|backend| Ok(backend.check()?));
    Finding {
        name: "ONNX Runtime",
        found: info
            .map(|info| format!("{} at {}", info.version, info.library.display()))
            .map_err(|error| error.to_string()),
        serves: "build, run, stage",
    }
}

fn video() -> Finding {
    Finding {
        name: "egom2p-video",
        found: VideoProgram::find()
            .map(|program| program.path().display().to_string())
            .map_err(|error| error.to_string()),
        serves: "run --input, depth.mp4, rgb.mp4",
    }
}

impl Finding {
    fn line(&self) -> String {
        match &self.found {
            Ok(found) => format!("{}: {found} (for {})", self.name, self.serves),
            Err(error) => {
                format!("{}: missing (for {})\n  {}", self.name, self.serves, error.replace('\n', "\n  help: "))
            }
        }
    }

    fn json(&self) -> Value {
        let (found, missing) = match &self.found {
            Ok(found) => (Some(found), None),
            Err(error) => (None, Some(error)),
        };
        json!({ "name": self.name, "found": found, "missing": missing, "serves": self.serves })
    }
}

/// All memory of the machine, where the system tells it.
fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}
