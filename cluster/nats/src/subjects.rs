//! Every subject and stream name, made and read here alone. They are frozen: they stand in stored messages and in callers.
//!
//! The doors':
//!
//! ```text
//! rf.v1.cmd.<tenant>.<order>      where callers publish commands
//! RF_CMD                          the stream of commands; each stands there as
//! rf.cmd.<p>.<tenant>.<order>         with the partition that the server reckons
//! rf.wake.cmd.<p>                 one came for this partition; a hint, not stored
//! rf.v1.ask.<tenant>.<order>      where callers ask and wait for the outcome
//! rf.v1.reply.<tenant>.…          where an answer may go, beside _INBOX.…
//! rf.node.v1.<p>                  where nodes call the one that runs partition p
//! rf.sim.v1.<role>                where nodes ask simulated participants
//! RF_EVT: rf.v1.evt.<tenant>.<order>   public events
//! RF_DLQ: rf.dlq.<tenant>.<key>   a dead letter; `_` for a tenant that cannot be told
//!         rf.dlq.<tenant>.<key>-<n>   what an operator did with it, as the nth thing
//! RF_META                         what nodes tell each other; of each subject the newest only
//!     rf.meta.tenant.<tenant>         what was set for a tenant
//!     rf.meta.cursor.<name>.<p>       how far somebody has got with partition p
//!     rf.meta.secret.tokens           what tokens of the HTTP edge are made with
//!     rf.meta.synced.<server>         whether a server said that it syncs what it stores, and when
//! ```
//!
//! The log's:
//!
//! ```text
//! RF_LOG_<shard>             the stream
//! rf.log.identity.<shard>    what the log is; the first message of its stream
//! rf.log.<p>.fence           the first message of each group of partition p
//! rf.log.<p>.o.<tenant>.<order>   an order's records
//! rf.log.<p>.c.<tenant>.<order>   its park marks, parked commands and releases
//! rf.log.<p>.d.<tenant>.<order>   its deadline, the newest only
//! rf.log.<p>.probe           whether the log takes writes, the newest only; says nothing
//! ```
//!
//! Ids are whole tokens: their grammar knows no `.`, `*`, `>` or white space.

use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId};

const LOG: &str = "rf.log";

/// What a message of the log is, as its subject says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A shard's identity.
    Identity(u16),
    /// A fence.
    Fence(PartitionId),
    /// An order's record.
    Record(PartitionId, OrderRef),
    /// A control record.
    Control(PartitionId, OrderRef),
    /// A deadline.
    Deadline(PartitionId, OrderRef),
    /// A probe: nothing is to be read there.
    Probe(PartitionId),
}

/// The stream of a shard.
#[must_use]
pub fn stream(shard: u16) -> String {
    format!("RF_LOG_{shard}")
}

/// Whether a stream of this name holds a part of the log.
#[must_use]
pub fn is_log_stream(name: &str) -> bool {
    name.strip_prefix("RF_LOG_").is_some_and(|shard| shard.parse::<u16>().is_ok())
}

/// The shard in which a partition lives, among `shards`. Zero counts as one.
#[must_use]
pub fn shard_of(partition: PartitionId, shards: u16) -> u16 {
    partition.0 % shards.max(1)
}

/// The subjects that a shard's stream takes, in order.
#[must_use]
pub fn of_stream(shard: u16, partitions: u16, shards: u16) -> Vec<String> {
    let here = (0..partitions).filter(|partition| shard_of(PartitionId(*partition), shards) == shard);
    here.map(|partition| format!("{LOG}.{partition}.>")).chain([identity(shard)]).collect()
}

/// Where it stands whether the server of this name or address said that it syncs what it stores: by a hash, as addresses are no tokens.
#[must_use]
pub fn synced(server: &str) -> String {
    let hash = retailflow_engine::keys::sha256(server.as_bytes());
    format!("rf.meta.synced.{}", retailflow_engine::keys::hex(&hash[..8]))
}

/// Where a shard says what it is.
#[must_use]
pub fn identity(shard: u16) -> String {
    format!("{LOG}.identity.{shard}")
}

/// Where a partition's fences stand.
#[must_use]
pub fn fence(partition: PartitionId) -> String {
    format!("{LOG}.{}.fence", partition.0)
}

/// Where it is tried whether the log takes writes.
#[must_use]
pub fn probe(partition: PartitionId) -> String {
    format!("{LOG}.{}.probe", partition.0)
}

/// Where an order's records stand.
#[must_use]
pub fn record(partition: PartitionId, order: &OrderRef) -> String {
    of_order(partition, 'o', order)
}

/// Where an order's control records stand.
#[must_use]
pub fn control(partition: PartitionId, order: &OrderRef) -> String {
    of_order(partition, 'c', order)
}

/// Where an order's deadline stands.
#[must_use]
pub fn deadline(partition: PartitionId, order: &OrderRef) -> String {
    of_order(partition, 'd', order)
}

/// All orders' records of a partition.
#[must_use]
pub fn records_of(partition: PartitionId) -> String {
    format!("{LOG}.{}.o.>", partition.0)
}

/// All control records of a partition.
#[must_use]
pub fn controls_of(partition: PartitionId) -> String {
    format!("{LOG}.{}.c.>", partition.0)
}

/// All that stands of a partition.
#[must_use]
pub fn of_partition(partition: PartitionId) -> String {
    format!("{LOG}.{}.>", partition.0)
}

/// All deadlines of a partition.
#[must_use]
pub fn deadlines_of(partition: PartitionId) -> String {
    format!("{LOG}.{}.d.>", partition.0)
}

/// Everything in a stream.
pub const ALL: &str = ">";

fn of_order(partition: PartitionId, kind: char, order: &OrderRef) -> String {
    format!("{LOG}.{}.{kind}.{}.{}", partition.0, order.tenant, order.order)
}

/// What a subject names; `None` for one that is not made here.
#[must_use]
pub fn parse(subject: &str) -> Option<Subject> {
    let rest = subject.strip_prefix(LOG)?.strip_prefix('.')?;
    let tokens: Vec<&str> = rest.split('.').collect();
    match tokens[..] {
        ["identity", shard] => Some(Subject::Identity(number(shard)?)),
        [partition, "fence"] => Some(Subject::Fence(PartitionId(number(partition)?))),
        [partition, "probe"] => Some(Subject::Probe(PartitionId(number(partition)?))),
        [partition, kind, tenant, order] => {
            let partition = PartitionId(number(partition)?);
            let order =
                OrderRef { tenant: TenantId::parse(tenant).ok()?, order: OrderId::parse(order).ok()? };
            match kind {
                "o" => Some(Subject::Record(partition, order)),
                "c" => Some(Subject::Control(partition, order)),
                "d" => Some(Subject::Deadline(partition, order)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The stream of commands.
pub const COMMANDS: &str = "RF_CMD";
/// The stream of public events.
pub const EVENTS: &str = "RF_EVT";
/// The stream of dead letters.
pub const DEAD_LETTERS: &str = "RF_DLQ";
/// The stream of what nodes tell each other.
pub const META: &str = "RF_META";
/// Where commands are published.
pub const COMMANDS_IN: &str = "rf.v1.cmd.*.*";
/// Where they stand.
pub const COMMANDS_STORED: &str = "rf.cmd.*.*.*";
/// Where it is told that one came; the server fills in the partition.
pub const COMMAND_WAKES: &str = "rf.wake.cmd.{{wildcard(1)}}";
/// All public events.
pub const EVENTS_ALL: &str = "rf.v1.evt.*.*";
/// All dead letters.
pub const DEAD_LETTERS_ALL: &str = "rf.dlq.*.*";
/// All tenants' settings.
pub const TENANTS_ALL: &str = "rf.meta.tenant.*";
/// All cursors.
pub const CURSORS_ALL: &str = "rf.meta.cursor.*.*";
/// All secrets that nodes share.
pub const SECRETS_ALL: &str = "rf.meta.secret.*";
/// What servers said of syncing, all of them.
pub const SYNCED_ALL: &str = "rf.meta.synced.*";
/// What tokens of the HTTP edge are made with, on every node.
pub const TOKEN_SECRET: &str = "rf.meta.secret.tokens";
/// Where commands are asked.
pub const ASKED: &str = "rf.v1.ask.*.*";
/// Who answers them: one of these.
pub const ASKED_GROUP: &str = "rf-ask";
/// Who answers other nodes' calls for a partition: one of these.
pub const NODE_GROUP: &str = "rf-node";
/// Longest subject that an answer is sent to, in bytes.
pub const REPLY_MAX_BYTES: usize = 256;
/// Stands for a tenant that cannot be told: no tenant is called so.
const NO_TENANT: &str = "_";

/// How the server makes of a command's subject the one under which it stands.
#[must_use]
pub fn command_transform(partitions: u16) -> String {
    format!("rf.cmd.{{{{partition({partitions},1,2)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}")
}

/// Where an order's commands are published.
#[must_use]
pub fn command(order: &OrderRef) -> String {
    format!("rf.v1.cmd.{}.{}", order.tenant, order.order)
}

/// All commands of a partition.
#[must_use]
pub fn commands_of(partition: PartitionId) -> String {
    format!("rf.cmd.{}.>", partition.0)
}

/// Where it is told that a command came for a partition.
#[must_use]
pub fn command_wakes_of(partition: PartitionId) -> String {
    format!("rf.wake.cmd.{}", partition.0)
}

/// Where an order's command is asked.
#[must_use]
pub fn ask(order: &OrderRef) -> String {
    format!("rf.v1.ask.{}.{}", order.tenant, order.order)
}

/// Where nodes call the one that runs a partition.
#[must_use]
pub fn node(partition: PartitionId) -> String {
    format!("rf.node.v1.{}", partition.0)
}

/// Where nodes ask the simulated participant of a role.
#[must_use]
pub fn participant_calls(role: &str) -> String {
    format!("rf.sim.v1.{role}")
}

/// Where an order's public events stand.
#[must_use]
pub fn event(order: &OrderRef) -> String {
    format!("rf.v1.evt.{}.{}", order.tenant, order.order)
}

/// The tenant and order that an event's subject names, as they stand there.
#[must_use]
pub fn parse_event(subject: &str) -> Option<(&str, &str)> {
    let (tenant, order) = subject.strip_prefix("rf.v1.evt.")?.split_once('.')?;
    (!order.contains('.')).then_some((tenant, order))
}

/// Where a dead letter stands. A name that is no tenant's goes with those that have none.
#[must_use]
pub fn dead_letter(tenant: Option<&str>, key: &[u8; 16]) -> String {
    let tenant = tenant.filter(|name| TenantId::parse(name).is_ok()).unwrap_or(NO_TENANT);
    format!("rf.dlq.{tenant}.{}", retailflow_engine::keys::hex(key))
}

/// Where it stands what was done with a dead letter, as the `number`th thing: beside it.
#[must_use]
pub fn dead_letter_mark(tenant: Option<&str>, key: &[u8; 16], number: u16) -> String {
    format!("{}-{number}", dead_letter(tenant, key))
}

/// Whether that stands under a subject, and no letter.
#[must_use]
pub fn is_dead_letter_mark(subject: &str) -> bool {
    subject.starts_with("rf.dlq.") && subject.rsplit_once('-').is_some_and(|(_, text)| number(text).is_some())
}

/// Where a tenant's setting stands.
#[must_use]
pub fn tenant(tenant: &TenantId) -> String {
    format!("rf.meta.tenant.{tenant}")
}

/// The tenant whose setting stands under a subject.
#[must_use]
pub fn parse_tenant(subject: &str) -> Option<TenantId> {
    TenantId::parse(subject.strip_prefix("rf.meta.tenant.")?).ok()
}

/// Where it stands how far somebody has got with a partition.
#[must_use]
pub fn cursor(name: &str, partition: PartitionId) -> String {
    format!("rf.meta.cursor.{name}.{}", partition.0)
}

/// All public events of a tenant.
#[must_use]
pub fn events_of(tenant: &TenantId) -> String {
    format!("rf.v1.evt.{tenant}.*")
}

/// The partition, tenant and order that a stored command's subject names, as they stand there: the tokens are a caller's.
#[must_use]
pub fn parse_command(subject: &str) -> Option<(PartitionId, &str, &str)> {
    let mut tokens = subject.strip_prefix("rf.cmd.")?.split('.');
    let (Some(partition), Some(tenant), Some(order), None) =
        (tokens.next(), tokens.next(), tokens.next(), tokens.next())
    else {
        return None;
    };
    Some((PartitionId(number(partition)?), tenant, order))
}

/// The tenant and order that an asked command's subject names, as they stand there.
#[must_use]
pub fn parse_ask(subject: &str) -> Option<(&str, &str)> {
    let (tenant, order) = subject.strip_prefix("rf.v1.ask.")?.split_once('.')?;
    (!order.contains('.')).then_some((tenant, order))
}

/// May the answer to a request go there? To where [`may_tell`], and to what the server itself has put in the place of a reply that
/// was named in another account: it takes no message of a client that names such a reply.
#[must_use]
pub fn may_answer(reply: &str, tenant: Option<&str>) -> bool {
    may_tell(reply, tenant) || is_under(reply, "_R_.")
}

/// May something be sent there? Whoever asks chooses the subject, and could name one that a stream or another service takes.
#[must_use]
pub fn may_tell(reply: &str, tenant: Option<&str>) -> bool {
    let own = tenant.map(|tenant| format!("rf.v1.reply.{tenant}."));
    is_under(reply, "_INBOX.") || own.is_some_and(|own| is_under(reply, &own))
}

fn is_under(reply: &str, above: &str) -> bool {
    let rest = reply.strip_prefix(above);
    let token = |token: &str| {
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'>')
    };
    reply.len() <= REPLY_MAX_BYTES && rest.is_some_and(|rest| rest.split('.').all(token))
}

/// One spelling only: `+1` and `01` are numbers too, but not ours.
fn number(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
