//! Training of the tokenizers (specification sections 2, 3.3 and 5.4): camera and gaze with a learned codebook, video with
//! finite scalar quantisation. The networks are the two halves of the stages' graphs; what lies between is here.

mod camera_errors;
mod clip_order;
mod codebook_usage;
mod error;
mod fsq;
mod gaze_errors;
mod initial;
mod motion;
mod peers;
mod quantizer;
mod reconstruction;
mod rows;
mod settings;
mod state;
mod training;
mod video;

pub use camera_errors::CameraErrors;
pub use clip_order::ClipOrder;
pub use codebook_usage::CodebookUsage;
pub use error::{Result, TokenizerError};
pub use fsq::{FiniteScalarQuantizer, FsqQuantized};
pub use gaze_errors::GazeErrors;
pub use motion::MotionTokenizer;
pub use peers::{Alone, Peers};
pub use quantizer::{CodebookUpdate, Lookup, Quantized, VectorQuantizer, VectorQuantizerSettings, drawn_rows};
pub use reconstruction::{VideoLoss, mean_squared_error, valid_squared_error};
pub use settings::{SettingsSource, TokenizerSettings};
pub use training::{Forward, Tokenizer, TokenizerStep, TokenizerTraining};
pub use video::VideoTokenizer;
