//! Columns of a table, and the features that a network sees of them.
//!
//! A number is one feature, a boolean one that is 0 or 1, a category one for each of its levels, of which one is 1
//! (one-hot); a value that training did not have is none of them. Features are in the order numbers, booleans,
//! categories, each in the order of the columns, so that each kind can have its own loss.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::cell::{Missing, Style};

/// Most levels of a category: more are names or identifiers, which no network learns from.
pub const MOST_LEVELS: usize = 256;
/// Most decimals that a number is written with: double precision has no more.
const MOST_DECIMALS: usize = 400;
/// The cell of a category whose value training did not have.
pub const UNSEEN: f64 = -1.0;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// The names of a category's levels, in the order of their features; of a boolean the words for false and for
    /// true, if it has words of its own; empty for numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// Whether every number that was seen is whole: what is filled in is rounded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub integer: bool,
    /// Whether nothing was seen in it: nothing is filled in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blank: bool,
    /// How its numbers are written in a table of text.
    #[serde(default, skip_serializing_if = "Style::is_default")]
    pub style: Style,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// One of some levels.
    Category,
}

impl Column {
    /// A column of numbers.
    pub fn number(name: impl Into<String>) -> Self {
        Self::new(name, Kind::Number, Vec::new())
    }

    /// A column of a kind; see [`levels`](Self::levels).
    pub fn new(name: impl Into<String>, kind: Kind, levels: Vec<String>) -> Self {
        Self { name: name.into(), kind, levels, integer: false, blank: false, style: Style::default() }
    }

    /// Whether a cell of it says that it is missing: also by a number as the column writes its numbers.
    pub fn is_blank(&self, cell: &str, missing: &Missing) -> bool {
        missing.has(cell) || self.kind == Kind::Number && missing.has_in(&self.style, cell)
    }

    /// Whether it can be a column that was decided on.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let (name, levels) = (&self.name, self.levels.len());
        let is_right = match self.kind {
            Kind::Number => levels == 0,
            Kind::Boolean => levels == 0 || levels == 2,
            Kind::Category => (1..=MOST_LEVELS).contains(&levels),
        };
        if !is_right {
            return Err(format!("its column `{name}` has {levels} levels, which no column of its kind has"));
        }
        if self.levels.iter().collect::<HashSet<_>>().len() < levels {
            return Err(format!("its column `{name}` has a level twice"));
        }
        match self.style.decimals.filter(|decimals| *decimals > MOST_DECIMALS) {
            Some(decimals) => Err(format!("its column `{name}` has {decimals} decimals")),
            None => Ok(()),
        }
    }

    /// Its features.
    pub fn width(&self) -> usize {
        match self.kind {
            Kind::Number | Kind::Boolean => 1,
            Kind::Category => self.levels.len(),
        }
    }
}

/// How many features there are of each kind, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Features that are numbers.
    pub numbers: usize,
    /// Features that are 0 or 1.
    pub booleans: usize,
    /// Levels of each category.
    pub categories: Vec<usize>,
}

/// Where the cells of a row go among its features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    columns: Vec<Column>,
    /// Columns in the order of their features, and the first feature of each.
    order: Vec<(usize, usize)>,
    width: usize,
}

impl Encoding {
    /// The encoding of a table's columns.
    pub fn new(columns: Vec<Column>) -> Self {
        let of_kind = |kind: Kind| (0..columns.len()).filter(|&index| kind == columns[index].kind).collect::<Vec<_>>();
        let (mut order, mut width) = (Vec::new(), 0);
        for column in [Kind::Number, Kind::Boolean, Kind::Category].map(of_kind).concat() {
            order.push((column, width));
            width += columns[column].width();
        }
        Self { columns, order, width }
    }

    /// The columns, in their own order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Features of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The first feature of each column and the one behind its last, in the order of the columns.
    pub fn ranges(&self) -> Vec<(usize, usize)> {
        let mut ranges = vec![(0, 0); self.columns.len()];
        self.order.iter().for_each(|&(column, start)| ranges[column] = (start, start + self.columns[column].width()));
        ranges
    }

    /// How many features there are of each kind.
    pub fn layout(&self) -> Layout {
        let count = |kind: Kind| self.columns.iter().filter(|column| column.kind == kind).count();
        let categories =
            self.columns.iter().filter(|column| column.kind == Kind::Category).map(Column::width).collect();
        Layout { numbers: count(Kind::Number), booleans: count(Kind::Boolean), categories }
    }

    /// The features of the cells of a row, appended to `features`. A missing cell gives missing features, a level of
    /// [`UNSEEN`] zeros.
    pub fn encode(&self, cell: impl Fn(usize) -> f64, features: &mut Vec<f64>) {
        for &(column, _) in &self.order {
            let value = cell(column);
            match self.columns[column].kind {
                Kind::Number | Kind::Boolean => features.push(value),
                Kind::Category => {
                    let one = |level: usize| {
                        if value.is_nan() { f64::NAN } else { f64::from(u8::from(level as f64 == value)) }
                    };
                    features.extend((0..self.columns[column].levels.len()).map(one));
                }
            }
        }
    }

    /// The cells of a row, in the order of the columns, from its features: the likelier truth value, the likeliest
    /// level.
    pub fn decode(&self, features: &[f64]) -> Vec<f64> {
        let mut cells = vec![f64::NAN; self.columns.len()];
        for &(column, start) in &self.order {
            let part = &features[start..start + self.columns[column].width()];
            cells[column] = match self.columns[column].kind {
                Kind::Number => part[0],
                Kind::Boolean if part[0].is_nan() => f64::NAN,
                Kind::Boolean => f64::from(u8::from(part[0] >= 0.5)),
                Kind::Category => {
                    let best =
                        part.iter().enumerate().filter(|(_, value)| !value.is_nan()).max_by(|a, b| a.1.total_cmp(b.1));
                    best.map_or(f64::NAN, |(level, _)| level as f64)
                }
            };
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_features_and_come_back() {
        let levels = ["red", "green", "blue"].map(str::to_string).to_vec();
        let columns = vec![
            Column::new("colour", Kind::Category, levels),
            Column::new("ripe", Kind::Boolean, Vec::new()),
            Column::number("weight"),
        ];
        let encoding = Encoding::new(columns);
        assert_eq!(encoding.layout(), Layout { numbers: 1, booleans: 1, categories: vec![3] });
        let cells = [1.0, 0.0, 2.5];
        let mut features = Vec::new();
        encoding.encode(|column| cells[column], &mut features);
        assert_eq!(features, [2.5, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(encoding.decode(&features), cells);
        assert_eq!(encoding.decode(&[2.5, 0.7, 0.2, 0.1, 0.9]), [2.0, 1.0, 2.5]);
        let mut missing = Vec::new();
        encoding.encode(|_| f64::NAN, &mut missing);
        assert!(missing.len() == 5 && missing.iter().all(|value| value.is_nan()));
        let mut unseen = Vec::new();
        encoding.encode(|column| [UNSEEN, 1.0, 2.5][column], &mut unseen);
        assert_eq!(unseen, [2.5, 1.0, 0.0, 0.0, 0.0]);
    }
}
