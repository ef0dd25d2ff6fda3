use std::fmt::Write as _;

use egom2p::benchmark::{Bound, ClipLatency, ClipScope, EngineBenchmark, Latency};

use super::{Measured, NO_DEVICE_MEMORY, device::OnDevice};
use crate::{
    quantity::{bytes, count},
    table::Table,
};

impl Measured<'_> {
    /// Tables for people: engines, clips, and where the time of a clip goes.
    pub(in crate::commands) fn to_text(&self) -> String {
        let preset = self.bundle.manifest().preset.as_deref().unwrap_or("a model of its own");
        let libraries: Vec<_> =
            self.libraries().into_iter().map(|(name, version)| format!("{name} {version}")).collect();
        let threads = self.options.threads.map_or(0, usize::from);
        let mut text = format!(
            "{}: {preset}, {}, {}\n",
            self.request.bundle.display(),
            libraries.join(", "),
            count(threads, "thread")
        );
        let machine = match &self.device {
            Some(device) => device.device().facts().name.as_str(),
            None => "this machine",
        };
        let _ = match &self.ceilings {
            Ok(ceilings) => writeln!(
                text,
                "ceilings of {machine}: {:.1} GFLOP/s in products{}, {:.1} GB/s from and to memory",
                ceilings.matrix_flops_per_sec / 1e9,
                if self.device.is_some() { format!(" of {}", ceilings.precision) } else { String::new() },
                ceilings.memory_bytes_per_sec / 1e9,
            ),
            Err(why) => writeln!(text, "ceilings of {machine}: not measured, {why}"),
        };
        text.push('\n');
        self.engine_table().write(&mut text, usize::MAX);
        if !self.clips.measured.is_empty() {
            text.push('\n');
            self.clip_table().write(&mut text, usize::MAX);
        }
        if let Some(clips) = self.clips.measured.first() {
            let _ = writeln!(text, "\nwhere the time of a clip to {} goes, on average", clips.scope.name());
            parts_table(clips).write(&mut text, usize::MAX);
        }
        text.push('\n');
        for (scope, why) in &self.clips.left_out {
            let _ = writeln!(text, "clips to {scope}: not measured, {why}");
        }
        let host = self.host_peak_bytes.map_or_else(|| "unknown".to_owned(), bytes);
        for filling in &self.clips.fillings {
            let best = filling.best();
            let _ = writeln!(
                text,
                "clips to {}: a batch of {} fills the card; {}",
                best.scope.name(),
                best.batch,
                filling.end.name()
            );
        }
        match &self.device {
            None => {
                let _ = writeln!(text, "peak memory: {host}; device memory: none, {NO_DEVICE_MEMORY}");
            }
            Some(device) => write_memory(&mut text, &host, device),
        }
        text
    }

    /// What would limit an engine, and its share of the median; `None` where the ceilings are those of another backend.
    pub(super) fn share(&self, engine: &EngineBenchmark) -> Option<(Bound, f64)> {
        let ceilings = self.ceilings.as_ref().ok().filter(|ceilings| ceilings.backend == engine.backend)?;
        Some(engine.share_of(ceilings))
    }

    fn engine_table(&self) -> Table {
        let row = |engine: &EngineBenchmark| {
            let dims: Vec<_> = engine.dims.iter().filter(|&(&name, _)| is_variable(name)).collect();
            let dims: Vec<_> = dims.into_iter().map(|(name, length)| format!("{name} {length}")).collect();
            let share = self.share(engine).map(|(bound, share)| format!("{:.0} % ({})", share * 100.0, bound.name()));
            let mut row = vec![format!("{}.{}", engine.stage, engine.variant), dims.join(" ")];
            row.extend(latency_cells(&engine.latency));
            row.extend(engine.with_transfers.iter().map(|latency| secs(latency.median_secs())));
            row.extend([
                secs(engine.latency.min_secs()),
                engine.latency.runs().to_string(),
                format!("{:.0}", engine.tokens_per_sec()),
                format!("{:.2}", engine.cost.flops as f64 / 1e9),
                share.unwrap_or_default(),
            ]);
            row
        };
        let on_host = &["engine", "at", "median", "p95", "min", "runs", "tokens/s", "GFLOP", "of ceiling"];
        let on_device =
            &["engine", "at", "median", "p95", "with transfers", "min", "runs", "tokens/s", "GFLOP", "of ceiling"];
        Table {
            columns: if self.device.is_some() { on_device } else { on_host },
            rows: self.engines.iter().map(row).collect(),
        }
    }

    pub(in crate::commands) fn clip_table(&self) -> Table {
        let row = |clips: &ClipLatency| {
            let what = match clips.scope {
                ClipScope::Predictions => "with tokenizers",
                ClipScope::Tokens => "tokens alone",
            };
            let batch = if clips.batch.get() == 1 { String::new() } else { format!(", {} clips", clips.batch) };
            let mut row = vec![format!("{}, {what}{batch}", self.clips.task)];
            row.extend(latency_cells(&clips.latency));
            row.extend([
                clips.latency.runs().to_string(),
                format!("{:.3}", clips.clips_per_sec()),
                format!("{:.0}", clips.tokens_per_sec()),
            ]);
            row
        };
        let on_host = &["clip", "median", "p95", "clips", "clips/s", "tokens/s"];
        let on_device = &["clip", "median", "p95", "runs", "clips/s", "tokens/s"];
        let alone = self.clips.measured.iter().filter(|_| self.clips.fillings.is_empty());
        let filled = self.clips.fillings.iter().flat_map(|filling| &filling.measured);
        Table {
            columns: if self.device.is_some() { on_device } else { on_host },
            rows: alone.chain(filled).map(row).collect(),
        }
    }
}

/// Memory of the device, and what the largest pipeline took of it.
fn write_memory(text: &mut String, host: &str, device: &OnDevice) {
    let memory = device.memory;
    let _ = writeln!(
        text,
        "peak memory: {host}; device memory: {} of {} free at the start",
        bytes(memory.free_bytes),
        bytes(memory.total_bytes)
    );
    for (scope, batch, memory) in &device.pipelines {
        let _ = writeln!(
            text,
            "clips to {}, {batch} at a time: {} on the device, of it {} of tensors and {} of scratch",
            scope.name(),
            bytes(memory.used_bytes),
            bytes(memory.tensors_bytes),
            bytes(memory.scratch_bytes)
        );
    }
}

/// What the parts of a clip take, the longest first.
fn parts_table(clips: &ClipLatency) -> Table {
    let n = clips.latency.runs() as f64;
    let mut parts: Vec<(String, String, f64)> = Vec::new();
    for ((stage, variant), timing) in &clips.engines {
        let calls = format!("{:.0}", timing.calls as f64 / n);
        parts.push((format!("{stage}.{variant}"), calls, timing.secs / n));
    }
    parts.push(("loading engines".to_owned(), String::new(), clips.load_secs()));
    parts.push(("sampling".to_owned(), String::new(), clips.sampling_secs));
    let total = clips.secs.tokenize + clips.secs.generate + clips.secs.detokenize;
    let known: f64 = parts.iter().map(|(_, _, secs)| secs).sum();
    parts.push(("everything else".to_owned(), String::new(), (total - known).max(0.0)));
    parts.sort_by(|a, b| f64::total_cmp(&b.2, &a.2));
    let row = |(name, calls, part_secs): (String, String, f64)| {
        vec![name, calls, secs(part_secs), format!("{:.0} %", part_secs / total * 100.0)]
    };
    Table { columns: &["part", "calls", "time", "share"], rows: parts.into_iter().map(row).collect() }
}

fn latency_cells(latency: &Latency) -> [String; 2] {
    [secs(latency.median_secs()), secs(latency.p95_secs())]
}

/// Whether the length of a dimension changes from call to call.
fn is_variable(name: &str) -> bool {
    ["visible", "queries"].contains(&name)
}

/// A time: `12.3 ms`.
fn secs(secs: f64) -> String {
    if secs < 1.0 { format!("{:.2} ms", secs * 1e3) } else { format!("{secs:.2} s") }
}
