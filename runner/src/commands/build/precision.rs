use std::path::Path;

use anyhow::bail;
use egom2p_calibration::Precision;
use egom2p_engine_core::ExportManifest;
use egom2p_engines::BackendKind;

/// Fails unless the stages were exported in the precision that was asked for, if any, and in one that the backend has.
///
/// The precision is what the ONNX files compute in: a build does not change it.
pub(super) fn check(
    exported: &Path,
    stages: Option<&[String]>,
    backend: BackendKind,
    asked: Option<Precision>,
) -> anyhow::Result<()> {
    let manifest = ExportManifest::read(exported)?;
    let is_selected = |stage: &String| stages.is_none_or(|stages| stages.contains(stage));
    for (stage, variants) in manifest.stages.iter().filter(|(stage, _)| is_selected(stage)) {
        for got in variants.iter().map(|variant| variant.precision.as_str()) {
            if let Some(asked) = asked.filter(|asked| asked.name() != got) {
                bail!(
                    "{}: stage {stage} was exported in {got}, expected {asked}\n\
                     export it again: \"egom2p export WEIGHTS --out DIR{} --precision {asked}\"",
                    exported.display(),
                    if backend == BackendKind::OnnxRuntime && asked == Precision::Fp32 {
                        ""
                    } else {
                        " --target standard"
                    }
                );
            }
            if backend == BackendKind::OnnxRuntime && got == Precision::Bf16.name() {
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
