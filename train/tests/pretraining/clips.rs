use egom2p_model::{Modality, ModelConfig, MotionTokens, VideoTokens};
use egom2p_train::data::{DataError, Sample, SampleStream};
use egom2p_train::{MaskingSettings, PretrainingSettings, ScheduleSettings, TrainingPrecision};
use serde_json::{Value, json};

/// Ids of every modality.
pub(crate) const VOCABULARY: usize = 8;
/// No clip.
const NOWHERE: u64 = u64::MAX;

/// A model of one block each, with 12 video and 4 motion tokens.
pub(crate) fn config() -> ModelConfig {
    ModelConfig {
        dim: 48,
        heads: 4,
        encoder_blocks: 1,
        decoder_blocks: 1,
        mlp_hidden: 64,
        video: VideoTokens { frames: 8, height: 16, width: 16, vocabulary: VOCABULARY },
        motion: MotionTokens { samples: 8, vocabulary: VOCABULARY },
        video_tokenizer: None,
        camera_tokenizer: None,
        gaze_tokenizer: None,
    }
}

/// Short steps of few tokens.
pub(crate) fn settings(samples: usize, samples_per_pass: usize, n_steps: u64) -> PretrainingSettings {
    let mut settings = PretrainingSettings::published();
    settings.precision = TrainingPrecision::Fp32;
    settings.batch.samples = samples;
    settings.batch.samples_per_pass = samples_per_pass;
    settings.masking = MaskingSettings { visible_tokens: 16, target_tokens: 12, ..settings.masking };
    let step_tokens = 28 * samples as u64;
    settings.schedule = ScheduleSettings {
        base_learning_rate: 3e-3 * 256.0 / samples as f64,
        final_learning_rate: 0.0,
        warmup_tokens: n_steps / 10 * step_tokens,
        total_tokens: n_steps * step_tokens,
        epoch_samples: None,
    };
    settings
}

/// Clips of one colour, which three quarters of their RGB tokens have and all camera tokens; depth is RGB backwards, gaze
/// is anything and missing in every third.
#[derive(Clone, Debug)]
pub(crate) struct Clips {
    /// What the next one is.
    pub(crate) next: u64,
    /// The clip whose RGB tokens all are `odd_token`; [`NOWHERE`] for none.
    pub(crate) odd: u64,
    pub(crate) odd_token: i64,
}

impl Clips {
    pub(crate) fn from(next: u64) -> Self {
        Self { next, odd: NOWHERE, odd_token: 0 }
    }

    fn clip(&self, index: u64) -> Sample {
        let mut state = index.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64 % (VOCABULARY as i64 - 1)
        };
        let colour = draw();
        let mut rgb: Vec<i64> = (0..12).map(|place| if place % 4 == 3 { draw() } else { colour }).collect();
        if index == self.odd {
            rgb.fill(self.odd_token);
        }
        let camera = vec![colour; 4];
        let depth = rgb.iter().rev().map(|token| token % VOCABULARY as i64).collect();
        let gaze = (0..4).map(|_| draw()).collect();
        let mut tokens = [const { None }; 4];
        tokens[Modality::Camera.index()] = Some(camera);
        tokens[Modality::Depth.index()] = Some(depth);
        tokens[Modality::Gaze.index()] = (!index.is_multiple_of(3)).then_some(gaze);
        tokens[Modality::Rgb.index()] = Some(rgb);
        Sample { key: format!("clip-{index}"), dataset: (index % 2) as usize, tokens }
    }

    /// The next clips, all at once.
    pub(crate) fn take(&mut self, n: usize) -> Vec<Sample> {
        (0..n).map(|_| self.next_sample().unwrap()).collect()
    }
}

impl SampleStream for Clips {
    fn next_sample(&mut self) -> Result<Sample, DataError> {
        self.next += 1;
        Ok(self.clip(self.next - 1))
    }

    fn position(&self) -> Value {
        json!({ "next": self.next })
    }

    fn seek(&mut self, position: &Value) -> Result<(), DataError> {
        let next = position["next"].as_u64();
        self.next = next.ok_or_else(|| DataError::Position { reason: "it has no number".to_owned() })?;
        Ok(())
    }
}
