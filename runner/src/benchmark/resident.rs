use std::{sync::Arc, time::Duration};

use egom2p_device::ComputeDevice;
use egom2p_engine_core::{DeviceTensor, EngineError, Session, Tensor};

use super::{Latency, measure};

/// Measures a session on tensors of a device: calls whose inputs and outputs stay there, and calls whose inputs come from
/// the host and whose outputs go back. A call ends when the device is done with it. `outputs` are names and shapes.
pub(super) fn measure_resident(
    session: &mut dyn Session,
    device: &Arc<dyn ComputeDevice>,
    inputs: &[(&str, &Tensor)],
    outputs: &[(&str, Vec<usize>)],
    budget: Duration,
) -> Result<(Latency, Latency), EngineError> {
    let stream = Arc::clone(device).stream()?;
    let mut device_inputs = Vec::with_capacity(inputs.len());
    for (name, tensor) in inputs {
        device_inputs.push((*name, DeviceTensor::allocate(&**device, tensor.dtype(), tensor.shape())?));
    }
    let mut device_outputs = Vec::with_capacity(outputs.len());
    for (name, shape) in outputs {
        let unknown = || EngineError::UnknownShape { name: (*name).to_owned() };
        let spec = session.outputs().iter().find(|spec| spec.name == *name).ok_or_else(unknown)?;
        device_outputs.push((*name, DeviceTensor::allocate(&**device, spec.dtype, shape.as_slice())?));
    }
    let given: Vec<_> = device_inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let taken: Vec<_> = device_outputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let upload = || given.iter().zip(inputs).try_for_each(|((_, there), (_, here))| there.upload(&*stream, here));
    upload()?;
    let resident = measure(budget, || {
        session.enqueue(&*stream, &given, &taken)?;
        Ok::<_, EngineError>(stream.synchronize()?)
    })?;
    let with_transfers = measure(budget, || {
        upload()?;
        session.enqueue(&*stream, &given, &taken)?;
        taken.iter().try_for_each(|(_, output)| output.download(&*stream).map(drop))
    })?;
    Ok((resident, with_transfers))
}
