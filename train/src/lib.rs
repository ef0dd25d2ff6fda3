//! Training of EgoM2P and its tokenizers: the stage graphs run by libtorch, the published losses, optimiser and masking.

mod batch;
pub mod checkpoint;
pub mod data;
pub mod distributed;
mod error;
pub mod evaluation;
mod head;
mod losses;
mod masking;
pub mod metrics;
mod network;
mod optimizer;
pub mod preparation;
mod pretraining;
mod random;
mod schedule;
pub mod tokenizers;

pub use batch::{Batch, BatchRow, Selection};
pub use error::{Result, TrainError};
pub use losses::{LossKind, ModalityLosses};
pub use masking::{Budgets, Masking, MaskingError, MaskingSettings, ModalityWeights};
pub use network::Network;
pub use optimizer::{AdamW, AdamWSettings, no_weight_decay};
pub use pretraining::{
    BatchSettings, Initial, Initialization, Pretraining, PretrainingError, PretrainingSettings, Progress, SampleName,
    SettingsError, StepReport, TaskReport, TrainingPrecision, Validation, ValidationReport,
};
pub use schedule::{Schedule, ScheduleSettings};
