//! How parameters move (specification section 5.3).

mod adamw;

pub use adamw::{AdamW, AdamWSettings, no_weight_decay};
