//! Reading: from a file to records.

use std::{io::Write, ops::Range, path::Path};

use egom2p_video_protocol::{End, Record, write_frame, write_record};

use crate::{
    arguments::Reading,
    interruption::Interruption,
    sampler::Sampler,
    source::{Picture, Source},
    view::View,
};

/// Sends what the container states, without decoding.
pub(crate) fn probe(path: &Path, pipe: &mut impl Write) -> Result<(), Interruption> {
    let source = Source::open(path)?;
    let stated = source.stated();
    let size = (stated.width, stated.height);
    write_record(pipe, &Record::Information(stated.information(size, size, stated.fps)))?;
    Ok(write_record(pipe, &Record::End(End { n_frames: 0, n_source_frames: 0 }))?)
}

/// Sends the frames that were asked for.
pub(crate) fn read(reading: &Reading, pipe: &mut impl Write) -> Result<(), Interruption> {
    let mut source = Source::open(&reading.path)?;
    let mut frames = Frames { reading, view: None, n_sent: 0, pipe };
    match reading.fps {
        Some(fps) => frames.send_resampled(&mut source, fps)?,
        None => frames.send_all(&mut source)?,
    }
    if frames.n_sent == 0 {
        return Err(Interruption::failure(
            format!(
                "{} has no frame at {} seconds: it ends at {:.3} seconds",
                source.name(),
                reading.start_secs,
                source.end_secs()
            ),
            "choose an earlier start",
        ));
    }
    let end = End { n_frames: frames.n_sent, n_source_frames: source.n_decoded() };
    Ok(write_record(frames.pipe, &Record::End(end))?)
}

/// The frames on their way out.
struct Frames<'a, P: Write> {
    reading: &'a Reading,
    view: Option<View>,
    n_sent: u64,
    pipe: &'a mut P,
}

impl<P: Write> Frames<'_, P> {
    /// Sends every frame from the start on with its own time.
    fn send_all(&mut self, source: &mut Source) -> Result<(), Interruption> {
        while !self.complete()
            && let Some((time_secs, picture)) = source.next()?
        {
            if time_secs >= self.reading.start_secs {
                let rgb = self.viewed(source, &picture)?;
                self.send(time_secs, &rgb)?;
            }
        }
        Ok(())
    }

    /// Sends a frame for every instant of the given rate.
    fn send_resampled(&mut self, source: &mut Source, fps: f64) -> Result<(), Interruption> {
        let mut sampler = Sampler::new(fps, self.reading.start_secs);
        while !self.complete() {
            let Some((time_secs, picture)) = source.next()? else {
                let shown = sampler.finish(source.end_secs());
                return self.send_slots(source, &sampler, shown);
            };
            let shown = sampler.push(time_secs, picture);
            self.send_slots(source, &sampler, shown)?;
        }
        Ok(())
    }

    fn send_slots(
        &mut self,
        source: &Source,
        times: &Sampler<Picture>,
        shown: Option<(Range<i64>, Picture)>,
    ) -> Result<(), Interruption> {
        if let Some((slots, picture)) = shown {
            let rgb = self.viewed(source, &picture)?;
            for slot in slots {
                if self.complete() {
                    break;
                }
                self.send(times.time_secs(slot), &rgb)?;
            }
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.reading.frames.is_some_and(|wanted| self.n_sent >= wanted)
    }

    /// Crops and scales a picture; the first one also announces the stream.
    fn viewed(&mut self, source: &Source, picture: &Picture) -> Result<Vec<u8>, Interruption> {
        let size = (picture.width, picture.height);
        let view = match self.view.take() {
            Some(view) if view.source() == size => view,
            before => {
                let view = View::new(size, self.reading.crop, self.reading.size);
                self.announce(source, size, &view, before.as_ref())?;
                view
            }
        };
        let rgb = view.apply(picture);
        self.view = Some(view);
        Ok(rgb)
    }

    fn announce(
        &mut self,
        source: &Source,
        size: (usize, usize),
        view: &View,
        before: Option<&View>,
    ) -> Result<(), Interruption> {
        let target = view.target();
        match before {
            None => {
                let fps = self.reading.fps.unwrap_or(source.stated().fps);
                let information =
                    source.stated().information((size.0 as u32, size.1 as u32), (target.width, target.height), fps);
                Ok(write_record(self.pipe, &Record::Information(information))?)
            }
            Some(before) if before.target() == target => Ok(()),
            Some(before) => Err(Interruption::failure(
                format!("frames of {} change their size from {:?} to {size:?}", source.name(), before.source()),
                "read the video with one target size",
            )),
        }
    }

    fn send(&mut self, time_secs: f64, rgb: &[u8]) -> Result<(), Interruption> {
        if let Some(view) = &self.view {
            let target = view.target();
            write_frame(self.pipe, time_secs, target.width, target.height, rgb)?;
            self.n_sent += 1;
        }
        Ok(())
    }
}
