use std::collections::BTreeMap;

use egom2p_graph::{Dim, Graph, Node, NodeId, Op};

use super::context::{Attribute, Context, View, Wire};
use crate::{ExportError, ExternalLayout, Target};

/// A stage on its way to ONNX: what its nodes became so far.
pub(crate) struct Lowering<'g> {
    /// The stage.
    pub(crate) graph: &'g Graph,
    /// The model under construction.
    pub(crate) out: Context<'g>,
    values: BTreeMap<NodeId, Value>,
    converted: BTreeMap<NodeId, Wire>,
    sizes: BTreeMap<Dim, Wire>,
    factors: BTreeMap<(&'static str, [i64; 3]), Wire>,
    shapes: BTreeMap<Vec<Dim>, Wire>,
    input_shapes: BTreeMap<&'static str, Wire>,
}

/// What a node became.
#[derive(Clone)]
pub(crate) enum Value {
    /// A value in the node's own shape.
    Plain(Wire),
    /// A video `[batch, channels, frames, height, width]`, held as images `[batch * frames, channels, height, width]`:
    /// what two-dimensional convolutions and norms of single frames take, so that a chain of them needs no transposition.
    Frames(Wire),
    /// A parameter that has not been read yet.
    Param(View),
}

impl<'g> Lowering<'g> {
    /// A stage of which the inputs are lowered.
    pub(crate) fn new(graph: &'g Graph, target: Target, layout: &'g ExternalLayout) -> Result<Self, ExportError> {
        let inputs = graph.inputs().map(|(name, _)| name);
        let reserved = inputs.chain(graph.outputs().iter().map(|(name, _)| *name));
        let mut out = Context::new(graph.name(), target, layout, reserved)?;
        // All inputs come first, used or not: sizes are read off any of them.
        let mut values = BTreeMap::new();
        for id in graph.ids() {
            if let Op::Input { name } = graph.node(id).op {
                values.insert(id, Value::Plain(out.input(name, &graph.node(id).fact)));
            }
        }
        Ok(Self {
            graph,
            out,
            values,
            converted: BTreeMap::new(),
            sizes: BTreeMap::new(),
            factors: BTreeMap::new(),
            shapes: BTreeMap::new(),
            input_shapes: BTreeMap::new(),
        })
    }

    /// Remembers what a node became.
    pub(crate) fn set(&mut self, id: NodeId, value: Value) {
        self.values.insert(id, value);
    }

    /// What an earlier node became.
    pub(crate) fn value(&self, id: NodeId) -> Value {
        self.values.get(&id).expect("nodes are lowered in execution order").clone()
    }

    /// An earlier node in its own shape.
    pub(crate) fn plain(&mut self, id: NodeId) -> Result<Wire, ExportError> {
        match self.value(id) {
            Value::Plain(wire) => Ok(wire),
            Value::Param(view) => self.out.view(&view),
            Value::Frames(frames) => {
                if let Some(wire) = self.converted.get(&id) {
                    return Ok(wire.clone());
                }
                let shape = &self.graph.node(id).fact.shape;
                let split = self.split(&frames, shape)?;
                let wire = self.transpose(&split, &[0, 2, 1, 3, 4]);
                self.converted.insert(id, wire.clone());
                Ok(wire)
            }
        }
    }

    /// An earlier node, which must be a video, as images `[batch * frames, channels, height, width]`.
    pub(crate) fn frames(&mut self, id: NodeId) -> Result<Wire, ExportError> {
        if let Value::Frames(frames) = self.value(id) {
            return Ok(frames);
        }
        if let Some(wire) = self.converted.get(&id) {
            return Ok(wire.clone());
        }
        let split = self.frame_major(id)?;
        let wire = self.merge(&split, &self.graph.node(id).fact.shape)?;
        self.converted.insert(id, wire.clone());
        Ok(wire)
    }

    /// Images `[batch * frames, channels, height, width]` of a video of the given shape, as `[batch, frames, channels,
    /// height, width]`.
    pub(crate) fn split(&mut self, frames: &Wire, shape: &[Dim]) -> Result<Wire, ExportError> {
        self.reshape(frames, &images(shape), &frame_major(shape))
    }

    /// `[batch, frames, channels, height, width]` as images.
    pub(crate) fn merge(&mut self, split: &Wire, shape: &[Dim]) -> Result<Wire, ExportError> {
        self.merge_from(split, &frame_major(shape), shape)
    }

    /// An earlier node, which must be a video, as `[batch, frames, channels, height, width]`.
    pub(crate) fn frame_major(&mut self, id: NodeId) -> Result<Wire, ExportError> {
        let shape = &self.graph.node(id).fact.shape;
        if let Value::Frames(frames) = self.value(id) {
            return self.split(&frames, shape);
        }
        let plain = self.plain(id)?;
        Ok(self.transpose(&plain, &[0, 2, 1, 3, 4]))
    }

    /// Images of a video of the given shape as `[batch, frames, channels, height * width]`.
    pub(crate) fn flatten(&mut self, frames: &Wire, shape: &[Dim]) -> Result<Wire, ExportError> {
        let [batch, frame_axis, channels, height, width] = frame_major(shape);
        let to = [batch, frame_axis, channels, Dim::product([&height, &width])];
        self.reshape(frames, &images(shape), &to)
    }

    /// A value of shape `from`, frames before channels, as images of a video of shape `shape`.
    pub(crate) fn merge_from(&mut self, x: &Wire, from: &[Dim], shape: &[Dim]) -> Result<Wire, ExportError> {
        self.reshape(x, from, &images(shape))
    }

    /// An earlier node of fixed shape, read in another shape of as many elements.
    pub(crate) fn read_as(&mut self, id: NodeId, shape: &[usize]) -> Result<Wire, ExportError> {
        if let Value::Param(view) = self.value(id) {
            return self.out.view(&View { shape: shape.to_vec(), ..view });
        }
        let plain = self.plain(id)?;
        let dims: Vec<Dim> = shape.iter().map(|&size| Dim::fixed(size)).collect();
        let graph = self.graph;
        self.reshape(&plain, &graph.node(id).fact.shape, &dims)
    }

    /// Axes in another order.
    pub(crate) fn transpose(&mut self, x: &Wire, perm: &[usize]) -> Wire {
        let perm = perm.iter().map(|&axis| axis as i64).collect();
        self.out.node("Transpose", &[x], &[("perm", Attribute::Ints(perm))])
    }

    /// The same elements, of shape `from`, in the shape `to`.
    pub(crate) fn reshape(&mut self, x: &Wire, from: &[Dim], to: &[Dim]) -> Result<Wire, ExportError> {
        // A size that is known only at run time can be copied from the same axis, or follow from all the others; where
        // neither will do, it is computed, and then zero is a size and not a request to copy.
        let copied = |(axis, dim): (usize, &Dim)| match dim.as_fixed() {
            Some(0) => None,
            Some(size) => Some(size as i64),
            None => (from.get(axis) == Some(dim)).then_some(0),
        };
        let inferred = |dim: &Dim| dim.as_fixed().map_or(-1, |size| size as i64);
        let n_unknown = to.iter().filter(|dim| dim.as_fixed().is_none()).count();
        let simple = to.iter().enumerate().map(copied).collect::<Option<Vec<i64>>>().or_else(|| {
            let sizes: Vec<i64> = to.iter().map(inferred).collect();
            (n_unknown == 1 && !sizes.contains(&0)).then_some(sizes)
        });
        if let Some(sizes) = simple {
            let shape = self.out.integers(&sizes);
            return Ok(self.out.node("Reshape", &[x, &shape], &[]));
        }
        let shape = self.shape(to)?;
        Ok(self.out.node("Reshape", &[x, &shape], &[("allowzero", Attribute::Int(1))]))
    }

    /// `i64 [rank]`: the sizes of `dims`.
    pub(crate) fn shape(&mut self, dims: &[Dim]) -> Result<Wire, ExportError> {
        if let Some(sizes) = dims.iter().map(Dim::as_fixed).collect::<Option<Vec<_>>>() {
            let sizes: Vec<i64> = sizes.into_iter().map(|size| size as i64).collect();
            return Ok(self.out.integers(&sizes));
        }
        if let Some(wire) = self.shapes.get(dims) {
            return Ok(wire.clone());
        }
        let sizes = dims.iter().map(|dim| self.size(dim)).collect::<Result<Vec<_>, _>>()?;
        let wire = match sizes.as_slice() {
            [size] => size.clone(),
            sizes => self.out.node("Concat", &sizes.iter().collect::<Vec<_>>(), &[("axis", Attribute::Int(0))]),
        };
        self.shapes.insert(dims.to_vec(), wire.clone());
        Ok(wire)
    }

    /// `i64 [1]`: the size of `dim`, computed from the shapes of the inputs that name its dimensions.
    pub(crate) fn size(&mut self, dim: &Dim) -> Result<Wire, ExportError> {
        if let Some(size) = dim.as_fixed() {
            return Ok(self.out.integers(&[size as i64]));
        }
        if let Some(wire) = self.sizes.get(dim) {
            return Ok(wire.clone());
        }
        let (coefficient, factors) = dim.terms();
        let mut product = (coefficient != 1).then(|| self.out.integers(&[coefficient as i64]));
        for (name, mul, add, div) in factors {
            let factor = self.factor(name, [mul, add, div], dim)?;
            product = Some(match product {
                Some(product) => self.out.node("Mul", &[&product, &factor], &[]),
                None => factor,
            });
        }
        let wire = product.expect("a size that is not fixed has a factor");
        self.sizes.insert(dim.clone(), wire.clone());
        Ok(wire)
    }

    /// `i64 [1]`: `(mul * name + add) / div`, a factor of `dim`.
    fn factor(&mut self, name: &'static str, numbers: [i64; 3], dim: &Dim) -> Result<Wire, ExportError> {
        if let Some(wire) = self.factors.get(&(name, numbers)) {
            return Ok(wire.clone());
        }
        let [mul, add, div] = numbers;
        let mut wire = if numbers == [1, 0, 1] { self.named(name, dim)? } else { self.factor(name, [1, 0, 1], dim)? };
        for (op, operand, neutral) in [("Mul", mul, 1), ("Add", add, 0), ("Div", div, 1)] {
            if operand != neutral {
                let operand = self.out.integers(&[operand]);
                wire = self.out.node(op, &[&wire, &operand], &[]);
            }
        }
        self.factors.insert((name, numbers), wire.clone());
        Ok(wire)
    }

    /// `i64 [1]`: the size of the dimension `name`, a part of `dim`.
    fn named(&mut self, name: &'static str, dim: &Dim) -> Result<Wire, ExportError> {
        let bare = Dim::named(name);
        let graph = self.graph;
        let mut inputs = graph.nodes().iter().enumerate().filter_map(|(index, node): (usize, &Node)| {
            let Op::Input { name } = &node.op else { return None };
            let axis = node.fact.shape.iter().position(|axis| *axis == bare)?;
            Some((index, *name, axis))
        });
        let Some((index, input, axis)) = inputs.next() else {
            return Err(ExportError::UnboundDim {
                graph: graph.name().to_owned(),
                dim: dim.to_string(),
                name: name.to_owned(),
            });
        };
        let shape = if let Some(shape) = self.input_shapes.get(input) {
            shape.clone()
        } else {
            let id = graph.ids().nth(index).expect("an index of this graph");
            let fed = self.plain(id)?;
            let shape = self.out.node("Shape", &[&fed], &[]);
            self.input_shapes.insert(input, shape.clone());
            shape
        };
        let axis = self.out.integers(&[axis as i64]);
        Ok(self.out.node("Gather", &[&shape, &axis], &[("axis", Attribute::Int(0))]))
    }
}

/// The shape of a video's frames as images: `[batch * frames, channels, height, width]`.
fn images(shape: &[Dim]) -> Vec<Dim> {
    vec![Dim::product([&shape[0], &shape[2]]), shape[1].clone(), shape[3].clone(), shape[4].clone()]
}

/// The shape of a video with frames before channels.
fn frame_major(shape: &[Dim]) -> [Dim; 5] {
    [0, 2, 1, 3, 4].map(|axis: usize| shape[axis].clone())
}
