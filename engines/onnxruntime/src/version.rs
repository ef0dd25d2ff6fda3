use std::ffi::CStr;
use std::path::Path;

/// The version that a library of ONNX Runtime gives, such as `1.31.1`. `ort` reads it but does not tell it.
#[allow(unsafe_code, reason = "the version is behind a C function that no safe interface offers")]
pub(crate) fn read(path: &Path) -> Result<String, String> {
    // SAFETY: `ort` has opened this very file as ONNX Runtime, so opening it again runs no initialiser and only
    // gives a second handle.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| crate::message::one_line(&error))?;
    // SAFETY: the symbol exists, or this is an error; ONNX Runtime declares it with this signature.
    let get_base =
        unsafe { library.get::<unsafe extern "system" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase") }
            .map_err(|error| crate::message::one_line(&error))?;
    // SAFETY: the function takes nothing and gives a pointer to a static table, or null.
    let base = unsafe { get_base().as_ref() }.ok_or("OrtGetApiBase gave nothing")?;
    // SAFETY: the table's function gives a static text that ends with a zero byte.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) };
    Ok(version.to_string_lossy().into_owned())
}
