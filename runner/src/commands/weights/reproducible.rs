//! `egom2p weights reproducible`: weights that follow from a rule.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use egom2p::io::OutputFolder;
use egom2p_model::{ModelConfig, Preset, WeightsFolder, read_golden_json, weights::WeightsPart};

use crate::{commands, console};

/// The largest JSON of reference values that is read.
const MAX_GOLDEN_BYTES: u64 = 16 << 20;

/// `egom2p weights reproducible`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model's sizes
    #[arg(long, value_name = "PRESET", value_parser = commands::preset, required_unless_present = "golden")]
    preset: Option<Preset>,
    /// JSON beside reference values, which brings its sizes, part and seed
    #[arg(long, value_name = "FILE.json", conflicts_with = "preset")]
    golden: Option<PathBuf>,
    /// Only these parts: model, camera, gaze, video [default: all of the preset, or the one of the reference values]
    #[arg(long, value_name = "PARTS", value_delimiter = ',', value_parser = commands::part)]
    parts: Option<Vec<WeightsPart>>,
    /// Another seed than 0 or that of the reference values
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The weights folder to write
    #[arg(long, value_name = "WEIGHTS")]
    out: PathBuf,
}

/// What is written.
struct Plan {
    config: ModelConfig,
    parts: Vec<WeightsPart>,
    seed: u64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let plan = match (&args.golden, args.preset) {
        (Some(golden), _) => Plan::of_golden(golden)?,
        (None, preset) => Plan::of_preset(preset.unwrap_or(Preset::Base)),
    };
    WeightsFolder::check_fits(&args.out, &plan.config)?;
    let output = OutputFolder::new(&args.out)?;
    let folder = WeightsFolder::create(output.staging(), &plan.config)?;
    let mut lines = Vec::new();
    for part in args.parts.as_ref().unwrap_or(&plan.parts) {
        let bar = console::progress(0, part.file_name());
        let written = folder.write_reproducible(*part, args.seed.unwrap_or(plan.seed), |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        let path = args.out.join(part.file_name());
        lines.push(format!("{}: {:.1} MB", path.display(), written.n_bytes as f64 / 1e6));
    }
    output.commit()?;
    lines.iter().for_each(console::print);
    Ok(())
}

impl Plan {
    fn of_preset(preset: Preset) -> Self {
        Self { config: preset.config(), parts: WeightsPart::ALL.to_vec(), seed: 0 }
    }

    fn of_golden(path: &Path) -> anyhow::Result<Self> {
        let named = || format!("cannot read {}\nname the .json beside the reference values", path.display());
        let n_bytes = fs::metadata(path).with_context(named)?.len();
        anyhow::ensure!(n_bytes <= MAX_GOLDEN_BYTES, named());
        let golden = read_golden_json(&fs::read_to_string(path).with_context(named)?).map_err(|error| {
            let what = error.to_string();
            let what = what.lines().next().unwrap_or_default();
            anyhow!("{}: {what}\nname the .json beside the reference values", path.display())
        })?;
        let prefix = golden["model_prefix"].as_str().unwrap_or_default();
        let part = WeightsPart::ALL.into_iter().find(|part| part.rule_prefix() == prefix);
        let part = part.with_context(|| {
            format!(
                "{} has no model_prefix egom2p, cam, gaze or video\nname the .json beside reference values of a model",
                path.display()
            )
        })?;
        let seed = golden["weight_seed"].as_u64().with_context(|| {
            format!("{} has no weight_seed\nname the .json beside reference values of a model", path.display())
        })?;
        Ok(Self { config: ModelConfig::from_golden_json(&golden)?, parts: vec![part], seed })
    }
}
