use egom2p_graph::{Literal, LiteralData};
use egom2p_tests::op_suite::{Case, Runs};
use egom2p_torch::{TorchParameters, run};
use std::error::Error;
use tch::{Device, Kind, Tensor};

/// libtorch on the processor, with one thread.
pub(crate) struct Torch;

impl Runs for Torch {
    fn name(&self) -> String {
        "libtorch".to_owned()
    }

    fn run(&self, case: &Case) -> Result<Vec<(String, Literal)>, Box<dyn Error>> {
        tch::set_num_threads(1);
        let parameters = TorchParameters::load(case.graph.params(), case.parameters.as_ref(), Device::Cpu)?;
        let inputs: Vec<_> = case.inputs.iter().map(|(name, literal)| (*name, to_tensor(literal))).collect();
        let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let outputs = run(&case.graph, &inputs, &parameters, Device::Cpu)?;
        outputs.into_iter().map(|(name, tensor)| Ok((name.to_owned(), to_literal(&tensor)?))).collect()
    }
}

/// The same values as a tensor.
pub(crate) fn to_tensor(literal: &Literal) -> Tensor {
    let flat = match literal.data() {
        LiteralData::F32(values) => Tensor::from_slice(values),
        LiteralData::I64(values) => Tensor::from_slice(values),
        LiteralData::Bool(values) => Tensor::from_slice(values),
    };
    flat.reshape(literal.shape().iter().map(|&size| size as i64).collect::<Vec<_>>())
}

/// The values of a tensor of a type that graphs give.
pub(crate) fn to_literal(tensor: &Tensor) -> Result<Literal, Box<dyn Error>> {
    let shape: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
    let flat = tensor.detach().contiguous().reshape([-1]);
    let data = match tensor.kind() {
        Kind::Float => LiteralData::F32(Vec::try_from(&flat)?),
        Kind::Int64 => LiteralData::I64(Vec::try_from(&flat)?),
        Kind::Bool => LiteralData::Bool(Vec::try_from(&flat)?),
        other => return Err(format!("a graph gives {other:?}").into()),
    };
    Ok(Literal::new(shape, data)?)
}
