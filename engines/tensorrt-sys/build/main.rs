//! Compiles the C++ shim once for every ABI whose headers are found, if the feature `shim` asks for it.
#![allow(clippy::print_stdout, reason = "a build script speaks to cargo on its standard output")]

#[cfg(feature = "shim")]
mod enums;
#[cfg(feature = "shim")]
mod headers;
#[cfg(feature = "shim")]
mod shim;

fn main() -> std::process::ExitCode {
    for name in ["egom2p_trt_rtx", "egom2p_trt10", "egom2p_trt11"] {
        println!("cargo::rustc-check-cfg=cfg({name})");
    }
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=shim");
    #[cfg(feature = "shim")]
    if let Err(message) = shim::compile_all() {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
        return std::process::ExitCode::FAILURE;
    }
    std::process::ExitCode::SUCCESS
}
