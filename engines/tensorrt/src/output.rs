use egom2p_engine_core::{
    BuildRequest, Digest, ENGINE_RECORD_SUFFIX, ENGINE_SUFFIX, EngineError, EngineRecord, FileEntry, RelativePath,
    Result,
};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The files of an engine while it is built. They have partial names until they are complete, and are removed if they
/// never are.
#[derive(Debug)]
pub(crate) struct Output {
    /// The engine and its record in the bundle.
    paths: [RelativePath; 2],
    /// Where they are to be.
    complete: [PathBuf; 2],
    partial: [Partial; 2],
}

/// The files of a finished engine.
#[derive(Debug)]
pub(crate) struct Written {
    /// The engine and its record.
    pub(crate) paths: Vec<RelativePath>,
    /// Bytes of both.
    pub(crate) own_bytes: u64,
}

impl Output {
    /// Creates the partial files, so that a folder that cannot be written is found before the engine is compiled.
    pub(crate) fn create(request: &BuildRequest<'_>) -> Result<Self> {
        let folder = request.engine_dir.below(request.root);
        fs::create_dir_all(&folder).map_err(|source| EngineError::Write { path: folder.clone(), source })?;
        let engine = format!("{}{ENGINE_SUFFIX}", request.name);
        let names = [engine.clone(), format!("{engine}{ENGINE_RECORD_SUFFIX}")];
        let [engine, record] = &names;
        let paths = [request.engine_dir.join(engine)?, request.engine_dir.join(record)?];
        let complete = [paths[0].below(request.root), paths[1].below(request.root)];
        let partial = [Partial::create(&folder, engine)?, Partial::create(&folder, record)?];
        Ok(Self { paths, complete, partial })
    }

    /// Writes an engine and the record that is made for it, and gives them their names.
    pub(crate) fn write(self, engine: &[u8], record: impl FnOnce(FileEntry) -> EngineRecord) -> Result<Written> {
        let entry = FileEntry { bytes: engine.len() as u64, blake3: Digest::from_bytes(blake3::hash(engine).into()) };
        let record = record(entry).to_json();
        self.partial[0].write(engine)?;
        self.partial[1].write(record.as_bytes())?;
        let [engine_path, record_path] = &self.complete;
        rename(&self.partial[1].0, record_path)?;
        if let Err(error) = rename(&self.partial[0].0, engine_path) {
            // Nothing names a record without an engine; the next build replaces it.
            let _ = fs::remove_file(record_path);
            return Err(error);
        }
        Ok(Written { paths: self.paths.to_vec(), own_bytes: entry.bytes + record.len() as u64 })
    }
}

/// A file that is removed unless it is renamed.
#[derive(Debug)]
struct Partial(PathBuf);

impl Partial {
    fn create(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!(".partial-{name}"));
        match File::create(&path) {
            Ok(_) => Ok(Self(path)),
            Err(source) => Err(EngineError::Write { path, source }),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        File::create(&self.0)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(|source| EngineError::Write { path: self.0.clone(), source })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It is gone when it was renamed, and the next build overwrites what cannot be removed now.
        let _ = fs::remove_file(&self.0);
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|source| EngineError::Write { path: to.to_owned(), source })
}
