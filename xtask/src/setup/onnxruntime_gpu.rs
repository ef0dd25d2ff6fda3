//! ONNX Runtime with its CUDA provider, and the libraries of NVIDIA that this asks for.

use std::path::PathBuf;

use anyhow::Result;

use super::{
    component::{Component, Library, Licence},
    nvrtc, onnxruntime,
    wheel::{Member, Wheel},
};
use crate::{
    console::failure,
    workspace::{HAS_TENSORRT_RTX as HAS_WHEELS, Workspace},
};

/// ONNX Runtime itself, which may be passed on.
pub(crate) const PROVIDER: Component = Component {
    wheel: Wheel {
        title: "ONNX Runtime for CUDA 13",
        project: "onnxruntime-gpu",
        version: onnxruntime::VERSION,
        python: "cp311-cp311",
        platforms: "manylinux_2_28_x86_64",
        sha256: "e26c475fe361b2015f45b4b824bd13f0bb20204e59b62814e6f0acd5f3d491a6",
    },
    download_bytes: 255_560_985,
    licence: Licence { title: "MIT", name: onnxruntime::NOTICES[0].name, member: onnxruntime::NOTICES[0].member },
    libraries: &[
        Library {
            n_bytes: 29_421_832,
            member: Member {
                path: "onnxruntime/capi/libonnxruntime.so.1.31.1",
                sha256: "5104254339ecadae808da771bd0b63b240f0dbd466514234905e54372435c303",
            },
        },
        Library {
            n_bytes: 14_632,
            member: Member {
                path: "onnxruntime/capi/libonnxruntime_providers_shared.so",
                sha256: "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d",
            },
        },
        Library {
            n_bytes: 284_014_752,
            member: Member {
                path: "onnxruntime/capi/libonnxruntime_providers_cuda.so",
                sha256: "d5290158115fa5569a3fe8f1f4037ee9b0e86658a96e52f852bbb7039aa88137",
            },
        },
    ],
};

/// What the provider asks for, of CUDA 13.0, for which it was compiled. cuBLAS, cuRAND and the CUDA runtime are needed
/// to load it, cuDNN and with it NVRTC for convolutions. cuFFT is not here: no stage has a Fourier transformation.
pub(crate) const NVIDIA: [&Component; 5] = [&CUDA_RUNTIME, &CUBLAS, &CURAND, &nvrtc::COMPONENT, &CUDNN];

const CUDA_RUNTIME: Component = Component {
    wheel: Wheel {
        title: "CUDA runtime",
        project: "nvidia-cuda-runtime",
        version: "13.0.96",
        python: "py3-none",
        platforms: "manylinux2014_x86_64.manylinux_2_17_x86_64",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    },
    download_bytes: 2_243_632,
    licence: nvrtc::cuda_licence("nvidia_cuda_runtime-13.0.96.dist-info/licenses/License.txt"),
    libraries: &[Library {
        n_bytes: 704_288,
        member: Member {
            path: "nvidia/cu13/lib/libcudart.so.13",
            sha256: "96c42e418cec19054186b9429c321603cc190bf26a18104e19408117a2a817b0",
        },
    }],
};

const CUBLAS: Component = Component {
    wheel: Wheel {
        title: "cuBLAS",
        project: "nvidia-cublas",
        version: "13.1.0.3",
        python: "py3-none",
        platforms: "manylinux_2_27_x86_64",
        sha256: "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171",
    },
    download_bytes: 423_133_236,
    licence: nvrtc::cuda_licence("nvidia_cublas-13.1.0.3.dist-info/licenses/License.txt"),
    libraries: &[
        Library {
            n_bytes: 541_595_600,
            member: Member {
                path: "nvidia/cu13/lib/libcublasLt.so.13",
                sha256: "656298c804f5adbb0df930545c17911b9584ab4e5101c0eeb65d1fe881d880f8",
            },
        },
        Library {
            n_bytes: 54_177_976,
            member: Member {
                path: "nvidia/cu13/lib/libcublas.so.13",
                sha256: "e70f38efabe986acd5eb683497c62f0f1730a6176ee291d9d24c6e339d1fbf86",
            },
        },
    ],
};

const CURAND: Component = Component {
    wheel: Wheel {
        title: "cuRAND",
        project: "nvidia-curand",
        version: "10.4.0.35",
        python: "py3-none",
        platforms: "manylinux_2_27_x86_64",
        sha256: "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
    },
    download_bytes: 59_544_258,
    licence: nvrtc::cuda_licence("nvidia_curand-10.4.0.35.dist-info/licenses/License.txt"),
    libraries: &[Library {
        n_bytes: 132_698_328,
        member: Member {
            path: "nvidia/cu13/lib/libcurand.so.10",
            sha256: "b53732a66b302b11926e00f762e2c2ba67058347ff93cf4ae709de45e93e06da",
        },
    }],
};

const CUDNN: Component = Component {
    wheel: Wheel {
        title: "cuDNN",
        project: "nvidia-cudnn-cu13",
        version: "9.19.0.56",
        python: "py3-none",
        platforms: "manylinux_2_27_x86_64",
        sha256: "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf",
    },
    download_bytes: 366_066_321,
    licence: Licence {
        title: "License Agreement for NVIDIA Software Development Kits, with its supplement for cuDNN",
        name: "NVIDIA-cuDNN.txt",
        member: Member {
            path: "nvidia_cudnn_cu13-9.19.0.56.dist-info/licenses/License.txt",
            sha256: "49cf79bdb35734b52fe6203013b3bd759f81e998cd32aa2c65c51db9a88c61d2",
        },
    },
    libraries: &[
        Library {
            n_bytes: 129_240,
            member: Member {
                path: "nvidia/cudnn/lib/libcudnn.so.9",
                sha256: "94f44e2e8fb2d4bca8c534b14f03ef84e095376dad72a257fd854377ef0b3427",
            },
        },
        Library {
            n_bytes: 109_169_104,
            member: Member {
                path: "nvidia/cudnn/lib/libcudnn_adv.so.9",
                sha256: "87e2199f5bca489a1ed863afbb0b421c822fe0081a956d8c69216b3ae37c135f",
            },
        },
        Library {
            n_bytes: 4_203_904,
            member: Member {
                path: "nvidia/cudnn/lib/libcudnn_cnn.so.9",
                sha256: "36480b885ab03685d9b07c9fca4bbaeb3e7c3c7c4d81297cf8195b72cd3d8f20",
            },
        },
        Library {
            n_bytes: 245_391_920,
            member: Member {
                path: "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
                sha256: "7f8ce268b43c0fab298cc43854a006195bc16c0ed43bedf63b11f3699e92c6ae",
            },
        },
        Library {
            n_bytes: 29_386_400,
            member: Member {
                path: "nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9",
                sha256: "1b0025cfeab270688d4563e287a5009389464ff140d0ebcf708314223523b99b",
            },
        },
        Library {
            n_bytes: 4_451_728,
            member: Member {
                path: "nvidia/cudnn/lib/libcudnn_graph.so.9",
                sha256: "e292c689093f22325bffb7f84e68c58067c062a5cdd5534914ac1449f0a4e23f",
            },
        },
        Library {
            n_bytes: 60_822_040,
            member: Member {
                path: "nvidia/cudnn/lib/libcudnn_heuristic.so.9",
                sha256: "9e0202a6bcc055fc921972f335be9eeec95e469582e0f603f6548df5209ab7dc",
            },
        },
        Library {
            n_bytes: 39_855_888,
            member: Member {
                path: "nvidia/cudnn/lib/libcudnn_ops.so.9",
                sha256: "3e9182b90e8ba33027c1dcf42741ba2a8799eef3e8047cf341e00a6091ddec97",
            },
        },
    ],
};

/// The folder in `cache/` where ONNX Runtime and, after set-up, the libraries of NVIDIA lie together.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.cache().join("onnxruntime-gpu").join(onnxruntime::VERSION)
}

/// ONNX Runtime's own libraries in `cache/`, fetched where one is missing.
pub(crate) fn libraries(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    if !HAS_WHEELS {
        return Err(failure(
            "ONNX Runtime with CUDA is pinned for Linux on x86-64 only",
            "install onnxruntime-gpu and name its library with ORT_DYLIB_PATH",
        ));
    }
    let folder = folder(workspace);
    PROVIDER.fetch(workspace, &folder)?;
    Ok(PROVIDER.libraries.iter().map(|library| folder.join(library.name())).collect())
}

/// Everything that a machine with a GPU needs besides its driver.
pub(super) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    libraries(workspace)?;
    let folder = folder(workspace);
    NVIDIA.iter().try_for_each(|component| component.fetch(workspace, &folder))?;
    Ok(folder)
}
