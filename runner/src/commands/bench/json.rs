use std::collections::BTreeMap;

use egom2p::{
    benchmark::{CEILINGS_RULE, CLIPS_RULE, ClipLatency, EngineBenchmark, Latency, REPEAT_RULE, SHARE_RULE},
    run_report,
};
use serde_json::{Map, Value, json};

use super::{Measured, NO_DEVICE_MEMORY};

/// The version of the object that `--json` prints.
const BENCH_SCHEMA: u32 = 1;

impl Measured<'_> {
    /// Everything, in seconds, bytes and operations.
    pub(super) fn to_json(&self) -> Value {
        let manifest = self.bundle.manifest();
        let clips = self.clips.measured.iter().map(|clips| (clips.scope.name().to_owned(), clips_json(clips)));
        let left_out = self.clips.left_out.iter().map(|(&scope, why)| (scope.to_owned(), json!({ "left_out": why })));
        json!({
            "schema": BENCH_SCHEMA,
            "versions": { "egom2p": env!("CARGO_PKG_VERSION"), "libraries": self.libraries() },
            "bundle": { "preset": manifest.preset },
            "settings": {
                "secs": self.args.secs,
                "clips": self.args.clips,
                "sessions": self.options,
                "generation": run_report::settings(self.settings),
            },
            "rules": {
                "engines": REPEAT_RULE,
                "clips": CLIPS_RULE,
                "ceilings": CEILINGS_RULE,
                "share_of_ceiling": SHARE_RULE,
            },
            "ceilings": {
                "backend": self.ceilings.backend,
                "matrix_flops_per_sec": self.ceilings.matrix_flops_per_sec,
                "memory_bytes_per_sec": self.ceilings.memory_bytes_per_sec,
                "matrix": latency(&self.ceilings.matrix),
                "memory": latency(&self.ceilings.memory),
            },
            "engines": self.engines.iter().map(|engine| self.engine(engine)).collect::<Vec<_>>(),
            "clips": clips.chain(left_out).collect::<Map<_, _>>(),
            "memory": {
                "host_peak_bytes": self.host_peak_bytes,
                "device_peak_bytes": null,
                "device_left_out": NO_DEVICE_MEMORY,
            },
        })
    }

    /// Versions of the libraries that the engines were built with, which are those that run them.
    pub(super) fn libraries(&self) -> BTreeMap<&str, &str> {
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
        });
        merge(&mut value, latency(&engine.latency));
        value
    }
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
