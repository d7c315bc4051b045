//! The table behind [`Code`]: add at the end, change nothing that stands.

use super::code::{Retry, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($name:ident $text:literal $status:ident $http:literal $retry:ident $meaning:literal $todo:literal;)*) => {
        /// The outcome codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// All codes, in the order in which they came to be.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The status that this code always comes with.
            #[must_use]
            pub const fn status(self) -> Status {
                match self { $(Self::$name => Status::$status),* }
            }

            /// The HTTP status that this code is given with.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $http),* }
            }

            /// Whether sending the command again under the same id can help.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry),* }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }

            /// What a caller does about it, in one sentence.
            #[must_use]
            pub const fn what_to_do(self) -> &'static str {
                match self { $(Self::$name => $todo),* }
            }
        }
    };
}

codes! {
    Applied "applied" Applied 200 Never
        "The command was carried out and its record is durable." "Nothing.";

    OrderExists "order_exists" Rejected 422 Never
        "The order was placed before, by a command with another id." "Use another order id, or read the order.";
    VersionMismatch "version_mismatch" Rejected 422 Never
        "The order's version is not the expected_version." "Read the order, decide anew, send with a new id.";
    OrderTerminal "order_terminal" Rejected 422 Never
        "The order has ended and takes no such command." "Read the order; a completed order can be returned.";
    AlreadyCanceled "already_canceled" Rejected 422 Never
        "The order is canceled, or on its way there." "Nothing: what was asked for is happening.";
    NotCancelable "not_cancelable" Rejected 422 Never
        "The order is past the point where it can be canceled." "Return it instead.";
    CancellationRefused "cancellation_refused" Rejected 422 Never
        "A participant could not undo its step, so the order goes forward again." "Return it once it is completed.";
    NothingToReturn "nothing_to_return" Rejected 422 Never
        "The order has nothing that could come back." "Read the order: not delivered, or all returned.";
    OverReturn "over_return" Rejected 422 Never
        "More units would come back than are out." "Read the order's lines and return at most what is left.";
    OverRefund "over_refund" Rejected 422 Never
        "More would be paid back than was paid." "Read the order and ask for at most what is left.";
    UnknownLine "unknown_line" Rejected 422 Never
        "The order has no line with this line_id." "Read the order's lines and send with a new id.";
    UnknownStep "unknown_step" Rejected 422 Never
        "The order does not go through this step." "Read the order's steps and send with a new id.";
    StepNotPending "step_not_pending" Rejected 422 Never
        "The step does not wait for a report." "Read the order: the step is over, or has not begun.";
    ReferenceMismatch "reference_mismatch" Rejected 422 Never
        "The step waits for a report with another reference." "Read the order and report with its reference.";
    ConflictingReport "conflicting_report" Rejected 422 Never
        "The step was reported before, with another outcome." "Ask an operator to look at both reports.";
    NotTerminal "not_terminal" Rejected 422 Never
        "The order has not ended yet." "Wait until it is completed or canceled.";
    Archived "archived" Rejected 422 Never
        "The order is in the archive." "Restore it first, then send with a new id.";
    NotArchived "not_archived" Rejected 422 Never
        "The order is not in the archive." "Nothing: there is nothing to restore.";
    NothingToResume "nothing_to_resume" Rejected 422 Never
        "The order is neither held nor stalled." "Read the order's attention.";
    NothingToCompensate "nothing_to_compensate" Rejected 422 Never
        "The order has no step that could be undone." "Read the order's steps.";

    Parked "parked" Parked 202 Never
        "The order is parked; the command waits behind it, in order." "Wait, or ask an operator to release the order.";

    MalformedJson "malformed_json" Refused 400 AfterChange
        "The text is not JSON." "Put the JSON right at the place named and send again.";
    InvalidUtf8 "invalid_utf8" Refused 400 AfterChange
        "The bytes are not UTF-8." "Encode as UTF-8 and send again.";
    TooLarge "too_large" Refused 413 AfterChange
        "The command is larger than the limit." "Make it smaller: at most 1 MiB.";
    UnsupportedMediaType "unsupported_media_type" Refused 415 AfterChange
        "The content type is not one that this door takes." "Send application/json or application/cloudevents+json.";
    NotACloudevent "not_a_cloudevent" Refused 400 AfterChange
        "It is JSON but not a CloudEvent 1.0." "Send the attributes that CloudEvents 1.0 asks for.";
    UnknownType "unknown_type" Refused 400 AfterChange
        "There is no such command type." "Use one of the types named in the message.";
    UnknownField "unknown_field" Refused 400 AfterChange
        "A field is not part of the contract." "Correct the name, or move free data to attributes.";
    DuplicateField "duplicate_field" Refused 400 AfterChange
        "A field is given twice." "Give it once.";
    MissingField "missing_field" Refused 400 AfterChange
        "A field that must be there is not." "Add it.";
    WrongType "wrong_type" Refused 400 AfterChange
        "A field has a value of another JSON type." "Give the type named in the message.";
    InvalidField "invalid_field" Refused 400 AfterChange
        "A field's value is outside what the contract allows." "Give a value as the message says.";
    InvalidId "invalid_id" Refused 400 AfterChange
        "An id does not follow its grammar." "Use only the characters and the length that the message names.";
    DuplicateId "duplicate_id" Refused 400 AfterChange
        "Two entries of a list have the same id." "Give each its own id.";
    TooMany "too_many" Refused 400 AfterChange
        "A list or map has more entries than the limit." "Give at most as many as the message says.";
    TooLong "too_long" Refused 400 AfterChange
        "A text is longer than the limit." "Shorten it to what the message says.";
    InvalidQuantity "invalid_quantity" Refused 400 AfterChange
        "A quantity is not a whole number from 1 to 1,000,000." "Correct it.";
    InvalidAmount "invalid_amount" Refused 400 AfterChange
        "An amount is negative where none may be, or not a whole number of minor units." "Correct it.";
    AmountOverflow "amount_overflow" Refused 400 AfterChange
        "An amount or a sum is beyond 2^53 - 1 minor units." "Split the order.";
    ComponentsDoNotAddUp "components_do_not_add_up" Refused 400 AfterChange
        "Components or payments do not add up to the amount they are parts of." "Correct the parts or the whole.";
    UnknownCurrency "unknown_currency" Refused 400 AfterChange
        "The currency is not in ISO 4217, or has no minor units." "Use a code such as USD, EUR or JPY.";
    MismatchedAddress "mismatched_address" Refused 400 AfterChange
        "Path or subject and body name different tenants or orders." "Send it to where its body says, or the reverse.";
    MismatchedId "mismatched_id" Refused 400 AfterChange
        "Idempotency-Key and ce-id differ." "Give one of them, or the same in both.";
    UnsupportedCommand "unsupported_command" Refused 501 AfterChange
        "This version does not carry out such commands yet; nothing was recorded." "Upgrade, then send again.";
    UnsupportedValue "unsupported_value" Refused 501 AfterChange
        "This version does not do what a field asks for yet; nothing was recorded." "Leave it out, or upgrade.";
    IdReused "id_reused" Refused 409 AfterChange
        "The id was used before for a command with other content." "Give the new command an id of its own.";
    Unauthorized "unauthorized" Refused 401 AfterChange
        "The caller is not known." "Send valid credentials.";
    Forbidden "forbidden" Refused 403 AfterChange
        "The caller may not do this." "Ask for the right, or use another tenant.";
    OperatorOnly "operator_only" Refused 403 AfterChange
        "The command is for operators and came in at a tenant's door." "Send it to the operators' door.";
    UnknownTenant "unknown_tenant" Refused 404 AfterChange
        "There is no such tenant." "Correct the name, or have an operator create the tenant.";
    TenantDisabled "tenant_disabled" Refused 403 AfterChange
        "The tenant takes no commands at the moment." "Ask an operator.";
    TenantLimit "tenant_limit" Refused 403 AfterChange
        "No further tenant comes into being by its first command."
        "Have an operator set the tenant (`retailflow tenant set`), or raise tenants.created_max.";
    OrderNotFound "order_not_found" Refused 404 Later
        "There is no such order." "Correct the id; if its place command is on its way, send again.";
    Expired "expired" Refused 410 AfterChange
        "The command's time is too long ago to tell whether it was seen before." "Read the order before sending anew.";
    OrderFull "order_full" Refused 409 AfterChange
        "The order has as many decisions as an order may have." "Ask an operator; use a new order.";
    Throttled "throttled" Refused 429 Later
        "The tenant sends more than its share." "Wait for retry_after_ms, then send the same id again.";
    Overloaded "overloaded" Refused 503 Later
        "There is more work than the node can take." "Wait for retry_after_ms, then send the same id again.";
    Draining "draining" Refused 503 Later
        "The node is stopping and takes nothing new." "Send the same id again, to another node.";
    Unavailable "unavailable" Refused 503 Later
        "The order's partition has no owner, or its log does not answer." "Send the same id again, later.";
    ParkedQueueFull "parked_queue_full" Refused 503 Later
        "The order is parked and its queue is full." "Ask an operator to release the order; send again, later.";
    StorageFull "storage_full" Refused 507 Later
        "There is no room to record it." "Have an operator make room, then send the same id again.";
    OutcomeUnknown "outcome_unknown" Refused 504 Later
        "The time was up before the outcome was known; it may have been recorded." "Send the same id again.";
    Internal "internal" Refused 500 Later
        "A fault of ours." "Send the same id again, later; tell the operators if it stays.";
    Discarded "discarded" Rejected 422 Never
        "An operator discarded the command while it waited behind a parked order."
        "Read the order; send a new command with a new id if it is still wanted.";
    NotFound "not_found" Refused 404 AfterChange
        "There is nothing at this path." "Correct the path: /openapi.json lists what there is.";
    MethodNotAllowed "method_not_allowed" Refused 405 AfterChange
        "What is at this path does not take this method." "Use one of the methods that the Allow header names.";
    RequestTimeout "request_timeout" Refused 408 Later
        "The request did not arrive in time." "Send it again, and faster.";
    PositionGone "position_gone" Refused 410 AfterChange
        "The log holds no longer what comes after this position." "Read from the beginning, or from now on.";
    NotParked "not_parked" Refused 409 AfterChange
        "The order is not parked." "Nothing: it takes commands.";
    ReleaseUnderWay "release_under_way" Refused 409 Later
        "The order is being released already." "Wait, then look whether it is still parked.";
    ReleaseStopped "release_stopped" Refused 409 AfterChange
        "The release stopped at something that must be mended first; the order is still parked."
        "Mend what the message names, then release again.";
    InvalidToken "invalid_token" Refused 400 AfterChange
        "The token was not given to this tenant here for this purpose, or has been changed."
        "Begin without it; never make, change or share tokens.";
    MalformedRequest "malformed_request" Refused 400 AfterChange
        "The request's line or headers are none that HTTP knows, or could be read in two ways."
        "Send it as RFC 9112 says: one Host, and a length or the transfer encoding chunked alone.";
    HeadersTooLarge "headers_too_large" Refused 431 AfterChange
        "The request's line and headers are larger or more than the node takes." "Send fewer or shorter ones.";
    UriTooLong "uri_too_long" Refused 414 AfterChange
        "The path and query of the request are longer than any that leads somewhere." "Shorten them.";
    ReservedName "reserved_name" Refused 403 AfterChange
        "The tenant or the source is the engine's own or the operators', and nobody else may use it."
        "Use another name of your own.";
    NotKeptHere "not_kept_here" Refused 501 AfterChange
        "Nodes of a cluster keep no lists of orders." "Read single orders, or follow the events.";
    OutOfFiles "out_of_files" Refused 503 Later
        "The process may open no further files, and the log needs one."
        "Have an operator raise the limit (`ulimit -n`), then send the same id again.";
    NotWaitingForAnOperator "not_waiting_for_an_operator" Rejected 422 Never
        "Nobody is asked how the step ended: it is in flight, and neither stalled nor held."
        "Wait for its answer: an operator is asked once it is stalled, held, or pending past its time; then send with a new id.";
    UnknownPayment "unknown_payment" Rejected 422 Never
        "The order has no payment with this payment_id." "Read the order's payments and send with a new id.";
    NothingToPay "nothing_to_pay" Rejected 422 Never
        "The order waits for no payment." "Read the order: it waits for another means only after a decline, for a while.";
    WrongPayment "wrong_payment" Rejected 422 Never
        "The payments are not those that the order waits for."
        "Read the order's payments: give ids that it has not had, and amounts that add up to what is open.";
    AmbiguousStep "ambiguous_step" Rejected 422 Never
        "The order has had more than one of this step, and nothing says which is meant."
        "Read the order: name the part that it shows, or the version that you have seen, and send with a new id.";
    HoldExists "hold_exists" Rejected 422 Never
        "The order has a hold of this name."
        "Nothing, if it is the same one; otherwise give the hold another name.";
    UnknownHold "unknown_hold" Rejected 422 Never
        "The order has no hold of this name." "Read the order's holds and send with a new id.";
    OnHold "on_hold" Rejected 422 Never
        "The order is on hold: no step is begun." "Release its holds, or wait; then send with a new id.";
    AlreadyRecorded "already_recorded" Rejected 422 Never
        "A fact of this kind and reference is in the order's books." "Nothing: it counts once.";
    StepInFlight "step_in_flight" Refused 409 Later
        "A step is in flight that would be asked for otherwise after the change." "Send the same id again, once it is over.";
    TooLateToAmend "too_late_to_amend" Rejected 422 Never
        "The order's goods are being booked or its payment captured, or it has ended: it is changed no more."
        "Cancel it, or return what is too much once it is completed.";
    NotAmendable "not_amendable" Rejected 422 Never
        "The order cannot be changed in this way." "Read the order and the message, and send with a new id.";
}
