use super::PreparationError;
use std::ops::Range;

/// The windows of `n_frames` that fit into a recording, one every `stride` frames from its first. A stride of 0 gives none.
pub fn windows(recording_frames: usize, n_frames: usize, stride: usize) -> impl Iterator<Item = Range<usize>> {
    let n_windows = match recording_frames.checked_sub(n_frames) {
        Some(rest) if stride > 0 => rest / stride + 1,
        _ => 0,
    };
    (0..n_windows).map(move |index| index * stride..index * stride + n_frames)
}

/// The two halves of a clip of twice `n_frames`, with their published names `CLIP-0` and `CLIP-1`.
pub fn halves(
    clip: &str,
    clip_frames: usize,
    n_frames: usize,
) -> Result<[(String, Range<usize>); 2], PreparationError> {
    let expected = n_frames.saturating_mul(2);
    if clip_frames != expected {
        return Err(PreparationError::Length { recording: clip.to_owned(), n_frames: clip_frames, expected });
    }
    Ok([0, 1].map(|half| (format!("{clip}-{half}"), half * n_frames..(half + 1) * n_frames)))
}

#[cfg(test)]
mod tests {
    use super::{PreparationError, halves, windows};

    #[test]
    fn windows_are_whole() {
        let starts = |recording: usize, stride: usize| {
            windows(recording, 60, stride)
                .inspect(|window| assert_eq!(window.len(), 60))
                .map(|window| window.start)
                .collect::<Vec<_>>()
        };
        assert_eq!(starts(120, 10), [0, 10, 20, 30, 40, 50, 60]);
        assert_eq!(starts(119, 30), [0, 30]);
        assert_eq!(starts(60, 10), [0]);
        assert_eq!(starts(59, 10), [0; 0]);
        assert_eq!(starts(0, 10), [0; 0]);
        assert_eq!(starts(120, 0), [0; 0]);
    }

    #[test]
    fn four_seconds_are_two_clips() {
        let [first, second] = halves("kitchen_7", 120, 60).expect("four seconds");
        assert_eq!(first, ("kitchen_7-0".to_owned(), 0..60));
        assert_eq!(second, ("kitchen_7-1".to_owned(), 60..120));
        let error = halves("kitchen_7", 119, 60).expect_err("a frame is missing");
        assert_eq!(error, PreparationError::Length { recording: "kitchen_7".to_owned(), n_frames: 119, expected: 120 });
    }
}
