use crate::headers::{self, Headers};
use std::path::{Path, PathBuf};

/// What the headers need of CUDA's, where there is no CUDA toolkit.
const CUDA_STAND_IN: &str = "typedef struct CUevent_st* cudaEvent_t;\ntypedef struct CUstream_st* cudaStream_t;\n";

/// Compiles one shim for every ABI whose headers are found.
pub(crate) fn compile_all() -> Result<(), String> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    for headers in headers::find()? {
        compile(&headers, &out.join(headers.abi))?;
        println!("cargo::rustc-cfg={}", headers.abi);
    }
    Ok(())
}

fn compile(headers: &Headers, out: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}\ncheck the target folder", out.display());
    std::fs::create_dir_all(out).map_err(failed)?;
    crate::enums::write(&headers.folder, &out.join("enumerators.h"))?;
    let cuda = if let Some(folder) = &headers.cuda {
        folder.clone()
    } else {
        let folder = out.join("cuda");
        std::fs::create_dir_all(&folder).map_err(failed)?;
        std::fs::write(folder.join("cuda_runtime_api.h"), CUDA_STAND_IN).map_err(failed)?;
        folder
    };
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(true).extra_warnings(true).cargo_warnings(true);
    // NVIDIA's headers are system headers: their warnings are not ours.
    for folder in [&headers.folder, &cuda] {
        build.flag("-isystem").flag(folder);
    }
    // Two ABIs in one program share no class and no inline function.
    for namespace in ["nvinfer1", "nvonnxparser"] {
        build.define(namespace, format!("{}_{namespace}", headers.abi).as_str());
    }
    build.define("EGOM2P_TABLE", format!("{}_table", headers.abi).as_str());
    build.flag("-Wno-deprecated-declarations").flag("-fvisibility=hidden").include(out).include("shim");
    build.out_dir(out).file("shim/shim.cpp");
    // What the compiler says comes as warnings before this.
    build.try_compile(headers.abi).map_err(|_| {
        format!(
            "the shim does not compile against {}\ninstall a C++17 compiler, or name other headers with \
             TENSORRT_INCLUDE_DIR",
            headers.folder.display()
        )
    })
}
