//! What is asked of a cluster that runs: lines at the terminal.

use std::io::BufRead as _;

use tokio::sync::mpsc;

use super::process::Process;
use super::running::Running;

/// Lines that wait to be done.
const LINES_MAX: usize = 16;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    /// Start it once more.
    Restart(&'a str),
    /// End it in good order.
    Stop(&'a str),
    /// End it at once.
    Kill(&'a str),
    /// Say who runs.
    List,
}

impl<'a> Asked<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(match *words.as_slice() {
            ["restart", name] => Self::Restart(name),
            ["stop", name] => Self::Stop(name),
            ["kill", name] => Self::Kill(name),
            ["list"] => Self::List,
            _ => return None,
        })
    }
}

/// The lines of standard input. Its thread waits for the next one until the process ends: nothing else ends a read.
pub(super) fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    let read = move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("lines".into()).spawn(read) {
        eprintln!("nothing can be asked for here: {error}");
    }
    lines
}

impl Running {
    /// Tells of those that have ended, and starts them again if that is wanted.
    pub(super) fn check(&mut self, restart: bool) {
        for process in &mut self.processes {
            let Some(why) = process.ended() else { continue };
            eprintln!("{why}");
            if restart {
                started(process);
            } else {
                eprintln!("  `restart {}` starts it again; the others go on", process.name);
            }
        }
    }

    /// Does what a line asks for.
    pub(super) fn asked(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let Some(asked) = Asked::parse(line) else {
            return eprintln!("not known: {line:?}; there are restart NAME, stop NAME, kill NAME, list");
        };
        let name = match asked {
            Asked::List => {
                for process in &mut self.processes {
                    let runs = if process.is_running() { "runs" } else { "has ended" };
                    eprintln!("{} {runs} (process {})", process.name, process.id());
                }
                return;
            }
            Asked::Restart(name) | Asked::Stop(name) | Asked::Kill(name) => name,
        };
        // `n2` is meant for `n-2`.
        let plain = |name: &str| name.replace('-', "");
        let Some(process) = self.processes.iter_mut().find(|process| plain(&process.name) == plain(name))
        else {
            let names: Vec<&str> = self.processes.iter().map(|process| &*process.name).collect();
            return eprintln!("there is no {name}; there are {}", names.join(", "));
        };
        match asked {
            Asked::Restart(_) => started(process),
            Asked::Stop(_) => process.terminate(),
            _ => process.kill(),
        }
    }
}

fn started(process: &mut Process) {
    match process.restart() {
        Ok(()) => eprintln!("{} is started again", process.name),
        Err(error) => eprintln!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_is_to_be_done() {
        assert_eq!(Asked::parse(" restart  n2 "), Some(Asked::Restart("n2")));
        assert_eq!(Asked::parse("kill nats-0"), Some(Asked::Kill("nats-0")));
        assert_eq!(Asked::parse("stop e-1"), Some(Asked::Stop("e-1")));
        assert_eq!(Asked::parse("list"), Some(Asked::List));
        for wrong in ["", "restart", "restart a b", "what"] {
            assert_eq!(Asked::parse(wrong), None, "{wrong}");
        }
    }
}
