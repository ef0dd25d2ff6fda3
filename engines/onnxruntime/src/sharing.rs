use egom2p_engine_core::onnx::{External, broken, visit_tensors};
use egom2p_engine_core::{EngineError, RelativePath, Result};
use egom2p_onnx_proto::{GraphProto, ModelProto, TensorProto};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const CHUNK_BYTES: usize = 1 << 20;
/// Bytes that are compared first, because most weights that differ do so at once.
const PROBE_BYTES: usize = 1 << 12;
/// Alignment of tensors in an engine's own weights file: a cache line.
const ALIGNMENT: u64 = 64;

/// What became of the weights of an optimised model.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Bytes that are read from the source model's files.
    pub(crate) source_bytes: u64,
    /// Bytes in the engine's own file.
    pub(crate) own_bytes: u64,
    /// Names of the weights in the engine's own file.
    pub(crate) rewritten: Vec<String>,
}

/// The places of the source model's external weights.
pub(crate) struct Sources {
    /// By element type and size in bytes: an optimisation that only renames or reshapes a weight keeps both.
    by_kind: BTreeMap<(i32, u64), Vec<(String, External)>>,
    /// The bundle.
    root: PathBuf,
}

impl Sources {
    /// The weights of a model whose locations are relative to `folder` in the bundle.
    pub(crate) fn new(model: &ModelProto, root: &Path, folder: Option<&RelativePath>) -> Result<Self> {
        let mut by_kind: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for tensor in model.graph.iter().flat_map(|graph: &GraphProto| &graph.initializer) {
            let Ok(Some(external)) = External::of(tensor) else {
                continue;
            };
            let location = match folder {
                Some(folder) => folder.join(external.location.as_str())?,
                None => external.location.clone(),
            };
            let kind = (tensor.data_type, external.length);
            by_kind.entry(kind).or_default().push((tensor.name.clone(), External { location, ..external }));
        }
        Ok(Self { by_kind, root: root.to_owned() })
    }

    /// Where the source model may have the bytes of a weight: under its own name first.
    fn candidates(&self, tensor: &TensorProto, length: u64) -> Vec<&External> {
        let of_kind = self.by_kind.get(&(tensor.data_type, length)).map_or(&[][..], |found| found);
        let (same, other): (Vec<_>, Vec<_>) = of_kind.iter().partition(|(name, _)| *name == tensor.name);
        same.into_iter().chain(other).map(|(_, external)| external).collect()
    }
}

/// Points every external weight of an optimised model at the source's copy if the bytes are the same, and moves the
/// others to a file of the engine's own. Afterwards locations are relative to the bundle.
///
/// `written` is the folder that the model's locations are relative to now, `own` the engine's own file with the path
/// that it will have in the bundle. The file is not made when it would be empty.
pub(crate) fn share(
    model: &mut ModelProto,
    written: &Path,
    sources: &Sources,
    own: (&Path, &RelativePath),
) -> Result<Shared> {
    let (path, location) = own;
    let own = OwnFile { path: path.to_owned(), location: location.clone(), writer: None };
    let mut sharing = Sharing { written, sources, own, readers: Readers::default(), shared: Shared::default() };
    visit_tensors(model, &mut |tensor| sharing.place(tensor))?;
    sharing.own.finish()?;
    Ok(sharing.shared)
}

/// The work on one model.
struct Sharing<'a> {
    written: &'a Path,
    sources: &'a Sources,
    own: OwnFile,
    readers: Readers,
    shared: Shared,
}

impl Sharing<'_> {
    fn place(&mut self, tensor: &mut TensorProto) -> Result<()> {
        let place = External::of(tensor).map_err(|what| broken(self.written, what))?;
        let Some(place) = place else {
            return Ok(());
        };
        let path = place.location.below(self.written);
        for source in self.sources.candidates(tensor, place.length) {
            let source_path = source.location.below(&self.sources.root);
            if self.readers.equal((&path, place.offset), (&source_path, source.offset), place.length)? {
                source.store(tensor);
                self.shared.source_bytes += place.length;
                return Ok(());
            }
        }
        let offset = self.shared.own_bytes.next_multiple_of(ALIGNMENT);
        self.own.write(&vec![0; (offset - self.shared.own_bytes) as usize])?;
        self.readers.each_chunk(&path, place.offset, place.length, |chunk| self.own.write(chunk))?;
        self.shared.own_bytes = offset + place.length;
        External { location: self.own.location.clone(), offset, length: place.length }.store(tensor);
        self.shared.rewritten.push(tensor.name.clone());
        Ok(())
    }
}

/// The engine's own weights file, made by the first write.
struct OwnFile {
    path: PathBuf,
    location: RelativePath,
    writer: Option<BufWriter<File>>,
}

impl OwnFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let fail = |source| EngineError::Write { path: self.path.clone(), source };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(BufWriter::new(File::create(&self.path).map_err(fail)?)),
        };
        writer.write_all(bytes).map_err(fail)
    }

    fn finish(self) -> Result<()> {
        let fail = |source| EngineError::Write { path: self.path.clone(), source };
        let Some(writer) = self.writer else {
            return Ok(());
        };
        writer.into_inner().map_err(|error| fail(error.into_error()))?.sync_all().map_err(fail)
    }
}

/// Files that are read in pieces, each opened once.
#[derive(Default)]
struct Readers {
    files: BTreeMap<PathBuf, File>,
}

impl Readers {
    fn each_chunk(
        &mut self,
        path: &Path,
        offset: u64,
        length: u64,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut done = 0;
        while done < length {
            let n = (length - done).min(CHUNK_BYTES as u64) as usize;
            self.read(path, offset + done, &mut chunk[..n])?;
            take(&chunk[..n])?;
            done += n as u64;
        }
        Ok(())
    }

    fn equal(&mut self, a: (&Path, u64), b: (&Path, u64), length: u64) -> Result<bool> {
        let (mut chunk_a, mut chunk_b) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
        let mut done = 0;
        while done < length {
            let limit = if done == 0 { PROBE_BYTES } else { CHUNK_BYTES };
            let n = (length - done).min(limit as u64) as usize;
            self.read(a.0, a.1 + done, &mut chunk_a[..n])?;
            self.read(b.0, b.1 + done, &mut chunk_b[..n])?;
            if chunk_a[..n] != chunk_b[..n] {
                return Ok(false);
            }
            done += n as u64;
        }
        Ok(true)
    }

    fn read(&mut self, path: &Path, offset: u64, into: &mut [u8]) -> Result<()> {
        let fail = |source| EngineError::Read { path: path.to_owned(), source, mend: "build again" };
        if !self.files.contains_key(path) {
            self.files.insert(path.to_owned(), File::open(path).map_err(fail)?);
        }
        let Some(mut file) = self.files.get(path) else {
            return Ok(());
        };
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(into)).map_err(fail)
    }
}
