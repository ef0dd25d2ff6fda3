//! The pipe between `egom2p` and its video process `egom2p-video`.
//!
//! A stream is a header followed by records, all little-endian:
//!
//! | part | bytes |
//! |---|---|
//! | header | magic `EGOVIDEO`, version u32 |
//! | information | `I`, width u32, height u32, the same of the source, fps f64, source fps f64, announced frames u64 |
//! | frame | `F`, time in seconds f64, width u32, height u32, `height * width * 3` bytes of RGB, top row first |
//! | end | `E`, frames in this stream u64, frames decoded from the file u64 |
//! | failure | `X`, two texts (what, how to mend), each u32 length and UTF-8 |
//!
//! A reading process sends one information record, frames in order of time and one end; or a failure at any point. A
//! writing process is sent frames of one size and an end, and answers with an end or a failure. A stream that stops
//! before its end or failure means that the other side died. Both sides treat what they read as hostile: every size is
//! checked against [`MAX_SIDE`] and [`MAX_TEXT_BYTES`] before anything is allocated.

mod decode;
mod encode;
mod error;
mod record;

pub use decode::{read_header, read_record};
pub use encode::{write_frame, write_header, write_record};
pub use error::ProtocolError;
pub use record::{End, Failure, Frame, Information, MAX_SIDE, MAX_TEXT_BYTES, Record, frame_bytes};

/// First eight bytes of every stream.
pub const MAGIC: [u8; 8] = *b"EGOVIDEO";
/// Version of the records; both sides are built together, so any other version is refused.
pub const VERSION: u32 = 1;
