use crate::optimise::{PartialFolder, rename, write_synced};
use egom2p_engine_core::onnx::{External, broken, check_external, model_specs, read_model, visit_tensors};
use egom2p_engine_core::{BuildReport, BuildRequest, EngineError, Result};
use egom2p_onnx_proto::Message;

/// Makes an engine of the graph as it was exported, with the places of its weights relative to the bundle.
///
/// ONNX Runtime's optimisations are not saved for a GPU: without its provider they put casts around whatever the
/// processor has no kernel for, such as products of halves, and those would stay.
pub(crate) fn build(request: &BuildRequest<'_>) -> Result<BuildReport> {
    let source = request.onnx.below(request.root);
    let (mut model, _) = read_model(&source)?;
    check_external(&mut model, &source, source.parent().unwrap_or(request.root))?;
    model_specs(&model, &source)?;
    let mut shared_bytes = 0;
    visit_tensors(&mut model, &mut |tensor| {
        let external = External::of(tensor).map_err(|what| broken(&source, what))?;
        if let Some(external) = external {
            let location = match request.onnx.parent() {
                Some(folder) => folder.join(external.location.as_str())?,
                None => external.location.clone(),
            };
            shared_bytes += external.length;
            External { location, ..external }.store(tensor);
        }
        Ok::<(), EngineError>(())
    })?;

    let partial = request.engine_dir.join(&format!(".partial-{}", request.name))?;
    let partial = PartialFolder::create(partial.below(request.root))?;
    let engine = request.engine_dir.join(&format!("{}.onnx", request.name))?;
    let bytes = model.encode_to_vec();
    let unfinished = partial.file("engine.onnx");
    write_synced(&unfinished, &bytes)?;
    rename(&unfinished, &engine.below(request.root))?;
    Ok(BuildReport {
        files: vec![engine],
        shared_bytes,
        own_bytes: bytes.len() as u64,
        rewritten: Vec::new(),
        memory: None,
        peak_bytes: None,
    })
}
