use egom2p_engine_core::{Axis, DType, DimRange, Profile, TensorSpec};
use egom2p_tensorrt_sys::{ElementType, EngineProfile, EngineTensor, InputRange, TensorMode};
use std::collections::BTreeMap;

/// Compares what an engine says about its tensors with what is expected. Gives the ranges of the named dimensions in
/// each of its profiles; otherwise everything that does not fit, one line each.
pub(crate) fn compare(
    tensors: &[EngineTensor],
    profiles: &[EngineProfile],
    inputs: &[TensorSpec],
    outputs: &[TensorSpec],
) -> Result<Vec<Profile>, Vec<String>> {
    let mut wrong = Vec::new();
    for (specs, mode, word) in [(inputs, TensorMode::Input, "input"), (outputs, TensorMode::Output, "output")] {
        let of_mode: Vec<&EngineTensor> = tensors.iter().filter(|tensor| tensor.mode == mode).collect();
        for spec in specs {
            match of_mode.iter().find(|tensor| tensor.name == spec.name) {
                Some(tensor) => wrong.extend(compare_tensor(tensor, spec).err()),
                None => wrong.push(format!("it has no {word} {spec}")),
            }
        }
        let strangers = of_mode.iter().filter(|tensor| !specs.iter().any(|spec| spec.name == tensor.name));
        wrong.extend(strangers.map(|tensor| format!("it has an {word} {} too many", tensor.name)));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let profiles: Vec<_> = profiles.iter().map(|profile| named_ranges(tensors, profile, inputs)).collect();
    let mut ranges = Vec::new();
    for profile in profiles {
        match profile {
            Ok(profile) => ranges.push(profile),
            Err(what) => wrong.push(what),
        }
    }
    if wrong.is_empty() { Ok(ranges) } else { Err(wrong) }
}

/// The first of several lines and how many more there are.
pub(crate) fn summary(wrong: &[String]) -> String {
    match wrong {
        [] => "it does not fit".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first}, and {} more do not fit", rest.len()),
    }
}

fn compare_tensor(tensor: &EngineTensor, spec: &TensorSpec) -> Result<(), String> {
    let expected = match spec.dtype {
        DType::F32 => ElementType::Float,
        DType::I64 => ElementType::Int64,
        DType::Bool => ElementType::Bool,
    };
    if tensor.dtype != expected {
        return Err(format!("{} has elements of type {}: expected {spec}", tensor.name, tensor.dtype));
    }
    let fits = |(dim, axis): (&Option<i64>, &Axis)| match (dim, axis) {
        (Some(dim), Axis::Fixed(length)) => usize::try_from(*dim) == Ok(*length),
        (Some(dim), Axis::Named(_)) => *dim >= 0,
        (None, _) => true,
    };
    if tensor.dims.len() == spec.shape.len() && tensor.dims.iter().zip(&spec.shape).all(fits) {
        return Ok(());
    }
    let dims: Vec<String> = tensor.dims.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string())).collect();
    Err(format!("{} has shape [{}]: expected {spec}", tensor.name, dims.join(", ")))
}

/// The ranges of named dimensions in one profile. Inputs that share a dimension must agree on it, and an axis whose
/// length is fixed in the spec must be able to have it.
fn named_ranges(tensors: &[EngineTensor], profile: &EngineProfile, inputs: &[TensorSpec]) -> Result<Profile, String> {
    let mut dims: BTreeMap<String, DimRange> = BTreeMap::new();
    for spec in inputs {
        let tensor = tensors.iter().find(|tensor| tensor.name == spec.name);
        let range = profile.ranges.iter().find(|range| range.input == spec.name);
        for (at, axis) in spec.shape.iter().enumerate() {
            let fixed = tensor.and_then(|tensor| tensor.dims.get(at).copied().flatten());
            let Some(range) = axis_range(fixed, range, at) else {
                return Err(format!("it has no range for axis {at} of {}", spec.name));
            };
            match axis {
                Axis::Fixed(length) if (range.min..=range.max).contains(length) => {}
                Axis::Fixed(length) => {
                    let DimRange { min, max, .. } = range;
                    return Err(format!("axis {at} of {} takes {min} to {max}: expected {length}", spec.name));
                }
                Axis::Named(name) => {
                    let known = *dims.entry(name.clone()).or_insert(range);
                    if known != range {
                        let text = |range: DimRange| format!("{} to {}, best {}", range.min, range.max, range.opt);
                        return Err(format!(
                            "dimension {name} is {} in one input and {} in {}",
                            text(known),
                            text(range),
                            spec.name
                        ));
                    }
                }
            }
        }
    }
    Ok(Profile { dims })
}

fn axis_range(fixed: Option<i64>, range: Option<&InputRange>, at: usize) -> Option<DimRange> {
    let length = |length: i64| usize::try_from(length).ok();
    if let Some(fixed) = fixed {
        let fixed = length(fixed)?;
        return Some(DimRange { min: fixed, opt: fixed, max: fixed });
    }
    let of = |dims: &[i64]| dims.get(at).copied().and_then(length);
    let range = range?;
    Some(DimRange { min: of(&range.min)?, opt: of(&range.opt)?, max: of(&range.max)? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;

    fn spec(name: &str, dtype: DType, shape: &[&str]) -> TensorSpec {
        let axis = |text: &&str| text.parse().map_or_else(|_| Axis::Named((*text).to_owned()), Axis::Fixed);
        TensorSpec { name: name.to_owned(), dtype, shape: shape.iter().map(axis).collect() }
    }

    fn tensor(name: &str, mode: TensorMode, dtype: ElementType, dims: &[Option<i64>]) -> EngineTensor {
        EngineTensor { name: name.to_owned(), dtype, dims: dims.to_vec(), mode }
    }

    fn range(input: &str, min: &[i64], opt: &[i64], max: &[i64]) -> InputRange {
        InputRange { input: input.to_owned(), min: min.to_vec(), opt: opt.to_vec(), max: max.to_vec() }
    }

    fn specs() -> (Vec<TensorSpec>, Vec<TensorSpec>) {
        let inputs = vec![
            spec("tokens", DType::I64, &["batch", "visible"]),
            spec("context", DType::F32, &["batch", "visible", "192"]),
        ];
        (inputs, vec![spec("hidden", DType::F32, &["batch", "192"])])
    }

    fn tensors() -> Vec<EngineTensor> {
        vec![
            tensor("tokens", TensorMode::Input, ElementType::Int64, &[None, None]),
            tensor("context", TensorMode::Input, ElementType::Float, &[None, None, Some(192)]),
            tensor("hidden", TensorMode::Output, ElementType::Float, &[None, Some(192)]),
        ]
    }

    fn profile() -> EngineProfile {
        let ranges = vec![
            range("tokens", &[1, 0], &[1, 5], &[4, 9]),
            range("context", &[1, 0, 192], &[1, 5, 192], &[4, 9, 192]),
        ];
        EngineProfile { ranges, device_memory_bytes: 0 }
    }

    fn wrong(tensors: &[EngineTensor], profile: EngineProfile) -> Vec<String> {
        let (inputs, outputs) = specs();
        compare(tensors, &[profile], &inputs, &outputs).unwrap_err()
    }

    #[test]
    fn an_engine_that_fits_gives_its_ranges() {
        let (inputs, outputs) = specs();
        let profiles = compare(&tensors(), &[profile()], &inputs, &outputs).unwrap();
        let range = |min, opt, max| DimRange { min, opt, max };
        let dims = [("batch".to_owned(), range(1, 1, 4)), ("visible".to_owned(), range(0, 5, 9))];
        assert_eq!(profiles, [Profile { dims: dims.into() }]);
    }

    #[test]
    fn an_engine_of_one_length_has_a_range_of_that_length() {
        let (inputs, outputs) = specs();
        let mut tensors = tensors();
        tensors[0].dims = vec![Some(1), Some(7)];
        tensors[1].dims = vec![Some(1), Some(7), Some(192)];
        let profiles = [EngineProfile { ranges: Vec::new(), device_memory_bytes: 0 }];
        let profiles = compare(&tensors, &profiles, &inputs, &outputs).unwrap();
        assert_eq!(profiles[0].dims["visible"], DimRange { min: 7, opt: 7, max: 7 });
    }

    #[test]
    fn missing_and_extra_tensors_are_named() {
        let mut tensors = tensors();
        tensors[0].name = "token".to_owned();
        tensors[2].mode = TensorMode::Input;
        assert_eq!(
            wrong(&tensors, profile()),
            [
                "it has no input tokens i64 [batch, visible]",
                "it has an input token too many",
                "it has an input hidden too many",
                "it has no output hidden f32 [batch, 192]",
            ]
        );
        assert_eq!(
            summary(&wrong(&tensors, profile())),
            "it has no input tokens i64 [batch, visible], and 3 more do not fit"
        );
    }

    #[test]
    fn types_ranks_and_lengths_are_compared() {
        let changed = |change: &dyn Fn(&mut Vec<EngineTensor>)| {
            let mut tensors = tensors();
            change(&mut tensors);
            wrong(&tensors, profile())
        };
        assert_eq!(
            changed(&|tensors| tensors[0].dtype = ElementType::Int32),
            ["tokens has elements of type int32: expected tokens i64 [batch, visible]"]
        );
        assert_eq!(
            changed(&|tensors| tensors[2].dtype = ElementType::Half),
            ["hidden has elements of type float16: expected hidden f32 [batch, 192]"]
        );
        assert_eq!(
            changed(&|tensors| tensors[1].dims = vec![None, Some(192)]),
            ["context has shape [?, 192]: expected context f32 [batch, visible, 192]"]
        );
        assert_eq!(
            changed(&|tensors| tensors[1].dims[2] = Some(768)),
            ["context has shape [?, ?, 768]: expected context f32 [batch, visible, 192]"]
        );
    }

    #[test]
    fn ranges_must_agree_and_hold_fixed_lengths() {
        let mut other = profile();
        other.ranges[1].max[1] = 8;
        assert_eq!(
            wrong(&tensors(), other),
            ["dimension visible is 0 to 9, best 5 in one input and 0 to 8, best 5 in context"]
        );
        let mut dynamic = tensors();
        dynamic[1].dims[2] = None;
        let mut narrow = profile();
        narrow.ranges[1].max[2] = 100;
        narrow.ranges[1].min[2] = 1;
        assert_eq!(wrong(&dynamic, narrow), ["axis 2 of context takes 1 to 100: expected 192"]);
        let mut absent = profile();
        absent.ranges.remove(0);
        assert_eq!(wrong(&tensors(), absent), ["it has no range for axis 0 of tokens"]);
    }
}
