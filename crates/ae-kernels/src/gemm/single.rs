//! A matrix product on one thread, by the crate for this CPU.

use super::Matrix;

/// Writes `a b` to `out`, with rows `stride` apart, or adds it to the values there if `add` is set.
///
/// # Safety
/// As [`block`]. In addition `a.rows`, `a.cols` and `b.cols` are not 0, and the values at `out` are initialized if
/// `add` is set.
pub(super) unsafe fn kernel(a: Matrix, b: Matrix, out: *mut f32, stride: usize, add: bool) {
    let (rows, cols, depth) = (a.rows, b.cols, a.cols);
    #[cfg(target_arch = "x86_64")]
    if let Some(instructions) = x86::instructions() {
        // SAFETY: promised by the caller and by `Matrix`; the CPU has the instructions.
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
    /// As [`kernel`](super::kernel), and the CPU has the instructions.
    pub(super) unsafe fn product(
        instructions: InstrSet,
        a: Matrix,
        b: Matrix,
        out: *mut f32,
        stride: usize,
        add: bool,
    ) {
        let one = 1f32;
        // SAFETY: promised by the caller; null pointers say that there are no index lists and no diagonal.
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
