//! What is built again after which change, and what a stopped build leaves.

#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

mod support;

use egom2p_engine_core::{ComputeCapability, Device, DimRange, EngineError, Profile};
use egom2p_engines::{
    BUNDLE_MANIFEST_FILE, BuildOptions, BuildSummary, Builder, BundleError, BundleManifest, ProfileOverrides,
};
use std::fs;
use std::path::{Path, PathBuf};
use support::{FakeBackend, STAGES, contents, export, flip_byte, models::WEIGHTS};
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    backend: FakeBackend,
    options: BuildOptions,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            backend: FakeBackend::new(),
            options: BuildOptions::default(),
        };
        export(&bench.exported(), "first");
        bench
    }

    fn exported(&self) -> PathBuf {
        self.folder.path().join("exported")
    }

    fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn try_build(&self) -> Result<BuildSummary, BundleError> {
        Builder::new(&self.backend, self.options.clone()).build(&self.exported(), &self.bundle(), &mut ())
    }

    /// Builds, checks that the bundle is whole, and gives what was built.
    fn build(&self) -> Vec<String> {
        let summary = self.try_build().unwrap();
        let built = self.backend.take_built();
        assert_eq!(summary.built.len(), built.len());
        self.check_whole();
        built
    }

    /// Every listed file is there with its digest, and nothing else is.
    fn check_whole(&self) {
        let manifest = BundleManifest::read(&self.bundle()).unwrap();
        let mut found = contents(&self.bundle());
        found.remove("bundle.json").unwrap();
        found.remove("onnx/export.json");
        for (file, entry) in &manifest.files {
            let bytes = found.remove(file.as_str()).unwrap_or_else(|| panic!("{file} is missing"));
            assert_eq!(support::digest(&bytes), entry.blake3, "{file}");
        }
        assert!(found.is_empty(), "files that no manifest names: {:?}", found.keys());
    }
}

const ALL: [&str; 3] = ["encoder.masked", "encoder.unmasked", "head.default"];
const NOTHING: [&str; 0] = [];

#[test]
fn nothing_changed_builds_nothing() {
    let bench = Bench::new();
    assert_eq!(bench.build(), ALL);
    let before = contents(&bench.bundle());
    let summary = bench.try_build().unwrap();
    assert!(summary.nothing_to_do());
    assert_eq!(summary.unchanged.len(), ALL.len());
    assert_eq!(contents(&bench.bundle()), before);
    assert!(!bench.bundle().join(".partial-build").exists());
}

#[test]
fn a_change_rebuilds_what_depends_on_it() {
    let mut bench = Bench::new();
    bench.build();
    export(&bench.exported(), "second");
    assert_eq!(bench.build(), ["encoder.masked", "encoder.unmasked"], "another ONNX file");

    let range = DimRange { min: 0, opt: 4, max: 16 };
    let profile = Profile { dims: [("head_visible".to_owned(), range)].into() };
    bench.options.profiles = ProfileOverrides::all(profile.clone());
    assert_eq!(bench.build(), ["head.default"], "another profile");
    assert_eq!(BundleManifest::read(&bench.bundle()).unwrap().stages["head"]["default"].profiles, [profile]);

    bench.options.compile.compute_capabilities = vec![ComputeCapability { major: 8, minor: 6 }];
    assert_eq!(bench.build(), ALL, "another device");
    bench.options.compile.tf32 = true;
    assert_eq!(bench.build(), ALL, "another setting of the compiler");

    bench.backend.version = "1.1".to_owned();
    assert_eq!(bench.build(), ALL, "another library");
    bench.options.force = true;
    assert_eq!(bench.build(), ALL, "forced");
    bench.options.force = false;
    assert_eq!(bench.build(), NOTHING);
}

#[test]
fn damage_in_the_bundle_is_repaired() {
    let mut bench = Bench::new();
    bench.build();
    flip_byte(&bench.bundle().join("onnx").join(WEIGHTS));
    assert_eq!(bench.build(), ALL, "the weights belong to all");
    let engine = BundleManifest::read(&bench.bundle()).unwrap().stages["head"]["default"].engine[0].clone();
    fs::remove_file(engine.below(&bench.bundle())).unwrap();
    assert_eq!(bench.build(), ["head.default"]);

    // A flipped byte behind an unchanged time is found when it is looked for.
    let file = engine.below(&bench.bundle());
    let modified = file.metadata().unwrap().modified().unwrap();
    flip_byte(&file);
    fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    bench.options.verify = true;
    assert_eq!(bench.build(), ["head.default"]);
}

#[test]
fn new_times_alone_rebuild_nothing() {
    let bench = Bench::new();
    bench.build();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let weights = bench.bundle().join("onnx").join(WEIGHTS);
    fs::File::options().write(true).open(weights).unwrap().set_modified(later).unwrap();
    fs::remove_file(bench.bundle().join("stamps.json")).unwrap();
    assert_eq!(bench.build(), NOTHING);
}

#[test]
fn a_failed_build_leaves_the_old_bundle() {
    let mut bench = Bench::new();
    bench.build();
    let before = contents(&bench.bundle());
    export(&bench.exported(), "second");
    bench.backend.fail = Some("encoder.unmasked");
    let error = bench.try_build().unwrap_err();
    assert!(matches!(error, BundleError::Engine(EngineError::Native { .. })), "{error}");
    assert_eq!(bench.backend.take_built(), ["encoder.masked"], "it failed in the middle");
    assert_eq!(contents(&bench.bundle()), before);
    bench.backend.fail = None;
    assert_eq!(bench.build(), ["encoder.masked", "encoder.unmasked"]);
}

#[test]
fn leftovers_of_a_killed_build_are_removed() {
    let bench = Bench::new();
    bench.build();
    for leftover in [".partial-build/onnx", "engines/.partial-head.default-0123"] {
        let folder = bench.bundle().join(leftover);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("half"), "half").unwrap();
    }
    assert_eq!(bench.build(), NOTHING);
}

#[test]
fn selected_stages_are_built_and_the_others_stay() {
    let mut bench = Bench::new();
    bench.options.stages = Some(vec!["head".to_owned()]);
    assert_eq!(bench.build(), ["head.default"]);
    bench.options.stages = Some(vec!["encoder".to_owned()]);
    assert_eq!(bench.build(), ["encoder.masked", "encoder.unmasked"]);
    let manifest = BundleManifest::read(&bench.bundle()).unwrap();
    assert_eq!(manifest.stages.keys().collect::<Vec<_>>(), ["encoder", "head"]);

    export(&bench.exported(), "second");
    bench.options.stages = Some(vec!["head".to_owned()]);
    let summary = bench.try_build().unwrap();
    assert_eq!(summary.dropped.len(), 2, "the encoders no longer fit the export: {:?}", summary.dropped);
    bench.check_whole();

    bench.options.stages = Some(vec!["neck".to_owned()]);
    let error = bench.try_build().unwrap_err();
    assert!(error.to_string().contains("no stage neck: it has encoder, head\n"), "{error}");
}

#[test]
fn an_export_inside_the_bundle_is_used_in_place() {
    let bench = Bench::new();
    let onnx = bench.bundle().join("onnx");
    fs::create_dir_all(bench.bundle()).unwrap();
    fs::rename(bench.exported(), &onnx).unwrap();
    let before = contents(&onnx);
    let build =
        || Builder::new(&bench.backend, BuildOptions::default()).build(&onnx, &bench.bundle(), &mut ()).unwrap();
    assert_eq!(build().built.len(), 3);
    assert_eq!(contents(&onnx), before);
    bench.check_whole();
    assert!(build().nothing_to_do());

    export(&onnx, "second");
    assert_eq!(build().built.len(), 2);
    bench.check_whole();
    flip_byte(&onnx.join("head.default.onnx"));
    let again = Builder::new(&bench.backend, BuildOptions::default()).build(&onnx, &bench.bundle(), &mut ());
    assert!(matches!(again, Err(BundleError::ExportedFile { .. })), "{again:?}");
}

#[test]
fn a_changed_or_missing_export_is_refused() {
    let bench = Bench::new();
    flip_byte(&bench.exported().join(WEIGHTS));
    let error = bench.try_build().unwrap_err();
    assert!(matches!(error, BundleError::ExportedFile { .. }), "{error}");
    assert!(contents(&bench.bundle()).is_empty(), "nothing half-made is left");
    fs::remove_file(bench.exported().join(WEIGHTS)).unwrap();
    let error = bench.try_build().unwrap_err();
    assert!(matches!(error, BundleError::Engine(EngineError::Read { .. })), "{error}");
    fs::remove_file(bench.exported().join("export.json")).unwrap();
    let error = bench.try_build().unwrap_err();
    assert!(matches!(error, BundleError::Engine(EngineError::Read { .. })), "{error}");
}

#[test]
fn broken_export_manifests_are_refused() {
    let bench = Bench::new();
    let file = bench.exported().join("export.json");
    let good = fs::read_to_string(&file).unwrap();
    for (from, to, expected) in [
        ("\"schema\": 2", "\"schema\": 3", "has schema 3: this program reads schema 2"),
        ("\"preset\"", "\"perset\"", "unknown field `perset`"),
        ("encoder.masked.onnx\",\n", "../encoder.masked.onnx\",\n", "not a path inside its folder"),
        ("encoder.masked.onnx\",\n", "other.onnx\",\n", "names other.onnx, which is not listed"),
        ("\"name\": \"masked\"", "\"name\": \"../masked\"", "is no name of a stage or variant"),
        ("\"name\": \"masked\"", "\"name\": \"unmasked\"", "stands twice"),
        ("\"max\": 8", "\"max\": 1", "out of order"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let error = bench.try_build().unwrap_err().to_string();
        assert!(error.contains(expected), "{from}: {error}");
        assert_eq!(error.lines().count(), 2, "{error}");
    }
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    assert!(bench.try_build().unwrap_err().to_string().contains("is not valid: EOF"));
}

#[test]
fn a_bundle_of_an_earlier_schema_is_replaced_whole() {
    let mut bench = Bench::new();
    bench.build();
    let file = bench.bundle().join(BUNDLE_MANIFEST_FILE);
    let good = fs::read_to_string(&file).unwrap();
    let earlier = good.replace("\"schema\": 2", "\"schema\": 1").replace("\"profiles\"", "\"profile\"");
    fs::write(&file, &earlier).unwrap();
    bench.options.stages = Some(vec!["head".to_owned()]);
    let error = bench.try_build().unwrap_err().to_string();
    assert!(error.contains("it has schema 1, this program reads 2"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), earlier, "the other stages are not lost");
    bench.options.stages = None;
    bench.backend.version = "1.1".to_owned();
    let n_files = fs::read_dir(bench.bundle().join("engines")).unwrap().count();
    assert_eq!(bench.build(), ALL);
    assert_eq!(
        fs::read_dir(bench.bundle().join("engines")).unwrap().count(),
        n_files,
        "the engines of before are gone"
    );
    assert_eq!(bench.build(), NOTHING);
}

#[test]
fn options_that_fit_no_stage_are_refused() {
    let mut bench = Bench::new();
    let range = DimRange { min: 0, opt: 1, max: 2 };
    let all = |dim: &str, range| ProfileOverrides::all(Profile { dims: [(dim.to_owned(), range)].into() });
    bench.options.profiles = all("width", range);
    let error = bench.try_build().unwrap_err().to_string();
    assert!(error.contains("a range for width, which no stage has: expected encoder_visible"), "{error}");
    bench.options.profiles = all("head_visible", DimRange { min: 3, ..range });
    assert!(bench.try_build().unwrap_err().to_string().contains("out of order"));
}

#[test]
fn profiles_are_of_all_stages_or_of_one() {
    let mut bench = Bench::new();
    let profile = |dim: &str, max| Profile { dims: [(dim.to_owned(), DimRange { min: 0, opt: 1, max })].into() };
    bench.options.profiles = ProfileOverrides {
        profiles: vec![profile("encoder_visible", 4), profile("encoder_visible", 6), profile("head_visible", 5)],
        stages: [("head".to_owned(), vec![profile("head_visible", 7)])].into(),
    };
    assert_eq!(bench.build(), ALL);
    let manifest = BundleManifest::read(&bench.bundle()).unwrap();
    assert_eq!(manifest.stages["head"]["default"].profiles, [profile("head_visible", 7)]);
    let encoder = &manifest.stages["encoder"]["masked"].profiles;
    let legal = Profile { dims: [("encoder_visible".to_owned(), support::RANGE)].into() };
    assert_eq!(*encoder, [profile("encoder_visible", 4), profile("encoder_visible", 6), legal]);

    bench.options.profiles.stages = [("head".to_owned(), vec![profile("encoder_visible", 7)])].into();
    let error = bench.try_build().unwrap_err().to_string();
    assert!(error.contains("encoder_visible, which stage head does not have: expected head_visible\n"), "{error}");
    bench.options.profiles.stages = [("neck".to_owned(), vec![profile("head_visible", 7)])].into();
    let error = bench.try_build().unwrap_err().to_string();
    assert!(error.contains("the stage neck, which is not built: expected encoder, head\n"), "{error}");
}

#[test]
fn engines_that_were_built_elsewhere_are_taken_over() {
    let mut bench = Bench::new();
    let file = bench.folder.path().join("mine.engine");
    fs::write(&file, "engine one").unwrap();
    let name = ("encoder".to_owned(), "masked".to_owned());
    bench.options.adopted = [(name.clone(), file.clone())].into();
    assert_eq!(bench.build(), ALL);
    let manifest = BundleManifest::read(&bench.bundle()).unwrap();
    let adopted = &manifest.stages["encoder"]["masked"];
    assert_eq!(fs::read_to_string(adopted.engine[0].below(&bench.bundle())).unwrap(), "engine one");
    assert_eq!(adopted.engine.len(), 2, "the engine and its record");
    assert!(adopted.options.tf32, "the options are those of its record");
    assert!(adopted.profiles[0].dims.contains_key("visible"), "and so are the ranges");
    assert!(!manifest.stages["encoder"]["unmasked"].options.tf32);

    assert_eq!(bench.build(), NOTHING);
    fs::write(&file, "engine two").unwrap();
    assert_eq!(bench.build(), ["encoder.masked"], "another engine");
    bench.options.adopted.clear();
    assert_eq!(bench.build(), ["encoder.masked"], "compiled in its place");

    let before = contents(&bench.bundle());
    fs::write(&file, "text").unwrap();
    bench.options.adopted = [(name, file.clone())].into();
    assert!(bench.try_build().unwrap_err().to_string().contains("it is no engine"));
    fs::remove_file(&file).unwrap();
    let error = bench.try_build().unwrap_err();
    assert!(matches!(error, BundleError::Engine(EngineError::Read { .. })), "{error}");
    bench.options.adopted = [(("encoder".to_owned(), "contextless".to_owned()), file)].into();
    let error = bench.try_build().unwrap_err().to_string();
    assert!(error.contains("given for encoder.contextless stands in for none that is built: expected"), "{error}");
    assert_eq!(contents(&bench.bundle()), before);
}

#[test]
fn an_export_for_another_backend_is_refused() {
    let mut bench = Bench::new();
    let file = bench.exported().join("export.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("standard-20", "onnxruntime-cpu")).unwrap();
    let error = bench.try_build().unwrap_err().to_string();
    assert!(error.contains("was exported for onnxruntime-cpu, which fake does not read\n"), "{error}");
    assert!(error.contains("egom2p export WEIGHTS --out DIR --target standard"), "{error}");
    fs::write(&file, text.replace("standard-20", "fake-cpu")).unwrap();
    assert_eq!(bench.build(), ALL);
    bench.options.device = Device::Cuda;
    let error = bench.try_build().unwrap_err().to_string();
    assert!(error.contains("was exported for fake-cpu, which fake on cuda does not read\n"), "{error}");
    fs::write(&file, text.replace("standard-20", "fake-cuda")).unwrap();
    assert_eq!(bench.build(), ALL, "engines for another device are other engines");
}

#[cfg(unix)]
#[test]
fn a_bundle_that_cannot_be_written_gives_one_error() {
    let bench = Bench::new();
    fs::write(bench.bundle(), "a file stands where the folder belongs").unwrap();
    let error = bench.try_build().unwrap_err();
    assert!(matches!(error, BundleError::Engine(EngineError::Write { .. })), "{error}");
    assert_eq!(STAGES.len(), 2);
    assert!(Path::new(&bench.bundle()).is_file());
}

#[test]
fn a_damaged_bundle_is_replaced_only_by_force() {
    let mut bench = Bench::new();
    bench.build();
    fs::write(bench.bundle().join("bundle.json"), "{").unwrap();
    assert!(matches!(bench.try_build().unwrap_err(), BundleError::Damaged { .. }));
    bench.options.force = true;
    assert_eq!(bench.build(), ALL);
}
