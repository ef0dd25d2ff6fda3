//! The blocks of a graph: what stands in one repeated scope, such as `encoder.3`.

use crate::values::{is_fed, last_uses};
use egom2p_graph::{Graph, NodeId};
use std::collections::BTreeSet;
use std::ops::Range;

/// Consecutive nodes of one block, and the values that cross its border.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// The scope: the path of its nodes up to the first number, such as `encoder.3` or `encoder.blocks.0`.
    pub scope: String,
    /// The nodes, as positions in [`Graph::nodes`].
    pub nodes: Range<usize>,
    /// What the nodes read of what is made before them, in the order of the nodes; inputs and parameters of the graph
    /// among them.
    pub reads: Vec<NodeId>,
    /// What later nodes, or the graph's outputs, read of what is made here.
    pub gives: Vec<NodeId>,
}

/// The blocks of a graph in execution order.
///
/// A run of nodes is a block when it makes a value that does not leave it: of one that makes nothing else than what leaves
/// it, nothing can be spared by computing it twice. Inputs and parameters are never a block's own.
pub fn blocks(graph: &Graph) -> Vec<Block> {
    let (nodes, last_uses) = (graph.nodes(), last_uses(graph));
    let mut blocks = Vec::new();
    let mut start = 0;
    for same in nodes.chunk_by(|a, b| block_scope(&a.scope) == block_scope(&b.scope)) {
        let range = start..start + same.len();
        start = range.end;
        let Some(scope) = block_scope(&same[0].scope) else { continue };
        let is_made = |id: &NodeId| range.contains(&id.index()) && !is_fed(&graph.node(*id).op);
        let reads: BTreeSet<NodeId> =
            same.iter().flat_map(|node| &node.inputs).filter(|id| !is_made(id)).copied().collect();
        let made: Vec<NodeId> = graph.ids().skip(range.start).take(same.len()).filter(is_made).collect();
        let leaves = |id: &NodeId| last_uses[id.index()].is_some_and(|last| last >= range.end);
        let gives: Vec<NodeId> = made.iter().filter(|id| leaves(id)).copied().collect();
        if !gives.is_empty() && gives.len() < made.len() {
            blocks.push(Block { scope: scope.to_owned(), nodes: range, reads: reads.into_iter().collect(), gives });
        }
    }
    blocks
}

/// The part of a scope up to its first number; `None` without one.
fn block_scope(scope: &str) -> Option<&str> {
    let mut end = 0;
    for part in scope.split('.') {
        end += part.len();
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(&scope[..end]);
        }
        end += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{block_scope, blocks};
    use egom2p_graph::{Builder, DType, Dim, Graph, NodeId};

    #[test]
    fn a_block_is_what_a_number_names() {
        assert_eq!(block_scope("encoder.3.attn.qkv"), Some("encoder.3"));
        assert_eq!(block_scope("encoder.blocks.11"), Some("encoder.blocks.11"));
        assert_eq!(block_scope("encoder.down.0.block.1"), Some("encoder.down.0"));
        for none in ["", "encoder_norm", "encoder.conv1.proj", "encoder..x"] {
            assert_eq!(block_scope(none), None);
        }
    }

    /// Two blocks, of which the second also reads what the first computes for itself, and a part that is no block.
    fn sketch() -> Graph {
        let g = Builder::new("sketch");
        let x = g.input("x", DType::F32, [Dim::from("batch"), 4.into()]);
        let y = g.enter("encoder.0", || x + x.linear("fc", 4, false).tanh());
        let (z, shared) = g.enter("encoder.1", || {
            let shared = y.gelu();
            (shared + y.silu() * x, shared)
        });
        let outputs = [("z", (z.layer_norm("norm", 1e-6, false) + shared).id())];
        g.finish(outputs).expect("a sound graph")
    }

    fn names(graph: &Graph, ids: &[NodeId]) -> Vec<String> {
        ids.iter().map(|id| format!("{} {}", id.index(), graph.node(*id).op.name())).collect()
    }

    #[test]
    fn what_crosses_a_border_is_known() {
        let graph = sketch();
        let [first, second] = &blocks(&graph)[..] else { panic!("two blocks") };
        assert_eq!((first.scope.as_str(), first.nodes.clone()), ("encoder.0", 1..5));
        assert_eq!(names(&graph, &first.reads), ["0 input", "1 param"]);
        assert_eq!(names(&graph, &first.gives), ["4 add"]);
        assert_eq!((second.scope.as_str(), second.nodes.clone()), ("encoder.1", 5..9));
        assert_eq!(names(&graph, &second.reads), ["0 input", "4 add"]);
        assert_eq!(names(&graph, &second.gives), ["5 gelu", "8 add"]);
    }

    #[test]
    fn what_spares_nothing_is_no_block() {
        let g = Builder::new("sketch");
        let x = g.input("x", DType::F32, [4_usize]);
        let y = g.enter("layers.0", || x.linear("fc", 4, false)).id();
        assert_eq!(blocks(&g.finish([("y", y)]).expect("a sound graph")), []);
    }
}
