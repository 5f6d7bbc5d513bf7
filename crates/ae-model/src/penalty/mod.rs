//! Penalties `Omega`: what the loss asks for beside copying. They combine freely, with each other and with every
//! network.
//!
//! A penalty of another crate implements [`Penalty`] and is handed to
//! [`Objective::with_penalty`](crate::Objective::with_penalty). One that a [`Recipe`](crate::Recipe) can name is one
//! file with its [`Settings`], and one line in a [`Registry`].

pub mod contractive;
pub mod contractive_hessian;
pub mod kl_rate;
pub mod l1;

use std::{borrow::Cow, fmt::Debug, sync::Arc};

use burn::{
    serde::{Serialize, Serializer},
    tensor::Tensor,
};
use serde_json::Value;

pub use contractive::Contractive;
pub use contractive_hessian::ContractiveHessian;
pub use kl_rate::KlRate;
pub use l1::L1;

use crate::{
    ConfigError, Latent, Parts, Registry, Settings,
    registry::{self, Part, ReadError},
};

/// What a penalty may look at.
pub struct Context<'a> {
    /// The model.
    pub model: &'a Parts<'a>,
    /// What the network read, `[batch, d_input]`: corrupted, in training; 0 where nothing is visible.
    pub input: Tensor<2>,
    /// What is to come out, `[batch, d_output]`: clean.
    pub target: Tensor<2>,
    /// 1 where the network sees a value, `[batch, d_input]`; none if all is visible.
    pub visible: Option<Tensor<2>>,
    /// What the code made of it.
    pub latent: &'a Latent,
    /// The decoder's output, `[batch, d_output]`.
    pub output: Tensor<2>,
    /// Share of the training that is over, in `[0, 1]`; 1 after it.
    pub progress: f64,
}

/// A term of the loss beside the reconstruction.
pub trait Penalty: Debug + Send + Sync {
    /// Name in logs and tables; by default that of the type, `student_t` for `StudentT`.
    fn name(&self) -> Cow<'static, str> {
        registry::name_of::<Self>()
    }

    /// Its factor in the loss, 0 or more, when this share of the training, in `[0, 1]`, is over.
    fn weight(&self, progress: f64) -> f64;

    /// `Omega`, per example: `[batch]`.
    fn value(&self, context: &Context) -> Tensor<1>;

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A field outside its range.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Which penalties are in the loss; none by default. A table of them by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PenaltyConfig(Vec<Part<dyn Penalty>>);

impl<P: Penalty + Settings> From<P> for PenaltyConfig {
    fn from(penalty: P) -> Self {
        Self::default().with(penalty)
    }
}

impl Serialize for PenaltyConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        registry::Named(&self.0).serialize(serializer)
    }
}

impl PenaltyConfig {
    /// The same with one more penalty, in the place of one of the same name if there is one.
    pub fn with<P: Penalty + Settings>(mut self, penalty: P) -> Self {
        registry::put(&mut self.0, penalty.into());
        self
    }

    /// The penalty of this type, if it is there.
    pub fn get<P: Settings>(&self) -> Option<&P> {
        registry::find(&self.0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From a table of penalties by name.
    pub(crate) fn read(value: Value, registry: &Registry) -> Result<Self, ReadError> {
        registry::read_named(registry.penalties(), "penalty", value).map(Self)
    }

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A field outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.0.iter().try_for_each(|part| part.check().map_err(|error| error.within(part.name())))
    }

    /// The penalties, called as the configuration calls them.
    pub fn init(&self) -> Vec<Arc<dyn Penalty>> {
        self.0
            .iter()
            .map(|part| Arc::new(Called { name: part.name(), penalty: part.shared() }) as Arc<dyn Penalty>)
            .collect()
    }
}

/// A penalty under the name of its settings, whatever its type is called.
#[derive(Debug)]
struct Called {
    name: &'static str,
    penalty: Arc<dyn Penalty>,
}

impl Penalty for Called {
    fn name(&self) -> Cow<'static, str> {
        self.name.into()
    }

    fn weight(&self, progress: f64) -> f64 {
        self.penalty.weight(progress)
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        self.penalty.value(context)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.penalty.check()
    }
}

fn check_probes(probes: usize) -> Result<(), ConfigError> {
    match probes {
        0 => Err(ConfigError::new("probes", 0, "at least 1")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        let refused = |penalties: PenaltyConfig| penalties.check().unwrap_err().field;
        assert_eq!(refused(L1 { weight: (-1.0).into() }.into()), "l1.weight");
        assert_eq!(refused(KlRate { rate: 1.0, ..Default::default() }.into()), "kl_rate.rate");
        assert_eq!(refused(Contractive { probes: 0, ..Default::default() }.into()), "contractive.probes");
        assert_eq!(
            refused(ContractiveHessian { std: f64::NAN, ..Default::default() }.into()),
            "contractive_hessian.std"
        );
    }
}
