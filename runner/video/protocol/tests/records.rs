//! Records survive the pipe, and hostile bytes are refused.

use std::io::{Cursor, ErrorKind};

use egom2p_video_protocol::{
    End, Failure, Frame, Information, MAX_SIDE, MAX_TEXT_BYTES, ProtocolError, Record, read_header, read_record,
    write_header, write_record,
};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

fn records() -> Vec<Record> {
    vec![
        Record::Information(Information {
            width: 2,
            height: 1,
            source_width: 640,
            source_height: 480,
            fps: 8.0,
            source_fps: 29.97,
            n_announced_frames: 12,
        }),
        Record::Frame(Frame { time_secs: 0.125, width: 2, height: 1, rgb: vec![1, 2, 3, 4, 5, 6] }),
        Record::End(End { n_frames: 1, n_source_frames: 12 }),
        Record::Failure(Failure { what: "no é".to_owned(), mend: String::new() }),
    ]
}

#[test]
fn records_survive_the_pipe() {
    let mut bytes = Vec::new();
    write_header(&mut bytes).expect("a vector takes everything");
    for record in records() {
        write_record(&mut bytes, &record).expect("a vector takes everything");
    }
    let mut pipe = Cursor::new(bytes);
    read_header(&mut pipe).expect("the header was written");
    for record in records() {
        assert_eq!(read_record(&mut pipe).expect("the record was written"), record);
    }
    assert!(
        matches!(read_record(&mut pipe), Err(ProtocolError::Pipe(error)) if error.kind() == ErrorKind::UnexpectedEof)
    );
}

#[test]
fn a_cut_record_is_an_unexpected_end() {
    for record in records() {
        let mut bytes = Vec::new();
        write_record(&mut bytes, &record).expect("a vector takes everything");
        for length in 0..bytes.len() {
            let error = read_record(&mut &bytes[..length]).expect_err("the record is cut");
            assert!(matches!(error, ProtocolError::Pipe(error) if error.kind() == ErrorKind::UnexpectedEof));
        }
    }
}

#[test]
fn a_frame_of_gigabytes_is_refused_before_memory_is_asked_for() {
    let mut bytes = vec![b'F'];
    bytes.extend(0f64.to_le_bytes());
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.extend(u32::MAX.to_le_bytes());
    let error = read_record(&mut bytes.as_slice()).expect_err("the width is out of bounds");
    assert!(
        matches!(error, ProtocolError::OutOfBounds { field: "frame width", limit, .. } if limit == u64::from(MAX_SIDE))
    );
}

#[test]
fn times_that_are_not_numbers_are_refused() {
    let mut bytes = vec![b'F'];
    bytes.extend(f64::NAN.to_le_bytes());
    bytes.extend([1, 0, 0, 0, 1, 0, 0, 0, 9, 9, 9]);
    assert!(matches!(read_record(&mut bytes.as_slice()), Err(ProtocolError::NotFinite { .. })));
}

#[test]
fn other_headers_are_refused() {
    let foreign = read_header(&mut b"RIFF....AVI ".as_slice()).expect_err("the header is foreign");
    assert!(foreign.to_string().contains("got \"RIFF....\""), "{foreign}");
    let newer = read_header(&mut b"EGOVIDEO\x09\0\0\0".as_slice()).expect_err("the version is newer");
    assert!(matches!(newer, ProtocolError::OtherVersion { expected: 1, found: 9 }));
}

#[test]
fn long_texts_are_cut_at_a_letter() {
    let record = Record::Failure(Failure { what: "é".repeat(MAX_TEXT_BYTES as usize), mend: "x\ny".to_owned() });
    let mut bytes = Vec::new();
    write_record(&mut bytes, &record).expect("a vector takes everything");
    let Record::Failure(failure) = read_record(&mut bytes.as_slice()).expect("the text was cut to fit") else {
        panic!("expected a failure record")
    };
    assert_eq!(failure.what, "é".repeat(MAX_TEXT_BYTES as usize / 2));
    assert_eq!(failure.mend, "x y");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn arbitrary_bytes_never_panic(
        tag in prop::sample::select(b"IFEXq".to_vec()),
        bytes in prop::collection::vec(any::<u8>(), 0..96),
    ) {
        let mut stream = vec![tag];
        stream.extend(bytes);
        let mut pipe = stream.as_slice();
        while !pipe.is_empty() {
            if read_record(&mut pipe).is_err() {
                break;
            }
        }
    }
}
