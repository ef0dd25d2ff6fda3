use super::crc32c::masked_crc32c;
use super::{MetricsError, Result, StepMetrics, now_secs};
use prost::Message;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

/// What a file of events begins with.
const FILE_VERSION: &str = "brain.Event:2";
/// The status of a log that begins, or begins again.
const START: i32 = 1;

/// A file of TensorBoard events, scalars only: records of a length, its sum, an `Event` message and its sum.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

/// The part of TensorFlow's `event.proto` that scalars need.
#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// Of `summary.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// One number.
#[derive(Clone, PartialEq, prost::Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Of `event.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl EventFile {
    /// A new file beside those of earlier runs. After a resume it tells readers that steps later than `resumed_step` come
    /// again.
    pub fn create(folder: &Path, resumed_step: Option<u64>) -> Result<Self> {
        let (path, file) = create_new(folder).map_err(MetricsError::write(folder))?;
        let mut events = Self { path, file };
        events.append(now_secs(), 0, What::FileVersion(FILE_VERSION.to_owned()))?;
        if let Some(step) = resumed_step {
            events.append(now_secs(), step + 1, What::SessionLog(SessionLog { status: START }))?;
        }
        Ok(events)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the values of a step, rounded to single precision.
    pub fn write(&mut self, metrics: &StepMetrics) -> Result<()> {
        let value = |(tag, value): (&String, &f64)| Value { tag: tag.clone(), simple_value: Some(*value as f32) };
        let summary = Summary { value: metrics.values.iter().map(value).collect() };
        self.append(metrics.time_secs, metrics.step, What::Summary(summary))
    }

    fn append(&mut self, wall_time: f64, step: u64, what: What) -> Result<()> {
        let event = Event { wall_time, step: step as i64, what: Some(what) };
        // One write per record, so that a reader of a training that runs sees whole ones.
        self.file.write_all(&record(&event.encode_to_vec())).map_err(MetricsError::write(&self.path))
    }
}

/// The frame of a record (TensorFlow's `record_writer.h`).
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(data.len() + 16);
    bytes.extend(length);
    bytes.extend(masked_crc32c(&length).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked_crc32c(data).to_le_bytes());
    bytes
}

/// Readers take files in the order of their names, which begin with the time.
fn create_new(folder: &Path) -> io::Result<(PathBuf, File)> {
    let prefix = format!("events.out.tfevents.{:010}.egom2p-train.{}", now_secs() as u64, process::id());
    let mut index = 0;
    loop {
        let path = folder.join(format!("{prefix}.{index}"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => index += 1,
            file => return Ok((path, file?)),
        }
    }
}

#[cfg(test)]
mod tests;
