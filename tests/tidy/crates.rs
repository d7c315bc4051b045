//! Who may depend on whom, ours and drivers, and what each package inherits.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::repo::{Repo, code_lines, names_crate, none_broken, output};

/// Of our packages, what each may depend on: in its code, and besides in its tests. A new package needs a line
/// here and in ARCHITECTURE.md.
const OURS: &[(&str, &[&str], &[&str])] = &[
    ("retailflow-wire", &[], &[]),
    ("retailflow-engine", &["retailflow-wire"], &["retailflow-invariants"]),
    ("retailflow-books", &["retailflow-engine"], &[]),
    ("retailflow-invariants", &["retailflow-engine", "retailflow-books"], &[]),
    ("retailflow-placement", &["retailflow-wire"], &[]),
    ("retailflow-testkit", &["retailflow-engine", "retailflow-books"], &[]),
    ("retailflow-config", &[], &[]),
    (
        "retailflow-actors",
        &["retailflow-engine", "retailflow-config"],
        &["retailflow-invariants", "retailflow-testkit"],
    ),
    ("retailflow-os", &[], &[]),
    ("retailflow-index", &["retailflow-engine"], &["retailflow-testkit"]),
    (
        "retailflow-disk",
        &["retailflow-engine", "retailflow-invariants", "retailflow-os", "retailflow-index"],
        &["retailflow-config", "retailflow-testkit"],
    ),
    ("retailflow-nats", &["retailflow-engine", "retailflow-os"], &["retailflow-testkit"]),
    (
        "retailflow-etcd",
        &["retailflow-engine", "retailflow-placement", "retailflow-os"],
        &["retailflow-testkit"],
    ),
    ("retailflow-participants", &["retailflow-engine", "retailflow-testkit", "retailflow-os"], &[]),
    ("retailflow-gateway", &["retailflow-engine", "retailflow-config"], &["retailflow-testkit"]),
    (
        "retailflow-chaos",
        &[
            "retailflow-engine",
            "retailflow-books",
            "retailflow-invariants",
            "retailflow-testkit",
            "retailflow-actors",
            "retailflow-config",
        ],
        &[],
    ),
    ("retailflow-chaos-disk", &[], &[]),
    ("retailflow-xtask", &[], &[]),
    ("retailflow-generate", &["retailflow-engine", "retailflow-books", "retailflow-server"], &[]),
    (
        "retailflow-server",
        &[
            "retailflow-engine",
            "retailflow-placement",
            "retailflow-invariants",
            "retailflow-testkit",
            "retailflow-actors",
            "retailflow-os",
            "retailflow-index",
            "retailflow-disk",
            "retailflow-nats",
            "retailflow-etcd",
            "retailflow-participants",
            "retailflow-gateway",
            "retailflow-config",
        ],
        &[],
    ),
    ("retailflow-import", &["retailflow-engine", "retailflow-server"], &[]),
    (
        "retailflow-measure",
        &[
            "retailflow-actors",
            "retailflow-config",
            "retailflow-disk",
            "retailflow-engine",
            "retailflow-index",
            "retailflow-nats",
            "retailflow-server",
        ],
        &[],
    ),
    (
        "retailflow",
        &[
            "retailflow-server",
            "retailflow-generate",
            "retailflow-import",
            "retailflow-measure",
            "retailflow-engine",
            "retailflow-books",
            "retailflow-invariants",
            "retailflow-actors",
            "retailflow-os",
            "retailflow-index",
            "retailflow-disk",
            "retailflow-nats",
            "retailflow-etcd",
            "retailflow-participants",
            "retailflow-config",
        ],
        &["retailflow-placement", "retailflow-testkit", "retailflow-chaos", "retailflow-chaos-disk"],
    ),
];

/// Drivers, and the folders in which each may be named: no other package may depend on it.
const DRIVERS: &[(&str, &[&str])] = &[
    ("async-nats", &["cluster/nats/"]),
    ("etcd-client", &["cluster/etcd/"]),
    ("sled", &["cluster/index/"]),
    ("bincode", &["engine/src/codec/"]),
    ("ractor", &["actors/"]),
    ("backoff", &["actors/src/resilience/"]),
    ("failsafe", &["actors/src/resilience/"]),
    ("axum", &["gateway/"]),
    ("figment", &["config/"]),
    // In `import` for the words of its choices alone.
    ("clap", &["src/", "import/"]),
    ("ureq", &["src/client/", "server/src/http.rs"]),
    ("fuser", &["chaos/disk/"]),
];

pub(crate) struct Package {
    pub(crate) name: String,
    manifest: String,
    /// Name of the dependency, and whether it is for tests only.
    pub(crate) dependencies: Vec<(String, bool)>,
}

impl Package {
    /// Its folder in the repository; nothing for the root.
    pub(crate) fn folder(&self, repo: &Repo) -> String {
        let folder = Path::new(&self.manifest).parent().unwrap();
        folder.strip_prefix(repo.root()).unwrap().display().to_string()
    }
}

pub(crate) fn packages(repo: &Repo) -> Vec<Package> {
    let args = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let text = output(Command::new(env!("CARGO")).args(args).current_dir(repo.root()));
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let string = |value: &Value| value.as_str().unwrap().to_string();
    let list = |value: &Value| value.as_array().unwrap().clone();
    list(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: string(&package["name"]),
            manifest: string(&package["manifest_path"]),
            dependencies: list(&package["dependencies"])
                .iter()
                .map(|d| (string(&d["name"]), d["kind"].as_str() == Some("dev")))
                .collect(),
        })
        .collect()
}

#[test]
fn packages_depend_only_on_whom_they_may() {
    let packages = packages(&Repo::open());
    let mut broken = Vec::new();
    for package in &packages {
        let Some((_, code, tests)) = OURS.iter().find(|(name, ..)| *name == package.name) else {
            broken.push(format!("{}: has no rule: add it to OURS in tests/tidy/crates.rs", package.name));
            continue;
        };
        for (dependency, dev) in &package.dependencies {
            let ours = packages.iter().any(|p| p.name == *dependency);
            let allowed =
                code.contains(&dependency.as_str()) || (*dev && tests.contains(&dependency.as_str()));
            if ours && !allowed {
                let kind = if *dev { "dev-dependency" } else { "dependency" };
                broken.push(format!("{}: {kind} on {dependency}", package.name));
            }
        }
    }
    none_broken("the dependency rule (ARCHITECTURE.md) does not allow", &broken);
}

#[test]
fn drivers_stay_where_they_belong() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    for package in packages(&repo) {
        let home = Path::new(&package.manifest).parent().unwrap().strip_prefix(repo.root()).unwrap();
        for (driver, folders) in DRIVERS {
            // The folder of the root package is that of all: its own is `src`.
            let home = if home.as_os_str().is_empty() { Path::new("src") } else { home };
            let is_owner = folders.iter().any(|folder| Path::new(folder).starts_with(home));
            if !is_owner && package.dependencies.iter().any(|(d, _)| d == driver) {
                broken.push(format!("{}: depends on {driver}, which belongs into {folders:?}", package.name));
            }
        }
    }
    for file in repo.with_ending(".rs").filter(|f| !f.starts_with("tests/tidy")) {
        let text = repo.text(file);
        for (number, line) in code_lines(&text) {
            for (driver, folders) in DRIVERS {
                if !folders.iter().any(|folder| file.starts_with(folder))
                    && names_crate(line, &driver.replace('-', "_"))
                {
                    broken.push(format!("{file}:{number}: names {driver}, which belongs into {folders:?}"));
                }
            }
        }
    }
    none_broken("drivers are confined", &broken);
}

#[test]
fn packages_inherit_lints_and_versions() {
    let repo = Repo::open();
    let mut broken = Vec::new();
    for package in packages(&repo) {
        let text = std::fs::read_to_string(Path::new(&package.manifest)).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let inherits = |path: &[&str]| {
            let mut value = manifest.get(path[0]);
            for key in &path[1..] {
                value = value.and_then(|v| v.get(key));
            }
            value.and_then(toml::Value::as_bool) == Some(true)
        };
        if !inherits(&["lints", "workspace"]) {
            broken.push(format!("{}: add `[lints] workspace = true`", package.name));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits(&["package", key, "workspace"]) {
                broken.push(format!("{}: add `{key}.workspace = true`", package.name));
            }
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
            for (name, value) in dependencies {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    broken.push(format!("{}: {name} must come from the workspace's list", package.name));
                }
            }
        }
    }
    none_broken("packages inherit from the workspace", &broken);
}
