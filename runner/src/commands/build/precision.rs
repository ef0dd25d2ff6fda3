use std::path::Path;

use anyhow::bail;
use egom2p_calibration::Precision;
use egom2p_engine_core::{Device, ExportManifest};
use egom2p_engines::BackendKind;

/// Fails unless the stages were exported in the precision that was asked for, if any, and in one that the backend has on the
/// device.
///
/// The precision is what the ONNX files compute in: a build does not change it.
pub(super) fn check(
    exported: &Path,
    stages: Option<&[String]>,
    (backend, device): (BackendKind, Device),
    asked: Option<Precision>,
) -> anyhow::Result<()> {
    let is_onnxruntime_on_cpu = backend == BackendKind::OnnxRuntime && device == Device::Cpu;
    let manifest = ExportManifest::read(exported)?;
    let is_selected = |stage: &String| stages.is_none_or(|stages| stages.contains(stage));
    for (stage, variants) in manifest.stages.iter().filter(|(stage, _)| is_selected(stage)) {
        for got in variants.iter().map(|variant| variant.precision.as_str()) {
            if let Some(asked) = asked.filter(|asked| asked.name() != got) {
                bail!(
                    "{}: stage {stage} was exported in {got}, expected {asked}\n\
                     export it again: \"egom2p export WEIGHTS --out DIR{} --precision {asked}\"",
                    exported.display(),
                    if is_onnxruntime_on_cpu && asked == Precision::Fp32 { "" } else { " --target standard" }
                );
            }
            if is_onnxruntime_on_cpu && got == Precision::Bf16.name() {
                bail!(
                    "{}: stage {stage} was exported in bf16, which onnxruntime does not compute in on a cpu\n\
                     export it again with --precision fp32 or fp16, or choose a backend for NVIDIA GPUs",
                    exported.display()
                );
            }
        }
    }
    Ok(())
}
