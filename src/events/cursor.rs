//! A reader's token, and the file that keeps it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use retailflow_engine::codec::CodecError;
use retailflow_engine::codec::cursor::Cursor;

use retailflow_server::durable_file;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// No token of a server is shorter, and none of a data directory as long.
const SERVERS_MIN_CHARS: usize = 87;
const TOKEN_MAX_CHARS: usize = 512;

/// Where a reader stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// In a log that is at hand.
    Log(Cursor),
    /// As a server says it: only servers of the same data read it.
    Server(String),
}

impl Token {
    /// Reads a token of either kind.
    pub(crate) fn parse(text: &str) -> Result<Self, CodecError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        match Cursor::from_token(text) {
            Err(_) if plain && (SERVERS_MIN_CHARS..=TOKEN_MAX_CHARS).contains(&text.len()) => {
                Ok(Self::Server(text.to_owned()))
            }
            read => read.map(Self::Log),
        }
    }

    /// Its place in the log.
    pub(crate) fn in_log(self) -> Result<Cursor, Failure> {
        match self {
            Self::Log(cursor) => Ok(cursor),
            Self::Server(_) => Err(Failure::usage(
                "the token is one that a server gave: give it with --server, or begin again without a token",
            )),
        }
    }

    /// Its text, for a server.
    pub(crate) fn for_server(self) -> Result<String, Failure> {
        match self {
            Self::Server(text) => Ok(text),
            Self::Log(_) => Err(Failure::usage(
                "the token is one of a data directory: give it with --data, or begin again without a token",
            )),
        }
    }
}

/// The token in the file; `None` while there is no file.
pub(crate) fn load(path: &Path) -> Result<Option<Token>, Failure> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.or_exit(ExitStatus::Usage, || format!("cannot read {}", path.display()))?,
    };
    let what = || {
        let path = path.display();
        format!("{path} holds no token of `retailflow events`: name another file, or remove it to begin anew")
    };
    Token::parse(text.trim_end()).or_exit(ExitStatus::Usage, what).map(Some)
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
            assert_eq!(load(&path).unwrap(), Some(Token::Log(cursor)));
        }
        let servers = "aB-_".repeat(30);
        save(&path, &servers).unwrap();
        let kept = load(&path).unwrap().unwrap();
        assert_eq!(kept, Token::Server(servers));
        assert!(kept.in_log().unwrap_err().to_string().contains("--server"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        for bad in ["", "not a token"] {
            fs::write(&path, bad).unwrap();
            let failure = load(&path).unwrap_err();
            assert_eq!(failure.code, ExitStatus::Usage);
            assert!(failure.to_string().contains("remove it to begin anew"), "{failure}");
        }
    }
}
