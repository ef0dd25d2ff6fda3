use crate::{DType, EngineError, Result};

/// An owned tensor: what engines take and give. Elements stand in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

/// The elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Truth values; in a mask, `true` means that the element may be used.
    Bool(Vec<bool>),
}

impl Tensor {
    /// A tensor of 32-bit floats. The number of elements must be the product of the shape.
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self> {
        Self::new(shape.into(), Data::F32(data))
    }

    /// A tensor of 64-bit integers. The number of elements must be the product of the shape.
    pub fn i64(shape: impl Into<Vec<usize>>, data: Vec<i64>) -> Result<Self> {
        Self::new(shape.into(), Data::I64(data))
    }

    /// A tensor of truth values. The number of elements must be the product of the shape.
    pub fn bool(shape: impl Into<Vec<usize>>, data: Vec<bool>) -> Result<Self> {
        Self::new(shape.into(), Data::Bool(data))
    }

    /// A tensor of the elements given. Their number must be the product of the shape.
    pub fn new(shape: Vec<usize>, data: Data) -> Result<Self> {
        let n_elements = n_elements(&shape)?;
        if n_elements != data.len() {
            return Err(EngineError::TensorLength { shape, expected: n_elements, got: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// A tensor of zeros (or of `false`). A shape that memory cannot hold is an error.
    pub fn zeros(dtype: DType, shape: impl Into<Vec<usize>>) -> Result<Self> {
        let shape = shape.into();
        let n = n_elements(&shape)?;
        let data = match dtype {
            DType::F32 => zeros(n).map(Data::F32),
            DType::I64 => zeros(n).map(Data::I64),
            DType::Bool => zeros(n).map(Data::Bool),
        };
        match data {
            Some(data) => Ok(Self { shape, data }),
            None => Err(EngineError::TensorTooLarge { shape }),
        }
    }

    /// Length of every axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Shape and elements, to write into. The number of elements cannot change.
    pub fn as_mut(&mut self) -> (&[usize], DataMut<'_>) {
        let data = match &mut self.data {
            Data::F32(data) => DataMut::F32(data),
            Data::I64(data) => DataMut::I64(data),
            Data::Bool(data) => DataMut::Bool(data),
        };
        (&self.shape, data)
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// Number of elements.
    pub fn n_elements(&self) -> usize {
        self.data.len()
    }

    /// The elements, if they are 32-bit floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(data) => Some(data),
            Data::I64(_) | Data::Bool(_) => None,
        }
    }

    /// The elements, if they are 64-bit integers.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(data) => Some(data),
            Data::F32(_) | Data::Bool(_) => None,
        }
    }

    /// The elements, if they are truth values.
    pub fn as_bool(&self) -> Option<&[bool]> {
        match &self.data {
            Data::Bool(data) => Some(data),
            Data::F32(_) | Data::I64(_) => None,
        }
    }

    /// The elements, which must be 32-bit floats.
    pub fn into_f32(self) -> Result<Vec<f32>> {
        match self.data {
            Data::F32(data) => Ok(data),
            other => Err(EngineError::WrongDType { expected: DType::F32, got: other.dtype() }),
        }
    }

    /// The elements, which must be 64-bit integers.
    pub fn into_i64(self) -> Result<Vec<i64>> {
        match self.data {
            Data::I64(data) => Ok(data),
            other => Err(EngineError::WrongDType { expected: DType::I64, got: other.dtype() }),
        }
    }

    /// The elements, which must be truth values.
    pub fn into_bool(self) -> Result<Vec<bool>> {
        match self.data {
            Data::Bool(data) => Ok(data),
            other => Err(EngineError::WrongDType { expected: DType::Bool, got: other.dtype() }),
        }
    }

    /// Shape and elements.
    pub fn into_parts(self) -> (Vec<usize>, Data) {
        (self.shape, self.data)
    }
}

impl Data {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Data::F32(_) => DType::F32,
            Data::I64(_) => DType::I64,
            Data::Bool(_) => DType::Bool,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(data) => data.len(),
            Data::I64(data) => data.len(),
            Data::Bool(data) => data.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The elements of a tensor, to write into.
#[derive(Debug)]
pub enum DataMut<'a> {
    /// 32-bit floats.
    F32(&'a mut [f32]),
    /// 64-bit integers.
    I64(&'a mut [i64]),
    /// Truth values.
    Bool(&'a mut [bool]),
}

/// Zeros, unless there is no room for them. The room is asked for first because `vec!` ends the program without it, and
/// given back because `vec!` then gets pages of zeros that are not touched before they are used.
fn zeros<T: Default + Clone>(n: usize) -> Option<Vec<T>> {
    Vec::<T>::new().try_reserve_exact(n).ok()?;
    Some(vec![T::default(); n])
}

fn n_elements(shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1_usize, |n, length| n.checked_mul(*length))
        .ok_or_else(|| EngineError::TensorTooLarge { shape: shape.to_vec() })
}
