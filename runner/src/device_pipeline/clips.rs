use egom2p_device::DeviceError;
use egom2p_engine_core::{DType, DeviceTensor, EngineError, Tensor};
use egom2p_model::{Modality, Stage};

use super::{
    device_loop::{DeviceLoop, LoopJob},
    opened::Request,
};
use crate::{
    frames::Frames,
    tokenizer::{Decoded, TokenizerError, decoded_shape, tokens_shape, video_tensor},
};

impl DeviceLoop {
    /// Turns the frames of a clip into its tokens in the table.
    pub(super) fn tokenize(
        &mut self,
        job: &LoopJob,
        (clip, modality): (usize, Modality),
        frames: &Frames,
    ) -> Result<(), TokenizerError> {
        let frames = video_tensor(&job.config, frames)?;
        let video = DeviceTensor::new(DType::F32, frames.shape(), &self.tensors.clip)?;
        video.upload(self.stream.as_ref(), &frames)?;
        let tokens = self.clip_tokens(job, modality)?;
        let variant = self.sessions.variant(Request::of(Stage::VideoEncoder))?;
        let (stream, engine) = (self.stream.as_ref(), (Stage::VideoEncoder, variant));
        self.sessions.enqueue(stream, engine, &[("video", &video)], ("tokens", &tokens))?;
        let slots = self.slots(job, clip, modality).map_err(EngineError::from)?;
        Ok(self.stream.copy(&slots, tokens.buffer()).map_err(EngineError::from)?)
    }

    /// Waits, and fetches what the tokens of a clip in the table describe.
    pub(super) fn detokenize(
        &mut self,
        job: &LoopJob,
        (clip, modality): (usize, Modality),
    ) -> Result<Decoded, TokenizerError> {
        let tokens = self.clip_tokens(job, modality)?;
        let slots = self.slots(job, clip, modality).map_err(EngineError::from)?;
        self.stream.copy(tokens.buffer(), &slots).map_err(EngineError::from)?;
        let stage = Stage::detokenizer(modality);
        let output = DeviceTensor::new(DType::F32, decoded_shape(&job.config, modality), &self.tensors.clip)?;
        let name = match modality {
            Modality::Camera => "camera",
            Modality::Gaze => "gaze",
            Modality::Depth | Modality::Rgb => "video",
        };
        let variant = self.sessions.variant(Request::of(stage))?;
        self.sessions.enqueue(self.stream.as_ref(), (stage, variant), &[("tokens", &tokens)], (name, &output))?;
        let output: Tensor = output.download(self.stream.as_ref())?;
        Decoded::new(&job.config, modality, output)
    }

    /// A tensor for the tokens of a modality of one clip: engines want it where the table seldom has it.
    fn clip_tokens(&self, job: &LoopJob, modality: Modality) -> Result<DeviceTensor, EngineError> {
        DeviceTensor::new(DType::I64, tokens_shape(&job.config, modality), &self.tensors.clip_tokens)
    }

    /// Where the table has the tokens of a modality of a clip.
    fn slots(&self, job: &LoopJob, clip: usize, modality: Modality) -> Result<egom2p_device::Buffer, DeviceError> {
        let start = job.layout.slot(clip, (modality, 0));
        self.tensors.table.slice(start * 8..(start + job.config.n_tokens(modality)) * 8)
    }
}
