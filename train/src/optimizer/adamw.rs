use crate::pretraining::SettingsError;
use crate::{Result, TrainError};
use egom2p_torch_native::{AdamWStep, AdamWTensors, fused_adamw};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

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

/// Decoupled weight decay (Loshchilov and Hutter 2019) as in `torch.optim.AdamW(fused=True)`, single precision.
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
        let _no_gradient = tch::no_grad_guard();
        self.move_parameters(learning_rate, norm)?;
        self.n_steps += 1;
        Ok(())
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

    fn move_parameters(&self, learning_rate: f64, norm: f64) -> Result<()> {
        let action = "move the parameters";
        let gradients = self.slots.iter().map(Slot::gradient).collect::<Result<Vec<_>, TchError>>();
        let gradients = gradients.map_err(TrainError::operation(action))?;
        let device = self.slots.first().map_or(Device::Cpu, |slot| slot.parameter.device());
        let n_steps = Tensor::f_full([self.slots.len() as i64], self.n_steps as f64, (Kind::Float, device));
        let n_steps = n_steps.and_then(|n_steps| n_steps.f_unbind(0)).map_err(TrainError::operation(action))?;
        let divisor = match self.settings.clip_norm {
            Some(limit) if norm + 1e-6 > limit => {
                let divisor = Tensor::f_full([] as [i64; 0], (norm + 1e-6) / limit, (Kind::Float, device));
                Some(divisor.map_err(TrainError::operation(action))?)
            }
            _ => None,
        };
        let AdamWSettings { betas, epsilon, weight_decay, .. } = self.settings;
        for (decays, weight_decay) in [(true, weight_decay), (false, 0.0)] {
            let of_slot = |((slot, gradient), n_steps)| slot_tensors(slot, gradient, n_steps);
            let slots = self.slots.iter().zip(&gradients).zip(&n_steps);
            let slots = slots.filter(|((slot, _), _)| no_weight_decay(&slot.name) != decays);
            let tensors: Vec<AdamWTensors<'_>> = slots.map(of_slot).collect();
            let step = AdamWStep { learning_rate, betas, weight_decay, epsilon };
            fused_adamw(&tensors, &step, divisor.as_ref())?;
        }
        self.clear_gradients()
    }

    fn try_gradient_norm(&self) -> Result<f64, TchError> {
        // A gradient that is missing counts as much as one of zero: the sum of more numbers rounds otherwise.
        let norm = |slot: &Slot| match slot.parameter.f_grad()? {
            gradient if gradient.defined() => gradient.f_norm(),
            _ => Tensor::f_zeros([] as [i64; 0], (Kind::Float, slot.parameter.device())),
        };
        let norms = self.slots.iter().map(norm).collect::<Result<Vec<_>, TchError>>()?;
        if norms.is_empty() {
            return Ok(0.0);
        }
        Tensor::f_stack(&norms, 0)?.f_norm()?.f_double_value(&[])
    }
}

impl Slot {
    /// What the parameter moves by; zeros where there is none, so that a training whose gradients are not made yet rounds
    /// like one whose are zero.
    fn gradient(&self) -> Result<Tensor, TchError> {
        match self.parameter.f_grad()? {
            gradient if gradient.defined() => gradient.f_contiguous(),
            _ => self.first.f_zeros_like(),
        }
    }
}

fn slot_tensors<'a>(slot: &'a Slot, gradient: &'a Tensor, n_steps: &'a Tensor) -> AdamWTensors<'a> {
    AdamWTensors {
        parameter: &slot.parameter,
        gradient,
        first_moment: &slot.first,
        second_moment: &slot.second,
        n_steps,
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
