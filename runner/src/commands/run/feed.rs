use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use egom2p::{
    clips::{Clip, VideoClips},
    io::OutputFolder,
};

use super::job::Job;

/// Clips that are predicted together. The number says where they stand among all.
pub(super) struct Batch {
    pub(super) number: usize,
    pub(super) clips: Vec<Waiting>,
}

/// A clip that is to be predicted, and where to.
pub(super) struct Waiting {
    /// The video that it is of, among the videos of the run, and what was read; nothing where tokens are all there is.
    pub(super) clip: Option<(usize, Clip)>,
    pub(super) folder: OutputFolder,
    pub(super) out: PathBuf,
    /// Whether it is all that the run predicts.
    pub(super) alone: bool,
}

/// Reads clips and puts them on the queue, a full batch at a time, across videos.
pub(super) struct Feed<'a> {
    job: &'a Job<'a>,
    /// Clips of a full batch.
    batch: usize,
    put: &'a mut dyn FnMut(Batch) -> ControlFlow<()>,
    waiting: Vec<Waiting>,
    n_batches: usize,
    /// Whether nothing more is taken from the queue.
    stopped: bool,
}

impl<'a> Feed<'a> {
    pub(super) fn new(job: &'a Job<'a>, batch: usize, put: &'a mut dyn FnMut(Batch) -> ControlFlow<()>) -> Self {
        Self { job, batch, put, waiting: Vec::new(), n_batches: 0, stopped: false }
    }

    /// The one clip of a run from tokens alone.
    pub(super) fn tokens(&mut self) -> anyhow::Result<()> {
        let out = self.job.args.out.clone();
        self.clip(None, out, true)?;
        self.flush();
        Ok(())
    }

    /// Every clip of every video. The failure of the only video is given back; one of several does not stop the others.
    pub(super) fn videos(&mut self, videos: &[PathBuf]) -> anyhow::Result<()> {
        let out = &self.job.args.out;
        if let [video] = videos {
            let read = self.video((0, video), out, true);
            self.flush();
            return read;
        }
        for (index, video) in videos.iter().enumerate() {
            if self.stopped {
                return Ok(());
            }
            let out = out.join(video.file_stem().unwrap_or_default());
            if let Err(error) = self.video((index, video), &out, false) {
                self.job.bars.fail(&error);
                self.job.outcome.video_failed(index);
            }
        }
        self.flush();
        Ok(())
    }

    /// Every full clip of a video: into `out` itself where there is one, else into a folder each.
    fn video(&mut self, (index, path): (usize, &Path), out: &Path, only: bool) -> anyhow::Result<()> {
        let job = self.job;
        let program = job.program.as_ref().context("no video program")?;
        let options = job.args.video.read_options(&job.config);
        let mut clips = VideoClips::open(program, path, &options, &job.config)?;
        if let Some(first) = clips.next().transpose()? {
            let second = clips.next().transpose()?;
            if second.is_none() {
                self.clip(Some((index, first)), out.to_owned(), only)?;
            } else {
                for clip in [Ok(first)].into_iter().chain(second.map(Ok)).chain(&mut clips) {
                    let clip = clip?;
                    let folder = out.join(format!("clip-{:04}", clip.index));
                    self.clip(Some((index, clip)), folder, false)?;
                    if self.stopped {
                        return Ok(());
                    }
                }
            }
            if clips.left_over() > 0 {
                let (shown, n_frames) = (path.display(), clips.left_over());
                job.bars.note(format_args!("{shown}: the last {n_frames} frames do not fill a clip and were left out"));
            }
        }
        job.outcome.read(index);
        Ok(())
    }

    /// A clip joins those that wait, which go on the queue as soon as they fill a batch.
    fn clip(&mut self, clip: Option<(usize, Clip)>, out: PathBuf, alone: bool) -> anyhow::Result<()> {
        let folder = OutputFolder::new(&out)?;
        self.job.outcome.begun(clip.as_ref().map(|(video, _)| *video));
        self.waiting.push(Waiting { clip, folder, out, alone });
        if self.waiting.len() >= self.batch {
            self.flush();
        }
        Ok(())
    }

    /// Puts the clips that wait on the queue.
    fn flush(&mut self) {
        let clips = std::mem::take(&mut self.waiting);
        if clips.is_empty() || self.stopped {
            return;
        }
        self.stopped = (self.put)(Batch { number: self.n_batches, clips }).is_break();
        self.n_batches += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Mutex};

    use clap::Parser as _;
    use egom2p::{device_workers::share_work, frames::Frames};
    use egom2p_model::Preset;
    use serde_json::Value;

    use super::*;
    use crate::{
        commands::run::{Args, job::Facts, outcome::Outcome},
        console::Bars,
    };

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    fn job<'a>(args: &'a Args, videos: &[PathBuf]) -> Job<'a> {
        Job {
            args,
            facts: Facts { bundle: Value::Null, libraries: Value::Null, gpu: None },
            config: Preset::Tiny.config(),
            settings: args.decoding.settings(&args.to, NonZeroUsize::MIN),
            n_steps: 1,
            program: None,
            tokens: Vec::new(),
            bars: Bars::new(),
            outcome: Outcome::new(videos),
        }
    }

    /// The clips of every batch, by video and place in it, in batches of 2 for 3 workers; the batch that fails does so.
    fn fed(n_clips: [usize; 3], failing: usize) -> (Vec<Vec<(usize, usize)>>, Option<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("out");
        let typed = ["run", "bundle", "--input", "videos", "--to", "camera", "--out", out.to_str().expect("Unicode")];
        let args = Typed::try_parse_from(typed).unwrap_or_else(|error| panic!("{error}")).args;
        let job = job(&args, &["a", "b", "c"].map(PathBuf::from));
        let batches = Mutex::new(Vec::new());
        let work = |(): &mut (), batch: Batch| {
            let clip = |waiting: &Waiting| waiting.clip.as_ref().map(|(video, clip)| (*video, clip.index));
            let clips: Vec<_> = batch.clips.iter().filter_map(clip).collect();
            for &(video, _) in &clips {
                if batch.number == failing {
                    job.outcome.failed(Some(video), PathBuf::new());
                } else {
                    job.outcome.done(Some(video));
                }
            }
            batches.lock().expect("no panic").push((batch.number, clips));
            ControlFlow::Continue(())
        };
        share_work(&mut [(), (), ()], work, |put| {
            let mut feed = Feed::new(&job, 2, put);
            for (video, n_clips) in n_clips.into_iter().enumerate() {
                for index in 0..n_clips {
                    let frames = Frames::new(vec![0; 3], 1, 1, 1).expect("one pixel");
                    let clip = Clip { frames, index, start_secs: 0.0 };
                    let out = out.join(format!("{video}-{index}"));
                    feed.clip(Some((video, clip)), out, false).unwrap_or_else(|error| panic!("{error}"));
                }
                job.outcome.read(video);
            }
            feed.flush();
        });
        let mut batches = batches.into_inner().expect("no panic");
        batches.sort();
        assert!(batches.iter().map(|(number, _)| *number).eq(0..batches.len()));
        let outcome = job.outcome.finish(Ok(())).err().map(|error| error.to_string());
        (batches.into_iter().map(|(_, clips)| clips).collect(), outcome)
    }

    #[test]
    fn batches_span_videos_and_one_that_fails_is_that_of_its_videos() {
        let batches = vec![vec![(0, 0), (0, 1)], vec![(0, 2), (2, 0)], vec![(2, 1)]];
        assert_eq!(fed([3, 0, 2], usize::MAX), (batches.clone(), None));
        let failed = "2 of 3 videos failed: a, c\nthe messages above say why; the others are done";
        assert_eq!(fed([3, 0, 2], 1), (batches, Some(failed.to_owned())));
    }
}
