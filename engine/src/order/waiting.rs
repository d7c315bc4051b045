//! What waits behind a parked order, as operators see it.

use super::convert::giver_from_stored;
use crate::codec::CodecError;
use crate::codec::control::Control;
use crate::wire::admin::WaitingCommand;
use crate::wire::decode_command;

/// A parked command, without what it says, of its stored record.
///
/// # Errors
/// [`CodecError`] when the record is none. A command that this version cannot read has no type.
pub fn waiting_command(record: &[u8]) -> Result<WaitingCommand, CodecError> {
    let Control::ParkedCommand { sequence, key, body, actor, at, .. } = Control::decode(record)? else {
        let text = "a control record of another kind stands among the parked commands";
        return Err(CodecError::Corrupt(text.into()));
    };
    let Some((source, id)) = key.split_once('\0') else {
        return Err(CodecError::Corrupt("a parked command's key has no source".into()));
    };
    let kind = decode_command(&body).ok().map(|event| event.kind().as_str().to_owned());
    let actor = giver_from_stored(&actor);
    Ok(WaitingCommand { sequence, kind, id: id.to_owned(), source: source.to_owned(), at, actor })
}
