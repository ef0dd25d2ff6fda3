use crate::layers;
use egom2p_engine_core::{EngineMemory, LayerRecord};
use egom2p_tensorrt_sys::{LogSink, Severity};
use std::sync::{Mutex, PoisonError};

const ACTIVATION: &str = "Total Activation Memory: ";
const WEIGHTS: &str = "Total Weights Memory: ";
/// The longest list of layers that is read.
const MAX_LAYERS_BYTES: usize = 256 << 20;

/// Takes from the log of a build what TensorRT tells nowhere else without a device.
#[derive(Debug, Default)]
pub(crate) struct BuildLog {
    told: Mutex<Told>,
}

/// Takes nothing: what matters of a run is in its error.
#[derive(Debug)]
pub(crate) struct Silent;

impl LogSink for Silent {
    fn log(&self, _: Severity, _: &str) {}
}

/// What a build told about its engine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) memory: EngineMemory,
    pub(crate) layers: Vec<LayerRecord>,
}

impl BuildLog {
    /// What was told so far.
    pub(crate) fn take(&self) -> Told {
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LogSink for BuildLog {
    fn log(&self, _: Severity, text: &str) {
        if text.starts_with(layers::LAYERS_START) {
            let layers = if text.len() <= MAX_LAYERS_BYTES { layers::read(text) } else { None };
            self.told.lock().unwrap_or_else(PoisonError::into_inner).layers = layers.unwrap_or_default();
        } else if let Some(n_bytes) = figure(text, ACTIVATION) {
            let memory = &mut self.told.lock().unwrap_or_else(PoisonError::into_inner).memory;
            // One line per profile: contexts of any of them must fit.
            memory.activation_bytes = memory.activation_bytes.max(Some(n_bytes));
        } else if let Some(n_bytes) = figure(text, WEIGHTS) {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).memory.weights_bytes = Some(n_bytes);
        }
    }
}

/// The number in a line such as `Total Weights Memory: 10171776 bytes`.
fn figure(text: &str, name: &str) -> Option<u64> {
    text.strip_prefix(name)?.strip_suffix(" bytes")?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;

    #[test]
    fn figures_and_layers_are_taken_from_the_log() {
        let log = BuildLog::default();
        for text in [
            "Total Host Persistent Memory: 80 bytes",
            "Total Activation Memory: 100 bytes",
            "Total Activation Memory: 70 bytes",
            "Total Weights Memory: 30 bytes",
            "Total Weights Memory: many bytes",
            "Layers:\nName: a, LayerType: b, Inputs: [], Outputs: [], TacticName: , Metadata: \n\n",
        ] {
            log.log(Severity::Info, text);
        }
        let told = log.take();
        assert_eq!(told.memory, EngineMemory { weights_bytes: Some(30), activation_bytes: Some(100) });
        assert_eq!((told.layers.len(), &*told.layers[0].name), (1, "a"));
        assert_eq!(log.take(), Told::default());
    }
}
