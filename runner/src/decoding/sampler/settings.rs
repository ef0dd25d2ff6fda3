use crate::decoding::DecodingError;

/// Temperatures up to this choose the arg-max (as published).
const ARG_MAX_TEMPERATURE: f64 = 1e-10;

/// How tokens are drawn from logits (specification section 4.3).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SamplerSettings {
    /// Divides the logits that survive the filters; up to 1e-10 the sampler takes the arg-max.
    pub temperature: f64,
    /// Probability mass of the nucleus, on the distribution at temperature 1; 0 or at least 1 switches it off.
    pub top_p: f64,
    /// How many of the largest logits survive.
    pub top_k: TopK,
}

/// How many of the largest logits survive, before the nucleus is taken. Logits equal to the last one survive too.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub enum TopK {
    /// All of them.
    #[default]
    Off,
    /// This many.
    Count(usize),
    /// This share of the vocabulary, rounded down.
    Fraction(f64),
}

/// The settings as one vocabulary makes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filters {
    /// `None`: arg-max.
    pub(super) temperature: Option<f32>,
    /// `None`: no nucleus.
    pub(super) top_p: Option<f64>,
    /// `None`: no top-k; otherwise at least 1 and less than the vocabulary.
    pub(super) top_k: Option<usize>,
}

impl Default for SamplerSettings {
    /// The published settings: temperature 0.01, top-p 0.8, no top-k.
    fn default() -> Self {
        Self { temperature: 0.01, top_p: 0.8, top_k: TopK::Off }
    }
}

impl SamplerSettings {
    pub(super) fn filters(&self, n_vocabulary: usize) -> Result<Filters, DecodingError> {
        let top_k = match self.top_k {
            TopK::Off => n_vocabulary,
            TopK::Count(count) => count,
            TopK::Fraction(share) if share.is_finite() && share >= 0.0 => (share * n_vocabulary as f64) as usize,
            TopK::Fraction(share) => {
                return Err(refusal("top-k", &share, "a count, or a finite share of the vocabulary"));
            }
        };
        if n_vocabulary == 0 {
            return Err(refusal("vocabulary", &n_vocabulary, "at least 1"));
        }
        if top_k == 0 {
            return Err(refusal("top-k", &top_k, "at least one token of the vocabulary"));
        }
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return Err(refusal("temperature", &self.temperature, "a finite number of at least 0"));
        }
        if !self.top_p.is_finite() || self.top_p < 0.0 {
            return Err(refusal("top-p", &self.top_p, "a finite number of at least 0"));
        }
        let temperature = self.temperature as f32;
        Ok(Filters {
            temperature: (self.temperature > ARG_MAX_TEMPERATURE).then_some(temperature.min(f32::MAX)),
            top_p: (self.top_p > 0.0 && self.top_p < 1.0).then_some(self.top_p),
            top_k: (top_k < n_vocabulary).then_some(top_k),
        })
    }
}

fn refusal(setting: &'static str, value: &impl ToString, expected: &'static str) -> DecodingError {
    DecodingError::Setting { setting, value: value.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::{SamplerSettings, TopK};

    #[test]
    fn refuses_what_no_draw_can_follow() {
        let good = SamplerSettings::default();
        assert!(good.filters(256).is_ok());
        assert!(good.filters(0).is_err());
        for bad in [
            SamplerSettings { temperature: f64::NAN, ..good },
            SamplerSettings { temperature: -0.5, ..good },
            SamplerSettings { top_p: -0.1, ..good },
            SamplerSettings { top_p: f64::INFINITY, ..good },
            SamplerSettings { top_k: TopK::Count(0), ..good },
            SamplerSettings { top_k: TopK::Fraction(0.001), ..good },
            SamplerSettings { top_k: TopK::Fraction(f64::NAN), ..good },
        ] {
            let message = bad.filters(256).expect_err("out of range").to_string();
            assert_eq!(message.lines().count(), 2, "{message}");
        }
    }

    #[test]
    fn settings_that_filter_nothing_are_off() {
        let off = SamplerSettings { temperature: 1.0, top_p: 1.0, top_k: TopK::Count(256) };
        let filters = off.filters(256).expect("in range");
        assert!(filters.top_p.is_none() && filters.top_k.is_none());
    }
}
