//! Columns restricted to what occurs in the training rows. A survey looks at all rows of a table, but a model learns
//! only from the training rows: a column that is empty there is not used, and a level that does not occur there is
//! unseen, even if it occurs in the validation or test rows.

use std::sync::Arc;

use crate::{
    Column, DataError, Dataset, Kind, Split,
    changes::Change,
    column::UNSEEN,
    progress::Progress,
    words::{few, first_few, quoted},
};

/// Maximum number of columns, levels or values named in a note.
const NAMED: usize = 8;

/// What occurs in a column in the training rows.
#[derive(Debug, Clone)]
struct Seen {
    low: f64,
    high: f64,
    /// For a category: which of its levels occur.
    levels: Vec<bool>,
}

impl Seen {
    fn add(&mut self, cell: f64) {
        (self.low, self.high) = (self.low.min(cell), self.high.max(cell));
        if !self.levels.is_empty() && cell >= 0.0 {
            self.levels[cell as usize] = true;
        }
    }

    fn is_empty(&self) -> bool {
        self.low > self.high
    }

    /// Whether further rows cannot add anything.
    fn is_settled(&self, column: &Column) -> bool {
        match column.kind {
            _ if column.blank => true,
            Kind::Number => self.low < self.high,
            Kind::Boolean => !self.is_empty(),
            Kind::Category => self.levels.iter().all(|seen| *seen),
        }
    }
}

fn seen(train: &Dataset, columns: &[Column]) -> Result<Vec<Seen>, DataError> {
    let levels =
        |column: &Column| if column.kind == Kind::Category { vec![false; column.levels.len()] } else { Vec::new() };
    let none = |column: &Column| Seen { low: f64::INFINITY, high: f64::NEG_INFINITY, levels: levels(column) };
    let mut seen: Vec<Seen> = columns.iter().map(none).collect();
    let mut progress = Progress::new("looking at the training rows", train.indices().len());
    for (count, &row) in train.indices().iter().enumerate() {
        let mut column = 0;
        train.rows().each_cell(row, |cell| {
            seen[column].add(cell);
            column += 1;
        })?;
        progress.step();
        // In most tables everything has occurred after a few rows.
        if count.is_power_of_two() && seen.iter().zip(columns).all(|(seen, column)| seen.is_settled(column)) {
            break;
        }
    }
    Ok(seen)
}

impl Split {
    /// The same split with its columns restricted to what occurs in the training rows. With `all_levels` every level of
    /// the table stays known, for runs that refuse unknown levels.
    ///
    /// # Errors
    /// If a file can no longer be read.
    pub fn as_trained_on(mut self, all_levels: bool) -> Result<Self, DataError> {
        let Some(columns) = self.train.rows().encoding().map(|encoding| encoding.columns().to_vec()) else {
            return Ok(self);
        };
        let seen = seen(&self.train, &columns)?;
        let mut notes = Vec::new();
        let pairs = columns.iter().zip(&seen).map(|(column, seen)| restricted(column, seen, all_levels, &mut notes));
        let (known, changes): (Vec<Column>, Vec<Change>) = pairs.unzip();
        let is_constant =
            |(column, seen): &(&Column, &Seen)| column.kind == Kind::Number && seen.low == seen.high && !column.blank;
        let constant = columns.iter().zip(&seen).filter(is_constant);
        let constant: Vec<String> =
            constant.map(|(column, seen)| format!("{} ({})", quoted(&column.name), seen.low)).collect();
        if !constant.is_empty() {
            let shown = first_few(&constant, NAMED);
            notes.push(format!(
                "constant in the training rows: {shown}; other values are scored in the units of the column"
            ));
        }
        if known != columns {
            let one = Arc::new(self.train.rows().with_changes(known.clone(), &changes));
            self.test = match self.test.is_of(&self.train) {
                true => self.test.on(one.clone()),
                false => self.test.on(Arc::new(self.test.rows().with_changes(known, &changes))),
            };
            (self.train, self.validation) = (self.train.on(one.clone()), self.validation.on(one));
        }
        self.notes.extend(notes);
        Ok(self)
    }
}

/// A column restricted to what was seen of it, and how its cells change.
fn restricted(column: &Column, seen: &Seen, all_levels: bool, notes: &mut Vec<String>) -> (Column, Change) {
    let name = &column.name;
    let levels: Vec<(&String, bool)> = column.levels.iter().zip(seen.levels.iter().copied()).collect();
    let unseen: Vec<&String> = levels.iter().filter(|(_, seen)| !seen).map(|(level, _)| *level).collect();
    if seen.is_empty() && !column.blank && unseen.len() == seen.levels.len() {
        notes.push(format!(
            "column `{name}` is empty in the training rows: nothing is learned from it, and its other values are not \
             used"
        ));
        return (Column { blank: true, ..Column::number(name) }, Change::Blank);
    }
    if unseen.is_empty() {
        return (column.clone(), Change::Stays);
    }
    let what = match all_levels {
        true => "kept as known levels, because unknown ones are refused",
        false => "treated as unseen in training",
    };
    notes.push(format!("column `{name}`: {} not in the training rows: {what}", few(&unseen, NAMED)));
    if all_levels {
        return (column.clone(), Change::Stays);
    }
    let mut next = 0;
    let number = |(_, seen): &(&String, bool)| match seen {
        true => {
            next += 1;
            f64::from(next - 1)
        }
        false => UNSEEN,
    };
    let change = Change::Levels(levels.iter().map(number).collect());
    let levels = levels.iter().filter(|(_, seen)| *seen).map(|(level, _)| (*level).clone()).collect();
    (Column { levels, ..column.clone() }, change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, SplitConfig, source::from_table, table::InMemory};

    /// 60 rows in time order: a column that starts late, one that stops being constant, and a level that occurs only at
    /// the end.
    fn split(stream: bool, all_levels: bool) -> Split {
        let text = |of: &dyn Fn(usize) -> String| (0..60).map(|row| Some(of(row))).collect::<Vec<_>>();
        let late = |row: usize, early: &str, late: &str| (if row < 50 { early } else { late }).to_string();
        let columns = vec![
            ("t", text(&|row| row.to_string())),
            ("n", text(&|row| late(row, "", "7.5"))),
            ("one", text(&|row| late(row, "5", "9"))),
            ("kind", text(&|row| late(row, ["b", "c"][row % 2], "a"))),
            ("x", text(&|row| format!("{}.5", row * 7 % 60))),
        ];
        let table = Arc::new(InMemory::texts("t".as_ref(), columns).unwrap());
        let options =
            Options { drop: vec!["t".into()], stream: Some(stream), missing: vec!["NA".into()], ..Options::default() };
        let config = SplitConfig { time: Some("t".into()), ..SplitConfig::default() };
        Split::new(from_table("t", table, &options).unwrap(), &config).unwrap().as_trained_on(all_levels).unwrap()
    }

    #[test]
    fn what_does_not_occur_in_the_training_rows_is_unknown() {
        for stream in [false, true] {
            let split = split(stream, false);
            let columns = split.test.rows().encoding().unwrap().columns();
            assert!(
                columns[0].blank && columns[2].levels == ["b", "c"] && split.test.rows().has_missing(),
                "{columns:?}"
            );
            // Features: the numbers n, one, x, and the levels b, c.
            assert!(split.train.rows().row(2).unwrap()[1..] == [5.0, 14.5, 1.0, 0.0], "{stream}");
            let last = split.test.rows().row(59).unwrap();
            assert!(last[0].is_nan() && last[1..] == [9.0, 53.5, 0.0, 0.0], "{stream}: {last:?}");
            let said = &split.notes;
            assert!(said[0].starts_with("column `n` is empty in the training rows"), "{said:?}");
            assert!(said[1].starts_with("column `kind`: `a` not in the training rows"), "{said:?}");
            assert!(said[2].starts_with("constant in the training rows: `one` (5)") && said.len() == 3, "{said:?}");
        }
        let split = split(false, true);
        assert_eq!(split.test.rows().encoding().unwrap().columns()[2].levels, ["a", "b", "c"]);
        assert!(
            split.test.rows().row(59).unwrap()[3..] == [1.0, 0.0, 0.0]
                && split.notes[1].contains("kept as known levels")
        );
    }
}
