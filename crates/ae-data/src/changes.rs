//! Cells of rows, changed column by column: in memory at once, in a file as they are read.

use std::sync::Arc;

use crate::{
    DataError, Element, Values,
    store::{Blocks, Store},
};

/// What becomes of the cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// Nothing.
    Stays,
    /// Every cell is missing.
    Blank,
    /// A level has another number.
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

/// The cells of rows, changed.
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

/// Blocks of rows, changed as they are read.
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
}
