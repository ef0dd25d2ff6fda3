use std::collections::{BTreeMap, btree_map::Entry};

use egom2p_graph::{BuildError, Builder, DType, Graph, NodeId, Value};

use crate::{Precision, rule::Types};

/// The same stage in another precision, by the rule in the [documentation of this crate](crate).
///
/// Name, inputs, outputs, dimension rules and parameters are those of `graph`, and [`Precision::Fp32`] gives an equal
/// graph. Casts carry the scope of what needs them.
///
/// # Errors
/// Only when `graph` cannot be recorded again, which is a mistake in this library.
pub fn with_precision(graph: &Graph, precision: Precision) -> Result<Graph, BuildError> {
    if precision == Precision::Fp32 {
        return Ok(graph.clone());
    }
    let types = Types::new(graph, precision.dtype());
    let g = Builder::like(graph);
    let mut written =
        Written { g: &g, types: &types, values: Vec::with_capacity(graph.nodes().len()), casts: BTreeMap::new() };
    for id in graph.ids() {
        let node = graph.node(id);
        let inputs: Vec<_> =
            node.inputs.iter().map(|&input| written.read(input, types.operand(id, input), &node.scope)).collect();
        written.values.push(g.replay(node, &inputs));
    }
    let output = |&(name, id): &(&'static str, NodeId)| {
        let node = graph.node(id);
        (name, written.read(id, node.fact.dtype, &node.scope).id())
    };
    let outputs: Vec<_> = graph.outputs().iter().map(output).collect();
    g.finish(outputs)
}

/// What the nodes of the old graph became so far.
struct Written<'g, 'a> {
    g: &'g Builder,
    types: &'a Types<'a>,
    values: Vec<Value<'g>>,
    casts: BTreeMap<(NodeId, DType), Value<'g>>,
}

impl<'g> Written<'g, '_> {
    /// What an old node became, in the type that a reader at `scope` takes it in.
    fn read(&mut self, id: NodeId, dtype: DType, scope: &str) -> Value<'g> {
        let value = self.values[id.index()];
        if self.types.result(id) == dtype {
            return value;
        }
        match self.casts.entry((id, dtype)) {
            Entry::Occupied(cast) => *cast.get(),
            Entry::Vacant(place) => *place.insert(self.g.within(scope, || value.cast(dtype))),
        }
    }
}
