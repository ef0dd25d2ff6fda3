use crate::{Result, Session, SessionOptions, TensorSpec};

/// A built stage. It holds no weights yet: sessions do.
pub trait Engine: Send + Sync {
    /// What its sessions take.
    fn inputs(&self) -> &[TensorSpec];

    /// What its sessions give.
    fn outputs(&self) -> &[TensorSpec];

    /// Loads the weights and makes a session.
    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>>;
}
