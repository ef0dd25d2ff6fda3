//! A video file being written.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
};

use opencv::{
    core::{Mat, Size, Vec3b},
    videoio::{CAP_FFMPEG, VideoCapture, VideoCaptureTrait, VideoWriter, VideoWriterTrait, VideoWriterTraitConst},
};

use crate::{
    arguments::{Codec, FrameSize, Writing},
    interruption::Interruption,
};

/// A video that grows beside its final path and takes it once it is whole.
pub(crate) struct Sink {
    path: PathBuf,
    partial: Partial,
    writer: VideoWriter,
    size: FrameSize,
    n_frames: u64,
}

impl Sink {
    /// Starts a video.
    pub(crate) fn create(writing: &Writing) -> Result<Self, Interruption> {
        let Writing { path, fps, size, codec } = writing;
        let name = path.display();
        if !size.width.is_multiple_of(2) || !size.height.is_multiple_of(2) {
            return Err(Interruption::failure(
                format!("video {name} has frames of {}x{}: expected even sides", size.width, size.height),
                "pad the frames by one pixel",
            ));
        }
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        if *codec == Codec::Ffv1 && !matches!(extension, "mkv" | "avi") {
            return Err(Interruption::failure(
                format!("lossless video {name} needs a container that holds FFV1"),
                "use the extension .mkv",
            ));
        }
        let partial = Partial::create(path).map_err(|error| {
            Interruption::failure(
                format!("video {name} cannot be written: {error}"),
                "choose a folder that exists and can be written",
            )
        })?;
        let Some(partial_path) = partial.path.to_str() else {
            return Err(Interruption::failure(format!("the path of video {name} is not UTF-8"), "choose another name"));
        };
        let fourcc = match codec {
            Codec::H264 => ['a', 'v', 'c', '1'],
            Codec::Mpeg4 => ['m', 'p', '4', 'v'],
            Codec::Ffv1 => ['F', 'F', 'V', '1'],
        };
        let failed = |error: &opencv::Error| Interruption::opencv(&format!("video {name} cannot be written"), error);
        let fourcc = VideoWriter::fourcc(fourcc[0], fourcc[1], fourcc[2], fourcc[3]).map_err(|error| failed(&error))?;
        let frame_size = Size::new(size.width as i32, size.height as i32);
        let writer = VideoWriter::new_with_backend(partial_path, CAP_FFMPEG, fourcc, *fps, frame_size, true)
            .map_err(|error| failed(&error))?;
        if !writer.is_opened().unwrap_or(false) {
            return Err(Interruption::failure(
                format!("OpenCV cannot write {codec:?} video to {name}"),
                "use the extension .mp4, or another --codec",
            ));
        }
        Ok(Self { path: path.clone(), partial, writer, size: *size, n_frames: 0 })
    }

    /// Appends a frame of RGB bytes `[height, width, 3]`, which are reordered in place.
    pub(crate) fn push(&mut self, rgb: &mut [u8]) -> Result<(), Interruption> {
        for pixel in rgb.chunks_exact_mut(3) {
            pixel.swap(0, 2);
        }
        let failed = |error: &opencv::Error| {
            Interruption::opencv(&format!("video {} cannot be written", self.path.display()), error)
        };
        let pixels = Mat::new_rows_cols_with_bytes::<Vec3b>(self.size.height as i32, self.size.width as i32, rgb)
            .map_err(|error| failed(&error))?;
        self.writer.write(&pixels).map_err(|error| failed(&error))?;
        self.n_frames += 1;
        Ok(())
    }

    /// Closes the video, checks that every frame can be read back (OpenCV does not report a full disk) and gives it its
    /// name.
    pub(crate) fn finish(mut self) -> Result<u64, Interruption> {
        let name = self.path.display();
        if self.n_frames == 0 {
            return Err(Interruption::failure(
                format!("video {name} would have no frames"),
                "write at least one frame",
            ));
        }
        self.writer
            .release()
            .map_err(|error| Interruption::opencv(&format!("video {name} cannot be closed"), &error))?;
        let n_readable = n_readable_frames(&self.partial.path);
        if n_readable != self.n_frames {
            return Err(Interruption::failure(
                format!(
                    "video {name} was not written whole: {n_readable} of {} frames can be read back",
                    self.n_frames
                ),
                "check the free space of the disk",
            ));
        }
        self.partial.publish(&self.path).map_err(|error| {
            Interruption::failure(
                format!("video {name} cannot be written: {error}"),
                "check the folder and the free space of the disk",
            )
        })?;
        Ok(self.n_frames)
    }
}

fn n_readable_frames(path: &Path) -> u64 {
    let Some(Ok(mut capture)) = path.to_str().map(|path| VideoCapture::from_file(path, CAP_FFMPEG)) else { return 0 };
    let mut n_frames = 0;
    while capture.grab().unwrap_or(false) {
        n_frames += 1;
    }
    n_frames
}

/// A file beside its final path, removed unless it is published.
struct Partial {
    path: PathBuf,
}

impl Partial {
    /// Creates `.STEM.PROCESS.EXTENSION` in the same folder: OpenCV chooses the container by the extension.
    fn create(path: &Path) -> io::Result<Self> {
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut name = OsString::from(".");
        name.push(path.file_stem().unwrap_or_default());
        name.push(format!(".{}", process::id()));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // An absolute path cannot be mistaken for a protocol of FFmpeg.
        let path = fs::canonicalize(folder)?.join(name);
        File::create(&path)?;
        Ok(Self { path })
    }

    fn publish(&self, path: &Path) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        fs::rename(&self.path, path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After publishing there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}
