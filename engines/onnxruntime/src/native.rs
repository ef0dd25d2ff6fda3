//! What `ort` has no safe interface for: tensors at an address, a stream of the caller's, and where nodes run.

#![allow(
    unsafe_code,
    reason = "tensors of a device are addresses, and ort copies inputs unless they are bound through its C interface"
)]

use egom2p_device::Stream;
use egom2p_engine_core::{DType, DeviceTensor, TensorSpec};
use ort::ep::CUDA;
use ort::memory::MemoryInfo;
use ort::session::{RunOptions, Session};
use ort::sys::{OrtMemoryInfo, OrtMemoryInfoDeviceType};
use ort::value::{DynValueRefMut, Shape, TensorRefMut};
use ort::{AsPointer, ortsys};
use std::ffi::{CStr, CString, c_char};
use std::ptr;

/// The address of tensors without elements, which nothing reads or writes.
const NO_ELEMENTS: usize = 256;

/// Tensors with their specs.
pub(crate) type Named<'a> = (&'a [TensorSpec], &'a [&'a DeviceTensor]);

/// A node and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Name of the execution provider.
    pub(crate) provider: String,
    /// The operator.
    pub(crate) operator: String,
}

/// Runs with tensors where they lie: inputs are not copied, and outputs are written in place. The tensors are those of
/// the session, in the memory that is named. On a GPU the work may go on after the call, and the tensors must live until
/// it is done.
pub(crate) fn run_in_place(
    session: &mut Session,
    options: &RunOptions,
    memory: &MemoryInfo<'static>,
    inputs: Named<'_>,
    outputs: Named<'_>,
) -> ort::Result<()> {
    let mut binding = session.create_binding()?;
    for (spec, tensor) in inputs.0.iter().zip(inputs.1) {
        let (name, value) = (c_string(&spec.name)?, value(tensor, memory)?);
        // SAFETY: binding, name and value live, and the binding keeps a reference of its own to what it is given.
        ortsys![unsafe BindInput(binding.ptr_mut(), name.as_ptr(), value.ptr())?];
    }
    for (spec, tensor) in outputs.0.iter().zip(outputs.1) {
        let (name, value) = (c_string(&spec.name)?, value(tensor, memory)?);
        // SAFETY: as for inputs.
        ortsys![unsafe BindOutput(binding.ptr_mut(), name.as_ptr(), value.ptr())?];
    }
    session.run_binding_with_options(&binding, options)?;
    Ok(())
}

/// A provider that enqueues its work on a stream. The stream must outlive every session with the provider.
pub(crate) fn on_stream(provider: CUDA, stream: &dyn Stream) -> CUDA {
    // SAFETY: the handle is that of a stream of CUDA, which whoever holds the session keeps.
    unsafe { provider.with_compute_stream(ptr::with_exposed_provenance_mut(stream.handle())) }
}

/// Where the nodes of a session run. The session must have been made with
/// [`RECORD_PLACEMENT`](crate::cuda::RECORD_PLACEMENT).
pub(crate) fn placement(session: &Session) -> ort::Result<Vec<Placed>> {
    let (mut subgraphs, mut n_subgraphs) = (ptr::null(), 0);
    // SAFETY: the session lives, and what it gives lives as long.
    ortsys![unsafe Session_GetEpGraphAssignmentInfo(session.ptr(), &raw mut subgraphs, &raw mut n_subgraphs)?];
    let mut placed = Vec::new();
    // SAFETY: the session gave an array of this length.
    for &subgraph in unsafe { slice(subgraphs, n_subgraphs) } {
        let mut provider = ptr::null();
        // SAFETY: the pointer is the session's.
        ortsys![unsafe EpAssignedSubgraph_GetEpName(subgraph, &raw mut provider)?];
        let (mut nodes, mut n_nodes) = (ptr::null(), 0);
        // SAFETY: the pointer is the session's.
        ortsys![unsafe EpAssignedSubgraph_GetNodes(subgraph, &raw mut nodes, &raw mut n_nodes)?];
        // SAFETY: the session gave an array of this length.
        for &node in unsafe { slice(nodes, n_nodes) } {
            let mut operator = ptr::null();
            // SAFETY: the pointer is the session's.
            ortsys![unsafe EpAssignedNode_GetOperatorType(node, &raw mut operator)?];
            // SAFETY: both are texts of the session.
            placed.push(unsafe { Placed { provider: text(provider), operator: text(operator) } });
        }
    }
    Ok(placed)
}

/// Which of the first `n_inputs` inputs of a session it wants in the memory of the processor. Binding a tensor of a GPU
/// to such an input would copy it, outside of the order of streams.
pub(crate) fn inputs_on_processor(session: &Session, n_inputs: usize) -> ort::Result<Vec<usize>> {
    let mut memory = vec![ptr::null(); n_inputs];
    // SAFETY: the session lives, and there is room for as many pointers; what they point to lives as long.
    ortsys![unsafe SessionGetMemoryInfoForInputs(session.ptr(), memory.as_mut_ptr(), n_inputs)?];
    let on_processor = |memory: *const OrtMemoryInfo| {
        let mut kind = OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU;
        // SAFETY: the pointer is the session's.
        ortsys![unsafe MemoryInfoGetDeviceType(memory, &raw mut kind)];
        kind == OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU
    };
    Ok((0..n_inputs).filter(|&input| on_processor(memory[input])).collect())
}

/// A value over the elements of a tensor.
fn value(tensor: &DeviceTensor, memory: &MemoryInfo<'static>) -> ort::Result<DynValueRefMut<'static>> {
    let element_bytes = match tensor.dtype() {
        DType::F32 => 4,
        DType::I64 => 8,
        DType::Bool => 1,
    };
    let buffer = tensor.buffer();
    let address = if buffer.n_bytes() == 0 { NO_ELEMENTS } else { buffer.address() };
    if !address.is_multiple_of(element_bytes) {
        return Err(ort::Error::new(format!("a tensor of {} begins at address {address:#x}", tensor.dtype())));
    }
    let data = ptr::with_exposed_provenance_mut(address);
    let shape: Shape = tensor.shape().iter().map(|length| *length as i64).collect();
    let memory = memory.to_owned();
    // SAFETY: a tensor's buffer has room for its elements, in the memory of its device. `run_in_place` has dropped the
    // value, and the binding that refers to it, when it gives the tensor back.
    unsafe {
        Ok(match tensor.dtype() {
            DType::F32 => TensorRefMut::<f32>::from_raw(memory, data, shape)?.into_dyn(),
            DType::I64 => TensorRefMut::<i64>::from_raw(memory, data, shape)?.into_dyn(),
            DType::Bool => TensorRefMut::<bool>::from_raw(memory, data, shape)?.into_dyn(),
        })
    }
}

fn c_string(name: &str) -> ort::Result<CString> {
    CString::new(name).map_err(|_| ort::Error::new(format!("the name {name:?} has a zero byte")))
}

/// The elements of an array, which may be null where it has none.
unsafe fn slice<'a, T>(first: *const T, length: usize) -> &'a [T] {
    if first.is_null() {
        return &[];
    }
    // SAFETY: the caller has an array of this length.
    unsafe { std::slice::from_raw_parts(first, length) }
}

/// A copy of a text that ends with a zero byte.
unsafe fn text(first: *const c_char) -> String {
    if first.is_null() {
        return String::new();
    }
    // SAFETY: the caller has such a text.
    unsafe { CStr::from_ptr(first) }.to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::{Placed, inputs_on_processor, placement};
    use crate::cuda::{RECORD_PLACEMENT, misplaced};
    use crate::library::Library;
    use crate::test_model::tanh;

    #[test]
    fn a_session_tells_where_its_nodes_run() {
        let Ok(library) = Library::open(None) else { return };
        let session = crate::optimise::session_builder(library).unwrap();
        let mut session = session.with_config_entry(RECORD_PLACEMENT, "1").unwrap();
        let session = session.commit_from_memory(&tanh()).unwrap();
        let placed = placement(&session).unwrap();
        let expected = Placed { provider: "CPUExecutionProvider".to_owned(), operator: "Tanh".to_owned() };
        assert_eq!(placed, [expected]);
        assert_eq!(inputs_on_processor(&session, 1).unwrap(), [0]);
        assert_eq!(misplaced(&placed).into_iter().collect::<Vec<_>>(), ["Tanh"]);
    }
}
