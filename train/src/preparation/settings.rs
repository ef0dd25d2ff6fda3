use super::{DatasetConvention, PreparationError};
use egom2p_motion::CameraNormalisation;
use serde::{Deserialize, Serialize};

/// What preparation is told: part of the configuration of a tokenizer's training.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparationSettings {
    /// The frames of a clip, as many as the tokenizer takes.
    pub n_frames: usize,
    /// How many frames after a window the next one begins, in training.
    pub training_stride: usize,
    /// The same in validation.
    pub validation_stride: usize,
    /// The constants that camera frames are normalised by. Predictions are brought back to metres by the published ones,
    /// so that others are for experiments.
    pub camera_normalisation: CameraNormalisation,
    /// The datasets.
    pub datasets: Vec<DatasetConvention>,
}

/// What clips are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Training.
    Training,
    /// Validation.
    Validation,
}

impl PreparationSettings {
    /// Of the published system.
    pub fn published() -> Self {
        Self {
            n_frames: 60,
            training_stride: 10,
            validation_stride: 30,
            camera_normalisation: CameraNormalisation::PUBLISHED,
            datasets: DatasetConvention::published(),
        }
    }

    /// Fails for sizes of 0, constants that cannot be divided by, and conventions that are none.
    pub fn validate(&self) -> Result<(), PreparationError> {
        let setting = |field: &str, value: String, expected: &'static str| {
            Err(PreparationError::Setting { field: field.to_owned(), value, expected })
        };
        let counts = [
            ("n_frames", self.n_frames),
            ("training_stride", self.training_stride),
            ("validation_stride", self.validation_stride),
        ];
        for (field, count) in counts {
            if count == 0 {
                return setting(field, count.to_string(), "at least 1");
            }
        }
        if let Some(mean) = self.camera_normalisation.mean.iter().find(|mean| !mean.is_finite()) {
            return setting("camera_normalisation.mean", mean.to_string(), "finite numbers");
        }
        if let Some(std) = self.camera_normalisation.std.iter().find(|std| !(std.is_finite() && **std > 0.0)) {
            return setting("camera_normalisation.std", std.to_string(), "finite numbers above 0");
        }
        for (index, dataset) in self.datasets.iter().enumerate() {
            dataset.validate()?;
            if self.datasets[..index].iter().any(|earlier| earlier.name == dataset.name) {
                return setting("datasets", format!("a list with two called {}", dataset.name), "every name once");
            }
        }
        Ok(())
    }

    /// The convention of the dataset of this name.
    pub fn dataset(&self, name: &str) -> Result<&DatasetConvention, PreparationError> {
        self.datasets.iter().find(|dataset| dataset.name == name).ok_or_else(|| PreparationError::Dataset {
            name: name.to_owned(),
            known: self.datasets.iter().map(|dataset| dataset.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// How many frames after a window the next one begins.
    pub fn stride(&self, split: Split) -> usize {
        match split {
            Split::Training => self.training_stride,
            Split::Validation => self.validation_stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PreparationSettings;

    #[test]
    fn the_published_settings_go_through_text() {
        let settings = PreparationSettings::published();
        settings.validate().unwrap_or_else(|error| panic!("{error}"));
        let text = serde_json::to_string(&settings).expect("numbers and names");
        assert_eq!(serde_json::from_str::<PreparationSettings>(&text).expect("the same"), settings);
        let more = text.replacen('{', "{\"frames\":60,", 1);
        assert!(serde_json::from_str::<PreparationSettings>(&more).is_err());
    }

    #[test]
    fn settings_without_sense_are_refused() {
        let refused = |change: fn(&mut PreparationSettings), expected: &str| {
            let mut settings = PreparationSettings::published();
            change(&mut settings);
            let text = settings.validate().expect_err(expected).to_string();
            assert_eq!(text.lines().next(), Some(expected));
            assert_eq!(text.lines().count(), 2);
        };
        refused(|settings| settings.training_stride = 0, "training_stride is 0, expected at least 1");
        refused(
            |settings| settings.camera_normalisation.std[3] = 0.0,
            "camera_normalisation.std is 0, expected finite numbers above 0",
        );
        refused(
            |settings| settings.camera_normalisation.mean[0] = f64::NAN,
            "camera_normalisation.mean is NaN, expected finite numbers",
        );
        refused(
            |settings| settings.datasets[1].name = "holoassist".to_owned(),
            "datasets is a list with two called holoassist, expected every name once",
        );
        let unknown = PreparationSettings::published().dataset("ego4d").expect_err("unknown").to_string();
        assert!(unknown.starts_with("no dataset is called ego4d\nuse one of holoassist, egogen,"), "{unknown}");
    }
}
