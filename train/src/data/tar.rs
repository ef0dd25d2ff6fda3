//! A reader of tar streams for hostile files: it says exactly where a shard is cut or wrong, never allocates what a
//! header claims without a bound, and knows the offset of every member, so that reading can go on from there.

use std::io::{self, Read};

/// Tar files consist of blocks of this size.
pub(super) const BLOCK_BYTES: usize = 512;
/// The longest name of a member, and the largest extended header.
const MAX_NAME_BYTES: u64 = 64 << 10;

/// What is wrong with a tar stream.
#[derive(Debug)]
pub(super) enum TarError {
    /// It cannot be read.
    Io(io::Error),
    /// It ends at this byte, in this part.
    Truncated(u64, String),
    /// A header at this byte is none.
    Header(u64, String),
}

/// A file of a tar stream.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where its headers start.
    pub(super) start: u64,
    /// Its content; the size alone where it is larger than the limit.
    pub(super) content: Result<Vec<u8>, u64>,
}

/// Reads members one after another.
pub(super) struct TarReader {
    reader: Box<dyn Read>,
    position: u64,
    limit: u64,
}

impl TarReader {
    /// Reads from a byte of a tar file on, where the headers of a member start. The contents of members above `limit`
    /// bytes are passed over.
    pub(super) fn new(reader: Box<dyn Read>, position: u64, limit: u64) -> Self {
        Self { reader, position, limit }
    }

    /// Where the headers of the next member start.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next file; `None` at the end mark. Folders are passed over.
    pub(super) fn next(&mut self) -> Result<Option<Member>, TarError> {
        let start = self.position;
        let (mut long_name, mut long_size) = (None, None);
        loop {
            let at = self.position;
            let block = self.block()?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let header = Header::parse(&block).map_err(|reason| TarError::Header(at, reason))?;
            match header.kind {
                b'L' => {
                    long_name =
                        Some(text(trim(&self.extension(&header, at)?)).map_err(|reason| TarError::Header(at, reason))?);
                }
                b'x' => {
                    let records = self.extension(&header, at)?;
                    let records = pax(&records).map_err(|reason| TarError::Header(at, reason.to_owned()))?;
                    (long_name, long_size) = (records.0.or(long_name), records.1.or(long_size));
                }
                b'g' | b'5' => self.skip(header.n_bytes, &header.name)?,
                b'0' | b'\0' | b'7' => {
                    let name = long_name.unwrap_or(header.name);
                    let content = self.content(long_size.unwrap_or(header.n_bytes), &name)?;
                    return Ok(Some(Member { name, start, content }));
                }
                kind => {
                    let reason =
                        format!("the member {:?} is of kind {:?}, expected a file", header.name, char::from(kind));
                    return Err(TarError::Header(at, reason));
                }
            }
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK_BYTES], TarError> {
        let mut block = [0; BLOCK_BYTES];
        let mut n = 0;
        while n < BLOCK_BYTES {
            match self.reader.read(&mut block[n..]) {
                Ok(0) => {
                    return Err(TarError::Truncated(self.position + n as u64, "a header or the end mark".to_owned()));
                }
                Ok(read) => n += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::Io(error)),
            }
        }
        self.position += BLOCK_BYTES as u64;
        Ok(block)
    }

    fn content(&mut self, n_bytes: u64, name: &str) -> Result<Result<Vec<u8>, u64>, TarError> {
        if n_bytes > self.limit {
            self.skip(n_bytes, name)?;
            return Ok(Err(n_bytes));
        }
        let mut content = Vec::with_capacity(n_bytes as usize);
        self.reader.by_ref().take(n_bytes).read_to_end(&mut content).map_err(TarError::Io)?;
        self.position += content.len() as u64;
        if (content.len() as u64) < n_bytes {
            return Err(TarError::Truncated(self.position, format!("the member {name:?}")));
        }
        self.skip_exactly(padding(n_bytes), name)?;
        Ok(Ok(content))
    }

    fn extension(&mut self, header: &Header, at: u64) -> Result<Vec<u8>, TarError> {
        if header.n_bytes > MAX_NAME_BYTES {
            let reason = format!("a name takes {} bytes, expected at most {MAX_NAME_BYTES}", header.n_bytes);
            return Err(TarError::Header(at, reason));
        }
        let limit = std::mem::replace(&mut self.limit, MAX_NAME_BYTES);
        let content = self.content(header.n_bytes, &header.name);
        self.limit = limit;
        Ok(content?.unwrap_or_default())
    }

    fn skip(&mut self, n_bytes: u64, name: &str) -> Result<(), TarError> {
        self.skip_exactly(n_bytes.saturating_add(padding(n_bytes)), name)
    }

    fn skip_exactly(&mut self, n_bytes: u64, name: &str) -> Result<(), TarError> {
        let n = io::copy(&mut self.reader.by_ref().take(n_bytes), &mut io::sink()).map_err(TarError::Io)?;
        self.position += n;
        if n < n_bytes { Err(TarError::Truncated(self.position, format!("the member {name:?}"))) } else { Ok(()) }
    }
}

/// What of a header matters here.
struct Header {
    name: String,
    n_bytes: u64,
    kind: u8,
}

impl Header {
    fn parse(block: &[u8; BLOCK_BYTES]) -> Result<Self, String> {
        let counts = |(index, byte): (usize, &u8)| if (148..156).contains(&index) { 32 } else { u64::from(*byte) };
        let sum: u64 = block.iter().enumerate().map(counts).sum();
        if number(&block[148..156]) != Some(sum) {
            return Err("the checksum of a header is wrong".to_owned());
        }
        let mut name = text(trim(&block[..100]))?;
        let prefix = trim(&block[345..500]);
        if block[257..263] == *b"ustar\0" && !prefix.is_empty() {
            name = format!("{}/{name}", text(prefix)?);
        }
        let n_bytes = number(&block[124..136]).ok_or_else(|| format!("the size of {name:?} is not a number"))?;
        Ok(Self { name, n_bytes, kind: block[156] })
    }
}

fn padding(n_bytes: u64) -> u64 {
    n_bytes.wrapping_neg() % BLOCK_BYTES as u64
}

fn trim(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "the name of a member is not text".to_owned())
}

/// An octal number, or a binary one where its first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let bytes = field.iter().enumerate().map(|(index, byte)| if index == 0 { byte & 0x7f } else { *byte });
        return bytes.into_iter().try_fold(0_u64, |sum, byte| Some(sum.checked_mul(256)? | u64::from(byte)));
    }
    let digits = std::str::from_utf8(trim(field)).ok()?.trim();
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

/// The records `path` and `size` of an extended header.
fn pax(mut bytes: &[u8]) -> Result<(Option<String>, Option<u64>), &'static str> {
    const WRONG: &str = "an extended header cannot be read";
    let (mut path, mut size) = (None, None);
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or(WRONG)?;
        let length: usize =
            std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse().ok()).ok_or(WRONG)?;
        let record = bytes.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or(WRONG)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(WRONG)?;
        let value = std::str::from_utf8(&record[equals + 1..]).map_err(|_| WRONG);
        match &record[..equals] {
            b"path" => path = Some(value?.to_owned()),
            b"size" => size = Some(value?.parse().map_err(|_| WRONG)?),
            _ => {}
        }
        bytes = &bytes[length..];
    }
    Ok((path, size))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tar::{Builder, EntryType, Header};

    use super::{TarError, TarReader};

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content).expect("memory has room");
        }
        builder.into_inner().expect("memory has room")
    }

    fn reader(bytes: &[u8], from: u64) -> TarReader {
        TarReader::new(Box::new(Cursor::new(bytes[from as usize..].to_vec())), from, 1000)
    }

    #[test]
    fn members_are_read_from_any_of_their_offsets() {
        let long = format!("{}.npz", "n".repeat(300));
        let bytes = archive(&[("a.npz", b"one"), (&long, &[7; 512]), ("b.npz", b""), ("large", &[0; 2000])]);
        let mut all = reader(&bytes, 0);
        let mut starts = Vec::new();
        for (name, n_bytes) in [("a.npz", 3), (&long, 512), ("b.npz", 0)] {
            let member = all.next().expect("whole").expect("not the end");
            assert_eq!((member.name.as_str(), member.content.expect("small").len()), (name, n_bytes));
            let again = reader(&bytes, member.start).next().expect("whole").expect("not the end");
            assert_eq!(again.name, name);
            starts.push(member.start);
            assert!(all.position() > member.start);
        }
        assert_eq!(all.next().expect("whole").expect("not the end").content, Err(2000));
        assert!(all.next().expect("whole").is_none());
        assert_eq!(starts[..2], [0, 1024]);
    }

    #[test]
    fn extended_headers_name_members() {
        let mut builder = Builder::new(Vec::new());
        builder.append_pax_extensions([("path", b"folder/p.npz".as_slice())]).expect("memory has room");
        let mut header = Header::new_ustar();
        header.set_size(3);
        header.set_path("other").expect("a short name");
        header.set_cksum();
        builder.append(&header, b"abc".as_slice()).expect("memory has room");
        let bytes = builder.into_inner().expect("memory has room");
        let member = reader(&bytes, 0).next().expect("whole").expect("not the end");
        assert_eq!((member.name.as_str(), member.start), ("folder/p.npz", 0));
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = archive(&[("a.npz", &[1; 600]), ("b.npz", &[2; 10])]);
        // Two headers, two blocks of one content and one of the other; the first block of the end mark closes the file.
        let whole = 512 * 6;
        for cut in 0..whole {
            let mut reader = reader(&bytes[..cut], 0);
            let error = loop {
                match reader.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the cut at {cut} is not noticed"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, TarError::Truncated(at, _) if at == cut as u64), "{cut}: {error:?}");
        }
    }

    #[test]
    fn flipped_bytes_of_headers_are_errors() {
        let bytes = archive(&[("a.npz", b"abc")]);
        for at in 0..500 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x41;
            assert!(matches!(reader(&bytes, 0).next(), Err(TarError::Header(0, _))), "byte {at}");
        }
    }

    #[test]
    fn hostile_headers_are_refused() {
        let with = |change: &dyn Fn(&mut Header)| {
            let mut header = Header::new_gnu();
            header.set_path("a.npz").expect("a short name");
            header.set_size(3);
            change(&mut header);
            header.set_cksum();
            [header.as_bytes().as_slice(), &[0; 2048]].concat()
        };
        let huge = with(&|header| header.set_size(u64::MAX));
        assert!(matches!(reader(&huge, 0).next(), Err(TarError::Truncated(2560, _))));
        let name = with(&|header| {
            header.set_entry_type(EntryType::GNULongName);
            header.set_size(1 << 40);
        });
        assert!(matches!(reader(&name, 0).next(), Err(TarError::Header(0, _))));
        let link = with(&|header| header.set_entry_type(EntryType::Symlink));
        assert!(matches!(reader(&link, 0).next(), Err(TarError::Header(0, _))));
    }
}
