//! Decides once what the columns of a table are, from all rows of the training data, and reports what is not obvious.
//!
//! A text column holds numbers, booleans, dates or names: whichever all of its cells can be read as. Options for a
//! column override that. A column that is mostly numbers never becomes a category: it is refused, and the error names
//! the cell that is not a number.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    path::Path,
};

use arrow_array::{Array as _, ArrayRef, cast::AsArray, types::Float64Type};
use arrow_cast::cast;
use arrow_schema::DataType;

use crate::{
    Column, DataError, Kind, Options,
    cell::{MONEY, Mark, Missing, Shape, Style, boolean, is_date, other_word, plain, trimmed, truth},
    column::MOST_LEVELS,
    options::{no_column, places, typed},
    progress::Progress,
    table::{Table, names, parts, rows, texts, whole_part},
    words::{few, plural},
};

/// Number of rows from which on a column that counts the rows is reported.
const MANY: usize = 20;
/// Maximum number of row names that are compared with each other.
const MOST_NAMES: usize = 1 << 20;

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

/// The kind of a column that an option declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Number,
    Integer,
    Boolean,
    Category,
}

/// The columns that the options choose.
struct Chosen {
    label: Option<usize>,
    id: Option<usize>,
    learned: Vec<usize>,
    said: Vec<Option<Said>>,
}

impl Chosen {
    fn of(table: &dyn Table, options: &Options) -> Result<Self, DataError> {
        let (names, origin) = (names(table), table.origin());
        let find = |option: &str, said: &[String]| {
            places(said, &names).map_err(|name| no_column(option, &name, &names, origin))
        };
        let one = |option: &str, said: &Option<String>| -> Result<Option<usize>, DataError> {
            let place = |name: &String| {
                names.iter().position(|other| other == name).ok_or_else(|| no_column(option, name, &names, origin))
            };
            said.as_ref().map(place).transpose()
        };
        let (label, id) = (one("label", &options.label)?, one("id", &options.id)?);
        let (drop, keep) = (find("drop", &options.drop)?, find("keep", &options.keep)?);
        let cut_by: Vec<usize> = options
            .cut_by
            .iter()
            .map(|name| one("group or time", &Some(name.clone())))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        let mut said = vec![None; names.len()];
        for (option, list, kind) in [
            ("numeric", &options.numeric, Said::Number),
            ("integer", &options.integer, Said::Integer),
            ("boolean", &options.boolean, Said::Boolean),
            ("categorical", &options.categorical, Said::Category),
        ] {
            for place in find(option, list)? {
                if said[place].is_some_and(|other| other != kind) {
                    let problem = format!(
                        "column `{}` is declared as two kinds, one of them `--{option}`: keep one of the two",
                        names[place]
                    );
                    return Err(DataError::Malformed { path: origin.to_owned(), problem });
                }
                said[place] = Some(kind);
            }
        }
        let index = table.index_columns();
        let learned: Vec<usize> = (0..names.len())
            .filter(|place| {
                Some(*place) != label && Some(*place) != id && !drop.contains(place) && !cut_by.contains(place)
            })
            .filter(|place| {
                if keep.is_empty() {
                    !index.contains(&names[*place]) || said[*place].is_some()
                } else {
                    keep.contains(place)
                }
            })
            .collect();
        if learned.is_empty() {
            let problem = "has no column left to learn from: change `--drop` or `--keep`".to_string();
            return Err(DataError::Malformed { path: origin.to_owned(), problem });
        }
        Ok(Self { label, id, learned, said })
    }
}

/// What occurred in the cells of a column so far.
#[derive(Default)]
struct Seen {
    observed: usize,
    /// Number of cells that are plain numbers, such as `-1.5` or `2e3`.
    plain: usize,
    /// Number of cells that are numbers in another style, such as `1,5` or `$3`.
    styled: usize,
    booleans: usize,
    dates: usize,
    /// Whether any number has a fractional part.
    has_fraction: bool,
    /// The smallest and the largest number of decimals.
    decimals: Option<(usize, usize)>,
    /// The first number with a leading zero, such as `007`.
    zero: Option<String>,
    /// Number of integers that can be dates, such as 20240131.
    days: usize,
    /// Whether any integer is too large for double precision (2^53 or more).
    is_big: bool,
    /// Number of strings that begin with a number, and the first of them.
    digits: (usize, Option<String>),
    /// How often a comma (and a point) is a decimal mark, a thousands separator, or either of the two (three digits
    /// follow).
    comma: [usize; 3],
    point: [usize; 3],
    spaces: usize,
    /// The prefix and the suffix of the numbers, and whether other ones occur.
    affixes: Option<(String, String)>,
    has_other_affixes: bool,
    /// A number in another style, and one with a point and three digits.
    example: Option<String>,
    either: Option<String>,
    /// The first cell that is not a number, with its row.
    text: Option<(usize, String)>,
    /// The different strings that are not numbers, up to one more than a category can have.
    words: HashSet<String>,
    /// Whether each number is one more than the number before it; the last and the first number.
    counts: bool,
    last: Option<f64>,
    first: Option<f64>,
    /// Number of cells that are 0 or 1.
    bits: usize,
    /// A number with a fractional part, in a typed column.
    part: Option<f64>,
    /// For a column without a name: the different cells so far, as long as none occurs twice or has a fractional part.
    different: Option<HashSet<u64>>,
    /// The type of the column in its file, if it is not supported.
    other: Option<DataType>,
    is_time: bool,
}

impl Seen {
    /// For a column of this name.
    fn of(name: &str) -> Self {
        Self { different: name.is_empty().then(HashSet::new), ..Self::default() }
    }

    /// Adds a cell of a column that may name the rows.
    fn name(&mut self, cell: impl Hash) {
        if let Some(different) = &mut self.different
            && different.len() < MOST_NAMES
            && !different.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(cell))
        {
            self.different = None;
        }
    }

    fn number(&mut self, value: f64) {
        self.plain += 1;
        self.bits += usize::from(value == 0.0 || value == 1.0);
        if value.fract() != 0.0 {
            self.has_fraction = true;
            self.part = self.part.or(Some(value));
            self.different = None;
        } else if self.different.is_some() {
            self.name(value.to_bits());
        }
        let (year, month, day) = (value.div_euclid(1e4), value.div_euclid(1e2) % 1e2, value % 1e2);
        let is_day = (1900.0..2100.0).contains(&year)
            && (1.0..=12.0).contains(&month)
            && (1.0..=31.0).contains(&day)
            && value.fract() == 0.0;
        self.days += usize::from(is_day);
        self.is_big |= value.abs() >= 9_007_199_254_740_992.0;
        self.counts = match self.last {
            Some(last) => self.counts && value == last + 1.0,
            None => true,
        };
        self.first = self.first.or(Some(value));
        self.last = Some(value);
    }

    fn word(&mut self, word: &str) {
        if self.words.len() <= MOST_LEVELS && !self.words.contains(word) {
            self.words.insert(word.to_string());
        }
    }

    fn marks(&mut self, shape: &Shape) {
        for (counts, mark) in [(&mut self.comma, shape.comma), (&mut self.point, shape.point)] {
            match mark {
                Mark::None => {}
                Mark::Decimal => counts[0] += 1,
                Mark::Thousands => counts[1] += 1,
                Mark::Either => counts[2] += 1,
            }
        }
        self.spaces += usize::from(shape.spaces);
    }

    fn text(&mut self, row: usize, cell: &str) {
        if let Some(value) = plain(cell) {
            self.number(value);
            let point = cell.find('.');
            let has_exponent = cell.contains(['e', 'E']);
            let after = point.map_or(0, |point| cell.len() - point - 1);
            self.decimals(if has_exponent { usize::MAX } else { after });
            if let Some(point) = point {
                // A point before three digits may be a thousands separator.
                match after == 3 && cell[point + 1..].bytes().all(|byte| byte.is_ascii_digit()) {
                    true => {
                        self.marks(&Shape::of(cell).unwrap_or(Shape::NONE));
                        self.either.get_or_insert_with(|| cell.to_string());
                    }
                    false => self.point[0] += 1,
                }
            } else if self.zero.is_none() && cell.len() > 1 && cell.starts_with('0') {
                self.zero = Some(cell.to_string());
            }
            self.affix("", "");
            return;
        }
        self.counts = false;
        if let Some(shape) = Shape::of(cell) {
            self.styled += 1;
            self.different = None;
            self.marks(&shape);
            self.affix(shape.prefix, shape.suffix);
            self.decimals(shape.decimals());
            if self.example.is_none() {
                self.example = Some(cell.to_string());
            }
            return;
        }
        self.name(cell);
        self.booleans += usize::from(boolean(cell).is_some());
        self.dates += usize::from(is_date(cell));
        if self.text.is_none() {
            self.text = Some((row, cell.to_string()));
        }
        if begins_with_number(cell) {
            self.digits.0 += 1;
            self.digits.1.get_or_insert_with(|| cell.to_string());
        }
        self.word(cell);
    }

    fn decimals(&mut self, count: usize) {
        self.decimals = Some(self.decimals.map_or((count, count), |(least, most)| (least.min(count), most.max(count))));
    }

    fn affix(&mut self, prefix: &str, suffix: &str) {
        match &self.affixes {
            None => self.affixes = Some((prefix.to_string(), suffix.to_string())),
            Some((before, behind)) => self.has_other_affixes |= before != prefix || behind != suffix,
        }
    }

    fn numbers(&self) -> usize {
        self.plain + self.styled
    }
}

/// Decides what the columns of a table are.
///
/// # Errors
/// A column that the options name and the table does not have, a column that cannot be learned from, or a table without
/// rows.
pub fn survey(table: &dyn Table, options: &Options) -> Result<Survey, DataError> {
    let (all, origin) = (names(table), table.origin());
    let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
    let chosen = Chosen::of(table, options)?;
    if rows(table) == 0 {
        return Err(malformed("holds no rows".to_string()));
    }
    let missing = options.missing(table.layout().is_some());
    let mut seen: Vec<Seen> = chosen.learned.iter().map(|&place| Seen::of(&all[place])).collect();
    let mut markers: BTreeMap<String, (usize, BTreeSet<usize>)> = BTreeMap::new();
    let mut asked: Vec<usize> = chosen.learned.iter().copied().chain(chosen.label).collect();
    asked.sort_unstable();
    let (mut blank_rows, mut has_missing) = (Vec::new(), false);
    let mut progress = Progress::new("inspecting rows of the table", rows(table));
    for part in 0..parts(table) {
        // The labels are read as well, so that a remembered part has everything that is needed later.
        let batch = whole_part(table, part, &asked)?;
        let first = table.starts()[part];
        let mut observed = vec![false; batch.num_rows()];
        for (seen, &place) in seen.iter_mut().zip(&chosen.learned) {
            look(
                seen,
                chosen.said[place],
                batch.column(position(&asked, place)),
                first,
                (origin, &missing),
                &mut observed,
                &mut |marker| {
                    let entry = markers.entry(marker.to_string()).or_default();
                    entry.0 += 1;
                    entry.1.insert(place);
                },
            )?;
        }
        blank_rows.extend(observed.iter().enumerate().filter(|(_, observed)| !**observed).map(|(row, _)| first + row));
        progress.steps(batch.num_rows());
    }
    let count = rows(table);
    let decimals = |counts: fn(&Seen) -> usize| seen.iter().map(counts).sum::<usize>();
    let file = File {
        decimal: options.decimal,
        commas: decimals(|seen| seen.comma[0]),
        points: decimals(|seen| seen.point[0]),
        is_comma_separated: table.layout().is_none_or(|layout| layout.delimiter == b','),
    };
    let mut notes = table.notes();
    let index = table.index_columns();
    if !index.is_empty() && all.iter().any(|name| index.contains(name)) {
        notes.push(format!(
            "the row index of the file, column{} {}, is carried along and not learned from",
            plural(index.len()),
            few(&index, 8)
        ));
    }
    let (mut columns, mut kept) = (Vec::new(), Vec::new());
    for (seen, &place) in seen.iter().zip(&chosen.learned) {
        let name = &all[place];
        match decide(seen, name, chosen.said[place], &file, count, !options.keep.is_empty(), table)
            .map_err(malformed)?
        {
            Decision::Column(column, note) => {
                has_missing |= seen.observed < count;
                columns.push(column);
                kept.push(place);
                notes.extend(note);
            }
            Decision::Carry(note) => notes.push(note),
        }
    }
    // In a category with strings and numbers, the numbers are levels, too.
    for ((column, &place), seen) in
        columns.iter_mut().zip(&kept).zip(kept.iter().map(|place| &seen[position(&chosen.learned, *place)]))
    {
        if column.kind == Kind::Category && (seen.numbers() > 0 || chosen.said[place] == Some(Said::Category)) {
            column.levels = levels(table, place, &missing)?;
            if column.levels.len() > MOST_LEVELS {
                return Err(malformed(too_many(&column.name, column.levels.len(), column.levels.first())));
            }
        }
    }
    if columns.is_empty() {
        let problem = "has no column left to learn from: its columns hold dates or row numbers; use `--keep`, or add \
                       other columns";
        return Err(malformed(problem.to_string()));
    }
    let shown: Vec<String> = markers
        .iter()
        .filter(|(marker, (_, places))| !marker.is_empty() && places.iter().any(|place| kept.contains(place)))
        .map(|(marker, (count, _))| format!("{count} x `{marker}`"))
        .collect();
    if !shown.is_empty() {
        notes.push(format!("read as missing: {}", shown.join(", ")));
    }
    if let Missing::These(texts) = &missing {
        let is_met = |text: &str| {
            let one = Missing::These(vec![text.to_string()]);
            markers
                .iter()
                .any(|(marker, (_, places))| one.may_have(marker) && places.iter().any(|place| kept.contains(place)))
        };
        notes.extend(crate::options::nowhere(
            texts.iter().map(String::as_str).filter(|text| !text.is_empty() && !is_met(text)),
        ));
    }
    let front = [chosen.label, chosen.id];
    let rest =
        (0..all.len()).filter(|place| kept.binary_search(place).is_err() && !front.contains(&Some(*place))).collect();
    Ok(Survey { columns, places: kept, label: chosen.label, id: chosen.id, rest, has_missing, blank_rows, notes })
}

/// The position of `place` in `places`, which are ascending and contain it.
fn position(places: &[usize], place: usize) -> usize {
    places.partition_point(|other| *other < place)
}

/// Adds the cells of a column to what was seen so far.
fn look(
    seen: &mut Seen,
    said: Option<Said>,
    array: &ArrayRef,
    first: usize,
    (origin, missing): (&Path, &Missing),
    observed: &mut [bool],
    marker: &mut dyn FnMut(&str),
) -> Result<(), DataError> {
    let as_type = |kind: &DataType| cast(array, kind).map_err(|error| crate::table::arrow_problem(origin, &error));
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_name = matches!(said, Some(Said::Category | Said::Boolean));
    match array.data_type() {
        DataType::Null => {}
        DataType::Boolean if !is_name => {
            let values = array.as_boolean();
            for row in (0..values.len()).filter(|row| !values.is_null(*row)) {
                observed[row] = true;
                seen.observed += 1;
                seen.booleans += 1;
            }
        }
        kind if is_text(kind) || matches!(kind, DataType::Dictionary(_, value) if is_text(value)) => {
            let values = if kind == &DataType::Utf8 { array.clone() } else { as_type(&DataType::Utf8)? };
            for (row, cell) in values.as_string::<i32>().iter().enumerate() {
                let Some(cell) = cell.map(trimmed) else { continue };
                if cell.is_empty() {
                    // A typed table has null for a missing value, so empty strings are reported.
                    if *missing == Missing::Nothing {
                        marker("''");
                    }
                    continue;
                }
                if missing.has(cell) || !is_name && missing.may_have(cell) {
                    marker(cell);
                    continue;
                }
                observed[row] = true;
                seen.observed += 1;
                match is_name {
                    true => seen.word(cell),
                    false => seen.text(first + row, cell),
                }
            }
        }
        kind if is_name || is_number(kind) => {
            if is_name {
                for (row, text) in texts(array, origin)?.into_iter().enumerate() {
                    let Some(text) = text else { continue };
                    if missing.has(&text) {
                        marker(&text);
                        continue;
                    }
                    observed[row] = true;
                    seen.observed += 1;
                    seen.word(&text);
                }
                return Ok(());
            }
            let values = as_type(&DataType::Float64)?;
            let (values, gaps) = (values.as_primitive::<Float64Type>(), missing.numbers());
            for row in (0..values.len()).filter(|row| !values.is_null(*row) && !values.value(*row).is_nan()) {
                let value = values.value(row);
                if gaps.contains(&value) {
                    marker(&value.to_string());
                    continue;
                }
                observed[row] = true;
                seen.observed += 1;
                seen.number(value);
            }
        }
        kind => {
            seen.is_time = kind.is_temporal();
            seen.other = Some(kind.clone());
            for row in (0..array.len()).filter(|row| !array.is_null(*row)) {
                observed[row] = true;
                seen.observed += 1;
                if seen.example.is_none() && seen.is_time {
                    seen.example = texts(&array.slice(row, 1), origin)?.into_iter().flatten().next();
                }
            }
        }
    }
    Ok(())
}

/// Whether an Arrow type is numeric.
pub(crate) fn is_number(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_number(value),
        kind => kind.is_numeric(),
    }
}

/// What all columns of a file together show about the style of its numbers.
struct File {
    decimal: Option<char>,
    commas: usize,
    points: usize,
    is_comma_separated: bool,
}

enum Decision {
    Column(Column, Option<String>),
    Carry(String),
}

fn decide(
    seen: &Seen,
    name: &str,
    said: Option<Said>,
    file: &File,
    count: usize,
    is_kept: bool,
    table: &dyn Table,
) -> Result<Decision, String> {
    let option = typed(name);
    let called = if name.is_empty() { "the column without a name".to_string() } else { format!("column `{name}`") };
    if let Some(kind) = &seen.other {
        return match seen.is_time {
            true => Ok(Decision::Carry(dates(&called, seen.example.as_deref().unwrap_or_default()))),
            false => Err(format!(
                "{called} has the type {kind}, which cannot be learned from: leave it out with `--drop {option}`, or \
                 convert it to numbers or strings"
            )),
        };
    }
    match said {
        Some(Said::Category) => return Ok(Decision::Column(Column::new(name, Kind::Category, Vec::new()), None)),
        Some(Said::Boolean) => return two_words(seen, name).map(|column| Decision::Column(column, None)),
        _ => {}
    }
    let is_number = matches!(said, Some(Said::Number | Said::Integer));
    if seen.observed == 0 {
        if name.is_empty() {
            return Ok(Decision::Carry(format!("{called} is empty and not learned from")));
        }
        let note = format!("{called} is empty: nothing is learned from it, and nothing is imputed in it");
        return Ok(Decision::Column(Column { blank: true, ..Column::number(name) }, Some(note)));
    }
    // A column with a different integer or string in every row names the rows. One that counts them is handled below.
    let is_index = seen.counts && seen.plain == count && matches!(seen.first, Some(0.0 | 1.0));
    let is_name = said.is_none()
        && !is_kept
        && seen.observed == count
        && count > 1
        && seen.different.is_some()
        && seen.dates == 0;
    let is_number_each = seen.plain == count;
    // More strings than a category can have are refused below.
    if is_name && !is_index && (is_number_each || count <= MOST_LEVELS) {
        let what = if is_number_each { "has a different integer in every row" } else { "names the rows" };
        return Ok(Decision::Carry(format!(
            "{called} {what}: carried along, not learned from (`--keep` learns from it)"
        )));
    }
    if seen.numbers() == seen.observed || is_number {
        let style = style(seen, name, file, &option)?;
        // A row number is no information about a row.
        if is_index && name.is_empty() && !is_kept && !is_number {
            return Ok(Decision::Carry(format!(
                "{called} counts the rows: carried along, not learned from (`--keep` learns from it)"
            )));
        }
        // The most surprising example comes first.
        let example = seen.either.as_ref().filter(|_| style.decimal_comma).or(seen.example.as_ref());
        let mut note = match example {
            Some(example) if !style.is_plain() => Some(format!("{called}: {}", style.describe(example))),
            _ => None,
        };
        if is_index && count >= MANY && !is_number {
            note = Some(format!(
                "{called} counts the rows: if it only identifies them, use `--id {option}` or `--drop {option}`"
            ));
        }
        // With a decimal comma every point is a thousands separator; without one, a comma may be.
        let [decimal, _, either] = if style.decimal_comma { seen.comma } else { seen.point };
        let has_fraction = if style.decimal_comma {
            decimal + either > 0
        } else {
            seen.has_fraction || seen.styled > 0 && decimal + either > 0
        };
        let integer = said == Some(Said::Integer) || !has_fraction && said.is_none();
        if said == Some(Said::Integer) && has_fraction {
            let example = seen.part.map(|part| part.to_string()).or_else(|| seen.example.clone()).unwrap_or_default();
            note = Some(format!(
                "{called} is declared as integer, but has values such as `{example}`: imputed values are rounded \
                 nevertheless"
            ));
        }
        if note.is_none() && !is_number && seen.days == seen.observed && seen.plain == seen.observed {
            note = Some(format!(
                "{called} may hold dates (such as 20240131), but is read as numbers: `--drop {option}` leaves it out"
            ));
        }
        if note.is_none() && seen.is_big && integer {
            note = Some(format!(
                "{called} has integers beyond 9007199254740992, whose last digits are rounded for learning: if they \
                 are identifiers, use `--id {option}`"
            ));
        }
        if let Some(zero) = seen.zero.as_ref().filter(|_| note.is_none() && !is_number) {
            note = Some(format!(
                "{called}: `{zero}` is read as a number; `--categorical {option}` reads such cells as names"
            ));
        }
        return Ok(Decision::Column(Column { integer, style, ..Column::number(name) }, note));
    }
    if seen.booleans == seen.observed {
        return two_words(seen, name).map(|column| Decision::Column(column, None));
    }
    // Joined files of several programs: words such as yes and no, and 0 and 1, are the same two values.
    if seen.booleans > 0 && seen.booleans + seen.bits == seen.observed {
        let note = seen.text.as_ref().map(|(_, word)| {
            format!(
                "{called} has words such as `{word}` and 0 or 1: both are read as booleans (`--categorical {option}` \
                 keeps them apart)"
            )
        });
        return two_words(seen, name).map(|column| Decision::Column(column, note));
    }
    if seen.dates == seen.observed {
        return Ok(Decision::Carry(dates(&called, seen.text.as_ref().map_or("", |(_, text)| text.as_str()))));
    }
    if let Some((row, text)) = seen.text.as_ref().filter(|_| seen.numbers() * 2 > seen.observed) {
        let place = table.place(*row);
        return Err(format!(
            "{place}, {called}: `{text}` is not a number, but most cells of the column are: correct it, or leave the \
             cell empty if it is missing; \
             `--categorical {option}` reads the column as names, `--drop {option}` leaves it out"
        ));
    }
    let mostly_digits = seen.digits.0 + seen.numbers();
    let is_number_like = said.is_none() && seen.digits.0 > 0 && mostly_digits * 2 > seen.observed;
    if seen.words.len() > MOST_LEVELS {
        return Err(too_many(name, seen.words.len(), seen.words.iter().min()));
    }
    let mut levels: Vec<String> = seen.words.iter().cloned().collect();
    levels.sort();
    if is_number_like {
        let example = seen.digits.1.as_deref().unwrap_or_default();
        let note = format!(
            "{called}: cells like `{example}` are read as names, not as numbers or dates: write them as plain \
             numbers, or leave the column out with \
             `--drop {option}` (`--categorical {option}` confirms that they are names)"
        );
        return Ok(Decision::Column(Column::new(name, Kind::Category, levels), Some(note)));
    }
    if levels.len() == count && seen.numbers() == 0 && count >= MANY {
        let note = format!(
            "{called} is different in every row: if it only names the rows, use `--id {option}` or `--drop {option}`"
        );
        return Ok(Decision::Column(Column::new(name, Kind::Category, levels), Some(note)));
    }
    Ok(Decision::Column(Column::new(name, Kind::Category, levels), None))
}

fn dates(called: &str, example: &str) -> String {
    format!(
        "{called} holds dates (`{example}`): carried along, not learned from; to learn from it, convert it to \
         numbers, such as days since a date"
    )
}

fn too_many(name: &str, count: usize, example: Option<&String>) -> String {
    let (option, example) = (typed(name), example.cloned().unwrap_or_default());
    let count = if count > MOST_LEVELS { format!("more than {MOST_LEVELS}") } else { count.to_string() };
    format!(
        "column `{name}` has {count} different strings (`{example}`, ...), but a category has at most {MOST_LEVELS} \
         levels: leave it out with \
         `--drop {option}`, or carry it along with `--id {option}`"
    )
}

/// A boolean column of two words, or of one word whose opposite is known.
fn two_words(seen: &Seen, name: &str) -> Result<Column, String> {
    let mut words: Vec<String> = seen.words.iter().cloned().collect();
    // Sorted, so that `Yes` is preferred to `yes`.
    words.sort();
    let column = |levels: Vec<String>| Column::new(name, Kind::Boolean, levels);
    if words.iter().all(|word| truth(word).is_some()) && !words.is_empty() {
        let of = |value: bool| words.iter().find(|word| truth(word) == Some(value)).cloned();
        return Ok(match (of(false), of(true)) {
            (Some(no), Some(yes)) => column(vec![no, yes]),
            (Some(no), None) if plain(&no).is_some() => column(vec![no, "1".into()]),
            (None, Some(yes)) if plain(&yes).is_some() => column(vec!["0".into(), yes]),
            (Some(no), None) => column(vec![no.clone(), other_word(&no)]),
            (None, Some(yes)) => column(vec![other_word(&yes), yes]),
            (None, None) => column(Vec::new()),
        });
    }
    match words.len() {
        0 => Ok(column(Vec::new())),
        1 | 2 => {
            if words.len() == 1 {
                words.push(format!("not {}", words[0]));
            }
            Ok(column(words))
        }
        count => Err(format!(
            "column `{name}` is declared as boolean, but has {count} different values (`{}`, ...): use `--categorical \
             {}`",
            words[0],
            typed(name)
        )),
    }
}

/// Whether a string begins with a number in any digits (`34 min`, `<10`, `($5)`, `10-Jan-2024`, `１.５`), or with a word
/// and a number (`USD 34`, `Jan 10`). `A1` does not.
fn begins_with_number(cell: &str) -> bool {
    let is_mark = |letter: char| "+-−–—‐‑('’‘`<>=~\"#≤≥± ".contains(letter) || MONEY.contains(letter);
    let start = cell.trim_start_matches(is_mark);
    let rest = start.trim_start_matches(|letter: char| letter.is_alphabetic());
    let letters = start.len() - rest.len();
    let is_digit = |text: &str| text.trim_start_matches([' ', '.']).starts_with(char::is_numeric);
    letters == 0 && is_digit(start) || letters > 2 && is_digit(rest)
}

/// The style of the numbers of a column.
fn style(seen: &Seen, name: &str, file: &File, option: &str) -> Result<Style, String> {
    if seen.has_other_affixes && seen.affixes.is_some() {
        let example = seen.example.as_deref().unwrap_or_default();
        return Err(format!(
            "column `{name}` mixes units: some of its numbers are written like `{example}`, others are not: write all \
             of them the same way"
        ));
    }
    let (prefix, suffix) = seen.affixes.clone().unwrap_or_default();
    let ([comma_decimal, comma_thousands, comma_either], [point_decimal, point_thousands, point_either]) =
        (seen.comma, seen.point);
    let commas = comma_decimal + comma_thousands + comma_either;
    let decimal_comma = match file.decimal {
        Some(mark) => mark == ',',
        None if comma_decimal > 0 && point_decimal > 0 => {
            return Err(format!(
                "column `{name}` has both decimal commas and decimal points: write all of its numbers the same way"
            ));
        }
        None if comma_decimal > 0 => true,
        None if point_decimal > 0 || comma_thousands > 0 => false,
        None if point_thousands > 0 => true,
        None if comma_either + point_either == 0 => false,
        None if file.commas > 0 && file.points == 0 => true,
        None if comma_either == 0 || file.points > 0 && file.commas == 0 || file.is_comma_separated => false,
        None => {
            let example = seen.example.as_deref().unwrap_or_default();
            return Err(format!(
                "column `{name}`: `{example}` can be read with a decimal mark or a thousands separator: choose with \
                 `--decimal ,` or `--decimal .`, or leave the column out with `--drop {option}`"
            ));
        }
    };
    let points = point_decimal + point_thousands + point_either;
    let thousands = seen.spaces > 0 || if decimal_comma { points > 0 } else { commas > 0 };
    let is_clear = if decimal_comma { point_either == 0 } else { comma_either == 0 };
    let decimals = seen
        .decimals
        .filter(|(least, most)| is_clear && least == most && (1..=15).contains(least))
        .map(|(least, _)| least);
    Ok(Style { decimal_comma: decimal_comma && (commas > 0 || points > 0), thousands, decimals, prefix, suffix })
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
