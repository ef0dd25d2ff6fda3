use crate::{EngineError, Result, Session, SessionOptions, TensorSpec};
use egom2p_device::ComputeDevice;
use std::sync::Arc;

/// A built stage. It holds no weights yet: sessions do.
pub trait Engine: Send + Sync {
    /// What its sessions take.
    fn inputs(&self) -> &[TensorSpec];

    /// What its sessions give.
    fn outputs(&self) -> &[TensorSpec];

    /// Loads the weights and makes a session. Engines for a GPU take the first visible one.
    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>>;

    /// Makes a session for tensors of this device, which [`Session::enqueue`] then takes. Sessions of one engine share
    /// its weights where the backend can share them; several serve several streams.
    ///
    /// # Errors
    /// [`EngineError::NotOnDevice`] unless the engine was built for a device of this kind.
    fn session_on(&self, device: &Arc<dyn ComputeDevice>, options: &SessionOptions) -> Result<Box<dyn Session>> {
        let _ = options;
        Err(EngineError::NotOnDevice { device: device.facts().name.clone() })
    }
}
