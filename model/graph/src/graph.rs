use crate::{DType, Dim, DimRule, Op};

/// What is known of a tensor before it has values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The element type.
    pub dtype: DType,
    /// The size of every axis.
    pub shape: Vec<Dim>,
}

/// The place of a [`Node`] in its graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub(crate) usize);

/// One operation with what it reads and what it gives.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// What it reads; always earlier nodes.
    pub inputs: Vec<NodeId>,
    /// What it gives.
    pub fact: Fact,
    /// Where in the model the node was made, such as `encoder.3.mlp`; empty at the top.
    pub scope: String,
}

/// One stage of a model: operations in execution order. Made by [`crate::Builder::finish`], never changed in place.
#[derive(Clone, PartialEq, Debug)]
pub struct Graph {
    pub(crate) name: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) outputs: Vec<(&'static str, NodeId)>,
    pub(crate) rules: Vec<DimRule>,
}

impl NodeId {
    /// The position in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

impl Graph {
    /// The stage's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every node, in an order in which it can be executed.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node at `id`, which must come from this graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Ids of every node, in execution order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// The results by name, in the order in which they were declared.
    pub fn outputs(&self) -> &[(&'static str, NodeId)] {
        &self.outputs
    }

    /// The tensors to feed, in the order in which they were declared.
    pub fn inputs(&self) -> impl Iterator<Item = (&'static str, &Fact)> {
        self.nodes.iter().filter_map(|node| match &node.op {
            Op::Input { name } => Some((*name, &node.fact)),
            _ => None,
        })
    }

    /// The parameters by name with their shapes, in the order of first use; every name once.
    pub fn params(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        self.nodes.iter().filter_map(|node| match &node.op {
            Op::Param { name } => Some((name.as_str(), node.fact.shape.iter().filter_map(Dim::as_fixed).collect())),
            _ => None,
        })
    }

    /// What the named dimensions must satisfy, besides being the same everywhere.
    pub fn rules(&self) -> &[DimRule] {
        &self.rules
    }
}
