//! Where a command looks or sends: a data directory that is at hand, or a server that runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::client::Client;
use crate::client::contexts::{self, Door};
use retailflow_server::exit::Failure;

const DATA: &str = "RETAILFLOW_DATA";
const SERVER: &str = "RETAILFLOW_SERVER";
const ADMIN: &str = "RETAILFLOW_ADMIN";
const CONTEXT: &str = "RETAILFLOW_CONTEXT";

/// Which server by name, and how long it is tried. The environment is read by hand: a flag for one kind of place wins
/// over a variable for another.
#[derive(Args, Debug)]
pub(crate) struct ReachArgs {
    /// The server that has this name in the file of contexts [env: RETAILFLOW_CONTEXT]
    #[arg(long, value_name = "NAME", help_heading = "Server")]
    pub(crate) context: Option<String>,
    /// The file of contexts; left out: retailflow/contexts.toml in the user's configuration folder
    #[arg(long, env = "RETAILFLOW_CONTEXTS", value_name = "FILE", help_heading = "Server")]
    pub(crate) contexts: Option<PathBuf>,
    /// How long a server is asked again when it is busy or does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Server")]
    pub(crate) patience: u64,
}

/// A server, where tenants' systems connect.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    /// The server's address, such as http://127.0.0.1:8080 [env: RETAILFLOW_SERVER]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// A server, where operators connect.
#[derive(Args, Debug)]
pub(crate) struct AdminArgs {
    /// The server's address for operators, such as http://127.0.0.1:8081 [env: RETAILFLOW_ADMIN]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub(crate) admin: Option<String>,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// A data directory or a server.
#[derive(Args, Debug)]
pub(crate) struct PlaceArgs {
    /// The data directory: log, index and tenants [env: RETAILFLOW_DATA]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// A data directory that no process runs, or a server's door for operators.
#[derive(Args, Debug)]
pub(crate) struct AdminPlaceArgs {
    /// The data directory: log, index and tenants [env: RETAILFLOW_DATA]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// What was chosen.
pub(crate) enum Place {
    /// A data directory.
    Data(PathBuf),
    /// A server.
    Server(Client),
}

/// The places that flags name, or those that the environment names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    data: Option<PathBuf>,
    url: Option<String>,
    context: Option<String>,
}

/// What a command can be given: its flags and variables, for what it says when it is given none or too many.
#[derive(Clone, Copy)]
struct Takes {
    door: Door,
    data: bool,
}

impl Takes {
    const fn words(self) -> (&'static str, &'static str) {
        match self.door {
            Door::Tenants => ("--server URL", SERVER),
            Door::Operators => ("--admin URL", ADMIN),
        }
    }

    fn flags(self) -> String {
        let data = if self.data { "--data DIR, " } else { "" };
        format!("{data}{} or --context NAME", self.words().0)
    }

    fn variables(self) -> String {
        let data = if self.data { format!("{DATA}, ") } else { String::new() };
        format!("{data}{} and {CONTEXT}", self.words().1)
    }

    fn environment(self) -> Named {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let data = std::env::var_os(DATA).filter(|path| self.data && !path.is_empty()).map(PathBuf::from);
        Named { data, url: text(self.words().1), context: text(CONTEXT) }
    }
}

impl Named {
    fn count(&self) -> usize {
        [self.data.is_some(), self.url.is_some(), self.context.is_some()].into_iter().filter(|x| *x).count()
    }

    /// Flags win as a whole.
    fn or(self, environment: Self, takes: Takes) -> Result<Self, String> {
        match (self.count(), environment.count()) {
            (1, _) => Ok(self),
            (0, 1) => Ok(environment),
            (0, 0) => Err(format!("say where: give {}", takes.flags())),
            (0, _) => Err(format!(
                "the environment names more than one of {}: give {}",
                takes.variables(),
                takes.flags()
            )),
            _ => Err(format!("give one of {}, not more", takes.flags())),
        }
    }

    fn open(self, takes: Takes, reach: &ReachArgs) -> Result<Place, Failure> {
        let flags = Self { context: reach.context.clone(), ..self };
        let named = flags.or(takes.environment(), takes).map_err(Failure::usage)?;
        let url = match (named.data, named.url, named.context) {
            (Some(data), ..) => return Ok(Place::Data(data)),
            (None, Some(url), _) => url,
            (None, None, Some(name)) => contexts::address(&name, takes.door, reach.contexts.as_deref())?,
            (None, None, None) => return Err(Failure::usage(format!("give {}", takes.flags()))),
        };
        Client::new(&url, Duration::from_secs(reach.patience)).map(Place::Server)
    }

    fn client(url: Option<String>, door: Door, reach: &ReachArgs) -> Result<Client, Failure> {
        let takes = Takes { door, data: false };
        match (Self { url, ..Self::default() }).open(takes, reach)? {
            Place::Server(client) => Ok(client),
            Place::Data(_) => Err(Failure::usage(format!("give {}", takes.flags()))),
        }
    }
}

impl ServerArgs {
    /// The server that is named.
    pub(crate) fn open(&self) -> Result<Client, Failure> {
        Named::client(self.server.clone(), Door::Tenants, &self.reach)
    }
}

impl AdminArgs {
    /// Whether a flag names one.
    pub(crate) fn is_given(&self) -> bool {
        self.admin.is_some() || self.reach.context.is_some()
    }

    /// The server that is named.
    pub(crate) fn open(&self) -> Result<Client, Failure> {
        Named::client(self.admin.clone(), Door::Operators, &self.reach)
    }
}

impl PlaceArgs {
    /// The place that is named.
    pub(crate) fn open(&self) -> Result<Place, Failure> {
        let named = Named { data: self.data.clone(), url: self.server.server.clone(), context: None };
        named.open(Takes { door: Door::Tenants, data: true }, &self.server.reach)
    }
}

impl AdminPlaceArgs {
    /// The place that is named.
    pub(crate) fn open(&self) -> Result<Place, Failure> {
        let named = Named { data: self.data.clone(), url: self.admin.admin.clone(), context: None };
        named.open(Takes { door: Door::Operators, data: true }, &self.admin.reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_two_places_are_none() {
        let data = || Named { data: Some("d".into()), ..Named::default() };
        let server = || Named { url: Some("s".into()), ..Named::default() };
        let takes = Takes { door: Door::Operators, data: true };
        let both = || Named { context: Some("c".into()), ..server() };
        assert_eq!(data().or(server(), takes), Ok(data()));
        assert_eq!(server().or(both(), takes), Ok(server()));
        assert_eq!(Named::default().or(data(), takes), Ok(data()));
        for (flags, environment, says) in [
            (Named::default(), Named::default(), "say where"),
            (Named::default(), both(), "more than one"),
            (both(), Named::default(), "not more"),
        ] {
            let told = flags.or(environment, takes).unwrap_err();
            assert!(told.contains(says) && told.contains("--admin URL"), "{told}");
        }
    }
}
