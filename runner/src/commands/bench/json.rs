use std::collections::BTreeMap;

use egom2p::{
    benchmark::{
        CEILINGS_RULE, CLIPS_RULE, ClipLatency, DEVICE_CEILINGS_RULE, DEVICE_CLIPS_RULE, EngineBenchmark, FILLING_RULE,
        Filling, Latency, REPEAT_RULE, SHARE_RULE,
    },
    run_report,
};
use serde_json::{Map, Value, json};

use super::{Batch, Measured, NO_DEVICE_MEMORY, device::OnDevice};

/// The version of the object that `--json` prints.
const BENCH_SCHEMA: u32 = 1;

impl Measured<'_> {
    /// Everything, in seconds, bytes and operations.
    pub(in crate::commands) fn to_json(&self) -> Value {
        let manifest = self.bundle.manifest();
        let clips = self.clips.measured.iter().map(|clips| (clips.scope.name().to_owned(), clips_json(clips)));
        let left_out = self.clips.left_out.iter().map(|(&scope, why)| (scope.to_owned(), json!({ "left_out": why })));
        json!({
            "schema": BENCH_SCHEMA,
            "versions": { "egom2p": env!("CARGO_PKG_VERSION"), "libraries": self.libraries() },
            "bundle": { "preset": manifest.preset },
            "settings": {
                "secs": self.request.secs,
                "clips": self.request.clips,
                "batch": match self.request.batch {
                    Batch::Clips(batch) => json!(batch),
                    Batch::Fill => json!("fill"),
                },
                "sessions": self.options,
                "generation": run_report::settings(&self.settings),
            },
            "rules": {
                "engines": REPEAT_RULE,
                "clips": if self.device.is_some() { DEVICE_CLIPS_RULE } else { CLIPS_RULE },
                "filling": FILLING_RULE,
                "ceilings": if self.device.is_some() { DEVICE_CEILINGS_RULE } else { CEILINGS_RULE },
                "share_of_ceiling": SHARE_RULE,
            },
            "ceilings": match &self.ceilings {
                Ok(ceilings) => json!({
                    "backend": ceilings.backend,
                    "precision": ceilings.precision,
                    "matrix_flops_per_sec": ceilings.matrix_flops_per_sec,
                    "memory_bytes_per_sec": ceilings.memory_bytes_per_sec,
                    "matrix": latency(&ceilings.matrix),
                    "memory": latency(&ceilings.memory),
                }),
                Err(why) => json!({ "left_out": why }),
            },
            "engines": self.engines.iter().map(|engine| self.engine(engine)).collect::<Vec<_>>(),
            "clips": clips.chain(left_out).collect::<Map<_, _>>(),
            "fillings": self.clips.fillings.iter().map(filling).collect::<Value>(),
            "memory": {
                "host_peak_bytes": self.host_peak_bytes,
                "device_peak_bytes": self.device.as_ref().and_then(OnDevice::peak_bytes),
                "device": self.device.as_ref().map(device),
                "device_left_out": self.device.is_none().then_some(NO_DEVICE_MEMORY),
            },
        })
    }

    /// Versions of the libraries that the engines were built with, which are those that run them.
    pub(in crate::commands) fn libraries(&self) -> BTreeMap<&str, &str> {
        let variants = self.bundle.manifest().stages.values().flat_map(BTreeMap::values);
        let libraries = variants.flat_map(|variant| &variant.libraries);
        libraries.map(|(name, version)| (name.as_str(), version.as_str())).collect()
    }

    fn engine(&self, engine: &EngineBenchmark) -> Value {
        let share = self.share(engine);
        let mut value = json!({
            "stage": engine.stage.name(),
            "variant": engine.variant.name(),
            "backend": engine.backend,
            "device": engine.device,
            "precision": engine.precision,
            "dims": engine.dims,
            "load_secs": engine.load_secs,
            "tokens": engine.tokens,
            "tokens_per_sec": engine.tokens_per_sec(),
            "flops": engine.cost.flops,
            "bytes": engine.cost.bytes,
            "bound": share.map(|(bound, _)| bound.name()),
            "share_of_ceiling": share.map(|(_, share)| share),
            "with_transfers": engine.with_transfers.as_ref().map(latency),
        });
        merge(&mut value, latency(&engine.latency));
        value
    }
}

/// The device, its memory before anything was loaded, and what every pipeline took.
fn device(device: &OnDevice) -> Value {
    let facts = device.device().facts();
    let pipelines = device.pipelines.iter().map(|(scope, batch, memory)| {
        json!({
            "clips": scope.name(),
            "batch": batch,
            "tensors_bytes": memory.tensors_bytes,
            "scratch_bytes": memory.scratch_bytes,
            "used_bytes": memory.used_bytes,
        })
    });
    json!({
        "name": facts.name,
        "compute_capability": facts.compute_capability.map(|(major, minor)| format!("{major}.{minor}")),
        "driver_cuda": facts.driver.map(|(major, minor)| format!("{major}.{minor}")),
        "total_bytes": device.memory.total_bytes,
        "free_bytes": device.memory.free_bytes,
        "pipelines": pipelines.collect::<Value>(),
    })
}

fn filling(filling: &Filling) -> Value {
    let best = filling.best();
    json!({
        "clips": best.scope.name(),
        "batch": best.batch,
        "end": filling.end.name(),
        "measured": filling.measured.iter().map(clips_json).collect::<Value>(),
    })
}

fn latency(latency: &Latency) -> Value {
    json!({
        "warm_up_runs": latency.warm_up_runs,
        "runs": latency.runs(),
        "median_secs": latency.median_secs(),
        "p95_secs": latency.p95_secs(),
        "min_secs": latency.min_secs(),
    })
}

fn clips_json(clips: &ClipLatency) -> Value {
    let mut value = json!({
        "batch": clips.batch,
        "clips_per_sec": clips.clips_per_sec(),
        "tokens": clips.tokens,
        "tokens_per_sec": clips.tokens_per_sec(),
        "mean_secs": {
            "tokenize": clips.secs.tokenize,
            "generate": clips.secs.generate,
            "detokenize": clips.secs.detokenize,
            "sampling": clips.sampling_secs,
            "load": clips.load_secs(),
        },
        "engines": run_report::engines(&clips.engines),
    });
    merge(&mut value, latency(&clips.latency));
    value
}

/// Adds the members of one object to another.
fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
