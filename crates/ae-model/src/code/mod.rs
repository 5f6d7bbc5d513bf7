//! What is done to the encoder's output before it is the code `h`.
//!
//! A [`Code`] says everything about itself. Another crate brings its own as the third parameter of [`Autoencoder`](crate::Autoencoder); those that a
//! [`Recipe`](crate::Recipe) can name are one file here and one line in the list below.

pub mod deterministic;
pub mod lifetime;
pub mod top_k;

use std::borrow::Cow;

use burn::{
    module::Module,
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};

pub use deterministic::{Deterministic, DeterministicConfig};
pub use lifetime::{Lifetime, LifetimeConfig};
pub use top_k::{TopK, TopKConfig};

use crate::{Activation, ConfigError, Latent, Term};

/// The part between encoder and decoder. A module with parameters, running statistics or a training flag of its own, where it needs them.
pub trait Code {
    /// Numbers that it reads of the encoder for `d_code` units: as many by default.
    fn reads(&self, d_code: usize) -> usize {
        d_code
    }

    /// What it makes of the encoder's output, `[batch, reads] -> [batch, d_code]`. What belongs to training alone acts where the tensor is on an
    /// autodiff device and the module's own training flag, if it has one, is on.
    fn forward(&self, z: Tensor<2>) -> Latent;

    /// The latent of a code that is given, `[batch, d_code]`, as a decoder is to read it.
    fn given(&self, h: Tensor<2>) -> Latent {
        h.into()
    }

    /// `h`, and its derivative along the tangent `t` of `z`, of the code as it is after training. None by default: central differences are then taken.
    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let _ = (z, t);
        None
    }

    /// Whether each unit depends on its own number of `z` alone: the derivative along a tangent of ones is then the slope of each unit, and the norm of
    /// the whole derivative has a closed form for one affine layer.
    fn is_diagonal(&self) -> bool {
        false
    }

    /// Whether the code is its [activation](Self::activation) and nothing else, `h = phi(z)`: the closed form then needs `h` alone.
    fn is_elementwise(&self) -> bool {
        false
    }

    /// The activation of the units: their bounds, and when one counts as inactive.
    fn activation(&self) -> Activation {
        Activation::Identity
    }

    /// What it adds to the loss; `progress` is the share of the training that is over, in `[0, 1]`.
    fn terms(&self, latent: &Latent, progress: f64) -> Vec<Term> {
        let _ = (latent, progress);
        Vec::new()
    }

    /// The names of those terms, in their order.
    fn term_names(&self) -> Vec<Cow<'static, str>> {
        Vec::new()
    }

    /// `count` codes of its prior, `[count, d_code]`; none by default, where it has none.
    fn sample(&self, count: usize, device: &Device) -> Option<Tensor<2>> {
        let _ = (count, device);
        None
    }

    /// Told which share of the training, in `[0, 1]`, is over: before the first step and after each, for what changes with it.
    fn after_step(&mut self, progress: f64) {
        let _ = progress;
    }
}

/// Declares the codes that a recipe can name.
macro_rules! codes {
    ($($(#[$about:meta])* $name:ident($config:ident),)*) => {
        /// Which code to build.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(crate = "burn::serde", tag = "kind", rename_all = "snake_case")]
        pub enum CodeConfig {
            $($(#[$about])* $name($config),)*
        }

        impl CodeConfig {
            /// Whether the settings suit a code of `d_code` units.
            ///
            /// # Errors
            /// A field outside its range.
            pub fn check(&self, d_code: usize) -> Result<(), ConfigError> {
                match self {
                    $(Self::$name(config) => config.check(d_code),)*
                }
            }

            /// The activation of the units.
            pub fn activation(&self) -> Activation {
                match self {
                    $(Self::$name(config) => config.activation,)*
                }
            }

            /// The code part, for `d_code` units.
            pub fn init(&self, d_code: usize, device: &Device) -> AnyCode {
                match self {
                    $(Self::$name(config) => AnyCode::$name(config.init(d_code, device)),)*
                }
            }
        }

        /// Any of this crate's codes: one concrete type, so that a program that chooses at run time is compiled once.
        #[derive(Module, Debug)]
        pub enum AnyCode {
            $($(#[$about])* $name($name),)*
        }

        impl AnyCode {
            fn part(&self) -> &dyn Code {
                match self {
                    $(Self::$name(code) => code,)*
                }
            }

            fn part_mut(&mut self) -> &mut dyn Code {
                match self {
                    $(Self::$name(code) => code,)*
                }
            }
        }

        $(impl From<$name> for AnyCode {
            fn from(code: $name) -> Self {
                Self::$name(code)
            }
        }

        impl From<$config> for CodeConfig {
            fn from(config: $config) -> Self {
                Self::$name(config)
            }
        })*
    };
}

codes! {
    /// An activation of the encoder's output: [`deterministic`].
    Deterministic(DeterministicConfig),
    /// The `k` largest units of each example: [`top_k`].
    TopK(TopKConfig),
    /// The largest values of each unit over the batch: [`lifetime`].
    Lifetime(LifetimeConfig),
}

impl Code for AnyCode {
    fn reads(&self, d_code: usize) -> usize {
        self.part().reads(d_code)
    }

    fn forward(&self, z: Tensor<2>) -> Latent {
        self.part().forward(z)
    }

    fn given(&self, h: Tensor<2>) -> Latent {
        self.part().given(h)
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        self.part().jvp(z, t)
    }

    fn is_diagonal(&self) -> bool {
        self.part().is_diagonal()
    }

    fn is_elementwise(&self) -> bool {
        self.part().is_elementwise()
    }

    fn activation(&self) -> Activation {
        self.part().activation()
    }

    fn terms(&self, latent: &Latent, progress: f64) -> Vec<Term> {
        self.part().terms(latent, progress)
    }

    fn term_names(&self) -> Vec<Cow<'static, str>> {
        self.part().term_names()
    }

    fn sample(&self, count: usize, device: &Device) -> Option<Tensor<2>> {
        self.part().sample(count, device)
    }

    fn after_step(&mut self, progress: f64) {
        self.part_mut().after_step(progress);
    }
}

impl Default for CodeConfig {
    fn default() -> Self {
        DeterministicConfig::default().into()
    }
}

impl From<Activation> for AnyCode {
    /// `h = phi(z)`.
    fn from(activation: Activation) -> Self {
        Deterministic { activation }.into()
    }
}

impl From<Activation> for CodeConfig {
    /// `h = phi(z)`.
    fn from(activation: Activation) -> Self {
        DeterministicConfig { activation }.into()
    }
}
