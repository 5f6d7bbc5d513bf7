//! What a model takes from rows outside its training steps: its start from training rows, and the calibration of its
//! code on held-out rows afterwards.

use burn::tensor::{Device, Tensor};

use crate::{
    Autoencoder, ModuleCode, ModuleDecoder, ModuleEncoder,
    network::{NetworkDecoder, NetworkEncoder, affine::replaced, dictionary::median::geometric_median},
    parts::without_training,
};

impl<C: ModuleCode> Autoencoder<NetworkEncoder, NetworkDecoder, C> {
    /// The model at its start: the center of a dictionary at the geometric median of some training rows `x` (`[rows,
    /// d_input]`, with 0 where a value is missing), and the code [from them](crate::Code::start). With a `target` other
    /// than the input (`[rows, d_output]`) the bias of the decoder is at the geometric median of that.
    pub fn started_on(mut self, x: Tensor<2>, target: Option<Tensor<2>>) -> Self {
        let x = x.without_autodiff();
        if let (NetworkDecoder::Dictionary(decoder), Some(target)) = (&mut self.decoder, target)
            && let Some(bias) = decoder.bias.take()
        {
            let median = geometric_median(&target.without_autodiff());
            decoder.bias = Some(replaced(bias, &|_| median.clone()));
        }
        if let NetworkEncoder::Dictionary(encoder) = &mut self.encoder
            && let Some(center) = encoder.center.take()
        {
            let median = geometric_median(&x);
            encoder.center = Some(replaced(center, &|_| median.clone()));
        }
        let z = self.encoder_output(x);
        self.code.start(z);
        self
    }
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> Autoencoder<E, D, C> {
    /// The encoder's output for inputs without missing values, `[rows, d_input] -> [rows, reads]`, without autodiff and
    /// with training switched off.
    fn encoder_output(&self, x: Tensor<2>) -> Tensor<2> {
        let trains = self.encoder.devices().iter().any(Device::is_autodiff);
        let read = self.parts().read(x, None);
        let read = if trains { Tensor::from_inner(read) } else { read };
        without_training(&self.encoder).forward(read).without_autodiff()
    }

    /// The model with a code that has been [calibrated](crate::Code::calibrate) on some held-out rows, in batches
    /// (`[rows, d_input]` each, with 0 where a value is missing), and what was found, in one sentence.
    pub fn calibrated_on(mut self, batches: impl Iterator<Item = Tensor<2>>) -> (Self, Option<String>) {
        let mut code = self.code.clone();
        let lengths = self.parts().lengths().map(|lengths| lengths.without_autodiff().unsqueeze::<2>());
        let mut scores = batches.map(|x| {
            let z = self.encoder_output(x.without_autodiff());
            match &lengths {
                Some(lengths) => z * lengths.clone(),
                None => z,
            }
        });
        let found = code.calibrate(&mut scores);
        drop(scores);
        self.code = code;
        (self, found)
    }
}
