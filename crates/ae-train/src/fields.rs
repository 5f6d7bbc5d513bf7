//! What each field of a configuration means, taken from the doc comments of the types that it is read into.

use std::collections::HashMap;

use ae_model::{Registry, network::Network, registry::Kind};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::Config;

/// Tables within tables that are explained.
const DEEPEST: usize = 6;

/// A field of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Dotted path, such as `model.code.k`.
    pub path: String,
    /// Meaning, unit, range and default, in sentences.
    pub meaning: String,
    /// What it may be, if those are words.
    pub choices: Vec<String>,
    /// Its default, where its table has defaults.
    pub default: Option<Value>,
    /// The kinds of its table that have it, where a table has a `kind`.
    pub kinds: Vec<String>,
}

impl Field {
    /// Meaning and choices, for people.
    pub fn describe(&self) -> String {
        match self.choices.as_slice() {
            [] => self.meaning.clone(),
            choices => format!("{} One of: {}.", self.meaning, choices.join(", ")).trim_start().to_string(),
        }
    }
}

/// A part that a configuration can name, with its fields.
#[derive(Debug, Clone)]
pub struct Table {
    /// Dotted path, such as `model.penalty.l1`; of a part that is chosen by its `kind`, where that stands.
    pub path: String,
    /// Name of the part.
    pub name: String,
    /// What it is.
    pub meaning: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// The fields of every configuration, without those of the parts.
pub fn fields(registry: &Registry) -> Vec<Field> {
    let mut fields = of(&SchemaGenerator::default().into_root_schema_for::<Config>(), "");
    for (path, names) in [
        ("model.code.kind", names(registry.codes())),
        ("model.reconstruction", names(registry.losses())),
        ("model.reconstruction.kind", names(registry.losses())),
    ] {
        // The names are the registry's; what the choice is about stands at the recipe's own field.
        let parent =
            fields.iter().find(|field| path.starts_with(&field.path) && field.path.matches('.').count() == 1).cloned();
        fields.retain(|field| field.path != path);
        fields.extend(parent.map(|parent| Field { path: path.to_string(), choices: names, ..parent }));
    }
    fields
}

/// The parts of the registry, each with its fields.
pub fn parts(registry: &Registry) -> Vec<Table> {
    fn of_kind<T: ?Sized>(tables: &mut Vec<Table>, kinds: &[Kind<T>], path: &dyn Fn(&str) -> String) {
        tables.extend(kinds.iter().map(|kind| {
            let mut generator = SchemaGenerator::default();
            let schema = (kind.schema)(&mut generator);
            // A schema of `true` or `false` describes no fields.
            let mut root = schema.to_value().as_object().cloned().unwrap_or_default();
            root.insert("$defs".to_string(), Value::Object(generator.take_definitions(true)));
            let (schema, path) = (Schema::from(root), path(kind.name));
            Table { fields: of(&schema, &path), path, name: kind.name.to_string(), meaning: meaning(schema.as_value()) }
        }));
    }
    let mut tables = Vec::new();
    of_kind(&mut tables, registry.codes(), &|_| "model.code".to_string());
    of_kind(&mut tables, registry.losses(), &|_| "model.reconstruction".to_string());
    of_kind(&mut tables, registry.corruptions(), &|name| format!("model.corruption.{name}"));
    of_kind(&mut tables, registry.penalties(), &|name| format!("model.penalty.{name}"));
    tables
}

/// The kinds of networks, each with its fields.
pub fn networks(registry: &Registry) -> Vec<Table> {
    const PATH: &str = "model.network";
    let fields = fields(registry);
    let schema = SchemaGenerator::default().into_root_schema_for::<Network>();
    let kinds = schema.as_value()["oneOf"].as_array().into_iter().flatten();
    let table = |kind: &Value| {
        let name = kind["properties"]["kind"]["const"].as_str()?.to_string();
        let is_its = |field: &&Field| {
            field.path.strip_prefix(PATH).is_some_and(|rest| rest.starts_with('.') && rest != ".kind")
                && (field.kinds.is_empty() || field.kinds.contains(&name))
        };
        let fields = fields.iter().filter(is_its).cloned().collect();
        Some(Table { path: PATH.to_string(), meaning: meaning(kind), fields, name })
    };
    kinds.filter_map(table).collect()
}

fn names<T: ?Sized>(kinds: &[Kind<T>]) -> Vec<String> {
    kinds.iter().map(|kind| kind.name.to_string()).collect()
}

/// A configuration in TOML, with the meaning above each field and each table, and what could be set and is not.
pub(crate) fn explained(plain: &str, config: &Config) -> String {
    let meanings = Meanings::new(plain, config);
    let (mut table, mut text, mut is_inside) = (String::new(), String::new(), false);
    for line in plain.lines() {
        if is_inside {
            text += line;
        } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            // Of a table that only has tables TOML writes no line.
            for above in name.match_indices('.').map(|(end, _)| &name[..end]).filter(|above| above.contains('.')) {
                if !text.contains(&format!("[{above}]\n")) {
                    text += &format!("{}# [{above}]\n{}", meanings.of(above), meanings.not_set(above));
                }
            }
            text += &format!("{}{line}\n{}", meanings.of(name), meanings.not_set(name));
            table = format!("{name}.");
            continue;
        } else {
            if let Some((key, _)) = line.split_once(" = ") {
                text += &meanings.of(&format!("{table}{key}"));
            }
            text += line;
        }
        // A text of several lines is none of ours to explain.
        is_inside ^= line.matches("\"\"\"").count() % 2 == 1;
        text.push('\n');
    }
    text
}

/// What there is to say about a configuration.
struct Meanings {
    fields: Vec<Field>,
    /// Of the parts that are tables of their own, all; of the others the chosen one.
    parts: Vec<Table>,
    /// Codes and losses that are not chosen.
    others: Vec<Table>,
    /// What is set.
    values: HashMap<String, String>,
}

impl Meanings {
    fn new(plain: &str, config: &Config) -> Self {
        let registry = &config.registry;
        let (parts, others): (Vec<_>, Vec<_>) =
            parts(registry).into_iter().partition(|part| match part.path.as_str() {
                "model.code" => part.name == config.model.code.name(),
                "model.reconstruction" => part.name == config.model.reconstruction.name(),
                _ => true,
            });
        let mut fields = fields(registry);
        fields.extend(parts.iter().flat_map(|part| part.fields.iter().cloned()));
        let mut values = HashMap::new();
        if let Ok(table) = plain.parse() {
            flatten(&toml::Value::Table(table), "", &mut values);
        }
        Self { fields, parts, others, values }
    }

    /// The meaning of a field or a table, a line each for what it is and for what is chosen.
    fn of(&self, path: &str) -> String {
        let table = path.rsplit_once('.').map_or("", |(table, _)| table);
        let field =
            self.fields.iter().find(|field| field.path == path && self.is_of_kind(field, table)).map(Field::describe);
        let part = self.parts.iter().find(|part| part.path == path).map(|part| part.meaning.clone());
        field.into_iter().chain(part).map(|meaning| format!("# {meaning}\n")).collect()
    }

    /// Whether the table, as it is, can have the field.
    fn is_of_kind(&self, field: &Field, table: &str) -> bool {
        field.kinds.is_empty()
            || self.values.get(&format!("{table}.kind")).is_some_and(|kind| field.kinds.contains(kind))
    }

    /// What could be set in a table and is not, a line each.
    fn not_set(&self, table: &str) -> String {
        let is_missing = |path: &str| is_below(path, table) && !self.values.contains_key(path);
        let mut text = String::new();
        for field in self.fields.iter().filter(|field| is_missing(&field.path) && self.is_of_kind(field, table)) {
            let below: Vec<&Field> = self.fields.iter().filter(|other| is_below(&other.path, &field.path)).collect();
            // Of a table or a number the number is the usual one.
            if below.is_empty() || !field.choices.is_empty() {
                text += &format!("# {} (not set): {}\n", &field.path[table.len() + 1..], field.describe());
            } else {
                text += &format!("# [{}] (not set): {}\n{}", field.path, field.describe(), listed(&field.path, &below));
            }
        }
        for part in self.parts.iter().filter(|part| is_missing(&part.path)) {
            text += &format!(
                "# [{}] (not set): {}\n{}",
                part.path,
                part.meaning,
                listed(&part.path, &part.fields.iter().collect::<Vec<_>>())
            );
        }
        for part in self.others.iter().filter(|part| part.path == table) {
            text += &format!(
                "# kind = \"{}\" (not chosen): {}\n{}",
                part.name,
                part.meaning,
                listed(table, &part.fields.iter().collect::<Vec<_>>())
            );
        }
        text
    }
}

/// Whether a path is that of a field of this table.
fn is_below(path: &str, table: &str) -> bool {
    path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.') && !rest[1..].contains('.'))
}

/// The fields of a table that is not there, a line each, with their defaults.
fn listed(table: &str, fields: &[&Field]) -> String {
    let line = |field: &&Field| {
        let default = field.default.as_ref().and_then(|default| toml::Value::try_from(default).ok());
        let default = default.map(|default| format!(" = {default}")).unwrap_or_default();
        format!("#     {}{default}: {}\n", &field.path[table.len() + 1..], field.describe())
    };
    fields.iter().copied().filter(|field| is_below(&field.path, table)).map(|field| line(&field)).collect()
}

/// The dotted paths of what is set, with the values of those that are texts.
fn flatten(value: &toml::Value, path: &str, values: &mut HashMap<String, String>) {
    if let toml::Value::Table(table) = value {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            flatten(value, &path, values);
            values.insert(path, value.as_str().unwrap_or_default().to_string());
        }
    }
}

/// The fields that a schema describes, below `path`.
fn of(schema: &Schema, path: &str) -> Vec<Field> {
    let root = schema.as_value();
    let mut fields = Vec::new();
    walk(root, root, path, None, &mut fields);
    fields
}

fn walk(schema: &Value, root: &Value, path: &str, kind: Option<&str>, fields: &mut Vec<Field>) {
    // Settings within settings of the same type have no end.
    if path.matches('.').count() > DEEPEST {
        return;
    }
    let schema = resolved(schema, root);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let own = meaning(property);
        let meaning = if own.is_empty() { meaning(resolved(property, root)) } else { own };
        let choices = choices(property, root);
        match fields.iter_mut().find(|field| field.path == path && (field.meaning == meaning || name == "kind")) {
            // Alternatives of one field: the kinds of a network.
            Some(field) => {
                field
                    .choices
                    .extend(choices.into_iter().filter(|choice| !field.choices.contains(choice)).collect::<Vec<_>>());
                field.kinds.extend(kind.filter(|_| name != "kind").map(str::to_string));
            }
            None => {
                let kinds = kind.filter(|_| name != "kind").map(str::to_string).into_iter().collect();
                fields.push(Field {
                    path: path.clone(),
                    meaning,
                    choices,
                    default: property.get("default").cloned(),
                    kinds,
                });
            }
        }
        walk(property, root, &path, None, fields);
    }
    for alternatives in ["anyOf", "oneOf", "allOf"] {
        for alternative in schema[alternatives].as_array().into_iter().flatten() {
            let kind = alternative["properties"]["kind"]["const"].as_str();
            walk(alternative, root, path, kind, fields);
        }
    }
}

/// The schema that a reference stands for.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
    name.map_or(schema, |name| resolved(&root["$defs"][name], root))
}

/// The words that a field may be.
fn choices(schema: &Value, root: &Value) -> Vec<String> {
    let schema = resolved(schema, root);
    let word = |value: &Value| value.as_str().map(str::to_string);
    let mut words: Vec<String> = schema["enum"].as_array().into_iter().flatten().filter_map(word).collect();
    words.extend(word(&schema["const"]));
    for alternatives in ["anyOf", "oneOf"] {
        for alternative in schema[alternatives].as_array().into_iter().flatten() {
            words.extend(choices(alternative, root));
            let alternative = resolved(alternative, root);
            if alternative["type"] == "number" {
                words.push("a number".to_string());
            }
            let required = alternative["required"].as_array().into_iter().flatten();
            let required: Vec<_> = required.filter_map(|name| name.as_str()).collect();
            if alternative["type"] == "object" && !required.contains(&"kind") {
                words.push(format!("{{ {} }}", required.join(", ")));
            }
        }
    }
    words
}

/// The first paragraph of a doc comment, without the marks of links.
fn meaning(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let paragraph = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let mut plain = String::new();
    let mut rest = paragraph.as_str();
    while let Some((before, link)) = rest.split_once("[`") {
        plain += before;
        let Some((name, after)) = link.split_once("`]") else {
            plain += "[`";
            rest = link;
            continue;
        };
        plain += &format!("`{name}`");
        // The address of a link is not for the terminal.
        rest = match after.strip_prefix('(').and_then(|address| address.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_that_is_said_is_the_default() {
        let registry = Registry::default();
        let all = fields(&registry).into_iter().chain(parts(&registry).into_iter().flat_map(|part| part.fields));
        let mut compared = 0;
        for field in all {
            assert!(!field.describe().is_empty(), "`{}` has no meaning", field.path);
            let said =
                field.meaning.split_once("Default: ").map(|(_, said)| said.trim_end_matches('.').replace('`', ""));
            let (Some(said), Some(default)) =
                (said, field.default.filter(|default| !default.is_object() && !default.is_null()))
            else {
                continue;
            };
            let is_same = match default.as_f64() {
                Some(number) => said.parse() == Ok(number),
                None => default.to_string().replace('"', "").replace(',', ", ") == said,
            };
            assert!(is_same, "`{}`: the default is {default}, not {said}", field.path);
            compared += 1;
        }
        assert!(compared > 30, "only {compared} fields say their default");
    }
}
