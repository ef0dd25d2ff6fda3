//! Writing one graph after another.

use super::{Builder, Value};
use crate::{Fact, Graph, Node, Op};

/// How a transform is written: a graph of the same name and rules is begun, the nodes are taken in execution order, and
/// each is recorded again on what its inputs became, with whatever the transform puts between.
///
/// ```
/// use egom2p_graph::{BuildError, Builder, DType, Graph, Op, Value};
///
/// /// Every tanh in f16.
/// fn transform(graph: &Graph) -> Result<Graph, BuildError> {
///     let g = Builder::like(graph);
///     let mut values: Vec<Value<'_>> = Vec::new();
///     for node in graph.nodes() {
///         let mut inputs: Vec<_> = node.inputs.iter().map(|id| values[id.index()]).collect();
///         values.push(if node.op == Op::Tanh {
///             inputs[0] = g.within(&node.scope, || inputs[0].cast(DType::F16));
///             let y = g.replay(node, &inputs);
///             g.within(&node.scope, || y.cast(DType::F32))
///         } else {
///             g.replay(node, &inputs)
///         });
///     }
///     let outputs: Vec<_> = graph.outputs().iter().map(|(name, id)| (*name, values[id.index()].id())).collect();
///     g.finish(outputs)
/// }
/// ```
impl Builder {
    /// An empty stage with the name and the dimension rules of `graph`.
    pub fn like(graph: &Graph) -> Self {
        let builder = Self::new(graph.name());
        builder.0.borrow_mut().rules = graph.rules().to_vec();
        builder
    }

    /// Runs `body` in the place `scope`, wherever the builder stands; the empty scope is the top.
    pub fn within<R>(&self, scope: &str, body: impl FnOnce() -> R) -> R {
        let place = if scope.is_empty() { Vec::new() } else { vec![scope.to_owned()] };
        let outer = std::mem::replace(&mut self.0.borrow_mut().path, place);
        let result = body();
        self.0.borrow_mut().path = outer;
        result
    }

    /// The operation of `node`, a node of another graph, on these inputs and in the same place.
    ///
    /// Type and shape follow anew from the inputs; only what has no inputs, and the shape of [`Op::Reshape`], comes from
    /// `node`.
    pub fn replay<'g>(&'g self, node: &Node, inputs: &[Value<'g>]) -> Value<'g> {
        self.within(&node.scope, || match &node.op {
            Op::Input { name } => self.input(name, node.fact.dtype, node.fact.shape.iter().cloned()),
            Op::Param { name } => self.stored(name.clone(), node.fact.clone()),
            Op::Reshape => {
                let dtype = inputs.first().map_or(node.fact.dtype, |input| input.fact().dtype);
                self.push(Op::Reshape, inputs, Some(Fact { dtype, shape: node.fact.shape.clone() }))
            }
            op => self.push(op.clone(), inputs, None),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{AttentionMask, BuildError, Builder, DType, Graph, Literal};

    fn replayed(graph: &Graph) -> Result<Graph, BuildError> {
        let g = Builder::like(graph);
        let mut values = Vec::new();
        for node in graph.nodes() {
            let inputs: Vec<_> = node.inputs.iter().map(|id| values[id.index()]).collect();
            values.push(g.replay(node, &inputs));
        }
        let outputs: Vec<_> = graph.outputs().iter().map(|(name, id)| (*name, values[id.index()].id())).collect();
        g.finish(outputs)
    }

    #[test]
    fn a_graph_recorded_again_is_the_same() {
        let g = Builder::new("sketch");
        g.require("tokens", 2, 1);
        let x = g.input("x", DType::F32, [crate::Dim::from("batch"), "tokens".into(), 4.into()]);
        let mask = g.input("mask", DType::Bool, ["batch", "tokens"]);
        let y = g.enter("block.0", || {
            let h = x.layer_norm("norm", 1e-6, true).linear("fc", 4, true);
            let h = g.attention([h, h, h], 2, 0.5, (AttentionMask::Keys, Some(mask)));
            h + g.enter("fc", || g.param("bias", &[4])).cast(DType::F16).cast(DType::F32)
        });
        let columns = mask.reshape([crate::Dim::from("batch"), "tokens".into(), 1.into()]);
        let y = g.choose(columns, y.gelu(), g.constant(Literal::scalar_f32(0.0)));
        let outputs = [("y", y.id()), ("same", y.id()), ("ids", y.arg_max().id())];
        let graph = g.finish(outputs).expect("a sound graph");
        assert_eq!(replayed(&graph), Ok(graph));
    }

    #[test]
    fn a_place_is_left_again() {
        let g = Builder::new("sketch");
        let x = g.input("x", DType::F32, [4_usize]);
        let y = g.enter("outer", || {
            let y = g.within("elsewhere.3", || x.silu());
            let y = g.within("", || y.tanh());
            y.gelu()
        });
        let y = y.id();
        let graph = g.finish([("y", y)]).expect("a sound graph");
        let scopes: Vec<_> = graph.nodes().iter().map(|node| node.scope.as_str()).collect();
        assert_eq!(scopes, ["", "elsewhere.3", "", "outer"]);
    }
}
