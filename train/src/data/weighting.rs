use serde::{Deserialize, Serialize};

use super::DataError;

/// How often each dataset of a mixture is drawn; n is its number of samples (the paper's ablation B.2).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// In proportion to n.
    #[default]
    Proportional,
    /// All alike.
    Uniform,
    /// In proportion to log n.
    Logarithmic,
    /// In proportion to these weights, one for every dataset, as in the published configuration.
    Given(Vec<f64>),
}

impl Weighting {
    /// The probability of every dataset.
    pub fn probabilities(&self, n_samples: &[u64]) -> Result<Vec<f64>, DataError> {
        let weights: Vec<f64> = match self {
            Self::Proportional => n_samples.iter().map(|&n| n as f64).collect(),
            Self::Uniform => vec![1.0; n_samples.len()],
            Self::Logarithmic => n_samples.iter().map(|&n| (n.max(1) as f64).ln()).collect(),
            Self::Given(weights) => weights.clone(),
        };
        let total: f64 = weights.iter().sum();
        let possible = weights.len() == n_samples.len() && weights.iter().all(|weight| *weight >= 0.0);
        if !possible || !total.is_finite() || total <= 0.0 {
            let expected = "one for every dataset, none of them negative, not all of them 0";
            return Err(DataError::Setting {
                name: "the weights of the datasets".to_owned(),
                got: format!("{weights:?}"),
                expected,
            });
        }
        Ok(weights.into_iter().map(|weight| weight / total).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Weighting;

    #[test]
    fn the_three_of_the_paper() {
        let of = |weighting: Weighting| weighting.probabilities(&[100, 10_000]).expect("weights");
        assert_eq!(of(Weighting::Proportional), [100.0 / 10_100.0, 10_000.0 / 10_100.0]);
        assert_eq!(of(Weighting::Uniform), [0.5, 0.5]);
        let logarithmic = of(Weighting::Logarithmic);
        assert!((logarithmic[0] - 1.0 / 3.0).abs() < 1e-12 && (logarithmic[1] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(of(Weighting::Given(vec![3.0, 1.0])), [0.75, 0.25]);
    }

    #[test]
    fn impossible_weights_are_errors() {
        let given = |weights: &[f64]| Weighting::Given(weights.to_vec()).probabilities(&[1, 1]);
        for weights in [&[1.0][..], &[0.0, 0.0], &[-1.0, 2.0], &[f64::NAN, 1.0], &[f64::INFINITY, 1.0]] {
            let message = given(weights).expect_err("impossible").to_string();
            assert_eq!(message.lines().count(), 2, "{message}");
        }
        assert!(Weighting::Proportional.probabilities(&[]).is_err());
        assert!(Weighting::Logarithmic.probabilities(&[1, 1]).is_err());
    }
}
