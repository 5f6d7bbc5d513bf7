//! What rows are split by, and splitting off a part of them.

use std::{collections::HashMap, mem::discriminant};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    config::SplitConfig,
    time::{Moment, Order},
};
use crate::{DataError, Dataset, options::no_column, table::names, words::counted};

/// What the rows are split by.
pub(super) enum By {
    Random,
    /// The class of each row.
    Class(Vec<Option<u32>>),
    /// The group of each row, as a number.
    Group(Vec<usize>),
    /// The position of each row in time.
    Time(Vec<usize>),
}

impl By {
    /// # Errors
    /// If the options contradict each other, or a column does not exist or cannot group or order the rows.
    pub(super) fn of(all: &Dataset, config: &SplitConfig, notes: &mut Vec<String>) -> Result<Self, DataError> {
        let by = config.group.as_ref().map(|_| "group").or(config.time.as_ref().map(|_| "time"));
        if let (true, Some(by)) = (config.stratify, by) {
            return Err(problem(format!(
                "cannot be split both by {by} and by class: leave out `--stratify` or `--{by}`"
            )));
        }
        match (&config.group, &config.time) {
            (Some(_), Some(_)) => {
                Err(problem("cannot be split both by group and by time: leave out `--group` or `--time`".to_string()))
            }
            (Some(group), None) => groups(all, group, notes).map(Self::Group),
            (None, Some(time)) => places_in_time(&texts(all, "time", time)?, time, notes).map(Self::Time),
            (None, None) => match (config.stratify, &all.rows().labels) {
                (true, Some(labels)) => Ok(Self::Class(labels.clone())),
                (true, None) => Err(problem(
                    "has no labels, which `data.stratify` needs: name their column with `--label`, or, for an array \
                     `x`, add an array `y`"
                        .to_string(),
                )),
                (false, _) => Ok(Self::Random),
            },
        }
    }
}

fn problem(problem: String) -> DataError {
    DataError::Malformed { path: "the data".into(), problem }
}

/// The cells of a column that the option names, as strings.
fn texts(all: &Dataset, option: &str, name: &str) -> Result<Vec<Option<String>>, DataError> {
    let carried = all
        .rows()
        .carried
        .as_ref()
        .ok_or_else(|| problem(format!("has no named columns, so `--{option}` does not apply: leave it out")))?;
    let columns = names(carried.table().as_ref());
    let place = columns.iter().position(|other| other == name);
    let place = place.ok_or_else(|| no_column(option, name, &columns, carried.table().origin()))?;
    carried.texts(&(0..all.rows().len()).collect::<Vec<_>>(), place)
}

/// The group of each row, as a number.
fn groups(all: &Dataset, group: &str, notes: &mut Vec<String>) -> Result<Vec<usize>, DataError> {
    // A row without a group is a group of its own. Surrounding spaces do not count, and 1.0 is the same group as 1.
    let plain = |text: String| {
        let text = text.trim();
        let whole = text
            .split_once('.')
            .filter(|(whole, rest)| whole.parse::<i128>().is_ok() && rest.bytes().all(|byte| byte == b'0'));
        whole.map_or(text, |(whole, _)| whole).to_string()
    };
    let missing = all.rows().missing();
    let texts = texts(all, "group", group)?.into_iter();
    let texts: Vec<Option<String>> = texts.map(|text| text.map(plain).filter(|text| !missing.has(text))).collect();
    let without = texts.iter().filter(|text| text.is_none()).count();
    if without > 0 {
        let verb = if without == 1 { "has" } else { "have" };
        let count = counted(texts.len(), "row");
        notes.push(format!("{without} of {count} {verb} no `{group}`: each is a group of its own"));
    }
    let mut numbers = HashMap::new();
    let number = |(row, text): (usize, Option<String>)| {
        let next = numbers.len();
        *numbers.entry(text.ok_or(row)).or_insert(next)
    };
    let groups: Vec<usize> = texts.into_iter().enumerate().map(number).collect();
    if groups.len() > 1 && groups.iter().all(|other| *other == groups[0]) {
        let problem = format!(
            "has one group for all {} rows, which cannot be split: name another column with `--group`",
            groups.len()
        );
        return Err(DataError::Malformed { path: format!("column `{group}`").into(), problem });
    }
    Ok(groups)
}

/// The position of each row in time.
fn places_in_time(texts: &[Option<String>], time: &str, notes: &mut Vec<String>) -> Result<Vec<usize>, DataError> {
    let problem = |row: usize, what: String| {
        let problem = format!("row {}: {what}", row + 1);
        DataError::Malformed { path: format!("column `{time}`").into(), problem }
    };
    let is_empty = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
    if let Some(row) = texts.iter().position(is_empty) {
        let what = "is empty, but `--time` orders the rows by it: fill it in, or leave the row out".to_string();
        return Err(problem(row, what));
    }
    let texts: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
    let order = Order::of(&texts);
    let mut moments = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let moment = Moment::of(text, order).ok_or_else(|| {
            let advice = "write it as 2024-01-31 or 2024-01-31 10:30";
            problem(row, format!("`{text}` is neither a number nor a known date: {advice}"))
        })?;
        if discriminant(&moment) != discriminant(moments.first().unwrap_or(&moment)) {
            let first = texts[0];
            let what = format!("`{text}` is not written like `{first}` in row 1: write all of them the same way");
            return Err(problem(row, what));
        }
        moments.push(moment);
    }
    notes.extend(order.said(&texts));
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by(|&a, &b| moments[a].compare(&moments[b]));
    let mut places = vec![0; order.len()];
    order.into_iter().enumerate().for_each(|(place, row)| places[row] = place);
    Ok(places)
}

/// Splits off `fraction` of the rows: random ones, whole groups, or the last in time. Both parts keep the order of the
/// rows.
pub(super) fn cut(rows: &Dataset, fraction: f64, seed: u64, by: &By) -> (Dataset, Dataset) {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let share = |count: usize| (count as f64 * fraction).round() as usize;
    let mut order = rows.indices().to_vec();
    let mut held_out: Vec<usize> = match by {
        By::Random => {
            order.shuffle(&mut generator);
            order[..share(order.len())].to_vec()
        }
        By::Class(labels) => {
            order.shuffle(&mut generator);
            let mut classes: HashMap<Option<u32>, Vec<usize>> = HashMap::new();
            order.iter().for_each(|&row| classes.entry(labels[row]).or_default().push(row));
            classes.into_values().flat_map(|rows| rows[..share(rows.len())].to_vec()).collect()
        }
        By::Group(groups) => {
            let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
            order.iter().for_each(|&row| members.entry(groups[row]).or_default().push(row));
            let mut numbers: Vec<usize> = members.keys().copied().collect();
            numbers.sort_unstable();
            numbers.shuffle(&mut generator);
            let (wanted, mut taken) = (share(order.len()), Vec::new());
            // A group is taken if the size then comes closer to the wanted one.
            for rows in numbers.iter().map(|number| &members[number]) {
                if taken.len() + rows.len() / 2 < wanted || taken.is_empty() && wanted > 0 && members.len() > 1 {
                    taken.extend(rows);
                }
            }
            taken
        }
        By::Time(places) => {
            order.sort_by_key(|&row| std::cmp::Reverse(places[row]));
            order[..share(order.len())].to_vec()
        }
    };
    held_out.sort_unstable();
    let kept = rows.indices().iter().copied().filter(|row| held_out.binary_search(row).is_err()).collect();
    (rows.select(kept), rows.select(held_out))
}
