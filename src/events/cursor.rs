//! A reader's token in a file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use retailflow_engine::codec::cursor::Cursor;

use crate::durable_file;
use crate::exit::{ExitStatus, Failure, OrExit};

/// The token in the file; `None` while there is no file.
pub(crate) fn load(path: &Path) -> Result<Option<Cursor>, Failure> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.or_exit(ExitStatus::Usage, || format!("cannot read {}", path.display()))?,
    };
    let what = || {
        let path = path.display();
        format!("{path} holds no token of `retailflow events`: name another file, or remove it to begin anew")
    };
    Cursor::from_token(text.trim_end()).or_exit(ExitStatus::Usage, what).map(Some)
}

/// Puts a token in the file's place: at any moment there is the old one or the new one, whole.
pub(crate) fn save(path: &Path, token: &str) -> Result<(), Failure> {
    durable_file::replace(path, format!("{token}\n").as_bytes())
        .or_exit(ExitStatus::Unreachable, || format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_and_anything_else_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        assert_eq!(load(&path).unwrap(), None);
        for index in 0..2 {
            let cursor = Cursor { log_id: [3; 16], position: 7, index };
            save(&path, &cursor.to_token().unwrap()).unwrap();
            assert_eq!(load(&path).unwrap(), Some(cursor));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        for bad in ["", "not a token"] {
            fs::write(&path, bad).unwrap();
            let failure = load(&path).unwrap_err();
            assert_eq!(failure.code, ExitStatus::Usage);
            assert!(failure.to_string().contains("remove it to begin anew"), "{failure}");
        }
    }
}
