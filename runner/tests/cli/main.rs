//! The `egom2p` binary as its users meet it: what it prints, how it fails, and what it leaves behind.

mod artifacts;
mod bad_bundles;
mod bad_checkpoints;
mod bad_models;
mod bad_tokens;
mod bad_videos;
mod bare_machine;
mod bench;
mod benchmarks;
mod compiled_engines;
mod cuda_bundles;
mod engine_files;
mod full_disk;
mod gpu_checks;
mod inspect;
mod interrupts;
#[path = "../video/matroska.rs"]
mod matroska;
mod merged_weights;
mod tensor_files;
#[cfg(feature = "tensorrt")]
mod tensorrt;
mod transcript;
mod usage;
