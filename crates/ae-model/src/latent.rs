//! The latent: a code, and what its loss terms and the decoder need besides.

pub use ae_kernels::Sparse;
use burn::tensor::{Int, Tensor};

/// The code of some rows, and what its loss terms and the decoder need besides.
#[derive(Debug, Clone)]
pub struct Latent {
    /// The code `h` that the decoder reads, `[batch, d_code]`: a sample, if the code is stochastic and in training.
    pub code: Tensor<2>,
    /// The encoder's output, `[batch, reads]`; kept by codes whose loss terms need it.
    pub z: Option<Tensor<2>>,
    /// The mean of a stochastic code, `[batch, d_code]`.
    pub mean: Option<Tensor<2>>,
    /// The indices of the codebook entries that were selected, `[batch, groups]`.
    pub indices: Option<Tensor<2, Int>>,
    /// The active units of the code, if there are few and there is a kernel for them.
    pub sparse: Option<Sparse>,
    /// What the encoder read, `[batch, d_input]`; kept for a decoder that [reads](crate::Decode::reads_input) it, too.
    pub input: Option<Tensor<2>>,
}

impl From<Tensor<2>> for Latent {
    /// A code without additional information.
    fn from(code: Tensor<2>) -> Self {
        Self { code, z: None, mean: None, indices: None, sparse: None, input: None }
    }
}

impl From<Sparse> for Latent {
    fn from(sparse: Sparse) -> Self {
        Self { code: sparse.dense(), z: None, mean: None, indices: None, sparse: Some(sparse), input: None }
    }
}
