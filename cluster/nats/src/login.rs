//! As whom to connect: credentials from a file, a user and a password from a file, or those that stand in an address.
//!
//! The client takes no user out of an address, so it is done here. Nothing that is told of an address has a password in it.

use std::path::Path;

use async_nats::{ConnectOptions, ServerAddr};

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
            address: told(with_user.as_url_str()),
            why: "in user and password, % is followed by two hexadecimal digits".into(),
        }),
    }
}

/// An address as it may be told.
pub(super) fn told(address: &str) -> String {
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

fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_without_who_we_are() {
        assert_eq!(told("nats://engine:p@ss@10.0.0.1:4222"), "…@10.0.0.1:4222");
        assert_eq!(told("nats://10.0.0.1:4222"), "nats://10.0.0.1:4222");
        assert_eq!(decoded("p%40ss%3a").as_deref(), Some("p@ss:"));
        for strange in ["%", "%4", "%zz", "%ff", "%4ü"] {
            assert_eq!(decoded(strange), None, "{strange}");
        }
    }
}
