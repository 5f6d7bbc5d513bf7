//! The columns that the options choose, and the kinds that they declare.

use std::path::Path;

use crate::{
    DataError, Options,
    options::{no_column, places},
    table::{Table, names},
};

/// The kind of a column that an option declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Number,
    Integer,
    Boolean,
    Category,
}

/// The columns that the options choose.
pub(super) struct Chosen {
    pub(super) label: Option<usize>,
    pub(super) id: Option<usize>,
    /// The positions of the columns to learn from.
    pub(super) learned: Vec<usize>,
    /// The declared kind of each column of the table.
    pub(super) said: Vec<Option<Said>>,
}

impl Chosen {
    /// # Errors
    /// A column that does not exist or is declared as two kinds, or no column to learn from.
    pub(super) fn of(table: &dyn Table, options: &Options) -> Result<Self, DataError> {
        let (names, origin) = (names(table), table.origin());
        let one = |option: &str, said: &Option<String>| -> Result<Option<usize>, DataError> {
            let place = |name: &String| {
                names.iter().position(|other| other == name).ok_or_else(|| no_column(option, name, &names, origin))
            };
            said.as_ref().map(place).transpose()
        };
        let (label, id) = (one("label", &options.label)?, one("id", &options.id)?);
        let find = |option: &str, said: &[String]| {
            places(said, &names).map_err(|name| no_column(option, &name, &names, origin))
        };
        let (drop, keep) = (find("drop", &options.drop)?, find("keep", &options.keep)?);
        let cut_by = options.cut_by.iter().map(|name| one("group or time", &Some(name.clone())));
        let cut_by: Vec<Option<usize>> = cut_by.collect::<Result<_, _>>()?;
        let said = declared(options, &names, origin)?;
        let index = table.index_columns();
        let is_learned = |place: &usize| match keep.is_empty() {
            true => !index.contains(&names[*place]) || said[*place].is_some(),
            false => keep.contains(place),
        };
        let learned: Vec<usize> = (0..names.len())
            .filter(|place| ![label, id].contains(&Some(*place)) && !cut_by.contains(&Some(*place)))
            .filter(|place| !drop.contains(place) && is_learned(place))
            .collect();
        if learned.is_empty() {
            let problem = "has no column left to learn from: change `--drop` or `--keep`".to_string();
            return Err(DataError::Malformed { path: origin.to_owned(), problem });
        }
        Ok(Self { label, id, learned, said })
    }
}

/// The kinds that the options declare for the columns `names`.
fn declared(options: &Options, names: &[String], origin: &Path) -> Result<Vec<Option<Said>>, DataError> {
    let mut said = vec![None; names.len()];
    for (option, list, kind) in [
        ("numeric", &options.numeric, Said::Number),
        ("integer", &options.integer, Said::Integer),
        ("boolean", &options.boolean, Said::Boolean),
        ("categorical", &options.categorical, Said::Category),
    ] {
        for place in places(list, names).map_err(|name| no_column(option, &name, names, origin))? {
            if said[place].is_some_and(|other| other != kind) {
                let name = &names[place];
                let problem =
                    format!("column `{name}` is declared as two kinds, one of them `--{option}`: keep one of the two");
                return Err(DataError::Malformed { path: origin.to_owned(), problem });
            }
            said[place] = Some(kind);
        }
    }
    Ok(said)
}
