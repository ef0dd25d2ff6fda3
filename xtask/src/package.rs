//! A folder that runs on another machine: the program, the libraries that may be redistributed, and a bundle.

mod contents;
mod copy;
mod crates;
mod elf;
mod glibc;
mod interrupt;
mod manifest;
mod nvidia;
mod partial;
mod parts;
mod readme;
mod size;

#[cfg(test)]
mod clean_root;

use std::{
    fs,
    path::{self, Path, PathBuf},
};

use anyhow::{Context, Result};

use self::{
    contents::Contents,
    nvidia::Gpu,
    partial::{Partial, beside},
    size::Size,
};
use crate::{
    console::{failure, print},
    process,
    setup::{self, onnxruntime, onnxruntime_gpu},
    workspace::Workspace,
};

/// Make a folder that runs on another Linux without Rust, Python or network.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The package's folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A bundle to put into it.
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// Also write DIR.parts: an archive in parts of at most this size, such as 60MB, and a script that joins them.
    #[arg(long, value_name = "SIZE")]
    part_size: Option<Size>,
    /// Also put egom2p-video into it; the other machine needs OpenCV for it.
    #[arg(long)]
    with_video: bool,
    #[command(flatten)]
    gpu: Gpu,
    /// What "egom2p gpu-check" compares the GPU with, and a script that runs it.
    #[arg(long, value_name = "DIR", requires = "bundle")]
    reference: Option<PathBuf>,
    /// Replace a package that is there.
    #[arg(long)]
    force: bool,
}

/// Lets the loader look beside the program for what libraries ask for that the program opens while it runs: ONNX
/// Runtime's provider names those of NVIDIA and not where they are. Only `DT_RPATH` reaches that far.
const BESIDE_THE_PROGRAM: [&str; 4] = ["-C", "link-arg=-Wl,-rpath,$ORIGIN", "-C", "link-arg=-Wl,--disable-new-dtags"];

/// Builds the programs and puts the package together.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let out = Out::of(&arguments.out)?;
    out.check(arguments.force)?;
    if let Some(bundle) = &arguments.bundle {
        out.check_bundle(bundle)?;
    }
    if let Some(reference) = &arguments.reference {
        out.check_reference(reference, arguments.gpu)?;
    }
    interrupt::install()?;
    let contents = build(workspace, arguments)?;
    interrupt::check()?;
    contents.pack(&out.folder)?;
    print(format_args!("package: {}", out.folder.display()));
    match arguments.part_size {
        Some(size) => {
            let n_parts = out.cut(size)?;
            print(format_args!("parts:   {} ({n_parts} and {})", out.parts.display(), parts::JOIN_NAME));
        }
        None => remove_old_parts(&out.parts)?,
    }
    Ok(())
}

/// Where a package goes.
struct Out {
    folder: PathBuf,
    parts: PathBuf,
    name: String,
}

impl Out {
    fn of(folder: &Path) -> Result<Self> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&letter);
        let name = folder.file_name().and_then(|name| name.to_str());
        let name = name.filter(|name| name.chars().all(is_plain) && !name.starts_with(['-', '.'])).ok_or_else(|| {
            failure(
                format_args!("{} is no name for a package", folder.display()),
                "name a folder with letters, digits, \".\", \"_\" and \"-\" that begins with neither \".\" nor \"-\"",
            )
        })?;
        // The packaged program is started from another folder.
        let whole = path::absolute(folder)
            .with_context(|| format!("{} cannot be found from here\nname its whole path", folder.display()))?;
        Ok(Self { parts: beside(&whole, "parts"), folder: whole, name: name.to_owned() })
    }

    /// What is there must be replaced on purpose, and must be what this command makes.
    fn check(&self, force: bool) -> Result<()> {
        for (path, is_ours) in
            [(&self.folder, contents::is_package as fn(&Path) -> bool), (&self.parts, parts::is_written)]
        {
            if path.symlink_metadata().is_err() {
                continue;
            }
            if !force {
                return Err(failure(
                    format_args!("{} exists", path.display()),
                    "name another folder, or replace it with --force",
                ));
            }
            if path.is_symlink() || !is_ours(path) {
                return Err(failure(
                    format_args!("{} is not what this command made, so it is not replaced", path.display()),
                    "name another folder, or remove it by hand",
                ));
            }
        }
        Ok(())
    }

    /// A bundle is one, and elsewhere.
    fn check_bundle(&self, bundle: &Path) -> Result<()> {
        if !bundle.join("bundle.json").is_file() {
            return Err(failure(
                format_args!("{} is no bundle: it has no bundle.json", bundle.display()),
                "name a folder that \"egom2p build\" made",
            ));
        }
        self.check_outside(bundle)
    }

    /// A reference is for a GPU, and was made.
    fn check_reference(&self, reference: &Path, gpu: Gpu) -> Result<()> {
        if !gpu.any() {
            return Err(failure(
                "--reference is for a package that runs on a GPU",
                "add --cuda, --tensorrt or both, or leave the reference out",
            ));
        }
        if !reference.join("reference.json").is_file() {
            return Err(failure(
                format_args!("{} is no reference: it has no reference.json", reference.display()),
                "name a folder that \"egom2p gpu-check CPU_BUNDLE --store DIR\" wrote",
            ));
        }
        self.check_outside(reference)
    }

    /// A package inside of what it holds would be copied into itself.
    fn check_outside(&self, source: &Path) -> Result<()> {
        let whole = |path: &Path| {
            let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let existing = path.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
            existing.map_or(path.clone(), |(ancestor, real)| real.join(path.strip_prefix(ancestor).unwrap_or(&path)))
        };
        if whole(&self.folder).starts_with(whole(source)) {
            return Err(failure(
                format_args!("{} is inside of {}, which goes into it", self.folder.display(), source.display()),
                "name a folder outside of it",
            ));
        }
        Ok(())
    }

    /// Writes the package in parts.
    fn cut(&self, size: Size) -> Result<usize> {
        let partial = Partial::begin(&self.parts)?;
        let n_parts = parts::write(&self.folder, partial.path(), &self.name, size)?;
        partial.finish()?;
        Ok(n_parts)
    }
}

/// Builds the programs and finds what else goes in.
fn build(workspace: &Workspace, arguments: &Arguments) -> Result<Contents> {
    let gpu = arguments.gpu;
    if gpu.tensorrt {
        setup::with_tensorrt(workspace)?;
    } else {
        setup::plain(workspace)?;
    }
    let libraries =
        if gpu.cuda { onnxruntime_gpu::libraries(workspace)? } else { vec![onnxruntime::library(workspace)] };
    let features = gpu.features().join(",");
    let features = if features.is_empty() { vec![] } else { vec!["--features", &features] };
    let mut programs = vec!["egom2p"];
    if arguments.with_video {
        programs.push("egom2p-video");
        process::run(&mut workspace.cargo(&["build", "--release", "--quiet", "--package", "egom2p-video"]))?;
    }
    let mut cargo = workspace.cargo(&["rustc", "--release", "--quiet", "--package", "egom2p", "--bin", "egom2p"]);
    cargo.args(&features).arg("--");
    if gpu.cuda {
        cargo.args(BESIDE_THE_PROGRAM);
    }
    process::run(&mut cargo)?;

    let built = workspace.target().join("release");
    Ok(Contents {
        program: built.join("egom2p"),
        video: arguments.with_video.then(|| built.join("egom2p-video")),
        libraries,
        licences: contents::licence_files(workspace.root(), &onnxruntime::notices(workspace)?),
        crates: crates::licences(workspace, &programs, &features)?,
        bundle: arguments.bundle.clone(),
        gpu,
        reference: arguments.reference.clone(),
    })
}

/// Parts of the package that was replaced would join to another one.
fn remove_old_parts(parts: &Path) -> Result<()> {
    if !parts.exists() {
        return Ok(());
    }
    fs::remove_dir_all(parts).with_context(|| format!("{} cannot be removed\nremove it by hand", parts.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs, iter, path::Path};

    use clap::Parser as _;

    use super::{Arguments, Out};

    #[test]
    fn names_are_safe_in_scripts() {
        for folder in ["/", "..", "a/.hidden", "a/-rf", "a/two words", "a/quote'", "a/$x", "a/\u{e9}"] {
            assert!(Out::of(Path::new(folder)).is_err(), "{folder}");
        }
        let out = Out::of(Path::new("two words/egom2p-0.1_x")).expect("only the last name matters");
        assert!(out.folder.is_absolute() && out.parts.is_absolute());
        assert!(out.parts.ends_with("two words/egom2p-0.1_x.parts"));
    }

    #[test]
    fn only_packages_are_replaced_and_only_on_purpose() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let out = Out::of(&root.path().join("package")).expect("the name is plain");
        out.check(false).expect("nothing is there");
        fs::create_dir_all(out.folder.join("bin")).expect("the folder is writable");
        let error = |force| out.check(force).expect_err("the folder is there").to_string();
        assert!(error(false).contains("exists") && error(true).contains("not what this command made"));
        for file in ["bin/egom2p", "MANIFEST.sha256"] {
            fs::write(out.folder.join(file), "").expect("the folder is writable");
        }
        assert!(error(false).contains("exists"));
        out.check(true).expect("it looks like a package");
        fs::create_dir(&out.parts).expect("the folder is writable");
        assert!(error(true).contains("package.parts is not what this command made"));
    }

    #[test]
    fn a_package_is_not_put_into_its_bundle() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let bundle = root.path().join("bundle");
        fs::create_dir(&bundle).expect("the folder is writable");
        let out = |path: &str| Out::of(&root.path().join(path)).expect("the name is plain");
        assert!(out("package").check_bundle(&bundle).is_err(), "there is no manifest");
        fs::write(bundle.join("bundle.json"), "").expect("the folder is writable");
        out("package").check_bundle(&bundle).expect("it is beside");
        out("bundle-2/package").check_bundle(&bundle).expect("it is beside");
        for inside in ["bundle/package", "bundle/new/package", "bundle"] {
            assert!(out(inside).check_bundle(&bundle).is_err(), "{inside}");
        }
    }

    #[test]
    fn a_reference_goes_with_a_bundle_into_packages_for_gpus() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let reference = root.path().join("reference");
        fs::create_dir(&reference).expect("the folder is writable");
        let out = |path: &str| Out::of(&root.path().join(path)).expect("the name is plain");
        let refused = |folder: &str, reference: &Path, typed: &str| {
            let gpu = parse(&format!("--out x {typed}")).expect("the options exist").gpu;
            let error = out(folder).check_reference(reference, gpu).expect_err("it is refused").to_string();
            assert_eq!(error.lines().count(), 2, "{error}");
            error
        };
        assert!(refused("package", &reference, "").contains("runs on a GPU"));
        assert!(refused("package", &reference, "--cuda").contains("has no reference.json"));
        fs::write(reference.join("reference.json"), "").expect("the folder is writable");
        assert!(refused("reference/package", &reference, "--tensorrt").contains("is inside of"));
        for typed in ["--cuda", "--tensorrt", "--cuda --tensorrt"] {
            let arguments = parse(&format!("--out x --bundle b --reference r {typed}")).expect("the options exist");
            out("package").check_reference(&reference, arguments.gpu).expect("it is a reference");
        }
        assert!(parse("--out x --cuda --reference r").is_err(), "there is no bundle");
    }

    fn parse(typed: &str) -> Result<Arguments, clap::Error> {
        #[derive(clap::Parser)]
        struct CommandLine {
            #[command(flatten)]
            arguments: Arguments,
        }
        let words = iter::once("package").chain(typed.split_whitespace());
        CommandLine::try_parse_from(words).map(|line| line.arguments)
    }
}
