//! Runs the built binary.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::poll::wait_for;

/// No command of a test takes longer, even on a busy machine.
const BOUND: Duration = Duration::from_secs(120);

/// A call of the program.
pub(crate) struct Call {
    command: Command,
    stdin: Vec<u8>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Calls `retailflow` with these words, in the repository's folder, without what the environment says about it.
pub(crate) fn retailflow(words: &[&str]) -> Call {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retailflow"));
    command.args(words).current_dir(repository());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RETAILFLOW") {
            command.env_remove(name);
        }
    }
    Call { command, stdin: Vec::new() }
}

/// The repository's folder.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Call {
    /// One more word, such as a path.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.command.arg(word);
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// So many open files at most, which it cannot raise.
    pub(crate) fn with_open_files(mut self, max: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {max} && exec \"$0\" \"$@\""));
        shell.arg(self.command.get_program()).args(self.command.get_args()).current_dir(repository());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        self.command = shell;
        self
    }

    /// What it reads from standard input.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The call itself, for whoever starts it another way.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// Starts it, standard input, output and error piped.
    pub(crate) fn spawn(mut self) -> (Child, Vec<u8>) {
        let pipes = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        (pipes.spawn().unwrap(), self.stdin)
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        let (mut child, stdin) = self.spawn();
        let mut pipe = child.stdin.take().unwrap();
        // It need not read all it is given.
        let feeder = thread::spawn(move || drop(pipe.write_all(&stdin)));
        let (stdout, stderr) = (read_to_end(child.stdout.take()), read_to_end(child.stderr.take()));
        let code = exit_code(&mut child);
        feeder.join().unwrap();
        Ended { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }
}

impl Ended {
    /// Fails unless it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// The lines of standard output.
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// Fails unless standard error holds all of these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in: {}", self.stderr);
        }
        self
    }
}

/// Waits for the end of a process.
pub(crate) fn exit_code(child: &mut Child) -> Option<i32> {
    wait_for("the program ends", BOUND, || child.try_wait().unwrap()).code()
}

/// A file with these bytes.
pub(crate) fn file(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn read_to_end(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    let mut pipe = pipe.unwrap();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}
