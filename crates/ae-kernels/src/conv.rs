//! Convolutions and transposed convolutions of small images, as matrix products.
//!
//! A convolution reads, for each pixel of its result, a patch of `channels x k x k` numbers; with the patches as
//! columns it is one product of matrices for each image. The transposed convolution is the same read backwards: a
//! product gives the patches, which are summed where they overlap. Each image's patches stay in the cache between being
//! made and being used, and the threads share the batch.

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
    by_burn,
    cpu::{self, Operand, Tracked},
    gemm::{Matrix, multiply},
    simd::vectorised,
    threads,
};

/// `phi(w * x + b)`: `x` `[batch, channels_in, height, width]`, `weight` `[channels_out, channels_in, k, k]`, `bias`
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
        return by_burn::conv2d(x, weight, bias, stride, padding, activation);
    };
    let ([batch, channels, height, width], [units, reads, kernel, _]) = (x.dims(), weight.dims());
    assert_eq!(channels, reads, "channels of the images, and of the weights");
    drop((x, weight, bias));
    let grid = [height, width].map(|side| (side + 2 * padding - kernel) / stride + 1);
    let patches = Patches { channels, image: [height, width], kernel, stride, padding, grid };
    operands.run(Layer { patches, units, batch, transposed: false, activation })
}

/// The transpose of a convolution: `x` `[batch, channels_in, height, width]`, `weight`
/// `[channels_in, channels_out, k, k]`, `bias` `[channels_out]`, and `rest` rows and columns more at the end of the
/// result than `stride (side - 1) + k - 2 padding`.
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
        return by_burn::conv_transpose2d(x, weight, bias, stride, padding, rest, activation);
    };
    let ([batch, units, height, width], [reads, channels, kernel, _]) = (x.dims(), weight.dims());
    assert_eq!(units, reads, "channels of the images, and of the weights");
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
            let [x, weight] = [x, weight].map(|operand| cpu::in_order(operand.into_primitive()));
            let bias = bias.map_or_else(no_bias, |bias| cpu::in_order(bias.into_primitive()));
            return cpu::plain(layer.forward(&x, &weight, &bias, false).0);
        }
        let (x, x_node) = x.tracked().into_parts();
        let (weight, weight_node) = weight.tracked().into_parts();
        let (bias, bias_node) = bias.map_or_else(|| Tracked::new(no_bias()), Operand::tracked).into_parts();
        let [x, weight, bias] = [x, weight, bias].map(cpu::in_order);
        let tracked =
            match Step(layer).prepare::<NoCheckpointing>([x_node, weight_node, bias_node]).compute_bound().stateful() {
                OpsKind::Tracked(step) => {
                    let (y, kept) = layer.forward(&x, &weight, &bias, true);
                    step.finish(State { x, weight, kept }, y)
                }
                OpsKind::UnTracked(step) => step.finish(layer.forward(&x, &weight, &bias, false).0),
            };
        cpu::wrap(tracked, context)
    }
}

/// How the patches lie on the image.
#[derive(Debug, Clone, Copy)]
struct Patches {
    channels: usize,
    image: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
    /// Rows and columns of patches.
    grid: [usize; 2],
}

impl Patches {
    /// Numbers of a patch.
    fn size(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Numbers of an image.
    fn pixels(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    /// Which of `count` patches in a row have their number `offset` inside a side of `length` pixels, and where the
    /// first of those has it.
    fn inside(&self, offset: usize, count: usize, length: usize) -> (std::ops::Range<usize>, usize) {
        let first = self.padding.saturating_sub(offset).div_ceil(self.stride);
        let end = (length + self.padding).saturating_sub(offset).div_ceil(self.stride).min(count);
        (first.min(end)..end, (first * self.stride + offset).saturating_sub(self.padding))
    }

    /// The runs of pixels that a row of patches has at one place: the same for every image.
    fn runs(&self) -> Vec<Run> {
        let ([rows, cols], [height, width]) = (self.grid, self.image);
        let places = (0..self.size()).flat_map(|place| {
            let (channel, offset) = (place / (self.kernel * self.kernel), place % (self.kernel * self.kernel));
            let (inside_rows, top) = self.inside(offset / self.kernel, rows, height);
            let (inside_cols, left) = self.inside(offset % self.kernel, cols, width);
            let pixel = (channel * height + top) * width + left;
            inside_rows.enumerate().map(move |(index, row)| Run {
                patches: (place * rows + row) * cols + inside_cols.start,
                pixels: pixel + index * self.stride * width,
                count: inside_cols.len(),
            })
        });
        places.filter(|run| run.count > 0).collect()
    }
}

/// `count` numbers that follow each other in the patches and are a stride apart in the image.
struct Run {
    patches: usize,
    pixels: usize,
    count: usize,
}

/// A convolution reads patches and makes `units` numbers of each; a transposed one reads `units` numbers and makes a
/// patch of them.
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

    /// Numbers read and made for each image.
    fn sizes(&self) -> [usize; 2] {
        let (image, grid) = (self.patches.pixels(), self.units * self.patches.count());
        if self.transposed { [grid, image] } else { [image, grid] }
    }

    /// The weights, a row for each unit.
    fn matrix<'a>(&self, weight: &'a [f32]) -> Matrix<'a> {
        Matrix::new(weight, self.units, self.patches.size())
    }

    fn work(&self) -> usize {
        self.batch * self.units * self.patches.size() * self.patches.count() / 8
    }

    fn runs(&self) -> Vec<std::ops::Range<usize>> {
        threads::runs(self.batch, threads::sums(self.work()))
    }

    /// The values, and what the backward pass reads of them if it is to `keep` something.
    fn forward(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: &FlexTensor,
        keep: bool,
    ) -> (FlexTensor, Option<FlexTensor>) {
        let (patches, results, [read, made]) = (self.patches, self.results(), self.sizes());
        let (x, weight, bias) = (cpu::numbers(x), self.matrix(cpu::numbers(weight)), cpu::numbers(bias));
        assert_eq!(bias.len(), results, "a bias for {results} channels");
        let pixels = made / results;
        let slopes = if keep && self.activation.keeps_slopes() { made } else { 0 };
        let (mut y, mut slope) = (buffer::numbers(self.batch * made), buffer::numbers(self.batch * slopes));
        // Nothing is summed over the batch.
        let (runs, places) =
            (threads::runs(self.batch, threads::sums(self.work()).max(threads::parts(self.work()))), patches.runs());
        let parts =
            runs.iter().zip(threads::cut(&mut y, &runs, made)).zip(threads::cut(&mut slope, &runs, slopes)).collect();
        type Part<'a> = ((&'a std::ops::Range<usize>, &'a mut [f32]), &'a mut [f32]);
        threads::for_each_part(parts, |((run, y), mut slope): Part| {
            let mut columns = Scratch::zeros(patches.size() * patches.count());
            for (x, y) in x[run.start * read..run.end * read].chunks_exact(read).zip(y.chunks_exact_mut(made)) {
                let mut slope = slope.split_off_mut(..slopes).filter(|slope| !slope.is_empty());
                if self.transposed {
                    multiply(weight.transposed(), Matrix::new(x, self.units, patches.count()), &mut columns, false);
                    y.chunks_exact_mut(pixels).zip(bias).for_each(|(y, bias)| y.fill(*bias));
                    add_patches(&places, patches.stride, &columns, y);
                    self.activation.apply_shifted_keeping(y, 0.0, slope);
                } else {
                    read_patches(&places, patches.stride, x, &mut columns);
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
struct Step(Layer);

#[derive(Debug, Clone)]
struct State {
    x: FlexTensor,
    weight: FlexTensor,
    /// The values or their slopes; nothing without an activation.
    kept: Option<FlexTensor>,
}

impl Backward<Flex, 3> for Step {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::in_order(gradients.consume::<Flex>(&ops.node));
        let (layer, State { x, weight, kept }) = (self.0, ops.state);
        let (patches, results, [read, made]) = (layer.patches, layer.results(), layer.sizes());
        let (x_shape, weight_shape) = (x.layout().shape().clone(), weight.layout().shape().clone());
        let [x_node, weight_node, bias_node] = ops.parents;
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        let (x, matrix, kept) =
            (cpu::numbers(&x), layer.matrix(cpu::numbers(&weight)), kept.as_ref().map(cpu::numbers));
        let (runs, places) = (layer.runs(), patches.runs());
        let mut dx = buffer::zeros(if x_node.is_some() { layer.batch * read } else { 0 });
        let weights = layer.units * patches.size();
        let mut sums = vec![(vec![0.0; weights], vec![0.0; results]); runs.len()];
        let dx_parts = threads::cut(&mut dx, &runs, if x_node.is_some() { read } else { 0 });
        let parts = runs.iter().zip(threads::cut(&mut gradient, &runs, made)).zip(dx_parts).zip(&mut sums).collect();
        type Part<'a> = (((&'a std::ops::Range<usize>, &'a mut [f32]), &'a mut [f32]), &'a mut (Vec<f32>, Vec<f32>));
        threads::for_each_part(parts, |(((run, gradient), dx), (dw, db)): Part| {
            let mut columns = Scratch::zeros(patches.size() * patches.count());
            let mut pulled = Scratch::numbers(if layer.transposed || x_node.is_none() { 0 } else { columns.len() });
            for (index, dz) in run.clone().zip(gradient.chunks_exact_mut(made)) {
                if let Some(kept) = kept {
                    layer.activation.pull_back(dz, &kept[index * made..][..made]);
                }
                dz.chunks_exact(made / results).zip(db.iter_mut()).for_each(|(dz, sum)| *sum += total(dz));
                let x = &x[index * read..][..read];
                let dx = (!dx.is_empty()).then(|| &mut dx[(index - run.start) * read..][..read]);
                let count = patches.count();
                if layer.transposed {
                    read_patches(&places, patches.stride, dz, &mut columns);
                    let columns = Matrix::new(&columns, patches.size(), count);
                    if let Some(dx) = dx {
                        multiply(matrix, columns, dx, false);
                    }
                    multiply(Matrix::new(x, layer.units, count), columns.transposed(), dw, true);
                } else {
                    read_patches(&places, patches.stride, x, &mut columns);
                    let dz = Matrix::new(dz, layer.units, count);
                    multiply(dz, Matrix::new(&columns, patches.size(), count).transposed(), dw, true);
                    if let Some(dx) = dx {
                        multiply(matrix.transposed(), dz, &mut pulled, false);
                        add_patches(&places, patches.stride, &pulled, dx);
                    }
                }
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

vectorised! {
    /// The patches of `image`, as the columns of `patches`, which holds 0 wherever they reach out of it.
    fn read_patches(runs: &[Run], stride: usize, image: &[f32], patches: &mut [f32]) {
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

    /// Adds the columns of `patches` to `image`, each where it was read.
    fn add_patches(runs: &[Run], stride: usize, patches: &[f32], image: &mut [f32]) {
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

    /// The sum of these numbers, in sixteen partial sums.
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
