//! Several tables as one.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{
    categories::{categories, without_order},
    interface::{CountedIndex, Layout, Table, arrow_problem, differences, names, parts, rows, starts},
    types::{common, exactly},
};
use crate::DataError;

/// Several tables with the same columns, one after the other. The order of the columns is that of the first table; a
/// type holds the values of all tables.
#[derive(Debug)]
pub(crate) struct Joined {
    tables: Vec<Arc<dyn Table>>,
    schema: SchemaRef,
    starts: Vec<usize>,
    /// The table, and the part of it, for each part.
    parts: Vec<(usize, usize)>,
    /// The positions of the columns in each table.
    places: Vec<Vec<usize>>,
    notes: Vec<String>,
}

impl Joined {
    /// # Errors
    /// If the columns of the tables differ, or no type holds the values of a column.
    pub(crate) fn new(tables: Vec<Arc<dyn Table>>) -> Result<Self, DataError> {
        let places = places(&tables)?;
        let (mut counts, mut parts_of) = (Vec::new(), Vec::new());
        for (number, table) in tables.iter().enumerate() {
            for part in 0..parts(table.as_ref()) {
                counts.push(table.starts()[part + 1] - table.starts()[part]);
                parts_of.push((number, part));
            }
        }
        let (mut fields, mut notes) = (Vec::new(), Vec::new());
        for column in 0..places[0].len() {
            let (field, note) = field(&tables, &places, column)?;
            fields.push(field);
            notes.extend(note);
        }
        let problem = || {
            let problem = "has too many rows to be counted".to_string();
            DataError::Malformed { path: tables[0].origin().to_owned(), problem }
        };
        let starts = starts(counts.into_iter()).ok_or_else(problem)?;
        Ok(Self { schema: Arc::new(Schema::new(fields)), tables, starts, parts: parts_of, places, notes })
    }
}

/// The positions of the columns of the first table in each table.
fn places(tables: &[Arc<dyn Table>]) -> Result<Vec<Vec<usize>>, DataError> {
    let known = names(tables[0].as_ref());
    let known_names: HashSet<&String> = known.iter().collect();
    let index = tables[0].index_columns();
    let place = |table: &Arc<dyn Table>| {
        let found: HashMap<String, usize> = names(table.as_ref()).into_iter().zip(0..).collect();
        let missing: Vec<&String> = known.iter().filter(|name| !found.contains_key(*name)).collect();
        let is_extra = |name: &&String| !known_names.contains(name) && !index.contains(name);
        let mut extra: Vec<&String> = found.keys().filter(is_extra).collect();
        extra.sort();
        match missing.is_empty() && extra.is_empty() {
            true => Ok(known.iter().map(|name| found[name]).collect()),
            false => {
                let problem = differences(&missing, &extra, "the files before it");
                Err(DataError::Malformed { path: table.origin().to_owned(), problem })
            }
        }
    };
    tables.iter().map(place).collect()
}

/// The name and the type of a column in all tables, and a note if its categories have no common order.
fn field(
    tables: &[Arc<dyn Table>],
    places: &[Vec<usize>],
    column: usize,
) -> Result<(Field, Option<String>), DataError> {
    let schema = tables[0].schema();
    let name = schema.field(column).name();
    let mut kind = schema.field(column).data_type().clone();
    for (table, places) in tables.iter().zip(places).skip(1) {
        let other = table.schema().field(places[column]).data_type().clone();
        kind = common(&kind, &other).ok_or_else(|| DataError::Malformed {
            path: table.origin().to_owned(),
            problem: format!(
                "column `{name}` has the type {other} here, but {kind} in the files before it: convert it to one type"
            ),
        })?;
    }
    let made = Field::new(name, kind, true);
    let is_ordered = |(table, places): (&Arc<dyn Table>, &Vec<usize>)| {
        table.schema().field(places[column]).dict_is_ordered() == Some(true)
    };
    if !tables.iter().zip(places).any(is_ordered) {
        return Ok((made, None));
    }
    let all = tables.iter().zip(places).filter(|(table, _)| parts(table.as_ref()) > 0);
    let orders =
        all.map(|(table, places)| categories(table.as_ref(), 0, places[column])).collect::<Result<HashSet<_>, _>>()?;
    let agree = orders.len() < 2
        && tables.iter().zip(places).all(is_ordered)
        && matches!(made.data_type(), DataType::Dictionary(..));
    let note = (!agree).then(|| without_order(name));
    Ok((made.with_dict_is_ordered(agree), note))
}

impl Table for Joined {
    fn origin(&self) -> &Path {
        self.tables[0].origin()
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
        let (number, part) = self.parts[part];
        let (table, places) = (&self.tables[number], &self.places[number]);
        let wanted: Vec<usize> = columns.iter().map(|&column| places[column]).collect();
        let mut ascending = wanted.clone();
        ascending.sort_unstable();
        let batch = table.part(part, &ascending)?;
        let fields: Vec<_> = columns.iter().map(|&column| self.schema.field(column).clone()).collect();
        let mut arrays = Vec::with_capacity(columns.len());
        for (place, field) in wanted.iter().zip(&fields) {
            let array = batch.column(ascending.partition_point(|other| other < place));
            arrays.push(match array.data_type() == field.data_type() {
                true => array.clone(),
                false => exactly(array, field.data_type()).ok_or_else(|| {
                    let (found, expected) = (array.data_type(), field.data_type());
                    let problem = format!(
                        "column `{}` has {found} values that the type {expected} of the other files cannot represent: \
                         convert it to one type",
                        field.name()
                    );
                    DataError::Malformed { path: table.origin().to_owned(), problem }
                })?,
            });
        }
        let fields: Vec<Field> = fields.into_iter().map(|field| field.with_nullable(true)).collect();
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| arrow_problem(table.origin(), &error))
    }

    fn place(&self, row: usize) -> String {
        let part = self.starts.partition_point(|&start| start <= row) - 1;
        let (number, first) = self.parts[part];
        let table = &self.tables[number];
        format!("{} of {}", table.place(table.starts()[first] + row - self.starts[part]), table.origin().display())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.tables.iter().flat_map(|table| table.notes()).collect();
        notes.dedup();
        notes.extend(self.notes.iter().cloned());
        notes
    }

    fn index_columns(&self) -> Vec<String> {
        self.tables[0].index_columns()
    }

    fn counted_index(&self) -> Option<CountedIndex> {
        let (mut stretches, mut before) = (Vec::new(), 0);
        for table in &self.tables {
            stretches.extend(
                table.counted_index()?.stretches.into_iter().map(|(first, start, step)| (before + first, start, step)),
            );
            before += rows(table.as_ref());
        }
        Some(CountedIndex { name: self.tables[0].counted_index()?.name, stretches })
    }

    fn layout(&self) -> Option<Layout> {
        self.tables[0].layout()
    }
}
