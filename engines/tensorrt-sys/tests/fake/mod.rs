//! TensorRT without a GPU: libraries that are compiled against the real headers, and a driver to go with them.
//!
//! A process that uses them is started with the driver in its `LD_LIBRARY_PATH`: [`in_child`].

use crate::{enums, headers};
use egom2p_tensorrt_sys::Abi;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Classes whose functions a fake implements some of. Those that headers do not have are left out.
const CLASSES: [&str; 7] = [
    "VRuntime",
    "VCudaEngine",
    "VExecutionContext",
    "VEngineInspector",
    "VHostMemory",
    "VRuntimeConfig",
    "VRuntimeCache",
];
/// Set in a process that [`in_child`] started.
const CHILD: &str = "EGOM2P_TEST_FAKE_CHILD";

/// The rest of the test of that name, in a process that finds the fake driver. `settings` are environment variables.
pub(crate) fn in_child(test: &str, settings: &[(&str, &str)], rest: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return rest();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .env("LD_LIBRARY_PATH", driver())
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
}

/// The ABIs whose headers are found.
pub(crate) fn abis() -> Vec<Abi> {
    egom2p_tensorrt_sys::compiled_shims().iter().map(|shim| shim.abi).collect()
}

/// A folder with both libraries of an ABI.
pub(crate) fn libraries(abi: Abi) -> PathBuf {
    let found = headers::find().unwrap();
    let name = match abi {
        Abi::Rtx => "egom2p_trt_rtx",
        Abi::TensorRt10 => "egom2p_trt10",
        Abi::TensorRt11 => "egom2p_trt11",
    };
    let headers = found.into_iter().find(|headers| headers.abi == name).unwrap();
    let classes = std::fs::read_to_string(headers.folder.join("NvInferImpl.h")).unwrap();
    let traps = traps(&classes);
    let source = include_str!("tensorrt.cpp");
    let folder = cached(name, &[source, &traps, &headers.folder.display().to_string()]);
    made(&folder, |folder| {
        std::fs::write(folder.join("traps.h"), &traps).unwrap();
        let cuda = headers.cuda.as_ref().unwrap();
        for (name, source) in [(abi.core_name(), "tensorrt.cpp"), (abi.parser_name(), "parser.cpp")] {
            let mut command = Command::new("c++");
            command.args(["-std=c++17", "-O0", "-shared", "-fPIC", "-w", "-isystem"]).arg(&headers.folder);
            command.arg("-isystem").arg(cuda).arg("-I").arg(folder).arg(format!("-Wl,-soname,{name}"));
            command.arg(fake().join(source)).arg("-o").arg(folder.join(name)).arg("-ldl");
            assert!(command.status().unwrap().success());
        }
    });
    folder
}

/// A folder with the driver.
fn driver() -> PathBuf {
    let device = fake().join("../../../device/tests/cuda/fake.cpp");
    let source = std::fs::read_to_string(device).unwrap();
    let folder = cached("driver", &[include_str!("driver.cpp"), &source]);
    made(&folder, |folder| {
        let kernels = fake().join("../../../../kernels");
        let mut command = Command::new("c++");
        command.args(["-std=c++17", "-O0", "-ffp-contract=off", "-shared", "-fPIC", "-w", "-I"]);
        command.arg(kernels.join("cuda")).arg("-Wl,-soname,libcuda.so.1");
        command.arg(fake().join("driver.cpp")).arg("-o").arg(folder.join("libcuda.so.1"));
        assert!(command.status().unwrap().success());
    });
    folder
}

/// Where the sources are.
fn fake() -> PathBuf {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    package.join("../tensorrt-sys/tests/fake").canonicalize().unwrap()
}

/// A folder for what is compiled of these texts.
fn cached(name: &str, texts: &[&str]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-{name}-{:016x}", hasher.finish()))
}

/// Makes a folder unless it is there, beside its place and then renamed: other tests may make the same.
fn made(folder: &Path, make: impl FnOnce(&Path)) {
    if folder.is_dir() {
        return;
    }
    let beside = folder.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&beside).unwrap();
    make(&beside);
    if std::fs::rename(&beside, folder).is_err() {
        assert!(folder.is_dir(), "cannot make {}", folder.display());
        std::fs::remove_dir_all(&beside).unwrap();
    }
}

/// Classes that end the process in every function that a fake does not override.
fn traps(header: &str) -> String {
    let header = enums::without_comments(header);
    let mut text = String::from("namespace nvinfer1 { namespace apiv {\n");
    for class in CLASSES {
        let Some((_, body)) = header.split_once(&format!("class {class} : public VRoot\n{{")) else { continue };
        let body = body.split("\n};").next().unwrap();
        let _ = write!(text, "class Trap{class} : public {class} {{\npublic:\n");
        for declaration in body.split(';').filter(|declaration| declaration.trim_end().ends_with("= 0")) {
            let (_, declaration) = declaration.split_once("virtual ").unwrap();
            let declaration = declaration.trim_end().trim_end_matches("= 0").trim_end();
            let name = declaration.split('(').next().unwrap().rsplit([' ', '*', '&', '\n']).next().unwrap();
            let _ = writeln!(text, "{declaration} override {{ trap(\"{class}::{name}\"); }}");
        }
        text.push_str("};\n");
    }
    text.push_str("} }\n");
    text
}
