//! Files that are no library of TensorRT, and libraries that only say that they are: one error each, no crash.

use crate::support::{Remembered, model, write};
use egom2p_tensorrt_sys::{Abi, Family, Library, SysError, Version, compiled_shims};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Compiles C into a shared library.
fn compile(folder: &Path, name: &str, soname: Option<&str>, source: &str) -> PathBuf {
    let (code, library) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&code, source).unwrap();
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code);
    if let Some(soname) = soname {
        command.arg(format!("-Wl,-soname,{soname}"));
    }
    assert!(command.status().unwrap().success());
    library
}

/// A core library that says a version, and gives no builder.
fn core(folder: &Path, number: i32) -> PathBuf {
    let source = format!(
        "int getInferLibVersion(void) {{ return {number}; }}\n\
         void* createInferBuilder_INTERNAL(void* logger, int version) {{ return 0; }}\n\
         void* createInferRuntime_INTERNAL(void* logger, int version) {{ return 0; }}\n"
    );
    compile(folder, &format!("core-{number}.so"), None, &source)
}

fn parser(folder: &Path, soname: &str) -> PathBuf {
    let source = "void* createNvOnnxParser_INTERNAL(void* network, void* logger, int version) { return 0; }\n";
    compile(folder, "parser.so", Some(soname), source)
}

fn refusal(family: Family, core: &Path, parser: &Path) -> SysError {
    let error = Library::open(family, core, parser).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
    error
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn shims_are_of_different_abis() {
    let abis: Vec<Abi> = compiled_shims().iter().map(|shim| shim.abi).collect();
    assert!(!abis.is_empty());
    assert!(abis.is_sorted_by(|a, b| a < b), "{abis:?}");
}

#[test]
fn a_missing_library_is_named() {
    let folder = folder();
    let parser = parser(folder.path(), Abi::Rtx.parser_name());
    let missing = folder.path().join(Abi::Rtx.core_name());
    let error = refusal(Family::Rtx, &missing, &parser);
    assert!(matches!(&error, SysError::LibraryMissing { path, .. } if *path == missing), "{error}");
    let core = core(folder.path(), 10_999);
    let error = refusal(Family::Rtx, &core, &missing);
    assert!(matches!(&error, SysError::LibraryMissing { path, .. } if *path == missing), "{error}");
}

#[test]
fn a_text_file_cannot_be_loaded() {
    let folder = folder();
    let text = folder.path().join(Abi::Rtx.core_name());
    std::fs::write(&text, "not a library").unwrap();
    let error = refusal(Family::Rtx, &text, &text);
    assert!(matches!(&error, SysError::LibraryBroken { .. }), "{error}");
    let error = refusal(Family::Rtx, &core(folder.path(), 10_999), &text);
    assert!(matches!(&error, SysError::WrongParser { .. }), "{error}");
}

#[test]
fn a_library_without_the_functions_is_none_of_tensorrt() {
    let folder = folder();
    let other = compile(folder.path(), "other.so", None, "int other(void) { return 1; }\n");
    let error = refusal(Family::TensorRt, &other, &other);
    assert!(matches!(error, SysError::NotTensorRt { symbol: "getInferLibVersion", .. }), "{error}");

    let source = "int getInferLibVersion(void) { return 10999; }\n";
    let core_only = compile(folder.path(), "versioned.so", None, source);
    let parser = parser(folder.path(), Abi::Rtx.parser_name());
    let error = refusal(Family::Rtx, &core_only, &parser);
    assert!(matches!(error, SysError::NotTensorRt { symbol: "createInferBuilder_INTERNAL", .. }), "{error}");

    let core = core(folder.path(), 10_999);
    let empty = compile(folder.path(), "empty.so", Some(Abi::Rtx.parser_name()), "int other(void) { return 1; }\n");
    let error = refusal(Family::Rtx, &core, &empty);
    assert!(matches!(error, SysError::NotTensorRt { symbol: "createNvOnnxParser_INTERNAL", .. }), "{error}");
}

#[test]
fn versions_that_nobody_knows_are_refused() {
    let folder = folder();
    for (number, says) in [(8_600, "8.6.0"), (990_000, "99.0.0"), (0, "0.0.0"), (-5, "0.0.0"), (10_701, "1.7.1")] {
        let core = core(folder.path(), number);
        let error = refusal(Family::TensorRt, &core, &core);
        assert!(matches!(error, SysError::UnsupportedVersion { .. }), "{error}");
        assert!(error.to_string().contains(&format!("is version {says}: expected TensorRT 10 or 11")), "{error}");
    }
    let core = core(folder.path(), 20_000);
    assert!(matches!(refusal(Family::Rtx, &core, &core), SysError::UnsupportedVersion { .. }));
}

#[test]
fn a_library_without_a_shim_names_the_shims_that_there_are() {
    let folder = folder();
    for (abi, number) in [(Abi::TensorRt10, 100_900), (Abi::TensorRt11, 110_900)] {
        if compiled_shims().iter().any(|shim| shim.abi == abi) {
            continue;
        }
        let core = core(folder.path(), number);
        let error = refusal(Family::TensorRt, &core, &core);
        assert!(matches!(error, SysError::ShimMissing { .. }), "{error}");
        assert!(error.to_string().contains(&compiled_shims()[0].to_string()), "{error}");
        assert!(error.to_string().contains("TENSORRT_INCLUDE_DIR"), "{error}");
    }
}

#[test]
fn a_library_older_than_its_headers_is_refused() {
    let folder = folder();
    for shim in compiled_shims() {
        let Version { major, minor, .. } = shim.headers;
        let Some(older) = minor.checked_sub(1) else { continue };
        let core = core(folder.path(), (major * 10_000 + older * 100).cast_signed());
        let error = refusal(shim.abi.family(), &core, &core);
        assert!(matches!(error, SysError::LibraryOlderThanHeaders { .. }), "{error}");
    }
}

#[test]
fn a_parser_of_another_family_is_not_even_loaded() {
    let folder = folder();
    let shim = compiled_shims()[0];
    let core = core(folder.path(), (shim.headers.major * 10_000 + shim.headers.minor * 100).cast_signed());
    let other = if shim.abi == Abi::TensorRt11 { Abi::TensorRt10 } else { Abi::TensorRt11 };
    let loaded = folder.path().join("loaded");
    let source = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void on_load(void) {{ fopen(\"{}\", \"w\"); }}\n",
        loaded.display()
    );
    let parser = compile(folder.path(), "parser.so", Some(other.parser_name()), &source);
    let error = refusal(shim.abi.family(), &core, &parser);
    assert!(matches!(&error, SysError::WrongParser { got, .. } if got == other.parser_name()), "{error}");
    assert!(!loaded.exists());
}

#[test]
fn a_library_that_gives_nothing_is_an_error() {
    let Some(shim) = compiled_shims().iter().find(|shim| shim.abi == Abi::Rtx) else { return };
    let folder = folder();
    let core = core(folder.path(), (shim.headers.major * 10_000 + shim.headers.minor * 100).cast_signed());
    let library = Library::open(Family::Rtx, &core, &parser(folder.path(), Abi::Rtx.parser_name())).unwrap();
    let error = library.parse(&write(folder.path(), &model()), None, Remembered::new()).unwrap_err();
    assert!(matches!(&error, SysError::Refused { call, .. } if call == "createInferBuilder"), "{error}");

    std::fs::create_dir(folder.path().join("second")).unwrap();
    let second = folder.path().join("second/core.so");
    std::fs::copy(&core, &second).unwrap();
    let error = refusal(Family::Rtx, &second, library.parser_path());
    assert!(matches!(error, SysError::AnotherLibraryOpen { .. }), "{error}");
}
