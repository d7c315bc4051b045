//! Requests whose ends or whose addressee two readers could see differently are refused: a proxy before us may be the other
//! reader (request smuggling, RFC 9112 section 11.2).

use hyper::header::{HOST, TRANSFER_ENCODING};
use hyper::{HeaderMap, Version};
use retailflow_engine::wire::Code;

use crate::answer::Refusal;
use crate::head::Ambiguous;

fn malformed(text: &str, name: &str) -> Refusal {
    Refusal::new(Code::MalformedRequest, text).at(name).and_close()
}

/// Lets through what can be read in one way only.
///
/// # Errors
/// `malformed_request`; the connection is closed after it, because what follows may be the rest of a body.
pub(crate) fn check(version: Version, headers: &HeaderMap, seen: Option<Ambiguous>) -> Result<(), Refusal> {
    if let Some(how) = seen {
        return Err(Refusal::new(Code::MalformedRequest, how.text()).and_close());
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(encoding) = encodings.next()
        && (encodings.next().is_some() || !encoding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        let text = "the one transfer encoding that is taken is chunked, alone";
        return Err(malformed(text, TRANSFER_ENCODING.as_str()));
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Err(malformed("the header is given twice; give it once", HOST.as_str())),
        (None, None) if version == Version::HTTP_11 => {
            Err(malformed("a request of HTTP/1.1 names the host that it is for", HOST.as_str()))
        }
        _ => Ok(()),
    }
}
