use std::fmt::Write as _;
use std::path::Path;

/// Enums that the shim knows by name: header, scope, name, and the macro of their list in `shim/names.hpp`.
const ENUMS: [(&str, &str, &str, &str); 6] = [
    ("NvInfer.h", "nvinfer1", "BuilderFlag", "EGOM2P_BUILDER_FLAGS"),
    ("NvInfer.h", "nvinfer1", "ComputeCapability", "EGOM2P_COMPUTE_CAPABILITIES"),
    ("NvInfer.h", "nvinfer1", "HardwareCompatibilityLevel", "EGOM2P_HARDWARE_LEVELS"),
    ("NvInferRuntimeBase.h", "nvinfer1", "DataType", "EGOM2P_ELEMENT_TYPES"),
    ("NvInfer.h", "nvinfer1", "LayerType", "EGOM2P_LAYER_TYPES"),
    ("NvOnnxParser.h", "nvonnxparser", "ErrorCode", "EGOM2P_PARSER_CODES"),
];

/// Writes what the headers call their enumerators, so that none is written down here: they come, go and move from
/// version to version. An enum that the headers do not have becomes an empty list.
pub(crate) fn write(headers: &Path, to: &Path) -> Result<(), String> {
    let mut text = String::new();
    for (header, scope, name, list) in ENUMS {
        let path = headers.join(header);
        let source = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}\ncheck TENSORRT_INCLUDE_DIR", path.display()))?;
        let _ = write!(text, "#define {list}");
        for enumerator in enumerators(&source, name) {
            let _ = write!(text, " \\\n    EGOM2P_NAMED({scope}::{name}, {enumerator})");
        }
        text.push_str("\n\n");
    }
    std::fs::write(to, text).map_err(|error| format!("cannot write {}: {error}\ncheck the target folder", to.display()))
}

/// Names of the enumerators of `enum class NAME`, in their order.
fn enumerators(source: &str, name: &str) -> Vec<String> {
    let source = without_comments(source);
    let opening = format!("enum class {name} ");
    let body = source.match_indices(&opening).find_map(|(at, _)| {
        let rest = &source[at + opening.len()..];
        let (head, body) = rest.split_once('{')?;
        // A declaration without a body ends before the next brace.
        (!head.contains(';')).then(|| body.split('}').next().unwrap_or_default())
    });
    let words = body.unwrap_or_default().split(',').filter_map(|entry| {
        let end = entry.trim_start().find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = entry.trim_start();
        Some(&word[..end.unwrap_or(word.len())]).filter(|word| word.starts_with('k'))
    });
    words.map(str::to_owned).collect()
}

pub(crate) fn without_comments(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('/') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (length, n_kept) = match rest.as_bytes().get(1) {
            Some(b'*') => (rest[2..].find("*/").map_or(rest.len(), |end| end + 4), 0),
            Some(b'/') => (rest.find('\n').unwrap_or(rest.len()), 0),
            _ => (1, 1),
        };
        text.push_str(&rest[..n_kept]);
        rest = &rest[length..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enumerators_are_read_by_name_whatever_stands_between() {
        let source = "enum class Flag : int32_t;\n\
                      enum class FlagKind : int32_t { kNOT_THIS = 0 };\n\
                      //! enum class Flag : int32_t { kNOR_THIS }\n\
                      enum class Flag : int32_t\n{\n  kONE = 0, //!< first, of two\n  /* kGONE, */\n  \
                      kTWO TRT_DEPRECATED_ENUM = 1 / 1,\n kTHREE\n};\n";
        assert_eq!(enumerators(source, "Flag"), ["kONE", "kTWO", "kTHREE"]);
        assert!(enumerators(source, "Absent").is_empty());
        assert!(enumerators("enum class Flag /*", "Flag").is_empty());
    }
}
