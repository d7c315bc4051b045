//! Where servers are, by name: a TOML file of the user's.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::exit::{ExitStatus, Failure, OrExit};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    server: String,
}

/// The file that is read when none is named.
fn usual() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(config.join("retailflow").join("contexts.toml"))
}

/// The address of the server of this name.
pub(crate) fn server(name: &str, file: Option<&Path>) -> Result<String, Failure> {
    let path = match file.map(Path::to_owned).or_else(usual) {
        Some(path) => path,
        None => {
            return Err(Failure::usage(
                "there is no HOME to look for contexts.toml in: give --contexts FILE",
            ));
        }
    };
    let shown = path.display();
    let example = "[contexts.NAME]\nserver = \"http://127.0.0.1:8080\"";
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
    match file.contexts.get(name) {
        Some(context) => Ok(context.server.clone()),
        None => {
            let names: Vec<&str> = file.contexts.keys().map(String::as_str).collect();
            Err(Failure::usage(format!("{shown} has no context {name:?}; it has: {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_a_server_and_errors_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.toml");
        let told = |name: &str| server(name, Some(&path)).map_err(|failure| failure.to_string());
        assert!(told("a").unwrap_err().contains("write it"));
        std::fs::write(&path, "[contexts.a]\nserver = \"http://x:1\"\n").unwrap();
        assert_eq!(told("a").unwrap(), "http://x:1");
        assert!(told("b").unwrap_err().contains("it has: a"));
        std::fs::write(&path, "[contexts.a]\nsrever = \"http://x:1\"\n").unwrap();
        assert!(told("a").unwrap_err().contains("srever"));
    }
}
