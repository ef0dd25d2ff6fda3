use egom2p_graph::BuildError;

use crate::{ConfigError, Stage, Variant};

/// A stage that has no graph.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StageError {
    /// The sizes make no model.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sizes do not include the stage's tokenizer.
    #[error("stage {stage} has no sizes in this config\nuse weights whose config.json has a {}_tokenizer", .stage.tokenizer_name())]
    NoTokenizer {
        /// The stage.
        stage: Stage,
    },
    /// The stage has no such form.
    #[error("stage {stage} has no variant called {variant}\nuse {}", .stage.variant_names())]
    Variant {
        /// The stage.
        stage: Stage,
        /// The form that was asked for.
        variant: Variant,
    },
    /// The stage contradicts itself, which is a mistake in this library.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Stage {
    /// The first word of a tokenizer stage's name, as in `gaze_decoder`.
    fn tokenizer_name(self) -> &'static str {
        let name = self.name();
        name.split_once('_').map_or(name, |(tokenizer, _)| tokenizer)
    }

    fn variant_names(self) -> String {
        let names: Vec<_> = self.variants().iter().map(|variant| variant.name()).collect();
        names.join(" or ")
    }
}
