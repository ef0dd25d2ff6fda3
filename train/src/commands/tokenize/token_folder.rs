use super::super::clips::folder_name;
use anyhow::Context as _;
use egom2p::io::{NPZ_MEMBER, write_atomically, write_npy};
use egom2p_model::Modality;
use egom2p_train::data::TokenLayout;
use std::{
    fs,
    io::{self, Cursor, Write as _},
    path::{Path, PathBuf},
};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Tokens of validation clips: `ROOT/[rgb,depth,cam,gaze]/DATASET/CLIP.npz`.
pub(super) struct TokenFolder {
    folders: Vec<(Modality, PathBuf)>,
    layout: TokenLayout,
}

impl TokenFolder {
    /// Creates the folders where they are missing.
    pub(super) fn open(
        root: &Path,
        dataset: &str,
        modalities: &[Modality],
        layout: &TokenLayout,
    ) -> anyhow::Result<Self> {
        let mut folders = Vec::new();
        for &modality in modalities {
            let folder = root.join(folder_name(modality)).join(dataset);
            fs::create_dir_all(&folder).with_context(|| {
                format!("cannot write into {}\nchoose a folder that may be written to", folder.display())
            })?;
            folders.push((modality, folder));
        }
        Ok(Self { folders, layout: layout.clone() })
    }

    /// Whether all files of a clip are there.
    pub(super) fn contains(&self, clip: &str) -> bool {
        self.folders.iter().all(|(_, folder)| folder.join(format!("{clip}.npz")).is_file())
    }

    /// Writes the files of a clip; each is whole or not there.
    pub(super) fn append(&self, clip: &str, tokens: &[Option<Vec<i64>>; 4]) -> anyhow::Result<()> {
        for (modality, folder) in &self.folders {
            let path = folder.join(format!("{clip}.npz"));
            let tokens = tokens[modality.index()].as_deref().unwrap_or_default();
            let bytes = archive(self.layout.shape(*modality), tokens).with_context(|| path.display().to_string())?;
            write_atomically(&path, |file| file.write_all(&bytes))?;
        }
        Ok(())
    }
}

/// The bytes of a NumPy archive of tokens.
fn archive(shape: &[usize], tokens: &[i64]) -> io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
    archive.start_file(format!("{NPZ_MEMBER}.npy"), options)?;
    write_npy(&mut archive, shape, tokens)?;
    Ok(archive.finish()?.into_inner())
}
