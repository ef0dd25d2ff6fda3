use egom2p_tensorrt_sys::{Abi, Family};

/// What the two families differ in, as far as places and messages go.
#[derive(Debug)]
pub(crate) struct FamilyFacts {
    /// The family.
    pub(crate) family: Family,
    /// The backend's name in messages, manifests and commands.
    pub(crate) name: &'static str,
    /// The library's name for people.
    pub(crate) product: &'static str,
    /// Environment variable that names the library to open.
    pub(crate) variable: &'static str,
    /// The versions that are supported, newest first.
    pub(crate) abis: &'static [Abi],
    /// Where the libraries are in the cache of a workspace, if the set-up puts them there.
    pub(crate) cache: Option<&'static str>,
    /// Where NVIDIA's packages put them.
    pub(crate) system: Option<&'static str>,
    /// How to get them.
    pub(crate) mend: &'static str,
}

/// TensorRT for RTX.
pub(crate) const RTX: FamilyFacts = FamilyFacts {
    family: Family::Rtx,
    name: "tensorrt-rtx",
    product: "TensorRT for RTX",
    variable: "TENSORRT_RTX_LIBRARY",
    abis: &[Abi::Rtx],
    cache: Some("tensorrt/rtx-1.7.1.116"),
    system: None,
    mend: "run \"cargo xtask setup\", or name the folder with the libraries of TensorRT for RTX 1.7 with \
           TENSORRT_RTX_LIBRARY",
};

/// TensorRT 10 and 11.
pub(crate) const TENSORRT: FamilyFacts = FamilyFacts {
    family: Family::TensorRt,
    name: "tensorrt",
    product: "TensorRT",
    variable: "TENSORRT_LIBRARY",
    abis: &[Abi::TensorRt11, Abi::TensorRt10],
    cache: None,
    system: Some("/usr/lib/x86_64-linux-gnu"),
    mend: "install TensorRT 11 or 10 from NVIDIA, or name the folder with its libraries with TENSORRT_LIBRARY",
};
