//! What can be wrong with a configuration. All problems are told at once, each with the key, where it came
//! from, and what is allowed.

use std::fmt;
use std::path::PathBuf;

use crate::limits::Allowed;
use crate::origin::Origin;

/// Why no configuration could be made. Its text is for the operator, as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The text is not TOML.
    #[error("{from} is not valid TOML: {reason}")]
    NotToml {
        /// Where the text came from.
        from: Origin,
        /// Line, column and what was expected.
        reason: String,
    },
    /// Keys or values are wrong.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// One wrong key or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted key.
    pub key: String,
    /// Where it was set.
    pub origin: Origin,
    /// What is wrong and what is allowed.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.origin, self.what)
    }
}

fn lines(problems: &[Problem]) -> String {
    let mut text = String::from("the configuration is not valid:");
    for problem in problems {
        text.push_str(&format!("\n  {problem}"));
    }
    text
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Choice(words) => {
                let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
                f.write_str(&quoted.join(" or "))
            }
            Self::Name { max_chars } => {
                write!(f, "1 to {max_chars} of a-z, 0-9 and '-', beginning with a letter")
            }
            Self::Numbers(numbers) => {
                let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(" or "))
            }
            Self::Servers(schemes) => write!(
                f,
                "addresses such as {0}://10.0.0.1:{1}, separated by commas or as a list [\"{0}://10.0.0.1:{1}\", …], or \"off\"",
                schemes.names[0], schemes.port
            ),
            Self::Server(schemes) => {
                write!(f, "one address such as {}://10.0.0.1:{}, or \"off\"", schemes.names[0], schemes.port)
            }
            Self::Hosts => write!(f, "names of hosts, separated by commas or as a list of texts"),
            Self::Labels => write!(
                f,
                "labels NAME=VALUE such as \"zone=a,disk=fast\", separated by commas or as a list of texts, each name once, or \"off\""
            ),
            Self::Address => write!(f, "an IP address and a port, as 127.0.0.1:8080"),
            Self::Text { max_chars } => write!(f, "printable text of 1 to {max_chars} characters"),
        }
    }
}
