use std::rc::Rc;

use egom2p_graph::{Builder, Graph, Literal, Parameters, Value};

use super::{Tolerance, feed::Feed};

/// One graph with what it is fed, and how exactly its outputs are known.
pub struct Case {
    /// What sets it apart, such as `attention/keys_all_masked`.
    pub name: String,
    /// The graph.
    pub graph: Graph,
    /// The inputs by name.
    pub inputs: Vec<(&'static str, Literal)>,
    /// Where the graph's parameters come from.
    pub parameters: Rc<dyn Parameters>,
    /// How far a backend may be from the interpreter.
    pub tolerance: Tolerance,
}

impl Case {
    /// The case that `body` describes; its one output is called `result`.
    ///
    /// # Panics
    /// When the graph contradicts itself, which is a mistake in the suite.
    pub(super) fn new(
        name: &str,
        tolerance: Tolerance,
        body: impl for<'g> FnOnce(&'g Builder, &mut Feed) -> Value<'g>,
    ) -> Self {
        let g = Builder::new(name);
        let mut feed = Feed::new(name);
        let result = body(&g, &mut feed).id();
        let graph = g.finish([("result", result)]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (inputs, parameters) = feed.into_parts();
        Self { name: name.to_owned(), graph, inputs, parameters: Rc::new(parameters), tolerance }
    }
}
