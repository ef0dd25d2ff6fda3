/// The backend's name in messages, manifests and commands.
pub(crate) const NAME: &str = "onnxruntime";

/// Text of a foreign error on one line, without the place in ONNX Runtime's own source that stands before it.
pub(crate) fn one_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let text = text.split_once("[ONNXRuntimeError] : ").map_or(&*text, |(_, what)| what);
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
