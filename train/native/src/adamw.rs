#![allow(unsafe_code, reason = "the fused step is called through the shim")]

use crate::ffi::{self, Pointers};
use crate::{NativeError, Result};
use tch::{Kind, Tensor};

const ACTION: &str = "move the parameters";

/// A parameter with what AdamW knows of it. All but `n_steps` have one shape; all are contiguous and on one device.
#[derive(Clone, Copy, Debug)]
pub struct AdamWTensors<'a> {
    /// What moves.
    pub parameter: &'a Tensor,
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// Decaying mean of the gradients.
    pub first_moment: &'a Tensor,
    /// Decaying mean of the squared gradients.
    pub second_moment: &'a Tensor,
    /// How many steps it has made, an f32 scalar; a step adds one.
    pub n_steps: &'a Tensor,
}

/// Settings of one step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamWStep {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the first and of the second moment.
    pub betas: (f64, f64),
    /// Share of the learning rate by which a parameter shrinks.
    pub weight_decay: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

/// Moves parameters by one step of AdamW, as `torch.optim.AdamW(fused=True)` does: one pass over each tensor.
///
/// With `gradient_scale`, an f32 scalar on the parameters' device, every gradient is divided by it first, and stays so.
/// Fails before anything moves where tensors do not go together; parameters, moments and numbers of steps are changed in
/// place, without recording.
pub fn fused_adamw(tensors: &[AdamWTensors<'_>], step: &AdamWStep, gradient_scale: Option<&Tensor>) -> Result<()> {
    for (index, tensors) in tensors.iter().enumerate() {
        check(index, tensors)?;
    }
    if let (Some(scale), Some(first)) = (gradient_scale, tensors.first()) {
        check_scalar("the scale of the gradients", scale, first.parameter)?;
    }
    if tensors.is_empty() {
        return Ok(());
    }
    let parameters = Pointers::new(tensors.iter().map(|tensors| tensors.parameter));
    let gradients = Pointers::new(tensors.iter().map(|tensors| tensors.gradient));
    let first_moments = Pointers::new(tensors.iter().map(|tensors| tensors.first_moment));
    let second_moments = Pointers::new(tensors.iter().map(|tensors| tensors.second_moment));
    let steps = Pointers::new(tensors.iter().map(|tensors| tensors.n_steps));
    let lists = ffi::AdamWLists {
        parameters: parameters.list(),
        gradients: gradients.list(),
        first_moments: first_moments.list(),
        second_moments: second_moments.list(),
        steps: steps.list(),
    };
    let AdamWStep { learning_rate, betas: (beta1, beta2), weight_decay, epsilon } = *step;
    let step = ffi::AdamWStep { learning_rate, beta1, beta2, weight_decay, epsilon };
    let scale = gradient_scale.map_or(std::ptr::null(), Tensor::as_ptr);
    ffi::checked(ACTION, |failure| {
        // SAFETY: the tensors outlive the call, and the kernel stays inside of them: their shapes, types and devices agree.
        unsafe { ffi::egom2p_torch_adamw(&raw const lists, &raw const step, scale, failure) }
    })
}

fn check(index: usize, tensors: &AdamWTensors<'_>) -> Result<()> {
    let AdamWTensors { parameter, gradient, first_moment, second_moment, n_steps } = *tensors;
    for (name, tensor) in [
        ("parameter", parameter),
        ("gradient", gradient),
        ("first moment", first_moment),
        ("second moment", second_moment),
    ] {
        if !tensor.defined() {
            return Err(refusal(format!("{name} {index} is not there"), "leave out parameters without a gradient"));
        }
        let (expected, got) = (describe(parameter), describe(tensor));
        if expected != got {
            let what = format!("{name} {index}: expected {expected}, got {got}");
            return Err(refusal(what, "use a gradient and moments like the parameter"));
        }
        if !tensor.is_contiguous() {
            let what = format!("{name} {index} is not contiguous");
            return Err(refusal(what, "make the tensor contiguous"));
        }
    }
    check_scalar("the number of steps", n_steps, parameter)
}

fn check_scalar(name: &str, scalar: &Tensor, parameter: &Tensor) -> Result<()> {
    let is_scalar = scalar.defined() && scalar.kind() == Kind::Float && scalar.numel() == 1;
    if is_scalar && scalar.device() == parameter.device() {
        return Ok(());
    }
    let got = if scalar.defined() { describe(scalar) } else { "nothing".to_owned() };
    let what = format!("{name}: expected one Float on {:?}, got {got}", parameter.device());
    Err(refusal(what, "use a scalar of single precision on the parameters' device"))
}

fn describe(tensor: &Tensor) -> String {
    format!("{:?} {:?} on {:?}", tensor.kind(), tensor.size(), tensor.device())
}

fn refusal(what: String, mend: &'static str) -> NativeError {
    NativeError::Arguments { action: ACTION, what, mend }
}
