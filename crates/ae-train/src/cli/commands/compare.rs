//! `ae compare`: runs side by side; those that are not there yet are trained.

use std::path::PathBuf;

use ae_model::Registry;
use clap::{Args, ValueHint};

use crate::{
    Error, Result, Run,
    cli::{
        args::{ConfigArgs, within},
        devices,
        entry::{Entry, Group},
        json::document,
        many::{Many, Planned, folder},
        output::{has_color, note, print, progress, shown},
        table::{Cell, Table},
    },
    compare::{Line, compare},
    device::{self, Available},
    digits::rounding_error,
};

/// What to compare.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Folders of runs.
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub runs: Vec<PathBuf>,
    /// Variants to train, with commas between.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub variants: Vec<String>,
    /// Seeds to train each with.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = within(1..=1000))]
    pub seeds: usize,
    /// Folder of the trained runs; those that are there already are used. By default runs/compare-DATA.
    #[arg(short, long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Device to train on: auto, or one that `ae devices` lists.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// What to train them on and how.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae compare --variants undercomplete,denoising --seeds 2 --epochs 10", "train four runs and compare them"),
        ("ae compare runs/undercomplete-digits-001", "a run beside PCA"),
    ];
    let about = "Put runs side by side, with PCA among them; with --variants, train what is missing first";
    Entry::new(Group::Train, "compare", about, examples, run)
}

/// Prints the comparison.
fn run(args: &CompareArgs, registry: &Registry) -> Result<()> {
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
    let lines = measured(&runs, &device)?;
    if args.json {
        return document(&lines);
    }
    print(&text(&lines))
}

/// The lines of some runs, each of which is said once it is measured.
pub(super) fn measured(runs: &[Run], device: &Available) -> Result<Vec<Line>> {
    let mut measured = 0;
    compare(runs, &device::for_results(&device.device, 0), |run| {
        measured += 1;
        progress(&format!("measured {} ({measured} of {})", run.folder.path().display(), runs.len()));
    })
}

/// The runs of these folders, each once.
fn named(folders: &[PathBuf], registry: &Registry) -> Result<Vec<Run>> {
    let (mut runs, mut seen) = (Vec::new(), Vec::new());
    for folder in folders {
        let run = Run::open_with(folder, registry)?;
        let place = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        if seen.contains(&place) {
            note(&format!("{} is named twice, and counted once", folder.display()));
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
    let mut configs = Vec::new();
    for variant in &args.variants {
        for seed in 0..args.seeds {
            let mut settings = args.config.clone();
            settings.variant = Some(variant.clone());
            settings.seed = Some(args.config.seed.unwrap_or(0) + seed as i64);
            configs.push(super::configuration(&settings, registry)?);
        }
    }
    let source = configs.first().map(|config| config.data.source.clone()).unwrap_or_default();
    let folder = folder(args.out.as_deref(), "compare", &source);
    let planned = configs
        .into_iter()
        .map(|config| Planned { folder: folder.join(format!("{}-seed{}", config.variant, config.seed)), config });
    let mut many = Many::new(device, planned.len(), "call the comparison again: it goes on where it was");
    planned.map(|planned| many.train(planned)).collect()
}

/// The tables, and what is in them.
pub(super) fn text(lines: &[Line]) -> String {
    let has_bold = has_color(&std::io::stdout());
    let mut names: Vec<&String> = Vec::new();
    for line in lines {
        if !names.contains(&&line.data) {
            names.push(&line.data);
        }
    }
    let tables: Vec<String> = names.iter().map(|data| table(lines, data, has_bold)).collect();
    let mut text = tables.join("\n");
    text += match lines.iter().any(|line| line.runs > 1) {
        true => "\nmean ± standard deviation over the seeds; ",
        false => "\n",
    };
    text += if has_bold { "the best in bold" } else { "* marks the best" };
    text += ". mse and fvu: of the reconstruction; noisy, missing: error of the reconstruction of noisy rows and of \
             hidden values; probe, 5-nn: accuracy of classifiers of the code (`ae explain fvu`).\n";
    if tables.len() > 1 {
        text += "Runs that were measured on other rows, columns or units are in separate tables.\n";
    }
    text
}

/// The lines on some data.
fn table(lines: &[Line], data: &str, has_bold: bool) -> String {
    const NAMES: usize = 26;
    let lines: Vec<&Line> = lines.iter().filter(|line| line.data == data).collect();
    // In the order of the line that has most of them: PCA lacks some.
    let mut longest = lines.clone();
    longest.sort_by_key(|line| std::cmp::Reverse(line.figures.len()));
    let mut figures: Vec<&String> = Vec::new();
    for figure in longest.iter().flat_map(|line| &line.figures) {
        if !figures.contains(&&figure.name) {
            figures.push(&figure.name);
        }
    }
    let heading = format!("test rows of {data}");
    let width = lines.iter().map(|line| line.name.chars().count() + 2).max().unwrap_or(0).max(NAMES);
    // What would push the columns aside stands above them.
    let (above, heading) = match heading.chars().count() < width {
        true => (String::new(), heading),
        false => (format!("{heading}\n"), String::new()),
    };
    let head = std::iter::once(heading).chain(figures.iter().map(|name| name.to_string()));
    let mut table = Table::new(head).at_least(width, 20);
    for line in lines {
        let cell = |name: &&String| {
            let Some(figure) = line.figures.iter().find(|figure| figure.name == **name) else { return Cell::from("-") };
            let spread = if line.runs > 1 { format!(" ±{}", short(figure.deviation)) } else { String::new() };
            let text = format!("{}{spread}{}", short(figure.mean), if figure.best && !has_bold { " *" } else { "" });
            if figure.best { Cell::bold(text) } else { text.into() }
        };
        table.row(std::iter::once(Cell::from(line.name.as_str())).chain(figures.iter().map(cell)));
    }
    format!("{above}{}", shown(&table))
}

/// Four digits or so.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        _ if let Some(text) = rounding_error(value) => text.to_string(),
        size if !(1e-4..1e5).contains(&size) => format!("{value:.1e}"),
        size if size < 0.1 => format!("{value:.5}"),
        size if size < 10.0 => format!("{value:.3}"),
        _ => format!("{value:.1}"),
    }
}
