//! Squared distances between rows.

use ae_data::progress::beat;
use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};

/// Number of rows in a block of distances: (from, to).
pub(super) const BLOCK: (usize, usize) = (256, 2048);

/// A squared distance below this share of the squared lengths is rounding error.
const ROUNDING: f64 = 1e-13;

/// Rows in `f64`, and the squared length of each.
pub(super) struct Rows {
    values: Vec<f64>,
    squares: Vec<f64>,
    width: usize,
}

impl Rows {
    pub(super) fn of(rows: &[f32], width: usize, places: impl Iterator<Item = usize>) -> Self {
        let values = places.flat_map(|place| &rows[place * width..(place + 1) * width]);
        let values: Vec<f64> = values.copied().map(f64::from).collect();
        let squares = values.chunks_exact(width).map(|row| row.iter().map(|value| value * value).sum()).collect();
        Self { values, squares, width }
    }

    pub(super) fn len(&self) -> usize {
        self.squares.len()
    }

    /// Calls `visit` with the index of a row here, the index of one of `others`, and their squared distance, for all
    /// pairs.
    pub(super) fn each_distance(&self, others: &Self, mut visit: impl FnMut(usize, usize, f64)) {
        let width = self.width;
        for (block, from) in self.values.chunks(BLOCK.0 * width).enumerate() {
            let from = MatRef::from_column_major_slice(from, width, from.len() / width);
            for (other, to) in others.values.chunks(BLOCK.1 * width).enumerate() {
                let to = MatRef::from_row_major_slice(to, to.len() / width, width);
                let mut products = Mat::zeros(to.nrows(), from.ncols());
                matmul(&mut products, Accum::Replace, to, from, 1.0, Par::Seq);
                for column in 0..products.ncols() {
                    let (row, first) = (block * BLOCK.0 + column, other * BLOCK.1);
                    let square = self.squares[row];
                    let others = products.col_as_slice(column).iter().zip(&others.squares[first..]).enumerate();
                    for (place, (product, other)) in others {
                        let squared = square + other - 2.0 * product;
                        // With only `max` equal rows would remain slightly apart.
                        let squared = if squared > ROUNDING * (square + other) { squared } else { 0.0 };
                        visit(row, first + place, squared);
                    }
                }
                beat();
            }
        }
    }
}

/// At most `most` of `count` indices, spread evenly.
pub(super) fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = count.min(most);
    (0..kept).map(move |place| place * count / kept)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{near, noise},
        *,
    };

    #[test]
    fn distances_equal_those_of_differences() {
        let (width, a, b) = (7, noise(7 * 300, 1.0, 10), noise(7 * 2100, 1.0, 11));
        let rows = |rows: &[f32]| Rows::of(rows, width, 0..rows.len() / width);
        let mut pairs = 0;
        rows(&a).each_distance(&rows(&b), |i, j, squared| {
            let (x, y) = (&a[i * width..(i + 1) * width], &b[j * width..(j + 1) * width]);
            let exact: f64 = x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
            near(squared, exact, 1e-12);
            pairs += 1;
        });
        assert_eq!(pairs, 300 * 2100);
        assert_eq!(spread(10, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(spread(3, 4).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
