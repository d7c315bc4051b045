//! The samples of `examples/clients` that speak NATS do what they say, against a node of a cluster.

use super::cluster::{Many, Size};
use super::{publish, servers};
use crate::support::samples::Samples;
use crate::support::serving::or_skipped;

#[test]
fn samples_in_python_ask_publish_and_read_over_nats() {
    let test = "samples_in_python_ask_publish_and_read_over_nats";
    let Some((nats, etcd)) = servers(test) else { return };
    let how = "cargo xtask setup --tests fetches it";
    let Some(home) = or_skipped(test, "nats-py", how, publish::home) else { return };
    let Some(samples) = Samples::or_skip(test, "python3") else { return };
    let samples = samples.with_packages(home);
    let mut many = Many::start((&nats, &etcd), Size { participants: "perfect", ..Size::SMALL });
    many.node("n-1");
    many.shared_out(&["n-1"]);
    let (url, folder) = (many.nats_urls()[0].clone(), tempfile::tempdir().unwrap());
    let cursor = folder.path().join("cursor");
    for (sample, order) in [("nats_ask.py", "2001"), ("nats_publish.py", "3001")] {
        assert!(!samples.places(sample, &url, order), "nobody has sent it before");
        assert!(samples.places(sample, &url, order), "it is the same command");
        samples.reads("nats_events.py", &url, order, &cursor);
    }
    many.end();
}
