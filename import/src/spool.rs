//! What can be read only once is kept in a file without a name, so that it can be read twice.

use std::fs::File;
use std::io;
use std::path::Path;

use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// The file, or what comes through the pipe of this name, from its beginning.
///
/// # Errors
/// It cannot be read, or there is no room for what comes through the pipe.
pub fn open(path: &Path, is_stdin: bool) -> Result<File, Failure> {
    if is_stdin {
        return keep(&mut io::stdin().lock(), "standard input");
    }
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).or_exit(ExitStatus::Usage, cannot)?;
    let kind = file.metadata().or_exit(ExitStatus::Usage, cannot)?;
    // A folder fails when it is read, and says so.
    if kind.is_file() || kind.is_dir() { Ok(file) } else { keep(&mut file, &path.display().to_string()) }
}

fn keep(input: &mut dyn io::Read, name: &str) -> Result<File, Failure> {
    let folder = std::env::temp_dir();
    let cannot = || {
        format!("cannot keep {name} in {} to read it twice (TMPDIR names another folder)", folder.display())
    };
    let mut file = tempfile::tempfile_in(&folder).or_exit(ExitStatus::Unreachable, cannot)?;
    io::copy(input, &mut file).or_exit(ExitStatus::Unreachable, cannot)?;
    Ok(file)
}
