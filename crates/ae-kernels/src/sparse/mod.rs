//! Sparse codes, with few active units in each row: products with them cost in proportion to the active units, not to
//! the width of the code.
//!
//! A dense product multiplies by every unit. Here each row of the result sums the rows of the weights that are active,
//! and each row of the weights' gradient sums the examples in which its unit is active.

pub(crate) mod entries;
mod linear;
mod places;
mod select;

use std::sync::Arc;

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
    tensor::{Int, Tensor, TensorData},
};

use crate::{
    Activation, Rule,
    buffer::Scratch,
    cpu::{self, Operand},
};
use entries::nonzero;
use places::Places;
use select::View;

/// A `[batch, width]` matrix of which only some values are not 0.
#[derive(Debug, Clone)]
pub struct Sparse {
    /// The values, row by row: `[entries]`, at least one.
    values: Tensor<1>,
    places: Arc<Places>,
}

impl Sparse {
    /// `phi` of the values in `z` (`[batch, width]`) that `rule` selects. The gradient passes only through them.
    ///
    /// With `sizes`, `[width]`, each column is multiplied by its size where values are compared, but not in the result;
    /// sizes are positive, and have no gradient. With `among`, only these columns (in ascending order) are compared.
    ///
    /// `None` where there is no kernel for the tensors, where nothing is selected, and for GELU and SiLU: they are not
    /// monotonic, so that the largest values of `z` are not the largest values of `phi(z)`.
    ///
    /// # Panics
    /// The rule selects no value or more than there are in a row or in all, there is not one size for each column, or
    /// `among` has other columns than `z`.
    pub fn select(
        z: &Tensor<2>,
        rule: Rule,
        sizes: Option<&Tensor<1>>,
        among: Option<&[u32]>,
        activation: Activation,
    ) -> Option<Self> {
        let operand = Operand::new(z).filter(|_| !activation.keeps_slopes())?;
        let sizes = match sizes {
            Some(sizes) => Some(cpu::contiguous(Operand::new(&sizes.clone().without_autodiff())?.into_primitive())),
            None => None,
        };
        let [rows, width] = z.dims();
        let compared = among.map_or(width, <[u32]>::len);
        assert!(
            among.is_none_or(|among| among.is_sorted() && among.last().is_none_or(|last| (*last as usize) < width)),
            "columns to select from must be ascending and less than {width}"
        );
        match rule {
            Rule::Largest(k) => assert!(k > 0 && k <= compared, "k must be 1 to {compared}, not {k}"),
            Rule::LargestOfAll(count) => {
                assert!(count > 0 && count <= rows * compared, "1 to {} values, not {count}", rows * compared)
            }
            Rule::Above(_) => {}
        }
        let sizes = sizes.as_ref().map(cpu::values);
        assert!(sizes.is_none_or(|sizes| sizes.len() == width), "one size is needed for each of {width} columns");
        let values = cpu::contiguous(operand.primitive().clone());
        let numbers = cpu::values(&values);
        let places = select::places(numbers, width, rule, View { sizes, among });
        let chosen = places.gather(numbers);
        drop(values);
        Self::of_entries(operand, places, chosen, activation)
    }

    /// The values in `z` (`[batch, width]`) that are above the threshold of their column, `[width]`. The gradient
    /// passes only through them, and to no threshold.
    ///
    /// `None` where there is no kernel for the tensors, and where nothing is selected.
    ///
    /// # Panics
    /// There is not one threshold for each column.
    pub fn above(z: &Tensor<2>, thresholds: &Tensor<1>) -> Option<Self> {
        let operand = Operand::new(z)?;
        let thresholds = cpu::contiguous(Operand::new(&thresholds.clone().without_autodiff())?.into_primitive());
        let (thresholds, width) = (cpu::values(&thresholds), z.dims()[1]);
        assert!(thresholds.len() == width, "one threshold is needed for each of {width} columns");
        let values = cpu::contiguous(operand.primitive().clone());
        let numbers = cpu::values(&values);
        let places = select::above_each(numbers, width, thresholds);
        let chosen = places.gather(numbers);
        drop(values);
        Self::of_entries(operand, places, chosen, Activation::Identity)
    }

    /// `phi` of the values of `z` at these places.
    fn of_entries(operand: Operand, places: Places, mut chosen: Vec<f32>, activation: Activation) -> Option<Self> {
        if chosen.is_empty() {
            return None;
        }
        activation.apply(&mut chosen);
        let places = Arc::new(places);
        let y = cpu::primitive(chosen, [places.len()]);
        if !operand.is_autodiff() {
            return Some(Self { values: cpu::plain(y), places });
        }
        let context = cpu::context([&operand]);
        let (z, node) = operand.tracked().into_parts();
        drop(z);
        let tracked =
            match (SelectBackward { activation }).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
                OpsKind::Tracked(op) => op.finish((places.clone(), y.clone()), y),
                OpsKind::UnTracked(op) => op.finish(y),
            };
        Some(Self { values: cpu::wrap(tracked, context), places })
    }

    /// [`select`](Self::select) of the `k` largest values of each row.
    ///
    /// # Panics
    /// `k` is 0 or greater than the width.
    pub fn top_k(z: &Tensor<2>, k: usize, activation: Activation) -> Option<Self> {
        Self::select(z, Rule::Largest(k), None, None, activation)
    }

    /// The values of `h` (`[batch, width]`) that are not 0, at most `k` in each row on average.
    ///
    /// `None` where there are none or more, where there is no kernel for the tensor, and on an autodiff device, since
    /// the zeros may have gradients too.
    pub fn of(h: &Tensor<2>, k: usize) -> Option<Self> {
        let operand = Operand::new(h).filter(|operand| !operand.is_autodiff())?;
        let [rows, width] = h.dims();
        if width == 0 {
            return None;
        }
        let h = cpu::contiguous(operand.into_primitive());
        let mut found = nonzero(cpu::values(&h), width, 0).into_iter().peekable();
        if found.len() == 0 || found.len() > rows * k {
            return None;
        }
        let (mut places, mut values) = (Places::of_width(width), Vec::with_capacity(found.len()));
        for row in 0..rows as u32 {
            places.push(std::iter::from_fn(|| found.next_if(|entry| entry.1 == row)).map(|(column, _, value)| {
                values.push(value);
                column
            }));
        }
        let values = cpu::primitive(values, [places.len()]);
        Some(Self { values: cpu::plain(values), places: Arc::new(places) })
    }

    /// The number of entries, including those whose value is 0.
    pub fn entries(&self) -> usize {
        self.places.len()
    }

    /// The values of the entries, row by row: `[entries]`.
    pub fn values(&self) -> Tensor<1> {
        self.values.clone()
    }

    /// The columns of the entries: `[entries]`.
    pub fn columns(&self) -> Tensor<1, Int> {
        let columns: Vec<i32> = self.places.columns.iter().map(|column| *column as i32).collect();
        Tensor::from_data(TensorData::new(columns, [self.places.len()]), &self.values.device())
    }

    /// The matrix with other values of the same entries, `[entries]`.
    ///
    /// # Panics
    /// There is not one value for each entry, or there is no kernel for their device.
    pub fn with_values(&self, values: Tensor<1>) -> Self {
        assert!(values.dims() == [self.places.len()], "one value is needed for each entry");
        assert!(Operand::new(&values).is_some(), "values on a device with kernels");
        Self { values, places: self.places.clone() }
    }

    /// The sum of the values of each row, `[batch]`.
    pub fn row_sums(&self) -> Tensor<1> {
        let device = self.values.device();
        let (ones, zero) = (Tensor::ones([self.places.width, 1], &device), Tensor::zeros([1], &device));
        self.linear(ones, zero, Activation::Identity).squeeze_dim(1)
    }

    /// The matrix as a dense tensor, `[batch, width]`.
    pub fn dense(&self) -> Tensor<2> {
        let operand = Operand::new(&self.values).expect("a tensor that a kernel created");
        let y = self.places.scatter(cpu::values(&cpu::contiguous(operand.primitive().clone())));
        let y = cpu::primitive(y, [self.places.rows(), self.places.width]);
        if !operand.is_autodiff() {
            return cpu::plain(y);
        }
        let context = cpu::context([&operand]);
        let (_, node) = operand.tracked().into_parts();
        let tracked = match DenseBackward.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(self.places.clone(), y),
            OpsKind::UnTracked(op) => op.finish(y),
        };
        cpu::wrap(tracked, context)
    }

    /// The smallest value greater than 0, each multiplied by the size of its column if `sizes`, `[width]`, are given;
    /// `None` if there is none.
    ///
    /// # Panics
    /// There is not one size for each column.
    pub fn least_positive(&self, sizes: Option<&Tensor<1>>) -> Option<f32> {
        let operand = Operand::new(&self.values).expect("a tensor that a kernel created");
        let values = cpu::contiguous(operand.primitive().clone());
        let sizes: Option<Vec<f32>> =
            sizes.map(|sizes| sizes.clone().without_autodiff().into_data().iter::<f32>().collect());
        assert!(
            sizes.as_ref().is_none_or(|sizes| sizes.len() == self.places.width),
            "one size is needed for each of {} columns",
            self.places.width
        );
        let of = |(value, column): (&f32, &u32)| value * sizes.as_ref().map_or(1.0, |sizes| sizes[*column as usize]);
        let values = cpu::values(&values).iter().zip(&self.places.columns).map(of);
        values.filter(|value| *value > 0.0).min_by(f32::total_cmp)
    }

    /// 1 for each column with a value other than 0, and 0 for the others: `[width]`, without autodiff.
    pub fn active(&self) -> Tensor<1> {
        let operand = Operand::new(&self.values).expect("a tensor that a kernel created");
        let values = cpu::contiguous(operand.primitive().clone());
        let mut active = vec![0.0; self.places.width];
        for (column, value) in self.places.columns.iter().zip(cpu::values(&values)) {
            if *value != 0.0 {
                active[*column as usize] = 1.0;
            }
        }
        let width = active.len();
        cpu::plain(cpu::primitive(active, [width]))
    }
}

#[derive(Debug)]
struct SelectBackward {
    activation: Activation,
}

impl Backward<Flex, 1> for SelectBackward {
    type State = (Arc<Places>, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (places, y) = ops.state;
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        self.activation.pull_back(&mut gradient, cpu::values(&y));
        let dense = places.scatter(&gradient);
        gradients.register::<Flex>(parent.id, cpu::primitive(dense, [places.rows(), places.width]));
    }
}

#[derive(Debug)]
struct DenseBackward;

impl Backward<Flex, 1> for DenseBackward {
    type State = Arc<Places>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let values = ops.state.gather(cpu::values(&gradient));
        gradients.register::<Flex>(parent.id, cpu::primitive(values, [ops.state.len()]));
    }
}
