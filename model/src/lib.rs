//! What EgoM2P is: presets, stage graphs, weights by published name, checkpoint import.

mod blocks;
mod config;
mod expected;
mod folder;
mod modality;
mod preset;
mod stage;
mod stages;
pub mod weights;

pub use config::{
    ConfigError, ModelConfig, MotionTokenizerConfig, MotionTokens, VideoTokenizerConfig, VideoTokens, read_golden_json,
};
pub use expected::expected_tensors;
pub use folder::{CONFIG_FILE, WeightsFolder, WeightsFolderError};
pub use modality::Modality;
pub use preset::{Preset, UnknownPreset};
pub use stage::{Stage, UnknownStage, Variant};
pub use stages::{StageError, TokenizerHalves, stage_graph, tokenizer_halves};
