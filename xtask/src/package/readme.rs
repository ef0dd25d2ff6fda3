//! `README.txt` of a package.

use std::env;

use super::{contents, glibc, glibc::Needs, nvidia, nvidia::Gpu};
use crate::setup::onnxruntime;

/// What the text depends on.
pub(super) struct Facts<'a> {
    /// What `egom2p --version` prints.
    pub(super) program: &'a str,
    /// What the files in `bin/` need.
    pub(super) needs: &'a Needs,
    /// What `bin/egom2p-video` needs, where it is inside.
    pub(super) video: Option<&'a Needs>,
    /// Whether there is a bundle.
    pub(super) bundle: bool,
    /// What the program has for GPUs.
    pub(super) gpu: Gpu,
    /// Whether there is a reference for `egom2p gpu-check`.
    pub(super) reference: bool,
}

impl Facts<'_> {
    /// The text.
    pub(super) fn text(&self) -> String {
        [self.title(), self.run(), self.video(), self.nvidia(), self.files()].join("\n")
    }

    fn title(&self) -> String {
        let Needs { glibc, libraries } = self.needs;
        let libraries = libraries.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        format!(
            "{program}, ONNX Runtime {}, for Linux on {}\n\n\
             EgoM2P predicts camera motion, depth, gaze and RGB of egocentric videos. This folder can lie anywhere and\n\
             needs no Rust, Python or network.\n\n\
             Needed: glibc {} or newer (the files ask for {glibc}), /proc, and these libraries of the system:\n  \
             {libraries}\n\
             All but libstdc++.so.6 and libgcc_s.so.1 belong to glibc; the packages of these two are named libstdc++6\n\
             and libgcc-s1 on Debian and Ubuntu, libstdc++ and libgcc on Fedora.\n",
            onnxruntime::VERSION,
            env::consts::ARCH,
            glibc::LIMIT,
            program = self.program,
        )
    }

    fn run(&self) -> String {
        let bundle = if self.bundle { "bundle" } else { "BUNDLE" };
        format!(
            "Verify:  sha256sum -c --quiet MANIFEST.sha256\n\
             Look:    bin/egom2p doctor\n         \
             bin/egom2p inspect {bundle}\n\
             Run:     bin/egom2p run {bundle} --tokens rgb=TOKENS.safetensors --to camera,gaze --out OUT\n         \
             bin/egom2p stage {bundle} STAGE --inputs IN.safetensors --outputs OUT.safetensors\n{}",
            if self.bundle {
                ""
            } else {
                "There is no bundle inside: BUNDLE is a folder that \"egom2p build\" made.\n"
            }
        )
    }

    fn video(&self) -> String {
        let Some(needs) = self.video else {
            return "Videos:  this package has no egom2p-video, because that links about 240 libraries of OpenCV and FFmpeg.\n         \
                    Tokens go in, and camera and gaze (.npy, .tum, .csv) and tokens come out. \"run --input\" and the\n         \
                    targets depth and rgb need egom2p-video, whose path goes into EGOM2P_VIDEO.\n"
                .to_owned();
        };
        let libraries = needs.libraries.iter().filter(|library| library.contains("opencv"));
        format!(
            "Videos:  bin/egom2p-video reads and writes them, with libraries that are not inside:\n         {}\n         \
             Debian 12 has them in the package libopencv-videoio406. \"egom2p doctor\" says only that the program is\n         \
             there; without these libraries, tokens go in, and camera, gaze and tokens come out.\n",
            libraries.map(String::as_str).collect::<Vec<_>>().join(", ")
        )
    }

    fn nvidia(&self) -> String {
        if !self.gpu.any() {
            return "NVIDIA:  the program in this package was built for the processor only.\n".to_owned();
        }
        let [download, unpacked] = self.gpu.megabytes();
        let what = match self.gpu {
            Gpu { tensorrt: true, cuda: false } => "TensorRT for RTX",
            Gpu { tensorrt: false, .. } => "what ONNX Runtime asks for on GPUs",
            Gpu { .. } => "TensorRT for RTX and what ONNX Runtime asks for on GPUs",
        };
        let check = if self.reference {
            format!(
                "\n         \"sh {}\" holds the GPU against what the processor computed, then measures it.",
                contents::GPU_CHECK_NAME
            )
        } else {
            String::new()
        };
        format!(
            "NVIDIA:  needed are a GPU of the Ampere generation or newer and a driver for CUDA 13.0 (580 or newer).\n         \
             NVIDIA's libraries may not be passed on and are not inside. \"sh {}\" says\n         \
             where they come from and, once their licences are accepted, gets {what}:\n         \
             {download} MB to download, {unpacked} MB when unpacked. Without a network here, run it elsewhere and\n         \
             carry the package, or the files that it downloads.{check}\n",
            nvidia::SCRIPT_NAME
        )
    }

    fn files(&self) -> String {
        format!(
            "Files:   bin/             the program{} and ONNX Runtime, which it finds beside itself\n{}{}         \
             LICENSES/        ours, ONNX Runtime's, and those of all Rust crates inside\n         \
             MANIFEST.sha256  SHA-256 of every file\n",
            if self.video.is_some() { "s" } else { "" },
            if self.bundle { "         bundle/          the engines\n" } else { "" },
            if self.reference { "         reference/       what the processor computed\n" } else { "" },
        )
    }
}
