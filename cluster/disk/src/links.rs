//! Symbolic links inside a data directory: a writer refuses them.
//!
//! A link can lead what is written, or removed, to files of somebody else, and out of the folder whose lock is held. The
//! data directory itself may be a link: it is named by the operator.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a data directory is not written into.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is a link in it.
    #[error(
        "{0} is a symbolic link, and nothing is written through links inside a data directory: put the files themselves \
         there (to keep them on another disk, mount it there, or make the data directory itself the link)"
    )]
    Link(PathBuf),
    /// It cannot be looked at.
    #[error("cannot look at {path}: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Folders deeper than this are none of ours.
const DEPTH_MAX: usize = 4;

/// Looks at all that is in the data directory; one that is not there has no links. Blocks.
///
/// # Errors
/// [`LinkError`], which names the first link.
pub fn refuse_links(data: &Path) -> Result<(), LinkError> {
    refuse_links_below(data, DEPTH_MAX)
}

fn refuse_links_below(folder: &Path, depth: usize) -> Result<(), LinkError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LinkError::Io { path, source }
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Of an empty mount, as the file system made it; nothing of ours can be in there.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && folder.ends_with("lost+found") => {
            return Ok(());
        }
        entries => entries.map_err(failed(folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        // Of the entry itself: no link is followed.
        let kind = match entry.file_type() {
            // It went while the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            kind => kind.map_err(failed(&path))?,
        };
        if kind.is_symlink() {
            return Err(LinkError::Link(path));
        }
        if kind.is_dir() && depth > 0 {
            refuse_links_below(&path, depth - 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_anywhere_inside_is_named_and_the_folder_itself_may_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert!(refuse_links(&data).is_ok(), "nothing is there");
        fs::create_dir_all(data.join("index/blobs")).unwrap();
        fs::create_dir(data.join("log")).unwrap();
        fs::write(data.join("log/0000000000000001.seg"), "x").unwrap();
        let alias = folder.path().join("alias");
        symlink(&data, &alias).unwrap();
        assert!(refuse_links(&alias).is_ok());
        for name in ["log/0000000000000002.seg", "index/db", "index/blobs/7", "views", "secret"] {
            for target in [folder.path().join("elsewhere"), data.join("log/0000000000000001.seg")] {
                let link = data.join(name);
                symlink(target, &link).unwrap();
                let error = refuse_links(&alias).unwrap_err();
                assert!(matches!(&error, LinkError::Link(path) if path.ends_with(name)), "{error}");
                fs::remove_file(link).unwrap();
            }
        }
        assert!(refuse_links(&data).is_ok());
    }
}
