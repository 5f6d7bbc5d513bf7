//! `ae data`: what a source holds, before anything is trained on it.

use std::path::{Path, PathBuf};

use ae_data::{Dataset, Kind, Options, Rows, Scaling, ScalingMethod, Sets, open_with, picture::Sheet, survey::REFUSED};
use ae_model::Registry;
use clap::{Args, ValueHint};
use serde::Serialize;

use crate::{
    Error, Result,
    cli::{
        args::ReadArgs,
        entry::{Entry, Group},
        json::document,
        output::{print, shown},
        table::Table,
    },
    digits::ROUNDING,
};

/// Columns that are described one by one; of more, the first.
const SHOWN: usize = 40;
/// Names that are listed in a line.
const NAMED: usize = 12;
/// Levels of a category that are listed.
const LEVELS: usize = 6;
/// Images of a sheet, along each side.
const SIDE: usize = 10;

/// What to describe.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// Built-in data set, file, folder, pattern, or - for CSV on standard input.
    #[arg(value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub data: String,
    /// Write the first images as one image.
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub sheet: Option<PathBuf>,
    /// Print JSON: every column and every class.
    #[arg(long)]
    pub json: bool,
    /// How to read it.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae data digits", "a built-in data set"),
        ("ae data customers.csv -l churned -i customer", "a table, with its label and its identifier"),
        ("ae data fashion-mini --sheet first.png", "images, the first hundred of them as one image"),
    ];
    let about = "Describe data before training: rows, columns, ranges, missing values, what would be chosen";
    Entry::new(Group::Train, "data", about, examples, run)
}

/// Describes the data. What a training would refuse is an error all the same, at the end.
fn run(args: &DataArgs, _: &Registry) -> Result<()> {
    let sets = open_with(&args.data, &Options { describe: true, ..super::options(&args.read) })?;
    let (refused, notes): (Vec<String>, Vec<String>) =
        sets.train.notes.iter().cloned().partition(|note| note.starts_with(REFUSED));
    super::note(&notes);
    sets.test.iter().for_each(|test| super::note(&test.notes));
    if let Some(path) = &args.sheet {
        sheet(&sets.train, path)?;
    }
    let data = Description::of(sets)?;
    match args.json {
        true => document(&data)?,
        false => print(&data.text())?,
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Error::Failed(refused.join("; "))),
    }
}

/// What some data is like.
#[derive(Serialize)]
struct Description {
    name: String,
    rows: usize,
    /// Rows of an official test set; none if there is none.
    test_rows: Option<usize>,
    features: usize,
    /// Features of a row of the target, if one is named.
    target: Option<usize>,
    /// Channels, height and width, of images.
    images: Option<[usize; 3]>,
    /// The type of the values in memory.
    element: String,
    labels: Option<Labels>,
    /// The first identifiers; none without a column of them.
    identifiers: Option<Vec<String>>,
    /// Columns that are not learned from.
    carried: Vec<String>,
    /// The columns of a table; none of an array or of images.
    columns: Option<Vec<Column>>,
    /// All values together, where there are no columns.
    values: Option<Cells>,
    /// What `data.scaling = "auto"` would choose, in words.
    scaling: String,
    /// What was guessed, left out or is doubtful, in sentences.
    notes: Vec<String>,
    #[serde(skip)]
    shape: String,
}

#[derive(Serialize)]
struct Labels {
    classes: Vec<Class>,
    /// Rows without a label.
    without: usize,
}

#[derive(Serialize)]
struct Class {
    name: String,
    rows: usize,
}

#[derive(Serialize)]
struct Column {
    name: String,
    kind: &'static str,
    /// Whether no row has a value.
    is_empty: bool,
    levels: Vec<String>,
    #[serde(flatten)]
    cells: Cells,
}

impl Description {
    fn of(sets: Sets) -> Result<Self> {
        let Sets { name, train, test } = sets;
        let train = Dataset::new(train);
        let rows = train.rows();
        let labels = rows.labels.as_ref().map(|labels| {
            let classes = rows.classes();
            let mut counts = vec![0usize; classes.len()];
            labels.iter().flatten().for_each(|&label| counts[label as usize] += 1);
            let without = labels.iter().filter(|label| label.is_none()).count();
            let classes = classes.into_iter().zip(counts).map(|(name, rows)| Class { name, rows }).collect();
            Labels { classes, without }
        });
        let (mut identifiers, mut carried) = (None, Vec::new());
        if let Some(along) = &rows.carried {
            if let Some(id) = along.id {
                let first: Vec<usize> = (0..rows.len().min(3)).collect();
                identifiers = Some(along.texts(&first, id)?.into_iter().map(Option::unwrap_or_default).collect());
            }
            carried = along.fields(&along.rest).iter().map(|field| field.name().clone()).collect();
        }
        let cells = cells(rows)?;
        let columns = rows.encoding().map(|encoding| {
            let column = |(column, cells): (&ae_data::Column, &Cells)| Column {
                name: column.name.clone(),
                kind: match column.kind {
                    Kind::Number => "number",
                    Kind::Boolean => "boolean",
                    Kind::Category => "category",
                },
                is_empty: column.blank,
                levels: column.levels.clone(),
                // The numbers of levels are no values.
                cells: match column.kind {
                    Kind::Category => Cells { missing: cells.missing, sum: f64::NAN, ..Cells::default() },
                    _ => *cells,
                },
            };
            encoding.columns().iter().zip(&cells).map(column).collect::<Vec<_>>()
        });
        let values = match columns {
            Some(_) => None,
            None => Some(cells.into_iter().reduce(Cells::joined).unwrap_or_default()),
        };
        let notes = [rows.notes.clone(), test.iter().flat_map(|test| test.notes.clone()).collect()].concat();
        Ok(Self {
            rows: rows.len(),
            test_rows: test.as_ref().map(Rows::len),
            features: rows.width(),
            target: rows.target.as_ref().map(|target| target.width()),
            images: rows.geometry.map(|geometry| [geometry.channels, geometry.height, geometry.width]),
            shape: rows.geometry.map(|geometry| geometry.to_string()).unwrap_or_default(),
            element: rows.element().name().to_string(),
            scaling: Scaling::fit(ScalingMethod::Auto, &train)?.describe(),
            name,
            labels,
            identifiers,
            carried,
            columns,
            values,
            notes,
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {} rows", self.name, self.rows);
        if let Some(test) = self.test_rows {
            text += &format!(" to train on, {test} in an official test set");
        }
        let shape = match self.images {
            Some(_) => format!(", images of {} (channels, height, width)", self.shape),
            None => String::new(),
        };
        text += &format!("\n{} features{shape}; kept as {}\n", self.features, self.element);
        if let Some(features) = self.target {
            text += &format!("target: as many rows of {features} features\n");
        }
        if let Some(Labels { classes, without }) = &self.labels {
            let shown: Vec<String> =
                classes.iter().take(NAMED).map(|class| format!("{} ({})", class.name, class.rows)).collect();
            let more = match classes.len() > NAMED {
                true => format!(", ... ({} classes)", classes.len()),
                false => String::new(),
            };
            let none = if *without > 0 { format!("; {without} rows without") } else { String::new() };
            text += &format!("labels: {}{more}{none}\n", shown.join(", "));
        }
        if let Some(identifiers) = &self.identifiers {
            text += &format!("identifiers: {}\n", identifiers.join(", "));
        }
        if !self.carried.is_empty() {
            let names: Vec<String> = self.carried.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
            let more = match self.carried.len() > NAMED {
                true => format!(" and {} more", self.carried.len() - NAMED),
                false => String::new(),
            };
            text += &format!("carried along, not learned from: {}{more}\n", names.join(", "));
        }
        match (&self.columns, &self.values) {
            (Some(columns), _) => text += &format!("\n{}", table(columns, self.rows)),
            (None, Some(all)) => {
                let span = all.max - all.min;
                let share = 100.0 * all.missing as f64 / (all.missing as f64 + all.count);
                text += &format!(
                    "values from {} to {}, mean {}, {share:.1}% missing\n",
                    short(all.min, span),
                    short(all.max, span),
                    short(all.mean(), span)
                );
            }
            (None, None) => {}
        }
        text + &format!("\n`data.scaling = \"auto\"` would choose {}\n", self.scaling)
    }
}

fn table(columns: &[Column], rows: usize) -> String {
    let mut table = Table::new(["column", "kind", "missing", "min", "mean", "max"]).left(2).at_least(6, 11);
    for column in columns.iter().take(SHOWN) {
        let cells = &column.cells;
        let name = if column.name.is_empty() { "''" } else { &column.name };
        let missing = format!("{:.1}%", 100.0 * cells.missing as f64 / rows as f64);
        let first = [name.to_string(), column.kind.to_string(), missing];
        match column.kind {
            "category" => {
                let levels = &column.levels;
                let more = if levels.len() > LEVELS { ", ..." } else { "" };
                let shown = levels[..levels.len().min(LEVELS)].join(", ");
                table.row_with(first, &format!("{} levels: {shown}{more}", levels.len()));
            }
            _ if column.is_empty => table.row_with(first, "empty"),
            _ if cells.min == cells.max => table.row_with(first, &format!("constant: {}", cells.min)),
            _ => {
                let values = [cells.min, cells.mean(), cells.max].map(|value| short(value, cells.max - cells.min));
                table.row(first.into_iter().chain(values));
            }
        }
    }
    let more = match columns.len() > SHOWN {
        true => format!("... and {} more columns (`--json` has all)\n", columns.len() - SHOWN),
        false => String::new(),
    };
    shown(&table) + &more
}

/// What the cells of a column are like.
#[derive(Clone, Copy)]
struct Cells {
    missing: usize,
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Serialize for Cells {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            missing: usize,
            min: f64,
            mean: f64,
            max: f64,
        }
        // None of it is a number where no cell is: JSON has null for that.
        Shown { missing: self.missing, min: self.min, mean: self.mean(), max: self.max }.serialize(serializer)
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self { missing: 0, count: 0.0, sum: 0.0, min: f64::NAN, max: f64::NAN }
    }
}

impl Cells {
    fn add(&mut self, value: f64) {
        if value.is_nan() {
            self.missing += 1;
        } else {
            // `min` and `max` take the number where the other is none.
            *self = Self {
                missing: self.missing,
                count: self.count + 1.0,
                sum: self.sum + value,
                min: self.min.min(value),
                max: self.max.max(value),
            };
        }
    }

    fn joined(self, other: Self) -> Self {
        Self {
            missing: self.missing + other.missing,
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }
}

/// Of each column.
fn cells(rows: &Rows) -> Result<Vec<Cells>> {
    let mut cells: Vec<Cells> = Vec::new();
    for index in 0..rows.len() {
        let mut column = 0;
        rows.each_cell(index, |value| {
            if column == cells.len() {
                cells.push(Cells::default());
            }
            cells[column].add(value);
            column += 1;
        })?;
    }
    Ok(cells)
}

/// Five digits or so of a value in a column of this span; what is a rounding error beside it is 0.
fn short(value: f64, span: f64) -> String {
    let size = value.abs();
    if size < ROUNDING * span {
        "0".to_string()
    } else if value == 0.0 || (1e-3..1e7).contains(&size) {
        let digits = if size >= 1000.0 { 1 } else { 4 };
        let text = format!("{value:.digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        format!("{value:.3e}")
    }
}

/// Writes the first images, side by side.
fn sheet(rows: &Rows, path: &Path) -> Result<()> {
    let Some(geometry) = rows.geometry else {
        return Err(Error::Usage("`--sheet` is for images, and these rows are no images".to_string()));
    };
    let count = rows.len().min(SIDE * SIDE);
    let images = (0..count).map(|index| rows.row(index).map(|row| super::singles(&row)));
    let images: Vec<Vec<f32>> = images.collect::<std::result::Result<_, _>>()?;
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    images
        .iter()
        .flatten()
        .filter(|value| !value.is_nan())
        .for_each(|&value| (low, high) = (low.min(value), high.max(value)));
    let images: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
    Ok(Sheet::new(geometry, SIDE, low, high).save(&images, path)?)
}
