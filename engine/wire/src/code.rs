//! How a command can come out: one enum for every door, so that a code means the same wherever it is met.
//!
//! The list is append-only: a code is never renamed, reused or given another status (`golden/wire/codes.txt`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use super::code_table::Code;

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Decided, recorded, done; final.
    Applied,
    /// Decided and recorded: the order did not change; final.
    Rejected,
    /// Durably kept, in order, behind a parked order; decided when that is released.
    Parked,
    /// Not recorded: the same id may come again.
    Refused,
}

impl Status {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Parked => "parked",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether sending the command again under the same id can end otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// No: the outcome is recorded and will be given again.
    Never,
    /// Yes, unchanged, after a while (`retry_after_ms` where given).
    Later,
    /// Yes, once the command, the rights or the setup have been put right.
    AfterChange,
}

impl Retry {
    /// The name used in the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "no",
            Self::Later => "yes, later",
            Self::AfterChange => "after a change",
        }
    }
}

impl Code {
    /// Reads a name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// Whether the same command, unchanged, can be sent again in the hope of another outcome.
    #[must_use]
    pub const fn retry_helps(self) -> bool {
        matches!(self.retry(), Retry::Later)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_append_only() {
        let line = |c: &Code| format!("{} {} {}\n", c.as_str(), c.status(), c.http_status());
        let now: String = Code::ALL.iter().map(line).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/wire/codes.txt");
        if std::env::var_os("RETAILFLOW_BLESS").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        assert_eq!(now, std::fs::read_to_string(path).unwrap());
    }

    #[test]
    fn the_wire_name_is_the_same_everywhere() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("{:?}", code.as_str()));
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
        assert_eq!(Code::parse("no_such_code"), None);
    }

    #[test]
    fn what_is_recorded_is_final_and_what_is_refused_is_not() {
        for code in Code::ALL {
            let final_status = code.status() != Status::Refused;
            assert_eq!(code.retry() == Retry::Never, final_status, "{code}");
            assert_eq!(code.status() == Status::Applied, code.http_status() == 200, "{code}");
            assert_eq!(code.status() == Status::Rejected, code.http_status() == 422, "{code}");
            assert!(code.meaning().ends_with('.') && code.what_to_do().ends_with('.'), "{code}");
        }
    }
}
