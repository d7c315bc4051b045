//! A data directory's secret: random bytes that nothing shows, made with it and kept as long as it.
//!
//! What is derived from it (tokens that callers hold) is valid on this data directory alone. It is no part of the log:
//! without it nothing is lost, and callers who hold tokens begin anew.

use std::io;
use std::path::{Path, PathBuf};

use retailflow_os::files::Files;
use retailflow_os::random::{SECRET_BYTES, random_secret};

/// Its file in the data directory.
pub const SECRET_FILE: &str = "secret";

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file system said no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else is in its file.
    #[error(
        "{0} does not hold {SECRET_BYTES} bytes: put the right file back, or remove it; tokens that callers hold are \
         then refused, and they begin anew"
    )]
    Strange(PathBuf),
}

/// The secret of the data directory `data`, which is there and whose log is locked; made where there is none. Blocks.
///
/// # Errors
/// [`SecretError`].
pub fn load_or_create(files: &dyn Files, data: &Path) -> Result<[u8; SECRET_BYTES], SecretError> {
    let path = data.join(SECRET_FILE);
    let failed = |what| {
        let path = path.clone();
        move |source| SecretError::Io { what, path, source }
    };
    let file = match files.open(&path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return create(files, data, &path).map_err(failed("make"));
        }
        opened => opened.map_err(failed("open"))?,
    };
    // One more, to see that there is no more.
    let mut bytes = [0; SECRET_BYTES + 1];
    let read = file.read_full_at(0, &mut bytes).map_err(failed("read"))?;
    match bytes.first_chunk() {
        Some(secret) if read == SECRET_BYTES => Ok(*secret),
        _ => Err(SecretError::Strange(path)),
    }
}

/// At any moment there is no file, or a whole one.
fn create(files: &dyn Files, data: &Path, path: &Path) -> io::Result<[u8; SECRET_BYTES]> {
    let secret = random_secret()?;
    let new = data.join(format!("{SECRET_FILE}.new"));
    match files.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = files.create(&new, 0)?;
    file.write_all_at(0, &secret)?;
    file.sync_data()?;
    files.rename(&new, path)?;
    files.sync_dir(data)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use retailflow_os::files::RealFiles;

    #[test]
    fn it_is_made_once_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let load = || load_or_create(&RealFiles::default(), folder.path());
        let made = load().unwrap();
        assert_ne!(made, [0; SECRET_BYTES]);
        assert_eq!(load().unwrap(), made);
        let mode = fs::metadata(folder.path().join(SECRET_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_file(folder.path().join(SECRET_FILE)).unwrap();
        // What a creation left that was broken off is in nobody's way.
        fs::write(folder.path().join("secret.new"), "half").unwrap();
        assert_ne!(load().unwrap(), made);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_file_in_its_place_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 1, SECRET_BYTES - 1, SECRET_BYTES + 1, 4096] {
            fs::write(folder.path().join(SECRET_FILE), vec![7; length]).unwrap();
            let error = load_or_create(&RealFiles::default(), folder.path()).unwrap_err();
            assert!(error.to_string().contains("remove it"), "{length}: {error}");
        }
    }
}
