use super::{Checkpoint, CheckpointError, OPTIMIZER_PREFIX, Result};
use egom2p_model::{
    ModelConfig, expected_tensors,
    weights::{CHUNK_VALUES, TensorWriter, WeightsFile, WeightsPart},
};
use std::collections::BTreeMap;
use tch::{Device, Kind, TchError, Tensor};

/// Fails unless a checkpoint has the tensors of its model, of their shapes and in single precision.
pub(super) fn check(checkpoint: &Checkpoint) -> Result<()> {
    let holder = format!("the training at step {}", checkpoint.step);
    checkpoint.config.validate()?;
    for (name, tensor) in &checkpoint.tensors {
        let kind = tensor.f_kind().map_err(CheckpointError::copy(name))?;
        if kind != Kind::Float {
            let got = format!("{kind:?}");
            return Err(CheckpointError::Kind { name: shown(name), holder, got });
        }
    }
    let shapes = checkpoint.tensors.iter().map(|(name, tensor)| (name.as_str(), shape(tensor))).collect();
    check_shapes(&checkpoint.config, checkpoint.part, &holder, &shapes)
}

/// Fails unless the tensors are those of a model and what its optimiser remembers about them.
pub(super) fn check_shapes(
    config: &ModelConfig,
    part: WeightsPart,
    holder: &str,
    shapes: &BTreeMap<&str, Vec<usize>>,
) -> Result<()> {
    let mut expected = BTreeMap::new();
    for tensor in expected_tensors(config, part)? {
        if !tensor.optional && !shapes.contains_key(tensor.name.as_str()) {
            return Err(CheckpointError::Missing { name: tensor.name, holder: holder.to_owned() });
        }
        expected.insert(tensor.name, tensor.shape);
    }
    for (name, got) in shapes {
        let parameter = match name.strip_prefix(OPTIMIZER_PREFIX).and_then(|rest| rest.split_once('.')) {
            Some((_kind, parameter)) if shapes.contains_key(parameter) => parameter,
            _ => name,
        };
        let unknown = || CheckpointError::Unknown { name: shown(name), holder: holder.to_owned() };
        check_shape(name, holder, expected.get(parameter).ok_or_else(unknown)?, got)?;
    }
    Ok(())
}

/// Fails unless two shapes are the same.
pub(super) fn check_shape(name: &str, holder: &str, expected: &[usize], got: &[usize]) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    // A foreign file decides how long this one is.
    let got = got.iter().copied().take(16).collect();
    Err(CheckpointError::Shape { name: shown(name), holder: holder.to_owned(), expected: expected.to_vec(), got })
}

/// A tensor's shape.
pub(super) fn shape(tensor: &Tensor) -> Vec<usize> {
    tensor.size().into_iter().map(|size| size as usize).collect()
}

/// Writes a tensor from any device.
pub(super) fn write(name: &str, tensor: &Tensor, mut writer: TensorWriter) -> Result<()> {
    let flat = || tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?.f_reshape([-1]);
    let flat = flat().map_err(CheckpointError::copy(name))?;
    let n_values = flat.numel();
    let mut values = vec![0.0_f32; n_values.min(CHUNK_VALUES)];
    for start in (0..n_values).step_by(CHUNK_VALUES) {
        let chunk = &mut values[..CHUNK_VALUES.min(n_values - start)];
        let n = chunk.len();
        let copied = flat.f_narrow(0, start as i64, n as i64).and_then(|part| part.f_copy_data(chunk, n));
        copied.map_err(CheckpointError::copy(name))?;
        writer.write(chunk)?;
    }
    Ok(())
}

/// Reads a tensor whose shape was checked, on the CPU.
pub(super) fn read(file: &WeightsFile, name: &str) -> Result<Tensor> {
    let failed = |error: TchError| CheckpointError::copy(name)(error);
    let sizes: Vec<i64> = file.shape(name)?.iter().map(|&size| size as i64).collect();
    let n_values = sizes.iter().product::<i64>() as usize;
    let tensor = Tensor::f_empty([n_values as i64], (Kind::Float, Device::Cpu)).map_err(failed)?;
    let mut values = vec![0.0_f32; n_values.min(CHUNK_VALUES)];
    for start in (0..n_values).step_by(CHUNK_VALUES) {
        let chunk = &mut values[..CHUNK_VALUES.min(n_values - start)];
        file.read_f32_into(name, start, chunk)?;
        let mut place = tensor.f_narrow(0, start as i64, chunk.len() as i64).map_err(failed)?;
        Tensor::f_from_slice(chunk).and_then(|chunk| place.f_copy_(&chunk)).map_err(failed)?;
    }
    tensor.f_reshape(sizes).map_err(failed)
}

/// A name from a foreign file as it may stand in an error line.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(120).flat_map(char::escape_debug).collect()
}
