//! Files that cross the command line: arrays, tokens, trajectories, and folders of outputs that appear whole or not at
//! all.

mod array;
mod atomic;
mod error;
mod gaze;
mod npy;
mod npz;
mod output_folder;
pub mod partial;
mod tokens;
mod trajectory;

pub use array::{Array, ArrayData};
pub use atomic::write_atomically;
pub use error::FileError;
pub use gaze::{read_gaze_csv, write_gaze_csv};
pub use npy::{Element, read_npy, write_npy};
pub use npz::{MAX_MEMBER_BYTES, NPZ_MEMBER, read_npz};
pub use output_folder::OutputFolder;
pub use tokens::{MAX_TOKEN_FILE_BYTES, TokenArray, read_token_file, write_tokens};
pub use trajectory::write_tum;
