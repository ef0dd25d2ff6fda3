//! Reading a stream, with every number checked before it is used.

use std::io::Read;

use crate::{End, Failure, Frame, Information, MAGIC, MAX_TEXT_BYTES, ProtocolError, Record, VERSION, frame_bytes};

/// Reads and checks the header that opens every stream.
pub fn read_header(pipe: &mut impl Read) -> Result<(), ProtocolError> {
    let magic: [u8; 8] = array(pipe)?;
    if magic != MAGIC {
        return Err(ProtocolError::ForeignHeader { found: magic.escape_ascii().to_string() });
    }
    let found = u32::from_le_bytes(array(pipe)?);
    if found != VERSION {
        return Err(ProtocolError::OtherVersion { expected: VERSION, found });
    }
    Ok(())
}

/// Reads and checks one record.
///
/// A pipe that closes here is [`ProtocolError::Pipe`] with [`std::io::ErrorKind::UnexpectedEof`]: every stream closes
/// with a record.
pub fn read_record(pipe: &mut impl Read) -> Result<Record, ProtocolError> {
    let [tag] = array(pipe)?;
    match tag {
        b'I' => information(pipe).map(Record::Information),
        b'F' => frame(pipe).map(Record::Frame),
        b'E' => Ok(Record::End(End {
            n_frames: u64::from_le_bytes(array(pipe)?),
            n_source_frames: u64::from_le_bytes(array(pipe)?),
        })),
        b'X' => Ok(Record::Failure(Failure { what: text(pipe, "failure text")?, mend: text(pipe, "help text")? })),
        tag => Err(ProtocolError::UnknownRecord { tag }),
    }
}

fn information(pipe: &mut impl Read) -> Result<Information, ProtocolError> {
    let information = Information {
        width: u32::from_le_bytes(array(pipe)?),
        height: u32::from_le_bytes(array(pipe)?),
        source_width: u32::from_le_bytes(array(pipe)?),
        source_height: u32::from_le_bytes(array(pipe)?),
        fps: finite("frame rate", f64::from_le_bytes(array(pipe)?))?,
        source_fps: finite("frame rate of the file", f64::from_le_bytes(array(pipe)?))?,
        n_announced_frames: u64::from_le_bytes(array(pipe)?),
    };
    frame_bytes(information.width, information.height)?;
    frame_bytes(information.source_width, information.source_height)?;
    Ok(information)
}

fn frame(pipe: &mut impl Read) -> Result<Frame, ProtocolError> {
    let time_secs = finite("frame time", f64::from_le_bytes(array(pipe)?))?;
    let width = u32::from_le_bytes(array(pipe)?);
    let height = u32::from_le_bytes(array(pipe)?);
    let n_bytes = frame_bytes(width, height)?;
    let mut rgb = Vec::new();
    rgb.try_reserve_exact(n_bytes).map_err(|_| ProtocolError::NoMemory { n_bytes })?;
    rgb.resize(n_bytes, 0);
    pipe.read_exact(&mut rgb)?;
    Ok(Frame { time_secs, width, height, rgb })
}

fn text(pipe: &mut impl Read, field: &'static str) -> Result<String, ProtocolError> {
    let n_bytes = u32::from_le_bytes(array(pipe)?);
    if n_bytes > MAX_TEXT_BYTES {
        return Err(ProtocolError::OutOfBounds { field, value: n_bytes.into(), limit: MAX_TEXT_BYTES.into() });
    }
    let mut bytes = vec![0; n_bytes as usize];
    pipe.read_exact(&mut bytes)?;
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    Ok(String::from_utf8_lossy(&bytes).chars().map(printable).collect())
}

fn finite(field: &'static str, value: f64) -> Result<f64, ProtocolError> {
    if value.is_finite() { Ok(value) } else { Err(ProtocolError::NotFinite { field, value }) }
}

fn array<const N: usize>(pipe: &mut impl Read) -> Result<[u8; N], ProtocolError> {
    let mut bytes = [0; N];
    pipe.read_exact(&mut bytes)?;
    Ok(bytes)
}
