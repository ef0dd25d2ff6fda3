use super::InterpretError;
use crate::{Literal, Node};

/// What one node reads, and the sizes of what it gives.
///
/// Types were checked when the graph was built and sizes when it was run, so the accessors do not fail.
pub(super) struct Operands<'a> {
    pub(super) graph: &'a str,
    pub(super) node: &'a Node,
    pub(super) inputs: Vec<&'a Literal>,
    pub(super) shape: &'a [usize],
}

impl<'a> Operands<'a> {
    pub(super) fn literal(&self, index: usize) -> &'a Literal {
        self.inputs[index]
    }

    /// The sizes of an input; `N` axes as the operation demands.
    pub(super) fn sizes<const N: usize>(&self, index: usize) -> [usize; N] {
        self.inputs[index].shape().try_into().expect("the builder checked the rank")
    }

    pub(super) fn f32(&self, index: usize) -> &'a [f32] {
        self.inputs[index].as_f32().expect("the builder checked the type")
    }

    pub(super) fn i64(&self, index: usize) -> &'a [i64] {
        self.inputs[index].as_i64().expect("the builder checked the type")
    }

    pub(super) fn bool(&self, index: usize) -> &'a [bool] {
        self.inputs[index].as_bool().expect("the builder checked the type")
    }

    /// The number of values given.
    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    pub(super) fn id_error(&self, id: i64, rows: usize) -> InterpretError {
        InterpretError::Id { place: self.place(), id, rows }
    }

    pub(super) fn unsupported(&self, reason: String) -> InterpretError {
        InterpretError::Unsupported { place: self.place(), reason }
    }

    fn place(&self) -> String {
        let scope = if self.node.scope.is_empty() { String::new() } else { format!("{}: ", self.node.scope) };
        format!("{}: {scope}{}", self.graph, self.node.op.name())
    }
}
