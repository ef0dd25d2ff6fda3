//! `README.txt` of a package.

use std::env;

use super::{glibc, glibc::Needs};
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
    /// Whether the program has the `TensorRT` backend.
    pub(super) tensorrt: bool,
}

impl Facts<'_> {
    /// The text.
    pub(super) fn text(&self) -> String {
        [self.title(), self.run(), self.video(), self.tensorrt(), self.files()].join("\n")
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

    fn tensorrt(&self) -> String {
        if self.tensorrt {
            "NVIDIA:  the libraries of TensorRT may not be passed on and are not inside. \"sh get-nvidia-libraries.sh\" says\n         \
             where TensorRT for RTX comes from and, once its licence is accepted, puts it into bin/.\n"
                .to_owned()
        } else {
            "NVIDIA:  the program in this package was built without TensorRT and runs the engines of ONNX Runtime only.\n"
                .to_owned()
        }
    }

    fn files(&self) -> String {
        format!(
            "Files:   bin/             the program{} and ONNX Runtime's library, which it finds beside itself\n{}         \
             LICENSES/        ours, ONNX Runtime's, and those of all Rust crates inside\n         \
             MANIFEST.sha256  SHA-256 of every file\n",
            if self.video.is_some() { "s" } else { "" },
            if self.bundle { "         bundle/          the engines\n" } else { "" },
        )
    }
}
