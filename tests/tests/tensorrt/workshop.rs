use std::path::PathBuf;

use egom2p::profiles::default_profiles;
use egom2p_calibration::{Precision, with_precision};
use egom2p_engine_core::{Backend, CompileOptions, Device, Digest, EngineError, EngineRecord, ExportManifest};
use egom2p_engines::{
    BackendKind, BackendOptions, BuildOptions, BuildSummary, Builder, Bundle, BundleVariant, open_backend,
};
use egom2p_export::{FolderExport, Opset, StageExport, Target, WeightsExport, export_folder};
use egom2p_graph::Graph;
use egom2p_model::{Preset, Stage, Variant, stage_graph, weights::WeightsPart};
use egom2p_tests::goldens::ReproducibleParameters;
use tempfile::TempDir;

/// The compute capabilities that engines are built for unless a test says otherwise.
pub(crate) const CAPABILITIES: [&str; 4] = ["8.0", "8.6", "8.9", "12.0"];

/// A temporary folder for exports and bundles, and the backend that builds them.
pub(crate) struct Workshop {
    folder: TempDir,
    backend: Box<dyn Backend>,
}

/// What to export: stages of the smallest preset with weights that follow from their names.
#[derive(Clone)]
pub(crate) struct Recipe<'a> {
    pub(crate) stages: &'a [Stage],
    pub(crate) precision: Precision,
    /// A file whose weights are others than usual.
    pub(crate) changed: Option<WeightsPart>,
}

/// An exported folder.
pub(crate) struct Export {
    pub(crate) folder: PathBuf,
    pub(crate) manifest: ExportManifest,
    pub(crate) graphs: Vec<(Stage, Variant, Graph)>,
}

/// An engine of a bundle, with what its two manifests say of it.
pub(crate) struct Built {
    pub(crate) entry: BundleVariant,
    pub(crate) engine: PathBuf,
    pub(crate) record: EngineRecord,
}

impl Workshop {
    /// A new folder; `None`, with a line on standard error, where the library is absent.
    pub(crate) fn open() -> Option<Self> {
        let backend = open_backend(BackendKind::TensorRtRtx, &BackendOptions::default()).expect("it is built in");
        match backend.check() {
            Ok(_) => Some(Self { folder: tempfile::tempdir().expect("a folder for temporary files"), backend }),
            Err(error @ EngineError::LibraryMissing { .. }) => {
                eprintln!("skipped: {}", error.to_string().replace('\n', "; "));
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// The path of something in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exports into the folder `name`.
    pub(crate) fn export(&self, name: &str, recipe: &Recipe<'_>) -> Export {
        let config = Preset::Tiny.config();
        let mut graphs = Vec::new();
        for stage in recipe.stages {
            for variant in stage.variants() {
                let graph = stage_graph(&config, *stage, *variant).expect("a sound stage");
                graphs.push((*stage, *variant, with_precision(&graph, recipe.precision).expect("a sound stage")));
            }
        }
        let stages: Vec<_> = graphs
            .iter()
            .map(|(stage, variant, graph)| StageExport {
                stage: stage.name(),
                variant: variant.name(),
                graph,
                weights: part_name(stage.weights_file()),
                precision: recipe.precision.name(),
                profiles: default_profiles(&config, graph),
            })
            .collect();
        let parts = WeightsPart::ALL.into_iter().filter(|part| recipe.stages.iter().any(|s| s.weights_file() == *part));
        let [_, video_side, _] = config.video.grid();
        let parameters: Vec<_> = parts
            .map(|part| ReproducibleParameters { part, seed: seed(recipe.changed == Some(part)), video_side })
            .collect();
        let weights: Vec<_> = parameters
            .iter()
            .map(|parameters| WeightsExport {
                name: part_name(parameters.part),
                parameters,
                digest: Digest::from_bytes(*blake3::hash(format!("{parameters:?}").as_bytes()).as_bytes()),
                all_used: None,
            })
            .collect();
        let folder = self.path(name);
        let export = FolderExport {
            target: Target::Standard { opset: opset(recipe.precision) },
            preset: Some(Preset::Tiny.name()),
            config: serde_json::to_value(&config).expect("sizes can be written as JSON"),
            stages: &stages,
            weights: &weights,
        };
        let manifest = export_folder(&folder, &export).unwrap_or_else(|error| panic!("{error}")).manifest;
        Export { folder, manifest, graphs }
    }

    /// Builds into the bundle `name`.
    pub(crate) fn build(&self, export: &Export, name: &str, options: &BuildOptions) -> BuildSummary {
        let builder = Builder::new(self.backend(), options.clone());
        builder.build(&export.folder, &self.path(name), &mut ()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The bundle `name`.
    pub(crate) fn bundle(&self, name: &str) -> Bundle {
        Bundle::open(&self.path(name), BackendOptions::default()).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Recipe<'_> {
    pub(crate) fn of(stages: &[Stage], precision: Precision) -> Recipe<'_> {
        Recipe { stages, precision, changed: None }
    }
}

impl Built {
    pub(crate) fn of(bundle: &Bundle, stage: &str, variant: &str) -> Self {
        let entry = bundle.variant(stage, variant).unwrap_or_else(|error| panic!("{error}")).clone();
        let engine = entry.engine[0].below(bundle.folder());
        let record = EngineRecord::read(&EngineRecord::path(&engine)).unwrap_or_else(|error| panic!("{error}"));
        Self { entry, engine, record }
    }
}

/// Engines for devices of these compute capabilities.
pub(crate) fn options_for(capabilities: &[&str]) -> BuildOptions {
    let capability = |text: &&str| text.parse().expect("a compute capability");
    let compute_capabilities = capabilities.iter().map(capability).collect();
    BuildOptions {
        device: Device::Cuda,
        compile: CompileOptions { compute_capabilities, ..CompileOptions::default() },
        ..BuildOptions::default()
    }
}

/// The first operator set that has what a precision takes.
pub(crate) fn opset(precision: Precision) -> Opset {
    if precision == Precision::Bf16 { Opset::V22 } else { Opset::V20 }
}

/// The lines of a refusal, which are two.
pub(crate) fn refusal<T>(result: egom2p_engines::Result<T>) -> [String; 2] {
    let text = match result {
        Ok(_) => panic!("nothing was refused"),
        Err(error) => error.to_string(),
    };
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.try_into().unwrap_or_else(|lines| panic!("not two lines: {lines:?}"))
}

fn part_name(part: WeightsPart) -> &'static str {
    part.file_name().trim_end_matches(".safetensors")
}

fn seed(changed: bool) -> u64 {
    if changed { 2 } else { 1 }
}
