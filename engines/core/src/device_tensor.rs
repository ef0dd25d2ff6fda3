use crate::{DType, EngineError, Result};
use egom2p_device::{Buffer, ComputeDevice, Stream};

/// A tensor that lies on a device. Elements stand in row-major order; a truth value is one byte, 0 or 1. Clones share
/// the elements.
#[derive(Debug, Clone)]
pub struct DeviceTensor {
    dtype: DType,
    shape: Vec<usize>,
    buffer: Buffer,
}

impl DeviceTensor {
    /// A tensor in the first bytes of a buffer, which must have room for it.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>, buffer: &Buffer) -> Result<Self> {
        let shape = shape.into();
        let n_bytes = n_bytes(dtype, &shape)?;
        Ok(Self { dtype, shape, buffer: buffer.slice(0..n_bytes)? })
    }

    /// A tensor with memory of its own, not initialised.
    pub fn allocate(device: &dyn ComputeDevice, dtype: DType, shape: impl Into<Vec<usize>>) -> Result<Self> {
        let shape = shape.into();
        let buffer = device.allocate(n_bytes(dtype, &shape)?)?;
        Ok(Self { dtype, shape, buffer })
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Length of every axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Where the elements are.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Enqueues a transfer of a host tensor's elements, which must be as many and of this type.
    pub fn upload(&self, stream: &dyn Stream, tensor: &crate::Tensor) -> Result<()> {
        if tensor.dtype() != self.dtype {
            return Err(EngineError::WrongDType { expected: self.dtype, got: tensor.dtype() });
        }
        let expected = self.shape.iter().product();
        if tensor.n_elements() != expected {
            return Err(EngineError::TensorLength { shape: self.shape.clone(), expected, got: tensor.n_elements() });
        }
        stream.write(&self.buffer, &mut |staged| match tensor.data() {
            crate::Data::F32(values) => spread(staged, values, f32::to_ne_bytes),
            crate::Data::I64(values) => spread(staged, values, i64::to_ne_bytes),
            crate::Data::Bool(values) => spread(staged, values, |value| [u8::from(value)]),
        })?;
        Ok(())
    }

    /// Waits for the stream and fetches the elements.
    pub fn download(&self, stream: &dyn Stream) -> Result<crate::Tensor> {
        let mut tensor = crate::Tensor::zeros(self.dtype, self.shape.clone())?;
        let (_, mut data) = tensor.as_mut();
        stream.read(&self.buffer, &mut |staged| match &mut data {
            crate::DataMut::F32(values) => gather(values, staged, f32::from_ne_bytes),
            crate::DataMut::I64(values) => gather(values, staged, i64::from_ne_bytes),
            crate::DataMut::Bool(values) => gather(values, staged, |[byte]| byte != 0),
        })?;
        Ok(tensor)
    }
}

/// Bytes of a tensor on a device.
fn n_bytes(dtype: DType, shape: &[usize]) -> Result<usize> {
    let element_bytes = match dtype {
        DType::F32 => 4,
        DType::I64 => 8,
        DType::Bool => 1,
    };
    let n_bytes = shape.iter().try_fold(element_bytes, |n: usize, length| n.checked_mul(*length));
    n_bytes.ok_or_else(|| EngineError::TensorTooLarge { shape: shape.to_vec() })
}

fn spread<T: Copy, const N: usize>(bytes: &mut [u8], values: &[T], of: impl Fn(T) -> [u8; N]) {
    for (bytes, &value) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(values) {
        *bytes = of(value);
    }
}

fn gather<T, const N: usize>(values: &mut [T], bytes: &[u8], of: impl Fn([u8; N]) -> T) {
    for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *value = of(bytes);
    }
}
