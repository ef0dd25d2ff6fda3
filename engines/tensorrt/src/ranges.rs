use egom2p_engine_core::Profile;
use egom2p_tensorrt_sys::{InputRange, NetworkDim, NetworkTensor};

/// The ranges of all inputs in each profile; no profile where no input has a dynamic axis. The error says which axis
/// has no name, and which dimension has no range.
pub(crate) fn input_ranges(inputs: &[NetworkTensor], profiles: &[Profile]) -> Result<Vec<Vec<InputRange>>, String> {
    let dynamic: Vec<&NetworkTensor> = inputs.iter().filter(|input| input.is_dynamic()).collect();
    match (dynamic.first(), profiles) {
        (None, _) => Ok(Vec::new()),
        (Some(input), []) => Err(format!("input {input} has axes of no fixed length, and there is no profile")),
        (Some(_), profiles) => {
            let of_profile = |profile| dynamic.iter().map(|input| input_range(input, profile)).collect();
            profiles.iter().map(of_profile).collect()
        }
    }
}

fn input_range(input: &NetworkTensor, profile: &Profile) -> Result<InputRange, String> {
    let mut range = InputRange { input: input.name.clone(), min: Vec::new(), opt: Vec::new(), max: Vec::new() };
    for (axis, dim) in input.dims.iter().enumerate() {
        let [min, opt, max] = match dim {
            NetworkDim::Fixed(length) => [*length; 3],
            NetworkDim::Dynamic(None) => {
                return Err(format!("axis {axis} of input {} has neither a length nor a name", input.name));
            }
            NetworkDim::Dynamic(Some(name)) => {
                let Some(range) = profile.dims.get(name) else {
                    let known: Vec<&str> = profile.dims.keys().map(String::as_str).collect();
                    return Err(format!(
                        "dimension {name} of input {} has no range: the profile has {}",
                        input.name,
                        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                    ));
                };
                let length = |length: usize| {
                    i64::try_from(length).map_err(|_| format!("dimension {name} cannot be as long as {length}"))
                };
                [length(range.min)?, length(range.opt)?, length(range.max)?]
            }
        };
        range.min.push(min);
        range.opt.push(opt);
        range.max.push(max);
    }
    Ok(range)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;
    use egom2p_engine_core::DimRange;
    use egom2p_tensorrt_sys::ElementType;

    fn input(name: &str, dims: &[NetworkDim]) -> NetworkTensor {
        NetworkTensor { name: name.to_owned(), dtype: ElementType::Float, dims: dims.to_vec() }
    }

    fn named(name: &str) -> NetworkDim {
        NetworkDim::Dynamic(Some(name.to_owned()))
    }

    fn profile(dims: &[(&str, usize, usize, usize)]) -> Profile {
        let range = |&(name, min, opt, max): &(&str, _, _, _)| (name.to_owned(), DimRange { min, opt, max });
        Profile { dims: dims.iter().map(range).collect() }
    }

    #[test]
    fn axes_of_one_name_have_one_range_in_every_input() {
        let inputs = [
            input("x", &[named("batch"), NetworkDim::Fixed(3), named("visible")]),
            input("fixed", &[NetworkDim::Fixed(2)]),
            input("y", &[named("visible")]),
        ];
        let profiles = [
            profile(&[("batch", 1, 1, 4), ("visible", 0, 5, 9)]),
            profile(&[("batch", 1, 2, 2), ("visible", 7, 7, 7)]),
        ];
        let ranges = input_ranges(&inputs, &profiles).unwrap();
        assert_eq!(ranges.len(), 2);
        assert_eq!(
            ranges[0],
            [
                InputRange { input: "x".to_owned(), min: vec![1, 3, 0], opt: vec![1, 3, 5], max: vec![4, 3, 9] },
                InputRange { input: "y".to_owned(), min: vec![0], opt: vec![5], max: vec![9] },
            ]
        );
        assert_eq!((&*ranges[1][0].min, &*ranges[1][0].max), (&[1, 3, 7][..], &[2, 3, 7][..]));
    }

    #[test]
    fn a_model_without_dynamic_axes_needs_no_profile() {
        let inputs = [input("x", &[NetworkDim::Fixed(2)])];
        assert_eq!(input_ranges(&inputs, &[profile(&[("batch", 1, 1, 1)])]).unwrap(), Vec::<Vec<InputRange>>::new());
        assert!(input_ranges(&inputs, &[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let batch = input("x", &[named("batch"), NetworkDim::Fixed(3)]);
        let error = |inputs: &[NetworkTensor], profiles: &[Profile]| input_ranges(inputs, profiles).unwrap_err();
        assert!(
            error(std::slice::from_ref(&batch), &[]).ends_with("has axes of no fixed length, and there is no profile")
        );
        assert_eq!(
            error(std::slice::from_ref(&batch), &[profile(&[("frames", 1, 1, 1), ("queries", 1, 1, 1)])]),
            "dimension batch of input x has no range: the profile has frames, queries"
        );
        assert_eq!(
            error(&[input("x", &[NetworkDim::Dynamic(None)])], &[profile(&[])]),
            "axis 0 of input x has neither a length nor a name"
        );
        assert_eq!(
            error(&[batch], &[profile(&[("batch", 1, 1, usize::MAX)])]),
            format!("dimension batch cannot be as long as {}", usize::MAX)
        );
    }
}
