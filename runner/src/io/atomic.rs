use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::FileError;
use super::partial::Partial;

/// Writes a file beside its place and renames it there once it is whole and on disk. On an error, nothing of it is left
/// and a file that was there before stays as it was. Folders and devices are not replaced.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    let result = Partial::beside(path).and_then(|partial| {
        write_whole(partial.path(), write)?;
        partial.rename(path)
    });
    result.map_err(FileError::write(path))
}

/// Writes a new file and waits until it is on disk.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::new(File::create_new(path)?);
    write(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Write};

    use super::write_atomically;
    use crate::io::{FileError, partial};

    #[test]
    fn a_file_appears_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.json");
        fs::write(&path, "old").expect("room");
        write_atomically(&path, |file| file.write_all(b"new")).expect("a writable folder");
        assert_eq!(fs::read(&path).expect("a file"), b"new");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn an_error_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.json");
        fs::write(&path, "old").expect("room");
        let result = write_atomically(&path, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(result, Err(FileError::Write { .. })));
        assert_eq!(fs::read(&path).expect("a file"), b"old");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn an_interrupt_removes_what_is_half_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("camera.npy");
        let result = write_atomically(&path, |file| {
            file.write_all(b"half")?;
            partial::halt().remove();
            assert_eq!(fs::read_dir(folder.path())?.count(), 0);
            Ok(())
        });
        assert!(result.is_err());
    }

    #[test]
    fn folders_and_devices_are_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in [folder.path(), std::path::Path::new("/dev/null")] {
            let result = write_atomically(path, |file| file.write_all(b"new"));
            assert!(matches!(result, Err(FileError::NotAFile { .. })));
        }
    }

    #[test]
    fn a_path_without_a_name_is_an_error() {
        assert!(write_atomically(std::path::Path::new("/"), |_| Ok(())).is_err());
    }
}
