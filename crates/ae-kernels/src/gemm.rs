//! Matrix products, on all threads, with something done to each part of the result while it is still in the cache.
//!
//! On x86-64 with AVX2 or AVX-512 the product of a part is `private-gemm-x86`'s, elsewhere `gemm`'s. Both are
//! single-threaded here: the result is divided among the threads in blocks, which costs one synchronisation a product.

use std::{borrow::Cow, ops::Range};

use burn::backend::flex::FlexTensor;

use crate::{
    buffer::{Scratch, Unwritten, numbers, written_by},
    cpu, threads,
};

/// Side of the squares that are turned at a time: a row of one is as long as what the cache reads at once.
const TILE: usize = 16;

/// A matrix of any layout: element `(i, j)` is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows x cols` numbers, row by row.
    pub(crate) fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols, 1)
    }

    /// # Panics
    /// Strides that lead out of `data`.
    pub(crate) fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Self {
        let inside = rows == 0 || cols == 0 || (rows - 1) * row_stride + (cols - 1) * col_stride < data.len();
        assert!(
            inside,
            "a matrix of {rows} x {cols} numbers with strides {row_stride}, {col_stride} in {}",
            data.len()
        );
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// A matrix of the tensor's layout; none if it runs backwards.
    pub(crate) fn of(tensor: &'a FlexTensor) -> Option<Self> {
        let (rows, cols, row_stride, col_stride, start) = cpu::strides(tensor.layout());
        let (row_stride, col_stride) = (usize::try_from(row_stride).ok()?, usize::try_from(col_stride).ok()?);
        Some(Self::strided(&tensor.storage::<f32>()[start..], rows, cols, row_stride, col_stride))
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Its numbers, row by row.
    pub(crate) fn in_order(self) -> Cow<'a, [f32]> {
        if self.col_stride == 1 && self.row_stride == self.cols {
            return Cow::Borrowed(&self.data[..self.rows * self.cols]);
        }
        (0..self.rows)
            .flat_map(|i| (0..self.cols).map(move |j| self.data[i * self.row_stride + j * self.col_stride]))
            .collect()
    }

    /// Its numbers, row by row, of a matrix that lies column by column.
    pub(crate) fn turned(self, out: &mut [f32]) {
        assert!(
            self.row_stride == 1 && out.len() == self.rows * self.cols,
            "a matrix of other strides, or other numbers to write"
        );
        for first in (0..self.rows).step_by(TILE) {
            for depth in (0..self.cols).step_by(TILE) {
                let columns = depth..(depth + TILE).min(self.cols);
                for row in first..(first + TILE).min(self.rows) {
                    let out = &mut out[row * self.cols..][columns.clone()];
                    out.iter_mut()
                        .zip(columns.clone())
                        .for_each(|(out, column)| *out = self.data[column * self.col_stride + row]);
                }
            }
        }
    }

    /// The rows of `run` alone.
    pub(crate) fn rows_of(self, run: &Range<usize>) -> Self {
        let data = if run.is_empty() { &[] } else { &self.data[run.start * self.row_stride..] };
        Self { data, rows: run.len(), ..self }
    }

    /// The columns of `run` alone.
    fn columns_of(self, run: &Range<usize>) -> Self {
        self.transposed().rows_of(run).transposed()
    }
}

/// `a b`, row by row; then `finish(columns, numbers)` on all of it, a few of its columns of one or more rows at a time.
///
/// Where rows are few, the threads divide the columns: each packs its own columns of `b` in the order of the
/// multiplications, whereas threads that divide the rows each pack all of `b`, which takes many rows to pay.
pub(crate) fn product(a: Matrix, b: Matrix, finish: impl Fn(&Range<usize>, &mut [f32]) + Sync) -> Vec<f32> {
    // SAFETY: `product_into` writes every number.
    unsafe {
        written_by(a.rows * b.cols, |out| product_into(a, b, out, |columns, _, numbers| finish(columns, numbers)))
    }
}

/// [`product`] with a second result as large as the first: `finish` gets both at the same places, the second with
/// whatever numbers, to be written over.
pub(crate) fn product_and(
    a: Matrix,
    b: Matrix,
    finish: impl Fn(&Range<usize>, &mut [f32], &mut [f32]) + Sync,
) -> [Vec<f32>; 2] {
    let mut second = numbers(a.rows * b.cols);
    let beside = Shared(second.as_mut_ptr());
    // SAFETY: as above; `product_into` gives each place to `finish` once, so that the slices of the second result are
    // as much apart as the first's are, and inside it, since it is as long.
    let first = unsafe {
        written_by(a.rows * b.cols, |out| {
            product_into(a, b, out, |columns, place, numbers| {
                finish(columns, numbers, std::slice::from_raw_parts_mut(beside.at(place), numbers.len()));
            });
        })
    };
    [first, second]
}

/// Writes every number of `out`, and calls `finish(columns, place of the first number, numbers)` with each place once.
fn product_into(a: Matrix, b: Matrix, out: &mut Unwritten, finish: impl Fn(&Range<usize>, usize, &mut [f32]) + Sync) {
    let (rows, cols) = (a.rows, b.cols);
    assert!(
        a.cols == b.rows && out.len() == rows * cols,
        "a product of {rows} x {} and {} x {cols} numbers",
        a.cols,
        b.rows
    );
    let parts = parts(rows, cols, a.cols);
    let across = if rows / parts >= TALL { 1 } else { parts.min(cols / NARROW).max(1) };
    let bands = threads::runs_of(cols, across, VECTOR);
    let runs = threads::runs(rows, parts / across);
    let blocks = runs.iter().flat_map(|run| bands.iter().map(move |band| (run, band))).collect();
    let out = Shared(out.as_mut_ptr().cast::<f32>());
    threads::for_each_part(blocks, |(run, band): (&Range<usize>, &Range<usize>)| {
        let place = run.start * cols + band.start;
        // SAFETY: the blocks cover every number, each is written by its product, and no two of them share one.
        unsafe {
            block(a.rows_of(run), b.columns_of(band), out.at(place), cols);
            // Whole rows follow each other.
            let pieces = if band.len() == cols { 1 } else { run.len() };
            for place in (0..pieces).map(|piece| place + piece * cols) {
                finish(band, place, std::slice::from_raw_parts_mut(out.at(place), run.len() / pieces * band.len()));
            }
        }
    });
}

/// Rows from which a thread pays for packing all of `b`.
const TALL: usize = 128;
/// Columns of an `a` that lies column by column, from which on the cache loses sight of them.
const DEEP: usize = 256;
/// Multiplications of each of its numbers that pay for putting it where they read it.
const WIDE: usize = 384;
/// Columns below which a thread's share of a product is not worth its packing.
const NARROW: usize = 96;
/// Numbers of the widest vector.
const VECTOR: usize = 16;

/// Where a product goes, for threads that each write a block of their own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: whoever uses it in several threads has to see to it that they write apart; see `product`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// `offset` is inside what it points to.
    unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

/// How many threads a product is worth: each gets at least a million multiplications, some ten microseconds.
fn parts(rows: usize, cols: usize, depth: usize) -> usize {
    (rows * cols * depth / (1 << 19)).clamp(1, threads::count())
}

/// `out = a b`, or `out += a b`, on this thread, row by row.
pub(crate) fn multiply(a: Matrix, b: Matrix, out: &mut [f32], add: bool) {
    let depth = a.cols;
    assert!(
        b.rows == depth && out.len() == a.rows * b.cols,
        "a product of {} x {depth} and {} x {} numbers",
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
    // SAFETY: `Matrix` has checked that its strides stay inside its data, and `out` has room for rows x cols numbers,
    // row by row.
    unsafe { kernel(a, b, out.as_mut_ptr(), b.cols, add) };
}

/// Writes `a b` at `out`, rows `stride` apart.
///
/// # Safety
/// There is room for so many rows at `out`.
unsafe fn block(a: Matrix, b: Matrix, out: *mut f32, stride: usize) {
    if a.cols == 0 {
        // SAFETY: the caller's promise.
        (0..a.rows).for_each(|row| unsafe { out.add(row * stride).write_bytes(0, b.cols) });
    } else if a.rows > 0 && b.cols > 0 {
        // As in the gradient of weights: every multiplication would read from another page.
        let turned = a.row_stride == 1 && a.col_stride > 1 && a.cols >= DEEP && b.cols >= WIDE;
        let mut rows = Scratch::numbers(if turned { a.rows * a.cols } else { 0 });
        if turned {
            a.turned(&mut rows);
        }
        let a = if turned { Matrix::new(&rows, a.rows, a.cols) } else { a };
        // SAFETY: as above; `Matrix` has checked that its strides stay inside its data.
        unsafe { kernel(a, b, out, stride, false) };
    }
}

/// Writes `a b` at `out`, rows `stride` apart, or adds it to what is there.
///
/// # Safety
/// There is room for `a.rows` rows of `b.cols` numbers at `out`, written ones if it adds; neither is 0, nor is
/// `a.cols`, which is `b.rows`.
unsafe fn kernel(a: Matrix, b: Matrix, out: *mut f32, stride: usize, add: bool) {
    let (rows, cols, depth) = (a.rows, b.cols, a.cols);
    #[cfg(target_arch = "x86_64")]
    if let Some(instructions) = x86::instructions() {
        // SAFETY: the caller's and `Matrix`'s promises; the machine has the instructions.
        return unsafe { x86::product(instructions, a, b, out, stride, add) };
    }
    // SAFETY: as above.
    unsafe {
        gemm::gemm(
            rows,
            cols,
            depth,
            out,
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::ptr;

    use private_gemm_x86::{Accum, DType, DstKind, IType, InstrSet, gemm};

    use super::Matrix;
    use crate::simd::{Level, level};

    pub(super) fn instructions() -> Option<InstrSet> {
        match level() {
            Level::Avx512 => Some(InstrSet::Avx512),
            Level::Avx2 => Some(InstrSet::Avx256),
            Level::Any => None,
        }
    }

    /// # Safety
    /// As [`kernel`](super::kernel), and the machine has the instructions.
    pub(super) unsafe fn product(
        instructions: InstrSet,
        a: Matrix,
        b: Matrix,
        out: *mut f32,
        stride: usize,
        add: bool,
    ) {
        let one = 1f32;
        // SAFETY: the caller's promises; no index lists and no diagonal are given, which null pointers say.
        unsafe {
            gemm(
                DType::F32,
                IType::U64,
                instructions,
                a.rows,
                b.cols,
                a.cols,
                out.cast(),
                stride as isize,
                1,
                ptr::null(),
                ptr::null(),
                DstKind::Full,
                if add { Accum::Add } else { Accum::Replace },
                a.data.as_ptr().cast(),
                a.row_stride as isize,
                a.col_stride as isize,
                false,
                ptr::null(),
                0,
                b.data.as_ptr().cast(),
                b.row_stride as isize,
                b.col_stride as isize,
                false,
                ptr::from_ref(&one).cast(),
                1,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_every_layout_are_the_sums_that_they_should_be() {
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
