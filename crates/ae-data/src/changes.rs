//! Cells of rows, changed column by column: at once for rows in memory, and while they are read for rows in a file.

use std::sync::Arc;

use crate::{
    DataError, Element, Values,
    store::{Blocks, Store},
};

/// How the cells of a column change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// They stay as they are.
    Stays,
    /// All become missing.
    Blank,
    /// Each level gets a new index.
    Levels(Vec<f64>),
}

impl Change {
    fn of(&self, cell: f64) -> f64 {
        match self {
            Self::Stays => cell,
            Self::Blank => f64::NAN,
            Self::Levels(_) if cell.is_nan() || cell < 0.0 => cell,
            Self::Levels(numbers) => numbers[cell as usize],
        }
    }
}

/// The changed cells of rows.
pub(crate) fn changed(values: &Values, changes: &[Change]) -> Values {
    let mut column = 0;
    let mut next = |cell: f64| {
        let cell = changes[column].of(cell);
        column = (column + 1) % changes.len();
        cell
    };
    match values.element() {
        Element::F32 => {
            let mut made = Vec::with_capacity(values.len());
            values.each(0..values.len(), |cell| made.push(next(cell) as f32));
            Values::F32(made)
        }
        _ => {
            let mut made = Vec::with_capacity(values.len());
            values.each(0..values.len(), |cell| made.push(next(cell)));
            Values::F64(made)
        }
    }
}

/// Blocks of rows that are changed while they are read.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) store: Arc<Store>,
    pub(crate) changes: Vec<Change>,
}

impl Blocks for Changed {
    fn starts(&self) -> &[usize] {
        self.store.starts()
    }

    fn element(&self) -> Element {
        match self.store.element() {
            Element::F32 => Element::F32,
            _ => Element::F64,
        }
    }

    fn read(&self, block: usize) -> Result<Values, DataError> {
        Ok(changed(&self.store.read(block)?, &self.changes))
    }

    fn load(&self, block: usize) {
        self.store.load(block);
    }
}
