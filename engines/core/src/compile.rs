use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Settings of backends that compile an engine for a GPU; others refuse everything but the default.
///
/// They decide what is compiled, so they are part of an engine's key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompileOptions {
    /// The compute capabilities that the engine is for, in order; none for the device of this machine.
    pub compute_capabilities: Vec<ComputeCapability>,
    /// How hard the compiler tries, from 0 to 5; `None` for its default.
    pub optimization_level: Option<u8>,
    /// Bytes of device memory that a layer may use to compute; `None` for all that the device has.
    pub workspace_bytes: Option<u64>,
    /// Whether products of 32-bit floats may be computed in TF32, which keeps 10 bits of their mantissas.
    pub tf32: bool,
    /// Whether later versions of the library of the same major version can run the engine.
    pub version_compatible: bool,
    /// Devices other than those it is compiled for that can run the engine.
    pub hardware_compatibility: Option<HardwareCompatibility>,
    /// Where the weights are.
    pub weights: EngineWeights,
}

/// A compute capability of NVIDIA devices, such as 8.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ComputeCapability {
    /// The generation.
    pub major: u32,
    /// The variant of the generation.
    pub minor: u32,
}

/// Devices that an engine runs on beside those that it was compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HardwareCompatibility {
    /// Every device of compute capability 8.0 or later.
    AmperePlus,
    /// Every device of the same compute capability.
    SameComputeCapability,
}

/// Where an engine's weights are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineWeights {
    /// In the engine, for good.
    #[default]
    Embedded,
    /// In the engine, and they can be replaced.
    Refittable,
    /// Not in the engine: they are put in when it is loaded.
    Stripped,
}

/// The text is no compute capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no compute capability\nwrite it as NVIDIA does, such as 8.6")]
pub struct ParseComputeCapabilityError {
    /// The text.
    pub text: String,
}

impl FromStr for ComputeCapability {
    type Err = ParseComputeCapabilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| ParseComputeCapabilityError { text: text.to_owned() })
    }
}

impl TryFrom<String> for ComputeCapability {
    type Error = ParseComputeCapabilityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ComputeCapability> for String {
    fn from(capability: ComputeCapability) -> Self {
        capability.to_string()
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::ComputeCapability;

    #[test]
    fn compute_capabilities_are_written_as_nvidia_does() {
        assert_eq!("8.6".parse(), Ok(ComputeCapability { major: 8, minor: 6 }));
        assert_eq!("12.0".parse::<ComputeCapability>().unwrap().to_string(), "12.0");
        for wrong in ["", "8", "8.", ".6", "8.6.1", "sm_86", "+8.6", "8.-6", "8.99999999999"] {
            assert!(wrong.parse::<ComputeCapability>().is_err(), "{wrong:?}");
        }
    }
}
