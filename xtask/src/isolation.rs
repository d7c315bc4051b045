//! What all others feel of one sick part: on the embedded log, and on three NATS servers of which one is stopped for a while.

use anyhow::{Result, bail};

use crate::cluster::{NatsServer, beside_nats};
use crate::shell;

/// The streams of the log are spread by chance: the server that is stopped must keep some of them, and not all.
const TRIES: usize = 6;

/// Measures the release build, each time for so many seconds well, sick, and well again.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (seconds, only) = match words {
        [] => ("60", None),
        ["--only", only] => ("60", Some(*only)),
        [seconds] => (*seconds, None),
        [seconds, "--only", only] => (*seconds, Some(*only)),
        _ => bail!("give it as: isolation [SECONDS] [--only embedded|nats]"),
    };
    if seconds.parse::<u16>().is_err() {
        bail!("{seconds:?} is no number of seconds");
    }
    eprintln!("building …");
    shell::output(shell::cargo().args(["build", "--release", "--quiet", "--package", "retailflow"]))?;
    let binary = shell::target()?.join("release").join("retailflow");
    let bench = || {
        let mut command = std::process::Command::new(&binary);
        command.args(["bench", "isolation", "--seconds", seconds]);
        command
    };
    match only {
        None | Some("embedded") => {
            println!("{}", shell::text(bench().arg("--data").arg(std::env::temp_dir()))?);
        }
        Some("nats") => {}
        Some(other) => bail!("--only {other}: embedded or nats"),
    }
    if only == Some("embedded") {
        return Ok(());
    }
    for turn in 0..TRIES {
        let measured = beside_nats(3, |servers| {
            let (frozen, others) = parted(servers, turn);
            let urls: Vec<String> =
                others.iter().map(|server| format!("nats://127.0.0.1:{}", server.port)).collect();
            let mut command = bench();
            command.args(["--part", "log", "--nats", &urls.join(",")]);
            command.args(["--freeze", &format!("{}={}", frozen.name, frozen.id)]);
            command.args(["--set", "nats.replicas=1", "--set", "cluster.partitions=16"]);
            command.args(["--set", "cluster.shards=8", "--set", "cluster.durability=fsync"]);
            shell::text(&mut command)
        });
        match measured {
            Ok(told) => {
                println!("three NATS servers, one copy of each stream, one server stopped:\n{told}");
                return Ok(());
            }
            Err(why) if format!("{why:#}").contains("name another one") => eprintln!("once more: {why:#}"),
            Err(why) => return Err(why),
        }
    }
    bail!("in {TRIES} tries no server kept a part of the streams only")
}

/// One of the servers, another one each turn, and the others.
fn parted(servers: &[NatsServer], turn: usize) -> (&NatsServer, Vec<&NatsServer>) {
    let frozen = turn % servers.len();
    let others = servers.iter().enumerate().filter(|(at, _)| *at != frozen).map(|(_, server)| server);
    (&servers[frozen], others.collect())
}
