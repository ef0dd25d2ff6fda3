use egom2p_graph::Value;

/// `fc2(silu(fc1(x)) * fc3(x))` without biases (specification section 1.5).
pub(crate) fn gated(x: Value<'_>, dim: usize, hidden: usize) -> Value<'_> {
    let gate = x.linear("fc1", hidden, false).silu();
    (gate * x.linear("fc3", hidden, false)).linear("fc2", dim, false)
}

/// `fc2(activation(fc1(x)))` with biases (specification section 2.1).
pub(crate) fn plain<'g>(
    x: Value<'g>,
    dim: usize,
    hidden: usize,
    activation: impl Fn(Value<'g>) -> Value<'g>,
) -> Value<'g> {
    activation(x.linear("fc1", hidden, true)).linear("fc2", dim, true)
}
