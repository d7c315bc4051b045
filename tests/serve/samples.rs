//! The samples of `examples/clients` that speak HTTP do what they say, against a server.

use crate::support::samples::Samples;
use crate::support::serving::Serving;

/// A command sent twice has one outcome, and a reader that comes again goes on behind its cursor.
fn over_http(samples: &Samples, ending: &str) {
    let serving = Serving::start(&[]);
    let server = format!("http://{}", serving.public);
    let (command, events) = (format!("http_command.{ending}"), format!("http_events.{ending}"));
    let cursor = serving.file("cursor");
    for order in ["1001", "1002"] {
        assert!(!samples.places(&command, &server, order), "nobody has sent it before");
        assert!(samples.places(&command, &server, order), "it is the same command");
        samples.reads(&events, &server, order, &cursor);
    }
}

#[test]
fn samples_in_python_send_and_read_over_http() {
    let test = "samples_in_python_send_and_read_over_http";
    let Some(samples) = Samples::or_skip(test, "python3") else { return };
    over_http(&samples, "py");
}

#[test]
fn samples_in_javascript_send_and_read_over_http() {
    let test = "samples_in_javascript_send_and_read_over_http";
    let Some(samples) = Samples::or_skip(test, "node") else { return };
    over_http(&samples, "mjs");
}
