//! libtorch's part for GPUs: the training's shim over NCCL as a shared object, compiled against a torch that the user has
//! installed with its 3 GB of CUDA libraries, which stay where they are.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    folder, libtorch,
    wheel::{self, Member, Wheel},
};
use crate::{
    console::{failure, say},
    process,
    workspace::Workspace,
};

/// The shared object.
const LIBRARY: &str = "libegom2p_torch_cuda.so";

/// Headers of CUDA that no dependency of torch installs.
struct Headers {
    wheel: Wheel,
    member: Member<'static>,
}

const HEADERS: [Headers; 2] = [
    Headers {
        wheel: Wheel {
            title: "headers of CUDA's compiler",
            project: "nvidia-cuda-crt",
            version: "13.0.88",
            python: "py3-none",
            platforms: "manylinux2014_x86_64.manylinux_2_17_x86_64",
            sha256: "2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4",
        },
        member: Member {
            path: "nvidia/cu13/include/crt",
            sha256: "e3769e13e3cddca177da43ab6074fb623230b7411764a8fca7c8b669fc47aa2e",
        },
    },
    Headers {
        wheel: Wheel {
            title: "headers of CUDA's C++ libraries",
            project: "nvidia-cuda-cccl",
            version: "13.0.85",
            python: "py3-none",
            platforms: "manylinux2014_x86_64.manylinux_2_17_x86_64",
            sha256: "e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649",
        },
        member: Member {
            path: "nvidia/cu13/include/nv",
            sha256: "b73ab6671cb8c0f49c5f4356baad3070f37f384e6edc444293fbc1616839c122",
        },
    },
];

/// What the shim is compiled from and against.
struct Sources {
    /// The folder of the shim.
    shim: PathBuf,
    /// libtorch's headers, those that programs are compiled against.
    libtorch: PathBuf,
    /// CUDA's headers that torch does not bring.
    headers: PathBuf,
    /// The `site-packages` that torch is installed in.
    site: PathBuf,
}

/// Compiles the shared object against the torch in a `site-packages`, and gives the variables by which programs find both.
pub(super) fn build(workspace: &Workspace, site: &Path) -> Result<[(&'static str, PathBuf); 2]> {
    check(site)?;
    let site =
        fs::canonicalize(site).with_context(|| format!("{} cannot be read\ncheck its permissions", site.display()))?;
    let target = target(workspace);
    let headers = target.join("include");
    if !headers.is_dir() {
        say("fetching headers of CUDA: 4 MB to download, 1 MB when unpacked");
        say("  licence: End User License Agreement of the NVIDIA CUDA Toolkit, in each wheel");
        folder::replace(&headers, |partial| fetch(&workspace.downloads(), partial))?;
    }
    let sources = Sources::new(workspace, &site);
    let [partial, library] = [".partial", ""].map(|end| target.join(format!("{LIBRARY}{end}")));
    process::run(sources.compile().arg("-shared").arg("-o").arg(&partial).args(sources.links())).context(
        "libtorch's part for GPUs does not compile\nuse g++ 11 or newer, and the torch that its version says",
    )?;
    let made = || format!("{} cannot be made\ncheck the permissions of cache/", library.display());
    let link = target.join("site");
    folder::remove(&link)?;
    symlink(&site, &link).with_context(made)?;
    fs::rename(&partial, &library).with_context(made)?;
    Ok([("EGOM2P_TORCH_CUDA", library), ("LD_LIBRARY_PATH", site.join("torch/lib"))])
}

fn target(workspace: &Workspace) -> PathBuf {
    workspace.cache().join("libtorch").join(format!("{}-cuda", libtorch::VERSION))
}

/// Fails unless a folder has the torch that the programs are compiled against, for CUDA.
fn check(site: &Path) -> Result<()> {
    let version = libtorch::VERSION;
    let mend = format!("run \"pip install torch=={version}\", and name the site-packages that it is in");
    let text = fs::read_to_string(site.join("torch/version.py"));
    let text = text.map_err(|_| failure(format_args!("{} has no torch", site.display()), &mend))?;
    let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "));
    let found = line.unwrap_or_default().trim_matches(['\'', '"']);
    if found.split('+').next() != Some(version) {
        let what = format!("{} has torch {found}, expected {version}", site.display());
        return Err(failure(what, mend));
    }
    for needed in ["torch/lib/libtorch_cuda.so", "nvidia/nccl/include/nccl.h", "nvidia/cu13/include/cuda_runtime.h"] {
        if !site.join(needed).is_file() {
            let what = format!("{} has a torch without CUDA 13: there is no {needed}", site.display());
            return Err(failure(what, mend));
        }
    }
    Ok(())
}

fn fetch(downloads: &Path, target: &Path) -> Result<()> {
    HEADERS.iter().try_for_each(|Headers { wheel, member }| {
        let file = wheel.download(downloads)?;
        let name = member.path.rsplit('/').next().unwrap_or(member.path);
        wheel::extract_folder(&file, member, &target.join(name))?;
        wheel::remove(&file)
    })
}

impl Sources {
    fn new(workspace: &Workspace, site: &Path) -> Self {
        Self {
            shim: workspace.root().join("train/native/shim"),
            libtorch: libtorch::folder(workspace).join("include"),
            headers: target(workspace).join("include"),
            site: site.to_owned(),
        }
    }

    /// The compiler with everything but what it is to make.
    fn compile(&self) -> Command {
        let Self { shim, libtorch, headers, site } = self;
        let mut compiler = Command::new(env::var_os("CXX").unwrap_or_else(|| "c++".into()));
        compiler.args(["-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"]);
        // As the wheel of torch and as train/native/build.rs compile: classes must look the same.
        compiler.args(["-DNDEBUG", "-DUSE_C10D_GLOO", "-DUSE_C10D_NCCL", "-D_GLIBCXX_USE_CXX11_ABI=1"]);
        let cuda = [site.join("nvidia/cu13/include"), site.join("nvidia/nccl/include")];
        for include in [libtorch.clone(), libtorch.join("torch/csrc/api/include"), headers.clone()].iter().chain(&cuda)
        {
            compiler.arg("-isystem").arg(include);
        }
        compiler.arg("-I").arg(shim).arg(shim.join("cuda.cpp"));
        compiler
    }

    /// What the linker finds, and what the loader finds where the program has not loaded it yet.
    fn links(&self) -> Vec<String> {
        let libraries = self.site.join("torch/lib");
        let libraries = libraries.display();
        let links = ["-ltorch_cuda", "-lc10_cuda", "-ltorch_cpu", "-lc10", "-Wl,--no-undefined"].map(str::to_owned);
        [format!("-L{libraries}"), format!("-Wl,-rpath,{libraries}")].into_iter().chain(links).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Sources, check, target};
    use crate::{process, workspace::Workspace};

    fn message(site: &Path) -> String {
        check(site).expect_err("no such torch").to_string().replace(&site.display().to_string(), "SITE")
    }

    #[test]
    fn another_torch_is_refused() {
        const MEND: &str = "run \"pip install torch==2.11.0\", and name the site-packages that it is in";
        let site = tempfile::tempdir().expect("a temporary folder");
        let write = |path: &str, text: &str| {
            let path = site.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
            fs::write(path, text).expect("the folder is writable");
        };
        assert_eq!(message(site.path()), format!("SITE has no torch\n{MEND}"));
        for version in ["2.12.0+cu130", "2.11.00", "", "2.1"] {
            write("torch/version.py", &format!("debug = False\n__version__ = '{version}'\n"));
            assert_eq!(message(site.path()), format!("SITE has torch {version}, expected 2.11.0\n{MEND}"));
        }
        write("torch/version.py", "__version__ = '2.11.0+cu130'\n");
        for needed in ["torch/lib/libtorch_cuda.so", "nvidia/nccl/include/nccl.h", "nvidia/cu13/include/cuda_runtime.h"]
        {
            let expected = format!("SITE has a torch without CUDA 13: there is no {needed}\n{MEND}");
            assert_eq!(message(site.path()), expected);
            write(needed, "");
        }
        check(site.path()).expect("all is there");
    }

    #[test]
    fn slow_the_shim_compiles_against_the_headers_in_the_cache() {
        let workspace = Workspace::find().expect("tests run in the workspace");
        let site = target(&workspace).join("site");
        if check(&site).is_err() {
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: \"cargo xtask setup --torch-cuda SITE-PACKAGES\" was not run");
            }
            return;
        }
        let mut compiler = Sources::new(&workspace, &site).compile();
        let output = process::output(compiler.args(["-fsyntax-only", "-Werror"])).expect("a compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
