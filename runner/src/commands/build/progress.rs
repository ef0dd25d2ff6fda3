use egom2p_engine_core::{BuildMonitor, BuildReport, EngineMemory, RelativePath};
use egom2p_engines::Progress;
use indicatif::ProgressBar;

use crate::{commands::clean_up, console, quantity::bytes};

/// One line per engine on standard error and, while one is being compiled, a bar on a terminal.
#[derive(Default)]
pub(super) struct BuildProgress {
    engine: Option<EngineBar>,
}

/// How the build of one engine proceeds.
struct EngineBar {
    engine: String,
    bar: ProgressBar,
}

impl Progress for BuildProgress {
    fn copying(&mut self, file: &RelativePath, n_bytes: u64) {
        console::note(format_args!("copying {file} ({:.1} MB)", n_bytes as f64 / 1e6));
    }

    fn started(&mut self, stage: &str, variant: &str) {
        let engine = format!("{stage} {variant}");
        self.engine = Some(EngineBar { bar: console::progress(1, engine.clone()), engine });
    }

    fn monitor(&self) -> &dyn BuildMonitor {
        match &self.engine {
            Some(engine) => engine,
            None => &(),
        }
    }

    fn finished(&mut self, stage: &str, variant: &str, secs: f64, report: &BuildReport) {
        self.engine = None;
        let built = format!("built {stage} {variant} in {secs:.1} s");
        match &report.memory {
            Some(memory) => console::note(format_args!("{built}: {}", compiled(report, memory))),
            None => console::note(format_args!(
                "{built} ({:.1} MB own, {:.1} MB of weights shared)",
                report.own_bytes as f64 / 1e6,
                report.shared_bytes as f64 / 1e6
            )),
        }
    }
}

/// What a compiled engine takes, as far as it is known.
fn compiled(report: &BuildReport, memory: &EngineMemory) -> String {
    let mut parts = vec![format!("{} engine", bytes(report.own_bytes))];
    parts.extend(memory.activation_bytes.map(|n_bytes| format!("{} activations", bytes(n_bytes))));
    parts.extend(report.peak_bytes.map(|n_bytes| format!("peak memory {}", bytes(n_bytes))));
    parts.join(", ")
}

impl BuildMonitor for EngineBar {
    fn step(&self, phase: &str, step: u32, n_steps: u32) {
        self.bar.update(|bar| {
            bar.set_len(n_steps.into());
            bar.set_pos(step.into());
        });
        self.bar.set_message(format!("{}: {}", self.engine, phase.escape_debug()));
    }

    fn is_cancelled(&self) -> bool {
        clean_up::is_interrupted()
    }
}

impl Drop for EngineBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
