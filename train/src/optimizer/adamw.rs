use crate::pretraining::SettingsError;
use crate::{Result, TrainError};
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// Settings of AdamW that do not change during a training.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWSettings {
    /// Decay of the first and of the second moment.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of the learning rate by which a parameter shrinks in a step, unless [`no_weight_decay`] holds.
    pub weight_decay: f64,
    /// The largest norm of all gradients together; `None` to leave them as they are.
    #[serde(deserialize_with = "Option::deserialize")]
    pub clip_norm: Option<f64>,
}

/// Whether a parameter keeps its size: normalisations and biases (specification section 5.3).
pub fn no_weight_decay(name: &str) -> bool {
    name.contains("norm.") || name.contains(".norm") || name.strip_suffix(".bias").is_some()
}

/// Decoupled weight decay (Loshchilov and Hutter 2019) as in `torch.optim.AdamW`, single precision.
///
/// A parameter without a gradient is taken to have one of zero: it decays, and its moments fade.
#[derive(Debug)]
pub struct AdamW {
    settings: AdamWSettings,
    n_steps: u64,
    slots: Vec<Slot>,
}

/// A parameter with its moments.
#[derive(Debug)]
struct Slot {
    name: String,
    parameter: Tensor,
    first: Tensor,
    second: Tensor,
}

impl AdamW {
    /// An optimiser that has not moved yet.
    pub fn new<'a>(
        parameters: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
        settings: AdamWSettings,
    ) -> Result<Self> {
        let slot = |(name, parameter): (&str, &Tensor)| -> Result<Slot, TchError> {
            let zeros = || Tensor::f_zeros(parameter.size(), (Kind::Float, parameter.device()));
            let (first, second) = (zeros()?, zeros()?);
            Ok(Slot { name: name.to_owned(), parameter: parameter.shallow_clone(), first, second })
        };
        let slots: Result<Vec<_>, TchError> = parameters.into_iter().map(slot).collect();
        Ok(Self { settings, n_steps: 0, slots: slots.map_err(TrainError::operation("make an optimiser"))? })
    }

    /// Moves every parameter against its gradient and clears the gradients; gives their norm before clipping. Where that
    /// is not finite, nothing moves and it is an error.
    pub fn step(&mut self, learning_rate: f64) -> Result<f64> {
        let norm = self.gradient_norm()?;
        self.step_with_norm(learning_rate, norm)?;
        Ok(norm)
    }

    /// As [`step`](Self::step), with the norm of the gradients, which is what [`gradient_norm`](Self::gradient_norm) gives.
    pub(crate) fn step_with_norm(&mut self, learning_rate: f64, norm: f64) -> Result<()> {
        if !norm.is_finite() {
            return Err(TrainError::NotFinite { norm });
        }
        self.n_steps += 1;
        let _no_gradient = tch::no_grad_guard();
        self.try_step(learning_rate, norm).map_err(TrainError::operation("move the parameters"))
    }

    /// The Euclidean norm of all gradients together, from the norms of each as `clip_grad_norm_` does.
    pub fn gradient_norm(&self) -> Result<f64> {
        let _no_gradient = tch::no_grad_guard();
        self.try_gradient_norm().map_err(TrainError::operation("compute the norm of the gradients"))
    }

    /// Steps made.
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// Goes on as after so many steps; the moments are set through [`moments`](Self::moments), whose tensors share their
    /// values with these.
    pub fn set_n_steps(&mut self, n_steps: u64) {
        self.n_steps = n_steps;
    }

    /// The first and second moments of every parameter, f32, as they are held.
    pub fn moments(&self) -> impl Iterator<Item = (&str, &Tensor, &Tensor)> {
        self.slots.iter().map(|slot| (slot.name.as_str(), &slot.first, &slot.second))
    }

    /// Forgets all gradients.
    pub fn clear_gradients(&self) -> Result<()> {
        let _no_gradient = tch::no_grad_guard();
        let clear = |slot: &Slot| -> Result<(), TchError> {
            let mut gradient = slot.parameter.f_grad()?;
            if gradient.defined() {
                let _ = gradient.f_zero_()?;
            }
            Ok(())
        };
        self.slots.iter().try_for_each(clear).map_err(TrainError::operation("clear the gradients"))
    }

    fn try_step(&mut self, learning_rate: f64, norm: f64) -> Result<(), TchError> {
        let factor = self.settings.clip_norm.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0));
        let (beta1, beta2) = self.settings.betas;
        let correction = |beta: f64| 1.0 - beta.powi(i32::try_from(self.n_steps).unwrap_or(i32::MAX));
        let (correction1, correction2) = (correction(beta1), correction(beta2).sqrt());
        for Slot { name, parameter, first, second } in &mut self.slots {
            if self.settings.weight_decay != 0.0 && !no_weight_decay(name) {
                let _ = parameter.f_mul_scalar_(1.0 - learning_rate * self.settings.weight_decay)?;
            }
            // One path for both, so that a training whose gradients are not made yet rounds like one whose are zero.
            let mut gradient = match parameter.f_grad()? {
                gradient if gradient.defined() => gradient,
                _ => first.f_zeros_like()?,
            };
            if factor < 1.0 {
                let _ = gradient.f_mul_scalar_(factor)?;
            }
            let _ = first.f_lerp_(&gradient, 1.0 - beta1)?;
            let square = gradient.f_mul(&gradient)?.f_mul_scalar_(1.0 - beta2)?;
            let _ = second.f_mul_scalar_(beta2)?.f_add_(&square)?;
            let _ = gradient.f_zero_()?;
            let denominator = second.f_sqrt()?.f_div_scalar_(correction2)?.f_add_scalar_(self.settings.epsilon)?;
            let step = first.f_div(&denominator)?.f_mul_scalar_(learning_rate / correction1)?;
            let _ = parameter.f_sub_(&step)?;
        }
        Ok(())
    }

    fn try_gradient_norm(&self) -> Result<f64, TchError> {
        let mut norms = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let gradient = slot.parameter.f_grad()?;
            if gradient.defined() {
                norms.push(gradient.f_norm()?);
            }
        }
        if norms.is_empty() {
            return Ok(0.0);
        }
        Tensor::f_stack(&norms, 0)?.f_norm()?.f_double_value(&[])
    }
}

impl AdamWSettings {
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        let decays = [("optimizer.betas", self.betas.0), ("optimizer.betas", self.betas.1)];
        for (field, value) in decays.into_iter().chain([("optimizer.weight_decay", self.weight_decay)]) {
            SettingsError::unless((0.0..1.0).contains(&value), field, value, "from 0 to below 1")?;
        }
        let epsilon = self.epsilon;
        SettingsError::unless((1e-30..=1.0).contains(&epsilon), "optimizer.epsilon", epsilon, "from 1e-30 to 1")?;
        let clip = self.clip_norm.unwrap_or(1.0);
        SettingsError::unless(clip > 0.0 && clip.is_finite(), "optimizer.clip_norm", clip, "null, or above 0")
    }
}
