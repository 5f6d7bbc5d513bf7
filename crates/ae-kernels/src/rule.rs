//! Which values of a matrix are selected for a sparse one.

/// Which values are selected. Equal values are selected in their order, until there are enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// This many of the largest values of each row.
    Largest(usize),
    /// This many of the largest values of all rows together.
    LargestOfAll(usize),
    /// The values greater than this threshold.
    Above(f32),
}
