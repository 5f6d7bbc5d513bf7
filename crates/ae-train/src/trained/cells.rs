//! Cells of rows as people read them, for the terminal and the page.

use ae_data::{Column, Dataset, Encoding, Kind, patch, table::names};

use super::model::Trained;
use crate::{Result, digits::beside};

/// Cells by column, then by row; none where a value is missing.
pub(crate) type Cells = Vec<Vec<Option<String>>>;

impl Trained {
    /// Rows in the units of the data (`[rows, d_input]`, row by row) as cells.
    pub(crate) fn cells(&self, values: &[f64]) -> Cells {
        self.cells_by(values, |column, _, cell| patch::written(column, cell))
    }

    /// The same of reconstructions, the levels of booleans and categories with their probabilities.
    pub(crate) fn expected_cells(&self, values: &[f64]) -> Cells {
        self.cells_by(values, |column, features, cell| {
            let share = match column.kind {
                Kind::Boolean if cell < 0.5 => 1.0 - features[0],
                _ => features.iter().copied().fold(0.0, f64::max),
            };
            Some(format!("{} {:.0} %", patch::written(column, cell)?, 100.0 * share.clamp(0.0, 1.0)))
        })
    }

    /// The cells of rows of data, a level that training did not have as the data names it.
    pub(crate) fn cells_read(&self, rows: &Dataset) -> Result<Cells> {
        let values = self.unscale_inputs(&rows.scaled(&self.schema.scaling)?);
        let mut cells = self.cells(&values);
        let Some(carried) = rows.rows().carried.as_ref() else { return Ok(cells) };
        let encoding = Encoding::new(self.columns());
        let names = names(carried.table().as_ref());
        for (index, (column, (start, end))) in encoding.columns().iter().zip(encoding.ranges()).enumerate() {
            let is_unseen = |row: &[f64]| row[start..end].iter().all(|value| *value == 0.0);
            let unseen: Vec<bool> = values.chunks_exact(encoding.width()).map(is_unseen).collect();
            if column.kind != Kind::Category || !unseen.contains(&true) {
                continue;
            }
            let Some(place) = names.iter().position(|name| *name == column.name) else { continue };
            let texts = carried.texts(rows.indices(), place)?;
            let of_column = cells[index].iter_mut().zip(texts).zip(unseen);
            of_column.filter(|(_, is_unseen)| *is_unseen).for_each(|((cell, text), _)| *cell = text);
        }
        Ok(cells)
    }

    /// Cells whose levels `level` writes, from a column, its features, and the decoded cell.
    fn cells_by(&self, values: &[f64], level: impl Fn(&Column, &[f64], f64) -> Option<String>) -> Cells {
        let encoding = Encoding::new(self.columns());
        let ranges = encoding.ranges();
        let mut cells: Cells = vec![Vec::new(); ranges.len()];
        for row in values.chunks_exact(encoding.width()) {
            for (index, cell) in encoding.decode(row).into_iter().enumerate() {
                let (column, (start, end)) = (&encoding.columns()[index], ranges[index]);
                cells[index].push(match column.kind {
                    _ if cell.is_nan() => None,
                    Kind::Number => Some(number(column, cell, self.schema.scaling.of(start).1)),
                    Kind::Boolean | Kind::Category => level(column, &row[start..end], cell),
                });
            }
        }
        cells
    }
}

/// A number with the marks of its column, and with as many digits as can be read: `size` is how far its values spread.
fn number(column: &Column, value: f64, size: f64) -> String {
    let text = beside(value, size);
    let (whole, rest) = text.split_at(text.find(['.', 'e']).unwrap_or(text.len()));
    let text = match column.style.thousands && !rest.starts_with('e') {
        true => grouped(whole, if column.style.decimal_comma { '\'' } else { ',' }) + rest,
        false => text,
    };
    column.style.write(&text)
}

/// The digits of a whole number in groups of three.
fn grouped(whole: &str, mark: char) -> String {
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut text = sign.to_string();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(mark);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use ae_data::Style;

    use super::*;

    #[test]
    fn numbers_are_written_as_in_their_column() {
        let column = |style: Style| Column { style, ..Column::number("price") };
        let dollars = Style { thousands: true, prefix: "$".to_string(), ..Style::default() };
        let euros = Style { decimal_comma: true, suffix: " €".to_string(), ..Style::default() };
        let of = |style: &Style, value: f64| number(&column(style.clone()), value, 10.0);
        assert_eq!(of(&dollars, 13_122_791.76), "$13,122,792");
        assert_eq!(of(&dollars, -1234.5), "-$1,234");
        assert_eq!(of(&euros, 12.34), "12,3 €");
        assert_eq!(of(&Style::default(), 4.5e-8), "0");
        assert_eq!([grouped("123", ','), grouped("-123456", ','), grouped("1234", '\'')], ["123", "-123,456", "1'234"]);
    }
}
