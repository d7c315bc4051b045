//! Where servers are, by name: a TOML file of the user's.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use retailflow_server::exit::{ExitStatus, Failure, OrExit};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

/// One of the two addresses of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Where tenants' systems connect.
    Tenants,
    /// Where operators connect.
    Operators,
}

impl Door {
    const fn key(self) -> &'static str {
        match self {
            Self::Tenants => "server",
            Self::Operators => "admin",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    server: Option<String>,
    admin: Option<String>,
}

/// The file that is read when none is named.
fn usual() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(config.join("retailflow").join("contexts.toml"))
}

/// The address of this door of the server of this name.
pub(crate) fn address(name: &str, door: Door, file: Option<&Path>) -> Result<String, Failure> {
    let path = match file.map(Path::to_owned).or_else(usual) {
        Some(path) => path,
        None => {
            return Err(Failure::usage(
                "there is no HOME to look for contexts.toml in: give --contexts FILE",
            ));
        }
    };
    let shown = path.display();
    let example = "[contexts.NAME]\nserver = \"http://127.0.0.1:8080\"\nadmin = \"http://127.0.0.1:8081\"";
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::usage(format!(
                "there is no {shown}: write it, with lines such as\n{example}"
            )));
        }
        read => read.or_exit(ExitStatus::Usage, || format!("cannot read {shown}"))?,
    };
    let file: File = toml::from_str(&text)
        .or_exit(ExitStatus::Usage, || format!("{shown} is not as it must be, that is\n{example}\n"))?;
    let Some(context) = file.contexts.get(name) else {
        let names: Vec<&str> = file.contexts.keys().map(String::as_str).collect();
        return Err(Failure::usage(format!("{shown} has no context {name:?}; it has: {}", names.join(", "))));
    };
    let address = match door {
        Door::Tenants => &context.server,
        Door::Operators => &context.admin,
    };
    address.clone().ok_or_else(|| {
        let key = door.key();
        Failure::usage(format!("{shown}: the context {name:?} has no `{key}`: add one, {key} = \"http://…\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_a_server_and_errors_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.toml");
        let at = |name: &str, door| address(name, door, Some(&path)).map_err(|failure| failure.to_string());
        let told = |name: &str| at(name, Door::Tenants);
        assert!(told("a").unwrap_err().contains("write it"));
        std::fs::write(&path, "[contexts.a]\nserver = \"http://x:1\"\n").unwrap();
        assert_eq!(told("a").unwrap(), "http://x:1");
        assert!(told("b").unwrap_err().contains("it has: a"));
        assert!(at("a", Door::Operators).unwrap_err().contains("has no `admin`"));
        std::fs::write(&path, "[contexts.a]\nadmin = \"http://x:2\"\n").unwrap();
        assert_eq!(at("a", Door::Operators).unwrap(), "http://x:2");
        assert!(told("a").unwrap_err().contains("has no `server`"));
        std::fs::write(&path, "[contexts.a]\nsrever = \"http://x:1\"\n").unwrap();
        assert!(told("a").unwrap_err().contains("srever"));
    }
}
