//! Convolutions and transposed convolutions of small images, as matrix products.
//!
//! A convolution reads a patch of `channels x k x k` values for each pixel of its result. With the patches as columns
//! it is one matrix product for each image (im2col). A transposed convolution is the reverse: a product gives the
//! patches, which are summed where they overlap.
//!
//! The patches of an image stay in the cache between being written and being used. The threads divide the batch.

mod patches;

use std::ops::Range;

use burn::{
    backend::{
        Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
    },
    tensor::Tensor,
};

use crate::{
    Activation,
    buffer::{self, Scratch},
    burn_ops,
    cpu::{self, Operand, Tracked},
    gemm::{Matrix, multiply},
    simd::vectorized,
    threads,
};
use patches::{Patches, PixelRun, add_patches, read_patches};

/// `phi(w * x + b)`, a convolution with zero padding.
///
/// `x` is `[batch, channels_in, height, width]`, `weight` `[channels_out, channels_in, k, k]`, `bias`
/// `[channels_out]`.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
    activation: Activation,
) -> Tensor<4> {
    let kernel = || Operands::new(&x, &weight, bias.as_ref());
    let Some(operands) = kernel() else {
        return burn_ops::conv2d(x, weight, bias, stride, padding, activation);
    };
    let ([batch, channels, height, width], [units, reads, kernel, _]) = (x.dims(), weight.dims());
    assert_eq!(channels, reads, "the images and the weights have different numbers of channels");
    drop((x, weight, bias));
    let grid = [height, width].map(|side| (side + 2 * padding - kernel) / stride + 1);
    let patches = Patches { channels, image: [height, width], kernel, stride, padding, grid };
    operands.run(Layer { patches, units, batch, transposed: false, activation })
}

/// `phi` of a transposed convolution.
///
/// `x` is `[batch, channels_in, height, width]`, `weight` `[channels_in, channels_out, k, k]`, `bias`
/// `[channels_out]`. The result has `stride (side - 1) + k - 2 padding` rows or columns, and `rest` more at the end.
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
    rest: [usize; 2],
    activation: Activation,
) -> Tensor<4> {
    let kernel = || Operands::new(&x, &weight, bias.as_ref());
    let Some(operands) = kernel() else {
        return burn_ops::conv_transpose2d(x, weight, bias, stride, padding, rest, activation);
    };
    let ([batch, units, height, width], [reads, channels, kernel, _]) = (x.dims(), weight.dims());
    assert_eq!(units, reads, "the images and the weights have different numbers of channels");
    drop((x, weight, bias));
    let image = [0, 1].map(|side| (stride * ([height, width][side] - 1) + kernel + rest[side]) - 2 * padding);
    let patches = Patches { channels, image, kernel, stride, padding, grid: [height, width] };
    operands.run(Layer { patches, units, batch, transposed: true, activation })
}

struct Operands {
    x: Operand,
    weight: Operand,
    bias: Option<Operand>,
}

impl Operands {
    fn new(x: &Tensor<4>, weight: &Tensor<4>, bias: Option<&Tensor<1>>) -> Option<Self> {
        let bias = match bias {
            Some(bias) => Some(Operand::new(bias)?),
            None => None,
        };
        let [out, channels, height, width] = weight.dims();
        (height == width && out * channels * height > 0).then_some(())?;
        Some(Self { x: Operand::new(x)?, weight: Operand::new(weight)?, bias })
    }

    fn run(self, layer: Layer) -> Tensor<4> {
        let Self { x, weight, bias } = self;
        let no_bias = || cpu::primitive(vec![0.0; layer.results()], [layer.results()]);
        let autodiff = x.is_autodiff() || weight.is_autodiff() || bias.as_ref().is_some_and(Operand::is_autodiff);
        let context = match &bias {
            Some(bias) => cpu::context([&x, &weight, bias]),
            None => cpu::context([&x, &weight]),
        };
        if !autodiff {
            let [x, weight] = [x, weight].map(|operand| cpu::contiguous(operand.into_primitive()));
            let bias = bias.map_or_else(no_bias, |bias| cpu::contiguous(bias.into_primitive()));
            return cpu::plain(layer.forward(&x, &weight, &bias, false).0);
        }
        let (x, x_node) = x.tracked().into_parts();
        let (weight, weight_node) = weight.tracked().into_parts();
        let (bias, bias_node) = bias.map_or_else(|| Tracked::new(no_bias()), Operand::tracked).into_parts();
        let [x, weight, bias] = [x, weight, bias].map(cpu::contiguous);
        let tracked = match ConvBackward(layer)
            .prepare::<NoCheckpointing>([x_node, weight_node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(op) => {
                let (y, kept) = layer.forward(&x, &weight, &bias, true);
                op.finish(ConvState { x, weight, kept }, y)
            }
            OpsKind::UnTracked(op) => op.finish(layer.forward(&x, &weight, &bias, false).0),
        };
        cpu::wrap(tracked, context)
    }
}

/// A convolution reads patches and computes `units` values from each; a transposed one reads `units` values and
/// computes a patch from them.
#[derive(Debug, Clone, Copy)]
struct Layer {
    patches: Patches,
    units: usize,
    batch: usize,
    transposed: bool,
    activation: Activation,
}

impl Layer {
    /// Channels of the result.
    fn results(&self) -> usize {
        if self.transposed { self.patches.channels } else { self.units }
    }

    /// Values that are read and written for each image.
    fn sizes(&self) -> [usize; 2] {
        let (image, grid) = (self.patches.pixels(), self.units * self.patches.count());
        if self.transposed { [grid, image] } else { [image, grid] }
    }

    /// The weights, with a row for each unit.
    fn matrix<'a>(&self, weight: &'a [f32]) -> Matrix<'a> {
        Matrix::new(weight, self.units, self.patches.size())
    }

    fn work(&self) -> usize {
        self.batch * self.units * self.patches.size() * self.patches.count() / 8
    }

    fn batch_ranges(&self) -> Vec<Range<usize>> {
        threads::row_ranges(self.batch, threads::reduction_parts(self.work()))
    }

    /// The layer's values, and what the backward pass needs of them if `keep` is set.
    fn forward(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: &FlexTensor,
        keep: bool,
    ) -> (FlexTensor, Option<FlexTensor>) {
        let (patches, results, [read, written]) = (self.patches, self.results(), self.sizes());
        let (x, weight, bias) = (cpu::values(x), self.matrix(cpu::values(weight)), cpu::values(bias));
        assert_eq!(bias.len(), results, "the bias needs an entry for each of {results} channels");
        let pixels = written / results;
        let slopes = if keep && self.activation.keeps_slopes() { written } else { 0 };
        let (mut y, mut slope) = (buffer::unspecified(self.batch * written), buffer::unspecified(self.batch * slopes));
        // Nothing is summed over the batch, so that the number of parts may depend on the number of threads.
        let parts = threads::reduction_parts(self.work()).max(threads::part_count(self.work()));
        let (ranges, pixel_runs) = (threads::row_ranges(self.batch, parts), patches.pixel_runs());
        let parts = ranges
            .iter()
            .zip(threads::split_rows(&mut y, &ranges, written))
            .zip(threads::split_rows(&mut slope, &ranges, slopes))
            .collect();
        type Part<'a> = ((&'a Range<usize>, &'a mut [f32]), &'a mut [f32]);
        threads::for_each_part(parts, |((range, y), mut slope): Part| {
            let mut columns = Scratch::zeros(patches.size() * patches.count());
            for (x, y) in x[range.start * read..range.end * read].chunks_exact(read).zip(y.chunks_exact_mut(written)) {
                let mut slope = slope.split_off_mut(..slopes).filter(|slope| !slope.is_empty());
                if self.transposed {
                    multiply(weight.transposed(), Matrix::new(x, self.units, patches.count()), &mut columns, false);
                    y.chunks_exact_mut(pixels).zip(bias).for_each(|(y, bias)| y.fill(*bias));
                    add_patches(&pixel_runs, patches.stride, &columns, y);
                    self.activation.apply_shifted_keeping(y, 0.0, slope);
                } else {
                    read_patches(&pixel_runs, patches.stride, x, &mut columns);
                    multiply(weight, Matrix::new(&columns, patches.size(), patches.count()), y, false);
                    for (y, bias) in y.chunks_exact_mut(pixels).zip(bias) {
                        let slope = slope.as_mut().and_then(|slope| slope.split_off_mut(..pixels));
                        self.activation.apply_shifted_keeping(y, *bias, slope);
                    }
                }
            }
        });
        let [height, width] = if self.transposed { patches.image } else { patches.grid };
        let shape = [self.batch, results, height, width];
        let y = cpu::primitive(y, shape);
        let kept = match self.activation {
            Activation::Identity => None,
            activation if activation.keeps_slopes() => keep.then(|| cpu::primitive(slope, shape)),
            _ => keep.then(|| y.clone()),
        };
        (y, kept)
    }
}

#[derive(Debug)]
struct ConvBackward(Layer);

#[derive(Debug, Clone)]
struct ConvState {
    x: FlexTensor,
    weight: FlexTensor,
    /// The layer's values, or its slopes where those are kept; `None` without an activation.
    kept: Option<FlexTensor>,
}

impl Backward<Flex, 3> for ConvBackward {
    type State = ConvState;

    fn backward(self, ops: Ops<ConvState, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let (layer, ConvState { x, weight, kept }) = (self.0, ops.state);
        let (patches, results, [read, written]) = (layer.patches, layer.results(), layer.sizes());
        let (x_shape, weight_shape) = (x.layout().shape().clone(), weight.layout().shape().clone());
        let [x_node, weight_node, bias_node] = ops.parents;
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        let (x, matrix, kept) = (cpu::values(&x), layer.matrix(cpu::values(&weight)), kept.as_ref().map(cpu::values));
        let (ranges, pixel_runs) = (layer.batch_ranges(), patches.pixel_runs());
        let mut dx = buffer::zeros(if x_node.is_some() { layer.batch * read } else { 0 });
        let weights = layer.units * patches.size();
        let mut sums = vec![(vec![0.0; weights], vec![0.0; results]); ranges.len()];
        let dx_parts = threads::split_rows(&mut dx, &ranges, if x_node.is_some() { read } else { 0 });
        let parts = ranges
            .iter()
            .zip(threads::split_rows(&mut gradient, &ranges, written))
            .zip(dx_parts)
            .zip(&mut sums)
            .collect();
        type Part<'a> = (((&'a Range<usize>, &'a mut [f32]), &'a mut [f32]), &'a mut (Vec<f32>, Vec<f32>));
        threads::for_each_part(parts, |(((range, gradient), dx), (dw, db)): Part| {
            let columns = Scratch::zeros(patches.size() * patches.count());
            let needs_patches = !layer.transposed && x_node.is_some();
            let dx_columns = Scratch::unspecified(if needs_patches { columns.len() } else { 0 });
            let mut image = ImageBackward { layer, weight: matrix, pixel_runs: &pixel_runs, columns, dx_columns };
            for (index, dz) in range.clone().zip(gradient.chunks_exact_mut(written)) {
                if let Some(kept) = kept {
                    layer.activation.pull_back(dz, &kept[index * written..][..written]);
                }
                dz.chunks_exact(written / results).zip(db.iter_mut()).for_each(|(dz, sum)| *sum += total(dz));
                let dx = (!dx.is_empty()).then(|| &mut dx[(index - range.start) * read..][..read]);
                image.run(&x[index * read..][..read], dz, dx, dw);
            }
        });
        let summed = sums.into_iter().reduce(|(mut dw, mut db), (more_dw, more_db)| {
            dw.iter_mut().zip(more_dw).for_each(|(sum, more)| *sum += more);
            db.iter_mut().zip(more_db).for_each(|(sum, more)| *sum += more);
            (dw, db)
        });
        let (dw, db) = summed.unwrap_or_else(|| (vec![0.0; weights], vec![0.0; results]));
        if let Some(node) = x_node {
            gradients.register::<Flex>(node.id, cpu::primitive(dx, x_shape));
        }
        if let Some(node) = weight_node {
            gradients.register::<Flex>(node.id, cpu::primitive(dw, weight_shape));
        }
        if let Some(node) = bias_node {
            gradients.register::<Flex>(node.id, cpu::primitive(db, [results]));
        }
    }
}

/// Computes the gradients of one image after the other, with buffers that are reused.
struct ImageBackward<'a> {
    layer: Layer,
    weight: Matrix<'a>,
    pixel_runs: &'a [PixelRun],
    /// The patches of the image that the layer reads or writes.
    columns: Scratch,
    /// The patches of the gradient of the layer's input; empty if it is not needed.
    dx_columns: Scratch,
}

impl ImageBackward<'_> {
    /// Adds the gradient of the weights to `dw`, and writes the gradient of the input `x` to `dx`. `dz` is the gradient
    /// of the output before the activation.
    fn run(&mut self, x: &[f32], dz: &[f32], dx: Option<&mut [f32]>, dw: &mut [f32]) {
        let (units, patches) = (self.layer.units, self.layer.patches);
        let (size, count, stride) = (patches.size(), patches.count(), patches.stride);
        if self.layer.transposed {
            read_patches(self.pixel_runs, stride, dz, &mut self.columns);
            let columns = Matrix::new(&self.columns, size, count);
            if let Some(dx) = dx {
                multiply(self.weight, columns, dx, false);
            }
            multiply(Matrix::new(x, units, count), columns.transposed(), dw, true);
            return;
        }
        read_patches(self.pixel_runs, stride, x, &mut self.columns);
        let dz = Matrix::new(dz, units, count);
        multiply(dz, Matrix::new(&self.columns, size, count).transposed(), dw, true);
        if let Some(dx) = dx {
            multiply(self.weight.transposed(), dz, &mut self.dx_columns, false);
            add_patches(self.pixel_runs, stride, &self.dx_columns, dx);
        }
    }
}

vectorized! {
    /// The sum of the values, in sixteen partial sums.
    fn total(values: &[f32]) -> f32 {
        let mut sums = [0.0f32; 16];
        let blocks = values.chunks_exact(16);
        let mut rest = 0.0;
        for value in blocks.remainder() {
            rest += value;
        }
        for block in blocks {
            for lane in 0..16 {
                sums[lane] += block[lane];
            }
        }
        sums.iter().sum::<f32>() + rest
    }
}
