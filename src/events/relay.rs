//! From a log's groups to public events.

use std::collections::BTreeSet;
use std::path::PathBuf;

use retailflow_cluster::disk::follow::{FollowError, LogFollower};
use retailflow_cluster::disk::log::LogError;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::order::{Incoming, publish_parked};
use retailflow_engine::ports::{LogPosition, LoggedEntry, LoggedGroup};
use retailflow_engine::wire::event::PublicEvent;

use super::states::{IN_MEMORY_MAX, States};
use crate::exit::{ExitStatus, Failure, OrExit};

/// Bytes of groups read at once.
const READ_BYTES: usize = 1 << 20;

/// An event, and where a reader stands that has taken it in.
pub(crate) struct Told {
    /// Where.
    pub(crate) cursor: Cursor,
    /// The event.
    pub(crate) event: PublicEvent,
}

/// Reads a log from its beginning, and gives what the public hears of it after a token.
pub(crate) struct Relay {
    follower: LogFollower,
    states: States,
    /// The orders under a park mark: few, as each is one that broke.
    parked: BTreeSet<OrderRef>,
    /// Only this tenant's.
    tenant: Option<TenantId>,
    after: Option<Cursor>,
    /// The group of `after` was read.
    met: bool,
}

impl Relay {
    /// Gives the events after `after`, of one tenant or of all. States that have no room in memory go to `folder`.
    pub(crate) fn new(
        mut follower: LogFollower,
        tenant: Option<TenantId>,
        after: Option<Cursor>,
        folder: PathBuf,
    ) -> Result<Self, Failure> {
        let log_id = follower.identity().log_id;
        if let Some(cursor) = &after {
            if cursor.log_id != log_id {
                return Err(Failure::refused(format!(
                    "the token belongs to another log: name its data directory, or {BEGIN_AGAIN}"
                )));
            }
            // It tells at once whether the place is there; what the events need begins at the beginning.
            follower.seek_to(LogPosition(cursor.position)).map_err(failure)?;
            follower.seek_to(LogPosition(0)).map_err(failure)?;
        }
        let states = States::new(log_id, IN_MEMORY_MAX, folder);
        Ok(Self { follower, states, parked: BTreeSet::new(), tenant, met: after.is_none(), after })
    }

    /// What the next groups tell, which may be nothing; `None` when there are no more groups for now. After an error
    /// the relay must not be used.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<Told>>, Failure> {
        let groups = self.follower.next(READ_BYTES).map_err(failure)?;
        if groups.is_empty() {
            return Ok(None);
        }
        let mut told = Vec::new();
        for group in &groups {
            self.group(group, &mut told)?;
        }
        Ok(Some(told))
    }

    fn group(&mut self, group: &LoggedGroup, told: &mut Vec<Told>) -> Result<(), Failure> {
        let log_id = self.follower.identity().log_id;
        let first = told.len();
        // Counted over what is stored, not over what is told: the same for every filter, and for a later build that
        // tells more.
        let mut counted = 0_u32;
        for entry in &group.entries {
            let what = || format!("the group at {:#x}", group.position.0);
            let mut tell = |index: u32, event: PublicEvent| {
                told.push(Told { cursor: Cursor { log_id, position: group.position.0, index }, event });
            };
            match entry {
                LoggedEntry::Record(bytes) => {
                    let record = Incoming::read(bytes).or_exit(ExitStatus::Finding, what)?;
                    if self.wants(&record.order().tenant) {
                        let mut state = self.states.take(record.order())?;
                        let published = record.publish(&mut state.aggregate);
                        for found in published.or_exit(ExitStatus::Finding, what)? {
                            tell(counted.saturating_add(found.ordinal), found.event);
                        }
                        self.states.put(state)?;
                    }
                    counted = counted.saturating_add(record.stored_events());
                }
                LoggedEntry::Control(bytes) => {
                    let control = Control::decode(bytes).or_exit(ExitStatus::Finding, what)?;
                    if let Control::Release { order, .. } = &control {
                        self.parked.remove(order);
                    }
                    // A mark that stands already may be set again, and tells nobody anything.
                    if let Control::Park { order, reason, at } = control
                        && self.wants(&order.tenant)
                        && self.parked.insert(order.clone())
                    {
                        let mut state = self.states.take(&order)?;
                        if let Some(event) = publish_parked(&state.aggregate, &reason, at, state.parks) {
                            tell(counted, event);
                        }
                        state.parks = state.parks.saturating_add(1);
                        self.states.put(state)?;
                    }
                    counted = counted.saturating_add(1);
                }
            }
        }
        self.leave_out(group.position, counted, first, told)
    }

    /// Takes out what the reader has already, and notices when its token's place has gone.
    fn leave_out(
        &mut self,
        position: LogPosition,
        counted: u32,
        first: usize,
        told: &mut Vec<Told>,
    ) -> Result<(), Failure> {
        let Some(after) = self.after.filter(|_| !self.met) else { return Ok(()) };
        if position.0 < after.position {
            told.truncate(first);
            return Ok(());
        }
        if position.0 > after.position || after.index >= counted {
            return Err(gone("no event stands there"));
        }
        self.met = true;
        let old = told[first..].iter().filter(|told| told.cursor <= after).count();
        told.drain(first..first + old);
        Ok(())
    }

    fn wants(&self, tenant: &TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|wanted| wanted == tenant)
    }
}

const BEGIN_AGAIN: &str = "begin again without a token: all events come again under the ids that they had";

fn gone(why: &str) -> Failure {
    Failure::finding(format!("what the token names is not in this log any more ({why}): {BEGIN_AGAIN}"))
}

/// How a log that cannot be followed ends the command.
pub(crate) fn failure(error: FollowError) -> Failure {
    match error {
        FollowError::NoLog(_) => {
            Failure::unreachable(format!("{error}: name a data directory that `retailflow run` has made"))
        }
        FollowError::Gone { why, .. } => gone(&why),
        FollowError::Identity(_) => Failure::new(ExitStatus::Refused, error),
        FollowError::Log(LogError::Io { .. }) => Failure::new(ExitStatus::Unreachable, error),
        FollowError::Log(_) => {
            let told = anyhow::Error::new(error);
            Failure::new(
                ExitStatus::Finding,
                told.context("the log is broken (`retailflow verify` tells all)"),
            )
        }
    }
}
