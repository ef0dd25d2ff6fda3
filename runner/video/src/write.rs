//! Writing: from records to a file.

use std::io::{Read, Write};

use egom2p_video_protocol::{End, Record, read_header, read_record, write_record};

use crate::{arguments::Writing, interruption::Interruption, sink::Sink};

/// Writes the frames that arrive; a stream that stops before its end leaves no file.
pub(crate) fn write(writing: &Writing, frames: &mut impl Read, answer: &mut impl Write) -> Result<(), Interruption> {
    read_header(frames)?;
    let mut sink = Sink::create(writing)?;
    let expected = (writing.size.width, writing.size.height);
    loop {
        match read_record(frames)? {
            Record::Frame(mut frame) if (frame.width, frame.height) == expected => sink.push(&mut frame.rgb)?,
            Record::Frame(frame) => {
                return Err(Interruption::failure(
                    format!("frames must be {expected:?} pixels, got {:?}", (frame.width, frame.height)),
                    "pass frames of the size that the video was started with",
                ));
            }
            Record::End(_) => {
                let n_frames = sink.finish()?;
                return Ok(write_record(answer, &Record::End(End { n_frames, n_source_frames: n_frames }))?);
            }
            Record::Failure(failure) => return Err(Interruption::Failure(failure)),
            Record::Information(_) => {
                return Err(Interruption::failure(
                    "an information record was sent to be written",
                    "send frames and an end",
                ));
            }
        }
    }
}
