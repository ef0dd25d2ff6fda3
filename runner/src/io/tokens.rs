use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Array, ArrayData, FileError, NPZ_MEMBER, read_npy, read_npz};

/// Largest token file in safetensors form: a thousand times what a clip of the published model takes.
pub const MAX_TOKEN_FILE_BYTES: u64 = 256 << 20;

const FORMAT: &str = ".safetensors";

/// The tokens of one modality.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenArray {
    /// Length of every axis: `[t, h, w]` for video, `[tokens]` for camera and gaze.
    pub shape: Vec<usize>,
    /// Row-major token ids.
    pub tokens: Vec<i64>,
}

/// Reads the tokens of a modality from `.npz` (array `arr_0`), `.npy` or `.safetensors` (tensor named as the modality),
/// all of them i32 or i64 (u8 as well in NumPy's formats). Fails unless they have `shape` (flat, or with a leading
/// batch axis of 1, is accepted too) and every token is below `n_vocabulary`. The result has `shape`.
pub fn read_token_file(
    path: &Path,
    modality: &str,
    shape: &[usize],
    n_vocabulary: usize,
) -> Result<TokenArray, FileError> {
    let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    let array = match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("npz") => read_npz(path, NPZ_MEMBER)?,
        Some("npy") => read_npy(path)?,
        Some("safetensors") => read_safetensors(path, modality)?,
        _ => return Err(FileError::UnknownType { path: path.to_owned() }),
    };
    let tokens = array.integers(path)?;
    let without_batch = array.shape.strip_prefix(&[1]).unwrap_or(&array.shape);
    let n_tokens = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    let flat = array.shape.len() == 1 && Some(tokens.len()) == n_tokens;
    if !flat && without_batch != shape {
        array.check_shape(path, shape)?;
    }
    if let Some(index) = tokens.iter().position(|&token| usize::try_from(token).map_or(true, |id| id >= n_vocabulary)) {
        let n_vocabulary = n_vocabulary.max(1);
        return Err(FileError::Token { path: path.to_owned(), index, token: tokens[index], n_vocabulary });
    }
    Ok(TokenArray { shape: shape.to_vec(), tokens })
}

/// Writes the tokens of several modalities in safetensors form: i64, by modality name.
pub fn write_tokens(writer: &mut impl Write, modalities: &BTreeMap<String, TokenArray>) -> io::Result<()> {
    let bytes: Vec<(&String, &TokenArray, Vec<u8>)> = modalities
        .iter()
        .map(|(name, array)| (name, array, array.tokens.iter().flat_map(|token| token.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, array, bytes)| Ok((*name, TensorView::new(Dtype::I64, array.shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(io::Error::other)?;
    writer.write_all(&safetensors::serialize(views, None).map_err(io::Error::other)?)
}

fn read_safetensors(path: &Path, name: &str) -> Result<Array, FileError> {
    let wrong = |reason: &str| FileError::format(path, FORMAT, reason);
    let n_bytes = fs::metadata(path).map_err(FileError::read(path))?.len();
    if n_bytes > MAX_TOKEN_FILE_BYTES {
        return Err(FileError::TooLarge { path: path.to_owned(), n_bytes, limit: MAX_TOKEN_FILE_BYTES });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(FileError::read(path))?;
    file.take(MAX_TOKEN_FILE_BYTES).read_to_end(&mut bytes).map_err(FileError::read(path))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| wrong(&error.to_string()))?;
    let Ok(view) = tensors.tensor(name) else {
        let mut found: Vec<String> = tensors.names().iter().map(|name| format!("{name:?}")).collect();
        found.sort();
        found.truncate(8);
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        return Err(FileError::Missing { path: path.to_owned(), name: name.to_owned(), found });
    };
    let data = match view.dtype() {
        Dtype::I64 => ArrayData::I64(words(view.data(), i64::from_le_bytes)),
        Dtype::I32 => ArrayData::I32(words(view.data(), i32::from_le_bytes)),
        other => {
            let got = format!("{other:?}").to_lowercase();
            return Err(FileError::Dtype { path: path.to_owned(), expected: "i32 or i64", got });
        }
    };
    Ok(Array { shape: view.shape().to_vec(), data })
}

fn words<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|word| read(*word)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::{FileError, TokenArray, read_token_file, write_tokens};
    use crate::io::{Element, write_atomically, write_npy};

    fn npy<T: Element>(folder: &TempDir, shape: &[usize], values: &[T]) -> PathBuf {
        let path = folder.path().join("tokens.npy");
        write_atomically(&path, |file| write_npy(file, shape, values)).expect("room");
        path
    }

    #[test]
    fn tokens_go_there_and_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.safetensors");
        let rgb = TokenArray { shape: vec![2, 1, 3], tokens: vec![0, 1, 2, 3, 4, 511] };
        let gaze = TokenArray { shape: vec![2], tokens: vec![7, 8] };
        let all = BTreeMap::from([("rgb".to_owned(), rgb.clone()), ("gaze".to_owned(), gaze.clone())]);
        write_atomically(&path, |file| write_tokens(file, &all)).expect("room");
        assert_eq!(read_token_file(&path, "rgb", &[2, 1, 3], 512).expect("tokens"), rgb);
        assert_eq!(read_token_file(&path, "gaze", &[2], 256).expect("tokens"), gaze);
        let message = read_token_file(&path, "depth", &[2], 256).expect_err("not there").to_string();
        assert!(message.contains("no array \"depth\", only \"gaze\", \"rgb\"\n"), "{message}");
    }

    #[test]
    fn flat_and_batched_arrays_are_accepted() {
        let folder = tempfile::tempdir().expect("a folder");
        for shape in [&[6][..], &[1, 2, 3], &[2, 3]] {
            let path = npy(&folder, shape, &[0_i64, 1, 2, 3, 4, 5]);
            let array = read_token_file(&path, "rgb", &[2, 3], 6).expect("tokens");
            assert_eq!(array.shape, [2, 3]);
        }
    }

    #[test]
    fn other_shapes_types_and_ids_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = npy(&folder, &[3, 2], &[0_i64; 6]);
        assert!(matches!(read_token_file(&path, "rgb", &[2, 3], 6), Err(FileError::Shape { .. })));
        let path = npy(&folder, &[6], &[0.0_f32; 6]);
        assert!(matches!(read_token_file(&path, "rgb", &[2, 3], 6), Err(FileError::Dtype { .. })));
        for (wrong, expected) in [(6, "token 6 at index 4, expected 0 to 5\n"), (-1, "token -1 at index 4")] {
            let path = npy(&folder, &[6], &[0_i64, 0, 0, 0, wrong, 0]);
            let message = read_token_file(&path, "rgb", &[2, 3], 6).expect_err("out of range").to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert!(read_token_file(&path, "rgb", &[6], 0).is_err());
        let path = folder.path().join("tokens.txt");
        assert!(matches!(read_token_file(&path, "rgb", &[6], 6), Err(FileError::UnknownType { .. })));
    }

    #[test]
    fn broken_safetensors_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.safetensors");
        let gaze = TokenArray { shape: vec![2], tokens: vec![7, 8] };
        write_atomically(&path, |file| write_tokens(file, &BTreeMap::from([("gaze".to_owned(), gaze)]))).expect("room");
        let whole = fs::read(&path).expect("a file");
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).expect("room");
            let message = read_token_file(&path, "gaze", &[2], 256).expect_err("cut").to_string();
            assert_eq!(message.lines().count(), 2, "{message}");
        }
    }
}
