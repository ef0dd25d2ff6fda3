use std::str::FromStr;

use super::DecodingError;

/// Smallest temperature that a schedule gives: still sampling, never arg-max.
const SMALLEST: f64 = 1e-9;

/// How the sampling temperature changes over the steps of a target (specification section 4.1).
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub enum TemperatureSchedule {
    /// The same at every step.
    #[default]
    Constant,
    /// Proportional to the share of tokens that are still missing at the start of the step.
    Linear,
    /// From the temperature down to `min`, by the share of tokens that are missing after the step and a power of 1/x.
    OneOverX {
        /// Temperature of the last step.
        min: f64,
        /// Power of 1/x.
        power: f64,
    },
}

impl TemperatureSchedule {
    /// The temperature of each step, starting from `temperature`.
    pub fn per_step(self, temperature: f64, tokens_per_step: &[usize]) -> Result<Vec<f64>, DecodingError> {
        check("temperature", temperature)?;
        let n_tokens: usize = tokens_per_step.iter().sum();
        let mut n_decoded = 0;
        let missing_after = tokens_per_step.iter().map(|&n| {
            n_decoded += n;
            (n_tokens - n_decoded) as f64 / n_tokens as f64
        });
        Ok(match self {
            Self::Constant => vec![temperature; tokens_per_step.len()],
            Self::Linear => {
                let start = std::iter::once(1.0);
                let missing = start.chain(missing_after).take(tokens_per_step.len());
                missing.map(|share| (temperature * share).max(SMALLEST)).collect()
            }
            Self::OneOverX { min, power } => {
                check("temperature schedule minimum", min)?;
                let curve = |step: usize| one_over_x(step, n_tokens, power);
                let shares = missing_after.enumerate().map(|(step, share)| share * curve(step));
                shares.map(|share| (min + (temperature - min) * share).max(SMALLEST)).collect()
            }
        })
    }
}

impl FromStr for TemperatureSchedule {
    type Err = DecodingError;

    /// Reads `constant`, `linear` or `onex:MIN:POWER`.
    fn from_str(text: &str) -> Result<Self, DecodingError> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
        let parts: Vec<&str> = text.split(':').collect();
        let schedule = match parts[..] {
            ["constant"] => Some(Self::Constant),
            ["linear"] => Some(Self::Linear),
            ["onex", min, power] => number(min).zip(number(power)).map(|(min, power)| Self::OneOverX { min, power }),
            _ => None,
        };
        schedule.ok_or_else(|| DecodingError::UnknownTemperatureSchedule { text: text.to_owned() })
    }
}

fn check(setting: &'static str, value: f64) -> Result<(), DecodingError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(DecodingError::Setting { setting, value: value.to_string(), expected: "a finite number of at least 0" })
}

/// 1/x^power at one of `n` points from 1 to 100, scaled so that it runs from 1 to 0.
fn one_over_x(point: usize, n: usize, power: f64) -> f64 {
    let x = 1.0 + point as f64 * (99.0 / (n.max(2) - 1) as f64);
    let last = 100_f64.powf(-power);
    if last < 1.0 { (x.powf(-power) - last) / (1.0 - last) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::TemperatureSchedule;

    #[test]
    fn reads_its_names() {
        let onex = TemperatureSchedule::OneOverX { min: 0.1, power: 0.5 };
        assert_eq!("constant".parse(), Ok(TemperatureSchedule::Constant));
        assert_eq!("linear".parse(), Ok(TemperatureSchedule::Linear));
        assert_eq!("onex:0.1:0.5".parse(), Ok(onex));
        for wrong in ["", "cosine", "onex", "onex:1", "onex:a:b", "onex:-1:2", "onex:NaN:1", "linear:1"] {
            assert!(wrong.parse::<TemperatureSchedule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_negative_temperature_is_an_error() {
        let error = TemperatureSchedule::Constant.per_step(-1.0, &[1]).expect_err("negative");
        assert!(error.to_string().starts_with("temperature is -1, expected a finite number of at least 0\n"));
    }
}
