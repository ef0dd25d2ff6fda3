//! Compiles the C++ shim against the libtorch that `torch-sys` links, and lets programs find that libtorch.
#![allow(clippy::print_stdout, reason = "a build script speaks to cargo on its standard output")]

use std::{env, path::PathBuf, process::ExitCode};

const SOURCES: [&str; 6] = ["adamw", "checkpoint", "generator", "group", "reducer", "store"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=shim");
    for name in ["DEP_TCH_LIBTORCH_LIB", "LIBTORCH_INCLUDE", "LIBTORCH_CXX11_ABI"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let Err(message) = compile() else { return ExitCode::SUCCESS };
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    ExitCode::FAILURE
}

fn compile() -> Result<(), String> {
    let library = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from);
    let library = library.ok_or("torch-sys does not say where libtorch is\nset LIBTORCH to a folder with libtorch")?;
    let root = env::var_os("LIBTORCH_INCLUDE").map(PathBuf::from);
    let include = root.as_deref().or(library.parent()).unwrap_or(&library).join("include");
    if !include.join("torch/csrc/distributed/c10d/reducer.hpp").is_file() {
        return Err(format!(
            "{} has no headers of c10d\nset LIBTORCH to the folder that \"cargo xtask setup\" fills",
            include.display()
        ));
    }
    println!("cargo::rustc-link-search=native={}", library.display());
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", library.display());
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(true).extra_warnings(true).cargo_warnings(true).debug(false);
    // libtorch's headers are system headers: their warnings are not ours.
    for folder in [include.clone(), include.join("torch/csrc/api/include")] {
        build.flag("-isystem").flag(folder);
    }
    // The wheel is compiled with these; classes must look the same here.
    build.define("_GLIBCXX_USE_CXX11_ABI", abi.as_str()).define("USE_C10D_GLOO", None).define("NDEBUG", None);
    build.flag("-fvisibility=hidden").include("shim");
    build.files(SOURCES.map(|name| format!("shim/{name}.cpp")));
    // What the compiler says comes as warnings before this.
    build.try_compile("egom2p_torch_native").map_err(|_| {
        format!(
            "the shim does not compile against {}\ninstall a C++17 compiler, and use the libtorch that \
             \"cargo xtask setup\" fetches",
            include.display()
        )
    })?;
    println!("cargo::rustc-link-lib=torch_cpu");
    println!("cargo::rustc-link-lib=c10");
    Ok(())
}
