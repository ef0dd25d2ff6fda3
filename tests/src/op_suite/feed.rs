use egom2p_graph::{Builder, DType, Dim, Literal, ParameterError, Parameters, Value};

use super::Generator;

/// The inputs of a case under construction: declared in the graph and filled with values at once.
pub(super) struct Feed {
    /// The numbers that belong to this case.
    pub(super) generator: Generator,
    inputs: Vec<(&'static str, Literal)>,
    seed: String,
}

/// One axis of an input: what the graph calls it and how long it is in this case.
#[derive(Clone)]
pub(super) struct Axis {
    dim: Dim,
    size: usize,
}

/// Parameters of any name and shape, in `-0.5..0.5`.
pub(super) struct SeededParameters(String);

#[allow(clippy::needless_pass_by_value, reason = "axes are written where they are used")]
impl Feed {
    pub(super) fn new(name: &str) -> Self {
        Self { generator: Generator::of_name(name), inputs: Vec::new(), seed: name.to_owned() }
    }

    pub(super) fn into_parts(self) -> (Vec<(&'static str, Literal)>, SeededParameters) {
        (self.inputs, SeededParameters(self.seed))
    }

    /// Floats in `-2..2`.
    pub(super) fn floats<'g, const N: usize>(
        &mut self,
        g: &'g Builder,
        name: &'static str,
        axes: [Axis; N],
    ) -> Value<'g> {
        self.floats_of(g, name, axes, |generator| generator.float(2.0))
    }

    /// Floats that `draw` draws.
    pub(super) fn floats_of<'g, const N: usize>(
        &mut self,
        g: &'g Builder,
        name: &'static str,
        axes: [Axis; N],
        draw: impl Fn(&mut Generator) -> f32,
    ) -> Value<'g> {
        let values = (0..count(&axes)).map(|_| draw(&mut self.generator)).collect::<Vec<_>>();
        self.these(g, name, axes, &values)
    }

    /// Floats given one by one.
    pub(super) fn these<'g, const N: usize>(
        &mut self,
        g: &'g Builder,
        name: &'static str,
        axes: [Axis; N],
        values: &[f32],
    ) -> Value<'g> {
        self.put(g, name, DType::F32, &axes, Literal::f32(sizes(&axes), values.to_vec()))
    }

    /// Integers from 0 to `below - 1`.
    pub(super) fn ids<'g, const N: usize>(
        &mut self,
        g: &'g Builder,
        name: &'static str,
        axes: [Axis; N],
        below: usize,
    ) -> Value<'g> {
        let values = (0..count(&axes)).map(|_| self.generator.index(below) as i64).collect();
        self.put(g, name, DType::I64, &axes, Literal::i64(sizes(&axes), values))
    }

    /// Truth values, half of them true.
    pub(super) fn coins<'g, const N: usize>(
        &mut self,
        g: &'g Builder,
        name: &'static str,
        axes: [Axis; N],
    ) -> Value<'g> {
        let values = (0..count(&axes)).map(|_| self.generator.coin()).collect::<Vec<_>>();
        self.marks(g, name, axes, &values)
    }

    /// Truth values given one by one.
    pub(super) fn marks<'g, const N: usize>(
        &mut self,
        g: &'g Builder,
        name: &'static str,
        axes: [Axis; N],
        values: &[bool],
    ) -> Value<'g> {
        self.put(g, name, DType::Bool, &axes, Literal::bool(sizes(&axes), values.to_vec()))
    }

    /// One truth value everywhere.
    pub(super) fn all<'g, const N: usize>(
        &mut self,
        g: &'g Builder,
        name: &'static str,
        axes: [Axis; N],
        value: bool,
    ) -> Value<'g> {
        let values = vec![value; count(&axes)];
        self.marks(g, name, axes, &values)
    }

    fn put<'g>(
        &mut self,
        g: &'g Builder,
        name: &'static str,
        dtype: DType,
        axes: &[Axis],
        literal: Result<Literal, egom2p_graph::LiteralError>,
    ) -> Value<'g> {
        self.inputs.push((name, literal.expect("as many values as the axes have places")));
        g.input(name, dtype, axes.iter().map(|axis| axis.dim.clone()))
    }
}

impl From<usize> for Axis {
    fn from(size: usize) -> Self {
        Self { dim: Dim::fixed(size), size }
    }
}

impl From<(&'static str, usize)> for Axis {
    fn from((name, size): (&'static str, usize)) -> Self {
        Self { dim: Dim::named(name), size }
    }
}

impl Parameters for SeededParameters {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let mut generator = Generator::of_name(&format!("{}:{name}", self.0));
        Ok((0..shape.iter().product()).map(|_| generator.float(0.5)).collect())
    }
}

fn sizes(axes: &[Axis]) -> Vec<usize> {
    axes.iter().map(|axis| axis.size).collect()
}

fn count(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.size).product()
}
