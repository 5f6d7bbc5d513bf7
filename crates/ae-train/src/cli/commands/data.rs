//! `ae data`: what a source holds, before anything is trained on it.

use std::path::Path;

use crate::{Error, Result};
use ae_data::{Dataset, Kind, Rows, Scaling, ScalingMethod, Sets, open_with, picture::Sheet};

use crate::cli::{args::DataArgs, output::print};

/// Columns that are described one by one; of more, the first.
const SHOWN: usize = 40;
/// Images of a sheet, along each side.
const SIDE: usize = 10;

/// Describes the data.
pub fn run(args: &DataArgs) -> Result<()> {
    let sets = open_with(&args.data, &super::options(&args.read))?;
    super::note(&sets.train.notes);
    sets.test.iter().for_each(|test| super::note(&test.notes));
    if let Some(path) = &args.sheet {
        sheet(&sets.train, path)?;
    }
    print(&describe(sets)?)
}

fn describe(sets: Sets) -> Result<String> {
    let Sets { name, train, test } = sets;
    let train = Dataset::new(train);
    let rows = train.rows();
    let mut text = format!("{name}: {} rows", rows.len());
    if let Some(test) = &test {
        text += &format!(" to train on, {} in an official test set", test.len());
    }
    let shape =
        rows.geometry.map(|geometry| format!(", images of {geometry} (channels, height, width)")).unwrap_or_default();
    text += &format!("\n{} features{shape}; kept as {}\n", rows.width(), rows.element().name());
    if let Some(labels) = &rows.labels {
        let classes = rows.classes();
        let mut counts = vec![0usize; classes.len()];
        labels.iter().flatten().for_each(|&label| counts[label as usize] += 1);
        let without = labels.iter().filter(|label| label.is_none()).count();
        let shown: Vec<String> =
            classes.iter().zip(counts).take(12).map(|(name, count)| format!("{name} ({count})")).collect();
        let more = if classes.len() > 12 { format!(", ... ({} classes)", classes.len()) } else { String::new() };
        let none = if without > 0 { format!("; {without} rows without") } else { String::new() };
        text += &format!("labels: {}{more}{none}\n", shown.join(", "));
    }
    if let Some(carried) = &rows.carried {
        if let Some(id) = carried.id {
            let first: Vec<usize> = (0..rows.len().min(3)).collect();
            let ids: Vec<String> = carried.texts(&first, id)?.into_iter().map(Option::unwrap_or_default).collect();
            text += &format!("identifiers: {}\n", ids.join(", "));
        }
        let names: Vec<String> =
            carried.fields(&carried.rest).iter().map(|field| format!("`{}`", field.name())).collect();
        if !names.is_empty() {
            let more = if names.len() > 12 { format!(" and {} more", names.len() - 12) } else { String::new() };
            text += &format!("carried along, not learned from: {}{more}\n", names[..names.len().min(12)].join(", "));
        }
    }
    let cells = cells(rows)?;
    match rows.encoding() {
        Some(encoding) => {
            let width = encoding
                .columns()
                .iter()
                .take(SHOWN)
                .map(|column| column.name.chars().count())
                .max()
                .unwrap_or(0)
                .clamp(6, 40);
            text += &format!(
                "\n{:<width$}  {:<9}{:>9}{:>13}{:>13}{:>13}\n",
                "column", "kind", "missing", "min", "mean", "max"
            );
            for (index, column) in encoding.columns().iter().enumerate().take(SHOWN) {
                let name = if column.name.is_empty() { "''" } else { &column.name };
                let cells = &cells[index];
                let kind = match column.kind {
                    Kind::Number => "number",
                    Kind::Boolean => "boolean",
                    Kind::Category => "category",
                };
                let missing = format!("{:.1}%", 100.0 * cells.missing as f64 / rows.len() as f64);
                text += &format!("{name:<width$}  {kind:<9}{missing:>9}");
                match column.kind {
                    Kind::Category => {
                        let levels: Vec<&str> = column.levels.iter().take(6).map(String::as_str).collect();
                        let more = if column.levels.len() > 6 { ", ..." } else { "" };
                        text += &format!("   {} levels: {}{more}\n", column.levels.len(), levels.join(", "));
                    }
                    _ if column.blank => text += "   empty\n",
                    _ if cells.min == cells.max => text += &format!("   constant: {}\n", cells.min),
                    _ => {
                        text +=
                            &format!("{:>13}{:>13}{:>13}\n", short(cells.min), short(cells.mean()), short(cells.max))
                    }
                }
            }
            if encoding.columns().len() > SHOWN {
                text += &format!("... and {} more columns\n", encoding.columns().len() - SHOWN);
            }
        }
        None => {
            let all = cells.into_iter().reduce(Cells::joined).unwrap_or_default();
            let share = 100.0 * all.missing as f64 / (all.missing as f64 + all.count);
            text += &format!(
                "values from {} to {}, mean {}, {share:.1}% missing\n",
                short(all.min),
                short(all.max),
                short(all.mean())
            );
        }
    }
    let scaling = Scaling::fit(ScalingMethod::Auto, &train)?;
    text += &format!("\n`data.scaling = \"auto\"` would choose {}\n", scaling.describe());
    Ok(text)
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

/// Five digits or so.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&size) {
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
        return Err(Error::Usage("`--sheet` is for images, and these rows are none".to_string()));
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
