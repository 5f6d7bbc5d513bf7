//! Atoms of length 1, with the same reconstructions.

use burn::tensor::Tensor;

use super::{DictionaryDecoder, DictionaryEncoder};
use crate::{
    Autoencoder, Code, ModuleCode,
    network::{NetworkDecoder, NetworkEncoder, affine::replaced},
};

/// Divides each atom by its length, and multiplies its unit by it. An atom of length 0 stays as it is.
fn fold(encoder: &mut DictionaryEncoder, decoder: &mut DictionaryDecoder, code: &mut impl Code) {
    let atoms = decoder.weight.val().without_autodiff();
    let lengths = atoms.clone().square().sum_dim(1).sqrt().squeeze_dim::<1>(1);
    let lengths = lengths.clone().mask_fill(lengths.lower_equal_elem(0.0), 1.0);
    let by = |lengths: &Tensor<1>| lengths.clone().unsqueeze::<2>();
    decoder.weight = replaced(decoder.weight.clone(), &|atoms| atoms / by(&lengths).transpose());
    encoder.weight = replaced(encoder.weight.clone(), &|weight| weight * by(&lengths));
    encoder.bias = replaced(encoder.bias.clone(), &|bias| bias * lengths.clone());
    code.rescale(&lengths);
}

impl<C: ModuleCode> Autoencoder<DictionaryEncoder, DictionaryDecoder, C> {
    /// The same function with atoms of length 1: each unit is multiplied by the length of its atom.
    pub fn folded(mut self) -> Self {
        fold(&mut self.encoder, &mut self.decoder, &mut self.code);
        self
    }
}

impl<C: ModuleCode> Autoencoder<NetworkEncoder, NetworkDecoder, C> {
    /// The same function with atoms of length 1, if the network is a dictionary: each unit is multiplied by the length
    /// of its atom. Other networks are returned unchanged.
    pub fn folded(mut self) -> Self {
        if let (NetworkEncoder::Dictionary(encoder), NetworkDecoder::Dictionary(decoder)) =
            (&mut self.encoder, &mut self.decoder)
        {
            fold(encoder, decoder, &mut self.code);
        }
        self
    }
}
