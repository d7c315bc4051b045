//! From sources to a validated [`Config`]: each layer is checked on its own, figment merges them and remembers
//! which one a value came from.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::error::{ConfigError, Problem};
use crate::layer::{ENV_PREFIX, Layer, env_of_key, key_of_env};
use crate::limits::{ENV_SHORT, FILE_MAX_BYTES, LIMITS, ORDERS, PARTITIONS_PER_SHARD_MAX};
use crate::lists;
use crate::origin::{Origin, Setting};
use crate::sections::Config;

/// The defaults, part of the program, with a comment for every value.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");

/// The sources of a configuration. [`LoadOptions::default`] is the defaults alone.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// A configuration file; when it is given it must exist.
    pub file: Option<PathBuf>,
    /// Environment variables; those that neither begin with [`ENV_PREFIX`] nor stand in [`ENV_SHORT`] are not looked at, except for a
    /// slip of the pen in the former.
    pub env: Vec<(OsString, OsString)>,
    /// Flags: dotted key and value, as `("log.partitions", "8")`. The last one of a key wins.
    pub overrides: Vec<(String, String)>,
}

impl LoadOptions {
    /// The environment of this process, no file and no flags.
    #[must_use]
    pub fn from_process_env() -> Self {
        Self { env: std::env::vars_os().collect(), ..Self::default() }
    }
}

/// A configuration, and where each of its values came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The validated values.
    pub config: Config,
    origins: Vec<Setting>,
}

impl Loaded {
    /// Every key with its value and where that came from, in the order of [`LIMITS`].
    #[must_use]
    pub fn origins(&self) -> &[Setting] {
        &self.origins
    }

    /// Where the value of a key came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.origins.iter().find(|setting| setting.key == key).map(|setting| &setting.origin)
    }

    /// [`Self::origins`] as lines of aligned columns: key, value, origin.
    #[must_use]
    pub fn table(&self) -> String {
        let values: Vec<String> = self.origins.iter().map(|s| s.value.to_string()).collect();
        let key_width = self.origins.iter().map(|s| s.key.len()).max().unwrap_or(0);
        let value_width = values.iter().map(|v| v.chars().count()).max().unwrap_or(0).min(40);
        let mut table = String::new();
        for (setting, value) in self.origins.iter().zip(&values) {
            let (key, origin) = (setting.key, &setting.origin);
            table.push_str(&format!("{key:key_width$}  {value:value_width$}  {origin}\n"));
        }
        table
    }
}

impl Default for Config {
    /// The values of [`DEFAULT_TOML`].
    fn default() -> Self {
        match Self::load(LoadOptions::default()) {
            Ok(loaded) => loaded.config,
            Err(error) => unreachable!("default.toml is part of the program and tested: {error}"),
        }
    }
}

impl Config {
    /// Reads and validates a configuration: default < file < environment < flags.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read, is not TOML, or a key or value is wrong. A wrong value is
    /// an error also where a later source would win over it.
    pub fn load(options: LoadOptions) -> Result<Loaded, ConfigError> {
        let mut problems = Vec::new();
        let mut layers = vec![Layer::from_toml(DEFAULT_TOML, Origin::Default, &mut problems)?];
        if let Some(path) = options.file {
            let text = read(&path)?;
            layers.push(Layer::from_toml(&text, Origin::File(path), &mut problems)?);
        }
        layers.extend(env_layers(options.env, &mut problems));
        for (key, value) in &options.overrides {
            layers.push(Layer::from_text(key, value, Origin::Flag, &mut problems));
        }
        if !problems.is_empty() {
            return Err(ConfigError::Invalid(problems));
        }
        merge(layers)
    }
}

/// The text of a flag of a key's own, such as `--nats`, as it takes the place of what is configured.
///
/// # Errors
/// [`ConfigError`] where the key may not be set to it.
pub fn checked_flag(key: &str, text: &str) -> Result<String, ConfigError> {
    let mut problems = Vec::new();
    let layer = Layer::from_text(key, text, Origin::Flag, &mut problems);
    match layer.settings.into_iter().next() {
        Some((_, toml::Value::String(text))) => Ok(text),
        Some((_, value)) => Ok(value.to_string()),
        None => Err(ConfigError::Invalid(problems)),
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable { path: path.to_path_buf(), reason };
    let file = File::open(path).map_err(|e| unreadable(e.to_string()))?;
    let mut text = String::new();
    // Bounded by reading, not by asking for the size: a pipe has none.
    file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text).map_err(|e| unreadable(e.to_string()))?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(unreadable(format!("it is larger than {FILE_MAX_BYTES} bytes")));
    }
    Ok(text)
}

fn env_layers(env: Vec<(OsString, OsString)>, problems: &mut Vec<Problem>) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (name, value) in env {
        // A name that is not UTF-8 cannot be one of ours.
        let Some(name) = name.to_str() else { continue };
        let short = ENV_SHORT.iter().find(|(short, _)| *short == name).map(|(_, key)| (*key).to_owned());
        let origin = Origin::Env(name.to_string());
        let Some(key) = short.or_else(|| name.strip_prefix(ENV_PREFIX).map(key_of_env)) else {
            if let Some(limit) = LIMITS.iter().find(|limit| is_slip(name, limit.key)) {
                let what = format!("there is no such variable; did you mean {}?", env_of_key(limit.key));
                problems.push(Problem { key: limit.key.to_owned(), origin, what });
            }
            continue;
        };
        // An empty one is none, as for all commands' variables.
        let is_short = !name.starts_with(ENV_PREFIX);
        if is_short && value.is_empty() {
            continue;
        }
        let Some(text) = value.to_str() else {
            problems.push(Problem { key, origin, what: "the value is not UTF-8".to_string() });
            continue;
        };
        let layer = Layer::from_text(&key, text, origin, problems);
        if let Some(other) = layers.iter().find(|other| is_other(other, &layer)) {
            let what =
                format!("{} says something else of the same setting: leave one of them out", other.origin);
            problems.push(Problem { key, origin: layer.origin.clone(), what });
        }
        layers.push(layer);
    }
    layers
}

/// Whether two layers give one key different values.
fn is_other(one: &Layer, other: &Layer) -> bool {
    let mut pairs = one.settings.iter().zip(&other.settings);
    pairs.any(|((key, value), (of, is))| key == of && value != is)
}

/// Whether a variable's name is that of a key with fewer underscores, as in `RETAILFLOW_LOG_PARTITIONS`.
fn is_slip(name: &str, key: &str) -> bool {
    let plain = |name: &str| name.replace('_', "").to_ascii_uppercase();
    name.to_ascii_uppercase().starts_with("RETAILFLOW_") && plain(name) == plain(&env_of_key(key))
}

fn merge(layers: Vec<Layer>) -> Result<Loaded, ConfigError> {
    let origins: Vec<Origin> = layers.iter().map(|layer| layer.origin.clone()).collect();
    let figment = layers.into_iter().enumerate().fold(Figment::new(), |figment, (index, layer)| {
        layer
            .settings
            .into_iter()
            .fold(figment, |figment, (key, value)| figment.merge(OneSetting { layer: index, key, value }))
    });
    let internal = |what: String| {
        ConfigError::Invalid(vec![Problem { key: "default.toml".to_string(), origin: Origin::Default, what }])
    };
    let config: Config = figment.extract().map_err(|e| internal(e.to_string()))?;
    let mut settings = Vec::with_capacity(LIMITS.len());
    for limit in LIMITS {
        let value = figment.extract_inner(limit.key).map_err(|e| internal(e.to_string()))?;
        let layer = figment.find_metadata(limit.key).and_then(|m| m.name.parse::<usize>().ok()).unwrap_or(0);
        settings.push(Setting { key: limit.key, value: redacted(value), origin: origins[layer].clone() });
    }
    check_orders(&settings)?;
    Ok(Loaded { config, origins: settings })
}

fn check_orders(settings: &[Setting]) -> Result<(), ConfigError> {
    let find = |key: &str| settings.iter().find(|s| s.key == key);
    let mut problems = Vec::new();
    for rule in ORDERS {
        let (Some(lesser), Some(greater)) = (find(rule.lesser), find(rule.greater)) else { continue };
        if lesser.value.as_integer() > greater.value.as_integer() {
            let what = format!(
                "{} is more than {} = {} ({}): {}",
                lesser.value, greater.key, greater.value, greater.origin, rule.why
            );
            problems.push(Problem { key: lesser.key.to_string(), origin: lesser.origin.clone(), what });
        }
    }
    let of = |key: &str| find(key).and_then(|setting| u64::try_from(setting.value.as_integer()?).ok());
    if let (Some(partitions), Some(shards), Some(setting)) =
        (of("cluster.partitions"), of("cluster.shards"), find("cluster.partitions"))
        && partitions.div_ceil(shards.max(1)) > PARTITIONS_PER_SHARD_MAX
    {
        let what = format!(
            "{partitions} in {shards} shards are more than {PARTITIONS_PER_SHARD_MAX} in each: set cluster.shards to {} at least, or \
             fewer partitions",
            partitions.div_ceil(PARTITIONS_PER_SHARD_MAX)
        );
        problems.push(Problem { key: setting.key.to_string(), origin: setting.origin.clone(), what });
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(problems)) }
}

/// As it may be shown.
fn redacted(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::String(text) => toml::Value::String(lists::without_users(&text)),
        value => value,
    }
}

/// A figment source of one value; its metadata's name is the number of the layer it came from.
struct OneSetting {
    layer: usize,
    key: &'static str,
    value: toml::Value,
}

impl Provider for OneSetting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.layer.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let value = Value::serialize(&self.value)?;
        let nested = figment::util::nest(self.key, value);
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}
