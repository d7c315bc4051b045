//! Where a command looks or sends: a data directory that is at hand, or a server that runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::client::{Client, contexts};
use crate::exit::Failure;

const DATA: &str = "RETAILFLOW_DATA";
const SERVER: &str = "RETAILFLOW_SERVER";
const CONTEXT: &str = "RETAILFLOW_CONTEXT";

/// Which server. The environment is read by hand: a flag for one kind of place wins over a variable for another.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    /// The server's address, such as http://127.0.0.1:8080 [env: RETAILFLOW_SERVER]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub(crate) server: Option<String>,
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

/// A data directory or a server.
#[derive(Args, Debug)]
pub(crate) struct PlaceArgs {
    /// The data directory: log, index and tenants [env: RETAILFLOW_DATA]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
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
    server: Option<String>,
    context: Option<String>,
}

impl Named {
    fn count(&self) -> usize {
        [self.data.is_some(), self.server.is_some(), self.context.is_some()]
            .into_iter()
            .filter(|x| *x)
            .count()
    }

    fn environment() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let data = std::env::var_os(DATA).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { data, server: text(SERVER), context: text(CONTEXT) }
    }

    /// Flags win as a whole.
    fn or(self, environment: Self, with_data: bool) -> Result<Self, String> {
        let flags = if with_data {
            "--data DIR, --server URL or --context NAME"
        } else {
            "--server URL or --context NAME"
        };
        match (self.count(), environment.count()) {
            (1, _) => Ok(self),
            (0, 1) => Ok(environment),
            (0, 0) => Err(format!("say where: give {flags}")),
            (0, _) => Err(format!(
                "the environment names more than one of {DATA}, {SERVER} and {CONTEXT}: give {flags}"
            )),
            _ => Err(format!("give one of {flags}, not more")),
        }
    }
}

impl ServerArgs {
    fn client(&self, named: Named) -> Result<Client, Failure> {
        let server = match (named.server, named.context) {
            (Some(server), _) => server,
            (None, Some(name)) => contexts::server(&name, self.contexts.as_deref())?,
            (None, None) => return Err(Failure::usage("give --server URL or --context NAME")),
        };
        Client::new(&server, Duration::from_secs(self.patience))
    }

    fn named(&self) -> Named {
        Named { data: None, server: self.server.clone(), context: self.context.clone() }
    }

    /// The server that is named.
    pub(crate) fn open(&self) -> Result<Client, Failure> {
        let environment = Named { data: None, ..Named::environment() };
        self.client(self.named().or(environment, false).map_err(Failure::usage)?)
    }
}

impl PlaceArgs {
    /// The place that is named.
    pub(crate) fn open(&self) -> Result<Place, Failure> {
        let flags = Named { data: self.data.clone(), ..self.server.named() };
        let named = flags.or(Named::environment(), true).map_err(Failure::usage)?;
        match named.data {
            Some(data) => Ok(Place::Data(data)),
            None => self.server.client(named).map(Place::Server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_two_places_are_none() {
        let data = || Named { data: Some("d".into()), ..Named::default() };
        let server = || Named { server: Some("s".into()), ..Named::default() };
        let both = || Named { context: Some("c".into()), ..server() };
        assert_eq!(data().or(server(), true), Ok(data()));
        assert_eq!(server().or(both(), true), Ok(server()));
        assert_eq!(Named::default().or(data(), true), Ok(data()));
        for (flags, environment, says) in [
            (Named::default(), Named::default(), "say where"),
            (Named::default(), both(), "more than one"),
            (both(), Named::default(), "not more"),
        ] {
            let told = flags.or(environment, true).unwrap_err();
            assert!(told.contains(says), "{told}");
        }
    }
}
