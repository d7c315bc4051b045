//! Whether a schema can take the place of an older one without breaking anybody: a pure function over the two.
//!
//! There are two ways to be broken, and each change that is found says which ([`Breaks`]). Both are one question, "is each
//! document of `from` one of `to`", asked once with the older schema as `from` and once with the newer one. A producer is
//! taken to write what its schema declares, and nothing else; so a new field breaks nobody who lets pass what they do not know.
//!
//! Keywords that this does not know are told, rather than passed over.

use std::fmt;

use serde_json::{Map, Value};

/// Who could not go on as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Breaks {
    /// A document of the older schema is none of the newer one: callers that send it, readers that have it before them.
    OldDocuments,
    /// A document of the newer schema is none of the older one: readers that check what they read by the older one.
    OldReaders,
}

/// What the schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Callers write it, and we read it: older documents have to stay good.
    Command,
    /// We write it, and it is kept: both directions have to hold.
    Event,
}

/// A change that breaks somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Incompatible {
    /// Where, as a JSON pointer into documents, with `*` for any element of an array or map.
    pub(crate) path: String,
    pub(crate) breaks: Breaks,
    pub(crate) what: String,
}

impl fmt::Display for Incompatible {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {} (breaks {:?})", self.path, self.what, self.breaks)
    }
}

/// All changes from `old` to `new` that break somebody.
pub(crate) fn incompatible(kind: Kind, old: &Value, new: &Value) -> Vec<Incompatible> {
    let mut found = Comparison::run(Breaks::OldDocuments, kind, old, new);
    if kind == Kind::Event {
        found.extend(Comparison::run(Breaks::OldReaders, kind, new, old));
    }
    found.sort();
    found.dedup();
    found
}

/// A schema's members, without its reference and without notes.
type Node = Map<String, Value>;

/// What says nothing about which documents are good.
const NOTES: [&str; 8] =
    ["$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples"];
/// Words that may be added to; others are good documents, too.
const OPEN_WORDS: &str = "x-extensible-enum";
/// A document is good from this on.
const LEAST: [&str; 5] = ["minimum", "minLength", "minItems", "minProperties", "exclusiveMinimum"];
/// A document is good up to this.
const MOST: [&str; 5] = ["maximum", "maxLength", "maxItems", "maxProperties", "exclusiveMaximum"];
/// A document is good when it meets this; two of them are not compared but for being the same.
const EXACT: [&str; 6] =
    ["pattern", "format", "multipleOf", "uniqueItems", "propertyNames", "contentEncoding"];
/// What [`Comparison`] has a rule of its own for.
const SHAPE: [&str; 10] = [
    "type",
    "enum",
    "const",
    "oneOf",
    "anyOf",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "items",
];
const ALL_TYPES: [&str; 6] = ["array", "boolean", "null", "number", "object", "string"];
/// Formats that are limits of integers.
const INTEGERS: [(&str, i128, i128); 5] = [
    ("uint32", 0, u32::MAX as i128),
    ("uint64", 0, u64::MAX as i128),
    ("int32", i32::MIN as i128, i32::MAX as i128),
    ("int64", i64::MIN as i128, i64::MAX as i128),
    ("uint8", 0, u8::MAX as i128),
];

/// The schema with what its reference refers to.
fn resolved(root: &Value, schema: &Value) -> Node {
    let mut node = match schema {
        Value::Object(members) => members.clone(),
        Value::Bool(false) => Map::from_iter([("enum".to_owned(), Value::Array(Vec::new()))]),
        _ => Map::new(),
    };
    while let Some(reference) = node.remove("$ref") {
        let name = reference.as_str().unwrap();
        let pointer = name.strip_prefix('#').unwrap_or_else(|| panic!("{name} is in another document"));
        let target = root.pointer(pointer).unwrap_or_else(|| panic!("{name} is not there"));
        for (key, value) in target.as_object().unwrap() {
            let both = node.insert(key.clone(), value.clone());
            let is_note = NOTES.contains(&key.as_str());
            assert!(both.is_none() || is_note, "{name} says {key}, and so does who refers to it");
        }
    }
    node.retain(|key, _| !NOTES.contains(&key.as_str()));
    let format = node.get("format").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some((_, least, most)) = INTEGERS.iter().find(|(name, ..)| *name == format) {
        node.remove("format");
        tighten(&mut node, "minimum", *least, i128::max);
        tighten(&mut node, "maximum", *most, i128::min);
    }
    node
}

fn tighten(node: &mut Node, key: &str, limit: i128, tighter: fn(i128, i128) -> i128) {
    let limit = number(node.get(key)).map_or(limit, |given| tighter(given, limit));
    // As text where it is no i64 or u64: both sides read it by `number`.
    node.insert(key.to_owned(), Value::String(limit.to_string()));
}

fn number(value: Option<&Value>) -> Option<i128> {
    match value? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// The only good documents, where a schema lists them.
fn values(root: &Value, node: &Node) -> Option<Vec<Value>> {
    if let Some(one) = node.get("const") {
        return Some(vec![one.clone()]);
    }
    if let Some(some) = node.get("enum") {
        return some.as_array().cloned();
    }
    let of = |branch: &Value| values(root, &resolved(root, branch));
    let lists: Vec<Vec<Value>> = branches(node)?.iter().map(of).collect::<Option<_>>()?;
    Some(lists.concat())
}

/// Of which a document has to be one.
fn branches(node: &Node) -> Option<&Vec<Value>> {
    node.get("oneOf").or_else(|| node.get("anyOf")).and_then(Value::as_array)
}

fn types(node: &Node) -> Vec<&str> {
    match node.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).collect(),
        _ => ALL_TYPES.to_vec(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn has_type(node: &Node, kind: &str) -> bool {
    let types = types(node);
    types.contains(&kind) || (kind == "integer" && types.contains(&"number"))
}

fn members<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = (&'n String, &'n Value)> {
    node.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn member<'n>(node: &'n Node, key: &str, name: &str) -> Option<&'n Value> {
    node.get(key)?.get(name)
}

fn required(node: &Node) -> Vec<&str> {
    node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether each document of one schema is one of another.
struct Comparison<'a> {
    breaks: Breaks,
    kind: Kind,
    from: &'a Value,
    to: &'a Value,
    /// What is being compared: a schema that holds itself is not compared for ever.
    open: Vec<(String, String)>,
    found: Vec<Incompatible>,
}

impl<'a> Comparison<'a> {
    fn run(breaks: Breaks, kind: Kind, from: &'a Value, to: &'a Value) -> Vec<Incompatible> {
        let mut comparison = Self { breaks, kind, from, to, open: Vec::new(), found: Vec::new() };
        comparison.schema("", from, to);
        comparison.found
    }

    fn tell(&mut self, path: &str, what: impl Into<String>) {
        let (path, breaks) = (path.to_owned(), self.breaks);
        self.found.push(Incompatible { path, breaks, what: what.into() });
    }

    fn is_newer(&self) -> bool {
        self.breaks == Breaks::OldDocuments
    }

    fn schema(&mut self, path: &str, from: &Value, to: &Value) {
        // By its reference or its text: within one pair of documents, either says which schema it is.
        let pair = (from.to_string(), to.to_string());
        if self.open.contains(&pair) {
            return;
        }
        self.open.push(pair);
        self.node(path, &resolved(self.from, from), &resolved(self.to, to));
        self.open.pop();
    }

    fn node(&mut self, path: &str, from: &Node, to: &Node) {
        match (values(self.from, from), values(self.to, to)) {
            (Some(from), Some(to)) => {
                for value in from.iter().filter(|value| !to.contains(value)) {
                    self.tell(path, format!("the value {value} is not taken"));
                }
            }
            (Some(from), None) => {
                for value in from.iter().filter(|value| !has_type(to, type_of(value))) {
                    self.tell(path, format!("the value {value} is not taken"));
                }
                self.limits(path, &Map::new(), to);
            }
            (None, Some(_)) => self.tell(path, "only listed values are taken"),
            (None, None) => self.unlisted(path, from, to),
        }
    }

    /// Neither lists its values.
    fn unlisted(&mut self, path: &str, from: &Node, to: &Node) {
        if let Some(some) = branches(from) {
            let rest: Node =
                from.iter().filter(|(key, _)| !matches!(&***key, "oneOf" | "anyOf")).map(owned).collect();
            for branch in some {
                let mut one = resolved(self.from, branch);
                one.extend(rest.clone());
                self.node(path, &one, to);
            }
            return;
        }
        if let Some(some) = branches(to) {
            // It has to be one of these: which fits best, is told of.
            let rest: Node =
                to.iter().filter(|(key, _)| !matches!(&***key, "oneOf" | "anyOf")).map(owned).collect();
            let before = std::mem::take(&mut self.found);
            let mut best: Option<Vec<Incompatible>> = None;
            for branch in some {
                let mut one = resolved(self.to, branch);
                one.extend(rest.clone());
                self.node(path, from, &one);
                let found = std::mem::take(&mut self.found);
                if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                    best = Some(found);
                }
            }
            self.found = before;
            self.found.extend(best.unwrap_or_default());
            return;
        }
        for kind in types(from).into_iter().filter(|kind| !has_type(to, kind)) {
            self.tell(path, format!("{kind} is not taken"));
        }
        self.limits(path, from, to);
        self.object(path, from, to);
        if let Some(now) = to.get("items") {
            let before = from.get("items").cloned().unwrap_or(Value::Bool(true));
            self.schema(&format!("{path}/*"), &before, now);
        }
    }

    /// All that limits a value itself.
    fn limits(&mut self, path: &str, from: &Node, to: &Node) {
        for (key, limit) in to {
            let (before, now) = (number(from.get(key)), number(Some(limit)));
            let is_tighter = match key.as_str() {
                key if LEAST.contains(&key) => before.is_none_or(|before| now.is_none_or(|now| now > before)),
                key if MOST.contains(&key) => before.is_none_or(|before| now.is_none_or(|now| now < before)),
                key if EXACT.contains(&key) => from.get(key) != Some(limit),
                _ => continue,
            };
            if is_tighter {
                let before = from.get(key).map_or("nothing".to_owned(), Value::to_string);
                self.tell(path, format!("{key} is {limit}, where {before} was"));
            }
        }
        for key in from.keys().chain(to.keys()) {
            let known = [&LEAST[..], &MOST, &EXACT, &SHAPE, &[OPEN_WORDS]].concat();
            if !known.contains(&key.as_str()) && from.get(key) != to.get(key) {
                self.tell(path, format!("{key} has changed, which this check does not understand"));
            }
        }
        if self.is_newer() {
            let words =
                |node: &Node| node.get(OPEN_WORDS).and_then(Value::as_array).cloned().unwrap_or_default();
            let now = words(to);
            for word in words(from).iter().filter(|word| !now.contains(word)) {
                self.tell(path, format!("the word {word} is gone"));
            }
        }
    }

    fn object(&mut self, path: &str, from: &Node, to: &Node) {
        let any = Value::Bool(true);
        let others = |node: &Node| node.get("additionalProperties").unwrap_or(&any).clone();
        let (from_others, to_others) = (others(from), others(to));
        let is_closed = to_others == Value::Bool(false);
        for (name, property) in members(from, "properties") {
            let path = format!("{path}/{name}");
            match member(to, "properties", name) {
                Some(now) => self.schema(&path, property, now),
                None if to_others.is_object() => self.schema(&path, property, &to_others),
                None if self.is_newer() => self.tell(&path, "the field is gone"),
                None if is_closed => self.tell(&path, "the field is new, and nothing unknown is let pass"),
                None => {}
            }
        }
        for name in required(to).into_iter().filter(|name| !required(from).contains(name)) {
            let what = if self.is_newer() { "the field is required" } else { "the field may be absent" };
            self.tell(&format!("{path}/{name}"), what);
        }
        self.unknown(path, (from, &from_others), (to, &to_others));
    }

    /// Fields that are not declared.
    fn unknown(
        &mut self,
        path: &str,
        (from, from_others): (&Node, &Value),
        (to, to_others): (&Node, &Value),
    ) {
        let (was_closed, is_closed) = (*from_others == Value::Bool(false), *to_others == Value::Bool(false));
        match (was_closed, is_closed) {
            (false, true) => self.tell(path, "what is unknown is not let pass"),
            // A caller's slip of the pen would not be told any more.
            (true, false) if self.kind == Kind::Command => self.tell(path, "what is unknown is let pass"),
            (false, false) if to_others.is_object() => {
                self.schema(&format!("{path}/*"), from_others, to_others)
            }
            _ => {}
        }
        for (pattern, schema) in members(from, "patternProperties") {
            match member(to, "patternProperties", pattern) {
                Some(now) => self.schema(&format!("{path}/*"), schema, now),
                None => self.tell(path, format!("fields like {pattern} are not let pass")),
            }
        }
        let is_any = |schema: &Value| *schema == Value::Bool(true);
        for (pattern, schema) in members(to, "patternProperties") {
            if member(from, "patternProperties", pattern).is_none() && !is_any(schema) {
                self.tell(path, format!("fields like {pattern} have a rule"));
            }
        }
        let is_free = members(from, "patternProperties").next().is_some() || from_others.is_object();
        for (name, schema) in members(to, "properties") {
            if self.kind == Kind::Command
                && is_free
                && member(from, "properties", name).is_none()
                && !is_any(schema)
            {
                self.tell(&format!("{path}/{name}"), "a name that callers may have used has a rule");
            }
        }
    }
}

fn owned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}
