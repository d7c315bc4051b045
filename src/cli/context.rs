//! What every command takes, and what it is given.

use std::path::PathBuf;

use clap::ValueEnum;
use retailflow_config::Loaded;
pub(crate) use retailflow_server::exit::print;

/// What every command takes.
#[derive(clap::Args, Debug)]
pub(crate) struct Global {
    /// A configuration file (TOML); `retailflow config show` lists what can stand in it
    #[arg(
        long,
        global = true,
        env = "RETAILFLOW_CONFIG",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// One setting, over file and environment, as in `--set log.partitions=8`; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting, help_heading = "Global options")]
    pub(crate) set: Vec<(String, String)>,
    /// Tables for people, JSON for programs
    #[arg(short, long, global = true, default_value = "table", help_heading = "Global options")]
    pub(crate) output: Output,
}

/// The form of what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns
    Table,
    /// JSON
    Json,
}

/// What a command is given beside its own arguments.
#[derive(Debug)]
pub(crate) struct Context {
    /// The configuration and where each value came from.
    pub(crate) config: Loaded,
    /// The form of what is shown.
    pub(crate) output: Output,
}

/// Renders what a verb has done, in the form that was asked for.
pub(crate) fn render(shown: &serde_json::Value, text: String, output: Output) -> String {
    match output {
        Output::Json => format!("{shown:#}\n"),
        Output::Table => text,
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as log.partitions=8")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_key_and_value() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(setting("log.partitions=8"), pair("log.partitions", "8"));
        assert_eq!(setting("telemetry.log=a=debug"), pair("telemetry.log", "a=debug"));
        assert!(setting("log.partitions").is_err());
    }
}
