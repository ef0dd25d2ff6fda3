//! Compiles the algorithms of the kernels for the host, if the feature `host` asks for it.
#![allow(clippy::print_stdout, reason = "a build script speaks to cargo on its standard output")]

fn main() {
    println!("cargo::rerun-if-changed=cuda");
    println!("cargo::rerun-if-changed=host");
    #[cfg(feature = "host")]
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        // The order of roundings is part of the result.
        .flag("-ffp-contract=off")
        .opt_level(2)
        .file("host/host.cpp")
        .compile("egom2p_kernels_host");
}
