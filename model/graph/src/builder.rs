mod rewrite;

use std::{cell::RefCell, fmt, ops};

use crate::{AttentionMask, DType, Dim, DimRule, Fact, Graph, Literal, Node, NodeId, Op, Padding, infer::infer};

/// Records a stage as it is described, and remembers the first mistake with the place where it was made.
///
/// The scope lives here, not in the values: whatever is recorded inside [`Builder::enter`] belongs to that place, and
/// parameters made there are named after it.
pub struct Builder(RefCell<State>);

/// A tensor of the stage under construction; cheap to copy.
///
/// Arithmetic never fails on the spot: a mistake is recorded with its scope and returned by [`Builder::finish`].
#[derive(Clone, Copy)]
pub struct Value<'g> {
    builder: &'g Builder,
    id: NodeId,
}

/// A stage that contradicts itself.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{graph}: {}{reason}\nchange the stage where the path points", if scope.is_empty() { String::new() } else { format!("{scope}: ") })]
pub struct BuildError {
    /// The stage.
    pub graph: String,
    /// Where in the stage, such as `encoder.3.mlp`.
    pub scope: String,
    /// What does not fit.
    pub reason: String,
}

struct State {
    name: String,
    path: Vec<String>,
    nodes: Vec<Node>,
    rules: Vec<DimRule>,
    error: Option<BuildError>,
}

impl Builder {
    /// An empty stage called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        let state = State { name: name.into(), path: Vec::new(), nodes: Vec::new(), rules: Vec::new(), error: None };
        Self(RefCell::new(state))
    }

    /// Runs `body` one level deeper in the tree of names.
    pub fn enter<R>(&self, name: impl fmt::Display, body: impl FnOnce() -> R) -> R {
        self.0.borrow_mut().path.push(name.to_string());
        let result = body();
        self.0.borrow_mut().path.pop();
        result
    }

    /// Demands `size = multiple * k + remainder`, `k >= 0`, of the named dimension.
    pub fn require(&self, name: &'static str, multiple: usize, remainder: usize) {
        self.0.borrow_mut().rules.push(DimRule { name, multiple, remainder });
    }

    /// A tensor fed at run time.
    pub fn input(
        &self,
        name: &'static str,
        dtype: DType,
        shape: impl IntoIterator<Item = impl Into<Dim>>,
    ) -> Value<'_> {
        let shape = shape.into_iter().map(Into::into).collect();
        if self.0.borrow().nodes.iter().any(|node| node.op == Op::Input { name }) {
            self.fail(format!("two inputs are called {name}"));
        }
        self.push(Op::Input { name }, &[], Some(Fact { dtype, shape }))
    }

    /// The parameter called `name` in the present scope; asked for twice, it is one node.
    pub fn param(&self, name: &str, shape: &[usize]) -> Value<'_> {
        let name = {
            let state = self.0.borrow();
            state.path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
        };
        self.stored(name, Fact { dtype: DType::F32, shape: shape.iter().map(|&size| Dim::fixed(size)).collect() })
    }

    /// The parameter of this full name; asked for twice, it is one node.
    fn stored(&self, name: String, fact: Fact) -> Value<'_> {
        let existing = {
            let state = self.0.borrow();
            state.nodes.iter().position(|node| matches!(&node.op, Op::Param { name: other } if *other == name))
        };
        if let Some(index) = existing {
            let known = self.0.borrow().nodes[index].fact.clone();
            if known != fact {
                self.fail(format!("parameter {name} has two shapes: {known} and {fact}"));
            }
            return Value { builder: self, id: NodeId(index) };
        }
        self.push(Op::Param { name }, &[], Some(fact))
    }

    /// A tensor known now.
    pub fn constant(&self, literal: Literal) -> Value<'_> {
        self.push(Op::Constant(literal), &[], None)
    }

    /// One integer known now, of rank 0.
    pub fn integer(&self, value: i64) -> Value<'_> {
        self.constant(Literal::scalar_i64(value))
    }

    /// `a` where `condition` holds, else `b`; shapes broadcast.
    pub fn choose<'g>(&'g self, condition: Value<'g>, a: Value<'g>, b: Value<'g>) -> Value<'g> {
        self.push(Op::Where, &[condition, a, b], None)
    }

    /// [`Op::Attention`]; `mask` belongs to the kind of mask that `op` names.
    pub fn attention<'g>(
        &'g self,
        [q, k, v]: [Value<'g>; 3],
        heads: usize,
        scale: f32,
        mask: (AttentionMask, Option<Value<'g>>),
    ) -> Value<'g> {
        let inputs: Vec<_> = [q, k, v].into_iter().chain(mask.1).collect();
        self.push(Op::Attention { heads, scale, causal: false, mask: mask.0 }, &inputs, None)
    }

    /// [`Op::Attention`] in which query `i` sees keys up to `i`.
    pub fn causal_attention<'g>(&'g self, [q, k, v]: [Value<'g>; 3], heads: usize, scale: f32) -> Value<'g> {
        self.push(Op::Attention { heads, scale, causal: true, mask: AttentionMask::None }, &[q, k, v], None)
    }

    /// The finished stage, or the first mistake in it. Outputs are named in the order given. Half types stay inside: what is
    /// fed and what is given is `f32`, `i64` or `bool`.
    pub fn finish(self, outputs: impl IntoIterator<Item = (&'static str, NodeId)>) -> Result<Graph, BuildError> {
        let outputs: Vec<_> = outputs.into_iter().collect();
        for (index, (name, id)) in outputs.iter().enumerate() {
            if id.0 >= self.0.borrow().nodes.len() {
                self.fail(format!("output {name} is not a value of this stage"));
            }
            if outputs[..index].iter().any(|(earlier, _)| earlier == name) {
                self.fail(format!("two outputs are called {name}"));
            }
        }
        self.keep_halves_inside(&outputs);
        let State { name, nodes, rules, error, .. } = self.0.into_inner();
        error.map_or(Ok(Graph { name, nodes, outputs, rules }), Err)
    }

    fn keep_halves_inside(&self, outputs: &[(&'static str, NodeId)]) {
        let border = |what: &str, name: &str, node: &Node| {
            let reason = || format!("{what} {name}: expected f32, i64 or bool, got {}", node.fact.dtype);
            node.fact.dtype.is_half().then(reason)
        };
        let reason = {
            let state = self.0.borrow();
            let inputs = state.nodes.iter().find_map(|node| match &node.op {
                Op::Input { name } => border("input", name, node),
                _ => None,
            });
            inputs.or_else(|| outputs.iter().find_map(|(name, id)| border("output", name, state.nodes.get(id.0)?)))
        };
        if let Some(reason) = reason {
            self.fail(reason);
        }
    }

    fn push<'g>(&'g self, op: Op, inputs: &[Value<'g>], declared: Option<Fact>) -> Value<'g> {
        let fact = {
            let state = self.0.borrow();
            let facts: Vec<&Fact> = inputs.iter().map(|input| &state.nodes[input.id.0].fact).collect();
            infer(&op, &facts, declared.as_ref())
        };
        let fact = fact.unwrap_or_else(|reason| {
            self.fail(reason);
            declared
                .unwrap_or_else(|| inputs.first().map_or(Fact { dtype: DType::F32, shape: Vec::new() }, Value::fact))
        });
        let mut state = self.0.borrow_mut();
        let scope = state.path.join(".");
        state.nodes.push(Node { op, inputs: inputs.iter().map(|input| input.id).collect(), fact, scope });
        Value { builder: self, id: NodeId(state.nodes.len() - 1) }
    }

    fn fail(&self, reason: String) {
        let mut state = self.0.borrow_mut();
        let (graph, scope) = (state.name.clone(), state.path.join("."));
        state.error.get_or_insert(BuildError { graph, scope, reason });
    }
}

impl Value<'_> {
    /// The node that gives this tensor, for [`Builder::finish`].
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Its type and shape.
    pub fn fact(&self) -> Fact {
        self.builder.0.borrow().nodes[self.id.0].fact.clone()
    }

    /// The size of every axis.
    pub fn shape(&self) -> Vec<Dim> {
        self.fact().shape
    }

    /// `x · weightᵀ + bias` with the parameters `NAME.weight` `[out_features, in]` and, if asked for, `NAME.bias`.
    #[must_use]
    pub fn linear(self, name: impl fmt::Display, out_features: usize, bias: bool) -> Self {
        let builder = self.builder;
        builder.enter(name, || {
            let in_features = self.last_axis("linear");
            let weight = builder.param("weight", &[out_features, in_features]);
            let bias = bias.then(|| builder.param("bias", &[out_features]));
            self.project(weight, bias)
        })
    }

    /// `x · weightᵀ + bias` with tensors at hand.
    #[must_use]
    pub fn project(self, weight: Self, bias: Option<Self>) -> Self {
        let inputs: Vec<_> = [self, weight].into_iter().chain(bias).collect();
        self.builder.push(Op::Linear { bias: bias.is_some() }, &inputs, None)
    }

    /// Layer normalisation with the parameters `NAME.weight` and, if asked for, `NAME.bias`.
    #[must_use]
    pub fn layer_norm(self, name: impl fmt::Display, epsilon: f32, bias: bool) -> Self {
        let builder = self.builder;
        builder.enter(name, || {
            let features = self.last_axis("layer_norm");
            let weight = builder.param("weight", &[features]);
            let bias_value = bias.then(|| builder.param("bias", &[features]));
            let inputs: Vec<_> = [self, weight].into_iter().chain(bias_value).collect();
            builder.push(Op::LayerNorm { epsilon, bias }, &inputs, None)
        })
    }

    /// [`Op::FrameNorm`] with tensors at hand.
    #[must_use]
    pub fn frame_norm(self, epsilon: f32, weight: Self, bias: Self) -> Self {
        self.builder.push(Op::FrameNorm { epsilon }, &[self, weight, bias], None)
    }

    /// [`Op::CausalConv`] with tensors at hand.
    #[must_use]
    pub fn causal_conv(self, weight: Self, bias: Self, stride: usize, padding: Padding) -> Self {
        self.builder.push(Op::CausalConv { stride, padding }, &[self, weight, bias], None)
    }

    /// Rows of this table `[rows, dim]`.
    #[must_use]
    pub fn embedding(self, ids: Self) -> Self {
        self.builder.push(Op::Embedding, &[self, ids], None)
    }

    /// Whether two integers are the same; shapes broadcast.
    #[must_use]
    pub fn equal(self, other: Self) -> Self {
        self.builder.push(Op::Equal, &[self, other], None)
    }

    /// Whether both hold; shapes broadcast.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.builder.push(Op::And, &[self, other], None)
    }

    /// `x * sigmoid(x)`.
    #[must_use]
    pub fn silu(self) -> Self {
        self.builder.push(Op::Silu, &[self], None)
    }

    /// `x * Phi(x)`, exact.
    #[must_use]
    pub fn gelu(self) -> Self {
        self.builder.push(Op::Gelu, &[self], None)
    }

    /// Hyperbolic tangent.
    #[must_use]
    pub fn tanh(self) -> Self {
        self.builder.push(Op::Tanh, &[self], None)
    }

    /// The nearest values of another float type; of the type that it has, itself.
    #[must_use]
    pub fn cast(self, to: DType) -> Self {
        if self.fact().dtype == to { self } else { self.builder.push(Op::Cast { to }, &[self], None) }
    }

    /// The same values in another shape.
    #[must_use]
    pub fn reshape(self, shape: impl IntoIterator<Item = impl Into<Dim>>) -> Self {
        let fact = Fact { dtype: self.fact().dtype, shape: shape.into_iter().map(Into::into).collect() };
        self.builder.push(Op::Reshape, &[self], Some(fact))
    }

    /// Axes in another order: output axis `i` is input axis `perm[i]`.
    #[must_use]
    pub fn transpose(self, perm: &[usize]) -> Self {
        self.builder.push(Op::Transpose { perm: perm.to_vec() }, &[self], None)
    }

    /// `len` entries from `start` along `axis`.
    #[must_use]
    pub fn slice(self, axis: usize, start: usize, len: usize) -> Self {
        self.builder.push(Op::Slice { axis, start, len }, &[self], None)
    }

    /// [`Op::AveragePool`].
    #[must_use]
    pub fn average_pool(self) -> Self {
        self.builder.push(Op::AveragePool, &[self], None)
    }

    /// [`Op::UpsampleNearest`].
    #[must_use]
    pub fn upsample_nearest(self) -> Self {
        self.builder.push(Op::UpsampleNearest, &[self], None)
    }

    /// [`Op::HaarPatch`].
    #[must_use]
    pub fn haar_patch(self, patch: usize) -> Self {
        self.builder.push(Op::HaarPatch { patch }, &[self], None)
    }

    /// [`Op::HaarUnpatch`].
    #[must_use]
    pub fn haar_unpatch(self, patch: usize) -> Self {
        self.builder.push(Op::HaarUnpatch { patch }, &[self], None)
    }

    /// [`Op::L2Normalize`].
    #[must_use]
    pub fn l2_normalize(self, epsilon: f32) -> Self {
        self.builder.push(Op::L2Normalize { epsilon }, &[self], None)
    }

    /// [`Op::ArgMax`].
    #[must_use]
    pub fn arg_max(self) -> Self {
        self.builder.push(Op::ArgMax, &[self], None)
    }

    /// [`Op::FsqQuantize`].
    #[must_use]
    pub fn fsq_quantize(self, levels: &[usize]) -> Self {
        self.builder.push(Op::FsqQuantize { levels: levels.to_vec() }, &[self], None)
    }

    /// [`Op::FsqDequantize`].
    #[must_use]
    pub fn fsq_dequantize(self, levels: &[usize]) -> Self {
        self.builder.push(Op::FsqDequantize { levels: levels.to_vec() }, &[self], None)
    }

    fn last_axis(self, what: &str) -> usize {
        let shape = self.shape();
        shape.last().and_then(Dim::as_fixed).unwrap_or_else(|| {
            self.builder.fail(format!("{what} needs a fixed last axis, got {shape:?}"));
            0
        })
    }
}

impl<'g> ops::Add for Value<'g> {
    type Output = Value<'g>;
    fn add(self, other: Self) -> Self {
        self.builder.push(Op::Add, &[self, other], None)
    }
}

impl<'g> ops::Sub for Value<'g> {
    type Output = Value<'g>;
    fn sub(self, other: Self) -> Self {
        self.builder.push(Op::Sub, &[self, other], None)
    }
}

impl<'g> ops::Mul for Value<'g> {
    type Output = Value<'g>;
    fn mul(self, other: Self) -> Self {
        self.builder.push(Op::Mul, &[self, other], None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_shows_scopes_shapes_and_names() {
        let g = Builder::new("sketch");
        let x = g.input("tokens", DType::F32, [Dim::from("batch"), "visible".into(), 4.into()]);
        let y = g.enter("encoder.0", || {
            let h = x.layer_norm("norm2", 1e-6, false);
            x + g
                .enter("mlp", || (h.linear("fc1", 6, false).silu() * h.linear("fc3", 6, false)).linear("fc2", 4, false))
        });
        let y = y.id();
        let graph = g.finish([("hidden", y)]).expect("a sound graph");
        insta::assert_snapshot!(graph.to_string(), @"
        graph sketch
        %0 = input tokens() : f32[batch, visible, 4]
        %1 = param encoder.0.norm2.weight() : f32[4]  // encoder.0.norm2
        %2 = layer_norm epsilon 1e-6(%0, %1) : f32[batch, visible, 4]  // encoder.0.norm2
        %3 = param encoder.0.mlp.fc1.weight() : f32[6, 4]  // encoder.0.mlp.fc1
        %4 = linear(%2, %3) : f32[batch, visible, 6]  // encoder.0.mlp.fc1
        %5 = silu(%4) : f32[batch, visible, 6]  // encoder.0.mlp
        %6 = param encoder.0.mlp.fc3.weight() : f32[6, 4]  // encoder.0.mlp.fc3
        %7 = linear(%2, %6) : f32[batch, visible, 6]  // encoder.0.mlp.fc3
        %8 = mul(%5, %7) : f32[batch, visible, 6]  // encoder.0.mlp
        %9 = param encoder.0.mlp.fc2.weight() : f32[4, 6]  // encoder.0.mlp.fc2
        %10 = linear(%8, %9) : f32[batch, visible, 4]  // encoder.0.mlp.fc2
        %11 = add(%0, %10) : f32[batch, visible, 4]  // encoder.0
        output hidden = %11
        ");
    }

    #[test]
    fn the_first_mistake_is_kept_with_its_scope() {
        let g = Builder::new("sketch");
        let (x, y) = (g.input("x", DType::F32, [4_usize]), g.input("y", DType::F32, [5_usize]));
        let z = g.enter("decoder.3", || x + y);
        let z = g.enter("later", || z + y).id();
        let error = g.finish([("z", z)]).expect_err("4 and 5 do not broadcast");
        assert_eq!(error.to_string().lines().next(), Some("sketch: decoder.3: shapes do not broadcast: [[4], [5]]"));
    }

    #[test]
    fn names_are_given_once_and_outputs_belong_to_the_stage() {
        let reason = |build: fn(&Builder) -> Vec<(&'static str, NodeId)>| {
            let g = Builder::new("sketch");
            let outputs = build(&g);
            g.finish(outputs).expect_err("a mistake").reason
        };
        let twice = reason(|g| {
            let (_, b) = (g.input("x", DType::F32, [4_usize]), g.input("x", DType::F32, [4_usize]));
            vec![("y", b.id())]
        });
        assert_eq!(twice, "two inputs are called x");
        let outputs = reason(|g| vec![("y", g.integer(1).id()), ("y", g.integer(2).id())]);
        assert_eq!(outputs, "two outputs are called y");
        assert_eq!(reason(|_| vec![("y", NodeId(7))]), "output y is not a value of this stage");
    }

    #[test]
    fn halves_stay_inside() {
        let reason = |build: fn(&Builder) -> NodeId| {
            let g = Builder::new("sketch");
            let y = build(&g);
            g.finish([("y", y)]).map_err(|error| error.reason)
        };
        let half = |g: &Builder| g.input("x", DType::F16, [4_usize]).cast(DType::F32).id();
        assert_eq!(reason(half).map(drop), Err("input x: expected f32, i64 or bool, got f16".to_owned()));
        let half = |g: &Builder| g.input("x", DType::F32, [4_usize]).cast(DType::Bf16).id();
        assert_eq!(reason(half).map(drop), Err("output y: expected f32, i64 or bool, got bf16".to_owned()));
        let inside = |g: &Builder| g.input("x", DType::F32, [4_usize]).cast(DType::Bf16).cast(DType::F32).id();
        insta::assert_snapshot!(reason(inside).expect("f32 in, f32 out").to_string(), @"
        graph sketch
        %0 = input x() : f32[4]
        %1 = cast bf16(%0) : bf16[4]
        %2 = cast f32(%1) : f32[4]
        output y = %2
        ");
    }

    #[test]
    fn operations_take_one_float_type_and_unsafe_ones_no_half() {
        let reason = |build: fn(Value<'_>, Value<'_>) -> NodeId| {
            let g = Builder::new("sketch");
            let x = g.input("x", DType::F32, [4_usize]);
            let y = build(x, x.cast(DType::F16));
            g.finish([("y", y)]).map(|_| ()).map_err(|error| error.reason)
        };
        let mixed = Err("expected f32, got f16[4]".to_owned());
        assert_eq!(reason(|x, half| (x + half).id()), mixed);
        assert_eq!(
            reason(|x, half| x.reshape([1_usize, 4]).project(half.reshape([1_usize, 4]), None).id()),
            Err("expected f32, got f16[1, 4]".to_owned())
        );
        assert_eq!(reason(|_, half| half.layer_norm("norm", 1e-6, false).id()), mixed);
        assert_eq!(reason(|_, half| half.l2_normalize(1e-6).id()), mixed);
        assert_eq!(reason(|_, half| half.arg_max().id()), mixed);
        assert_eq!(reason(|x, _| x.cast(DType::I64).id()), Err("cast gives floats, not i64".to_owned()));
        assert_eq!(reason(|x, half| (half.silu() * half.cast(DType::F16)).cast(x.fact().dtype).id()), Ok(()));
    }

    #[test]
    fn a_parameter_is_one_node() {
        let g = Builder::new("sketch");
        let (a, b) = g.enter("head", || (g.param("weight", &[2, 3]), g.param("weight", &[2, 3])));
        assert_eq!(a.id(), b.id());
        g.enter("head", || g.param("weight", &[3, 2]));
        assert!(g.finish([]).is_err());
    }
}
