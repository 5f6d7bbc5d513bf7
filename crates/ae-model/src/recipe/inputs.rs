//! What must be known about the data.

use crate::Layout;

/// What must be known about the data to build a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// Features of a row, `d_input`.
    pub features: usize,
    /// Channels, height and width, if the rows are images.
    pub image: Option<[usize; 3]>,
    /// Whether the values lie in `[0, 1]`.
    pub unit_range: bool,
    /// The number of features of each kind, if not all are numeric.
    pub layout: Option<Layout>,
    /// Features of a row of the target, `d_output`, if the target is not the input.
    pub target: Option<usize>,
}

impl Inputs {
    /// Rows of `features` values in `[0, 1]`.
    pub fn unit(features: usize) -> Self {
        Self { features, image: None, unit_range: true, layout: None, target: None }
    }

    /// Rows of `features` values of any magnitude.
    pub fn real(features: usize) -> Self {
        Self { features, image: None, unit_range: false, layout: None, target: None }
    }

    /// Sets the number of features of each kind.
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout).filter(|layout| !layout.is_numbers());
        self
    }

    /// Sets that the target is not the input, but rows of `features` values.
    pub fn with_target(mut self, features: usize) -> Self {
        self.target = Some(features);
        self
    }

    /// Number of numeric features of the target.
    pub(super) fn numbers(&self) -> usize {
        self.target.unwrap_or_else(|| self.layout.as_ref().map_or(self.features, |layout| layout.numbers))
    }

    /// Sets the shape of images, `channels, height, width`.
    pub fn with_image(mut self, image: [usize; 3]) -> Self {
        self.image = Some(image);
        self
    }
}
