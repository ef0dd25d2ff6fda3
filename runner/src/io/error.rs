use std::io;
use std::path::{Path, PathBuf};

/// What keeps a file from being read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}\ncheck the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}\nchoose a folder that can be written and has room", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The bytes are not what the name promises.
    #[error("{} is no {format} file that can be read: {reason}\nwrite the file again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that was expected.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// More bytes than any such file has.
    #[error("{} holds {n_bytes} bytes, expected at most {limit}\npass the file that was meant", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size, unpacked.
        n_bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Values of another type.
    #[error("{} holds {got} values, expected {expected}\nconvert the array before saving it", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The types that are accepted.
        expected: &'static str,
        /// The type found.
        got: String,
    },
    /// An array of another shape.
    #[error("{} has shape {got:?}, expected {expected:?}\npass an array of that shape", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape that is needed.
        expected: Vec<usize>,
        /// The shape found.
        got: Vec<usize>,
    },
    /// A token that the model does not know.
    #[error("{} holds the token {token} at index {index}, expected 0 to {}\npass the tokens of that modality", path.display(), n_vocabulary - 1)]
    Token {
        /// The file.
        path: PathBuf,
        /// Flat index of the token.
        index: usize,
        /// The token.
        token: i64,
        /// Size of the vocabulary, at least 1.
        n_vocabulary: usize,
    },
    /// A container without the array that is needed.
    #[error("{} has no array \"{name}\", only {found}\nsave the array under that name", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// What there is.
        found: String,
    },
    /// A name that tells no format.
    #[error("{} has an unknown file type\npass a file ending in .npz, .npy or .safetensors", path.display())]
    UnknownType {
        /// The file.
        path: PathBuf,
    },
    /// A folder or a device is where the output file should be.
    #[error("{} is not a file\nchoose another output file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Something else is where the output folder should be.
    #[error("{} is not a folder\nchoose another output folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// An output name that leads out of its folder.
    #[error("\"{name}\" is not a name inside an output folder\nuse relative names without \"..\"")]
    OutputName {
        /// The name.
        name: String,
    },
}

impl FileError {
    /// Turns the system's reason into an error about reading `path`.
    pub fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// Turns the system's reason into an error about writing `path`.
    pub fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    pub(super) fn format(path: &Path, format: &'static str, reason: &str) -> Self {
        // A library's message may span lines; an error is one line of what and one of mending.
        let reason = reason.replace('\n', " ");
        Self::Format { path: path.to_owned(), format, reason }
    }
}
