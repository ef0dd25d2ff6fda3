use std::io::{self, Write};

use crate::motion::Pose;

/// Writes a trajectory in the TUM format: a line `time_secs tx ty tz qx qy qz qw` per frame, frame 0 at time 0.
pub fn write_tum(writer: &mut impl Write, world_from_camera: &[Pose], fps: f64) -> io::Result<()> {
    for (frame, pose) in world_from_camera.iter().enumerate() {
        let [tx, ty, tz] = pose.translation;
        let [qx, qy, qz, qw] = pose.quaternion();
        let time_secs = frame as f64 / fps;
        writeln!(writer, "{time_secs:.6} {tx:.9} {ty:.9} {tz:.9} {qx:.9} {qy:.9} {qz:.9} {qw:.9}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::write_tum;
    use crate::motion::Pose;

    #[test]
    fn lines_have_time_translation_and_quaternion() {
        let quarter_turn = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
        let poses = [Pose::IDENTITY, Pose { rotation: quarter_turn, translation: [0.5, -0.25, 1.0] }];
        let mut text = Vec::new();
        write_tum(&mut text, &poses, 30.0).expect("memory has room");
        let text = String::from_utf8(text).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "0.000000 0.000000000 0.000000000 0.000000000 0.000000000 0.000000000 0.000000000 1.000000000",
                "0.033333 0.500000000 -0.250000000 1.000000000 0.000000000 0.000000000 0.707106781 0.707106781",
            ]
        );
    }
}
