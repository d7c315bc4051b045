//! What nodes say to each other, as JSON. Frozen: nodes of two versions run side by side while a cluster is upgraded.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::order::Actor;
use retailflow_engine::ports::EndParkingError;
use retailflow_engine::wire::admin::ReleaseReport;
use retailflow_engine::wire::{CommandEvent, Outcome, decode_command};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// Reads only the version: what else stands there, a later one may have changed.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// A call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ask: Option<AskCall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_parking: Option<EndParkingCall>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AskCall {
    /// The operator who gives it; none for the tenant's systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    deadline_ms: u64,
    /// The CloudEvent as it is.
    command: Box<RawValue>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EndParkingCall {
    tenant: TenantId,
    order: OrderId,
    operator: String,
    discard: bool,
}

/// What is called for.
pub(super) enum ForwardRequest {
    Ask { command: Box<CommandEvent>, actor: Actor, deadline: Duration },
    EndParking { order: OrderRef, operator: String, discard: bool },
}

impl Call {
    const NOTHING: Self = Self { version: VERSION, ask: None, end_parking: None };

    pub(super) fn ask(command: &CommandEvent, actor: &Actor, deadline: Duration) -> Self {
        let operator = match actor {
            Actor::Tenant => None,
            Actor::Operator(name) => Some(name.to_string()),
        };
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        // What we write is JSON.
        let command = String::from_utf8(command.to_json()).unwrap_or_default();
        let command = RawValue::from_string(command).unwrap_or_default();
        Self { ask: Some(AskCall { operator, deadline_ms, command }), ..Self::NOTHING }
    }

    pub(super) fn end_parking(order: &OrderRef, operator: &str, discard: bool) -> Self {
        let (tenant, order, operator) = (order.tenant.clone(), order.order.clone(), operator.to_owned());
        let call = EndParkingCall { tenant, order, operator, discard };
        Self { end_parking: Some(call), ..Self::NOTHING }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        // Writing into memory fails only for maps with keys that are no text; there is none.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn read(bytes: &[u8]) -> Result<ForwardRequest, String> {
        versioned(bytes)?;
        let call: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match (call.ask, call.end_parking) {
            (Some(ask), None) => {
                let command = decode_command(ask.command.get().as_bytes()).map_err(|e| e.to_string())?;
                let actor = ask.operator.map_or(Actor::Tenant, |name| Actor::Operator(Arc::from(name)));
                let deadline = Duration::from_millis(ask.deadline_ms);
                Ok(ForwardRequest::Ask { command: Box::new(command), actor, deadline })
            }
            (None, Some(EndParkingCall { tenant, order, operator, discard })) => {
                Ok(ForwardRequest::EndParking { order: OrderRef { tenant, order }, operator, discard })
            }
            _ => Err("it calls for nothing, or for two things".into()),
        }
    }
}

/// Why an order was not released, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NotReleased {
    NotParked,
    UnderWay,
    Stopped,
    Unavailable,
    Unknown,
}

impl NotReleased {
    pub(super) fn of(error: &EndParkingError) -> Self {
        match error {
            EndParkingError::NotParked => Self::NotParked,
            EndParkingError::UnderWay(_) => Self::UnderWay,
            EndParkingError::Stopped(_) => Self::Stopped,
            EndParkingError::Unavailable(_) => Self::Unavailable,
            EndParkingError::Unknown(_) => Self::Unknown,
        }
    }

    pub(super) fn error(self, message: String) -> EndParkingError {
        match self {
            Self::NotParked => EndParkingError::NotParked,
            Self::UnderWay => EndParkingError::UnderWay(message),
            Self::Stopped => EndParkingError::Stopped(message),
            Self::Unavailable => EndParkingError::Unavailable(message),
            Self::Unknown => EndParkingError::Unknown(message),
        }
    }
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Outcome(Box<Outcome>),
    Released(ReleaseReport),
    NotReleased {
        kind: NotReleased,
        message: String,
    },
    /// The call could not be understood.
    Refused(String),
}

impl Answer {
    pub(super) fn write(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Written<'a> {
            version: u32,
            answer: &'a Answer,
        }
        serde_json::to_vec(&Written { version: VERSION, answer: self }).unwrap_or_default()
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Read {
            answer: Answer,
        }
        versioned(bytes)?;
        let read: Read = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        Ok(read.answer)
    }
}

fn versioned(bytes: &[u8]) -> Result<(), String> {
    let Version { version } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match version {
        VERSION => Ok(()),
        newer => Err(format!("it speaks version {newer}, and this build speaks version {VERSION}")),
    }
}

#[cfg(test)]
mod tests {
    use retailflow_engine::wire::Code;
    use retailflow_testkit::author::{order, place};

    use super::*;

    fn command() -> CommandEvent {
        let command = place(&order("shop", "o-1"), "c-1");
        CommandEvent::new(command.order, command.key, (*command.data).clone())
    }

    /// Golden: what nodes of other versions send and expect.
    #[test]
    fn what_nodes_say_is_frozen() {
        let call = Call::ask(&command(), &Actor::Operator("ann".into()), Duration::from_millis(1500));
        let said = String::from_utf8(call.write()).unwrap();
        let head = r#"{"version":1,"ask":{"operator":"ann","deadline_ms":1500,"command":{"specversion":"1.0","id":"c-1","#;
        assert!(said.starts_with(head), "{said}");
        let call = Call::end_parking(&order("shop", "o-1"), "ann", true);
        assert_eq!(
            String::from_utf8(call.write()).unwrap(),
            r#"{"version":1,"end_parking":{"tenant":"shop","order":"o-1","operator":"ann","discard":true}}"#
        );
        let answer = Answer::NotReleased { kind: NotReleased::UnderWay, message: "wait".into() };
        assert_eq!(
            String::from_utf8(answer.write()).unwrap(),
            r#"{"version":1,"answer":{"not_released":{"kind":"under_way","message":"wait"}}}"#
        );
    }

    #[test]
    fn what_is_said_is_understood() {
        let call = Call::ask(&command(), &Actor::Tenant, Duration::from_secs(3));
        let Ok(ForwardRequest::Ask { command: heard, actor, deadline }) = Call::read(&call.write()) else {
            panic!("another call")
        };
        assert_eq!((*heard, actor, deadline), (command(), Actor::Tenant, Duration::from_secs(3)));
        let outcome = Outcome::unaddressed(Code::Overloaded, "later");
        let answer = Answer::read(&Answer::Outcome(Box::new(outcome.clone())).write());
        assert!(matches!(answer, Ok(Answer::Outcome(heard)) if *heard == outcome));
    }

    #[test]
    fn a_newer_version_and_nonsense_are_told_apart_from_what_is_meant() {
        let newer = Call::read(br#"{"version":2,"sing":true}"#).err().unwrap();
        assert!(newer.contains("version 2"), "{newer}");
        for strange in [&b"{}"[..], b"", b"[]", br#"{"version":1}"#, br#"{"version":1,"ask":{}}"#] {
            assert!(Call::read(strange).is_err());
        }
        let refused = Answer::read(br#"{"version":1,"answer":{"refused":"no"}}"#);
        assert!(matches!(refused, Ok(Answer::Refused(why)) if why == "no"));
        // A node that says no to a newer version's call says so in its own version.
        for strange in [
            &b"{}"[..],
            br#"{"version":1,"answer":{"sung":"so"}}"#,
            br#"{"version":2,"answer":{"refused":"no"}}"#,
        ] {
            assert!(Answer::read(strange).is_err());
        }
    }
}
