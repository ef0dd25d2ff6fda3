//! One operation at a time, for the tests of this folder.

use std::collections::BTreeMap;

use crate::{Builder, Dim, Literal, ParameterError, Parameters, Value, interpreter::interpret};

/// For graphs that have no parameters.
pub(super) struct NoParameters;

impl Parameters for NoParameters {
    fn parameter(&self, name: &str, _: &[usize]) -> Result<Vec<f32>, ParameterError> {
        Err(ParameterError::Missing { name: name.to_owned() })
    }
}

/// What `body` makes of tensors fed at run time; the message where it fails.
pub(super) fn run<const N: usize>(
    inputs: [Literal; N],
    body: impl for<'g> FnOnce(&'g Builder, [Value<'g>; N]) -> Value<'g>,
) -> Result<Literal, String> {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let g = Builder::new("trial");
    let fed: Vec<_> = NAMES.into_iter().zip(inputs).collect();
    let values =
        fed.iter().map(|(name, value)| g.input(name, value.dtype(), value.shape().iter().map(|&size| Dim::from(size))));
    let values: Vec<_> = values.collect();
    let result = body(&g, values.try_into().unwrap_or_else(|_| unreachable!("as many as were fed"))).id();
    let graph = g.finish([("result", result)]).map_err(|error| error.to_string())?;
    let mut outputs = interpret(&graph, &fed, &NoParameters).map_err(|error| error.to_string())?;
    Ok(outputs.remove(0).1)
}

/// Floats of a shape.
pub(super) fn f32s(shape: &[usize], values: &[f32]) -> Literal {
    Literal::f32(shape, values.to_vec()).expect("as many values as the shape has")
}

/// Integers of a shape.
pub(super) fn i64s(shape: &[usize], values: &[i64]) -> Literal {
    Literal::i64(shape, values.to_vec()).expect("as many values as the shape has")
}

/// Truth values of a shape.
pub(super) fn bools(shape: &[usize], values: &[bool]) -> Literal {
    Literal::bool(shape, values.to_vec()).expect("as many values as the shape has")
}

/// Parameters in memory.
pub(super) struct Table(pub(super) BTreeMap<&'static str, Vec<f32>>);

impl Parameters for Table {
    fn parameter(&self, name: &str, _: &[usize]) -> Result<Vec<f32>, ParameterError> {
        self.0.get(name).cloned().ok_or_else(|| ParameterError::Missing { name: name.to_owned() })
    }
}
