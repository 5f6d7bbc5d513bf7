//! Decides what a column is from what occurs in it.

use super::{
    chosen::Said,
    number_style::{File, number_style},
    seen::Seen,
};
use crate::{
    Column, Kind,
    cell::{other_word, plain, truth},
    column::MOST_LEVELS,
    options::typed,
    table::Table,
};

/// Number of rows from which on a column that counts the rows is reported.
const MANY: usize = 20;

/// What is decided about a column.
pub(super) enum Decision {
    /// It is learned from. The note tells what is not obvious.
    Learn(Column, Option<String>),
    /// It is carried along, for the reason in the note.
    Carry(String),
}

/// A column to be decided.
pub(super) struct Candidate<'a> {
    pub(super) seen: &'a Seen,
    pub(super) name: &'a str,
    pub(super) said: Option<Said>,
    /// Whether the options name it with `--keep`.
    pub(super) is_kept: bool,
    pub(super) file: &'a File,
    pub(super) table: &'a dyn Table,
    /// Number of rows.
    pub(super) count: usize,
}

impl Candidate<'_> {
    /// # Errors
    /// Why the column cannot be learned from.
    pub(super) fn decide(&self) -> Result<Decision, String> {
        let Self { seen, name, said, .. } = *self;
        if seen.other.is_some() {
            return self.unsupported();
        }
        match said {
            Some(Said::Category) => return Ok(Decision::Learn(Column::new(name, Kind::Category, Vec::new()), None)),
            Some(Said::Boolean) => return self.two_words(None),
            _ => {}
        }
        if seen.observed == 0 {
            return Ok(self.empty());
        }
        if let Some(what) = self.names_the_rows() {
            return Ok(self.carry(what));
        }
        if seen.numbers() == seen.observed || self.is_declared_number() {
            return self.numbers();
        }
        if seen.booleans == seen.observed {
            return self.two_words(None);
        }
        // Joined files of several programs: words such as yes and no, and 0 and 1, are the same two values.
        if seen.booleans > 0 && seen.booleans + seen.bits == seen.observed {
            let (called, option) = (self.called(), typed(name));
            let note = seen.text.as_ref().map(|(_, word)| {
                format!(
                    "{called} has words such as `{word}` and 0 or 1: both are read as booleans \
                     (`--categorical {option}` keeps them apart)"
                )
            });
            return self.two_words(note);
        }
        if seen.dates == seen.observed {
            return Ok(self.dates(seen.text.as_ref().map_or("", |(_, text)| text.as_str())));
        }
        self.category()
    }

    /// The column in a sentence.
    fn called(&self) -> String {
        match self.name {
            "" => "the column without a name".to_string(),
            name => format!("column `{name}`"),
        }
    }

    fn is_declared_number(&self) -> bool {
        matches!(self.said, Some(Said::Number | Said::Integer))
    }

    /// Whether the column counts the rows, from 0 or 1.
    fn is_index(&self) -> bool {
        self.seen.counts && self.seen.plain == self.count && matches!(self.seen.first, Some(0.0 | 1.0))
    }

    fn carry(&self, what: &str) -> Decision {
        let called = self.called();
        Decision::Carry(format!("{called} {what}: carried along, not learned from (`--keep` learns from it)"))
    }

    fn dates(&self, example: &str) -> Decision {
        let called = self.called();
        Decision::Carry(format!(
            "{called} holds dates (`{example}`): carried along, not learned from; to learn from it, convert it to \
             numbers, such as days since a date"
        ))
    }

    /// A column of a type that is neither numbers, booleans nor strings.
    fn unsupported(&self) -> Result<Decision, String> {
        if self.seen.is_time {
            return Ok(self.dates(self.seen.example.as_deref().unwrap_or_default()));
        }
        let kind = self.seen.other.as_ref().map(ToString::to_string).unwrap_or_default();
        Err(format!(
            "{} has the type {kind}, which cannot be learned from: leave it out with `--drop {}`, or convert it to \
             numbers or strings",
            self.called(),
            typed(self.name)
        ))
    }

    fn empty(&self) -> Decision {
        let called = self.called();
        if self.name.is_empty() {
            return Decision::Carry(format!("{called} is empty and not learned from"));
        }
        let note = format!("{called} is empty: nothing is learned from it, and nothing is imputed in it");
        Decision::Learn(Column { blank: true, ..Column::number(self.name) }, Some(note))
    }

    /// What is said of a column with a different integer or string in every row; `None` for other columns, and for one
    /// that counts the rows, which [`numbers`](Self::numbers) handles.
    fn names_the_rows(&self) -> Option<&'static str> {
        let (seen, count) = (self.seen, self.count);
        let is_name = self.said.is_none()
            && !self.is_kept
            && seen.observed == count
            && count > 1
            && seen.different.is_some()
            && seen.dates == 0;
        let is_number_each = seen.plain == count;
        // More strings than a category can have are refused later.
        match is_name && !self.is_index() && (is_number_each || count <= MOST_LEVELS) {
            true if is_number_each => Some("has a different integer in every row"),
            true => Some("names the rows"),
            false => None,
        }
    }

    fn numbers(&self) -> Result<Decision, String> {
        let (seen, name) = (self.seen, self.name);
        let style = number_style(seen, name, self.file)?;
        // A row number is no information about a row.
        if self.is_index() && name.is_empty() && !self.is_kept && !self.is_declared_number() {
            return Ok(self.carry("counts the rows"));
        }
        // With a decimal comma every point is a thousands separator; without one, a comma may be.
        let [decimal, _, either] = if style.decimal_comma { seen.comma } else { seen.point };
        let has_fraction = if style.decimal_comma {
            decimal + either > 0
        } else {
            seen.has_fraction || seen.styled > 0 && decimal + either > 0
        };
        let integer = self.said == Some(Said::Integer) || !has_fraction && self.said.is_none();
        let column = Column { integer, style, ..Column::number(name) };
        let note = self.note_on_numbers(&column, has_fraction);
        Ok(Decision::Learn(column, note))
    }

    /// The most important note on a column of numbers.
    fn note_on_numbers(&self, column: &Column, has_fraction: bool) -> Option<String> {
        let (seen, called, option) = (self.seen, self.called(), typed(self.name));
        let is_declared = self.is_declared_number();
        if self.said == Some(Said::Integer) && has_fraction {
            let example = seen.part.map(|part| part.to_string()).or_else(|| seen.example.clone()).unwrap_or_default();
            return Some(format!(
                "{called} is declared as integer, but has values such as `{example}`: imputed values are rounded \
                 nevertheless"
            ));
        }
        if self.is_index() && self.count >= MANY && !is_declared {
            return Some(format!(
                "{called} counts the rows: if it only identifies them, use `--id {option}` or `--drop {option}`"
            ));
        }
        // The most surprising example comes first.
        let example = seen.either.as_ref().filter(|_| column.style.decimal_comma).or(seen.example.as_ref());
        if let Some(example) = example.filter(|_| !column.style.is_plain()) {
            return Some(format!("{called}: {}", column.style.describe(example)));
        }
        if !is_declared && seen.days == seen.observed && seen.plain == seen.observed {
            return Some(format!(
                "{called} may hold dates (such as 20240131), but is read as numbers: `--drop {option}` leaves it out"
            ));
        }
        if seen.is_big && column.integer {
            return Some(format!(
                "{called} has integers beyond 9007199254740992, whose last digits are rounded for learning: if they \
                 are identifiers, use `--id {option}`"
            ));
        }
        seen.zero.as_ref().filter(|_| !is_declared).map(|zero| {
            format!("{called}: `{zero}` is read as a number; `--categorical {option}` reads such cells as names")
        })
    }

    fn category(&self) -> Result<Decision, String> {
        let (seen, called, option) = (self.seen, self.called(), typed(self.name));
        if let Some((row, text)) = seen.text.as_ref().filter(|_| seen.numbers() * 2 > seen.observed) {
            let place = self.table.place(*row);
            return Err(format!(
                "{place}, {called}: `{text}` is not a number, but most cells of the column are: correct it, or leave \
                 the cell empty if it is missing; `--categorical {option}` reads the column as names, `--drop \
                 {option}` leaves it out"
            ));
        }
        if seen.words.len() > MOST_LEVELS {
            return Err(too_many(self.name, seen.words.len(), seen.words.iter().min()));
        }
        let mut levels: Vec<String> = seen.words.iter().cloned().collect();
        levels.sort();
        let is_number_like =
            self.said.is_none() && seen.digits.0 > 0 && (seen.digits.0 + seen.numbers()) * 2 > seen.observed;
        let note = if is_number_like {
            let example = seen.digits.1.as_deref().unwrap_or_default();
            Some(format!(
                "{called}: cells like `{example}` are read as names, not as numbers or dates: write them as plain \
                 numbers, or leave the column out with `--drop {option}` (`--categorical {option}` confirms that they \
                 are names)"
            ))
        } else if levels.len() == self.count && seen.numbers() == 0 && self.count >= MANY {
            Some(format!(
                "{called} is different in every row: if it only names the rows, use `--id {option}` or `--drop \
                 {option}`"
            ))
        } else {
            None
        };
        Ok(Decision::Learn(Column::new(self.name, Kind::Category, levels), note))
    }

    /// A boolean column of two words, or of one word whose opposite is known.
    fn two_words(&self, note: Option<String>) -> Result<Decision, String> {
        let mut words: Vec<String> = self.seen.words.iter().cloned().collect();
        // Sorted, so that `Yes` is preferred to `yes`.
        words.sort();
        let column = |levels: Vec<String>| Ok(Decision::Learn(Column::new(self.name, Kind::Boolean, levels), note));
        if words.iter().all(|word| truth(word).is_some()) && !words.is_empty() {
            let of = |value: bool| words.iter().find(|word| truth(word) == Some(value)).cloned();
            return match (of(false), of(true)) {
                (Some(no), Some(yes)) => column(vec![no, yes]),
                (Some(no), None) if plain(&no).is_some() => column(vec![no, "1".into()]),
                (None, Some(yes)) if plain(&yes).is_some() => column(vec!["0".into(), yes]),
                (Some(no), None) => column(vec![no.clone(), other_word(&no)]),
                (None, Some(yes)) => column(vec![other_word(&yes), yes]),
                (None, None) => column(Vec::new()),
            };
        }
        match words.len() {
            0 | 2 => column(words),
            1 => {
                words.push(format!("not {}", words[0]));
                column(words)
            }
            count => Err(format!(
                "column `{}` is declared as boolean, but has {count} different values (`{}`, ...): use \
                 `--categorical {}`",
                self.name,
                words[0],
                typed(self.name)
            )),
        }
    }
}

/// The error for a category with too many levels.
pub(super) fn too_many(name: &str, count: usize, example: Option<&String>) -> String {
    let (option, example) = (typed(name), example.cloned().unwrap_or_default());
    let count = if count > MOST_LEVELS { format!("more than {MOST_LEVELS}") } else { count.to_string() };
    format!(
        "column `{name}` has {count} different strings (`{example}`, ...), but a category has at most {MOST_LEVELS} \
         levels: leave it out with `--drop {option}`, or carry it along with `--id {option}`"
    )
}
