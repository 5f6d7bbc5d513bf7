//! `ae sweep`: every combination of some settings, trained and compared. The best one is chosen by its error on the
//! validation rows: chosen by the test rows, its test error would be too good.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ae_data::sink::write_bytes;
use ae_model::Registry;
use clap::{Args, ValueHint};
use serde::Serialize;
use toml::{Table as Toml, Value};

use super::compare;
use crate::{
    Config, Error, Result, Run,
    cli::{
        args::{ConfigArgs, within},
        chart::{self, Panel, Point, Series},
        devices,
        entry::{Entry, Group},
        json::document,
        many::{Many, Planned, folder},
        output::{note, print, warn},
    },
    compare::{Figure, Line},
    history,
};

/// The figure that the best combination is chosen by.
const CHOSEN_BY: &str = "validation fvu";

/// The column of `metrics.csv` that holds it.
const COLUMN: &str = "valid_fvu";

/// Combinations that are trained, at most.
const MOST: usize = 10_000;

/// What to sweep.
#[derive(Debug, Clone, Args)]
pub struct SweepArgs {
    /// Seeds to train each combination with.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = within(1..=1000))]
    pub seeds: usize,
    /// Folder of the runs, the chart and the best configuration; runs that are there already are used. By default
    /// runs/sweep-DATA.
    #[arg(short, long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Train the combinations at the same time on the same batches, so that the data is read once: for settings of the
    /// model and the optimizer. Each has the result that it has by itself.
    #[arg(long)]
    pub together: bool,
    /// Device to train on: auto, or one that `ae devices` lists.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// What to train and how.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae sweep -s model.code_dim=[4,8,16] -e 10", "three widths of the code"),
        (
            "ae sweep -s model.code_dim=[8,16] -s training.learning_rate=[1e-3,3e-3] --seeds 3 -e 10",
            "four combinations with three seeds each: mean and standard deviation",
        ),
        ("ae sweep -s model.network.hidden=[[64],[256,64]] -e 10", "a setting that is a list: a list of lists"),
    ];
    let about = "Train every combination of some settings, and choose the best by its validation error";
    Entry::new(Group::Train, "sweep", about, examples, run).augmented(augment)
}

/// The arguments, of which `--set` takes several values here.
fn augment(command: clap::Command) -> clap::Command {
    let help = "A setting with its value, or with the values to sweep: model.code_dim=[8,16,32]; repeatable";
    SweepArgs::augment_args(command).mut_arg("set", |arg| arg.help(help).value_name("KEY=[VALUE,...]"))
}

/// A setting that takes several values.
#[derive(Debug, Clone)]
struct Swept {
    key: String,
    values: Vec<Value>,
}

/// What one combination of the settings led to.
#[derive(Debug, Clone, Serialize)]
struct Combination {
    /// Its settings.
    settings: BTreeMap<String, Value>,
    /// Folders of its runs.
    runs: Vec<String>,
    /// Error on the validation rows, at the epoch that was kept: mean over the runs; null if none has ended.
    validation_fvu: f64,
    /// Its standard deviation; 0 of one run.
    validation_fvu_deviation: f64,
    /// Seeds whose loss became infinite before an epoch could be kept.
    diverged: usize,
}

/// What a sweep led to.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    combinations: &'a [Combination],
    /// The comparison on the test rows, with PCA of each width.
    lines: &'a [Line],
    /// The settings of the best combination, by its validation error.
    best: &'a BTreeMap<String, Value>,
    /// The file of its configuration.
    best_config: String,
    chart: String,
    /// What trains the best combination.
    command: String,
}

/// Trains what is missing, and prints the result.
fn run(args: &SweepArgs, registry: &Registry) -> Result<()> {
    let (fixed, swept) = settings(&args.config.set)?;
    let combinations = combinations(&swept)?;
    let configs = configurations(args, &fixed, &swept, &combinations, registry)?;
    let source = configs.first().map(|config| config.data.source.clone()).unwrap_or_default();
    let folder = folder(args.out.as_deref(), "sweep", &source);
    let device = devices::choose(&args.device)?.open()?;

    let mut many = Many::new(&device, combinations.len() * args.seeds, "call the sweep again: it goes on where it was");
    let names: Vec<String> = combinations.iter().map(|values| name(&swept, values)).collect();
    let planned = |index: usize, seed: u64| {
        let config = Config { seed: configs[index].seed + seed, ..configs[index].clone() };
        Planned { folder: folder.join(format!("{}-seed{}", names[index], config.seed)), config }
    };
    let (mut runs, mut results) = (Vec::new(), Vec::new());
    // By seed, then by combination.
    let mut together = Vec::new();
    if args.together {
        for seed in 0..args.seeds as u64 {
            let planned = (0..combinations.len()).map(|index| planned(index, seed)).collect();
            together.push(many.train_together(planned)?.into_iter().map(Some).collect::<Vec<_>>());
        }
    }
    for (index, values) in combinations.iter().enumerate() {
        let (mut errors, mut folders, mut diverged) = (Vec::new(), Vec::new(), 0);
        for seed in 0..args.seeds {
            let planned = planned(index, seed as u64);
            let path = planned.folder.clone();
            let trained = match together.get_mut(seed).and_then(|runs| runs[index].take()) {
                Some(trained) => trained,
                None => many.train(planned),
            };
            match trained {
                Ok(run) => {
                    errors.push(validation(&run)?);
                    folders.push(path.display().to_string());
                    runs.push(run);
                }
                // One that cannot be trained with these settings says something about them, and the others go on.
                Err(error @ Error::Diverged { .. }) => {
                    warn(&format!("{} is left out: {error}", path.display()));
                    diverged += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let (mean, deviation) = moments(&errors);
        results.push(Combination {
            settings: swept.iter().map(|swept| swept.key.clone()).zip(values.iter().cloned()).collect(),
            runs: folders,
            validation_fvu: mean,
            validation_fvu_deviation: deviation,
            diverged,
        });
    }
    let whole = results.iter().enumerate().filter(|(_, of)| of.diverged == 0 && of.validation_fvu.is_finite());
    let best = whole.min_by(|(_, a), (_, b)| a.validation_fvu.total_cmp(&b.validation_fvu)).map(|(index, _)| index);
    let best = best.ok_or_else(|| {
        Error::Failed("no combination was trained with every seed: lower `training.learning_rate`".to_string())
    })?;

    let mut lines = compare::measured(&runs, &device)?;
    for line in &mut lines {
        let of = results.iter().find(|of| of.runs.iter().any(|run| line.folders.contains(run)));
        line.figures.splice(0..0, of.map(|of| chosen_by(of, &results[best])));
    }
    let (toml, svg) = (folder.join("best.toml"), folder.join("sweep.svg"));
    write_bytes(&toml, configs[best].to_toml().as_bytes())?;
    write_bytes(&svg, chart::svg(&panels(&swept, &results), "fvu on the validation rows").as_bytes())?;
    let command = format!("ae train --config {}", quoted(&toml));
    if args.json {
        return document(&Outcome {
            combinations: &results,
            lines: &lines,
            best: &results[best].settings,
            best_config: toml.display().to_string(),
            chart: svg.display().to_string(),
            command,
        });
    }
    print(&compare::text(&lines))?;
    let spread = match args.seeds {
        1 => String::new(),
        _ => format!(" ± {}", compare::short(results[best].validation_fvu_deviation)),
    };
    print(&format!(
        "{CHOSEN_BY}: on the validation rows, which the best is chosen by; the other columns are of the test rows, \
         which had no part in it.\n\nbest: {} ({CHOSEN_BY} {}{spread})\nchart: {}\n`{command}` trains it\n",
        said(&swept, &combinations[best]),
        compare::short(results[best].validation_fvu),
        svg.display()
    ))?;
    at_the_edge(&swept, &combinations[best]);
    Ok(())
}

/// The settings with one value, as they were said, and those with several.
fn settings(said: &[String]) -> Result<(Vec<String>, Vec<Swept>)> {
    let (mut fixed, mut swept) = (Vec::new(), Vec::<Swept>::new());
    for setting in said {
        let listed = setting.split_once('=').and_then(|(key, value)| {
            let inner = value.trim().strip_prefix('[')?.strip_suffix(']')?;
            Some((key.trim().to_string(), list(value.trim(), inner)))
        });
        match listed {
            Some((key, values)) if values.is_empty() => {
                return Err(Error::Usage(format!("`--set {setting}` has no value: name some, such as {key}=[8,16]")));
            }
            Some((key, _)) if swept.iter().any(|swept| swept.key == key) => {
                return Err(Error::Usage(format!("`{key}` is swept twice: put all values into one list")));
            }
            Some((key, values)) => swept.push(Swept { key, values }),
            None => fixed.push(setting.clone()),
        }
    }
    match swept.is_empty() {
        true => Err(Error::Usage(
            "nothing is swept: give a setting several values, such as `--set model.code_dim=[8,16,32]`".to_string(),
        )),
        false => Ok((fixed, swept)),
    }
}

/// The values of a list in TOML; of one that is none, such as `[relu, gelu]`, the words between the commas.
fn list(text: &str, inner: &str) -> Vec<Value> {
    let value = |text: &str| format!("value = {text}").parse::<Toml>().ok().and_then(|mut table| table.remove("value"));
    match value(text) {
        Some(Value::Array(values)) => values,
        _ => {
            let words = inner.split(',').map(str::trim).filter(|word| !word.is_empty());
            words.map(|word| value(word).unwrap_or_else(|| Value::String(word.to_string()))).collect()
        }
    }
}

/// Every combination of the values, the last setting changing first.
fn combinations(swept: &[Swept]) -> Result<Vec<Vec<Value>>> {
    let count = swept.iter().try_fold(1usize, |count, swept| count.checked_mul(swept.values.len()));
    if count.is_none_or(|count| count > MOST) {
        return Err(Error::Usage(format!("these are more than {MOST} combinations: sweep fewer values at a time")));
    }
    let mut all = vec![Vec::new()];
    for swept in swept {
        let longer = all.iter().flat_map(|values: &Vec<Value>| {
            swept.values.iter().map(move |value| [values.as_slice(), std::slice::from_ref(value)].concat())
        });
        all = longer.collect();
    }
    Ok(all)
}

/// The configuration of each combination, all of them checked before anything is trained.
fn configurations(
    args: &SweepArgs,
    fixed: &[String],
    swept: &[Swept],
    combinations: &[Vec<Value>],
    registry: &Registry,
) -> Result<Vec<Config>> {
    let mut configs: Vec<Config> = Vec::new();
    for values in combinations {
        let mut config = args.config.clone();
        config.set = fixed.to_vec();
        config.set.extend(swept.iter().zip(values).map(|(swept, value)| format!("{}={value}", swept.key)));
        // A variant is named by a flag, which would have the last word.
        if let Some(Value::String(variant)) =
            swept.iter().zip(values).find(|(swept, _)| swept.key == "variant").map(|(_, value)| value)
        {
            config.variant = Some(variant.clone());
        }
        let config = super::configuration(&config, registry).map_err(|error| with_advice(error, swept))?;
        if let Some(before) = configs.iter().position(|before| *before == config) {
            return Err(Error::Usage(format!(
                "{} and {} are the same configuration: a flag such as `--code-dim` overrules `--set`, or a value is \
                 listed twice",
                said(swept, &combinations[before]),
                said(swept, values)
            )));
        }
        configs.push(config);
    }
    if swept.iter().any(|swept| swept.key == "seed") {
        return Err(Error::Usage("`seed` is swept by `--seeds N`, with mean and standard deviation".to_string()));
    }
    Ok(configs)
}

/// A setting that is a list by itself is often mistaken for one with several values.
fn with_advice(error: Error, swept: &[Swept]) -> Error {
    let flat = swept.iter().find(|swept| !swept.values.iter().any(Value::is_array));
    match (error, flat) {
        (Error::Usage(said), Some(flat)) if said.contains("expected a sequence") => Error::Usage(format!(
            "{said}; a list that is one value stands in a list, such as {}=[[64],[256,64]]",
            flat.key
        )),
        (error, _) => error,
    }
}

/// A value as a person writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A combination in a sentence.
fn said(swept: &[Swept], values: &[Value]) -> String {
    let settings = swept.iter().zip(values).map(|(swept, value)| format!("{} = {}", swept.key, plain(value)));
    settings.collect::<Vec<_>>().join(", ")
}

/// A combination as a name of folders: the ends of the paths with their values. It depends on nothing else, so that a
/// larger sweep finds the runs of a smaller one.
fn name(swept: &[Swept], values: &[Value]) -> String {
    const LONGEST: usize = 120;
    let end = |key: &str| key.rsplit('.').next().unwrap_or(key).to_string();
    let is_twice = |key: &str| swept.iter().filter(|other| end(&other.key) == end(key)).count() > 1;
    let part = |(swept, value): (&Swept, &Value)| {
        let key = if is_twice(&swept.key) { swept.key.clone() } else { end(&swept.key) };
        // Sizes are usual in names: 256x64.
        let value = match value {
            Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join("x"),
            value => plain(value),
        };
        format!("{key}={value}")
    };
    let whole = swept.iter().zip(values).map(part).collect::<Vec<_>>().join(",");
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "=,.-_+".contains(letter);
    let safe: String = whole.chars().map(|letter| if is_safe(letter) { letter } else { '_' }).take(LONGEST).collect();
    if safe == whole {
        return safe;
    }
    // What was replaced or cut off tells two of them apart no more.
    format!("{safe}-{:08x}", twox_hash::XxHash3_128::oneshot(whole.as_bytes()) as u32)
}

/// The error on the validation rows, at the epoch that was kept.
fn validation(run: &Run) -> Result<f64> {
    let kept = run.folder.summary()?.map_or(0, |summary| summary.best_epoch);
    history::value(&run.folder.metrics_file(), kept, COLUMN)
}

/// Mean and standard deviation (`n - 1`).
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 })
}

/// The figure that the best is chosen by, beside the others.
fn chosen_by(of: &Combination, best: &Combination) -> Figure {
    Figure {
        name: CHOSEN_BY.to_string(),
        mean: of.validation_fvu,
        deviation: of.validation_fvu_deviation,
        less_is_better: Some(true),
        best: of.settings == best.settings,
    }
}

/// A panel for each setting, with a line for each combination of the others.
fn panels(swept: &[Swept], results: &[Combination]) -> Vec<Panel> {
    let panel = |swept: &Swept| {
        let mut series: Vec<Series> = Vec::new();
        for of in results {
            let others: Vec<String> = of
                .settings
                .iter()
                .filter(|(key, _)| **key != swept.key)
                .map(|(key, value)| format!("{key} = {}", plain(value)))
                .collect();
            let name = others.join(", ");
            let point = Point {
                value: plain(&of.settings[&swept.key]),
                mean: of.validation_fvu,
                deviation: of.validation_fvu_deviation,
            };
            match series.iter_mut().find(|series| series.name == name) {
                Some(series) => series.points.push(point),
                None => series.push(Series { name, points: vec![point] }),
            }
        }
        Panel { setting: swept.key.clone(), values: swept.values.iter().map(plain).collect(), series }
    };
    swept.iter().filter(|swept| swept.values.len() > 1).map(panel).collect()
}

/// Says where a better value may lie outside of what was tried.
fn at_the_edge(swept: &[Swept], best: &[Value]) {
    let number = |value: &Value| value.as_float().or(value.as_integer().map(|number| number as f64));
    for (swept, best) in swept.iter().zip(best) {
        let numbers: Option<Vec<f64>> = swept.values.iter().map(number).collect();
        let (Some(numbers), Some(best)) = (numbers, number(best)) else { continue };
        let (low, high) = numbers.iter().fold((f64::MAX, f64::MIN), |(low, high), &n| (low.min(n), high.max(n)));
        let edge = match low < high {
            true if best == high => "largest",
            true if best == low => "smallest",
            _ => continue,
        };
        note(&format!("the best `{}` is the {edge} that was tried: a better one may lie beyond", swept.key));
    }
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+=,:\\".contains(letter);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(settings: &[&str]) -> Result<(Vec<String>, Vec<Swept>)> {
        super::settings(&settings.iter().map(|setting| setting.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn a_list_is_swept_and_a_list_of_lists_holds_lists() {
        let (fixed, swept) =
            said_of(&["training.epochs=3", "a.x=[1, 2]", "b.x=[relu,gelu]", "c=[[64],[256,64]]"]).unwrap();
        assert_eq!(fixed, ["training.epochs=3"]);
        assert_eq!(swept.iter().map(|swept| swept.values.len()).collect::<Vec<_>>(), [2, 2, 2]);
        let all = combinations(&swept).unwrap();
        assert_eq!((all.len(), plain(&all[1][2]), plain(&all[2][1])), (8, "[256, 64]".to_string(), "gelu".to_string()));
        assert_eq!(name(&swept, &all[0]), "a.x=1,b.x=relu,c=64");
        let odd = [Swept { key: "data.label".to_string(), values: Vec::new() }];
        let of = |label: &str| name(&odd, &[Value::String(label.to_string())]);
        assert!(of("a b").starts_with("label=a_b-") && of("a b") != of("a/b"));
        let names: std::collections::BTreeSet<String> = all.iter().map(|values| name(&swept, values)).collect();
        assert_eq!(names.len(), 8);
        assert!(said_of(&["training.epochs=3"]).unwrap_err().to_string().contains("nothing is swept"));
        assert!(said_of(&["a=[]"]).is_err() && said_of(&["a=[1]", "a=[2]"]).is_err());
        let long: Vec<String> = (0..5).map(|key| format!("k{key}=[1,2,3,4,5,6,7,8,9]")).collect();
        assert!(combinations(&super::settings(&long).unwrap().1).is_err());
    }

    #[test]
    fn a_setting_has_a_panel_and_the_others_a_line_each() {
        let (_, swept) = said_of(&["x=[1,2]", "y=[3,4,5]"]).unwrap();
        let results: Vec<Combination> = combinations(&swept)
            .unwrap()
            .iter()
            .map(|values| Combination {
                settings: swept.iter().map(|swept| swept.key.clone()).zip(values.iter().cloned()).collect(),
                runs: Vec::new(),
                validation_fvu: 1.0,
                validation_fvu_deviation: 0.0,
                diverged: 0,
            })
            .collect();
        let panels = panels(&swept, &results);
        let counts: Vec<(usize, usize)> =
            panels.iter().map(|panel| (panel.series.len(), panel.series[0].points.len())).collect();
        assert_eq!(counts, [(3, 2), (2, 3)]);
        assert_eq!(moments(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
    }

    #[test]
    fn a_path_with_a_space_is_quoted() {
        assert_eq!(quoted(Path::new("runs/a-b.toml")), "runs/a-b.toml");
        assert_eq!(quoted(Path::new("my runs/it's.toml")), "'my runs/it'\\''s.toml'");
    }
}
