use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use super::FileError;

/// Largest file that is read: a thousand times what a clip of the published model takes.
const MAX_BYTES: u64 = 4 << 20;

/// Writes gaze as CSV with the columns `time_secs,x,y`; x and y are fractions of the crop, 0 at its left and upper edge.
pub fn write_gaze_csv(writer: &mut impl Write, frames: &[[f32; 2]], fps: f64) -> io::Result<()> {
    writeln!(writer, "time_secs,x,y")?;
    for (frame, [x, y]) in frames.iter().enumerate() {
        writeln!(writer, "{:.6},{x:.6},{y:.6}", frame as f64 / fps)?;
    }
    Ok(())
}

/// Reads what [`write_gaze_csv`] wrote: time in seconds, x and y of every row.
pub fn read_gaze_csv(path: &Path) -> Result<Vec<[f32; 3]>, FileError> {
    let wrong = |reason: &str| FileError::format(path, ".csv", reason);
    let mut text = String::new();
    let file = File::open(path).map_err(FileError::read(path))?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(FileError::read(path))?;
    let mut lines = text.lines();
    if lines.next() != Some("time_secs,x,y") {
        return Err(wrong("its first line is not time_secs,x,y"));
    }
    let row = |line: &str| {
        let cells: Option<Vec<f32>> = line.split(',').map(|cell| cell.parse().ok()).collect();
        cells.and_then(|cells| cells.try_into().ok())
    };
    lines.map(|line| row(line).ok_or_else(|| wrong("it has a line that is not three numbers"))).collect()
}

#[cfg(test)]
mod tests {
    use super::{read_gaze_csv, write_gaze_csv};

    #[test]
    fn columns_have_names() {
        let mut text = Vec::new();
        write_gaze_csv(&mut text, &[[0.5, 0.25], [0.0, 1.0]], 30.0).expect("memory has room");
        let expected = "time_secs,x,y\n0.000000,0.500000,0.250000\n0.033333,0.000000,1.000000\n";
        assert_eq!(text, expected.as_bytes());
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &text).expect("room");
        assert_eq!(read_gaze_csv(file.path()).expect("our own"), [[0.0, 0.5, 0.25], [0.033_333, 0.0, 1.0]]);
    }

    #[test]
    fn other_files_are_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for text in ["", "x,y\n0,0\n", "time_secs,x,y\n0,0\n", "time_secs,x,y\n0,0,0,0\n", "time_secs,x,y\n0,a,0\n"] {
            std::fs::write(file.path(), text).expect("room");
            assert!(read_gaze_csv(file.path()).is_err(), "{text:?}");
        }
    }
}
