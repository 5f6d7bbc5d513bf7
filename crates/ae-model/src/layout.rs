//! The layout of a row: which features belong to which column of a table.

use burn::tensor::{Int, Shape, Tensor};

/// The number of features of each kind, in this order: numeric ones, booleans, and the levels of each category.
///
/// ```
/// use ae_model::Layout;
///
/// // Two numeric columns, one boolean, and a category with three levels.
/// let layout = Layout { numbers: 2, booleans: 1, categories: vec![3] };
/// assert_eq!((layout.width(), layout.columns()), (6, 4));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Numeric features.
    pub numbers: usize,
    /// Boolean features, 0 or 1.
    pub booleans: usize,
    /// Number of levels of each category, which is one-hot encoded.
    pub categories: Vec<usize>,
}

impl Layout {
    /// Rows of `width` numeric features.
    pub fn of_numbers(width: usize) -> Self {
        Self { numbers: width, ..Self::default() }
    }

    /// Whether all features are numeric.
    pub fn is_numbers(&self) -> bool {
        self.booleans == 0 && self.categories.is_empty()
    }

    /// Features of a row.
    pub fn width(&self) -> usize {
        self.numbers + self.booleans + self.categories.iter().sum::<usize>()
    }

    /// Columns of a row: numeric ones, booleans and categories.
    pub fn columns(&self) -> usize {
        self.numbers + self.booleans + self.categories.len()
    }

    /// The features of each category, as half-open ranges `(start, end)`.
    pub fn levels(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut start = self.numbers + self.booleans;
        self.categories.iter().map(move |levels| {
            start += levels;
            (start - levels, start)
        })
    }

    /// Expands one value for each column, `[batch, columns]`, to one for each feature, `[batch, width]`: all levels of
    /// a category get the same value.
    pub(crate) fn spread(&self, values: Tensor<2>) -> Tensor<2> {
        if self.categories.is_empty() {
            return values;
        }
        let single = self.numbers + self.booleans;
        let columns: Vec<i32> = (0..single as i32)
            .chain(
                self.categories
                    .iter()
                    .enumerate()
                    .flat_map(|(place, &levels)| std::iter::repeat_n((single + place) as i32, levels)),
            )
            .collect();
        let columns = Tensor::<1, Int>::from_ints(columns.as_slice(), &values.device());
        values.select(1, columns)
    }

    /// A random level of each category, all equally likely, one-hot encoded: `[batch, levels of all categories]`.
    pub(crate) fn random_levels(&self, like: &Tensor<2>) -> Option<Tensor<2>> {
        let batch = like.dims()[0];
        let parts = self.categories.iter().map(|&levels| {
            let draw = ae_kernels::uniform_like(&like.clone().slice([0..batch, 0..1]));
            let level = draw.mul_scalar(levels as f64).floor().clamp_max(levels as f64 - 1.0); // [batch, 1]
            let all = Tensor::<1, Int>::arange(0..levels as i64, &like.device()).float().cast(like.dtype());
            let shape = Shape::new([batch, levels]); // a `Shape`, because an array of sizes must not contain 0
            let is = level.expand(shape.clone()).equal(all.unsqueeze::<2>().expand(shape));
            like.clone().slice([0..batch, 0..levels]).zeros_like().mask_fill(is, 1.0)
        });
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() { None } else { Some(Tensor::cat(parts, 1)) }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_levels_of_a_category_share_their_columns_value() {
        let layout = Layout { numbers: 1, booleans: 1, categories: vec![2, 3] };
        assert_eq!((layout.width(), layout.columns()), (7, 4));
        assert_eq!(layout.levels().collect::<Vec<_>>(), [(2, 4), (4, 7)]);
        let values = Tensor::<2>::from_floats([[1.0, 2.0, 3.0, 4.0]], &Device::default());
        layout.spread(values).into_data().assert_eq(&[[1.0f32, 2.0, 3.0, 3.0, 4.0, 4.0, 4.0]].into(), true);
    }

    #[test]
    fn random_levels_are_one_hot_and_uniform() {
        let layout = Layout { numbers: 1, booleans: 0, categories: vec![2, 4] };
        let levels = layout.random_levels(&Tensor::<2>::zeros([400, 7], &Device::default())).unwrap();
        assert_eq!(levels.dims(), [400, 6]);
        let shares: Vec<f32> = levels.clone().mean_dim(0).into_data().iter::<f32>().collect();
        assert!(
            shares[..2].iter().all(|share| (share - 0.5).abs() < 0.1)
                && shares[2..].iter().all(|share| (share - 0.25).abs() < 0.09)
        );
        let sums: Vec<f32> = levels.sum_dim(1).into_data().iter::<f32>().collect();
        assert!(sums.iter().all(|&sum| sum == 2.0));
    }
}
