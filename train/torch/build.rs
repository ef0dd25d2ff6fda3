//! Lets programs find the libtorch that they were linked against.
#![allow(clippy::print_stdout, reason = "a build script speaks to cargo on its standard output")]

fn main() {
    println!("cargo::rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
