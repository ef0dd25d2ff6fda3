use crate::library::Library;
use crate::network::{NetworkDim, NetworkTensor};
use crate::{MAX_DIMS, Result, SysError, ffi};
use std::ffi::CString;

/// How a network is built. The default leaves everything to TensorRT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildSettings {
    /// Names of builder flags to set, such as `kSTRIP_PLAN`. [`Library::builder_flags`] lists what there is.
    pub flags: Vec<String>,
    /// Names of builder flags to clear: `kTF32` is set by default.
    pub cleared_flags: Vec<String>,
    /// Optimisation profiles. Each has a range for every input with a dynamic dimension.
    pub profiles: Vec<Vec<InputRange>>,
    /// Most device memory that kernels may take for scratch, in bytes.
    pub workspace_bytes: Option<u64>,
    /// How long to search for faster kernels, from 0 to 5.
    pub optimization_level: Option<u8>,
    /// Devices to build for, TensorRT-RTX only. None means the present one, which needs a driver.
    pub compute_capabilities: Vec<(u32, u32)>,
    /// Name of a level of hardware compatibility, such as `kAMPERE_PLUS`.
    pub hardware_compatibility: Option<String>,
    /// Contents of a timing cache to begin with; empty for a new one. `None` builds without one.
    pub timing_cache: Option<Vec<u8>>,
    /// Whether the engine keeps what its layers are, for the inspector.
    pub detailed_layers: bool,
    /// Most threads that the builder may use.
    pub max_threads: Option<u32>,
}

/// Shapes of one input in one profile: what the engine takes, and what it is fastest for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRange {
    /// Name of the input.
    pub input: String,
    /// Smallest shape; dimensions may be 0.
    pub min: Vec<i64>,
    /// Shape to optimise for.
    pub opt: Vec<i64>,
    /// Largest shape.
    pub max: Vec<i64>,
}

/// Settings in the numbers of one ABI, checked against a network.
pub(crate) struct Resolved {
    pub(crate) set_flags: Vec<i32>,
    pub(crate) cleared_flags: Vec<i32>,
    pub(crate) compute_capabilities: Vec<i32>,
    pub(crate) hardware_level: i32,
    pub(crate) ranges: Vec<ffi::Range>,
    /// What `ranges` points to.
    _names: Vec<CString>,
}

impl BuildSettings {
    pub(crate) fn resolve(&self, library: &Library, inputs: &[NetworkTensor]) -> Result<Resolved> {
        let table = library.table();
        let flag = |name: &String| named(library, "builder flag", &table.builder_flags, name);
        let hardware = |name: &String| named(library, "level of hardware compatibility", &table.hardware_levels, name);
        if let Some(name) = self.flags.iter().find(|name| self.cleared_flags.contains(name)) {
            return Err(SysError::FlagSetAndCleared { name: name.clone() });
        }
        if self.timing_cache.is_some() && !library.abi().has_timing_cache() {
            return Err(SysError::NoTimingCache { abi: library.abi() });
        }
        self.check_numbers()?;
        let mut names = Vec::new();
        let mut ranges = Vec::new();
        for (place, profile) in self.profiles.iter().enumerate() {
            check_profile(place, profile, inputs)?;
            for range in profile {
                let name = CString::new(range.input.as_str())
                    .map_err(|_| SysError::Profile { profile: place, what: "an input has a zero byte".to_owned() })?;
                // The text stays where it is when the vector grows.
                ranges.push(range.for_shim(name.as_ptr(), place));
                names.push(name);
            }
        }
        Ok(Resolved {
            set_flags: self.flags.iter().map(flag).collect::<Result<_>>()?,
            cleared_flags: self.cleared_flags.iter().map(flag).collect::<Result<_>>()?,
            compute_capabilities: self.capabilities(library)?,
            hardware_level: self.hardware_compatibility.as_ref().map(hardware).transpose()?.unwrap_or(-1),
            ranges,
            _names: names,
        })
    }

    fn check_numbers(&self) -> Result<()> {
        let wrong = |what| Err(SysError::Setting { what });
        if let Some(level) = self.optimization_level.filter(|level| *level > 5) {
            return wrong(format!("optimisation level {level}: expected 0 to 5"));
        }
        if self.max_threads.is_some_and(|threads| threads == 0 || i32::try_from(threads).is_err()) {
            return wrong("number of threads: expected at least 1".to_owned());
        }
        if let Some(bytes) = self.workspace_bytes.filter(|bytes| i64::try_from(*bytes).is_err()) {
            return wrong(format!("workspace of {bytes} bytes: expected less than 2^63"));
        }
        Ok(())
    }

    fn capabilities(&self, library: &Library) -> Result<Vec<i32>> {
        let known = library.compute_capabilities();
        let value = |asked: &(u32, u32)| {
            if known.contains(asked) {
                return Ok((asked.0 * 10 + asked.1).cast_signed());
            }
            Err(SysError::ComputeCapability { abi: library.abi(), asked: *asked, known: known.clone() })
        };
        let mut values = self.compute_capabilities.iter().map(value).collect::<Result<Vec<_>>>()?;
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

impl InputRange {
    fn for_shim(&self, input: *const std::ffi::c_char, profile: usize) -> ffi::Range {
        let dims = |dims: &[i64]| {
            let mut all = [0; MAX_DIMS];
            all[..dims.len()].copy_from_slice(dims);
            all
        };
        ffi::Range {
            input,
            profile: profile as u32,
            n_dims: self.min.len() as i32,
            min: dims(&self.min),
            opt: dims(&self.opt),
            max: dims(&self.max),
        }
    }
}

fn named(library: &Library, kind: &'static str, list: &ffi::NamedList, name: &str) -> Result<i32> {
    list.value(name).ok_or_else(|| SysError::UnknownName {
        abi: library.abi(),
        kind,
        name: name.to_owned(),
        known: list.names().into_iter().map(str::to_owned).collect(),
    })
}

fn check_profile(place: usize, profile: &[InputRange], inputs: &[NetworkTensor]) -> Result<()> {
    let wrong = |what| Err(SysError::Profile { profile: place, what });
    for (at, range) in profile.iter().enumerate() {
        let name = &range.input;
        let Some(input) = inputs.iter().find(|input| input.name == *name) else {
            let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return wrong(format!("there is no input {name}: expected {}", known.join(", ")));
        };
        if profile[..at].iter().any(|earlier| earlier.input == *name) {
            return wrong(format!("input {name} has two ranges"));
        }
        for (which, dims) in [("min", &range.min), ("opt", &range.opt), ("max", &range.max)] {
            if dims.len() != input.dims.len() {
                return wrong(format!("{which} of {name} has {} dimensions: expected {input}", dims.len()));
            }
        }
        for (axis, dim) in input.dims.iter().enumerate() {
            let (min, opt, max) = (range.min[axis], range.opt[axis], range.max[axis]);
            let fits = match dim {
                NetworkDim::Fixed(size) => [min, opt, max] == [*size; 3],
                NetworkDim::Dynamic(_) => 0 <= min && min <= opt && opt <= max,
            };
            if !fits {
                return wrong(format!("axis {axis} of {name} is {dim}, but its range is {min}, {opt}, {max}"));
            }
        }
    }
    let without = |input: &&NetworkTensor| input.is_dynamic() && !profile.iter().any(|range| range.input == input.name);
    match inputs.iter().find(without) {
        Some(input) => wrong(format!("input {input} has no range")),
        None => Ok(()),
    }
}
