//! Precedence, origins, and a clear error for each kind of mistake.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use retailflow_config::limits::{self, LIMITS};
use retailflow_config::{
    Config, ConfigError, DEFAULT_TOML, LoadOptions, Loaded, Origin, UnknownTenant, checked_flag, env_of_key,
};

struct Case {
    options: LoadOptions,
    _file: Option<tempfile::NamedTempFile>,
}

fn given() -> Case {
    Case { options: LoadOptions::default(), _file: None }
}

impl Case {
    fn file(mut self, text: &str) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.options.file = Some(file.path().to_path_buf());
        self._file = Some(file);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.options.env.push((OsString::from(name), OsString::from(value)));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.options.overrides.push((key.to_string(), value.to_string()));
        self
    }

    fn path(&self) -> PathBuf {
        self.options.file.clone().unwrap()
    }

    fn load(self) -> Loaded {
        Config::load(self.options).unwrap()
    }

    #[track_caller]
    fn refused(self, parts: &[&str]) {
        let text = Config::load(self.options).unwrap_err().to_string();
        for part in parts {
            assert!(text.contains(part), "{part:?} is missing in: {text}");
        }
    }
}

fn origin(loaded: &Loaded, key: &str) -> Origin {
    loaded.origins().iter().find(|s| s.key == key).unwrap().origin.clone()
}

#[test]
fn defaults_are_complete_and_keys_agree_everywhere() {
    let loaded = given().load();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.origins().iter().all(|s| s.origin == Origin::Default));

    let leaves = |value: &toml::Value| -> Vec<String> {
        let mut keys = Vec::new();
        for (section, keys_of) in value.as_table().unwrap() {
            keys.extend(keys_of.as_table().unwrap().keys().map(|key| format!("{section}.{key}")));
        }
        keys.sort();
        keys
    };
    let mut listed: Vec<String> = LIMITS.iter().map(|l| l.key.to_string()).collect();
    listed.sort();
    assert_eq!(leaves(&toml::Value::Table(DEFAULT_TOML.parse().unwrap())), listed);
    assert_eq!(leaves(&toml::Value::try_from(&loaded.config).unwrap()), listed);
}

#[test]
fn every_default_has_a_comment() {
    let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, l)| l.contains(" = ") && !l.starts_with('#')) {
        assert!(lines[at - 1].starts_with("# "), "no comment before {line:?}");
    }
}

#[test]
fn later_sources_win_and_origins_say_so() {
    let case = given()
        .file("[log]\npartitions = 2\ngroup_max_records = 20\ncluster = \"a\"\n[orders]\nlive_max = 7")
        .env("RETAILFLOW__LOG__PARTITIONS", "3")
        .env("RETAILFLOW__LOG__GROUP_MAX_RECORDS", "30")
        .env("RETAILFLOW_TOOLS", "not ours")
        .env("PATH", "not ours")
        .flag("log.partitions", "4")
        .flag("log.partitions", "5");
    let path = case.path();
    let loaded = case.load();
    assert_eq!(loaded.config.log.partitions, 5);
    assert_eq!(loaded.config.log.group_max_records, 30);
    assert_eq!(loaded.config.log.cluster, "a");
    assert_eq!(loaded.config.orders.live_max, 7);
    assert_eq!(loaded.config.orders.idle_ms, Config::default().orders.idle_ms);
    assert_eq!(origin(&loaded, "log.partitions"), Origin::Flag);
    assert_eq!(
        origin(&loaded, "log.group_max_records"),
        Origin::Env("RETAILFLOW__LOG__GROUP_MAX_RECORDS".into())
    );
    assert_eq!(origin(&loaded, "orders.live_max"), Origin::File(path));
    assert_eq!(origin(&loaded, "orders.idle_ms"), Origin::Default);
}

#[test]
fn text_from_the_outside_is_read_by_what_the_key_is() {
    let loaded = given()
        .env("RETAILFLOW__TENANTS__UNKNOWN", "refuse")
        .env("RETAILFLOW__TELEMETRY__LOG", "info,retailflow_nats=debug")
        .flag("telemetry.format", "\"json\"")
        .flag("log.cluster", "true-story")
        .flag("http.listen", "[::1]:0")
        .flag("orders.live_max", "65_536")
        .load();
    assert_eq!(loaded.config.tenants.unknown, UnknownTenant::Refuse);
    assert_eq!(loaded.config.telemetry.log, "info,retailflow_nats=debug");
    assert_eq!(loaded.config.log.cluster, "true-story");
    assert!(loaded.config.http.listen.is_ipv6());
    assert_eq!(loaded.config.orders.live_max, 65_536);
}

#[test]
fn the_table_and_the_serialized_form_name_key_value_and_origin() {
    let loaded = given().env("RETAILFLOW__LOG__PARTITIONS", "8").load();
    let table = loaded.table();
    assert_eq!(table.lines().count(), LIMITS.len());
    let line = table.lines().find(|l| l.starts_with("log.partitions")).unwrap();
    assert!(
        line.contains(" 8 ") && line.ends_with("environment variable RETAILFLOW__LOG__PARTITIONS"),
        "{line}"
    );

    let setting = loaded.origins().iter().find(|s| s.key == "log.partitions").unwrap();
    let form = toml::Value::try_from(setting).unwrap();
    assert_eq!(form["value"].as_integer(), Some(8));
    assert_eq!(form["origin"]["kind"].as_str(), Some("env"));
    assert_eq!(form["origin"]["name"].as_str(), Some("RETAILFLOW__LOG__PARTITIONS"));
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    given().flag("log.partition", "3").refused(&["log.partition (flag)", "did you mean log.partitions?"]);
    given().env("RETAILFLOW__LOG__PARTITION", "3").refused(&[
        "did you mean RETAILFLOW__LOG__PARTITIONS?",
        "environment variable RETAILFLOW__LOG__PARTITION",
    ]);
    given().file("[order]\nlive_max = 3").refused(&["order (file ", "did you mean [orders]?"]);
    given().file("[weather]\nsun = 1").refused(&["no such section", "node, log, index"]);
    given().file("[log]\nzzzzzzzzzzzz = 1").refused(&["log.zzzzzzzzzzzz", "no such key", "config show"]);
    given().file("log = 3").refused(&["log (file ", "is a section", "found the number 3"]);
    given().flag("", "3").refused(&["no such key"]);
}

#[test]
fn values_of_the_wrong_kind_or_out_of_range_are_refused() {
    given().flag("log.partitions", "0").refused(&["found the number 0", "a whole number from 1 to 1024"]);
    given().flag("log.partitions", "-1").refused(&["found the number -1"]);
    given().flag("log.partitions", "99999999999999999999").refused(&["found the text"]);
    given().flag("log.partitions", "many").refused(&["log.partitions (flag)", "found the text \"many\""]);
    given().file("[log]\npartitions = \"4\"").refused(&["found the text \"4\"", "a whole number"]);
    given().file("[log]\npartitions = 1.5").refused(&["found the fraction 1.5"]);
    given().file("[log]\npartitions = [1]").refused(&["found a list of other things"]);
    given().file("[log.partitions]\nx = 1").refused(&["log.partitions (file ", "found a table"]);
    given().file("[log]\npartitions = 1997-01-01").refused(&["found a date"]);
    given().file("[log]\ncluster = true").refused(&["found the truth value true", "beginning with a letter"]);
    given().flag("log.cluster", "Über").refused(&["1 to 63 of a-z"]);
    given().flag("http.listen", "localhost:8080").refused(&["localhost:8080", "an IP address and a port"]);
    given().file("[http]\nlisten = 8080").refused(&["found the number 8080", "an IP address and a port"]);
    given().flag("telemetry.log", "").refused(&["printable text"]);
    given()
        .flag("tenants.unknown", "maybe")
        .refused(&["found the text \"maybe\"", "\"create\" or \"refuse\""]);
}

#[test]
fn rules_between_keys_name_both_sides() {
    given().flag("supervision.delay_min_ms", "5000").refused(&[
        "supervision.delay_min_ms (flag): 5000 is more than supervision.delay_max_ms = 2000 (default)",
    ]);
    given()
        .flag("log.segment_bytes", "65536")
        .refused(&["log.group_max_bytes (default)", "fit into a segment"]);
}

/// A list from a shell or a YAML file came out as one odd name.
#[test]
fn lists_are_texts_with_commas_or_lists_wherever_they_come_from() {
    let both = "nats://10.0.0.1:4222,nats://10.0.0.2:4222";
    let array = r#"["nats://10.0.0.1:4222", "nats://10.0.0.2:4222"]"#;
    for loaded in [
        given().env("RETAILFLOW__NATS__SERVERS", array).load(),
        given().env("RETAILFLOW_NATS", array).load(),
        given().env("RETAILFLOW_NATS", &both.replace(',', " , ")).load(),
        given().flag("nats.servers", array).load(),
        given().flag("nats.servers", &format!("'{array}'")).load(),
        given().file(&format!("[nats]\nservers = {array}")).load(),
        given().file(&format!("[nats]\nservers = \"{both}\"")).load(),
    ] {
        assert_eq!(loaded.config.nats.servers, both);
    }
    let labels = given().env("RETAILFLOW__CLUSTER__REQUIRED_LABELS", r#"["zone=a","disk=fast"]"#).load();
    assert_eq!(labels.config.cluster.required_labels, "zone=a,disk=fast");
    let hosts = given().file("[http]\nhost_names = [\"localhost\", \"shop.example\"]").load();
    assert_eq!(hosts.config.http.host_names, "localhost,shop.example");
    for none in ["[]", "off", "\"off\""] {
        assert_eq!(given().flag("nats.servers", none).load().config.nats.servers, "off", "{none}");
    }
    for good in ["10.0.0.1", "n:4222", "tls://u:p@n-1.example:4222", "nats://[::1]:4222", "wss://n/path"] {
        assert_eq!(given().flag("nats.servers", good).load().config.nats.servers, good);
    }
    for wrong in [
        "not a url",
        "http://10.0.0.1:4222",
        "nats://",
        "nats://a:0",
        "a,,b c",
        "[\"a\"",
        "[1]",
        "n:99999",
        ",",
    ] {
        given().env("RETAILFLOW_NATS", wrong).refused(&[
            "nats.servers (environment variable RETAILFLOW_NATS): found",
            "nats://10.0.0.1:4222",
            "or \"off\"",
        ]);
    }
    given()
        .file("[etcd]\nendpoints = \"nats://10.0.0.1:2379\"")
        .refused(&["etcd.endpoints", "http://10.0.0.1:2379"]);
    given().flag("nats.monitors", "10.0.0.1").refused(&["nats.monitors (flag)", "http://10.0.0.1:8222"]);
    given().flag("telemetry.otlp_endpoint", "collector").refused(&["telemetry.otlp_endpoint", "http://"]);
    for wrong in ["zone", "zone=a,zone=b", "zo ne=a", "=a"] {
        given().flag("cluster.required_labels", wrong).refused(&["cluster.required_labels", "zone=a"]);
    }
    given().flag("http.host_names", "a/b").refused(&["http.host_names", "names of hosts"]);
}

/// `config show` did not know them, and they won over flags.
#[test]
fn short_variables_are_the_environment_like_all_others() {
    for (name, key) in limits::ENV_SHORT {
        let value = match limits::allowed(key) {
            Some(limits::Allowed::Address) => "127.0.0.9:99",
            Some(limits::Allowed::Name { .. }) => "other9",
            _ => "n-9:99",
        };
        let loaded = given().env(name, value).load();
        assert_eq!(origin(&loaded, key), Origin::Env((*name).to_owned()));
        let shown = loaded.origins().iter().find(|setting| setting.key == *key).unwrap();
        assert_eq!(shown.value.as_str(), Some(value));
        assert_eq!(origin(&given().env(name, "").load(), key), Origin::Default, "an empty one is none");
        let flagged = given().env(name, value).flag(key, &value.replace('9', "8")).load();
        assert_eq!(origin(&flagged, key), Origin::Flag);
        let section = key.split_once('.').unwrap();
        let file = format!("[{}]\n{} = \"{}\"", section.0, section.1, value.replace('9', "7"));
        let over_file = given().file(&file).env(name, value).load();
        assert_eq!(origin(&over_file, key), Origin::Env((*name).to_owned()));
        let same = given().env(name, value).env(&env_of_key(key), value).load();
        assert!(matches!(origin(&same, key), Origin::Env(_)));
        given().env(name, value).env(&env_of_key(key), &value.replace('9', "8")).refused(&[
            &env_of_key(key),
            name,
            "leave one of them out",
        ]);
    }
    assert_eq!(checked_flag("nats.servers", "[\"a\",\"b\"]").unwrap(), "a,b");
    assert!(
        checked_flag("nats.servers", "not a url").unwrap_err().to_string().contains("nats.servers (flag)")
    );
}

#[test]
fn variables_with_too_few_underscores_are_told_and_others_are_not_ours() {
    for slip in ["RETAILFLOW_LOG_PARTITIONS", "RETAILFLOW__LOG_PARTITIONS", "RETAILFLOW_LOG__PARTITIONS"] {
        given().env(slip, "8").refused(&["did you mean RETAILFLOW__LOG__PARTITIONS?", slip]);
    }
    given().env("retailflow__log__partitions", "8").refused(&["did you mean RETAILFLOW__LOG__PARTITIONS?"]);
    for other in ["RETAILFLOW_DATA", "RETAILFLOW_TOOLS", "RETAILFLOWER_LOG_PARTITIONS", "RETAILFLOW"] {
        assert_eq!(given().env(other, "x").load().config, Config::default(), "{other}");
    }
}

#[test]
fn numbers_that_no_server_takes_are_refused() {
    given()
        .flag("nats.replicas", "2")
        .refused(&["nats.replicas (flag): found the number 2", "allowed is 1 or 3"]);
    assert_eq!(given().flag("nats.replicas", "1").load().config.nats.replicas, 1);
    given().flag("cluster.partitions", "1000").refused(&[
        "cluster.partitions (flag): 1000 in 8 shards are more than 49 in each",
        "cluster.shards to 21 at least",
    ]);
    given().flag("cluster.shards", "2").refused(&["cluster.partitions (default): 128 in 2 shards"]);
    assert_eq!(given().flag("cluster.shards", "3").load().config.cluster.shards, 3);
}

#[test]
fn all_problems_are_told_at_once() {
    let case =
        given().file("[log]\npartitions = 0\n[orders]\nlive_maxx = 1").flag("log.group_max_records", "x");
    let Err(ConfigError::Invalid(problems)) = Config::load(case.options) else { panic!("not refused") };
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn files_that_cannot_be_used_are_refused() {
    let mut case = given();
    case.options.file = Some(PathBuf::from("no/such/file.toml"));
    case.refused(&["no/such/file.toml cannot be read"]);
    given().file("[log\npartitions").refused(&["is not valid TOML", "line 1"]);
    given().file("[log]\npartitions = 1\npartitions = 2").refused(&["is not valid TOML", "duplicate key"]);
    given().file(&"#".repeat(2 * 1024 * 1024)).refused(&["larger than"]);
    let defaults = given().file("").load();
    assert_eq!(defaults.config, Config::default());
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let mut case = given();
    case.options.env.push(("RETAILFLOW__LOG__CLUSTER".into(), OsString::from_vec(vec![0xff])));
    case.refused(&["log.cluster (environment variable RETAILFLOW__LOG__CLUSTER): the value is not UTF-8"]);
}

#[test]
fn limits_are_well_formed() {
    for limit in LIMITS {
        assert_eq!(limits::allowed(limit.key), Some(limit.allowed));
        if let limits::Allowed::Number { min, max } = limit.allowed {
            assert!(min <= max && i64::try_from(max).is_ok(), "{}", limit.key);
        }
    }
    assert_eq!(limits::allowed("nothing"), None);
    assert_eq!(limits::sections().len(), 15);
    assert_eq!(env_of_key("log.partitions"), "RETAILFLOW__LOG__PARTITIONS");
}
