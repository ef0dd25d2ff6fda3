use egom2p_engine_core::{BuildMonitor, BuildReport, RelativePath};

/// Is told how a build proceeds. Every method does nothing unless it is implemented.
pub trait Progress {
    /// The build begins: so many engines are to be built, so many are as they should be.
    fn planned(&mut self, n_to_build: usize, n_unchanged: usize) {
        let _ = (n_to_build, n_unchanged);
    }

    /// A file of the export is being copied into the bundle.
    fn copying(&mut self, file: &RelativePath, n_bytes: u64) {
        let _ = (file, n_bytes);
    }

    /// An engine is being built.
    fn started(&mut self, stage: &str, variant: &str) {
        let _ = (stage, variant);
    }

    /// What is told how the build of the engine that was started last proceeds, and can stop it.
    fn monitor(&self) -> &dyn BuildMonitor {
        &()
    }

    /// An engine has been built.
    fn finished(&mut self, stage: &str, variant: &str, secs: f64, report: &BuildReport) {
        let _ = (stage, variant, secs, report);
    }

    /// An engine is as it should be and is left alone.
    fn skipped(&mut self, stage: &str, variant: &str) {
        let _ = (stage, variant);
    }
}

impl Progress for () {}
