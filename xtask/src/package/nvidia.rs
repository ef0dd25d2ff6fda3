//! The script that gets the libraries of NVIDIA, none of which may be passed on.

use std::fmt::Write as _;

use crate::setup::{
    component::{Component, megabytes},
    onnxruntime_gpu,
    tensorrt::rtx,
};

/// The script's name in a package.
pub(super) const SCRIPT_NAME: &str = "get-nvidia-libraries.sh";
const SCRIPT: &str = include_str!("get-nvidia-libraries.sh");
const TENSORRT_NOTE: &str =
    "TensorRT 10 or 11 is installed from NVIDIA's own packages; name its folder with TENSORRT_LIBRARY.\n";
/// What the names of NVIDIA's libraries begin with.
const BEGINNINGS: [&str; 5] = ["libnv", "libtensorrt", "libcu", "libnccl", "libnpp"];

/// What the program of a package has for GPUs.
#[derive(clap::Args, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Gpu {
    /// For machines with NVIDIA GPUs: put ONNX Runtime with CUDA into it (314 MB), and a script that gets the libraries
    /// of NVIDIA, which are not in the package.
    #[arg(long)]
    pub(super) cuda: bool,
    /// For machines with NVIDIA GPUs: build the program with TensorRT, and add the script, which gets TensorRT for RTX.
    #[arg(long)]
    pub(super) tensorrt: bool,
}

impl Gpu {
    /// Whether it has anything.
    pub(super) fn any(self) -> bool {
        self.cuda || self.tensorrt
    }

    /// The features that the program is built with.
    pub(super) fn features(self) -> Vec<&'static str> {
        let features = [self.cuda.then_some("egom2p/cuda"), self.tensorrt.then_some("egom2p/tensorrt")];
        features.into_iter().flatten().collect()
    }

    /// The script, where there is anything to get.
    pub(super) fn script(self) -> Option<String> {
        let notes = if self.tensorrt { TENSORRT_NOTE } else { "" };
        self.any().then(|| script(&self.components(), notes))
    }

    /// What the script gets.
    fn components(self) -> Vec<&'static Component> {
        let provider = onnxruntime_gpu::NVIDIA.into_iter().filter(|_| self.cuda);
        self.tensorrt.then_some(&rtx::COMPONENT).into_iter().chain(provider).collect()
    }

    /// Megabytes to download and when unpacked.
    pub(super) fn megabytes(self) -> [u64; 2] {
        let components = self.components();
        let sum = |of: fn(&Component) -> u64| megabytes(components.iter().map(|component| of(component)).sum());
        [sum(|component| component.download_bytes), sum(Component::unpacked_bytes)]
    }
}

/// Whether a library of this file name is one of NVIDIA's.
pub(super) fn is_of_nvidia(name: &str) -> bool {
    BEGINNINGS.iter().any(|begin| name.starts_with(begin))
}

fn script(components: &[&Component], notes: &str) -> String {
    let calls: Vec<_> = components.iter().map(|component| call(component)).collect();
    SCRIPT.replace("@WHEELS@", &calls.join("\n")).replace("@NOTES@", notes)
}

/// One call of the script's `each`; no value holds an apostrophe.
fn call(component: &Component) -> String {
    let Component { wheel, licence, .. } = component;
    let [download, unpacked] = [component.download_bytes, component.unpacked_bytes()].map(megabytes);
    let mut call = format!(
        "    \"$1\" '{}' '{}' '{}' '{}' '{}' \\\n        '{}' \\\n        '{}' {download} {unpacked}",
        wheel.title,
        licence.title,
        wheel.project,
        wheel.version,
        wheel.platform(),
        wheel.file_name(),
        wheel.sha256,
    );
    let libraries = component.libraries.iter().map(|library| (&library.member, format!("bin/{}", library.name())));
    let text = (&licence.member, format!("LICENSES/{}", licence.name));
    for (member, place) in [text].into_iter().chain(libraries) {
        // Writing to a text cannot fail.
        let _ = write!(call, " \\\n        '{}' '{}' '{place}'", member.sha256, member.path);
    }
    call
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Write as _,
        path::{Path, PathBuf},
        process::Command,
    };

    use sha2::{Digest, Sha256};
    use tempfile::TempDir;
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::{Gpu, SCRIPT_NAME, is_of_nvidia, script};
    use crate::{
        package::{copy, manifest::hexadecimal},
        process,
        setup::{
            component::{Component, Library, Licence},
            onnxruntime_gpu,
            wheel::{Member, Wheel},
        },
    };

    const BOTH: Gpu = Gpu { cuda: true, tensorrt: true };

    /// A package with a script for one small wheel, and the wheel in a folder beside it.
    struct Package {
        root: TempDir,
        wheel: PathBuf,
    }

    impl Package {
        fn make() -> Self {
            let root = tempfile::tempdir().expect("a temporary folder");
            let files = [("lib/liba.so.1", "library"), ("dist-info/LICENSE", "licence")];
            let sha256 = |bytes: &[u8]| -> &'static str { hexadecimal(&Sha256::digest(bytes)).leak() };
            let pins = files.map(|(path, content)| Member { path, sha256: sha256(content.as_bytes()) });
            let mut component = Component {
                wheel: Wheel {
                    title: "a library",
                    project: "a-library",
                    version: "1.2",
                    python: "py3-none",
                    platforms: "manylinux_2_28_x86_64",
                    sha256: "",
                },
                download_bytes: 1,
                licence: Licence { title: "a licence", name: "A.txt", member: pins[1] },
                libraries: vec![Library { n_bytes: 7, member: pins[0] }].leak(),
            };
            let wheels = root.path().join("wheels");
            fs::create_dir(&wheels).expect("the folder is writable");
            let wheel = wheels.join(component.wheel.file_name());
            let mut archive = ZipWriter::new(File::create(&wheel).expect("the folder is writable"));
            for (path, content) in files.into_iter().chain([("lib/header.h", "not kept")]) {
                archive.start_file(path, SimpleFileOptions::default()).expect("the archive is open");
                archive.write_all(content.as_bytes()).expect("the folder is writable");
            }
            archive.finish().expect("the folder is writable");
            component.wheel.sha256 = sha256(&fs::read(&wheel).expect("it was written"));
            let package = root.path().join("two words");
            fs::create_dir(&package).expect("the folder is writable");
            fs::write(package.join(SCRIPT_NAME), script(&[&component], "")).expect("the folder is writable");
            Self { root, wheel }
        }

        fn folder(&self) -> PathBuf {
            self.root.path().join("two words")
        }

        /// Runs the script where pip is a program that takes the wheel from its folder.
        fn script(&self, words: &[&str]) -> (bool, String) {
            let programs = self.root.path().join("programs");
            fs::create_dir_all(&programs).expect("the folder is writable");
            let pip = format!(
                "#!/bin/sh\n[ \"$3\" = --version ] && exit\nwhile [ \"$1\" != --dest ]; do shift; done\n\
                 cp '{}' \"$2\"\n",
                self.wheel.display()
            );
            copy::text(pip.as_bytes(), &programs.join("python3")).expect("the folder is writable");
            let path = std::env::var("PATH").expect("a shell has it");
            let mut command = Command::new("sh");
            command.arg(self.folder().join(SCRIPT_NAME)).args(words).current_dir(self.root.path());
            let output = process::output(command.env("PATH", format!("{}:{path}", programs.display())));
            let output = output.expect("every Linux has a shell");
            (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        }

        fn succeeds(&self, words: &[&str], expected: &str) {
            let (succeeded, said) = self.script(words);
            assert!(succeeded && said.contains(expected) && said.lines().count() == 1, "{words:?}: {said}");
        }

        fn fails(&self, words: &[&str], expected: &str) {
            let (succeeded, said) = self.script(words);
            assert!(!succeeded && said.contains(expected) && said.lines().count() == 1, "{words:?}: {said}");
            assert_eq!(names(&self.folder()), [SCRIPT_NAME], "{words:?} leaves nothing");
        }

        fn is_complete(&self) {
            let folder = self.folder();
            assert_eq!(names(&folder), ["LICENSES", "bin", SCRIPT_NAME]);
            assert_eq!([names(&folder.join("bin")), names(&folder.join("LICENSES"))], [["liba.so.1"], ["A.txt"]]);
            assert_eq!(fs::read_to_string(folder.join("bin/liba.so.1")).expect("it is there"), "library");
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the folder is readable");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_script_names_the_pins_of_set_up_and_is_a_script() {
        let text = BOTH.script().expect("there is something to get");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(SCRIPT_NAME);
        fs::write(&path, &text).expect("the folder is writable");
        assert!(process::succeeds(Command::new("sh").arg("-n").arg(&path)));
        let components = BOTH.components();
        assert_eq!(components.len(), 6);
        for component in components {
            let members = component.libraries.iter().map(|library| library.member).chain([component.licence.member]);
            let pins = members.flat_map(|member| [member.path, member.sha256]);
            for pin in pins.chain([component.wheel.project, component.wheel.version, component.wheel.sha256]) {
                assert!(text.contains(&format!("'{pin}'")), "{pin}");
            }
        }
        assert!(!text.contains("@WHEELS@") && !text.contains("@NOTES@"));
        let explained = process::output(Command::new("sh").arg(&path)).expect("every Linux has a shell");
        let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
        for expected in
            ["/bin/libtensorrt_rtx.so.1", "/bin/libcublasLt.so.13", "/LICENSES/NVIDIA-cuDNN.txt", "--from DIR"]
        {
            assert!(explained.contains(expected), "{expected}: {explained}");
        }
    }

    #[test]
    fn a_package_gets_what_its_program_was_built_for() {
        assert_eq!(Gpu::default().script(), None);
        let cuda = Gpu { cuda: true, tensorrt: false };
        assert!(cuda.script().is_some_and(|text| text.contains("nvidia-cudnn-cu13") && !text.contains("tensorrt-rtx")));
        let tensorrt = Gpu { cuda: false, tensorrt: true };
        assert!(tensorrt.script().is_some_and(|text| text.contains("tensorrt-rtx") && !text.contains("cudnn-cu13")));
        assert_eq!(cuda.features(), ["egom2p/cuda"]);
        assert_eq!(BOTH.features(), ["egom2p/cuda", "egom2p/tensorrt"]);
        assert_eq!(tensorrt.megabytes(), [96, 239]);
        assert_eq!(cuda.megabytes(), [942, 1337]);
    }

    #[test]
    fn what_may_be_passed_on_is_known_by_its_name() {
        for library in onnxruntime_gpu::PROVIDER.libraries {
            assert!(!is_of_nvidia(library.name()), "{}", library.name());
        }
        for library in BOTH.components().iter().flat_map(|component| component.libraries) {
            assert!(is_of_nvidia(library.name()), "{}", library.name());
        }
    }

    #[test]
    fn wheels_are_taken_from_a_folder_without_a_network() {
        let package = Package::make();
        package.succeeds(&["--accept-licence", "--from", "wheels"], "installed: a library 1.2");
        package.is_complete();
        fs::remove_file(&package.wheel).expect("it is there");
        package.succeeds(&["--accept-licence", "--from", "wheels"], "is there:  a library 1.2");
        package.succeeds(&["--accept-licence"], "is there:  a library 1.2");
    }

    #[test]
    fn wheels_are_downloaded_to_unpack_or_to_carry() {
        let package = Package::make();
        fs::create_dir(package.root.path().join("carried")).expect("the folder is writable");
        package.succeeds(&["--accept-licence", "--download", "carried"], "downloaded: carried/a_library-1.2-");
        assert_eq!(names(&package.folder()), [SCRIPT_NAME]);
        let carried = package.root.path().join("carried").join(package.wheel.file_name().expect("it has a name"));
        assert_eq!(fs::read(&carried).ok(), fs::read(&package.wheel).ok());
        package.succeeds(&["--accept-licence", "--download", "carried"], "is there:   carried/a_library-1.2-");
        package.succeeds(&["--accept-licence"], "installed: a library 1.2");
        package.is_complete();
    }

    #[test]
    fn what_is_wrong_is_said_in_a_line_and_leaves_nothing() {
        let package = Package::make();
        for (words, expected) in [
            (&["--accept-licence", "--from", "nowhere"][..], "nowhere is no folder"),
            (&["--accept-licence", "--from", "two words"], ".whl is missing: get it with --download"),
            (&["--accept-licence", "--from"], "--from needs a folder"),
            (&["--accept-licence", "--from", "wheels", "--download", "wheels"], "one of --download and --from"),
            (&["--yes"], "unknown option --yes"),
        ] {
            package.fails(words, expected);
        }
        let mut damaged = fs::read(&package.wheel).expect("it is there");
        damaged[40] ^= 1;
        fs::write(&package.wheel, damaged).expect("the folder is writable");
        package.fails(&["--accept-licence", "--from", "wheels"], "expected SHA-256");
        package.fails(&["--accept-licence"], "expected SHA-256");
        fs::remove_file(&package.wheel).expect("it is there");
        let (succeeded, said) = package.script(&["--accept-licence"]);
        assert!(!succeeded && said.lines().last().is_some_and(|line| line.contains("pip cannot download")), "{said}");
    }
}
