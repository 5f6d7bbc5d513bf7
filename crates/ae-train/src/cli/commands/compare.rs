//! `ae compare`: runs side by side; those that are not there yet are trained.

use ae_model::Registry;
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Config, Error, Outcome, Result, Run,
    compare::{Line, compare},
    data::data_fingerprint,
    device::{self, Available},
};
use burn::train::Interrupter;

use crate::cli::{
    args::CompareArgs,
    devices,
    output::{print, say},
    signals,
    terminal::Terminal,
};

/// Prints the comparison.
pub fn run(args: &CompareArgs, registry: &Registry) -> Result<()> {
    let device = devices::choose(&args.device)?.open()?;
    let runs = match (args.runs.is_empty(), args.variants.is_empty()) {
        (false, true) => named(&args.runs, registry)?,
        (true, false) => trained(args, &device, registry)?,
        (true, true) => {
            return Err(Error::Usage(
                "name runs, or what to train with `--variants a,b,c` (see `ae variants`)".to_string(),
            ));
        }
        (false, false) => return Err(Error::Usage("name runs or `--variants`, not both".to_string())),
    };
    let count = runs.len();
    let mut measured = 0;
    let lines = compare(&runs, &device::for_results(&device.device, 0), |run| {
        measured += 1;
        say(&format!("measured {} ({measured} of {count})", run.folder.path().display()));
    })?;
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&lines).expect("figures are JSON")));
    }
    print(&table(&lines, io::stdout().is_terminal()))
}

/// The runs of these folders, each once.
fn named(folders: &[PathBuf], registry: &Registry) -> Result<Vec<Run>> {
    let (mut runs, mut seen) = (Vec::new(), Vec::new());
    for folder in folders {
        let run = Run::open_with(folder, registry)?;
        let place = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        if seen.contains(&place) {
            say(&format!("note: {} is named twice, and counted once", folder.display()));
            continue;
        }
        seen.push(place);
        super::say_source(&run);
        runs.push(run);
    }
    Ok(runs)
}

/// Every variant with every seed: the runs that are there, and the others trained.
fn trained(args: &CompareArgs, device: &Available, registry: &Registry) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    let mut planned = Vec::new();
    for variant in &args.variants {
        for seed in 0..args.seeds {
            let mut settings = args.config.clone();
            settings.variant = Some(variant.clone());
            settings.seed = Some(args.config.seed.unwrap_or(0) + seed as i64);
            planned.push(super::configuration(&settings, registry)?);
        }
    }
    let folder = match (&args.out, planned.first()) {
        (Some(out), _) => out.clone(),
        (None, first) => {
            let source = first.map(|config| config.data.source.clone()).unwrap_or_default();
            let name = Path::new(&source).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or(source);
            PathBuf::from("runs").join(format!("compare-{name}"))
        }
    };
    let count = planned.len();
    // Read once, if a run is there already: all of them are on the same data.
    let mut fingerprint = None;
    for (index, config) in planned.into_iter().enumerate() {
        let path = folder.join(format!("{}-seed{}", config.variant, config.seed));
        let run = match path.join("config.toml").exists() {
            true => known(&path, &config, &mut fingerprint)?,
            false => Run::create(config, Some(&path))?,
        };
        say(&format!("run {} of {count}: {}", index + 1, path.display()));
        let interrupter = Interrupter::new();
        let advice = "call the comparison again: it goes on where it was";
        signals::training(&interrupter, advice);
        match run.train(device.device.clone(), &device.name, Arc::new(Terminal::of_many()), interrupter)? {
            Outcome::Finished(_) => runs.push(run),
            Outcome::Interrupted { .. } => {
                return Err(Error::Interrupted(format!("{} was stopped; {advice}", path.display())));
            }
        }
        signals::after_training(advice);
    }
    Ok(runs)
}

/// A run that is there already, if it was made from the same settings and the same data, by whatever name.
fn known(path: &Path, config: &Config, fingerprint: &mut Option<String>) -> Result<Run> {
    let run = Run::open_with(path, &config.registry)?;
    let mut wanted = config.clone();
    // A run keeps the whole path of its data.
    wanted.data.source.clone_from(&run.config.data.source);
    let other = match wanted == run.config {
        false => "settings",
        true => {
            let data = match fingerprint {
                Some(data) => data.clone(),
                None => fingerprint.insert(data_fingerprint(config)?).clone(),
            };
            if data == run.folder.schema()?.fingerprint {
                return Ok(run);
            }
            "data"
        }
    };
    Err(Error::Usage(format!("{} holds a run of other {other}: choose another `--out`, or remove it", path.display())))
}

fn table(lines: &[Line], bold: bool) -> String {
    let mut text = String::new();
    let mut data = "";
    let mut tables = 0;
    let width = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).max(24) + 2;
    for line in lines.iter() {
        if line.data != data {
            data = &line.data;
            tables += 1;
            let longest = lines
                .iter()
                .filter(|other| other.data == data)
                .max_by_key(|line| line.figures.len())
                .expect("this one at least");
            let names = longest.figures.iter().map(|figure| format!("{:>20}", figure.name)).collect::<String>();
            let heading = format!("test rows of {data}");
            // What would push the columns aside stands above them.
            let heading = match heading.chars().count() < width {
                true => format!("{heading:<width$}"),
                false => format!("{heading}\n{:width$}", ""),
            };
            text += &format!("{}{heading}{names}\n", if tables > 1 { "\n" } else { "" });
        }
        text += &format!("{:<width$}", line.name);
        for figure in &line.figures {
            let spread = if line.runs > 1 { format!(" ±{}", short(figure.deviation)) } else { String::new() };
            let cell = format!("{}{spread}{}", short(figure.mean), if figure.best && !bold { " *" } else { "" });
            let cell = format!("{cell:>20}");
            text += &if figure.best && bold { format!("\x1b[1m{cell}\x1b[0m") } else { cell };
        }
        text += "\n";
    }
    let runs = lines.iter().map(|line| line.runs).max().unwrap_or(1);
    if runs > 1 {
        text += "\nmean ± standard deviation over the seeds; ";
    } else {
        text += "\n";
    }
    text += if bold { "the best in bold" } else { "* marks the best" };
    text += ". mse and fvu: of the copy; noisy, missing: of what comes back of noisy and of hidden values; probe, 5-nn: classes told from the code.\n";
    if tables > 1 {
        text += "What was measured on other rows, columns or units stands in a table of its own.\n";
    }
    text
}

/// Four digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size if !(1e-4..1e5).contains(&size) => format!("{value:.1e}"),
        size if size < 0.1 => format!("{value:.5}"),
        size if size < 10.0 => format!("{value:.3}"),
        _ => format!("{value:.1}"),
    }
}
