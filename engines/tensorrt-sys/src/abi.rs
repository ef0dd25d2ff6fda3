use crate::ffi;
use std::fmt;
use std::sync::OnceLock;

/// Which libraries a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// TensorRT 10 and 11: `libnvinfer`, `libnvonnxparser`.
    TensorRt,
    /// TensorRT for RTX: `libtensorrt_rtx`, `libtensorrt_onnxparser_rtx`.
    Rtx,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TensorRt => "TensorRT 10 or 11",
            Self::Rtx => "TensorRT-RTX 1",
        })
    }
}

/// Libraries whose classes agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Abi {
    /// TensorRT for RTX, version 1.
    Rtx,
    /// TensorRT 10.
    TensorRt10,
    /// TensorRT 11.
    TensorRt11,
}

impl Abi {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rtx, Self::TensorRt10, Self::TensorRt11];

    /// The family that the ABI is of.
    pub fn family(self) -> Family {
        match self {
            Self::Rtx => Family::Rtx,
            Self::TensorRt10 | Self::TensorRt11 => Family::TensorRt,
        }
    }

    /// File name of the library with the builder and the runtime, as its `SONAME` has it.
    pub fn core_name(self) -> &'static str {
        match self {
            Self::Rtx => "libtensorrt_rtx.so.1",
            Self::TensorRt10 => "libnvinfer.so.10",
            Self::TensorRt11 => "libnvinfer.so.11",
        }
    }

    /// File name of the library with the ONNX parser, as its `SONAME` has it.
    pub fn parser_name(self) -> &'static str {
        match self {
            Self::Rtx => "libtensorrt_onnxparser_rtx.so.1",
            Self::TensorRt10 => "libnvonnxparser.so.10",
            Self::TensorRt11 => "libnvonnxparser.so.11",
        }
    }

    /// Whether networks are parsed and built only where there is a driver.
    pub fn builds_need_driver(self) -> bool {
        self != Self::Rtx
    }

    /// Whether builds can fill and use a timing cache.
    pub fn has_timing_cache(self) -> bool {
        self != Self::Rtx
    }

    /// The ABI of a library of that family which says that version.
    pub(crate) fn of(family: Family, version: Version) -> Option<Self> {
        match (family, version.major) {
            (Family::Rtx, 1) => Some(Self::Rtx),
            (Family::TensorRt, 10) => Some(Self::TensorRt10),
            (Family::TensorRt, 11) => Some(Self::TensorRt11),
            _ => None,
        }
    }

    pub(crate) fn table(self) -> Option<&'static ffi::Table> {
        match self {
            Self::Rtx => ffi::rtx(),
            Self::TensorRt10 => ffi::trt10(),
            Self::TensorRt11 => ffi::trt11(),
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rtx => "TensorRT-RTX 1",
            Self::TensorRt10 => "TensorRT 10",
            Self::TensorRt11 => "TensorRT 11",
        })
    }
}

/// Version of a library or of headers, such as 1.7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Incompatible with the others.
    pub major: u32,
    /// Compatible with what was built for a lower one.
    pub minor: u32,
    /// The rest.
    pub patch: u32,
}

impl Version {
    /// Reads the number that `getInferLibVersion` gives: `10_701` is 1.7.1, `100_900` is 10.9.0. Before TensorRT 9 the
    /// places were narrower: `8_601` is 8.6.1.
    pub(crate) fn from_library(number: i32) -> Self {
        let number = number.max(0) as u32;
        let unit = if number < 10_000 { 1_000 } else { 10_000 };
        Self { major: number / unit, minor: number % unit / 100, patch: number % 100 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A shim that this program contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompiledShim {
    /// Libraries that it can use.
    pub abi: Abi,
    /// Headers that it was compiled against: libraries must be as new.
    pub headers: Version,
}

impl fmt::Display for CompiledShim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (headers {})", self.abi, self.headers)
    }
}

/// The shims that this program contains; none without the feature `shim`.
pub fn compiled_shims() -> &'static [CompiledShim] {
    static SHIMS: OnceLock<Vec<CompiledShim>> = OnceLock::new();
    SHIMS.get_or_init(|| {
        let shims = Abi::ALL.iter().filter_map(|abi| {
            let [major, minor, patch] = abi.table()?.headers.map(i32::cast_unsigned);
            Some(CompiledShim { abi: *abi, headers: Version { major, minor, patch } })
        });
        shims.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_numbers_read_as_versions() {
        for (number, text) in
            [(10_701, "1.7.1"), (100_900, "10.9.0"), (110_400, "11.4.0"), (8_601, "8.6.1"), (-1, "0.0.0")]
        {
            assert_eq!(Version::from_library(number).to_string(), text);
        }
    }

    #[test]
    fn the_family_and_the_major_pick_the_abi() {
        let abi = |family, number| Abi::of(family, Version::from_library(number));
        assert_eq!(abi(Family::Rtx, 10_701), Some(Abi::Rtx));
        assert_eq!(abi(Family::TensorRt, 100_900), Some(Abi::TensorRt10));
        assert_eq!(abi(Family::TensorRt, 110_400), Some(Abi::TensorRt11));
        assert_eq!(abi(Family::TensorRt, 10_701), None);
        assert_eq!(abi(Family::Rtx, 110_400), None);
    }
}
