//! Faults of mixed kinds, one after another, under load: while each lasts, nodes and `doctor` tell the truth of it; when it ends, all
//! is well again by itself.
//!
//! `RETAILFLOW_LONG=1` runs sixty on three of everything; `RETAILFLOW_FAULTS=N` runs so many.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::audit::audit;
use super::cluster::{Many, Size};
use super::load::Load;
use super::{is_long, keep_running, servers};
use crate::support::etcd::Etcd;
use crate::support::nats::Server;
use crate::support::poll::wait_for;
use crate::support::serving::http;

const NAMES: [&str; 3] = ["n-1", "n-2", "n-3"];
/// For all to be well again after the end of a fault: what is promised, and what is asked of a busy machine.
const WELL_WITHIN: Duration = Duration::from_secs(15);
const WELL_WITHIN_BUSY: Duration = Duration::from_secs(90);
/// For a node to see what keeps it from its work.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// What happens, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    NodeKilled(usize),
    NodeFrozen(usize),
    NodeEmptied(usize),
    NatsKilled(usize),
    NatsFrozen(usize),
    AllNatsFrozen,
    EtcdKilled(usize),
    EtcdFrozen(usize),
    AllEtcdFrozen,
    ParticipantsKilled,
}

impl Fault {
    fn of(number: usize, size: &Size) -> Self {
        let at = |count: usize| (number / 10) % count;
        match number % 10 {
            0 => Self::AllEtcdFrozen,
            1 => Self::NodeKilled(at(3)),
            2 => Self::AllNatsFrozen,
            3 => Self::ParticipantsKilled,
            4 => Self::NodeFrozen(at(3)),
            5 => Self::NatsKilled(at(size.nats)),
            6 => Self::EtcdKilled(at(size.etcd)),
            7 => Self::NodeEmptied(at(3)),
            8 => Self::NatsFrozen(at(size.nats)),
            _ => Self::EtcdFrozen(at(size.etcd)),
        }
    }

    /// It lasts so long.
    fn time(self, size: &Size) -> Duration {
        let ttl = Duration::from_millis(size.ttl_ms);
        match self {
            Self::AllEtcdFrozen | Self::NodeFrozen(_) => ttl * 2,
            _ => Duration::from_secs(6),
        }
    }

    fn begin(self, many: &mut Many) {
        match self {
            Self::NodeKilled(at) => many.kill(NAMES[at]),
            Self::NodeFrozen(at) => many.freeze(NAMES[at]),
            Self::NodeEmptied(at) => drop(many.verb(&["node", "drain", NAMES[at]]).run().expect(0)),
            Self::NatsKilled(at) => many.nats[at].kill(),
            Self::NatsFrozen(at) => many.nats[at].freeze(),
            Self::AllNatsFrozen => many.nats.iter().for_each(Server::freeze),
            Self::EtcdKilled(at) => many.etcd[at].kill(),
            Self::EtcdFrozen(at) => many.etcd[at].freeze(),
            Self::AllEtcdFrozen => many.etcd.iter().for_each(Etcd::freeze),
            Self::ParticipantsKilled => many.kill_participants(),
        }
    }

    fn end(self, many: &mut Many) {
        match self {
            Self::NodeKilled(at) => many.node(NAMES[at]),
            Self::NodeFrozen(at) => many.wake(NAMES[at]),
            Self::NodeEmptied(at) => drop(many.verb(&["node", "undrain", NAMES[at]]).run().expect(0)),
            Self::NatsKilled(at) => many.nats[at].run(),
            Self::NatsFrozen(at) => many.nats[at].thaw(),
            Self::AllNatsFrozen => many.nats.iter().for_each(Server::thaw),
            Self::EtcdKilled(at) => {
                many.etcd[at].spawn();
                assert!(many.etcd[at].comes_up());
            }
            Self::EtcdFrozen(at) => many.etcd[at].thaw(),
            Self::AllEtcdFrozen => many.etcd.iter().for_each(Etcd::thaw),
            Self::ParticipantsKilled => many.start_participants(),
        }
    }

    /// The node that is not there to be asked.
    fn absent(self) -> Option<&'static str> {
        match self {
            Self::NodeKilled(at) | Self::NodeFrozen(at) => Some(NAMES[at]),
            _ => None,
        }
    }

    /// The part that keeps all nodes from their work while it lasts.
    fn bars(self, size: &Size) -> Option<&'static [&'static str]> {
        let (nats, etcd) = (size.nats == 1, size.etcd == 1);
        match self {
            Self::AllNatsFrozen => Some(&["log", "connection"]),
            Self::NatsKilled(_) | Self::NatsFrozen(_) if nats => Some(&["log", "connection"]),
            Self::AllEtcdFrozen => Some(&["session"]),
            // One member that hangs for less than a session lasts is nobody's trouble.
            Self::EtcdFrozen(_) if etcd => Some(&["session"]),
            Self::EtcdKilled(_) if etcd => Some(&["session"]),
            _ => None,
        }
    }

    /// What `doctor` says of it.
    fn named(self, many: &Many) -> String {
        match self {
            Self::NodeKilled(at) => format!("node {}", NAMES[at]),
            // Its session runs out, or it does not answer operators.
            Self::NodeFrozen(at) | Self::NodeEmptied(at) => format!("node {}", NAMES[at]),
            Self::NatsKilled(at) | Self::NatsFrozen(at) => many.nats[at].url(),
            Self::AllNatsFrozen => many.nats[0].url(),
            Self::EtcdKilled(at) | Self::EtcdFrozen(at) => many.etcd[at].url(),
            Self::AllEtcdFrozen => many.etcd[0].url(),
            Self::ParticipantsKilled => "do not answer".into(),
        }
    }
}

fn ready(many: &Many, node: &str) -> (u16, Value) {
    let (status, answer) = http(&many.admin(node), "GET", "/readyz", &[], "");
    let body = answer.rsplit_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

fn has_part(said: &Value, parts: &[&str]) -> bool {
    let unwell = said["unwell"].as_array().into_iter().flatten();
    unwell.filter(|part| part["bars"] == true).any(|part| parts.contains(&part["part"].as_str().unwrap()))
}

/// What `doctor` finds that is not as it should be; the machine's one old etcd apart.
fn ill(many: &Many) -> Vec<Value> {
    let ended = many.verb(&["doctor", "-o", "json"]).run();
    let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let usual = |finding: &Value| finding["found"].as_str().unwrap().starts_with("version ");
    let all = said["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["level"] != "ok" && !usual(finding)).cloned().collect()
}

/// Who is not well, and why; nothing when all are, and all partitions are run.
fn unwell(many: &Many) -> String {
    let said = NAMES.iter().filter_map(|name| {
        let (status, said) = ready(many, name);
        (status != 200 || !said["unwell"].is_null()).then(|| {
            let parts = said["unwell"].as_array().into_iter().flatten();
            let parts: Vec<&str> = parts.filter_map(|part| part["text"].as_str()).collect();
            format!("{name} {status} {}", parts.join("; "))
        })
    });
    let said = said.collect::<Vec<_>>().join(" | ");
    match said.is_empty() && !many.all_held(&NAMES) {
        true => "some partitions are run by nobody".into(),
        false => said,
    }
}

fn well(many: &Many) -> Option<()> {
    unwell(many).is_empty().then_some(())
}

/// One fault, from its beginning until all is well again; gives how long that took.
fn suffer(many: &mut Many, fault: Fault) -> Duration {
    let size = many.size;
    let begun = Instant::now();
    fault.begin(many);
    let present: Vec<&str> = NAMES.iter().copied().filter(|name| fault.absent() != Some(name)).collect();
    match fault.bars(&size) {
        Some(parts) => {
            for name in &present {
                let mut last = Value::Null;
                let is = || {
                    let (status, said) = ready(many, name);
                    let is = status == 503 && has_part(&said, parts);
                    last = said;
                    is.then_some(())
                };
                wait_for(&format!("{name} says that it cannot work: {fault:?}"), SEEN_WITHIN, is);
            }
        }
        // Whoever can work says so: a change of leaders aside, which is over within the time of a look.
        None => {
            for name in &present {
                let is = || (ready(many, name).0 == 200).then_some(());
                wait_for(&format!("{name} works on: {fault:?}"), SEEN_WITHIN, is);
            }
        }
    }
    let mut last = Vec::new();
    let named = fault.named(many);
    wait_for(&format!("doctor names {named}: {fault:?}"), SEEN_WITHIN * 2, || {
        last = ill(many);
        last.iter().any(|finding| finding.to_string().contains(&named)).then_some(())
    });
    if matches!(fault, Fault::NatsFrozen(_) | Fault::AllNatsFrozen) {
        assert!(!format!("{last:?}").contains("permission"), "a pause is no permission: {last:#?}");
    }
    keep_running(fault.time(&size).saturating_sub(begun.elapsed()));
    fault.end(many);
    let ended = Instant::now();
    let mut last = String::new();
    wait_for(&format!("all is well after {fault:?}"), WELL_WITHIN_BUSY, || {
        let said = unwell(many);
        let is_well = said.is_empty();
        if !is_well {
            last = said;
        }
        is_well.then_some(())
    });
    let took = ended.elapsed();
    if took > WELL_WITHIN / 2 {
        println!("last: {last}");
    }
    took
}

#[test]
fn each_fault_is_told_while_it_lasts_and_passes_by_itself() {
    let test = "each_fault_is_told_while_it_lasts_and_passes_by_itself";
    let Some((nats, etcd)) = servers(test) else { return };
    let (size, usual) = if is_long() { (Size::LARGE, 60) } else { (Size::SMALL, 4) };
    // Those that fail by themselves would be named when nothing else is wrong.
    let size = Size { participants: "perfect", ..size };
    let faults =
        std::env::var("RETAILFLOW_FAULTS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual);
    let skipped =
        std::env::var("RETAILFLOW_FAULTS_SKIPPED").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut many = Many::start((&nats, &etcd), size);
    NAMES.iter().for_each(|name| many.node(name));
    many.shared_out(&NAMES);
    let mut load = Load::begin(&many);
    keep_running(Duration::from_secs(2));
    wait_for("all is well", WELL_WITHIN_BUSY, || well(&many));
    let mut longest = Duration::ZERO;
    for number in 0..faults {
        let fault = Fault::of(number + skipped, &size);
        load.gap.take();
        let took = suffer(&mut many, fault);
        let (waited, again) = load.gap.take();
        println!(
            "{number} {fault:?}: well {took:?} after its end; longest wait {waited:?}, asked again {again}"
        );
        longest = longest.max(took);
    }
    if is_long() {
        assert!(longest <= WELL_WITHIN, "{longest:?}");
    }
    wait_for("doctor finds nothing", WELL_WITHIN_BUSY, || ill(&many).is_empty().then_some(()));
    audit(&mut many, &mut load);
}
