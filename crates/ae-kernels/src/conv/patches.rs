//! The patches of an image that a convolution reads, as the columns of a matrix.

use std::ops::Range;

use crate::simd::vectorized;

/// The geometry of the patches on an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patches {
    pub(super) channels: usize,
    pub(super) image: [usize; 2],
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    /// Rows and columns of patches.
    pub(super) grid: [usize; 2],
}

impl Patches {
    /// Values of a patch.
    pub(super) fn size(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Number of patches.
    pub(super) fn count(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Values of an image, over all channels.
    pub(super) fn pixels(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    /// Which of `count` patches in a row have their element `offset` inside a side of `length` pixels, as a half-open
    /// range, and the pixel of the first of them.
    fn inside(&self, offset: usize, count: usize, length: usize) -> (Range<usize>, usize) {
        let first = self.padding.saturating_sub(offset).div_ceil(self.stride);
        let end = (length + self.padding).saturating_sub(offset).div_ceil(self.stride).min(count);
        (first.min(end)..end, (first * self.stride + offset).saturating_sub(self.padding))
    }

    /// The runs of pixels that a row of patches reads for each element: the same for every image.
    pub(super) fn pixel_runs(&self) -> Vec<PixelRun> {
        let ([rows, cols], [height, width]) = (self.grid, self.image);
        let places = (0..self.size()).flat_map(|place| {
            let (channel, offset) = (place / (self.kernel * self.kernel), place % (self.kernel * self.kernel));
            let (inside_rows, top) = self.inside(offset / self.kernel, rows, height);
            let (inside_cols, left) = self.inside(offset % self.kernel, cols, width);
            let pixel = (channel * height + top) * width + left;
            inside_rows.enumerate().map(move |(index, row)| PixelRun {
                patches: (place * rows + row) * cols + inside_cols.start,
                pixels: pixel + index * self.stride * width,
                count: inside_cols.len(),
            })
        });
        places.filter(|run| run.count > 0).collect()
    }
}

/// `count` values that are adjacent in the patches and `stride` apart in the image.
pub(super) struct PixelRun {
    patches: usize,
    pixels: usize,
    count: usize,
}

vectorized! {
    /// Writes the patches of `image` as the columns of `patches`, which already hold 0 where a patch reaches beyond
    /// the image.
    pub(super) fn read_patches(runs: &[PixelRun], stride: usize, image: &[f32], patches: &mut [f32]) {
        for run in runs {
            let (to, from) = (&mut patches[run.patches..][..run.count], &image[run.pixels..]);
            match stride {
                1 => to.copy_from_slice(&from[..run.count]),
                2 => {
                    let from = &from[..2 * run.count - 1];
                    for (index, to) in to.iter_mut().enumerate() {
                        *to = from[2 * index];
                    }
                }
                _ => {
                    for (to, from) in to.iter_mut().zip(from.iter().step_by(stride)) {
                        *to = *from;
                    }
                }
            }
        }
    }

    /// Adds the columns of `patches` to `image`, each at the pixels it belongs to.
    pub(super) fn add_patches(runs: &[PixelRun], stride: usize, patches: &[f32], image: &mut [f32]) {
        for run in runs {
            let (from, to) = (&patches[run.patches..][..run.count], &mut image[run.pixels..]);
            match stride {
                1 => {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to += from;
                    }
                }
                2 => {
                    let to = &mut to[..2 * run.count - 1];
                    for (index, from) in from.iter().enumerate() {
                        to[2 * index] += from;
                    }
                }
                _ => {
                    for (to, from) in to.iter_mut().step_by(stride).zip(from) {
                        *to += from;
                    }
                }
            }
        }
    }
}
