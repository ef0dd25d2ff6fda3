//! Bundles of engines: what to build, what was built, and sessions by stage name.
//!
//! [`Builder`] makes a bundle from an exported folder: ONNX files, weights and the engines that a backend builds from
//! them, with a manifest that holds a digest of every file. It does again only what depends on something that changed.
//! [`Bundle`] opens one and gives sessions; before a stage is opened, exactly its files are checked against their
//! digests.
//!
//! **Invariants:** a bundle holds no absolute path and nothing outside its folder, so it can be moved. No backend ever
//! stands in for another.

mod backends;
mod build;
mod builder;
mod bundle;
mod error;
mod hashing;
mod manifest;
mod overrides;
mod progress;
mod stamps;

pub use backends::{BackendKind, BackendOptions, open_backend};
pub use build::{BuildOptions, BuildSummary, BuiltVariant};
pub use builder::Builder;
pub use bundle::{Bundle, Verification};
pub use error::{BundleError, Result};
pub use hashing::digest_file;
pub use manifest::{BUNDLE_MANIFEST_FILE, BUNDLE_SCHEMA, BundleManifest, BundleVariant, ENGINES_FOLDER, ONNX_FOLDER};
pub use overrides::ProfileOverrides;
pub use progress::Progress;
