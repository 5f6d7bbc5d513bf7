//! The decoder of a dictionary.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use crate::{
    Activation, Latent,
    network::{
        Decode, Encoder,
        affine::{activated, replaced},
    },
};

/// `r = h W + b`, or `r = h W + x S + b` with a skip connection; the rows of `W` are the atoms.
#[derive(Module, Debug)]
pub struct DictionaryDecoder {
    /// The weight `W`, `[d_code, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// The bias `b`, `[d_output]`; the encoder's center if `None`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The skip connection `S`, `[d_input, d_output]`; none if `None`.
    pub skip: Option<Param<Tensor<2>>>,
    /// The activation of the reconstruction.
    #[module(skip)]
    pub output: Activation,
}

impl DictionaryDecoder {
    /// # Panics
    /// Neither decoder nor encoder has a bias: it is not the encoder it was built with.
    fn bias(&self, encoder: &dyn Encoder) -> Tensor<1> {
        match &self.bias {
            Some(bias) => bias.val(),
            None => encoder.center().expect("a dictionary's decoder needs the encoder that it was built with"),
        }
    }

    /// What the skip connection adds to a row, `x S`, `[batch, d_output]`.
    ///
    /// # Panics
    /// The latent does not have the input.
    fn skipped(&self, latent: &Latent) -> Option<Tensor<2>> {
        let skip = self.skip.as_ref()?.val();
        let input = latent.input.clone().expect("a decoder with a skip connection reads the input besides the code");
        Some(ae_kernels::matmul(input, skip))
    }
}

impl Decode for DictionaryDecoder {
    fn decode(&self, latent: &Latent, encoder: &dyn Encoder) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias(encoder));
        let of = |output| activated(latent.code.clone(), latent.sparse.as_ref(), weight, bias, output);
        match self.skipped(latent) {
            Some(skipped) => self.output.forward(of(Activation::Identity) + skipped),
            None => of(self.output),
        }
    }

    fn prefixes(&self, latent: &Latent, encoder: &dyn Encoder, widths: &[usize]) -> Option<Tensor<2>> {
        let sparse = latent.sparse.as_ref()?;
        let of = |output: Activation| sparse.prefixes(self.weight.val(), self.bias(encoder), widths, output.kernel());
        Some(match self.skipped(latent) {
            Some(skipped) => {
                self.output.forward(of(Activation::Identity) + Tensor::cat(vec![skipped; widths.len()], 0))
            }
            None => of(self.output),
        })
    }

    fn reads_input(&self) -> bool {
        self.skip.is_some()
    }

    fn atoms(&self, _encoder: &dyn Encoder) -> Option<Tensor<2>> {
        (self.output == Activation::Identity).then(|| self.weight.val())
    }

    fn lengths(&self) -> Option<Tensor<1>> {
        Some(self.weight.val().square().sum_dim(1).sqrt().squeeze_dim(1))
    }

    fn map_atoms(mut self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self> {
        self.weight = replaced(self.weight, project);
        Some(self)
    }

    fn first_weight(&self) -> Option<&Param<Tensor<2>>> {
        Some(&self.weight)
    }
}
