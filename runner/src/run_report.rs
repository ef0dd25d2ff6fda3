//! `run.json`: what a prediction was made with, and how it went.

use std::collections::BTreeMap;

use egom2p_device::{DeviceFacts, DeviceKind};
use egom2p_model::{Stage, Variant};
use serde_json::{Map, Value, json};

use crate::{
    decoding::{TemperatureSchedule, TokenSchedule, TopK},
    engine_stages::EngineTiming,
    generation::{GenerationSettings, StepReport, TargetSettings},
    pipeline::Prediction,
};

/// The version of `run.json`.
pub const RUN_SCHEMA: u32 = 1;

/// The settings as they were used.
pub fn settings(settings: &GenerationSettings) -> Value {
    json!({
        "seed": settings.seed,
        "chaining": settings.chaining.name(),
        "reuse_encoder": settings.reuse_encoder,
        "targets": settings.targets.iter().map(target).collect::<Vec<_>>(),
    })
}

/// Every decoding step, in order.
pub fn steps(prediction: &Prediction) -> Value {
    prediction.generated.steps.iter().map(step).collect()
}

/// Wall time of the parts of a prediction, in seconds.
pub fn secs(prediction: &Prediction) -> Value {
    let secs = prediction.secs;
    json!({ "tokenize": secs.tokenize, "generate": secs.generate, "detokenize": secs.detokenize })
}

/// Calls and wall time of every engine.
pub fn engines(timings: &BTreeMap<(Stage, Variant), EngineTiming>) -> Value {
    let engine = |(&(stage, variant), timing): (&(Stage, Variant), &EngineTiming)| {
        let value = json!({ "calls": timing.calls, "secs": timing.secs, "load_secs": timing.load_secs });
        (format!("{stage}.{variant}"), value)
    };
    Value::Object(timings.iter().map(engine).collect::<Map<_, _>>())
}

/// A GPU, and how many clips it decoded together.
pub fn gpu(facts: &DeviceFacts, n_together: usize) -> Value {
    let version = |version: Option<(u32, u32)>| version.map(|(major, minor)| format!("{major}.{minor}"));
    json!({
        "name": facts.name,
        "ordinal": match facts.kind {
            DeviceKind::Cuda(ordinal) => Some(ordinal),
            DeviceKind::Host => None,
        },
        "compute_capability": version(facts.compute_capability),
        "driver": version(facts.driver),
        "clips_together": n_together,
    })
}

/// The largest memory that this process has had so far, in bytes, where the system tells it.
pub fn peak_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}

fn target(target: &TargetSettings) -> Value {
    json!({
        "modality": target.modality.name(),
        "steps": target.n_steps,
        "schedule": match target.schedule {
            TokenSchedule::Linear => "linear",
            TokenSchedule::Cosine => "cosine",
        },
        "temperature_schedule": match target.temperature_schedule {
            TemperatureSchedule::Constant => "constant".to_owned(),
            TemperatureSchedule::Linear => "linear".to_owned(),
            TemperatureSchedule::OneOverX { min, power } => format!("onex:{min}:{power}"),
        },
        "guidance": target.guidance,
        "guidance_on": target.guidance_on.name(),
        "temperature": target.sampler.temperature,
        "top_p": target.sampler.top_p,
        "top_k": match target.sampler.top_k {
            TopK::Off => json!(0),
            TopK::Count(count) => json!(count),
            TopK::Fraction(share) => json!(share),
        },
    })
}

fn step(step: &StepReport) -> Value {
    let secs = step.secs;
    json!({
        "target": step.modality.name(),
        "step": step.step,
        "seed": step.seed,
        "visible": step.visible,
        "visible_unconditional": step.visible_unconditional,
        "shared_encoding": step.shared_encoding,
        "secs": { "encoder": secs.encoder, "decoder": secs.decoder, "head": secs.head, "sampling": secs.sampling },
        "positions": step.positions,
        "tokens": step.tokens,
    })
}
