//! The checks before and after every run, on a session that records what reaches it.

#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

use egom2p_engine_core::{
    Axis, DType, DimRange, Dims, EngineError, Profile, Result, RunSession, Session, Tensor, TensorSpec,
};

struct Recorder {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    profiles: Vec<Profile>,
    answer: Vec<Tensor>,
    runs: usize,
}

impl RunSession for Recorder {
    fn input_specs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn output_specs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    fn run_impl(&mut self, inputs: &[&Tensor], dims: &Dims) -> Result<Vec<Tensor>> {
        self.runs += 1;
        assert_eq!(inputs[0].dtype(), DType::I64, "inputs come in the order of the specs");
        assert_eq!(dims.get("visible"), Some(inputs[0].shape()[1]));
        Ok(self.answer.clone())
    }
}

fn spec(name: &str, dtype: DType, shape: &[&str]) -> TensorSpec {
    let axis = |text: &&str| text.parse().map_or_else(|_| Axis::Named((*text).to_owned()), Axis::Fixed);
    TensorSpec { name: name.to_owned(), dtype, shape: shape.iter().map(axis).collect() }
}

fn visible(min: usize, max: usize) -> Profile {
    Profile { dims: [("visible".to_owned(), DimRange { min, opt: max, max })].into() }
}

fn recorder() -> Recorder {
    Recorder {
        inputs: vec![
            spec("tokens", DType::I64, &["batch", "visible"]),
            spec("context", DType::F32, &["batch", "visible", "4"]),
        ],
        outputs: vec![spec("hidden", DType::F32, &["batch", "4"])],
        profiles: vec![visible(0, 3)],
        answer: vec![Tensor::zeros(DType::F32, [1, 4]).unwrap()],
        runs: 0,
    }
}

fn refusal(inputs: &[(&str, &Tensor)]) -> EngineError {
    let mut session = recorder();
    let error = session.run(inputs).unwrap_err();
    assert_eq!(session.runs, 0, "the backend is not reached");
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
    error
}

#[test]
fn fitting_inputs_run_in_any_order_and_zero_length() {
    for visible in [0, 2] {
        let tokens = Tensor::zeros(DType::I64, [1, visible]).unwrap();
        let context = Tensor::zeros(DType::F32, [1, visible, 4]).unwrap();
        let outputs = recorder().run(&[("context", &context), ("tokens", &tokens)]).unwrap();
        assert_eq!(outputs[0].0, "hidden");
    }
}

#[test]
fn names_must_fit() {
    let tokens = Tensor::zeros(DType::I64, [1, 2]).unwrap();
    let context = Tensor::zeros(DType::F32, [1, 2, 4]).unwrap();
    assert!(matches!(refusal(&[("tokens", &tokens)]), EngineError::MissingInput { .. }));
    assert!(matches!(
        refusal(&[("tokens", &tokens), ("context", &context), ("mask", &tokens)]),
        EngineError::UnknownInput { .. }
    ));
    assert!(matches!(
        refusal(&[("tokens", &tokens), ("context", &context), ("tokens", &tokens)]),
        EngineError::RepeatedInput { .. }
    ));
}

#[test]
fn types_shapes_and_named_dimensions_must_fit() {
    let tokens = Tensor::zeros(DType::I64, [1, 2]).unwrap();
    let context = |shape: &[usize]| Tensor::zeros(DType::F32, shape).unwrap();
    let floats = Tensor::zeros(DType::F32, [1, 2]).unwrap();
    assert!(matches!(
        refusal(&[("tokens", &floats), ("context", &context(&[1, 2, 4]))]),
        EngineError::DType { expected: DType::I64, got: DType::F32, .. }
    ));
    for shape in [&[1, 2][..], &[1, 2, 5], &[1, 2, 4, 1]] {
        assert!(matches!(refusal(&[("tokens", &tokens), ("context", &context(shape))]), EngineError::Shape { .. }));
    }
    let error = refusal(&[("tokens", &tokens), ("context", &context(&[1, 3, 4]))]);
    assert!(error.to_string().starts_with("dimension visible of context is 3, but tokens has 2\n"), "{error}");
    let tokens = Tensor::zeros(DType::I64, [1, 4]).unwrap();
    assert!(matches!(
        refusal(&[("tokens", &tokens), ("context", &context(&[1, 4, 4]))]),
        EngineError::OutsideProfile { got: 4, .. }
    ));
}

#[test]
fn outputs_are_checked_too() {
    let tokens = Tensor::zeros(DType::I64, [2, 2]).unwrap();
    let context = Tensor::zeros(DType::F32, [2, 2, 4]).unwrap();
    let error = recorder().run(&[("tokens", &tokens), ("context", &context)]).unwrap_err();
    assert!(matches!(error, EngineError::NamedDim { .. }), "the answer has batch 1, the inputs have 2: {error}");
    let mut short = recorder();
    short.answer.clear();
    let tokens = Tensor::zeros(DType::I64, [1, 2]).unwrap();
    let context = Tensor::zeros(DType::F32, [1, 2, 4]).unwrap();
    let error = short.run(&[("tokens", &tokens), ("context", &context)]).unwrap_err();
    assert!(matches!(error, EngineError::OutputCount { expected: 1, got: 0 }));
}

#[test]
fn tensors_check_their_length() {
    assert!(matches!(Tensor::f32([2, 3], vec![0.0; 5]), Err(EngineError::TensorLength { expected: 6, got: 5, .. })));
    assert!(matches!(Tensor::bool([usize::MAX, 2], vec![]), Err(EngineError::TensorTooLarge { .. })));
    assert!(matches!(Tensor::zeros(DType::F32, [1 << 60, 4]), Err(EngineError::TensorTooLarge { .. })));
    assert!(Tensor::i64([], vec![1]).is_ok(), "a scalar has one element");
    assert!(matches!(Tensor::i64([1], vec![1]).unwrap().into_f32(), Err(EngineError::WrongDType { .. })));
}

#[test]
fn a_call_must_fit_one_of_several_profiles() {
    let call = |length: usize| {
        let mut session = Recorder { profiles: vec![visible(1, 3), visible(0, 0), visible(6, 8)], ..recorder() };
        let tokens = Tensor::i64(vec![1, length], vec![0; length]).unwrap();
        let context = Tensor::f32(vec![1, length, 4], vec![0.0; length * 4]).unwrap();
        session.run(&[("tokens", &tokens), ("context", &context)]).map(|_| ())
    };
    for length in [0, 1, 3, 6, 8] {
        call(length).unwrap();
    }
    for length in [4, 5, 9] {
        assert!(matches!(call(length).unwrap_err(), EngineError::OutsideProfile { got, .. } if got == length));
    }
}
