use std::{
    cell::OnceCell,
    error::Error,
    fs::{self, File},
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use egom2p::{engine_stages::EngineStages, profiles::default_profiles};
use egom2p_calibration::with_precision;
use egom2p_engine_core::{Digest, EngineError, SessionOptions};
use egom2p_engines::{
    BUNDLE_MANIFEST_FILE, BackendKind, BackendOptions, BuildOptions, Builder, Bundle, BundleManifest, ENGINES_FOLDER,
    ONNX_FOLDER, open_backend,
};
use egom2p_export::{FolderExport, StageExport, WeightsExport, export_folder};
use egom2p_graph::{ParameterError, Parameters};
use egom2p_model::{
    ModelConfig, Preset, Stage, WeightsFolder, expected_tensors, stage_graph,
    weights::{ReproducibleTensor, WeightsFile, WeightsPart},
};
use tempfile::TempDir;

use super::{Form, Golden};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many values of every tensor say whether kept weights are those of the rule as it is.
const SAMPLED_VALUES: usize = 16;

/// A part of the model with weights that follow from the rule, and the form that it is exported in.
pub struct ModelRecipe {
    form: Form,
    config: ModelConfig,
    part: WeightsPart,
    seed: u64,
}

/// A model's engines. What is temporary is removed with it.
pub struct BuiltModel {
    folder: PathBuf,
    config: ModelConfig,
    _temporary: Option<TempDir>,
}

/// Whether there is a library of ONNX Runtime; says so on standard error where there is none.
///
/// # Panics
/// When there is one that does not work.
pub fn onnxruntime_is_here() -> bool {
    let backend = open_backend(BackendKind::OnnxRuntime, &BackendOptions::default());
    match backend.expect("the backend is built in").check() {
        Ok(_) => true,
        Err(error @ EngineError::LibraryMissing { .. }) => {
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: {}", error.to_string().replace('\n', "; "));
            }
            false
        }
        Err(error) => panic!("{error}"),
    }
}

impl ModelRecipe {
    /// The model that a file of published values was made with, in one form.
    ///
    /// # Panics
    /// When its description does not say which.
    pub fn of(golden: &Golden, form: Form) -> Self {
        let description = golden.description();
        let prefix = description["model_prefix"].as_str();
        let part = WeightsPart::ALL.into_iter().find(|part| Some(part.rule_prefix()) == prefix);
        Self {
            form,
            config: ModelConfig::from_golden_json(description).expect("the sizes of a model"),
            part: part.expect("model_prefix names a part of the weights"),
            seed: description["weight_seed"].as_u64().expect("a seed is a number"),
        }
    }

    /// Makes the engines from nothing in a folder of their own.
    ///
    /// # Panics
    /// When they cannot be made.
    pub fn build(&self) -> BuiltModel {
        let temporary = tempfile::tempdir_in(cache()).expect("the cache can be written to");
        let folder = temporary.path().join("bundle");
        self.bring_up_to_date(&folder).unwrap_or_else(|error| panic!("{error}"));
        BuiltModel { folder, config: self.config.clone(), _temporary: Some(temporary) }
    }

    /// Makes the engines in the cache, or takes those that are there and would come out the same: weights of gigabytes
    /// are written once for all tests. Graphs are exported anew every time.
    ///
    /// # Panics
    /// When they cannot be made.
    pub fn cached(&self) -> BuiltModel {
        let forms = cache().join(format!("{}-{}", self.size_name(), self.part.rule_prefix()));
        fs::create_dir_all(&forms).expect("the cache can be written to");
        let lock = File::create(forms.join("lock")).expect("the cache can be written to");
        lock.lock().expect("the file system has locks");
        let folder = forms.join(self.form.name());
        self.start_from_another_form(&forms, &folder).expect("the cache can be written to");
        remove_unreadable_engines(&folder).expect("the cache can be written to");
        self.bring_up_to_date(&folder).unwrap_or_else(|error| panic!("{error}"));
        BuiltModel { folder, config: self.config.clone(), _temporary: None }
    }

    /// What `egom2p weights reproducible`, `export` and `build` do in turn. The weights folder is made only if the export
    /// has to read it, and does not stay.
    fn bring_up_to_date(&self, bundle: &Path) -> Result<()> {
        let weights = LazyWeights { recipe: self, made: OnceCell::new() };
        let part = self.part.file_name().trim_end_matches(".safetensors");
        let mut graphs = Vec::new();
        for stage in Stage::ALL.into_iter().filter(|stage| stage.weights_file() == self.part) {
            for variant in stage.variants() {
                let graph = stage_graph(&self.config, stage, *variant)?;
                graphs.push((stage, *variant, with_precision(&graph, self.form.precision())?));
            }
        }
        let stages: Vec<_> = graphs
            .iter()
            .map(|(stage, variant, graph)| StageExport {
                stage: stage.name(),
                variant: variant.name(),
                graph,
                weights: part,
                precision: self.form.precision().name(),
                profiles: default_profiles(&self.config, graph),
            })
            .collect();
        let weights = [WeightsExport { name: part, parameters: &weights, digest: self.digest()?, all_used: None }];
        let export = FolderExport {
            target: self.form.target(),
            preset: Preset::of(&self.config).map(Preset::name),
            config: serde_json::to_value(&self.config)?,
            stages: &stages,
            weights: &weights,
        };
        let exported = bundle.join(ONNX_FOLDER);
        export_folder(&exported, &export)?;
        let backend = open_backend(BackendKind::OnnxRuntime, &BackendOptions::default())?;
        Builder::new(backend.as_ref(), BuildOptions::default()).build(&exported, bundle, &mut ())?;
        Ok(())
    }

    /// Lends a bundle that is not there yet the export of another form, which has the same weights where it has the same
    /// precision. Whatever the next export changes takes the place of what was lent.
    fn start_from_another_form(&self, forms: &Path, bundle: &Path) -> io::Result<()> {
        let exported = bundle.join(ONNX_FOLDER);
        let others = Form::ALL.into_iter().filter(|form| form.precision() == self.form.precision());
        let mut others = others.map(|form| forms.join(form.name()).join(ONNX_FOLDER));
        let Some(other) = others.find(|other| other.is_dir()).filter(|_| !exported.exists()) else { return Ok(()) };
        fs::create_dir_all(&exported)?;
        for entry in fs::read_dir(other)? {
            let entry = entry?;
            fs::hard_link(entry.path(), exported.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn size_name(&self) -> &'static str {
        if self.config.dim == Preset::Base.config().dim { "base" } else { "small" }
    }

    /// A digest of what decides the weights: sizes, seed, and the rule itself by the first values of every tensor.
    fn digest(&self) -> Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.config.to_json().as_bytes());
        for tensor in expected_tensors(&self.config, self.part)? {
            let [_, video_side, _] = self.config.video.grid();
            let rule = ReproducibleTensor::new(self.seed, self.part, &tensor.name, &tensor.shape, video_side)?;
            let mut first = vec![0.0; rule.n_values().min(SAMPLED_VALUES)];
            rule.fill(0, &mut first);
            hasher.update(format!("{} {:?} {first:?}\n", tensor.name, tensor.shape).as_bytes());
        }
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }
}

impl BuiltModel {
    /// Where the bundle is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The sizes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The stages, served by the engines.
    ///
    /// # Panics
    /// When the bundle is not sound.
    pub fn stages(&self, n_threads: NonZeroUsize) -> EngineStages {
        let bundle = Bundle::open(&self.folder, BackendOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        EngineStages::new(bundle, SessionOptions { threads: Some(n_threads), ..SessionOptions::default() })
    }
}

/// Removes the engines of a bundle that an earlier version of this program made and this one does not read; the export
/// stays.
fn remove_unreadable_engines(bundle: &Path) -> io::Result<()> {
    let (manifest, engines) = (bundle.join(BUNDLE_MANIFEST_FILE), bundle.join(ENGINES_FOLDER));
    if !manifest.exists() || BundleManifest::read(bundle).is_ok() {
        return Ok(());
    }
    if engines.exists() {
        fs::remove_dir_all(engines)?;
    }
    fs::remove_file(manifest)
}

/// A weights folder that is written when its first tensor is asked for.
struct LazyWeights<'a> {
    recipe: &'a ModelRecipe,
    made: OnceCell<(WeightsFile, TempDir)>,
}

impl LazyWeights<'_> {
    fn make(&self) -> Result<(WeightsFile, TempDir)> {
        let temporary = tempfile::tempdir_in(cache())?;
        let folder = WeightsFolder::create(temporary.path(), &self.recipe.config)?;
        folder.write_reproducible(self.recipe.part, self.recipe.seed, |_, _| {})?;
        Ok((folder.part(self.recipe.part)?, temporary))
    }
}

impl Parameters for LazyWeights<'_> {
    fn parameter(&self, name: &str, shape: &[usize]) -> std::result::Result<Vec<f32>, ParameterError> {
        let (file, _) = self.made.get_or_init(|| self.make().unwrap_or_else(|error| panic!("{error}")));
        file.parameter(name, shape)
    }
}

/// The folder of what tests keep, on the disk of the workspace: it takes gigabytes.
fn cache() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../cache/test/published");
    fs::create_dir_all(&folder).expect("the workspace can be written to");
    folder
}
