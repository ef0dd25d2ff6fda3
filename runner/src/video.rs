//! Videos in and out, through the process `egom2p-video`.
//!
//! OpenCV and its decoders live in that process: `egom2p` starts without them, survives one that crashes, and believes
//! nothing that arrives over the pipe before it is checked. Frames are streamed, so a long video never has to fit into
//! memory.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use egom2p::video::{Crop, ReadOptions, VideoProgram};
//!
//! let options = ReadOptions { fps: Some(8.0), size: Some((256, 256)), crop: Crop::Center, ..ReadOptions::default() };
//! for clip in VideoProgram::find()?.read(Path::new("walk.mp4"), &options)?.clips(16) {
//!     let clip = clip?;
//!     assert_eq!(clip.frames.len(), clip.n_frames * clip.height * clip.width * 3);
//! }
//! # Ok::<(), egom2p::video::VideoError>(())
//! ```

mod clip;
mod error;
mod process;
mod program;
mod reader;
mod writer;

pub use clip::{Clip, Clips};
pub use egom2p_video_protocol::{Frame, Information};
pub use error::VideoError;
pub use program::{Codec, Crop, PROGRAM_NAME, PROGRAM_VARIABLE, ReadOptions, VideoProgram, WriteOptions};
pub use reader::VideoReader;
pub use writer::VideoWriter;
