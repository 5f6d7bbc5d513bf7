//! Matrix products on all threads, with a function applied to each part of the result while it is still in the cache.
//!
//! On x86-64 with AVX2 or AVX-512 each part is computed by `private-gemm-x86`, elsewhere by `gemm`. Both run on a
//! single thread here: the result is divided among the threads in blocks, which costs one synchronization per product.

mod matrix;
mod single;

use std::ops::Range;

pub(crate) use matrix::Matrix;
use single::kernel;

use crate::{
    buffer::{Scratch, Unwritten, unspecified, written_by},
    threads,
};

/// `a b` in row-major order. Then `finish(columns, values)` is called on all of it, a few columns of one or more rows
/// at a time.
///
/// If there are few rows, the threads divide the columns: each thread packs its own columns of `b` in the order in
/// which they are multiplied. Threads that divide the rows each pack all of `b`, which pays only for many rows.
pub(crate) fn product(a: Matrix, b: Matrix, finish: impl Fn(&Range<usize>, &mut [f32]) + Sync) -> Vec<f32> {
    // SAFETY: `product_into` writes every value.
    unsafe { written_by(a.rows * b.cols, |out| product_into(a, b, out, |columns, _, values| finish(columns, values))) }
}

/// [`product`] with a second result of the same size: `finish` gets the same part of both. The second part holds
/// unspecified values, to be overwritten.
pub(crate) fn product_and(
    a: Matrix,
    b: Matrix,
    finish: impl Fn(&Range<usize>, &mut [f32], &mut [f32]) + Sync,
) -> [Vec<f32>; 2] {
    let mut second = unspecified(a.rows * b.cols);
    let second_out = Shared(second.as_mut_ptr());
    // SAFETY: as above. `product_into` passes each position to `finish` once, and the second buffer is as long as the
    // first: the slices of the second result are as disjoint as those of the first, and inside it.
    let first = unsafe {
        written_by(a.rows * b.cols, |out| {
            product_into(a, b, out, |columns, place, values| {
                finish(columns, values, std::slice::from_raw_parts_mut(second_out.at(place), values.len()));
            });
        })
    };
    [first, second]
}

/// The gradients of `a b` by those of `a` and `b` that are wanted, where `dy` is that by the product. Both are computed
/// at the same time: the threads wait for each other once instead of twice.
pub(crate) fn gradients(dy: Matrix, a: Matrix, b: Matrix, wanted: [bool; 2]) -> [Option<Vec<f32>>; 2] {
    let (by_a, by_b) = ((dy, b.transposed()), (a.transposed(), dy));
    let one = |(a, b): (Matrix, Matrix)| product(a, b, |_, _| {});
    match wanted {
        [true, true] => two_products(by_a, by_b).map(Some),
        [of_a, of_b] => [of_a.then(|| one(by_a)), of_b.then(|| one(by_b))],
    }
}

fn two_products((a, b): (Matrix, Matrix), (c, d): (Matrix, Matrix)) -> [Vec<f32>; 2] {
    let mut second = Vec::new();
    // SAFETY: `write` writes every value of both results, inside of both functions.
    let first = unsafe {
        written_by(a.rows * b.cols, |out| {
            second = written_by(c.rows * d.cols, |other| write([(a, b, out), (c, d, other)], |_, _, _| {}));
        })
    };
    [first, second]
}

/// Writes every value of `out`, and calls `finish(columns, position of the first value, values)` with each position
/// once.
fn product_into(a: Matrix, b: Matrix, out: &mut Unwritten, finish: impl Fn(&Range<usize>, usize, &mut [f32]) + Sync) {
    write([(a, b, out)], finish);
}

/// Writes the product of each pair of matrices, as [`product_into`] does; `finish` is not told of which pair.
fn write<const N: usize>(
    products: [(Matrix, Matrix, &mut Unwritten); N],
    finish: impl Fn(&Range<usize>, usize, &mut [f32]) + Sync,
) {
    let mut blocks = Vec::new();
    for (a, b, out) in products {
        let (rows, cols) = (a.rows, b.cols);
        assert!(
            a.cols == b.rows && out.len() == rows * cols,
            "cannot multiply {rows} x {} by {} x {cols}",
            a.cols,
            b.rows
        );
        let parts = parts(rows, cols, a.cols);
        let across = if rows / parts >= TALL { 1 } else { parts.min(cols / NARROW).max(1) };
        let col_ranges = threads::ranges_of(cols, across, VECTOR);
        let row_ranges = threads::row_ranges(rows, parts / across);
        let out = Shared(out.as_mut_ptr().cast::<f32>());
        for rows_of_block in row_ranges {
            blocks.extend(col_ranges.iter().map(|columns| (a, b, out, rows_of_block.clone(), columns.clone())));
        }
    }
    threads::for_each_part(blocks, |(a, b, out, rows_of_block, cols_of_block)| {
        let cols = b.cols;
        let place = rows_of_block.start * cols + cols_of_block.start;
        // SAFETY: the blocks cover every value, each is written by its product, and no two of them overlap.
        unsafe {
            block(a.rows_of(&rows_of_block), b.columns_of(&cols_of_block), out.at(place), cols);
            // Whole rows are adjacent in memory.
            let pieces = if cols_of_block.len() == cols { 1 } else { rows_of_block.len() };
            for place in (0..pieces).map(|piece| place + piece * cols) {
                finish(
                    &cols_of_block,
                    place,
                    std::slice::from_raw_parts_mut(out.at(place), rows_of_block.len() / pieces * cols_of_block.len()),
                );
            }
        }
    });
}
/// Number of rows per thread from which it pays that each thread packs all of `b`.
const TALL: usize = 128;

/// Number of columns from which reading a column-major `a` misses the cache at every element.
const DEEP: usize = 256;

/// Number of columns of `b` from which each element of `a` is used often enough to pay for copying `a` to row-major
/// order first.
const WIDE: usize = 384;

/// Number of columns below which a thread's share of a product is not worth packing.
const NARROW: usize = 96;

/// Values in the widest vector register.
const VECTOR: usize = 16;

/// A pointer to the result, for threads that each write a block of their own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: code that uses it on several threads must make sure that they write to disjoint parts; see `product_into`.
unsafe impl Send for Shared {}

// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// `offset` is inside the allocation that it points to.
    unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: promised by the caller.
        unsafe { self.0.add(offset) }
    }
}

/// The number of threads that a product is worth: each gets at least half a million multiply-adds, which take some ten
/// microseconds.
fn parts(rows: usize, cols: usize, depth: usize) -> usize {
    (rows * cols * depth / (1 << 19)).clamp(1, threads::count())
}

/// `out = a b`, or `out += a b` if `add` is set, in row-major order, on this thread.
pub(crate) fn multiply(a: Matrix, b: Matrix, out: &mut [f32], add: bool) {
    let depth = a.cols;
    assert!(
        b.rows == depth && out.len() == a.rows * b.cols,
        "cannot multiply {} x {depth} by {} x {}",
        a.rows,
        b.rows,
        b.cols
    );
    if depth == 0 || out.is_empty() {
        if !add {
            out.fill(0.0);
        }
        return;
    }
    // SAFETY: `Matrix` has checked that its strides stay inside its data, and `out` has room for rows x cols values in
    // row-major order.
    unsafe { kernel(a, b, out.as_mut_ptr(), b.cols, add) };
}

/// Writes `a b` to `out`, with rows `stride` apart.
///
/// # Safety
/// `a.cols == b.rows` and `stride >= b.cols`. `out` is valid for writes of `a.rows` rows of `b.cols` values, `stride`
/// apart, and nothing else reads or writes those values meanwhile.
unsafe fn block(a: Matrix, b: Matrix, out: *mut f32, stride: usize) {
    if a.cols == 0 {
        // SAFETY: promised by the caller.
        (0..a.rows).for_each(|row| unsafe { out.add(row * stride).write_bytes(0, b.cols) });
    } else if a.rows > 0 && b.cols > 0 {
        // The layout of `x` in the gradient of the weights: each multiplication would read from another page.
        let repack = a.row_stride == 1 && a.col_stride > 1 && a.cols >= DEEP && b.cols >= WIDE;
        let mut packed = Scratch::unspecified(if repack { a.rows * a.cols } else { 0 });
        if repack {
            a.copy_row_major(&mut packed);
        }
        let a = if repack { Matrix::new(&packed, a.rows, a.cols) } else { a };
        // SAFETY: as above; `Matrix` has checked that its strides stay inside its data.
        unsafe { kernel(a, b, out, stride, false) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_right_for_every_layout() {
        let number = |i: usize| ((i * 7919) % 64) as f32 / 8.0 - 4.0; // exact in f32, and so are the sums
        for (m, n, k) in [
            (1, 1, 1),
            (3, 5, 2),
            (33, 17, 65),
            (128, 70, 300),
            (0, 4, 3),
            (4, 3, 0),
            (513, 300, 40),
            (40, 1100, 513),
            (700, 210, 90),
            (300, 2, 4000),
        ] {
            let (a, b): (Vec<f32>, Vec<f32>) = ((0..m * k).map(number).collect(), (0..k * n).map(number).collect());
            let layouts = [
                (Matrix::new(&a, m, k), Matrix::new(&b, k, n)),
                (Matrix::new(&a, k, m).transposed(), Matrix::new(&b, k, n)),
                (Matrix::new(&a, m, k), Matrix::new(&b, n, k).transposed()),
            ];
            for (a, b) in layouts {
                let out = product(a, b, |columns, rows| {
                    rows.iter_mut().zip(columns.clone().cycle()).for_each(|(y, j)| *y += j as f32)
                });
                assert_eq!(out.len(), m * n);
                for (index, y) in out.iter().enumerate().step_by(7) {
                    let (i, j) = (index / n, index % n);
                    let at =
                        |matrix: Matrix, i: usize, j: usize| matrix.data[i * matrix.row_stride + j * matrix.col_stride];
                    let expected: f32 = (0..k).map(|l| at(a, i, l) * at(b, l, j)).sum();
                    assert_eq!(*y, expected + j as f32, "{m} x {k} x {n} at {i}, {j}");
                }
            }
        }
    }
}
