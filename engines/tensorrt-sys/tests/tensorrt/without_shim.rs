//! A program that was built without TensorRT says so.

use egom2p_tensorrt_sys::{Family, Library, compiled_shims};
use std::path::Path;

#[test]
fn opening_a_library_says_that_the_program_has_no_tensorrt() {
    assert!(compiled_shims().is_empty());
    let path = Path::new("libnvinfer.so.11");
    let error = Library::open(Family::TensorRt, path, path).unwrap_err();
    let expected = "this program was built without TensorRT\nbuild it with \"--features tensorrt\"";
    assert_eq!(error.to_string(), expected);
}
