//! A package in a root folder that holds nothing but the package and the libraries of the system that it asks for.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use super::{contents::Contents, crates, elf::Elf, glibc, manifest, nvidia::Gpu, parts, size::Size};
use crate::{console::say, process, setup::onnxruntime, workspace::Workspace};

/// What the program predicts without egom2p-video, and what `stage` writes.
const OUTPUTS: [&str; 4] = ["camera.npy", "camera.tum", "gaze.csv", "tokens.safetensors"];

/// A package of a tiny bundle.
struct Packed {
    root: TempDir,
    program: PathBuf,
}

impl Packed {
    /// Packs with the programs that lie beside the tests; nothing where they were not built or set-up was not run.
    fn make() -> Option<Self> {
        let workspace = Workspace::find().expect("tests run in the workspace");
        let tests = env::current_exe().expect("the system tells");
        let program = tests.ancestors().nth(2).expect("tests lie in a folder of the profile").join("egom2p");
        let library = onnxruntime::library(&workspace);
        if let Some(missing) = [&program, &library].into_iter().find(|path| !path.is_file()) {
            say(format_args!("skipped: there is no {}", missing.display()));
            return None;
        }
        let packed = Self { root: tempfile::tempdir().expect("a temporary folder"), program };
        packed.succeeds("weights reproducible --preset egom2p-tiny --out weights");
        packed.succeeds("export weights --out bundle/onnx");
        packed.succeeds("build bundle/onnx --out bundle");
        fs::create_dir(packed.root.path().join("reference")).expect("the folder is writable");
        fs::write(packed.root.path().join("reference/tokens"), "stored").expect("the folder is writable");
        packed.contents(&workspace, library).pack(&packed.package()).expect("the package can be made");
        Some(packed)
    }

    fn contents(&self, workspace: &Workspace, library: PathBuf) -> Contents {
        Contents {
            program: self.program.clone(),
            video: None,
            libraries: vec![library],
            licences: ["LICENSE-APACHE", "LICENSE-MIT"].map(|name| workspace.root().join(name)).into(),
            crates: crates::licences(workspace, &["egom2p"], &[]).expect("cargo runs"),
            bundle: Some(self.root.path().join("bundle")),
            gpu: Gpu { cuda: false, tensorrt: true },
            reference: Some(self.root.path().join("reference")),
        }
    }

    fn package(&self) -> PathBuf {
        self.root.path().join("package")
    }

    /// Runs the program outside, in the folder that holds everything.
    fn outside(&self, words: &str) -> Output {
        let mut command = Command::new(&self.program);
        command.args(words.split(' ')).current_dir(self.root.path()).env_remove("ORT_DYLIB_PATH");
        process::output(&mut command).expect("the program starts")
    }

    fn succeeds(&self, words: &str) {
        let output = self.outside(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A root folder with the C library and nothing else of this system.
struct CleanRoot {
    folder: TempDir,
}

impl CleanRoot {
    /// Puts the libraries that the package asks for where the loader looks; nothing where this user may not.
    fn make(package: &Path) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let proc = folder.path().join("proc");
        fs::create_dir(&proc).expect("the folder is writable");
        if !process::succeeds(
            Command::new("unshare").args(["--mount", "--net", "mount", "-t", "proc", "proc"]).arg(&proc),
        ) {
            say("skipped: a clean root needs the rights of root, for unshare, mount and chroot");
            return None;
        }
        let bin = package.join("bin");
        let files: Vec<_> = manifest::files(&bin).expect("it is readable").iter().map(|file| bin.join(file)).collect();
        let needs = glibc::check(&files, glibc::LIMIT).expect("this system is no newer than the limit");
        let libraries = format!("lib/{}-linux-gnu", env::consts::ARCH);
        fs::create_dir_all(folder.path().join(&libraries)).expect("the folder is writable");
        for library in &needs.libraries {
            let from = Path::new("/").join(&libraries).join(library);
            let from = if from.exists() { from } else { Path::new("/lib64").join(library) };
            let folder = folder.path().join(if library.starts_with("ld-linux") { "lib64" } else { &libraries });
            fs::create_dir_all(&folder).expect("the folder is writable");
            fs::copy(&from, folder.join(library)).expect("this system has what its programs ask for");
        }
        Some(Self { folder })
    }

    /// Runs a program inside, without a network and without this system's environment.
    fn run(&self, words: &str) -> Output {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "sh", "-c"])
            .arg("mount -t proc proc \"$0/proc\" && exec env -i \"$(command -v chroot)\" \"$0\" \"$@\"")
            .arg(self.folder.path())
            .args(words.split(' '))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        process::output(&mut command).expect("unshare starts")
    }

    fn succeeds(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Runs a script in a folder; what it printed and whether it succeeded.
fn script(folder: &Path, words: &str) -> (bool, String) {
    let mut command = Command::new("sh");
    let output = process::output(command.args(words.split(' ')).current_dir(folder)).expect("every Linux has a shell");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A tensor file with one tensor of i64.
fn tokens(name: &str, shape: &[usize], n_vocabulary: usize) -> Vec<u8> {
    let n_tokens: usize = shape.iter().product();
    let header =
        format!("{{\"{name}\":{{\"dtype\":\"I64\",\"shape\":{shape:?},\"data_offsets\":[0,{}]}}}}", n_tokens * 8);
    let values = (0..n_tokens).flat_map(|index| (index * 37 % n_vocabulary).to_le_bytes());
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat().into_iter().chain(values).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn copy_tree(from: &Path, to: &Path) {
    assert!(process::succeeds(Command::new("cp").arg("-r").args([from, to])), "{} cannot be copied", from.display());
}

#[test]
fn a_package_runs_in_a_clean_root_and_gives_the_same_bits() {
    let Some(packed) = Packed::make() else { return };
    let Some(clean) = CleanRoot::make(&packed.package()) else { return };
    let root = clean.folder.path();
    copy_tree(&packed.package(), &root.join("package"));
    for (file, name, shape, n_vocabulary) in
        [("rgb.safetensors", "rgb", &[5, 8, 8][..], 1000), ("stage.safetensors", "tokens", &[1, 30], 256)]
    {
        for folder in [root, packed.root.path()] {
            fs::write(folder.join(file), tokens(name, shape, n_vocabulary)).expect("the folder is writable");
        }
    }

    assert_eq!(clean.run("/bin/sh").status.code(), Some(127), "there is no shell inside");
    let doctor = clean.succeeds("/package/bin/egom2p doctor");
    let found = format!("at /package/bin/libonnxruntime.so.{}", onnxruntime::VERSION);
    assert!(doctor.contains(&found), "{doctor}");
    let inspected = clean.succeeds("/package/bin/egom2p inspect /package/bundle --digests --all");
    assert!(inspected.contains("verified") && !inspected.contains("changed"), "{inspected}");

    let run = "--tokens rgb=rgb.safetensors --to camera,gaze --seed 3 --out out";
    packed.succeeds(&format!("run bundle {run}"));
    clean.succeeds(&format!(
        "/package/bin/egom2p run /package/bundle {}",
        run.replace("=rgb", "=/rgb").replace(" out", " /out")
    ));
    let stage = "camera_decoder --inputs stage.safetensors --outputs stage-out.safetensors";
    packed.succeeds(&format!("stage bundle {stage}"));
    clean.succeeds(&format!("/package/bin/egom2p stage /package/bundle {}", stage.replace(" stage", " /stage")));
    for output in OUTPUTS.map(|name| format!("out/{name}")).into_iter().chain(["stage-out.safetensors".to_owned()]) {
        let [inside, outside] =
            [root, packed.root.path()].map(|folder| fs::read(folder.join(&output)).expect("it was written"));
        assert!(outside.len() > 64 && inside == outside, "{output} differs");
    }

    let video =
        clean.run("/package/bin/egom2p run /package/bundle --tokens rgb=/rgb.safetensors --to depth --out /depth");
    let said = String::from_utf8_lossy(&video.stderr).into_owned();
    assert!(!video.status.success() && said.contains("egom2p-video") && !root.join("depth").exists(), "{said}");
}

#[test]
fn parts_are_joined_and_what_is_wrong_with_them_is_said_in_a_line() {
    let Some(packed) = Packed::make() else { return };
    let (root, package) = (packed.root.path(), packed.package());
    let parts_folder = root.join("parts");
    let size = Size(20_000_000);
    let cut = |folder: &str| {
        fs::create_dir(root.join(folder)).expect("the folder is writable");
        parts::write(&package, &root.join(folder), "egom2p-tiny", size).expect("the package is readable")
    };
    let n_parts = cut("parts");
    let bytes: u64 =
        names(&parts_folder).iter().filter(|name| name.contains(".tar.")).map(|name| length(&parts_folder, name)).sum();
    assert_eq!(n_parts as u64, bytes.div_ceil(size.0));
    assert!((2..1000).contains(&n_parts) && bytes > manifest_bytes(&package), "{n_parts} parts, {bytes} bytes");
    assert!(names(&parts_folder).iter().all(|name| length(&parts_folder, name) <= size.0));
    cut("again");
    for name in names(&parts_folder) {
        assert!(
            fs::read(parts_folder.join(&name)).ok() == fs::read(root.join("again").join(&name)).ok(),
            "{name} differs"
        );
    }

    let (joined, said) = script(root, "parts/join.sh joined");
    assert!(joined && said == "unpacked: joined\n", "{said}");
    let files = manifest::files(&package).expect("it is readable");
    assert_eq!(manifest::files(&root.join("joined")).expect("it is readable"), files);
    for file in &files {
        let [before, after] = [&package, &root.join("joined")].map(|folder| folder.join(file));
        assert!(fs::read(&before).ok() == fs::read(&after).ok(), "{file} differs");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&before), mode(&after), "{file}");
    }

    let fails = |words: &str, expected: &str| {
        let before = names(root);
        let (joined, said) = script(root, words);
        assert!(!joined && said.contains(expected) && said.lines().count() == 1, "{words}: {said}");
        assert_eq!(names(root), before, "{words} leaves nothing");
    };
    fails("parts/join.sh joined", "joined exists");
    fails("parts/join.sh nowhere/new", "cannot be made");
    fails("parts/join.sh two words", "one folder");
    let part = parts_folder.join("egom2p-tiny.tar.001");
    let whole = fs::read(&part).expect("it is there");
    let mut flipped = whole.clone();
    flipped[12345] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() - 1]] {
        fs::write(&part, damaged).expect("the folder is writable");
        fails("parts/join.sh new", "tar.001 is damaged");
    }
    fs::remove_file(&part).expect("the folder is writable");
    fails("parts/join.sh new", "tar.001 is missing");
    fs::write(&part, whole).expect("the folder is writable");
    no_room(&root.join("parts"));
}

/// Unpacks into a file system that is too small.
fn no_room(parts: &Path) {
    let small = tempfile::tempdir().expect("a temporary folder");
    let mount = "mount -t tmpfs -o size=1m tmpfs \"$1\" || exit 99; sh \"$0\" \"$1/new\"; status=$?; ls -A \"$1\"; exit $status";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", mount]).arg(parts.join("join.sh")).arg(small.path());
    match process::output(&mut command) {
        Ok(output) if output.status.code() == Some(1) && output.stderr.starts_with(b"error") => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("is there room?") && said.lines().count() == 1, "{said}");
            assert!(output.stdout.is_empty(), "{} is left", String::from_utf8_lossy(&output.stdout));
        }
        Ok(output) if output.status.success() => panic!("more than fits was unpacked"),
        _ => say("skipped: a small file system needs the rights of root, for unshare and mount"),
    }
}

fn length(folder: &Path, name: &str) -> u64 {
    fs::metadata(folder.join(name)).expect("it is there").len()
}

/// How many bytes the files of a package have together.
fn manifest_bytes(package: &Path) -> u64 {
    manifest::files(package).expect("it is readable").iter().map(|file| length(package, file)).sum()
}

#[test]
fn what_may_not_or_cannot_be_packed_is_refused() {
    let Some(packed) = Packed::make() else { return };
    let workspace = Workspace::find().expect("tests run in the workspace");
    let package = packed.package();
    let files = manifest::files(&package).expect("it is readable");
    assert!(!files.iter().any(|file| file.contains("stamps.json")));
    for file in [
        "README.txt",
        "get-nvidia-libraries.sh",
        "gpu-check.sh",
        "reference/tokens",
        "LICENSES/LICENSE-MIT",
        "LICENSES/Rust-crates.txt",
    ] {
        assert!(files.iter().any(|found| found == file), "{file}: {files:?}");
    }
    let elves = files.iter().filter(|file| Elf::read(&package.join(file)).expect("it is readable").is_some());
    assert_eq!(elves.collect::<Vec<_>>().len(), 2, "a program and a library");
    let mut check = Command::new("sha256sum");
    check.args(["-c", "--quiet", manifest::NAME]).current_dir(&package);
    assert!(process::succeeds(&mut check));

    let refused = |expected: &str| {
        let before = names(packed.root.path());
        let contents = packed.contents(&workspace, onnxruntime::library(&workspace));
        let error = contents.pack(&packed.root.path().join("new")).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.lines().count() == 2, "{error}");
        assert_eq!(names(packed.root.path()), before);
    };
    let bundle = packed.root.path().join("bundle");
    let foreign = bundle.join("libnvinfer.so.10");
    fs::write(&foreign, "").expect("the folder is writable");
    refused("may not be redistributed");
    fs::remove_file(foreign).expect("the folder is writable");
    let weights = bundle.join("onnx/model.weights");
    let mut content = fs::read(&weights).expect("it is there");
    content[1000] ^= 1;
    fs::write(&weights, content).expect("the folder is writable");
    refused("model.weights has changed");
}
