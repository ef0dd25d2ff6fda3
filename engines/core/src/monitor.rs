/// Is told how the build of one engine proceeds, and can stop it.
pub trait BuildMonitor: Sync {
    /// A phase of the build, in the words of the backend, has done `step` of its `n_steps`.
    fn step(&self, phase: &str, step: u32, n_steps: u32) {
        let _ = (phase, step, n_steps);
    }

    /// Whether the build is to stop. It then fails with [`EngineError::Cancelled`](crate::EngineError::Cancelled).
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl BuildMonitor for () {}
