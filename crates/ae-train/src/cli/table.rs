//! Tables for people: columns that are straight whatever letters are in them, and fit a narrow terminal.
//!
//! Widths are those that a terminal shows: a letter of Chinese, Japanese or Korean takes two places, a combining mark
//! none. Where a table is wider than the terminal, its columns go on in a further part below, each part beginning with
//! the names of the rows, and a line says so.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::printable::{bold, printable};

/// Places between two columns.
const GAP: usize = 2;

/// The narrowest that names of rows are shortened to.
const LEAST: usize = 12;

/// A cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    is_bold: bool,
}

impl Cell {
    /// A cell that stands out, where there is color.
    pub fn bold(text: impl Into<String>) -> Self {
        Self { is_bold: true, ..Self::from(text.into()) }
    }

    fn width(&self) -> usize {
        self.text.width()
    }

    fn padded(&self, width: usize, is_left: bool, has_bold: bool) -> String {
        let space = " ".repeat(width.saturating_sub(self.width()));
        let text = if self.is_bold && has_bold && !self.text.is_empty() { bold(&self.text) } else { self.text.clone() };
        if is_left { format!("{text}{space}") } else { format!("{space}{text}") }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        // Names from a file may hold what would break a line or move the cursor.
        Self { text: printable(&text).replace(['\n', '\t'], " "), is_bold: false }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_string().into()
    }
}

#[derive(Debug, Clone, Default)]
struct Row {
    cells: Vec<Cell>,
    /// What stands in place of the cells that the row does not have.
    tail: String,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    head: Vec<Cell>,
    rows: Vec<Row>,
    /// Columns from the left that are aligned to the left; the others to the right.
    left: usize,
    /// Whether the last column is aligned to the left, too.
    is_last_left: bool,
    /// Least widths of the first column and, with their gap, of the others.
    least: [usize; 2],
}

impl Table {
    /// A table with these headings, the first column aligned to the left.
    pub fn new<C: Into<Cell>>(head: impl IntoIterator<Item = C>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
            left: 1,
            is_last_left: false,
            least: [0, 0],
        }
    }

    /// The same with so many columns aligned to the left.
    pub fn left(mut self, columns: usize) -> Self {
        self.left = columns;
        self
    }

    /// The same with the last column aligned to the left, as text is.
    pub fn left_last(mut self) -> Self {
        self.is_last_left = true;
        self
    }

    /// The same with a first column and other columns of at least this width, as long as there is room.
    pub fn at_least(mut self, first: usize, others: usize) -> Self {
        self.least = [first, others];
        self
    }

    /// One more row.
    pub fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(Row { cells: cells.into_iter().map(Into::into).collect(), tail: String::new() });
    }

    /// One more row, of which a text takes the place of the last cells.
    pub fn row_with<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>, tail: &str) {
        self.row(cells);
        if let Some(row) = self.rows.last_mut() {
            row.tail = Cell::from(tail).text;
        }
    }

    /// The table in lines of at most `limit` places, if there is a limit.
    pub fn text(&self, limit: Option<usize>, has_bold: bool) -> String {
        let mut table = self.clone();
        let widths = |table: &Self, least: [usize; 2]| -> Vec<usize> {
            let of = |column: usize| {
                let rows = table.rows.iter().filter_map(|row| row.cells.get(column));
                rows.chain(table.head.get(column)).map(Cell::width).max().unwrap_or(0)
            };
            let padded = |(column, width): (usize, usize)| match column {
                0 => width.max(least[0]),
                _ => (width + GAP).max(least[1]),
            };
            (0..table.head.len()).map(of).enumerate().map(padded).collect()
        };
        let mut sizes = widths(&table, self.least);
        let fits = |sizes: &[usize]| limit.is_none_or(|limit| sizes.iter().sum::<usize>() <= limit);
        if !fits(&sizes) {
            sizes = widths(&table, [0, 0]);
        }
        let mut is_shortened = false;
        if let Some(limit) = limit.filter(|_| !fits(&sizes)) {
            let most = (limit / 2).max(LEAST);
            for cell in table.rows.iter_mut().filter_map(|row| row.cells.first_mut()).chain(table.head.first_mut()) {
                if cell.width() > most {
                    cell.text = shortened(&cell.text, most);
                    is_shortened = true;
                }
            }
            sizes = widths(&table, [0, 0]);
        }
        let parts = parts(&sizes, limit);
        let mut text = String::new();
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            let cells = table.head.iter().map(|cell| Cell { is_bold: true, ..cell.clone() }).collect();
            let head = Row { cells, tail: String::new() };
            for row in std::iter::once(&head).chain(&table.rows) {
                text += table.line(row, &sizes, part, number == 0, has_bold).trim_end();
                text.push('\n');
            }
        }
        let mut said = Vec::new();
        if parts.len() > 1 {
            said.push(format!("the columns stand in {} parts", parts.len()));
        }
        if is_shortened {
            said.push("long names are shortened".to_string());
        }
        if !said.is_empty() {
            text += &format!("({} for a terminal of this width)\n", said.join(" and "));
        }
        text
    }

    fn line(&self, row: &Row, sizes: &[usize], part: &[usize], is_first: bool, has_bold: bool) -> String {
        let mut line = String::new();
        for &column in part {
            let Some(cell) = row.cells.get(column) else { continue };
            let is_left = column < self.left || self.is_last_left && column + 1 == sizes.len();
            let size = sizes[column];
            match (column, is_left) {
                (0, _) => line += &cell.padded(size, is_left, has_bold),
                (_, true) => line += &format!("{:GAP$}{}", "", cell.padded(size - GAP, true, has_bold)),
                (_, false) => line += &cell.padded(size, false, has_bold),
            }
        }
        if is_first && !row.tail.is_empty() {
            line += &format!("   {}", row.tail);
        }
        line
    }
}

/// The columns of each part, the first column in all of them.
fn parts(sizes: &[usize], limit: Option<usize>) -> Vec<Vec<usize>> {
    let Some(limit) = limit else { return vec![(0..sizes.len()).collect()] };
    let first = sizes.first().copied().unwrap_or(0);
    let mut parts = vec![vec![0]];
    let mut used = first;
    for (column, &size) in sizes.iter().enumerate().skip(1) {
        // A part has one column at least, however narrow the terminal is.
        if used + size > limit && parts.last().is_some_and(|part| part.len() > 1) {
            parts.push(vec![0]);
            used = first;
        }
        used += size;
        parts.last_mut().expect("there is one").push(column);
    }
    parts
}

/// The beginning and the end of a text that is too wide.
fn shortened(text: &str, width: usize) -> String {
    let fitting = |letters: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        let taken = letters.take_while(|letter| {
            used += letter.width().unwrap_or(0);
            used <= room
        });
        taken.collect::<Vec<char>>()
    };
    let behind = (width - 1) / 3;
    let front = fitting(&mut text.chars(), width - 1 - behind);
    let end = fitting(&mut text.chars().rev(), behind);
    front.into_iter().chain(['…']).chain(end.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the last letter of each line of digits stands.
    fn ends(text: &str) -> Vec<usize> {
        text.lines()
            .filter(|line| line.ends_with(|letter: char| letter.is_ascii_digit()))
            .map(|line| line.width())
            .collect()
    }

    #[test]
    fn columns_are_straight_whatever_letters_are_in_them() {
        let mut table = Table::new(["name", "value", "x1"]);
        for name in ["plain", "日本語の列", "한국어", "e\u{301}te\u{301}", "\u{1b}[31mred"] {
            table.row([name, "1.25", "7"]);
        }
        let text = table.text(None, false);
        let ends = ends(&text);
        assert_eq!(ends.len(), 6, "{text}");
        assert!(ends.iter().all(|end| *end == ends[0]), "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[31mred"), "{text}");
        assert_eq!(Table::new(["a", "b"]).at_least(6, 5).text(None, false), "a         b\n");
    }

    #[test]
    fn what_does_not_fit_goes_on_below_and_is_said() {
        let mut table = Table::new(["rows of something", "first", "second", "third"]).at_least(20, 12);
        table.row(["a row with a long name of its own", "1", "2", "3"]);
        table.row_with(["日本語の名前の長い列日本語の名前の長い列", "1"], "constant");
        let wide = table.text(Some(200), false);
        assert_eq!(wide.lines().count(), 3, "{wide}");
        for limit in [20, 30, 40] {
            let text = table.text(Some(limit), false);
            let rows = text.lines().filter(|line| !line.starts_with('(') && !line.contains("constant"));
            assert!(rows.clone().all(|line| line.width() <= limit), "{limit}:\n{text}");
            assert!(["first", "second", "third"].iter().all(|name| text.contains(name)), "{text}");
            assert!(text.contains("parts") && text.contains("shortened"), "{limit}:\n{text}");
        }
    }

    #[test]
    fn bold_is_only_where_there_is_color() {
        let mut table = Table::new(["a", "b"]);
        table.row([Cell::from("x"), Cell::bold("1")]);
        assert_eq!(table.text(None, false), "a  b\nx  1\n");
        let (on, off) = ("\u{1b}[1m", "\u{1b}[0m");
        assert_eq!(table.text(None, true), format!("{on}a{off}  {on}b{off}\nx  {on}1{off}\n"));
    }
}
