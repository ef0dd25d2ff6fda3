//! Engines are built once, and again when something that they depend on has changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use egom2p_calibration::Precision;
use egom2p_engine_core::{BuildReport, DimRange, Profile};
use egom2p_engines::{BuildOptions, BuildSummary, Builder, ProfileOverrides, Progress};
use egom2p_model::{Stage, weights::WeightsPart};

use crate::workshop::{Built, CAPABILITIES, Recipe, Workshop, options_for};

/// Stages of two weights files; each is built in a second.
const STAGES: [Stage; 2] = [Stage::GazeDecoder, Stage::HeadGaze];

/// What a build says while it runs.
#[derive(Default, PartialEq, Eq, Debug)]
struct Said {
    planned: Option<(usize, usize)>,
    started: Vec<String>,
    finished: Vec<String>,
    skipped: Vec<String>,
}

impl Progress for Said {
    fn planned(&mut self, n_to_build: usize, n_unchanged: usize) {
        self.planned = Some((n_to_build, n_unchanged));
    }

    fn started(&mut self, stage: &str, variant: &str) {
        self.started.push(format!("{stage}.{variant}"));
    }

    fn finished(&mut self, stage: &str, variant: &str, _: f64, _: &BuildReport) {
        self.finished.push(format!("{stage}.{variant}"));
    }

    fn skipped(&mut self, stage: &str, variant: &str) {
        self.skipped.push(format!("{stage}.{variant}"));
    }
}

#[test]
fn the_second_build_builds_nothing() {
    let Some(workshop) = Workshop::open() else { return };
    let (export, options) =
        (workshop.export("export", &Recipe::of(&STAGES, Precision::Fp16)), options_for(&CAPABILITIES));
    let build = |said: &mut Said| {
        let summary =
            Builder::new(workshop.backend(), options.clone()).build(&export.folder, &workshop.path("bundle"), said);
        summary.unwrap_or_else(|error| panic!("{error}"))
    };
    let both = || vec!["gaze_decoder.default".to_owned(), "head_gaze.default".to_owned()];

    let (mut first, mut second) = (Said::default(), Said::default());
    let built = build(&mut first);
    let before = files(&workshop.path("bundle"));
    let cached = build(&mut second);
    eprintln!("built in {:.2} s, found built in {:.3} s", built.secs, cached.secs);
    assert_eq!(first, Said { planned: Some((2, 0)), started: both(), finished: both(), skipped: Vec::new() });
    assert_eq!(second, Said { planned: Some((0, 2)), skipped: both(), ..Said::default() });
    assert!(cached.nothing_to_do() && !built.nothing_to_do());
    assert_eq!(files(&workshop.path("bundle")), before);
}

#[test]
fn whatever_an_engine_depends_on_builds_it_again() {
    let Some(workshop) = Workshop::open() else { return };
    let [fp32, fp16, bf16] =
        Precision::ALL.map(|precision| workshop.export(precision.name(), &Recipe::of(&STAGES, precision)));
    let usual = options_for(&["8.6"]);
    let changed = |change: &dyn Fn(&mut BuildOptions)| {
        let mut options = usual.clone();
        change(&mut options);
        options
    };
    let two = Profile { dims: [("batch".to_owned(), DimRange { min: 1, opt: 2, max: 2 })].into() };
    let changes = [
        ("nothing yet", &fp32, usual.clone()),
        ("profile", &fp32, changed(&|options| options.profiles = ProfileOverrides::all(two.clone()))),
        ("precision fp16", &fp16, usual.clone()),
        ("precision bf16", &bf16, usual.clone()),
        ("another compute capability", &fp32, options_for(&["8.9"])),
        ("one compute capability more", &fp32, options_for(&["8.6", "8.9"])),
        ("tf32", &fp32, changed(&|options| options.compile.tf32 = true)),
        ("optimisation level", &fp32, changed(&|options| options.compile.optimization_level = Some(1))),
        ("workspace", &fp32, changed(&|options| options.compile.workspace_bytes = Some(64 << 20))),
    ];
    let mut keys = BTreeSet::new();
    for (what, export, options) in &changes {
        let built = workshop.build(export, "bundle", options);
        assert_eq!((built.built.len(), built.unchanged.len()), (2, 0), "{what}");
        assert!(workshop.build(export, "bundle", options).nothing_to_do(), "{what}");
        let bundle = workshop.bundle("bundle");
        for stage in STAGES {
            let Built { entry, engine, record } = Built::of(&bundle, stage.name(), "default");
            assert!(keys.insert(entry.key), "{what}: {stage} has a key that was there before");
            assert_eq!((&record.options, &record.profiles), (&options.compile, &entry.profiles), "{what}");
            let engines = fs::read_dir(engine.parent().expect("a file in a folder")).expect("a folder");
            assert_eq!(engines.count(), 2 * STAGES.len(), "{what}: engines and records of before are there still");
        }
        eprintln!("{what}: {:.2} s", built.secs);
    }
}

#[test]
fn changed_weights_build_again_what_reads_them() {
    let Some(workshop) = Workshop::open() else { return };
    let options = options_for(&["8.6"]);
    let recipe = Recipe::of(&STAGES, Precision::Fp32);
    workshop.build(&workshop.export("export", &recipe), "bundle", &options);
    let bundle = workshop.path("bundle");
    let before = files(&bundle);
    let export = workshop.export("export", &Recipe { changed: Some(WeightsPart::Gaze), ..recipe });
    let summary = workshop.build(&export, "bundle", &options);
    assert_eq!(names(&summary), (vec!["gaze_decoder"], vec!["head_gaze"]));
    let after = files(&bundle);
    for (path, was) in &before {
        let name = path.file_name().expect("a file").to_string_lossy();
        if name.starts_with("head_gaze") || name == "model.weights" {
            assert_eq!(after.get(path), Some(was), "{name}");
        }
        if name.starts_with("gaze_decoder") && name.contains(".engine") {
            assert_eq!(after.get(path), None, "{name}");
        }
    }
}

/// The stages that were built, and those that were not.
fn names(summary: &BuildSummary) -> (Vec<&str>, Vec<&str>) {
    let built = summary.built.iter().map(|built| &*built.stage).collect();
    (built, summary.unchanged.iter().map(|(stage, _)| &**stage).collect())
}

/// Every file below a folder, with the digest of its content and its time.
fn files(folder: &Path) -> BTreeMap<PathBuf, (blake3::Hash, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let modified = path.metadata().and_then(|metadata| metadata.modified()).expect("the system keeps times");
            found.insert(path.clone(), (blake3::hash(&fs::read(&path).expect("a file")), modified));
        }
    }
    found
}
