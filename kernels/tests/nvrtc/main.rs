//! The kernels compile with NVRTC 13.0, whose library is in `cache/nvrtc/13.0.88` of the workspace. Needs no GPU.

mod compiler;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use compiler::Compiler;
use egom2p_kernels::Kernels;

/// The folder of the library, or `None` with a line that says so.
fn folder() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is inside the workspace");
    let folder = workspace.join("cache/nvrtc/13.0.88");
    if folder.join("libnvrtc.so.13").is_file() {
        return Some(folder);
    }
    #[allow(clippy::print_stderr, reason = "says why nothing is tested")]
    {
        eprintln!("skipped: no NVRTC in {}", folder.display());
    }
    None
}

#[test]
fn every_entry_is_in_the_ptx() {
    let Some(folder) = folder() else { return };
    let compiler = Compiler::open(&folder);
    for architecture in ["compute_80", "compute_90"] {
        let ptx = String::from_utf8(compiler.ptx(Kernels::source(), architecture, Kernels::OPTIONS)).expect("text");
        for entry in Kernels::ENTRIES {
            assert!(ptx.contains(&format!(".visible .entry {entry}(")), "no {entry} for {architecture}");
        }
        assert_eq!(ptx.matches(".visible .entry").count(), Kernels::ENTRIES.len());
    }
}

/// What the crate carries is what its sources compile to; `INSTA_UPDATE=always`, which `cargo xtask bless` sets,
/// writes it.
#[test]
fn stored_ptx_is_that_of_the_sources() {
    let Some(folder) = folder() else { return };
    let (major, minor) = Kernels::NEEDED_COMPUTE_CAPABILITY;
    let ptx = Compiler::open(&folder).ptx(Kernels::source(), &format!("compute_{major}{minor}"), Kernels::OPTIONS);
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("ptx/egom2p.ptx");
        let beside = stored.with_extension("ptx.new");
        fs::write(&beside, &ptx).expect("the file is written");
        fs::rename(&beside, &stored).expect("the file gets its name");
    } else {
        let is_same = ptx == Kernels::ptx().as_bytes();
        assert!(is_same, "kernels/ptx/egom2p.ptx is of other sources: run `cargo xtask bless`");
    }
}

/// What is fused or approximated rounds otherwise than on the CPU.
#[test]
fn arithmetic_is_neither_fused_nor_approximated() {
    let Some(folder) = folder() else { return };
    let compiler = Compiler::open(&folder);
    let ptx = String::from_utf8(compiler.ptx(Kernels::source(), "compute_90", Kernels::OPTIONS)).expect("text");
    for rounded in ["div.rn.f32", "div.rn.f64", "mul.rn.f32", "add.rn.f32", "mul.rn.f64", "add.rn.f64"] {
        assert!(ptx.contains(rounded), "no {rounded}");
    }
    // Without a rounding the assembler may fuse what the compiler has not.
    for loose in ["mul.f32", "add.f32", "sub.f32", "mul.f64", "add.f64", "sub.f64"] {
        assert!(ptx.split_whitespace().all(|word| word != loose), "{loose}");
    }
    assert!(!ptx.contains("fma.") && !ptx.contains(".approx") && !ptx.contains(".ftz"));
    let fused = String::from_utf8(compiler.ptx(Kernels::source(), "compute_90", &["--std=c++17"])).expect("text");
    assert!(fused.contains("fma."), "without the options NVRTC fuses, so the check above can fail");
}

/// The PTX assembles to machine code.
#[test]
fn machine_code_for_both_architectures() {
    let Some(folder) = folder() else { return };
    let compiler = Compiler::open(&folder);
    for architecture in ["sm_80", "sm_90"] {
        let code = compiler.machine_code(Kernels::source(), architecture, Kernels::OPTIONS);
        assert!(code.starts_with(b"\x7fELF"), "{architecture}");
    }
}
