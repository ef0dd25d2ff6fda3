//! The sizes of one run: what the inputs say about the named dimensions.

use super::InterpretError;
use crate::{Bindings, Dim, DimError, Graph, Literal};

/// Checks every input against its declaration and gives the sizes of the named dimensions.
pub(super) fn bind(graph: &Graph, inputs: &[(&str, Literal)]) -> Result<Bindings, InterpretError> {
    check_names(graph, inputs)?;
    let size_error = |error| InterpretError::Size { graph: graph.name().to_owned(), error };
    let mut bindings = Bindings::new();
    for (name, fact) in graph.inputs() {
        let (_, value) = inputs.iter().find(|(given, _)| *given == name).ok_or_else(|| InterpretError::Missing {
            graph: graph.name().to_owned(),
            name,
            expected: fact.to_string(),
        })?;
        if value.dtype() != fact.dtype || value.shape().len() != fact.shape.len() {
            return Err(unfit(graph, name, value));
        }
        for (dim, &size) in fact.shape.iter().zip(value.shape()) {
            let Some(dimension) = dim.as_named() else { continue };
            match *bindings.entry(dimension).or_insert(size) {
                first if first == size => {}
                first => return Err(size_error(DimError::Conflict { name: dimension, first, second: size })),
            }
        }
    }
    for rule in graph.rules() {
        let size = *bindings.get(rule.name).ok_or(DimError::Unbound { name: rule.name }).map_err(size_error)?;
        rule.check(size).map_err(size_error)?;
    }
    for (name, fact) in graph.inputs() {
        let shape = sizes(graph, &fact.shape, &bindings)?;
        if let Some((_, value)) = inputs.iter().find(|(given, value)| *given == name && value.shape() != shape) {
            return Err(unfit(graph, name, value));
        }
    }
    Ok(bindings)
}

/// The sizes of `shape`, whose product is checked to be countable.
pub(super) fn sizes(graph: &Graph, shape: &[Dim], bindings: &Bindings) -> Result<Vec<usize>, InterpretError> {
    let sizes: Result<Vec<usize>, DimError> = shape.iter().map(|dim| dim.evaluate(bindings)).collect();
    let sizes = sizes.map_err(|error| InterpretError::Size { graph: graph.name().to_owned(), error })?;
    // An element takes at most 8 bytes; a vector holds at most isize::MAX of them.
    let limit = isize::MAX as usize / 8;
    let nonzero = sizes.iter().filter(|&&size| size > 0);
    match nonzero.copied().try_fold(1_usize, usize::checked_mul) {
        Some(count) if count <= limit || sizes.contains(&0) => Ok(sizes),
        None if sizes.contains(&0) => Ok(sizes),
        _ => Err(InterpretError::Unsupported {
            place: graph.name().to_owned(),
            reason: format!("a tensor of shape {sizes:?} is too large to count"),
        }),
    }
}

fn check_names(graph: &Graph, inputs: &[(&str, Literal)]) -> Result<(), InterpretError> {
    for (index, (name, _)) in inputs.iter().enumerate() {
        if graph.inputs().all(|(known, _)| known != *name) {
            let known: Vec<_> = graph.inputs().map(|(known, _)| known).collect();
            let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            return Err(InterpretError::Unknown { graph: graph.name().to_owned(), name: (*name).to_owned(), known });
        }
        if inputs[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(InterpretError::Repeated { graph: graph.name().to_owned(), name: (*name).to_owned() });
        }
    }
    Ok(())
}

fn unfit(graph: &Graph, name: &'static str, value: &Literal) -> InterpretError {
    let expected =
        graph.inputs().find(|(known, _)| *known == name).map_or_else(String::new, |(_, fact)| fact.to_string());
    let actual = format!("{}{:?}", value.dtype(), value.shape());
    InterpretError::Input { graph: graph.name().to_owned(), name, expected, actual }
}

#[cfg(test)]
mod tests {
    use crate::interpreter::trial::NoParameters;
    use crate::{Builder, DType, Dim, Literal, interpreter::interpret};

    fn message(inputs: &[(&str, Literal)]) -> String {
        let g = Builder::new("sketch");
        g.require("frames", 4, 1);
        let x = g.input("x", DType::F32, [Dim::from("batch"), "frames".into()]);
        let y = g.input("y", DType::I64, [Dim::from("batch"), 2.into()]);
        let outputs = [("x", x.id()), ("y", y.id())];
        let graph = g.finish(outputs).expect("a sound graph");
        match interpret(&graph, inputs, &NoParameters) {
            Ok(outputs) => {
                outputs.iter().map(|(name, value)| format!("{name}{:?}", value.shape())).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    fn x(shape: [usize; 2]) -> (&'static str, Literal) {
        ("x", Literal::f32(shape, vec![0.0; shape[0] * shape[1]]).expect("counted"))
    }

    fn y(batch: usize) -> (&'static str, Literal) {
        ("y", Literal::i64([batch, 2], vec![0; batch * 2]).expect("counted"))
    }

    #[test]
    fn inputs_are_taken_by_name_in_any_order() {
        assert_eq!(message(&[y(3), x([3, 5])]), "x[3, 5] y[3, 2]");
        assert_eq!(message(&[x([0, 1]), y(0)]), "x[0, 1] y[0, 2]");
    }

    #[test]
    fn inputs_that_do_not_fit_are_named() {
        let i64s = ("x", Literal::i64([3, 5], vec![0; 15]).expect("counted"));
        let flat = ("x", Literal::f32([15], vec![0.0; 15]).expect("counted"));
        let wide = ("y", Literal::i64([3, 3], vec![0; 9]).expect("counted"));
        let fit = "feed a tensor of that type and shape";
        assert_eq!(message(&[x([3, 5])]), "sketch: input y is missing\nfeed i64[batch, 2]");
        assert_eq!(message(&[x([3, 5]), y(3), ("z", Literal::scalar_i64(1))]), "sketch: no input called z\nfeed x, y");
        assert_eq!(message(&[x([3, 5]), y(3), y(3)]), "sketch: input y is fed twice\nfeed it once");
        assert_eq!(
            message(&[i64s, y(3)]),
            format!("sketch: input x: expected f32[batch, frames], got i64[3, 5]\n{fit}")
        );
        assert_eq!(message(&[flat, y(3)]), format!("sketch: input x: expected f32[batch, frames], got f32[15]\n{fit}"));
        assert_eq!(
            message(&[x([3, 5]), wide]),
            format!("sketch: input y: expected i64[batch, 2], got i64[3, 3]\n{fit}")
        );
    }

    #[test]
    fn sizes_that_disagree_or_break_a_rule_are_errors() {
        let conflict = "sketch: dimension batch is 3 and 4 in one run\nfeed inputs that agree";
        assert_eq!(message(&[x([3, 5]), y(4)]), conflict);
        let rule = "sketch: dimension frames is 4, expected 4k + 1\nfeed an input of such a size";
        assert_eq!(message(&[x([3, 4]), y(3)]), rule);
    }
}
