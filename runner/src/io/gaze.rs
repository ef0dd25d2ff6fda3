use std::io::{self, Write};

/// Writes gaze as CSV with the columns `time_secs,x,y`; x and y are fractions of the crop, 0 at its left and upper edge.
pub fn write_gaze_csv(writer: &mut impl Write, frames: &[[f32; 2]], fps: f64) -> io::Result<()> {
    writeln!(writer, "time_secs,x,y")?;
    for (frame, [x, y]) in frames.iter().enumerate() {
        writeln!(writer, "{:.6},{x:.6},{y:.6}", frame as f64 / fps)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::write_gaze_csv;

    #[test]
    fn columns_have_names() {
        let mut text = Vec::new();
        write_gaze_csv(&mut text, &[[0.5, 0.25], [0.0, 1.0]], 30.0).expect("memory has room");
        let expected = "time_secs,x,y\n0.000000,0.500000,0.250000\n0.033333,0.000000,1.000000\n";
        assert_eq!(text, expected.as_bytes());
    }
}
