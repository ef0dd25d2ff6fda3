/// Steps of the simulation in a second: a multiple of both rates, so that frames and samples fall on steps.
pub(crate) const TICKS: usize = 120;
/// Frames of video in a second (the published rate).
pub const FRAMES_PER_SECOND: usize = 8;
/// Camera poses and gaze samples in a second (the published rate).
pub const SAMPLES_PER_SECOND: usize = 30;

/// The step at which a frame is taken.
pub(crate) const fn tick_of_frame(frame: usize) -> usize {
    frame * (TICKS / FRAMES_PER_SECOND)
}

/// The step at which a pose and a gaze sample are taken.
pub(crate) const fn tick_of_sample(sample: usize) -> usize {
    sample * (TICKS / SAMPLES_PER_SECOND)
}

/// The time of a step, counted from the first frame.
pub(crate) const fn secs(tick: usize) -> f64 {
    tick as f64 / TICKS as f64
}

/// Steps that a clip of these sizes needs.
pub(crate) const fn n_ticks(frames: usize, samples: usize) -> usize {
    let (video, motion) = (tick_of_frame(frames), tick_of_sample(samples));
    if video > motion { video } else { motion }
}
