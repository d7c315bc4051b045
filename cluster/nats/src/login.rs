//! As whom to connect: credentials from a file, a user and a password from a file, or those that stand in an address.
//!
//! The client takes no user out of an address, so it is done here. Nothing that is told of an address has a password in it.

use std::path::Path;

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;

use super::connect_options::{ConnectError, NatsOptions};

/// How a file of `nsc` begins its parts.
const ARMOR: &str = "-----BEGIN";

/// Adds to `connecting` who we are. A file counts more than an address.
pub(super) fn add(
    connecting: ConnectOptions,
    options: &NatsOptions,
    addresses: &[ServerAddr],
) -> Result<ConnectOptions, ConnectError> {
    if let Some(file) = &options.credentials {
        return of_file(connecting, file)
            .map_err(|why| ConnectError::Credentials { file: file.clone(), why });
    }
    let Some(with_user) = addresses.iter().find(|address| address.has_user_pass()) else {
        return Ok(connecting);
    };
    let part = |text: Option<&str>| decoded(text.unwrap_or_default());
    match (part(with_user.username()), part(with_user.password())) {
        (Some(user), Some(password)) => Ok(connecting.user_and_password(user, password)),
        _ => Err(ConnectError::Address {
            address: redacted(with_user.as_url_str()),
            why: "in user and password, % is followed by two hexadecimal digits".into(),
        }),
    }
}

/// An address as it may be told.
pub(super) fn redacted(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, place)) => format!("…@{place}"),
        None => address.to_owned(),
    }
}

fn of_file(connecting: ConnectOptions, file: &Path) -> Result<ConnectOptions, String> {
    // A few hundred bytes, once for each connection.
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    if text.contains(ARMOR) {
        return connecting.credentials(&text).map_err(|error| error.to_string());
    }
    match text.trim_end_matches(['\r', '\n']).split_once(':') {
        Some((user, password)) if !user.is_empty() && !text.trim_end().contains('\n') => {
            Ok(connecting.user_and_password(user.into(), password.into()))
        }
        _ => Err("neither what nsc makes nor one line user:password".into()),
    }
}

/// `None` where a % is followed by something else than two hexadecimal digits, or by bytes that are no text.
fn decoded(text: &str) -> Option<String> {
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let text = Some(text).filter(|text| text.split('%').skip(1).all(is_escape))?;
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_without_who_we_are() {
        assert_eq!(redacted("nats://engine:p@ss@10.0.0.1:4222"), "…@10.0.0.1:4222");
        assert_eq!(redacted("nats://10.0.0.1:4222"), "nats://10.0.0.1:4222");
        assert_eq!(decoded("p%40ss%3a").as_deref(), Some("p@ss:"));
        for strange in ["%", "%4", "%zz", "%ff", "%4ü"] {
            assert_eq!(decoded(strange), None, "{strange}");
        }
    }
}
