//! Columns of a table, and the features that they are encoded as.
//!
//! A number is one feature; a boolean is one feature, 0 or 1; a category is one-hot encoded, with one feature per
//! level. A value that did not occur in training is encoded as all zeros. The features are ordered numbers, booleans,
//! categories, and within each kind in the order of the columns, so that each kind can have its own loss.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::cell::{Missing, Style};

/// Maximum number of levels of a category. A column with more holds names or identifiers, which cannot be learned from.
pub const MOST_LEVELS: usize = 256;
/// Maximum number of decimals in a [`Style`]; double precision never needs more.
const MOST_DECIMALS: usize = 400;
/// The cell of a category whose value did not occur in training.
pub const UNSEEN: f64 = -1.0;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// The names of a category's levels, in the order of their features. For a boolean, the words for false and true,
    /// in this order, or empty if it has none. Empty for numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// Whether every observed number is an integer. Imputed values are then rounded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub integer: bool,
    /// Whether the column was empty in training. Nothing is then imputed in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blank: bool,
    /// How its numbers are written in a text table.
    #[serde(default, skip_serializing_if = "Style::is_default")]
    pub style: Style,
}

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// One of a fixed set of levels.
    Category,
}

impl Column {
    /// A column of numbers.
    pub fn number(name: impl Into<String>) -> Self {
        Self::new(name, Kind::Number, Vec::new())
    }

    /// A column of this kind; for the levels see [`levels`](Self::levels).
    pub fn new(name: impl Into<String>, kind: Kind, levels: Vec<String>) -> Self {
        Self { name: name.into(), kind, levels, integer: false, blank: false, style: Style::default() }
    }

    /// Whether a cell stands for a missing value, also as a number in the style of the column.
    pub fn is_blank(&self, cell: &str, missing: &Missing) -> bool {
        missing.has(cell) || self.kind == Kind::Number && missing.has_in(&self.style, cell)
    }

    /// Checks that the fields are consistent with each other.
    ///
    /// # Errors
    /// A description of what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let (name, levels) = (&self.name, self.levels.len());
        let is_right = match self.kind {
            Kind::Number => levels == 0,
            Kind::Boolean => levels == 0 || levels == 2,
            Kind::Category => (1..=MOST_LEVELS).contains(&levels),
        };
        if !is_right {
            return Err(format!("its column `{name}` has {levels} levels, which is impossible for its kind"));
        }
        if self.levels.iter().collect::<HashSet<_>>().len() < levels {
            return Err(format!("its column `{name}` has a duplicate level"));
        }
        match self.style.decimals.filter(|decimals| *decimals > MOST_DECIMALS) {
            Some(decimals) => {
                Err(format!("its column `{name}` has {decimals} decimals, but at most {MOST_DECIMALS} are possible"))
            }
            None => Ok(()),
        }
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        match self.kind {
            Kind::Number | Kind::Boolean => 1,
            Kind::Category => self.levels.len(),
        }
    }
}

/// The number of features of each kind, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Number of features that are numbers.
    pub numbers: usize,
    /// Number of features that are booleans.
    pub booleans: usize,
    /// Number of levels of each category.
    pub categories: Vec<usize>,
}

/// How the cells of a row are encoded as features.
///
/// ```
/// use ae_data::{Column, Encoding, Kind};
///
/// let color = Column::new("color", Kind::Category, vec!["red".into(), "green".into()]);
/// let encoding = Encoding::new(vec![color, Column::number("weight")]);
/// let cells = [1.0, 2.5]; // green, 2.5
/// let mut features = Vec::new();
/// encoding.encode(|column| cells[column], &mut features);
/// assert_eq!(features, [2.5, 0.0, 1.0]); // numbers come first
/// assert_eq!(encoding.decode(&features), cells);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    columns: Vec<Column>,
    /// Columns in the order of their features, each with its first feature.
    order: Vec<(usize, usize)>,
    width: usize,
}

impl Encoding {
    /// The encoding of these columns.
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

    /// Number of features of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The half-open range of features `(start, end)` of each column, in the order of the columns.
    pub fn ranges(&self) -> Vec<(usize, usize)> {
        let mut ranges = vec![(0, 0); self.columns.len()];
        self.order.iter().for_each(|&(column, start)| ranges[column] = (start, start + self.columns[column].width()));
        ranges
    }

    /// The number of features of each kind.
    pub fn layout(&self) -> Layout {
        let count = |kind: Kind| self.columns.iter().filter(|column| column.kind == kind).count();
        let categories =
            self.columns.iter().filter(|column| column.kind == Kind::Category).map(Column::width).collect();
        Layout { numbers: count(Kind::Number), booleans: count(Kind::Boolean), categories }
    }

    /// Appends the features of a row to `features`. `cell` gives the value of a column. A missing cell becomes missing
    /// features (`NaN`), and [`UNSEEN`] becomes zeros.
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

    /// The cells of a row, in the order of the columns, from its features: for a boolean 1 from 0.5 on, for a category
    /// the level with the largest feature.
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
    fn cells_are_encoded_and_decoded() {
        let levels = ["red", "green", "blue"].map(str::to_string).to_vec();
        let columns = vec![
            Column::new("color", Kind::Category, levels),
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
