//! When each unit of the code was last active in training.

use burn::{
    module::{Module, RunningState},
    tensor::{Device, Tensor},
};

use crate::Latent;

/// The number of training rows since each unit was last active, for penalties on units that never are.
#[derive(Module, Debug)]
pub struct Activity {
    /// Rows since each unit was last active, `[d_code]`; 0 if it was in the last batch.
    pub idle: RunningState<Tensor<1>>,
}

impl Activity {
    /// The state of a new code of `d_code` units.
    pub fn new(d_code: usize, device: &Device) -> Self {
        Self { idle: RunningState::new(Tensor::zeros([d_code], &device.clone().inner())) }
    }

    /// Rows since each unit was last active, `[d_code]`, on the device of `like`, without autodiff.
    pub fn idle(&self, like: &Tensor<2>) -> Tensor<1> {
        self.idle.value_sync().without_autodiff().to_device(&like.device().inner())
    }

    /// Adds the batch of a training step.
    pub fn update(&self, latent: &Latent) {
        let code = latent.code.clone().without_autodiff();
        let rows = code.dims()[0];
        let active = match &latent.sparse {
            Some(sparse) => sparse.active(),
            None => code.clone().abs().max_dim(0).squeeze_dim::<1>(0).greater_elem(0.0).float(),
        };
        let idle = self.idle(&code).add_scalar(rows as f64) * (active.neg().add_scalar(1.0));
        self.idle.update(idle.detach());
        // A record has only what was synchronized.
        self.idle.value_sync();
    }

    /// Rows since each unit was last active.
    #[cfg(feature = "train")]
    pub(crate) fn numbers(&self) -> Vec<f32> {
        self.idle.value_sync().to_data().iter::<f32>().collect()
    }

    /// Sets these numbers of rows.
    #[cfg(feature = "train")]
    pub(crate) fn set(&self, idle: &[f32]) {
        let old = self.idle.value_sync().without_autodiff();
        self.idle.update(Tensor::<1>::from_floats(idle, &old.device()).cast(old.dtype()));
        self.idle.value_sync();
    }

    /// Sets the number of rows to 0 for the units where `keep` (`[d_code]`, 0 or 1) is 0.
    pub(crate) fn forget(&self, keep: &Tensor<1>) {
        let idle = self.idle.value_sync().without_autodiff();
        let keep = keep.clone().to_device(&idle.device()).cast(idle.dtype());
        self.idle.update(idle * keep);
        self.idle.value_sync();
    }
}
