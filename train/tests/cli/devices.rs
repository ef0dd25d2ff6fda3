//! `--device`, on machines without a GPU: libraries that are not libtorch's part for GPUs, and ones that play it.

use crate::bench::{Bench, failure};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const VARIABLE: &str = "EGOM2P_TORCH_CUDA";
const MEND: &str = "  help: make the file by \"cargo xtask setup --torch-cuda SITE-PACKAGES\", and keep the torch that it was made with";
const LINES: [&str; 5] = [
    "pretrain --data tokens/[rgb]/rooms/*.npz --out out --config config.json --device cuda",
    "posttrain --weights weights --data tokens/[rgb]/rooms/*.npz --out out --device cuda",
    "tokenizer gaze --data clips --out out --config config.json --device cuda",
    "tokenizer video --data clips --out out --config config.json --device cuda:0",
    "bench --config config.json --device cuda",
];

/// What a command says that fails with this library, before it made anything.
fn refusal(bench: &Bench, line: &str, library: Option<&Path>, variables: &[(&str, &str)]) -> String {
    let before = bench.files();
    let mut command = bench.command(line);
    command.env_remove(VARIABLE).envs(variables.iter().copied());
    let output = command.envs(library.map(|path| (VARIABLE, path))).output().unwrap();
    assert_eq!(bench.files(), before, "{line} left something behind");
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 2, "{line}");
    failure(line, &output)
}

/// A library of C.
fn library(bench: &Bench, name: &str, source: &str) -> PathBuf {
    let (path, text) = (bench.path(name), bench.path(&format!("{name}.c")));
    fs::write(&text, source).unwrap();
    let compiler = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&path, &text]).status().unwrap();
    assert!(compiler.success());
    path
}

/// A library that plays libtorch's part for GPUs on a machine that has so many.
fn player(bench: &Bench, interface: &str, n_devices: i32) -> PathBuf {
    let source = format!(
        r#"
        #include <stdint.h>
        #include <string.h>
        struct Failure {{ int32_t kind; char what[1024]; }};
        char const* egom2p_torch_cuda_interface(void) {{ return "{interface}"; }}
        int32_t egom2p_torch_cuda_devices(struct Failure* failure)
        {{
            if ({n_devices} == 0) {{
                failure->kind = 1;
                strcpy(failure->what, "Found no driver.\nmore");
            }}
            return {n_devices};
        }}
        void egom2p_torch_cuda_use(int32_t device, struct Failure* failure)
        {{
            failure->kind = 1;
            strcpy(failure->what, device == 1 ? "GPU 1 is taken" : "another GPU");
        }}
        void egom2p_torch_cuda_join(void) {{}}
        "#
    );
    library(bench, &format!("player-{n_devices}-{}.so", interface.len()), &source)
}

/// The interface that the program asks for.
fn interface(bench: &Bench) -> String {
    let refused = refusal(bench, LINES[4], Some(&player(bench, "1.0", 1)), &[]);
    let expected = refused.lines().next().unwrap().split_once(" is for libtorch 1.0, expected ").unwrap().1.to_owned();
    assert!(expected.starts_with("2.11.0, interface "), "{expected}");
    expected
}

#[test]
fn a_gpu_is_never_replaced_by_the_processor() {
    let bench = Bench::new();
    for line in LINES {
        assert_eq!(
            refusal(&bench, line, None, &[]),
            format!(
                "error: --device cuda: {VARIABLE} does not say where libtorch's part for GPUs is\n  help: run \"cargo xtask setup --torch-cuda SITE-PACKAGES\", which prints what to set, or use --device cpu\n"
            )
        );
        let nothing = bench.path("nothing.so");
        assert_eq!(
            refusal(&bench, line, Some(&nothing), &[]),
            format!("error: libtorch's part for GPUs is not there: {} is no file\n{MEND}\n", nothing.display())
        );
    }
}

#[test]
fn other_files_are_refused() {
    let bench = Bench::new();
    let text = bench.path("notes.so");
    fs::write(&text, "mine").unwrap();
    let empty = library(&bench, "empty.so", "");
    let half = library(&bench, "half.so", "char const* egom2p_torch_cuda_interface(void) { return \"@\"; }");
    let lonely = library(&bench, "lonely.so", "void absent(void); void (*call)(void) = absent;");
    for (path, what) in [
        (&text, format!("libtorch's part for GPUs cannot be opened: {}: file too short", text.display())),
        (&empty, format!("{} is not libtorch's part for GPUs: it has no egom2p_torch_cuda_interface", empty.display())),
        (&lonely, format!("libtorch's part for GPUs cannot be opened: {}: undefined symbol: absent", lonely.display())),
        (&half, format!("{} is for libtorch @, expected {}", half.display(), interface(&bench))),
    ] {
        assert_eq!(refusal(&bench, LINES[0], Some(path), &[]), format!("error: {what}\n{MEND}\n"));
    }
    let source = format!("char const* egom2p_torch_cuda_interface(void) {{ return \"{}\"; }}", interface(&bench));
    let part = library(&bench, "part.so", &source);
    let what = format!("{} is not libtorch's part for GPUs: it has no egom2p_torch_cuda_devices", part.display());
    assert_eq!(refusal(&bench, LINES[0], Some(&part), &[]), format!("error: {what}\n{MEND}\n"));
}

#[test]
fn the_gpu_must_be_there() {
    let bench = Bench::new();
    let interface = interface(&bench);
    let [none, two] = [0, 2].map(|n_devices| player(&bench, &interface, n_devices));
    assert_eq!(
        refusal(&bench, LINES[1], Some(&none), &[]),
        "error: there is no GPU to compute on: Found no driver\n  help: use a machine with NVIDIA's driver and a GPU that CUDA_VISIBLE_DEVICES does not hide, or --device cpu\n"
    );
    assert_eq!(
        refusal(&bench, "bench --config config.json --device cuda:2", Some(&two), &[]),
        "error: there is no GPU 2: this machine has 2\n  help: count GPUs from 0, and start no more processes than there are GPUs\n"
    );
    let taken = refusal(&bench, "bench --config config.json --device cuda:1", Some(&two), &[]);
    assert!(taken.starts_with("error: use a GPU: libtorch gives GPU 1 is taken\n"), "{taken}");
}

#[test]
fn every_process_has_its_own_gpu() {
    let bench = Bench::new();
    let two = player(&bench, &interface(&bench), 2);
    let torchrun = [("RANK", "1"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "1")];
    let refusal = |line: &str, variables: &[(&str, &str)]| {
        refusal(&bench, line, Some(&two), &[&torchrun[..], variables].concat())
    };
    assert!(refusal(LINES[2], &[("LOCAL_RANK", "1")]).starts_with("error: use a GPU: libtorch gives GPU 1 is taken\n"));
    assert!(refusal(LINES[2], &[("LOCAL_RANK", "2")]).starts_with("error: there is no GPU 2: this machine has 2\n"));
    assert_eq!(
        refusal(LINES[2], &[]),
        "error: --device cuda: the launcher does not say which GPU is this process's\n  help: set LOCAL_RANK to its number on its machine\n"
    );
    assert_eq!(
        refusal(LINES[3], &[("LOCAL_RANK", "1")]),
        "error: --device cuda:0 is one GPU for several processes\n  help: use --device cuda, which gives each its own\n"
    );
}

/// With the real part and without a GPU: loading it leaves the processor's training as it is, and asking for a GPU fails.
#[test]
fn the_real_part_says_that_there_is_no_gpu() {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache/libtorch/2.11.0-cuda/libegom2p_torch_cuda.so");
    let library = env::var_os(VARIABLE).map_or(made, PathBuf::from);
    if !library.is_file() || Path::new("/dev/nvidiactl").exists() {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {} is not there, or there is a GPU", library.display());
        }
        return;
    }
    let bench = Bench::new();
    let refused = refusal(&bench, LINES[4], Some(&library), &[]);
    assert!(refused.starts_with("error: there is no GPU to compute on: Found no NVIDIA driver"), "{refused}");
}
