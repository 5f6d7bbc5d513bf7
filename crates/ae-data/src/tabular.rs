//! The rows of a table: the learned columns as numbers, in memory or block by block from their file, and the other
//! columns carried along.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow_array::ArrayRef;
use arrow_schema::DataType;

use crate::{
    Column, DataError, Element, Geometry, Kind, Options, Rows, Values,
    cell::{Missing, trimmed},
    encode::Encoder,
    limit::Limit,
    options::places,
    progress::Progress,
    store::{Blocks, Store},
    survey::{Survey, survey},
    table::{Carried, Remembered, Table, differences, names, parts, rows, texts, whole_part},
    words::{counted, few},
};

/// What is known about the training rows, which later rows must match.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The learned columns; empty if the rows have no named columns.
    pub columns: &'a [Column],
    /// Names of the columns that were carried along and not learned from.
    pub carried: &'a [String],
    /// Number of features of a row.
    pub width: usize,
    /// Shape of the images, if the rows are images.
    pub geometry: Option<Geometry>,
    /// The value of white (255 or 65535), if the rows are image files.
    pub white: Option<u32>,
    /// The name of the number type of images, such as `uint8`; empty if it is not known.
    pub element: &'a str,
    /// The smallest and the largest value of images, if known.
    pub range: Option<[f64; 2]>,
    /// Number of features of a row of the target, if the model predicts other rows than its input.
    pub target: Option<usize>,
}

/// Makes rows of a table, as `options` say. With `in_file` the rows stay in their file. With `known` columns, those of
/// a run, exactly these are used, whatever their order in the table; otherwise a [survey](crate::survey) decides first.
///
/// # Errors
/// A column that the options name and the table does not have, a column that cannot be learned from, a table without
/// rows, missing known columns, or a cell that does not fit its column.
pub fn rows_of(
    table: Arc<dyn Table>,
    options: &Options,
    known: Option<&Known>,
    in_file: bool,
) -> Result<Rows, DataError> {
    check_size(table.as_ref(), options, in_file)?;
    // Parsing text is slow, so its parts are kept for the second pass. A typed column is quick to read again.
    let is_text = table.layout().is_some();
    let remembered = if in_file || known.is_some() || !is_text { None } else { Remembered::new(table.as_ref()) };
    let source: &dyn Table = remembered.as_ref().map_or(table.as_ref(), |remembered| remembered);
    let survey = match known {
        None => survey(source, options)?,
        Some(known) => conforming(source, options, known)?,
    };
    let Survey { columns, places, label, id, rest, has_missing, blank_rows, notes } = survey;
    let schema = table.schema();
    let element =
        match columns.iter().zip(&places).all(|(column, &place)| is_single(column, schema.field(place).data_type())) {
            true => Element::F32,
            false => Element::F64,
        };
    let encoder = Arc::new(Encoder::new(columns.clone(), options, is_text, known.is_some()));
    let mut classes = label.map(|_| Classes::default());
    // Allocated at once, because growing would copy all values several times.
    let room = if in_file { 0 } else { rows(table.as_ref()).saturating_mul(columns.len()) };
    let mut values = match element {
        Element::F32 => Values::F32(Vec::with_capacity(room)),
        _ => Values::F64(Vec::with_capacity(room)),
    };
    let wanted = Wanted::new(&places, label);
    if !in_file || label.is_some() {
        let read = if in_file { Wanted::new(&[], label) } else { wanted.clone() };
        let mut progress = Progress::new("reading rows of the table", rows(table.as_ref()));
        for part in 0..parts(table.as_ref()) {
            let (cells, labels) = read.part(source, part)?;
            if let (Some(classes), Some(labels)) = (&mut classes, labels) {
                classes.add(&texts(&labels, table.origin())?, encoder.missing());
            }
            if !in_file {
                let cells = encoder.cells(table.as_ref(), table.starts()[part], &cells.iter().collect::<Vec<_>>())?;
                values.append(packed(cells, element));
            }
            progress.steps(table.starts()[part + 1] - table.starts()[part]);
        }
    }
    let mut made = match in_file {
        true => {
            let wanted = Wanted::new(&places, None);
            let blocks = TableBlocks { table: table.clone(), wanted, encoder: encoder.clone(), element };
            Rows::stored(Store::new(Box::new(blocks), columns.len()), columns.len(), has_missing).with_columns(columns)
        }
        false => Rows::table(values, columns),
    };
    made.notes = notes;
    // For later rows in memory, `Rows::table` has just found them.
    if known.is_none() {
        made.blank_rows = blank_rows;
    }
    made.encoder = Some(encoder);
    made.carried = Some(Carried::new(table, id, label, rest));
    if let Some(classes) = classes {
        classes.set(&mut made, known.is_none());
    }
    Ok(made)
}

/// Checks the memory for an index per row, and for the numbers if they do not stay in their file. The reader checks
/// what it reads at a time.
fn check_size(table: &dyn Table, options: &Options, in_file: bool) -> Result<(), DataError> {
    let (count, width) = (rows(table), table.schema().fields().len());
    let numbers = (count as u64).saturating_mul((width as u64).saturating_add(1)).saturating_mul(8);
    let needed = if in_file { (count as u64).saturating_mul(8) } else { numbers };
    let what = format!("a table of {} and {}", counted(count, "row"), counted(width, "column"));
    Limit::of(options).check(table.origin(), what, needed, needed)
}

/// Whether single precision represents every number of such a column exactly.
fn is_single(column: &Column, kind: &DataType) -> bool {
    let small = |kind: &DataType| {
        matches!(
            kind,
            DataType::Float16
                | DataType::Float32
                | DataType::Int8
                | DataType::Int16
                | DataType::UInt8
                | DataType::UInt16
                | DataType::Null
        )
    };
    column.kind != Kind::Number || column.blank || small(kind)
}

fn packed(cells: Vec<f64>, element: Element) -> Values {
    match element {
        Element::F32 => Values::F32(cells.into_iter().map(|cell| cell as f32).collect()),
        _ => Values::F64(cells),
    }
}

/// Finds the known columns in a later table.
fn conforming(table: &dyn Table, options: &Options, before: &Known) -> Result<Survey, DataError> {
    let known = before.columns;
    let all = names(table);
    let malformed = |problem: String| DataError::Malformed { path: table.origin().to_owned(), problem };
    if rows(table) == 0 {
        return Err(malformed("holds no rows".to_string()));
    }
    let found: HashMap<&str, usize> = all.iter().map(String::as_str).zip(0..).collect();
    let place = |name: &Option<String>| name.as_ref().and_then(|name| found.get(name.as_str()).copied());
    let (label, id) = (place(&options.label), place(&options.id));
    let missing: Vec<&String> =
        known.iter().map(|column| &column.name).filter(|name| !found.contains_key(name.as_str())).collect();
    // Columns that the run left out are not reported as new.
    let named = |list: &[String]| {
        list.iter().flat_map(|entry| places(std::slice::from_ref(entry), &all).unwrap_or_default()).collect::<Vec<_>>()
    };
    let (dropped, index) = (named(&options.drop), table.index_columns());
    let learned: HashMap<&str, ()> = known.iter().map(|column| (column.name.as_str(), ())).collect();
    let rest: Vec<usize> = (0..all.len())
        .filter(|&place| !learned.contains_key(all[place].as_str()) && Some(place) != label && Some(place) != id)
        .collect();
    let is_new = |place: &&usize| {
        !dropped.contains(place) && !index.contains(&all[**place]) && !before.carried.contains(&all[**place])
    };
    let extra: Vec<&String> = rest.iter().filter(is_new).map(|&place| &all[place]).collect();
    if !missing.is_empty() {
        // Probably a table without a header that has too few rows to detect that.
        let is_place = |name: &&String| name.strip_prefix('c').is_some_and(|place| place.parse::<usize>().is_ok());
        let is_row = table.layout().is_some() && options.header.is_none() && missing.iter().all(is_place);
        let advice = if is_row { " (use `--no-header` if its first line is a row)" } else { "" };
        return Err(malformed(differences(&missing, &extra, "the rows that were trained on") + advice));
    }
    let mut notes = table.notes();
    if !extra.is_empty() && options.keep.is_empty() {
        notes.push(format!("not in the training data, carried along: {}", few(&extra, 8)));
    }
    let places = known.iter().map(|column| found[column.name.as_str()]).collect();
    // Later data may have missing values anywhere, so `has_missing` is always set.
    Ok(Survey { columns: known.to_vec(), places, label, id, rest, has_missing: true, blank_rows: Vec::new(), notes })
}

/// Columns that are read together: the learned columns, in their own order, and the labels.
#[derive(Debug, Clone)]
struct Wanted {
    /// The columns to read from the table, ascending.
    asked: Vec<usize>,
    /// The position of each learned column among them.
    places: Vec<usize>,
    label: Option<usize>,
}

impl Wanted {
    fn new(columns: &[usize], label: Option<usize>) -> Self {
        let mut asked: Vec<usize> = columns.iter().copied().chain(label).collect();
        asked.sort_unstable();
        asked.dedup();
        let place = |column: usize| asked.partition_point(|&other| other < column);
        Self { places: columns.iter().map(|&column| place(column)).collect(), label: label.map(place), asked }
    }

    fn part(&self, table: &dyn Table, part: usize) -> Result<(Vec<ArrayRef>, Option<ArrayRef>), DataError> {
        let batch = whole_part(table, part, &self.asked)?;
        let cells = self.places.iter().map(|&place| batch.column(place).clone()).collect();
        Ok((cells, self.label.map(|place| batch.column(place).clone())))
    }
}

/// The parts of a table as blocks with the cells of the learned columns.
#[derive(Debug)]
struct TableBlocks {
    table: Arc<dyn Table>,
    wanted: Wanted,
    encoder: Arc<Encoder>,
    element: Element,
}

impl Blocks for TableBlocks {
    fn starts(&self) -> &[usize] {
        self.table.starts()
    }

    fn element(&self) -> Element {
        self.element
    }

    fn read(&self, block: usize) -> Result<Values, DataError> {
        let (cells, _) = self.wanted.part(self.table.as_ref(), block)?;
        let cells = self.encoder.cells(self.table.as_ref(), self.starts()[block], &cells.iter().collect::<Vec<_>>())?;
        Ok(packed(cells, self.element))
    }
}

/// The classes of rows, collected from the parts of a table one after the other.
#[derive(Default)]
struct Classes {
    numbers: BTreeMap<String, u32>,
    labels: Vec<Option<u32>>,
}

impl Classes {
    fn add(&mut self, texts: &[Option<String>], missing: &Missing) {
        for text in texts {
            let text = text.as_deref().map(trimmed).filter(|text| !missing.has(text));
            self.labels.push(text.map(|text| {
                let next = self.numbers.len() as u32;
                *self.numbers.entry(text.to_string()).or_insert(next)
            }));
        }
    }

    /// Sets the labels of rows. Rows without a label are reported if the rows are new, that is, for training.
    fn set(self, rows: &mut Rows, is_new: bool) {
        let (labels, names) = self.finish();
        let without = labels.iter().filter(|label| label.is_none()).count();
        if without > 0 && is_new {
            let verb = if without == 1 { "has" } else { "have" };
            rows.notes.push(format!("{without} of {} {verb} no label", counted(labels.len(), "row")));
        }
        // If no row has a label, there are no labels.
        if !names.is_empty() {
            (rows.labels, rows.label_names) = (Some(labels), Some(names));
        }
    }

    /// The class index of each row, and the names of the classes in order.
    fn finish(self) -> (Vec<Option<u32>>, Vec<String>) {
        let mut names: Vec<(&String, u32)> = self.numbers.iter().map(|(name, &number)| (name, number)).collect();
        names.sort_by(|(a, _), (b, _)| by_number(a, b));
        let mut order = vec![0; names.len()];
        names.iter().enumerate().for_each(|(place, (_, number))| order[*number as usize] = place as u32);
        let labels = self.labels.iter().map(|number| number.map(|number| order[number as usize])).collect();
        (labels, names.into_iter().map(|(name, _)| name.clone()).collect())
    }
}

/// Orders numbers numerically (9 before 10), then other strings alphabetically.
fn by_number(a: &str, b: &str) -> std::cmp::Ordering {
    let number = |text: &str| text.parse::<f64>().ok();
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}
