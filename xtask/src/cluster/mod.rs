//! A whole cluster on this machine, from the tools in `.tools/`, to try things with: NATS, etcd, participants, nodes.
//!
//! They are started in this order and stopped in the reverse one, on Ctrl-C or SIGTERM; nothing is left but the folder, if it is
//! to be kept. One that ends is told, and the others go on: it comes back when that is asked for ([`asked`]), or by itself.

mod asked;
mod process;
mod running;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use self::running::{Places, Running};
use crate::{setup, shell};

/// Between two looks whether all are there.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What is started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Size {
    nodes: usize,
    nats: usize,
    etcd: usize,
    keep: bool,
    /// Whatever ends is started again.
    restart: bool,
}

impl Size {
    /// Reads the words behind `cargo xtask cluster`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut size = Self { nodes: 3, nats: 3, etcd: 3, keep: false, restart: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--keep" {
                size.keep = true;
                continue;
            }
            if *word == "--restart" {
                size.restart = true;
                continue;
            }
            let text = words.next().with_context(|| format!("{word} wants a number"))?;
            let number: usize = text.parse().with_context(|| format!("{word} wants a number, not {text}"))?;
            match (*word, number) {
                ("--nodes", 1..=16) => size.nodes = number,
                ("--nats", 1 | 3 | 5) => size.nats = number,
                ("--etcd", 1 | 3 | 5) => size.etcd = number,
                ("--nodes", _) => bail!("--nodes: 1 to 16"),
                ("--nats" | "--etcd", _) => bail!("{word}: 1, 3 or 5"),
                _ => bail!("{word} is not known: --nodes N, --nats N, --etcd N, --restart, --keep"),
            }
        }
        Ok(size)
    }
}

/// Starts a cluster and waits for a signal.
pub(crate) fn run(size: &Size) -> Result<ExitCode> {
    let tools = shell::root().join(".tools");
    let (nats, etcd) = (tools.join("nats-server/nats-server"), tools.join("etcd/etcd"));
    for binary in [&nats, &etcd] {
        if !binary.is_file() {
            bail!("there is no {}: run `cargo xtask setup --tests`", binary.display());
        }
    }
    setup::build()?;
    let binary = build()?;
    let folder = std::env::temp_dir().join(format!("retailflow-cluster-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut running = Running { folder, binary, processes: Vec::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let asked = async {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        };
        let lived = tokio::select! {
            () = asked => Ok(()),
            failed = live(&mut running, size, &nats, &etcd) => failed,
        };
        running.stop().await;
        lived
    });
    match size.keep {
        true => eprintln!("kept: {}", running.folder.display()),
        false => fs::remove_dir_all(&running.folder).context("cannot remove the folder")?,
    }
    ended.map(|()| ExitCode::SUCCESS)
}

/// Builds the program, and shows that it does: as a release where there is one already, which is what people want to measure.
fn build() -> Result<PathBuf> {
    let target = shell::target()?;
    let (profile, words) = match target.join("release").join("retailflow").is_file() {
        true => ("release", &["build", "--release", "--package", "retailflow"][..]),
        false => ("debug", &["build", "--package", "retailflow"][..]),
    };
    eprintln!("building ({profile}) …");
    let status = shell::cargo().args(words).status().context("cargo cannot be started")?;
    ensure!(status.success(), "the program could not be built");
    Ok(target.join(profile).join("retailflow"))
}

/// A NATS server that was started.
pub(crate) struct NatsServer {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) id: u32,
}

/// Starts NATS servers that know each other and hold nothing, and stops them when `run` has ended.
pub(crate) fn beside_nats<T>(count: usize, run: impl FnOnce(&[NatsServer]) -> Result<T>) -> Result<T> {
    let binary = shell::root().join(".tools/nats-server/nats-server");
    if !binary.is_file() {
        bail!("there is no {}: run `cargo xtask setup --tests`", binary.display());
    }
    let folder = std::env::temp_dir().join(format!("retailflow-nats-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut running = Running { folder, binary: PathBuf::new(), processes: Vec::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(running.nats(&binary, count)).and_then(|(ports, _)| {
        let servers: Vec<NatsServer> = (running.processes.iter().zip(ports))
            .map(|(process, port)| NatsServer { name: process.name.clone(), port, id: process.id() })
            .collect();
        run(&servers)
    });
    runtime.block_on(running.stop());
    fs::remove_dir_all(&running.folder).context("cannot remove the folder")?;
    done
}

/// Until it is dropped; ends only with an error, before all are there.
async fn live(running: &mut Running, size: &Size, nats: &Path, etcd: &Path) -> Result<()> {
    let etcd = running.etcd(etcd, size.etcd).await?;
    let (nats, monitors) = running.nats(nats, size.nats).await?;
    let mut places = Places { nats, monitors, etcd, nodes: Vec::new() };
    running.configure(&places)?;
    let mut participants = running.retailflow(&["participants", "--kind", "perfect", "--data"]);
    participants.arg(running.folder.join("participants"));
    running
        .start("participants", participants, |said| said.contains("the participants are there").then_some(()))
        .await?;
    // Known before, so that a node that comes back is found where it was.
    let ports = running::ports::free(size.nodes * 2);
    for (number, ports) in (1..).zip(ports.chunks(2)) {
        let name = format!("n-{number}");
        let mut node = running.retailflow(&["serve", "--node", &name]);
        let [listen, admin] = [0, 1].map(|at| format!("127.0.0.1:{}", ports[at]));
        node.args(["--listen", &listen, "--admin-listen", &admin]);
        node.arg("--data").arg(running.folder.join(&name));
        let said = running.start(&name, node, |said| {
            said.lines().find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()))
        });
        places.nodes.push(format!("{name}: {}", said.await?));
    }
    print!("{}", overview(running, &places));
    let mut asked = asked::lines();
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => running.check(size.restart),
            Some(line) = asked.recv() => running.asked(&line),
        }
    }
}

/// What people want to know.
fn overview(running: &Running, places: &Places) -> String {
    let (folder, binary) = (running.folder.display(), running.binary.display());
    let first = places.nodes.first().and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default();
    format!(
        "\n{}\nNATS: {}\nlogs and data: {folder}\n\nIn another terminal:\n  export RETAILFLOW_CONFIG={folder}/cluster.toml RETAILFLOW_NATS={}\n  \
         alias retailflow={binary}\n  retailflow cluster status --partitions\n  retailflow doctor\n  \
         retailflow order place shop 1001 --customer 7 --currency USD --line cd:1:1177 --server {}\n  \
         retailflow generate --orders 1000 --seed 1 | retailflow publish --commands -\n  \
         retailflow node drain n-1 --wait 60\n\nHere, as lines: kill n-2, stop n-2, restart n-2 (or nats-0, e-0, participants); list. Ctrl-C stops all of it.\n",
        places.nodes.join("\n"),
        running.servers(),
        running.servers(),
        first.trim_end_matches(','),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_how_many() {
        let size = Size::parse(&["--nodes", "2", "--nats", "1", "--keep"]).unwrap();
        assert_eq!(size, Size { nodes: 2, nats: 1, etcd: 3, keep: true, restart: false });
        assert!(Size::parse(&["--restart"]).unwrap().restart);
        for bad in
            [&["--nats", "2"][..], &["--nodes"], &["--nodes", "x"], &["--nodes", "0"], &["--what", "1"]]
        {
            assert!(Size::parse(bad).is_err(), "{bad:?}");
        }
    }
}
