use super::{MetricsError, Result, StepMetrics};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

/// The fields of a line that are no values.
const STEP: &str = "step";
const TIME: &str = "time_secs";
/// The longest line that is read.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// One JSON object per step: `{"step":12,"time_secs":1.7e9,"loss":2.5}`. A value that is not a number is `null`.
#[derive(Debug)]
pub struct MetricsLines {
    path: PathBuf,
    file: File,
    n_bytes: u64,
}

/// The lines of a file from the first to the last; a last line without its end is one that was interrupted, and left out.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: usize,
    bytes: Vec<u8>,
}

impl MetricsLines {
    /// A new file.
    pub fn create(path: &Path) -> Result<Self> {
        match OpenOptions::new().append(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(MetricsError::Exists { path: path.to_owned() })
            }
            file => Ok(Self { path: path.to_owned(), file: file.map_err(MetricsError::write(path))?, n_bytes: 0 }),
        }
    }

    /// The file of a training that goes on after `step`: lines of later steps go, by writing the others beside and
    /// renaming. Begins a new file where there is none.
    pub fn resume(path: &Path, step: u64) -> Result<Self> {
        if !fs::exists(path).map_err(MetricsError::read(path))? {
            return Self::create(path);
        }
        let partial = path.with_extension("partial");
        let kept = keep(path, step, &partial).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = fs::remove_file(&partial);
        });
        let (file, n_bytes) = kept?;
        Ok(Self { path: path.to_owned(), file, n_bytes })
    }

    /// Appends the values of a step; where the disk is full, nothing of the line stays.
    pub fn write(&mut self, metrics: &StepMetrics) -> Result<()> {
        let line = line(metrics)?;
        self.file.write_all(line.as_bytes()).map_err(|error| {
            // The first error is the one to tell.
            let _ = self.file.set_len(self.n_bytes);
            MetricsError::write(&self.path)(error)
        })?;
        self.n_bytes += line.len() as u64;
        Ok(())
    }
}

/// The steps of a file of metrics in order, to `visit`; values that are `null` are left out.
pub fn read_lines(path: &Path, mut visit: impl FnMut(StepMetrics)) -> Result<()> {
    let mut lines = Lines::open(path)?;
    while let Some(metrics) = lines.next()? {
        visit(metrics);
    }
    Ok(())
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(MetricsError::read(path))?;
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), line: 0, bytes: Vec::new() })
    }

    /// The next step, whose line is in `bytes`.
    fn next(&mut self) -> Result<Option<StepMetrics>> {
        self.bytes.clear();
        self.line += 1;
        let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut self.bytes);
        read.map_err(MetricsError::read(&self.path))?;
        let damaged = |reason: &str| MetricsError::Damaged {
            path: self.path.clone(),
            line: self.line,
            reason: reason.to_owned(),
        };
        if self.bytes.last() != Some(&b'\n') {
            let is_short = (self.bytes.len() as u64) < MAX_LINE_BYTES;
            return if is_short { Ok(None) } else { Err(damaged("it is longer than 1 MiB")) };
        }
        let object: Map<String, Value> = serde_json::from_slice(&self.bytes).map_err(|_| damaged("no JSON object"))?;
        let step = object.get(STEP).and_then(Value::as_u64).ok_or_else(|| damaged("no step"))?;
        let time_secs = object.get(TIME).and_then(Value::as_f64).ok_or_else(|| damaged("no time_secs"))?;
        let mut metrics = StepMetrics { step, time_secs, values: [].into() };
        for (name, value) in object.into_iter().filter(|(name, _)| ![STEP, TIME].contains(&name.as_str())) {
            match value {
                Value::Null => {}
                Value::Number(number) => metrics.values.extend(number.as_f64().map(|number| (name, number))),
                _ => return Err(damaged("a value that is not a number")),
            }
        }
        Ok(Some(metrics))
    }
}

/// Copies the lines up to a step, puts the copy in their place, and gives it with its length.
fn keep(path: &Path, step: u64, partial: &Path) -> Result<(File, u64)> {
    let mut writer = BufWriter::new(File::create(partial).map_err(MetricsError::write(partial))?);
    let (mut lines, mut n_bytes) = (Lines::open(path)?, 0);
    while let Some(metrics) = lines.next()? {
        if metrics.step <= step {
            writer.write_all(&lines.bytes).map_err(MetricsError::write(partial))?;
            n_bytes += lines.bytes.len() as u64;
        }
    }
    let put_in_place = || -> io::Result<File> {
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(partial, path)?;
        OpenOptions::new().append(true).open(path)
    };
    Ok((put_in_place().map_err(MetricsError::write(path))?, n_bytes))
}

fn line(metrics: &StepMetrics) -> Result<String> {
    let mut object = Map::new();
    object.insert(STEP.to_owned(), json!(metrics.step));
    object.insert(TIME.to_owned(), json!(metrics.time_secs));
    for (name, value) in &metrics.values {
        if object.insert(name.clone(), json!(value)).is_some() {
            return Err(MetricsError::Name { name: name.clone() });
        }
    }
    Ok(Value::Object(object).to_string() + "\n")
}
