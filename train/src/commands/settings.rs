//! `egom2p-train settings`: what trainings go by, as JSON to start from.

use super::tokenizer::TokenizerFile;
use crate::console;
use egom2p_model::weights::WeightsPart;
use egom2p_train::PretrainingSettings;
use egom2p_train::tokenizers::SettingsSource;

const EXAMPLES: &str = "\
Examples:
  A shorter training of the gaze tokenizer, after an edit of \"epochs\":
    egom2p-train settings gaze > gaze.json
    egom2p-train tokenizer gaze --data clips --out gaze --settings gaze.json
  The paper's settings of pretraining where the published code differs:
    egom2p-train settings pretraining --source paper > paper.json";

/// `egom2p-train settings`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Of which training
    #[arg(value_enum, value_name = "TRAINING")]
    training: TrainingName,
    /// Where paper and published code differ: whose
    #[arg(long, value_name = "NAME", default_value = "published", value_parser = source)]
    source: SettingsSource,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TrainingName {
    /// The gaze tokenizer
    Gaze,
    /// The camera tokenizer
    Camera,
    /// The video tokenizer
    Video,
    /// Pretraining and post-training of the main model
    Pretraining,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let part = match args.training {
        TrainingName::Gaze => WeightsPart::Gaze,
        TrainingName::Camera => WeightsPart::Camera,
        TrainingName::Video => WeightsPart::Video,
        TrainingName::Pretraining => return console::print_json(&PretrainingSettings::preset(args.source.name())?),
    };
    console::print_json(&TokenizerFile::of(part, args.source)?)
}

fn source(name: &str) -> Result<SettingsSource, String> {
    SettingsSource::from_name(name).ok_or_else(|| format!("{name} has no settings; use paper or published"))
}
