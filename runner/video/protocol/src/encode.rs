//! Writing a stream.

use std::io::Write;

use crate::{Failure, MAGIC, MAX_TEXT_BYTES, ProtocolError, Record, VERSION, frame_bytes};

/// Writes the header that opens every stream.
pub fn write_header(pipe: &mut impl Write) -> Result<(), ProtocolError> {
    pipe.write_all(&MAGIC)?;
    pipe.write_all(&VERSION.to_le_bytes())?;
    Ok(pipe.flush()?)
}

/// Writes one record and flushes it.
pub fn write_record(pipe: &mut impl Write, record: &Record) -> Result<(), ProtocolError> {
    match record {
        Record::Information(information) => {
            let mut bytes = vec![b'I'];
            for side in [information.width, information.height, information.source_width, information.source_height] {
                bytes.extend(side.to_le_bytes());
            }
            bytes.extend(information.fps.to_le_bytes());
            bytes.extend(information.source_fps.to_le_bytes());
            bytes.extend(information.n_announced_frames.to_le_bytes());
            pipe.write_all(&bytes)?;
        }
        Record::Frame(frame) => write_frame(pipe, frame.time_secs, frame.width, frame.height, &frame.rgb)?,
        Record::End(end) => {
            let mut bytes = vec![b'E'];
            bytes.extend(end.n_frames.to_le_bytes());
            bytes.extend(end.n_source_frames.to_le_bytes());
            pipe.write_all(&bytes)?;
        }
        Record::Failure(Failure { what, mend }) => {
            let mut bytes = vec![b'X'];
            for text in [what, mend] {
                let text = truncated(text);
                bytes.extend((text.len() as u32).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            pipe.write_all(&bytes)?;
        }
    }
    Ok(pipe.flush()?)
}

/// Writes a frame record from borrowed pixels `[height, width, 3]`.
pub fn write_frame(
    pipe: &mut impl Write,
    time_secs: f64,
    width: u32,
    height: u32,
    rgb: &[u8],
) -> Result<(), ProtocolError> {
    let expected = frame_bytes(width, height)?;
    if rgb.len() != expected {
        return Err(ProtocolError::FrameBytes { width, height, expected, found: rgb.len() });
    }
    let mut head = vec![b'F'];
    head.extend(time_secs.to_le_bytes());
    head.extend(width.to_le_bytes());
    head.extend(height.to_le_bytes());
    pipe.write_all(&head)?;
    Ok(pipe.write_all(rgb)?)
}

/// The longest beginning of a text that a record may carry.
fn truncated(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT_BYTES as usize);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
