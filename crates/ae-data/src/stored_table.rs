//! A table that stays in its file: what its columns are is learned part by part, and each part is read again when its rows are needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    Column, DataError, Element, Kind, Rows, Values,
    frame::{Cells, Frame, MOST_LEVELS},
    progress::Progress,
    source::Options,
    store::{Blocks, Store},
};

/// What the columns of a table are, learned from its parts one after the other.
#[derive(Default)]
pub(crate) struct Survey {
    pub(crate) columns: Vec<Column>,
    /// Columns of which nothing was observed yet: they can still be of any kind.
    blank: Vec<bool>,
    has_missing: bool,
}

impl Survey {
    pub(crate) fn add(&mut self, part: &Frame, origin: &Path) -> Result<(), DataError> {
        let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
        if self.columns.is_empty() {
            self.columns = part.columns.iter().map(|(name, _)| Column::number(name.clone())).collect();
            self.blank = vec![true; self.columns.len()];
        }
        for ((column, blank), (name, cells)) in self.columns.iter_mut().zip(&mut self.blank).zip(&part.columns) {
            let (kind, missing) = match cells {
                Cells::Numbers(values) => (Kind::Number, values.iter().any(|value| value.is_nan())),
                Cells::Booleans(values) => (Kind::Boolean, values.iter().any(|value| value.is_nan())),
                Cells::Texts(values) => (Kind::Category, values.iter().any(Option::is_none)),
                Cells::Dates(example, _) => {
                    return Err(malformed(format!(
                        "column `{name}` holds dates (`{example}`): leave it out with `--drop {name}`, or turn it into numbers, such as days since \
                         a day"
                    )));
                }
            };
            self.has_missing |= missing;
            if *blank {
                column.kind = kind; // even of blank cells, whose column says in some formats what it would hold
            }
            if cells.is_blank() {
                continue;
            }
            *blank = false;
            if column.kind != kind {
                return Err(malformed(format!("column `{name}` holds {} in one part and something else in another", cells.name())));
            }
            if let Cells::Texts(texts) = cells {
                let mut levels: BTreeSet<String> = std::mem::take(&mut column.levels).into_iter().collect();
                for text in texts.iter().flatten() {
                    if !levels.contains(text) {
                        levels.insert(text.clone());
                    }
                }
                if levels.len() > MOST_LEVELS {
                    let first = levels.first().cloned().unwrap_or_default();
                    return Err(malformed(format!(
                        "column `{name}` holds {} different texts (`{first}`, ...), more than the {MOST_LEVELS} levels of a category: leave it out with \
                         `--drop {name}`, or carry it along with `--id {name}`",
                        levels.len()
                    )));
                }
                column.levels = levels.into_iter().collect();
            }
        }
        Ok(())
    }
}

/// The classes of rows, learned from the parts of a table one after the other.
#[derive(Default)]
pub(crate) struct Classes {
    numbers: BTreeMap<String, u32>,
    labels: Vec<u32>,
}

impl Classes {
    pub(crate) fn add(&mut self, cells: &Cells, origin: &Path) -> Result<(), DataError> {
        for text in cells.texts() {
            let Some(text) = text else {
                let problem = format!("row {} has no label: leave it out, or give it one", self.labels.len() + 1);
                return Err(DataError::Malformed { path: origin.to_owned(), problem });
            };
            let next = self.numbers.len() as u32;
            self.labels.push(*self.numbers.entry(text).or_insert(next));
        }
        Ok(())
    }

    /// The class of each row, and the classes' names in their order.
    pub(crate) fn finish(self) -> (Vec<u32>, Vec<String>) {
        let mut names: Vec<(&String, u32)> = self.numbers.iter().map(|(name, &number)| (name, number)).collect();
        // Numbers in their own order, 10 after 9.
        names.sort_by(|(a, _), (b, _)| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        });
        let mut order = vec![0; names.len()];
        names.iter().enumerate().for_each(|(place, (_, number))| order[*number as usize] = place as u32);
        (self.labels.iter().map(|&number| order[number as usize]).collect(), names.into_iter().map(|(name, _)| name.clone()).collect())
    }
}

/// A table that is read in parts, of which each can be read again.
pub(crate) trait Parts: std::fmt::Debug + Send + Sync {
    /// The first row of each part, and the number of all rows at the end.
    fn starts(&self) -> &[usize];

    /// The rows of a part.
    fn part(&self, part: usize) -> Result<Frame, DataError>;
}

/// The parts of a table as blocks of the chosen columns' cells.
#[derive(Debug)]
struct TableBlocks {
    parts: Box<dyn Parts>,
    options: Options,
    columns: Vec<Column>,
    origin: PathBuf,
}

impl Blocks for TableBlocks {
    fn starts(&self) -> &[usize] {
        self.parts.starts()
    }

    fn element(&self) -> Element {
        Element::F32
    }

    fn read(&self, block: usize) -> Result<Values, DataError> {
        let mut frame = whole_part(self.parts.as_ref(), block, &self.origin)?;
        frame.choose(&self.options, true, &self.origin)?;
        frame.cells(&self.columns, self.starts()[block], &self.origin).map(Values::F32)
    }
}

/// A part, with as many rows as its file says it has.
fn whole_part(parts: &dyn Parts, part: usize, origin: &Path) -> Result<Frame, DataError> {
    let frame = parts.part(part)?;
    let expected = parts.starts()[part + 1] - parts.starts()[part];
    match frame.columns.iter().find(|(_, cells)| cells.len() != expected) {
        Some((name, cells)) => {
            let problem = format!("damaged: part {} has {} rows of column `{name}`, but should have {expected}", part + 1, cells.len());
            Err(DataError::Malformed { path: origin.to_owned(), problem })
        }
        None => Ok(frame),
    }
}

/// The rows of a table that stays in its file: one pass says what its columns are, unless they are `known`, and each block is read when it is
/// needed.
pub(crate) fn stored(parts: Box<dyn Parts>, options: &Options, known: Option<&[Column]>, origin: &Path) -> Result<Rows, DataError> {
    if parts.starts().last().is_none_or(|&rows| rows == 0) {
        return Err(DataError::Malformed { path: origin.to_owned(), problem: "holds no rows".to_string() });
    }
    let (mut survey, mut classes, mut ids) = (Survey::default(), None::<Classes>, None::<Vec<String>>);
    let count = parts.starts().len() - 1;
    let mut progress = Progress::new("reading parts of the table", count);
    for part in 0..count {
        progress.step();
        let mut frame = whole_part(parts.as_ref(), part, origin)?;
        let (labels, names) = frame.choose(options, known.is_some(), origin)?;
        match known {
            Some(known) => frame.conforms(known, origin)?,
            None => survey.add(&frame, origin)?,
        }
        if let Some(labels) = labels {
            classes.get_or_insert_default().add(&labels, origin)?;
        }
        if let Some(names) = names {
            ids.get_or_insert_default().extend(names.texts().into_iter().map(Option::unwrap_or_default));
        }
    }
    let (columns, has_missing) = match known {
        Some(known) => (known.to_vec(), true), // not looked for: later data may have some anywhere
        None => (survey.columns, survey.has_missing),
    };
    let blocks = TableBlocks { parts, options: options.clone(), columns: columns.clone(), origin: origin.to_owned() };
    let store = Store::new(Box::new(blocks), columns.len());
    let mut rows = Rows::stored(store, columns.len(), has_missing).with_columns(columns);
    rows.ids = ids;
    if let Some(classes) = classes {
        let (labels, names) = classes.finish();
        (rows.labels, rows.label_names) = (Some(labels), Some(names));
    }
    Ok(rows)
}
