//! `[training]`: how to train.

use ae_kernels::{Adam, AdamW};
use ae_model::{
    ConfigError,
    network::{MlpConfig, Network, NormKind},
};
use burn::{
    grad_clipping::GradientClippingConfig,
    lr_scheduler::{
        cosine::CosineAnnealingLrSchedulerConfig, linear::LinearLrSchedulerConfig,
        module_lr_scheduler::ModuleLrScheduler, sequential::SequentialLrSchedulerConfig,
    },
    optim::ModuleOptimizer,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Maximum number of epochs, and of rows of one, so that the steps of all epochs can still be counted.
const MOST_EPOCHS: usize = 1_000_000_000;

/// The optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015); `weight_decay` is an L2 penalty.
    Adam,
    /// AdamW (Loshchilov and Hutter 2019); `weight_decay` is decoupled.
    AdamW,
}

/// How the learning rate changes during training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Constant.
    Constant,
    /// Decreases to 0 along half a cosine (Loshchilov and Hutter 2017).
    Cosine,
}

/// The numbers in which several processes exchange their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exchanged {
    /// 4 bytes for each: nothing is rounded.
    F32,
    /// 2 bytes for each, which keep 8 bits of it, two to three decimal digits.
    Bf16,
}

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Number of epochs, at least 1: passes over the training rows, unless `epoch_rows` says otherwise. Default: 100.
    pub epochs: usize,
    /// Number of training rows in an epoch, after which the model is validated and saved; 0 for all of them. Of many
    /// rows an epoch may be a part of a pass, and the next one goes on with it. Default: 0.
    pub epoch_rows: usize,
    /// Epochs of greedy layer-wise pre-training for each layer of an mlp, which is trained as an autoencoder of the
    /// layer below it (Bengio et al. 2007); 0 turns it off. Default: 0.
    pub pretrain_epochs: usize,
    /// Number of rows in a step (mini-batch), at least 1. Default: 64.
    pub batch_size: usize,
    /// The optimizer. Default: adam.
    pub optimizer: Optimizer,
    /// Learning rate of the optimizer, the largest one if it changes, in (0, 1]. Default: 0.001.
    pub learning_rate: f64,
    /// Weight decay, at least 0: an L2 penalty with adam, decoupled with adam_w. Default: 0.
    pub weight_decay: f64,
    /// How the learning rate changes: `constant`, or `cosine`, which decreases it to 0. Default: cosine.
    pub schedule: Schedule,
    /// Epochs of warm-up, in which the learning rate increases linearly from near 0; fewer than `epochs`. Default: 0.
    pub warmup_epochs: usize,
    /// Gradient clipping: largest L2 norm of the gradient of each parameter tensor; 0 turns it off. Default: 0.
    pub gradient_clip: f64,
    /// Early stopping: number of epochs without a better validation loss after which training stops; 0 turns it off.
    /// Default: 20.
    pub patience: usize,
    /// How several processes exchange their gradients: f32, or bf16 with half the bytes. Default: f32.
    pub exchange: Exchanged,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 100,
            epoch_rows: 0,
            pretrain_epochs: 0,
            batch_size: 64,
            optimizer: Optimizer::Adam,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            schedule: Schedule::Cosine,
            warmup_epochs: 0,
            gradient_clip: 0.0,
            patience: 20,
            exchange: Exchanged::F32,
        }
    }
}

impl TrainingConfig {
    /// Number of rows in an epoch of a training on `rows` rows.
    pub fn rows_of_epoch(&self, rows: usize) -> usize {
        if self.epoch_rows > 0 { self.epoch_rows } else { rows }
    }

    /// The optimizer, with PyTorch's epsilon (Burn's default is a thousand times larger).
    pub fn optimizer(&self) -> ModuleOptimizer {
        let clipping = (self.gradient_clip > 0.0).then_some(GradientClippingConfig::Norm(self.gradient_clip as f32));
        let decay = self.weight_decay as f32;
        let optimizer: ModuleOptimizer = match self.optimizer {
            Optimizer::Adam => Adam::default().with_weight_decay(decay).into(),
            Optimizer::AdamW => AdamW::new(decay).into(),
        };
        match clipping {
            Some(clipping) => optimizer.with_grad_clipping(clipping.init()),
            None => optimizer,
        }
    }

    /// The learning rate at each step, for epochs of `batches` steps.
    ///
    /// # Errors
    /// A learning rate that Burn's schedules do not accept.
    pub fn schedule(&self, batches: usize) -> Result<ModuleLrScheduler> {
        let warmup = self.warmup_epochs * batches;
        let steps = self.epochs * batches - warmup;
        let rate = self.learning_rate;
        let cosine = CosineAnnealingLrSchedulerConfig::new(rate, steps);
        let constant = LinearLrSchedulerConfig::new(rate, rate, steps);
        let rise = LinearLrSchedulerConfig::new(rate / warmup.max(1) as f64, rate, warmup.max(1));
        let schedule = match (self.schedule, warmup) {
            (Schedule::Constant, 0) => Ok(ModuleLrScheduler::new(rate)),
            (Schedule::Cosine, 0) => cosine.init(),
            (Schedule::Constant, _) => {
                SequentialLrSchedulerConfig::new(vec![rise.into(), constant.into()], vec![warmup]).init()
            }
            (Schedule::Cosine, _) => {
                SequentialLrSchedulerConfig::new(vec![rise.into(), cosine.into()], vec![warmup]).init()
            }
        };
        schedule.map_err(|reason| Error::Usage(format!("`training.learning_rate` is {rate}: {reason}")))
    }

    /// Checks that every field is in its range, for a model with this network.
    pub(super) fn check(&self, network: &Network) -> Result<()> {
        let at_least_one = |field: &str, value: usize| match value {
            0 => Err(ConfigError::new(field, 0, "at least 1")),
            _ => Ok(()),
        };
        at_least_one("training.epochs", self.epochs)?;
        if self.epochs > MOST_EPOCHS {
            return Err(ConfigError::new("training.epochs", self.epochs, format!("at most {MOST_EPOCHS}")).into());
        }
        at_least_one("training.batch_size", self.batch_size)?;
        if self.epoch_rows > MOST_EPOCHS {
            return Err(
                ConfigError::new("training.epoch_rows", self.epoch_rows, format!("at most {MOST_EPOCHS}")).into()
            );
        }
        let check = |good: bool, field: &str, value: f64, allowed: &str| {
            if good { Ok(()) } else { Err(ConfigError::new(field, value, allowed)) }
        };
        let rate = self.learning_rate;
        check(rate > 0.0 && rate <= 1.0, "training.learning_rate", rate, "greater than 0 and at most 1")?;
        let decay = self.weight_decay;
        check(decay >= 0.0 && decay.is_finite(), "training.weight_decay", decay, "0 or more")?;
        let clip = self.gradient_clip;
        check(clip >= 0.0 && clip.is_finite(), "training.gradient_clip", clip, "0 (no clipping) or more")?;
        if self.pretrain_epochs > 0 {
            self.check_pretraining(network)?;
        }
        if self.warmup_epochs >= self.epochs {
            let allowed = format!("less than `training.epochs`, which is {}", self.epochs);
            return Err(ConfigError::new("training.warmup_epochs", self.warmup_epochs, allowed).into());
        }
        Ok(())
    }

    /// Checks that the layers of a network can be pre-trained.
    fn check_pretraining(&self, network: &Network) -> Result<()> {
        let allowed = match network {
            Network::Mlp(mlp @ MlpConfig { norm: NormKind::None, .. }) if mlp.is_mirrored() => return Ok(()),
            Network::Mlp(MlpConfig { norm: NormKind::None, .. }) => {
                "0 with `model.network.decoder_hidden`: each layer is trained with its mirror in the decoder"
            }
            _ => "0 unless `model.network` is an mlp without `norm`: only its layers can be trained as autoencoders",
        };
        Err(ConfigError::new("training.pretrain_epochs", self.pretrain_epochs, allowed).into())
    }
}
