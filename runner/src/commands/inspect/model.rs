use egom2p_model::{ModelConfig, Preset};
use serde_json::Value;

use super::report::plain;

/// The name of a model's sizes for a headline: its preset, or that it has none.
pub(super) fn name(preset: Option<&str>) -> String {
    preset.map_or_else(|| "sizes of its own".to_owned(), plain)
}

/// The preset of a config, if it is one.
pub(super) fn preset(config: &ModelConfig) -> Option<&'static str> {
    Preset::of(config).map(Preset::name)
}

/// A line on the sizes of a model.
pub(super) fn line(config: &ModelConfig) -> String {
    let ModelConfig { dim, heads, encoder_blocks, decoder_blocks, video, motion, .. } = config;
    let [t, h, w] = video.grid();
    format!(
        "model: {dim} wide, {heads} heads, {encoder_blocks} + {decoder_blocks} blocks; \
         video {} x {} x {} to {t} x {h} x {w} of {} tokens; \
         motion {} samples to {} of {} tokens",
        video.frames,
        video.height,
        video.width,
        video.vocabulary,
        motion.samples,
        motion.n_tokens(),
        motion.vocabulary
    )
}

/// The line of a config that a manifest carries; the other way round, what is wrong with it.
pub(super) fn line_of_json(config: &Value) -> Result<String, String> {
    let config = ModelConfig::from_json(&config.to_string()).map_err(|error| first_line(&error))?;
    Ok(line(&config))
}

/// The first line of an error: what, without how to mend it.
pub(super) fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
