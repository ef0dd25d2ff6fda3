use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::{shard_name, write_error};
use crate::data::DataError;

/// A shard that is being written, beside its place. What is half-written goes when it is dropped.
#[derive(Debug)]
pub(super) struct OpenShard {
    pub(super) number: u32,
    pub(super) n_samples: usize,
    columns: Vec<Column>,
}

/// The tar file of one modality.
struct Column {
    builder: tar::Builder<BufWriter<File>>,
    partial: PathBuf,
    path: PathBuf,
}

impl OpenShard {
    pub(super) fn create(folders: &[PathBuf], number: u32) -> Result<Self, DataError> {
        let mut shard = Self { number, n_samples: 0, columns: Vec::new() };
        for folder in folders {
            let partial = folder.join(format!(".{}.partial", shard_name(number)));
            let file = File::create(&partial).map_err(write_error(&partial))?;
            let builder = tar::Builder::new(BufWriter::new(file));
            shard.columns.push(Column { builder, partial, path: folder.join(shard_name(number)) });
        }
        Ok(shard)
    }

    /// Adds a member to the tar file of a modality. The same members give the same bytes.
    pub(super) fn append(&mut self, column: usize, key: &str, archive: &[u8]) -> Result<(), DataError> {
        let column = &mut self.columns[column];
        let mut header = tar::Header::new_gnu();
        header.set_size(archive.len() as u64);
        header.set_mode(0o644);
        let written = column.builder.append_data(&mut header, format!("{key}.npz"), archive);
        written.map_err(write_error(&column.partial))
    }

    /// Puts the files in their place, once all of them are on disk.
    pub(super) fn publish(mut self) -> Result<(), DataError> {
        for column in &mut self.columns {
            column.write_out().map_err(write_error(&column.partial))?;
        }
        for column in &self.columns {
            fs::rename(&column.partial, &column.path).map_err(write_error(&column.path))?;
            let folder = column.path.parent().unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(write_error(folder))?;
        }
        Ok(())
    }
}

impl Column {
    fn write_out(&mut self) -> std::io::Result<()> {
        self.builder.finish()?;
        std::io::Write::flush(self.builder.get_mut())?;
        self.builder.get_mut().get_mut().sync_all()
    }
}

impl std::fmt::Debug for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for Column {
    fn drop(&mut self) {
        // Where the file was renamed, there is nothing to remove; where it cannot be removed, the next writer replaces it.
        let _ = fs::remove_file(&self.partial);
    }
}
