//! What callers were told, against each other and against the log.

use std::collections::{BTreeMap, BTreeSet};

use super::{InvariantId, Violation};
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{CommandId, CommandKey, OrderRef, Source};
use retailflow_engine::keys::Hash;
use retailflow_engine::order::Aggregate;
use retailflow_engine::ports::{LoggedEntry, LoggedGroup};
use retailflow_engine::wire::{Code, Outcome, Status};

type Name = (OrderRef, CommandKey);

/// Watches the outcomes given, over all crashes and retries of a test or run.
#[derive(Debug, Default)]
pub struct OutcomeBook {
    first: BTreeMap<Name, Outcome>,
    parked: BTreeSet<Name>,
    /// Content that was refused because its id belongs to another.
    reused: BTreeSet<(Name, Hash)>,
}

impl OutcomeBook {
    /// Notes an outcome that was given to a caller.
    ///
    /// # Errors
    /// [`InvariantId::OneOutcome`] when an earlier one was different.
    pub fn given(&mut self, order: &OrderRef, key: &CommandKey, outcome: &Outcome) -> Result<(), Violation> {
        let name = (order.clone(), key.clone());
        match outcome.status {
            Status::Refused => return Ok(()),
            Status::Parked => {
                self.parked.insert(name);
                return Ok(());
            }
            Status::Applied | Status::Rejected => {}
        }
        let plain = Outcome { replayed: false, ..outcome.clone() };
        match self.first.get(&name) {
            Some(first) if *first != plain => Err(Violation::new(
                InvariantId::OneOutcome,
                format!("{order} {key}: first {first:?}, then {outcome:?}"),
            )),
            Some(_) => Ok(()),
            None => {
                self.first.insert(name, plain);
                Ok(())
            }
        }
    }

    /// Notes that content of this hash was refused as `id_reused`.
    pub fn refused_as_reused(&mut self, order: &OrderRef, key: &CommandKey, content_hash: Hash) {
        self.reused.insert(((order.clone(), key.clone()), content_hash));
    }

    /// The first outcome of each command that got a recorded one.
    pub fn recorded(&self) -> impl Iterator<Item = (&OrderRef, &CommandKey, &Outcome)> {
        self.first.iter().map(|((order, key), outcome)| (order, key, outcome))
    }

    /// The commands of which someone was told that they are recorded or wait behind a park mark.
    pub fn answered(&self) -> impl Iterator<Item = &(OrderRef, CommandKey)> {
        self.first.keys().chain(self.parked.iter().filter(|name| !self.first.contains_key(name)))
    }

    /// Is everything that was given in the log as it was given?
    #[must_use]
    pub fn check_log<'a>(&self, groups: impl IntoIterator<Item = &'a LoggedGroup>) -> Vec<Violation> {
        let mut logged = Logged::default();
        let mut violations = Vec::new();
        for group in groups {
            for entry in &group.entries {
                if let Err(text) = logged.entry(entry) {
                    violations.push(Violation::new(InvariantId::Chain, text));
                }
            }
        }
        let mut lost = |name: &Name, text: String| {
            violations.push(Violation::new(InvariantId::Durable, format!("{} {}: {text}", name.0, name.1)));
        };
        for (name, outcome) in &self.first {
            match logged.recorded.get(name) {
                None => lost(name, format!("{:?} was given and stands nowhere", outcome.code)),
                Some((_, code, version, message)) => {
                    let told = (outcome.code, outcome.version, outcome.message.as_str());
                    let stands = (*code, Some(*version), message.as_str());
                    if told != stands {
                        lost(name, format!("given {told:?}, in the log stands {stands:?}"));
                    }
                }
            }
        }
        for name in self.parked.iter().filter(|name| !logged.parked.contains_key(name)) {
            lost(name, "was said to wait behind a park mark and does not".into());
        }
        for (name, hash) in &self.reused {
            let recorded = logged.recorded.get(name).map(|(hash, ..)| hash);
            let other = recorded.or(logged.parked.get(name)).is_some_and(|other| other != hash);
            if !other {
                lost(name, "refused as another content's id, which no other content has".into());
            }
        }
        violations
    }
}

#[derive(Default)]
struct Logged {
    recorded: BTreeMap<Name, (Hash, Code, u64, String)>,
    parked: BTreeMap<Name, Hash>,
}

impl Logged {
    fn entry(&mut self, entry: &LoggedEntry) -> Result<(), String> {
        match entry {
            LoggedEntry::Record(bytes) => {
                let order = retailflow_engine::codec::record::summary(bytes)
                    .map_err(|error| error.to_string())?
                    .order;
                for outcome in Aggregate::outcomes_in(bytes).map_err(|error| error.to_string())? {
                    let verdict = outcome.verdict;
                    let message = verdict.message().to_owned();
                    let stands = (outcome.content_hash, verdict.code(), verdict.version, message);
                    // Only the first counts; that there is no second is `OnceRecorded`.
                    self.recorded.entry((order.clone(), outcome.key)).or_insert(stands);
                }
            }
            LoggedEntry::Control(bytes) => {
                let control = Control::decode(bytes).map_err(|error| error.to_string())?;
                if let Control::ParkedCommand { order, key, content_hash, .. } = control {
                    let key = stored_key(&key)?;
                    self.parked.entry((order, key)).or_insert(content_hash);
                }
            }
        }
        Ok(())
    }
}

/// A command's name as controls carry it: source, zero byte, id.
fn stored_key(name: &str) -> Result<CommandKey, String> {
    let (source, id) =
        name.split_once('\0').ok_or_else(|| format!("{name:?} is not the name of a command"))?;
    let source = Source::parse(source).map_err(|error| error.to_string())?;
    Ok(CommandKey { source, id: CommandId::parse(id).map_err(|error| error.to_string())? })
}
