use egom2p_engine_core::EngineError;
use egom2p_tensorrt_sys::{ParserError, SysError};
use std::path::Path;

/// An error of the layer below, whose text has the two lines already.
pub(crate) fn foreign(error: &SysError) -> EngineError {
    let text = error.to_string();
    let (what, mend) = text.split_once('\n').unwrap_or((&text, "check the library: \"egom2p doctor\""));
    EngineError::Backend { what: what.to_owned(), mend: mend.to_owned() }
}

/// An error of the layer below that came up with a model.
pub(crate) fn of_model(error: &SysError, onnx: &Path) -> EngineError {
    match error {
        SysError::Cancelled => EngineError::Cancelled,
        SysError::Parse { errors, lines, .. } => EngineError::Model {
            path: onnx.to_owned(),
            what: refused(errors, lines),
            mend: "export for every engine with \"egom2p export --target standard\"; if that is how it was exported, \
                   change what the line names"
                .to_owned(),
        },
        error => {
            let text = error.to_string();
            let (what, mend) = text.split_once('\n').unwrap_or((&text, "build again"));
            EngineError::Backend { what: format!("{}: {what}", onnx.display()), mend: mend.to_owned() }
        }
    }
}

/// The parser's first error and how many more there are.
fn refused(errors: &[ParserError], lines: &[String]) -> String {
    match errors {
        [] => format!("the parser refuses it: {}", lines.first().map_or("no reason given", |line| line)),
        [first] => format!("the parser refuses {first}"),
        [first, rest @ ..] => {
            let plural = if rest.len() == 1 { "" } else { "s" };
            format!("the parser refuses {first}, and has {} more error{plural}", rest.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(node: &str) -> ParserError {
        ParserError {
            node: node.to_owned(),
            operator: "Frobnicate".to_owned(),
            text: "no importer\nsecond line".to_owned(),
            code: "kUNSUPPORTED_NODE".to_owned(),
            file: String::new(),
            line: 0,
            function: String::new(),
        }
    }

    #[test]
    fn a_refusal_has_two_lines_and_names_the_node() {
        let parse = |errors| SysError::Parse { path: "m.onnx".into(), errors, lines: vec!["a line".to_owned()] };
        for (errors, what) in [
            (vec![], "m.onnx: the parser refuses it: a line"),
            (vec![error("a/b")], "m.onnx: the parser refuses a/b (Frobnicate): no importer [kUNSUPPORTED_NODE]"),
            (
                vec![error("a/b"), error("c"), error("d")],
                "m.onnx: the parser refuses a/b (Frobnicate): no importer [kUNSUPPORTED_NODE], and has 2 more errors",
            ),
        ] {
            let text = of_model(&parse(errors), Path::new("m.onnx")).to_string();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!((lines.len(), lines[0]), (2, what));
        }
    }

    #[test]
    fn an_error_of_the_layer_below_keeps_its_two_lines() {
        assert_eq!(foreign(&SysError::NoDevice).to_string(), SysError::NoDevice.to_string());
    }
}
