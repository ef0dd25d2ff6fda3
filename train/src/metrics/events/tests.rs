use super::{Event, EventFile, FILE_VERSION, START, SessionLog, Summary, Value, What, record};
use crate::metrics::StepMetrics;
use prost::Message;

/// Written by TensorBoard; `golden.py` is its recipe.
const GOLDEN: &[u8] = include_bytes!("golden.tfevents");

#[test]
fn records_are_those_of_tensorboard() {
    let value = |tag: &str, value: f32| Value { tag: tag.to_owned(), simple_value: Some(value) };
    let step = vec![value("learning_rate", 0.0), value("loss", 2.5625), value("loss/rgb", f32::INFINITY)];
    let events = [
        (0.0, 0, What::FileVersion(FILE_VERSION.to_owned())),
        (0.25, 13, What::SessionLog(SessionLog { status: START })),
        (0.5, 300, What::Summary(Summary { value: step })),
        (1.0, 1 << 40, What::Summary(Summary { value: vec![value("ü", -1e-30)] })),
    ];
    let bytes = events
        .map(|(secs, step, what)| record(&Event { wall_time: 1.7e9 + secs, step, what: Some(what) }.encode_to_vec()));
    assert_eq!(bytes.concat(), GOLDEN);
}

#[test]
fn a_file_holds_what_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let metrics = |step| StepMetrics { step, time_secs: 2.0, values: [("loss".to_owned(), 0.5)].into() };
    let mut paths = Vec::new();
    for resumed_step in [None, Some(1)] {
        let mut file = EventFile::create(folder.path(), resumed_step).expect("a file");
        file.write(&metrics(2)).expect("a record");
        paths.push(file.path().to_owned());
    }
    assert!(paths[0] < paths[1]);
    let name = paths[0].file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(name.starts_with("events.out.tfevents.1") || name.starts_with("events.out.tfevents.2"), "{name}");
    let [first, second] = [0, 1].map(|index| events(&std::fs::read(&paths[index]).expect("bytes")));
    assert_eq!(first[0].what, Some(What::FileVersion(FILE_VERSION.to_owned())));
    let summary = Summary { value: vec![Value { tag: "loss".to_owned(), simple_value: Some(0.5) }] };
    assert_eq!(first[1..], [Event { wall_time: 2.0, step: 2, what: Some(What::Summary(summary)) }]);
    assert_eq!((second[1].step, &second[1].what), (2, &Some(What::SessionLog(SessionLog { status: START }))));
    assert_eq!(second[2..], first[1..]);
}

fn events(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let (length, _) = bytes.split_first_chunk().expect("a length");
        let (event, rest) = bytes.split_at(u64::from_le_bytes(*length) as usize + 16);
        events.push(Event::decode(&event[12..event.len() - 4]).expect("an event"));
        bytes = rest;
    }
    events
}
