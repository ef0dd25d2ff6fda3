//! The fused step against PyTorch's own optimiser (`golden.json`, made by `golden.py`) and against the formula.

use egom2p_torch_native::{AdamWStep, AdamWTensors, fused_adamw};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// Largest difference from PyTorch, relative to the largest value of a tensor. The kernel is the same and the same values were
/// measured; processors without the instructions of the golden's may round otherwise.
const PYTORCH: f64 = 1e-6;
/// Largest difference from the formula in double precision, relative likewise; 1e-7 was measured.
const FORMULA: f64 = 1e-6;

/// A parameter with its moments.
struct Slot {
    parameter: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    n_steps: Tensor,
}

impl Slot {
    fn new(parameter: Tensor) -> Self {
        let zeros = || Tensor::zeros_like(&parameter);
        let (first_moment, second_moment) = (zeros(), zeros());
        Self { parameter, first_moment, second_moment, n_steps: Tensor::zeros([], (Kind::Float, Device::Cpu)) }
    }

    fn with<'a>(&'a self, gradient: &'a Tensor) -> AdamWTensors<'a> {
        let Self { parameter, first_moment, second_moment, n_steps } = self;
        AdamWTensors { parameter, gradient, first_moment, second_moment, n_steps }
    }
}

/// The formula of decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2) on one value, in double precision.
#[derive(Clone, Copy, Default)]
struct Formula {
    parameter: f64,
    first: f64,
    second: f64,
}

impl Formula {
    fn step(&mut self, gradient: f64, n_steps: i32, step: &AdamWStep) {
        let (beta1, beta2) = step.betas;
        self.parameter *= 1.0 - step.learning_rate * step.weight_decay;
        self.first = beta1 * self.first + (1.0 - beta1) * gradient;
        self.second = beta2 * self.second + (1.0 - beta2) * gradient * gradient;
        let (first, second) = (self.first / (1.0 - beta1.powi(n_steps)), self.second / (1.0 - beta2.powi(n_steps)));
        self.parameter -= step.learning_rate * first / (second.sqrt() + step.epsilon);
    }
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}

fn tensor(values: &[f64], shape: &[i64]) -> Tensor {
    Tensor::from_slice(values).to_kind(Kind::Float).reshape(shape)
}

fn assert_near(what: &str, got: &Tensor, expected: &[f64], tolerance: f64) {
    let got = Vec::<f64>::try_from(got.to_kind(Kind::Double).flatten(0, -1)).expect("a list of numbers");
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let difference = got.iter().zip(expected).fold(0.0_f64, |worst, (got, expected)| worst.max((got - expected).abs()));
    assert_eq!(got.len(), expected.len());
    assert!(difference <= tolerance * largest, "{what}: {:.1e}, tolerance {tolerance:.0e}", difference / largest);
}

#[test]
fn steps_equal_those_of_pytorch_and_of_the_formula() {
    tch::set_num_threads(1);
    let golden: Value = serde_json::from_str(include_str!("golden.json")).expect("JSON");
    let shapes: Vec<Vec<i64>> = golden["shapes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|shape| floats(shape).iter().map(|size| *size as i64).collect())
        .collect();
    let starts: Vec<Vec<f64>> = golden["start"].as_array().expect("a list").iter().map(floats).collect();
    let slots: Vec<Slot> = starts.iter().zip(&shapes).map(|(start, shape)| Slot::new(tensor(start, shape))).collect();
    let value = |parameter: &f64| Formula { parameter: *parameter, ..Formula::default() };
    let mut formulas: Vec<Vec<Formula>> = starts.iter().map(|start| start.iter().map(value).collect()).collect();
    for (index, about) in golden["steps"].as_array().expect("a list").iter().enumerate() {
        let betas = floats(&golden["betas"]);
        let step = AdamWStep {
            learning_rate: about["learning_rate"].as_f64().expect("a number"),
            betas: (betas[0], betas[1]),
            weight_decay: golden["weight_decay"].as_f64().expect("a number"),
            epsilon: golden["epsilon"].as_f64().expect("a number"),
        };
        let scale = about["gradient_scale"].as_f64();
        let gradients: Vec<Vec<f64>> = about["gradients"].as_array().expect("a list").iter().map(floats).collect();
        let tensors: Vec<Tensor> =
            gradients.iter().zip(&shapes).map(|(gradient, shape)| tensor(gradient, shape)).collect();
        let lists: Vec<_> = slots.iter().zip(&tensors).map(|(slot, gradient)| slot.with(gradient)).collect();
        fused_adamw(&lists, &step, scale.map(|scale| Tensor::from(scale as f32)).as_ref())
            .expect("the step is possible");
        for (((slot, formula), gradient), expected) in
            slots.iter().zip(&mut formulas).zip(&gradients).zip(about["parameters"].as_array().expect("a list"))
        {
            assert_near("PyTorch", &slot.parameter, &floats(expected), PYTORCH);
            for (formula, gradient) in formula.iter_mut().zip(gradient) {
                formula.step(gradient / scale.unwrap_or(1.0), index as i32 + 1, &step);
            }
            let expected: Vec<f64> = formula.iter().map(|formula| formula.parameter).collect();
            assert_near("formula", &slot.parameter, &expected, FORMULA);
            assert_eq!(slot.n_steps, Tensor::from(index as f32 + 1.0));
        }
    }
}

#[test]
fn tensors_that_do_not_go_together_are_refused_and_nothing_moves() {
    let step = AdamWStep { learning_rate: 1.0, betas: (0.9, 0.99), weight_decay: 0.0, epsilon: 1e-8 };
    let slot = Slot::new(Tensor::ones([4, 3], (Kind::Float, Device::Cpu)));
    let bad = [
        (Tensor::ones([3, 4], (Kind::Float, Device::Cpu)).transpose(0, 1), "gradient 0 is not contiguous"),
        (Tensor::ones([4], (Kind::Float, Device::Cpu)), "expected Float [4, 3] on Cpu, got Float [4] on Cpu"),
        (Tensor::ones([4, 3], (Kind::Double, Device::Cpu)), "got Double [4, 3] on Cpu"),
        (Tensor::new(), "gradient 0 is not there"),
    ];
    for (gradient, expected) in bad {
        let error = fused_adamw(&[slot.with(&gradient)], &step, None).expect_err("the gradient is wrong").to_string();
        assert!(error.contains(expected) && error.lines().count() == 2, "{error}");
    }
    let gradient = Tensor::ones([4, 3], (Kind::Float, Device::Cpu));
    let scale = Tensor::from(2.0_f64);
    let error = fused_adamw(&[slot.with(&gradient)], &step, Some(&scale)).expect_err("the scale is Double").to_string();
    assert!(error.contains("the scale of the gradients: expected one Float on Cpu, got Double"), "{error}");
    assert_eq!(slot.parameter, Tensor::ones([4, 3], (Kind::Float, Device::Cpu)));
    assert_eq!(slot.n_steps, Tensor::from(0.0_f32));
}
