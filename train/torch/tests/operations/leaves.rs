use crate::backend::{to_literal, to_tensor};
use egom2p_graph::{DType, Literal, LiteralData, ParameterError, Parameters, interpreter::interpret};
use egom2p_tests::op_suite::{Case, Generator};
use egom2p_torch::{TorchError, TorchParameters, run};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// Runs a case's graph on inputs and parameters.
pub(crate) type RunsGraph<'a> =
    dyn Fn(&[(&str, &Tensor)], &TorchParameters) -> Result<Vec<(&'static str, Tensor)>, TorchError> + 'a;

/// The floats that a case starts from, inputs and parameters by name, and weights of what it gives: their sum is a loss.
pub(crate) struct Leaves {
    pub(crate) values: BTreeMap<String, Literal>,
    weights: Vec<f32>,
}

impl Leaves {
    /// `None` where the case gives no floats, or starts from none.
    pub(crate) fn of(case: &Case) -> Option<Self> {
        let inputs = case.inputs.iter().filter(|(_, value)| value.dtype() == DType::F32);
        let inputs = inputs.map(|(name, value)| ((*name).to_owned(), value.clone()));
        let parameter = |(name, shape): (&str, Vec<usize>)| {
            let values = case.parameters.parameter(name, &shape).expect("the suite knows its parameters");
            (name.to_owned(), Literal::f32(shape, values).expect("counted"))
        };
        let values: BTreeMap<_, _> = inputs.chain(case.graph.params().map(parameter)).collect();
        let outputs = interpret(&case.graph, &case.inputs, case.parameters.as_ref()).expect("cases are sound");
        let n_values = outputs[0].1.as_f32()?.len();
        let mut generator = Generator::of_name(&case.name);
        let weights = (0..n_values).map(|_| generator.float(1.0)).collect();
        (!values.is_empty()).then_some(Self { values, weights })
    }

    /// These leaves with the weights of the loss of others.
    pub(crate) fn same_loss(mut self, other: &Self) -> Self {
        self.weights.clone_from(&other.weights);
        self
    }

    /// The loss with one leaf replaced, by the interpreter.
    pub(crate) fn loss_with(&self, case: &Case, name: &str, value: &[f32]) -> f64 {
        let mut values = self.values.clone();
        let shape = values[name].shape().to_vec();
        values.insert(name.to_owned(), Literal::f32(shape, value.to_vec()).expect("as many as before"));
        let inputs = case.inputs.iter().map(|(name, fed)| (*name, values.get(*name).unwrap_or(fed).clone()));
        let outputs = interpret(&case.graph, &inputs.collect::<Vec<_>>(), &Stored(&values)).expect("still sound");
        let given = outputs[0].1.as_f32().expect("floats");
        given.iter().zip(&self.weights).map(|(&value, &weight)| f64::from(value) * f64::from(weight)).sum()
    }

    /// The norm of the loss's terms, of which a small part is rounding.
    pub(crate) fn norm(&self, case: &Case) -> f64 {
        let outputs = interpret(&case.graph, &case.inputs, case.parameters.as_ref()).expect("cases are sound");
        let given = outputs[0].1.as_f32().expect("floats");
        let terms = given.iter().zip(&self.weights).map(|(&value, &weight)| f64::from(value) * f64::from(weight));
        terms.map(|term| term * term).sum::<f64>().sqrt()
    }

    /// The gradient of the loss by libtorch, for every leaf.
    pub(crate) fn gradients(&self, case: &Case) -> BTreeMap<String, Vec<f32>> {
        self.gradients_by(case, &|inputs, parameters| run(&case.graph, inputs, parameters, Device::Cpu))
    }

    /// The same where something else runs the graph.
    pub(crate) fn gradients_by(&self, case: &Case, runs: &RunsGraph<'_>) -> BTreeMap<String, Vec<f32>> {
        tch::set_num_threads(1);
        let leaf = |name: &str, fed: &Literal| to_tensor(self.values.get(name).unwrap_or(fed));
        let mut tensors: BTreeMap<String, Tensor> =
            case.inputs.iter().map(|(name, fed)| ((*name).to_owned(), leaf(name, fed))).collect();
        tensors.extend(self.values.iter().map(|(name, value)| (name.clone(), to_tensor(value))));
        for tensor in tensors.values_mut().filter(|tensor| tensor.kind() == Kind::Float) {
            *tensor = tensor.set_requires_grad(true);
        }
        let mut parameters = TorchParameters::default();
        for (name, _) in case.graph.params() {
            parameters.insert(name, tensors[name].shallow_clone());
        }
        let inputs: Vec<_> = case.inputs.iter().map(|(name, _)| (*name, &tensors[*name])).collect();
        let outputs = runs(&inputs, &parameters).unwrap_or_else(|error| panic!("{error}"));
        let given = outputs[0].1.to_kind(Kind::Double).reshape([-1]);
        (given * Tensor::from_slice(&self.weights).to_kind(Kind::Double)).sum(Kind::Double).backward();
        let gradient = |name: &String| {
            let gradient = tensors[name].grad();
            let n_values = self.values[name].as_f32().map_or(0, <[f32]>::len);
            let values =
                if gradient.defined() { to_literal(&gradient).expect("floats").into_data() } else { zeros(n_values) };
            let LiteralData::F32(values) = values else { panic!("{name} has a gradient of another type") };
            (name.clone(), values)
        };
        self.values.keys().map(gradient).collect()
    }
}

fn zeros(n_values: usize) -> LiteralData {
    LiteralData::F32(vec![0.0; n_values])
}

struct Stored<'a>(&'a BTreeMap<String, Literal>);

impl Parameters for Stored<'_> {
    fn parameter(&self, name: &str, _: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let value = self.0.get(name).and_then(Literal::as_f32);
        Ok(value.ok_or(ParameterError::Missing { name: name.to_owned() })?.to_vec())
    }
}
