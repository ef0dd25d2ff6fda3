use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{anyhow, bail};
use egom2p_device::DeviceError;

/// How it went, noted by every thread that gets to know something.
pub(super) struct Outcome {
    state: Mutex<State>,
}

struct State {
    videos: Vec<Video>,
    n_clips: usize,
    /// The output folders of clips that failed.
    failed: Vec<PathBuf>,
    /// Why the only clip failed.
    only: Option<anyhow::Error>,
    lost: Option<Lost>,
}

struct Video {
    path: PathBuf,
    /// Whether all clips are known.
    read: bool,
    /// Clips that are known and not done.
    open: usize,
    failed: bool,
}

/// The GPU is gone: nothing more can be done.
struct Lost {
    cause: DeviceError,
    /// The number of the first batch that was lost with it, and its first clip.
    first: (usize, PathBuf),
}

impl Outcome {
    /// Of these videos; of none for a run from tokens.
    pub(super) fn new(videos: &[PathBuf]) -> Self {
        let video = |path: &PathBuf| Video { path: path.clone(), read: false, open: 0, failed: false };
        let videos = videos.iter().map(video).collect();
        Self { state: Mutex::new(State { videos, n_clips: 0, failed: Vec::new(), only: None, lost: None }) }
    }

    /// Where a video is.
    pub(super) fn video(&self, video: usize) -> PathBuf {
        self.state().videos[video].path.clone()
    }

    /// All clips of a video are known.
    pub(super) fn read(&self, video: usize) {
        self.state().videos[video].read = true;
    }

    /// A video cannot be read to its end.
    pub(super) fn video_failed(&self, video: usize) {
        self.state().videos[video].failed = true;
    }

    /// There is one more clip.
    pub(super) fn begun(&self, video: Option<usize>) {
        let mut state = self.state();
        state.n_clips += 1;
        if let Some(video) = video {
            state.videos[video].open += 1;
        }
    }

    /// A clip was written.
    pub(super) fn done(&self, video: Option<usize>) {
        if let Some(video) = video {
            self.state().videos[video].open -= 1;
        }
    }

    /// A clip was not predicted, or not written.
    pub(super) fn failed(&self, video: Option<usize>, out: PathBuf) {
        let mut state = self.state();
        state.failed.push(out);
        if let Some(video) = video {
            state.videos[video].failed = true;
        }
    }

    /// The only clip failed.
    pub(super) fn only_failed(&self, error: anyhow::Error) {
        self.state().only = Some(error);
    }

    /// The device was lost while this batch, whose first clip this is, was on it.
    pub(super) fn lost(&self, cause: &DeviceError, first: (usize, PathBuf)) {
        let mut state = self.state();
        if state.lost.as_ref().is_none_or(|lost| first.0 < lost.first.0) {
            state.lost = Some(Lost { cause: cause.clone(), first });
        }
    }

    /// What the run says at its end; `fed` is how reading ended.
    pub(super) fn finish(self, fed: anyhow::Result<()>) -> anyhow::Result<()> {
        let State { videos, n_clips, mut failed, only, lost } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(Lost { cause, first: (_, first) }) = lost {
            let n_left = videos.iter().filter(|video| !video.is_done()).count();
            return Err(not_done(&cause, &first, (n_left, videos.len())));
        }
        fed?;
        if let Some(error) = only {
            return Err(error);
        }
        let (what, n_all, names): (_, _, Vec<_>) = if videos.len() > 1 {
            ("videos", videos.len(), videos.iter().filter(|video| video.failed).map(|video| &video.path).collect())
        } else {
            failed.sort();
            ("clips", n_clips, failed.iter().collect())
        };
        if names.is_empty() {
            return Ok(());
        }
        let (n_failed, names): (_, Vec<_>) =
            (names.len(), names.iter().map(|name| name.display().to_string()).collect());
        bail!(
            "{n_failed} of {n_all} {what} failed: {}\nthe messages above say why; the others are done",
            names.join(", ")
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Video {
    fn is_done(&self) -> bool {
        self.read && self.open == 0 && !self.failed
    }
}

/// What a lost GPU leaves undone.
fn not_done(cause: &DeviceError, first: &Path, (n_left, n_videos): (usize, usize)) -> anyhow::Error {
    if n_videos == 0 {
        return anyhow!(cause.clone());
    }
    let text = cause.to_string();
    let (what, mend) = text.split_once('\n').unwrap_or((&text, "run the command again"));
    anyhow!("{what}; first not done: {}, and with it {n_left} of {n_videos} videos\n{mend}", first.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(names: &[&str]) -> Outcome {
        Outcome::new(&names.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    /// A video of so many clips, all known.
    fn read(outcome: &Outcome, video: usize, n_clips: usize) {
        (0..n_clips).for_each(|_| outcome.begun(Some(video)));
        outcome.read(video);
    }

    fn message(outcome: Outcome) -> String {
        outcome.finish(Ok(())).expect_err("something failed").to_string()
    }

    /// b is done although it comes after c, a was never readable, d waits on the queue, e was never begun.
    #[test]
    fn a_lost_gpu_says_what_is_not_done() {
        let outcome = outcome(&["a", "b", "c", "d", "e"]);
        let cause = DeviceError::Lost { name: "NVIDIA H100".to_owned(), what: "it fell off the bus".to_owned() };
        outcome.video_failed(0);
        for video in 1..4 {
            read(&outcome, video, 2);
        }
        outcome.lost(&cause, (5, PathBuf::from("out/c/clip-0001")));
        outcome.lost(&cause, (4, PathBuf::from("out/c/clip-0000")));
        outcome.done(Some(1));
        outcome.done(Some(1));
        assert_eq!(
            message(outcome),
            "NVIDIA H100 was lost: it fell off the bus; first not done: out/c/clip-0000, and with it 4 of 5 videos\n\
             run the command again: what was finished is kept (dmesg may say why)"
        );
        let tokens = self::outcome(&[]);
        tokens.lost(&cause, (0, PathBuf::from("out")));
        assert_eq!(message(tokens), cause.to_string());
    }

    #[test]
    fn failures_are_counted_by_video_or_by_clip() {
        let several = outcome(&["a", "b", "c"]);
        (0..3).for_each(|video| read(&several, video, 2));
        several.failed(Some(2), PathBuf::from("out/c/clip-0001"));
        several.failed(Some(2), PathBuf::from("out/c/clip-0000"));
        several.failed(Some(0), PathBuf::from("out/a/clip-0000"));
        assert_eq!(message(several), "2 of 3 videos failed: a, c\nthe messages above say why; the others are done");
        let one = outcome(&["a"]);
        read(&one, 0, 3);
        one.failed(Some(0), PathBuf::from("out/clip-0002"));
        one.failed(Some(0), PathBuf::from("out/clip-0001"));
        assert_eq!(
            message(one),
            "2 of 3 clips failed: out/clip-0001, out/clip-0002\nthe messages above say why; the others are done"
        );
        let only = outcome(&["a"]);
        read(&only, 0, 1);
        only.only_failed(anyhow!("it is full\nmake room"));
        assert_eq!(message(only), "it is full\nmake room");
        let fine = outcome(&["a"]);
        read(&fine, 0, 1);
        fine.done(Some(0));
        assert!(fine.finish(Ok(())).is_ok());
    }
}
