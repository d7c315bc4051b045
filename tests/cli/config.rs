//! `config show`, and what happens when the configuration is wrong.

use serde_json::Value;

use crate::support::cli::{file, retailflow};

#[test]
fn every_value_is_shown_with_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "shop.toml", "[log]\npartitions = 8\ngroup_max_records = 99\n");
    let shown =
        retailflow(&["config", "show", "-o", "json", "--set", "log.group_max_records=77", "--config"])
            .arg(&path)
            .env("RETAILFLOW__ORDERS__IDLE_MS", "1234")
            .run()
            .expect(0);
    let settings: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
    let find = |key: &str| {
        let setting = settings.iter().find(|setting| setting["key"] == key).unwrap();
        (
            setting["value"].clone(),
            setting["origin"]["kind"].as_str().unwrap(),
            setting["origin"]["name"].clone(),
        )
    };
    assert_eq!(find("log.partitions"), (8.into(), "file", path.into()));
    assert_eq!(find("log.group_max_records"), (77.into(), "flag", Value::Null));
    assert_eq!(find("orders.idle_ms"), (1234.into(), "env", "RETAILFLOW__ORDERS__IDLE_MS".into()));
    assert_eq!(find("log.cluster"), ("retailflow".into(), "default", Value::Null));
}

#[test]
fn the_table_names_every_key_once() {
    let shown = retailflow(&["config", "show", "--set", "log.partitions=8"]).run().expect(0);
    let json = retailflow(&["config", "show", "-o", "json"]).run().expect(0);
    let settings: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(shown.lines().len(), settings.len());
    for (line, setting) in shown.lines().iter().zip(&settings) {
        assert!(line.starts_with(setting["key"].as_str().unwrap()), "{line}");
    }
    let line = *shown.lines().iter().find(|line| line.starts_with("log.partitions")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["log.partitions", "8", "flag"]);
}

#[test]
fn a_wrong_configuration_ends_everything_before_it_begins() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--set", "log.partition=8"], &["log.partition", "did you mean log.partitions?"]),
        (&["--set", "log.partitions=0"], &["log.partitions (flag)", "a whole number from 1 to 1024"]),
        (&["--config", "there-is-none.toml"], &["there-is-none.toml cannot be read"]),
        (&["--set", "telemetry.log=a=b=c"], &["telemetry.log = \"a=b=c\""]),
        (&["--set", "telemetry.log=inof"], &["telemetry.log = \"inof\"", "a level"]),
        (&["--set", "telemetry.log=xyz bad"], &["telemetry.log = \"xyz bad\""]),
    ];
    for (words, parts) in cases {
        let ended = retailflow(&["config", "show"]);
        let ended = words.iter().fold(ended, |call, word| call.arg(word)).run().expect(2).says(parts);
        assert_eq!(ended.stdout, "", "{words:?}");
    }
    retailflow(&["config", "show", "--set", "partitions"]).run().expect(2).says(&["expected KEY=VALUE"]);
}

/// The file for nodes in production, as it is shipped.
#[test]
fn the_shipped_configuration_is_taken() {
    let shown =
        retailflow(&["config", "show", "-o", "json", "--config", "deploy/retailflow.toml"]).run().expect(0);
    let settings: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
    let value = |key: &str| &settings.iter().find(|setting| setting["key"] == key).unwrap()["value"];
    assert_eq!(value("cluster.durability"), "replicated_fsync");
    assert_ne!(value("nats.replier_credentials"), value("nats.credentials"));
}

/// `config show` knew nothing of the short variables, and they won over `--set`.
#[test]
fn short_variables_are_shown_and_flags_win_over_them() {
    let shown = |words: &[&str]| {
        let call = retailflow(&["config", "show"]).env("RETAILFLOW_NATS", "nats://a:4222,nats://b:4222");
        let call = call.env("RETAILFLOW_LISTEN", "127.0.0.1:9");
        words.iter().fold(call, |call, word| call.arg(word)).run().expect(0).stdout
    };
    let line = |text: &str, key: &str| text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    let text = shown(&[]);
    let nats = line(&text, "nats.servers");
    assert!(
        nats.contains("nats://a:4222,nats://b:4222")
            && nats.ends_with("environment variable RETAILFLOW_NATS"),
        "{nats}"
    );
    assert!(line(&text, "http.listen").ends_with("environment variable RETAILFLOW_LISTEN"));
    let text = shown(&["--set", r#"nats.servers=["nats://c:4222"]"#]);
    let nats = line(&text, "nats.servers");
    assert!(nats.contains("\"nats://c:4222\"") && nats.ends_with("flag"), "{nats}");
}

/// A start that could not work began all the same.
#[test]
fn servers_that_are_none_and_a_cluster_without_etcd_are_refused_by_name() {
    let serve = || retailflow(&["serve", "--node", "n-1"]);
    serve().arg("--nats").arg("not a url").run().expect(2).says(&[
        "nats.servers (flag)",
        "\"not a url\"",
        "nats://",
    ]);
    let wrong = serve().env("RETAILFLOW_NATS", "http://127.0.0.1:1").run().expect(2);
    wrong.says(&["environment variable RETAILFLOW_NATS", "put the configuration right"]);
    let alone = serve().arg("--nats").arg("nats://127.0.0.1:1").run().expect(2);
    alone.says(&["etcd.endpoints is \"off\"", "--etcd URL", "nats.servers"]);
    let slip = retailflow(&["config", "show"]).env("RETAILFLOW_LOG_PARTITIONS", "8").run().expect(2);
    slip.says(&["did you mean RETAILFLOW__LOG__PARTITIONS?"]);
    let replicas = retailflow(&["config", "show", "--set", "nats.replicas=2"]).run().expect(2);
    replicas.says(&["nats.replicas (flag)", "1 or 3"]);
}
