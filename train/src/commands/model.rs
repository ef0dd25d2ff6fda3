use super::shell;
use anyhow::{Context as _, ensure};
use egom2p_model::{CONFIG_FILE, ModelConfig, Preset};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The largest file of settings or sizes that is read.
const MAX_BYTES: u64 = 1 << 20;

/// Which model is meant.
#[derive(clap::Args)]
pub(super) struct ModelArgs {
    /// The model's sizes: egom2p-base or egom2p-tiny [default: egom2p-base]
    #[arg(long, value_name = "PRESET", value_parser = super::preset, conflicts_with = "config")]
    preset: Option<Preset>,
    /// Other sizes, as in the config.json of a weights folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ModelArgs {
    /// Fails where sizes were asked for although a training goes on, whose sizes its checkpoint has.
    pub(super) fn check_resume(&self, is_resumed: bool) -> anyhow::Result<()> {
        ensure!(
            !is_resumed || (self.preset.is_none() && self.config.is_none()),
            "the sizes of a training that goes on are those of its checkpoint\nleave --preset and --config out with --resume"
        );
        Ok(())
    }

    /// How another command names the same model, with a space before it.
    pub(super) fn option(&self) -> String {
        match (&self.config, self.preset) {
            (Some(path), _) => format!(" --config {}", shell::quoted(&path.display())),
            (None, Some(preset)) => format!(" --preset {}", preset.name()),
            (None, None) => String::new(),
        }
    }

    /// The sizes that were asked for.
    pub(super) fn config(&self) -> anyhow::Result<ModelConfig> {
        let Some(path) = &self.config else { return Ok(self.preset.unwrap_or(Preset::Base).config()) };
        let text = read_text(path)?;
        ModelConfig::from_json(&text).with_context(|| path.display().to_string())
    }
}

/// How a command names the model of a weights folder, with a space before it; nothing for the preset that is meant anyway.
pub(super) fn option(config: &ModelConfig, folder: &Path) -> String {
    match Preset::of(config) {
        Some(Preset::Base) => String::new(),
        Some(preset) => format!(" --preset {}", preset.name()),
        None => format!(" --config {}", shell::quoted(&folder.join(CONFIG_FILE).display())),
    }
}

/// The text of a small file that was named.
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    let named = || format!("cannot read {}\nname a JSON file that may be read", path.display());
    let n_bytes = fs::metadata(path).with_context(named)?.len();
    ensure!(
        n_bytes <= MAX_BYTES,
        "{} has {n_bytes} bytes, expected at most {MAX_BYTES}\nname a JSON file of settings",
        path.display()
    );
    fs::read_to_string(path).with_context(named)
}
