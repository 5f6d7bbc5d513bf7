//! The registry of parts that a [`Recipe`](crate::Recipe) can name: codes, penalties, corruptions and reconstruction
//! losses.
//!
//! A part of a configuration has [`Settings`]: a type that serde reads and writes, whose doc comments explain its
//! fields. A [`Registry`] is the list of these types. [`Registry::default`] has the parts of this crate, to which a
//! program can add its own:
//!
//! ```
//! use ae_model::{Penalty, Recipe, Registry, penalty::Context, settings};
//! use burn::tensor::Tensor;
//!
//! settings! {
//!     /// A Student-t prior on the code, `sum_j log(1 + h_j^2)`.
//!     struct StudentT("student_t") {
//!         /// Factor of the penalty in the loss, 0 or more. Default: 0.1.
//!         weight: f64 = 0.1,
//!     }
//! }
//!
//! impl Penalty for StudentT {
//!     fn weight(&self, _progress: f64) -> f64 {
//!         self.weight
//!     }
//!
//!     fn value(&self, context: &Context) -> Tensor<1> {
//!         context.latent.code.clone().square().log1p().sum_dim(1).squeeze_dim(1)
//!     }
//! }
//!
//! let registry = Registry::default().with_penalty::<StudentT>();
//! let recipe = serde_json::json!({
//!     "code_dim": 8, "reconstruction": "squared_error", "output": "auto",
//!     "network": { "kind": "mlp" }, "code": { "kind": "deterministic" },
//!     "penalty": { "student_t": { "weight": 0.02 } },
//! });
//! let recipe = Recipe::read(recipe, &registry).unwrap();
//! assert_eq!(recipe.penalty.get::<StudentT>().unwrap().weight, 0.02);
//! ```

pub(crate) mod part;
pub(crate) mod read;
pub(crate) mod settings;

use schemars::SchemaGenerator;
use serde_json::{Map, Value};

pub use part::Part;
use read::read_settings;
pub use read::{Kind, ReadError};
pub use settings::Settings;
#[doc(hidden)]
pub use settings::derive;

use crate::{
    code::{self, CodeSettings},
    corruption::{self, CorruptSettings},
    penalty::{self, Penalty},
    reconstruction::{self, Loss},
};

/// Names that no part can have: they have another meaning in a configuration or in the log of a training run.
pub const RESERVED: [&str; 13] = [
    "kind",
    "emphasis",
    "loss",
    "mse",
    "fvu",
    "code_l0",
    "dead_units",
    "mean_activation",
    "saturation",
    "jacobian_norm2",
    "learning_rate",
    "seconds",
    "epoch",
];

fn check_settings<S: Settings>() {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    assert!(
        !S::NAME.is_empty() && S::NAME.chars().all(is_plain),
        "the name `{}` may only have the characters a-z, 0-9 and _",
        S::NAME
    );
    assert!(!RESERVED.contains(&S::NAME), "`{}` is a reserved name", S::NAME);
    if let Err(error) = read_settings::<S>(S::NAME, Value::Object(Map::new())) {
        panic!("`{}` needs a default for each of its settings: {error}", S::NAME);
    }
    let schema = SchemaGenerator::default().into_root_schema_for::<S>();
    assert!(
        schema.as_value()["properties"].get("kind").is_none(),
        "`{}` has a field `kind`, which is reserved for the name of a part",
        S::NAME
    );
}

/// The types of parts that a configuration can name.
///
/// ```
/// use ae_model::Registry;
///
/// let registry = Registry::default();
/// let names: Vec<_> = registry.penalties().iter().map(|kind| kind.name).collect();
/// assert_eq!(names[..4], ["l1", "kl_rate", "contractive", "contractive_hessian"]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    codes: Vec<Kind<dyn CodeSettings>>,
    penalties: Vec<Kind<dyn Penalty>>,
    corruptions: Vec<Kind<dyn CorruptSettings>>,
    losses: Vec<Kind<dyn Loss>>,
}

/// Declares the lists of a registry, and the conversion of settings to a part of each kind.
macro_rules! kinds {
    ($($(#[$about:meta])* $with:ident, $list:ident: $part:ident;)*) => {
        impl Registry {
            /// A registry without parts.
            pub fn empty() -> Self {
                Self { $($list: Vec::new(),)* }
            }

            $($(#[$about])*
            ///
            /// # Panics
            /// The name is taken, is one of [`RESERVED`], or has characters other than lower-case letters, digits and
            /// `_`; a field is called `kind`, or has no default.
            pub fn $with<S: $part + Settings>(mut self) -> Self {
                check_settings::<S>();
                assert!(self.$list.iter().all(|kind| kind.name != S::NAME), "two parts are called `{}`", S::NAME);
                self.$list.push(Kind {
                    name: S::NAME,
                    schema: |generator| S::json_schema(generator),
                    read: |place, value| Ok(read_settings::<S>(place, value)?.into()),
                });
                self
            }

            /// The types of this kind, in the order in which they were added.
            pub fn $list(&self) -> &[Kind<dyn $part>] {
                &self.$list
            })*
        }

        $(impl<S: $part + Settings> From<S> for Part<dyn $part> {
            fn from(settings: S) -> Self {
                Self::new(settings, |settings| settings)
            }
        })*
    };
}

kinds! {
    /// Adds a code, for `model.code.kind`.
    with_code, codes: CodeSettings;
    /// Adds a penalty, for a table under `model.penalty`.
    with_penalty, penalties: Penalty;
    /// Adds a corruption, for a table under `model.corruption`. The corruptions of a configuration are applied in the
    /// order in which they were added to the registry.
    with_corruption, corruptions: CorruptSettings;
    /// Adds a reconstruction loss, for `model.reconstruction`.
    with_loss, losses: Loss;
}

impl Default for Registry {
    /// The parts of this crate.
    fn default() -> Self {
        Self::empty()
            .with_code::<code::DeterministicConfig>()
            .with_code::<code::TopKConfig>()
            .with_code::<code::BatchTopKConfig>()
            .with_code::<code::JumpReluConfig>()
            .with_code::<code::GatedConfig>()
            .with_code::<code::LifetimeConfig>()
            .with_code::<code::GaussianConfig>()
            .with_penalty::<penalty::L1>()
            .with_penalty::<penalty::KlRate>()
            .with_penalty::<penalty::Contractive>()
            .with_penalty::<penalty::ContractiveHessian>()
            .with_penalty::<penalty::AuxK>()
            .with_penalty::<penalty::Matryoshka>()
            .with_penalty::<penalty::Tanh>()
            .with_penalty::<penalty::PreActivation>()
            .with_penalty::<penalty::Gate>()
            .with_penalty::<penalty::GateReconstruction>()
            .with_corruption::<corruption::GaussianConfig>()
            .with_corruption::<corruption::SaltAndPepper>()
            .with_corruption::<corruption::Masking>()
            .with_loss::<reconstruction::SquaredError>()
            .with_loss::<reconstruction::Bernoulli>()
    }
}
