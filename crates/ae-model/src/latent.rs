//! What a code makes of the encoder's output.

pub use ae_kernels::Sparse;
use burn::tensor::{Int, Tensor};

/// The code of some rows, and what else its terms and the decoder may need of it.
#[derive(Debug, Clone)]
pub struct Latent {
    /// The code `h` that the decoder reads, `[batch, d_code]`: a sample, where the code is stochastic and trains.
    pub code: Tensor<2>,
    /// The encoder's output that it was made of, `[batch, reads]`; kept by the codes whose terms need it.
    pub z: Option<Tensor<2>>,
    /// The mean of a stochastic code, `[batch, d_code]`.
    pub mean: Option<Tensor<2>>,
    /// The entries of a codebook that were taken, `[batch, groups]`.
    pub indices: Option<Tensor<2, Int>>,
    /// The code by its active units alone, where they are few and there is a kernel for it.
    pub sparse: Option<Sparse>,
}

impl From<Tensor<2>> for Latent {
    /// A code about which nothing else is to be known.
    fn from(code: Tensor<2>) -> Self {
        Self { code, z: None, mean: None, indices: None, sparse: None }
    }
}

impl From<Sparse> for Latent {
    fn from(sparse: Sparse) -> Self {
        Self { code: sparse.dense(), z: None, mean: None, indices: None, sparse: Some(sparse) }
    }
}
