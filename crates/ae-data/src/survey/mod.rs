//! Decides once what the columns of a table are, from all rows of the training data, and reports what is not obvious.
//!
//! A text column holds numbers, booleans, dates or names: whichever all of its cells can be read as. Options for a
//! column override that. A column that is mostly numbers never becomes a category: it is refused, and the error names
//! the cell that is not a number.

mod chosen;
mod decide;
mod number_style;
mod seen;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    chosen::{Chosen, Said},
    decide::{Candidate, Decision, too_many},
    number_style::File,
    seen::{Part, Seen},
};
use crate::{
    Column, DataError, Kind, Missing, Options,
    cell::trimmed,
    column::MOST_LEVELS,
    options::nowhere,
    progress::Progress,
    table::{Table, names, parts, rows, texts, whole_part},
    words::{few, plural},
};

/// What was decided about a table.
///
/// ```
/// use std::sync::Arc;
///
/// use ae_data::{Kind, Options, survey::survey, table::InMemory};
/// use arrow_array::{ArrayRef, RecordBatch, StringArray};
///
/// let cells = StringArray::from(vec!["1.5", "2.5", ""]);
/// let batch = RecordBatch::try_from_iter([("weight", Arc::new(cells) as ArrayRef)])?;
/// let table = InMemory::new("t".as_ref(), batch.schema(), vec![batch])?;
/// let survey = survey(&table, &Options::default())?;
/// assert_eq!(survey.columns[0].kind, Kind::Number);
/// assert!(survey.has_missing && survey.blank_rows == [2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// The learned columns, in the order of the table.
    pub columns: Vec<Column>,
    /// The positions of the learned columns in the table.
    pub places: Vec<usize>,
    /// The position of the column of labels.
    pub label: Option<usize>,
    /// The position of the column of identifiers.
    pub id: Option<usize>,
    /// The positions of the other columns, which are carried along.
    pub rest: Vec<usize>,
    /// Whether any learned value is missing.
    pub has_missing: bool,
    /// Rows without any learned value, ascending.
    pub blank_rows: Vec<usize>,
    /// What was decided and is not obvious, in sentences.
    pub notes: Vec<String>,
}

/// Decides what the columns of a table are.
///
/// # Errors
/// A column that the options name and the table does not have, a column that cannot be learned from, or a table without
/// rows.
pub fn survey(table: &dyn Table, options: &Options) -> Result<Survey, DataError> {
    let all = names(table);
    let malformed = |problem: String| DataError::Malformed { path: table.origin().to_owned(), problem };
    let chosen = Chosen::of(table, options)?;
    if rows(table) == 0 {
        return Err(malformed("holds no rows".to_string()));
    }
    let missing = options.missing(table.layout().is_some());
    let Scan { seen, markers, blank_rows } = Scan::of(table, &chosen, &missing)?;
    let is_comma_separated = table.layout().is_none_or(|layout| layout.delimiter == b',');
    let file = File::of(&seen, options.decimal, is_comma_separated);
    let mut notes = table.notes();
    let index = table.index_columns();
    if !index.is_empty() && all.iter().any(|name| index.contains(name)) {
        notes.push(format!(
            "the row index of the file, column{} {}, is carried along and not learned from",
            plural(index.len()),
            few(&index, 8)
        ));
    }
    let (mut columns, mut kept, mut has_missing) = (Vec::new(), Vec::new(), false);
    for (seen, &place) in seen.iter().zip(&chosen.learned) {
        let (name, said, is_kept) = (all[place].as_str(), chosen.said[place], !options.keep.is_empty());
        let candidate = Candidate { seen, name, said, is_kept, file: &file, table, count: rows(table) };
        let decided = match candidate.decide() {
            // In a category with strings and numbers, the numbers are levels, too.
            Ok(Decision::Learn(mut column, note))
                if column.kind == Kind::Category && (seen.numbers() > 0 || said == Some(Said::Category)) =>
            {
                column.levels = levels(table, place, &missing)?;
                match column.levels.len() > MOST_LEVELS {
                    true => Err(too_many(name, column.levels.len(), column.levels.first())),
                    false => Ok(Decision::Learn(column, note)),
                }
            }
            decided => decided,
        };
        let decided = match decided {
            // Most likely identifiers, which cannot be named before the data has been looked at.
            Err(problem) if options.describe && seen.has_too_many_levels() && said.is_none() => {
                Ok(Decision::Carry(format!("{REFUSED}{problem}")))
            }
            decided => decided,
        };
        match decided.map_err(malformed)? {
            Decision::Learn(column, note) => {
                has_missing |= seen.observed < rows(table);
                columns.push(column);
                kept.push(place);
                notes.extend(note);
            }
            Decision::Carry(note) => notes.push(note),
        }
    }
    if columns.is_empty() {
        let problem = "has no column left to learn from: its columns hold dates or row numbers; use `--keep`, or add \
                       other columns";
        return Err(malformed(problem.to_string()));
    }
    notes.extend(notes_on_missing(&markers, &kept, &missing));
    let front = [chosen.label, chosen.id];
    let rest =
        (0..all.len()).filter(|place| kept.binary_search(place).is_err() && !front.contains(&Some(*place))).collect();
    Ok(Survey { columns, places: kept, label: chosen.label, id: chosen.id, rest, has_missing, blank_rows, notes })
}

/// How a note begins about a column that is left out of a description, and that a training refuses.
pub const REFUSED: &str = "left out here, and refused by a training: ";

/// Cells that stand for a missing value: how many there are, and in which columns.
type Markers = BTreeMap<String, (usize, BTreeSet<usize>)>;

/// What occurs in all rows of a table.
struct Scan {
    /// For each column to learn from.
    seen: Vec<Seen>,
    markers: Markers,
    /// Rows without any value, ascending.
    blank_rows: Vec<usize>,
}

impl Scan {
    fn of(table: &dyn Table, chosen: &Chosen, missing: &Missing) -> Result<Self, DataError> {
        let names = names(table);
        let seen = chosen.learned.iter().map(|&place| Seen::of(&names[place])).collect();
        let mut scan = Self { seen, markers: Markers::new(), blank_rows: Vec::new() };
        let mut asked: Vec<usize> = chosen.learned.iter().copied().chain(chosen.label).collect();
        asked.sort_unstable();
        let mut progress = Progress::new("inspecting rows of the table", rows(table));
        for number in 0..parts(table) {
            // The labels are read as well, so that a remembered part has everything that is needed later.
            let batch = whole_part(table, number, &asked)?;
            let first = table.starts()[number];
            let mut observed = vec![false; batch.num_rows()];
            let mut part = Part { first, origin: table.origin(), missing, observed: &mut observed };
            for (seen, &place) in scan.seen.iter_mut().zip(&chosen.learned) {
                let array = batch.column(asked.partition_point(|other| *other < place));
                seen.add(chosen.said[place], array, &mut part, &mut |marker| {
                    let entry = scan.markers.entry(marker.to_string()).or_default();
                    entry.0 += 1;
                    entry.1.insert(place);
                })?;
            }
            let blank = observed.iter().enumerate().filter(|(_, observed)| !**observed);
            scan.blank_rows.extend(blank.map(|(row, _)| first + row));
            progress.steps(batch.num_rows());
        }
        Ok(scan)
    }
}

/// Notes on the cells of the columns `kept` that were read as missing, and on strings for missing values that do not
/// occur.
fn notes_on_missing(markers: &Markers, kept: &[usize], missing: &Missing) -> Vec<String> {
    let mut notes = Vec::new();
    let is_kept = |places: &BTreeSet<usize>| places.iter().any(|place| kept.contains(place));
    let shown: Vec<String> = markers
        .iter()
        .filter(|(marker, (_, places))| !marker.is_empty() && is_kept(places))
        .map(|(marker, (count, _))| format!("{count} x `{marker}`"))
        .collect();
    if !shown.is_empty() {
        notes.push(format!("read as missing: {}", shown.join(", ")));
    }
    if let Missing::These(texts) = missing {
        let occurs = |text: &str| {
            let one = Missing::These(vec![text.to_string()]);
            markers.iter().any(|(marker, (_, places))| one.may_have(marker) && is_kept(places))
        };
        notes.extend(nowhere(texts.iter().map(String::as_str).filter(|text| !text.is_empty() && !occurs(text))));
    }
    notes
}

/// The different strings of a column, sorted.
fn levels(table: &dyn Table, place: usize, missing: &Missing) -> Result<Vec<String>, DataError> {
    let mut levels = BTreeSet::new();
    for part in 0..parts(table) {
        for text in texts(whole_part(table, part, &[place])?.column(0), table.origin())?.iter().flatten() {
            let text = trimmed(text);
            if !missing.has(text) && levels.len() <= MOST_LEVELS && !levels.contains(text) {
                levels.insert(text.to_string());
            }
        }
    }
    Ok(levels.into_iter().collect())
}
