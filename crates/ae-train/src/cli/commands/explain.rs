//! `ae explain`: what figures, settings and variants mean.
//!
//! Figures come from one table ([`glossary`]), settings from the doc comments of their types ([`fields`]), variants
//! from their own list.

use ae_data::did_you_mean;
use ae_model::{Registry, VARIANTS};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    Error, Result,
    cli::{
        entry::{Entry, Group},
        glossary::{self, FIGURES, Figure},
        json::document,
        output::{has_color, print},
        printable::bold,
    },
    fields::{self, Field},
};

/// What to explain.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// A figure such as fvu, a setting such as training.weight_decay, or a variant; without it everything is listed.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae explain", "everything that can be explained"),
        ("ae explain fvu", "a figure: formula, unit, range, paper"),
        ("ae explain training.weight_decay", "a setting"),
        ("ae explain denoising", "a variant"),
    ];
    let about = "Explain a figure, a setting or a variant: formula, unit, range, source";
    Entry::new(Group::LookUp, "explain", about, examples, run)
}

/// What there is to explain.
struct Known {
    fields: Vec<Field>,
    parts: Vec<fields::Table>,
}

impl Known {
    fn new(registry: &Registry) -> Self {
        let mut parts = fields::parts(registry);
        let mut all = fields::fields(registry);
        all.extend(parts.iter().flat_map(|part| part.fields.iter().cloned()));
        parts.extend(fields::networks(registry));
        Self { fields: all, parts }
    }

    /// Every name, for one that is nearly right.
    fn names(&self) -> impl Iterator<Item = &str> {
        let figures = FIGURES.iter().flat_map(|figure| figure.names.iter().copied());
        let fields = self.fields.iter().map(|field| field.path.as_str());
        let parts = self.parts.iter().map(|part| part.path.as_str());
        figures.chain(fields).chain(parts).chain(VARIANTS.iter().map(|variant| variant.name))
    }

    /// Everything that goes by this name.
    fn find(&self, name: &str) -> Vec<Value> {
        let mut found: Vec<Value> = glossary::find(name).map(of_figure).into_iter().collect();
        found.extend(VARIANTS.iter().filter(|variant| variant.name == name).map(|variant| {
            json!({
                "kind": "variant",
                "name": variant.name,
                "meaning": variant.idea,
                "formula": variant.formula,
                "source": variant.reference,
            })
        }));
        let is_exact = |path: &str| path == name;
        // `weight_decay` for `training.weight_decay`, if a whole path does not say it.
        let is_end = |path: &str| path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        for is_it in [&is_exact as &dyn Fn(&str) -> bool, &is_end] {
            let parts =
                self.parts.iter().filter(|part| is_it(&part.path) || is_it(&format!("{}.{}", part.path, part.name)));
            let parts = parts.map(|part| {
                let fields = part.fields.iter().map(|field| json!({ "name": field.path, "meaning": field.describe() }));
                json!({
                    "kind": "part",
                    "name": part.path,
                    "part": part.name,
                    "meaning": part.meaning,
                    "fields": fields.collect::<Vec<_>>(),
                })
            });
            let settings = self.fields.iter().filter(|field| is_it(&field.path)).map(|field| self.of_field(field));
            let settings: Vec<Value> = settings.chain(parts).collect();
            if !settings.is_empty() {
                found.extend(settings);
                break;
            }
        }
        found
    }

    /// A setting, with those below it if it is a table.
    fn of_field(&self, field: &Field) -> Value {
        let mut of = of_field(field);
        let is_below = |path: &str| path.strip_prefix(&field.path).is_some_and(|rest| rest.starts_with('.'));
        // Of a part that is chosen by its kind, the kinds have them.
        let is_chosen = self.parts.iter().any(|part| part.path == field.path || is_below(&part.path));
        if !is_chosen {
            let below = self.fields.iter().filter(|other| is_below(&other.path));
            of["fields"] = below.map(|other| json!({ "name": other.path, "meaning": other.describe() })).collect();
        }
        of
    }
}

fn of_figure(figure: &Figure) -> Value {
    json!({
        "kind": "figure",
        "name": figure.names[0],
        "names": figure.names,
        "meaning": figure.meaning,
        "formula": figure.formula,
        "unit": figure.unit,
        "range": figure.range,
        "source": figure.source,
    })
}

fn of_field(field: &Field) -> Value {
    json!({
        "kind": "setting",
        "name": field.path,
        "meaning": field.meaning,
        "choices": field.choices,
        "default": field.default,
    })
}

/// Prints what is known.
fn run(args: &ExplainArgs, registry: &Registry) -> Result<()> {
    let known = Known::new(registry);
    let Some(name) = &args.name else {
        return match args.json {
            true => {
                let figures: Vec<Value> = FIGURES.iter().map(of_figure).collect();
                let settings: Vec<Value> = known.fields.iter().map(of_field).collect();
                let variants: Vec<&str> = VARIANTS.iter().map(|variant| variant.name).collect();
                document(&json!({ "figures": figures, "settings": settings, "variants": variants }))
            }
            false => print(&list(&known)),
        };
    };
    let found = known.find(name);
    if found.is_empty() {
        let meant = did_you_mean(name, known.names());
        let advice = meant.map(|question| format!("; {question}")).unwrap_or_default();
        return Err(Error::Usage(format!("nothing is called `{name}`{advice} (`ae explain` lists all names)")));
    }
    match args.json {
        true => document(&found),
        false => print(&found.iter().map(text).collect::<Vec<_>>().join("\n")),
    }
}

/// Every name, by kind.
fn list(known: &Known) -> String {
    let mut text = format!("{}\n", heading("Figures"));
    for figure in FIGURES {
        let (first, others) = figure.names.split_first().unwrap_or((&"", &[]));
        let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
        text += &format!("  {first}{others}\n");
    }
    text += &format!("\n{}\n", heading("Settings"));
    let mut paths: Vec<&str> = known.fields.iter().map(|field| field.path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.iter().for_each(|path| text += &format!("  {path}\n"));
    text += &format!("\n{}\n", heading("Variants"));
    VARIANTS.iter().for_each(|variant| text += &format!("  {}\n", variant.name));
    text + "\n`ae explain NAME` says what one of them means; the last part of a setting is enough.\n"
}

fn heading(text: &str) -> String {
    if has_color(&std::io::stdout()) { bold(text) } else { text.to_string() }
}

/// What is known of one name, in lines.
fn text(of: &Value) -> String {
    let word = |key: &str| of[key].as_str().unwrap_or_default();
    let name = match of["part"].as_str() {
        // Of parts that are chosen by their kind several have one path.
        Some(part) if !word("name").ends_with(part) => format!("{} = \"{part}\"", word("name")),
        _ => word("name").to_string(),
    };
    let mut text = format!("{} ({})\n  {}\n", heading(&name), word("kind"), word("meaning"));
    let list = |key: &str| -> Vec<String> {
        let values = of[key].as_array().into_iter().flatten();
        values.filter_map(|value| value.as_str().map(str::to_string)).collect()
    };
    let mut line = |what: &str, said: &str| {
        if !said.is_empty() {
            text += &format!("  {:<9} {said}\n", format!("{what}:"));
        }
    };
    line("also", &list("names").get(1..).unwrap_or_default().join(", "));
    line("formula", word("formula"));
    line("unit", word("unit"));
    line("range", word("range"));
    line("source", word("source"));
    line("one of", &list("choices").join(", "));
    let default = of.get("default").filter(|default| !default.is_null() && !default.is_object());
    if let Some(default) = default.filter(|_| !word("meaning").contains("Default:")) {
        line("default", &default.to_string());
    }
    for field in of["fields"].as_array().into_iter().flatten() {
        let said = |key: &str| field[key].as_str().unwrap_or_default();
        text += &format!("  {}\n      {}\n", said("name"), said("meaning"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_their_path_or_its_end_and_variants_by_name() {
        let known = Known::new(&Registry::default());
        let kinds = |name: &str| {
            let found = known.find(name);
            let kinds = found
                .iter()
                .map(|of| (of["kind"].as_str().unwrap().to_string(), of["name"].as_str().unwrap().to_string()));
            kinds.collect::<Vec<_>>()
        };
        for name in ["training.weight_decay", "weight_decay"] {
            assert_eq!(kinds(name), [("setting".to_string(), "training.weight_decay".to_string())]);
        }
        assert_eq!(kinds("masked")[0].0, "variant");
        assert!(kinds("model.penalty.l1").iter().any(|(kind, _)| kind == "part"));
        assert!(kinds("learning_rate").iter().any(|(kind, _)| kind == "figure"));
        assert!(kinds("learning_rate").iter().any(|(_, name)| name == "training.learning_rate"));
        assert_eq!(kinds("dictionary"), [("part".to_string(), "model.network".to_string())]);
        assert!(kinds("nothing_of_the_sort").is_empty());
        let said = text(&known.find("dictionary")[0]);
        assert!(said.contains("model.network.center") && !said.contains("model.network.hidden"), "{said}");
        let said = text(&known.find("resample")[0]);
        assert!(said.contains("model.resample.every"), "{said}");
        let said = text(&known.find("fvu")[0]);
        assert!(["formula:", "unit:", "range:"].iter().all(|part| said.contains(part)), "{said}");
    }
}
