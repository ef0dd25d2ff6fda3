//! Which frame is shown at which instant.

use std::ops::Range;

/// Slack in slots for time stamps that a container rounds to its clock.
const SLACK: f64 = 1e-6;

/// Resamples frames of any spacing to instants `start + k / fps`.
///
/// The rule is that of ffmpeg's `fps` filter, with which the published data were made: a time stamp belongs to the
/// nearest instant (halves to the later one), and an instant shows the last frame that belongs to it or to an earlier
/// one. So a video that already has this rate passes frame by frame, a faster one loses frames, and a slower one or one
/// with gaps repeats them.
pub(crate) struct Sampler<T> {
    fps: f64,
    start_secs: f64,
    held: Option<T>,
    next_slot: i64,
    emitted: bool,
}

impl<T> Sampler<T> {
    pub(crate) fn new(fps: f64, start_secs: f64) -> Self {
        Self { fps, start_secs, held: None, next_slot: 0, emitted: false }
    }

    /// Takes the next frame and gives back the one before it with the instants that show it, where there are any.
    pub(crate) fn push(&mut self, time_secs: f64, frame: T) -> Option<(Range<i64>, T)> {
        let slot = self.slot(time_secs);
        let Some(held) = self.held.replace(frame) else {
            self.next_slot = slot.max(0);
            return None;
        };
        self.fill(slot, held)
    }

    /// Gives back the last frame with the instants that show it until the video ends.
    ///
    /// A video shorter than half an instant still gives one frame, unless it ends before the start.
    pub(crate) fn finish(&mut self, end_secs: f64) -> Option<(Range<i64>, T)> {
        let held = self.held.take()?;
        let at_least = if self.emitted || end_secs <= self.start_secs { self.next_slot } else { self.next_slot + 1 };
        self.fill(self.slot(end_secs).max(at_least), held)
    }

    /// Time of an instant.
    pub(crate) fn time_secs(&self, slot: i64) -> f64 {
        self.start_secs + slot as f64 / self.fps
    }

    fn fill(&mut self, until: i64, frame: T) -> Option<(Range<i64>, T)> {
        if until <= self.next_slot {
            return None;
        }
        let slots = self.next_slot..until;
        self.next_slot = until;
        self.emitted = true;
        Some((slots, frame))
    }

    fn slot(&self, time_secs: f64) -> i64 {
        ((time_secs - self.start_secs) * self.fps + 0.5 + SLACK).floor() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::Sampler;

    /// Indices of the source frames that are shown, instant by instant, and the first instant.
    fn shown(times_secs: &[f64], end_secs: f64, fps: f64, start_secs: f64) -> (i64, Vec<usize>) {
        let mut sampler = Sampler::new(fps, start_secs);
        let mut frames = Vec::new();
        let mut first = None;
        let mut take = |shown: Option<(std::ops::Range<i64>, usize)>| {
            if let Some((slots, frame)) = shown {
                first.get_or_insert(slots.start);
                frames.extend(slots.map(|_| frame));
            }
        };
        for (index, time_secs) in times_secs.iter().enumerate() {
            take(sampler.push(*time_secs, index));
        }
        take(sampler.finish(end_secs));
        (first.unwrap_or(-1), frames)
    }

    fn even(n: usize, fps: f64) -> Vec<f64> {
        (0..n).map(|index| index as f64 / fps).collect()
    }

    #[test]
    fn the_same_rate_passes_frame_by_frame() {
        assert_eq!(shown(&even(16, 8.0), 2.0, 8.0, 0.0), (0, (0..16).collect()));
    }

    #[test]
    fn thirty_to_eight_is_the_choice_of_the_ffmpeg_filter() {
        let (first, frames) = shown(&even(60, 30.0), 2.0, 8.0, 0.0);
        assert_eq!(first, 0);
        assert_eq!(frames, [1, 5, 9, 13, 16, 20, 24, 28, 31, 35, 39, 43, 46, 50, 54, 58]);
    }

    #[test]
    fn a_slower_video_repeats_frames() {
        assert_eq!(shown(&even(4, 4.0), 1.0, 8.0, 0.0).1, [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn gaps_repeat_the_last_frame() {
        assert_eq!(shown(&[0.0, 0.125, 0.75, 0.76], 1.0, 8.0, 0.0).1, [0, 1, 1, 1, 1, 1, 3, 3]);
    }

    #[test]
    fn a_start_inside_shows_the_frame_of_that_time() {
        assert_eq!(shown(&even(16, 8.0), 2.0, 8.0, 1.0), (0, (8..16).collect()));
        assert_eq!(shown(&[0.0, 1.0], 2.0, 8.0, 0.5).1, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_start_after_the_end_shows_nothing() {
        assert_eq!(shown(&even(16, 8.0), 2.0, 8.0, 5.0).1, Vec::<usize>::new());
    }

    #[test]
    fn a_single_short_frame_is_shown_once() {
        assert_eq!(shown(&[0.0], 1.0 / 30.0, 8.0, 0.0).1, [0]);
    }

    #[test]
    fn a_late_first_frame_starts_late() {
        assert_eq!(shown(&[0.5, 0.625], 0.75, 8.0, 0.0), (4, vec![0, 1]));
    }
}
