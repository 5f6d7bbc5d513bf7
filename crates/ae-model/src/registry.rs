//! The parts that a [`Recipe`](crate::Recipe) can name: codes, penalties, corruptions and reconstruction losses.
//!
//! A part that is written into a configuration has [`Settings`]: a type that serde reads and writes, whose doc comments
//! say what each field means. A [`Registry`] is the list of those types. [`Registry::default`] holds the parts of this
//! crate; a program adds its own:
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

use std::{any::Any, borrow::Cow, fmt, ops::Deref, sync::Arc};

use burn::serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

use crate::{
    Loss, Penalty,
    code::{self, CodeSettings},
    corruption::{self, CorruptSettings},
    penalty, reconstruction,
};

/// Settings of a part that a configuration can name; [`settings!`](crate::settings) declares some.
///
/// Every field needs a default (`#[serde(default)]` on the type), so that a part can be named alone. The doc comments
/// of the type and of its fields are what `ae config` prints beside them.
pub trait Settings: fmt::Debug + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Name in configurations, such as `top_k`.
    const NAME: &'static str;
}

/// Declares types of [`Settings`]: the name in configurations, and each field with its default. The crate that uses it
/// depends on this one by the name `ae_model`. A field whose type is an enum of that crate needs serde's and schemars'
/// traits on it.
///
/// Names are lower-case letters, digits and `_`. A field cannot be called `kind`, which is how configurations name a
/// part.
///
/// ```
/// ae_model::settings! {
///     /// What the part does.
///     pub struct Mine("mine") {
///         /// Meaning, unit, range and default of the field. Default: 0.5.
///         pub strength: f64 = 0.5,
///     }
///
///     /// A part without settings.
///     pub struct Bare("bare");
/// }
/// assert_eq!(Mine::default().strength, 0.5);
/// ```
#[macro_export]
macro_rules! settings {
    () => {};
    ($(#[$about:meta])* $visible:vis struct $Type:ident($name:literal); $($rest:tt)*) => {
        $crate::settings! { $(#[$about])* $visible struct $Type($name) {} $($rest)* }
    };
    (
        $(#[$about:meta])* $visible:vis struct $Type:ident($name:literal) {
            $($(#[$meaning:meta])* $shown:vis $field:ident: $type:ty = $default:expr),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        #[derive($crate::registry::derive::Serialize, $crate::registry::derive::Deserialize, $crate::registry::derive::JsonSchema)]
        #[serde(crate = "ae_model::registry::derive::serde", default, deny_unknown_fields, expecting = "a table of settings")]
        #[schemars(crate = "ae_model::registry::derive::schemars")]
        $visible struct $Type {
            $($(#[$meaning])* $shown $field: $type,)*
        }

        impl Default for $Type {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::Settings for $Type {
            const NAME: &'static str = $name;
        }

        $crate::settings! { $($rest)* }
    };
}

/// What [`settings!`](crate::settings) is made of.
#[doc(hidden)]
pub mod derive {
    pub use burn::serde::{self, Deserialize, Serialize};
    pub use schemars::{self, JsonSchema};
}

/// The name of a type as configurations spell it: `student_t` for `StudentT`.
pub(crate) fn name_of<T: ?Sized>() -> Cow<'static, str> {
    let path = std::any::type_name::<T>();
    let name = path.split('<').next().and_then(|path| path.rsplit("::").next()).unwrap_or(path);
    let mut spelt = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !spelt.is_empty() {
            spelt.push('_');
        }
        spelt.extend(letter.to_lowercase());
    }
    spelt.into()
}

/// [`Settings`] of any type.
trait AnySettings: Any + erased_serde::Serialize + fmt::Debug + Send + Sync {}

impl<S: Settings> AnySettings for S {}

/// A part that was chosen: its name, its settings, and what they do (`dyn Penalty`, `dyn Loss` and so on), to which it
/// dereferences.
pub struct Part<T: ?Sized> {
    name: &'static str,
    settings: Arc<dyn AnySettings>,
    part: Arc<T>,
}

impl<T: ?Sized> Part<T> {
    fn new<S: Settings>(settings: S, erase: fn(Arc<S>) -> Arc<T>) -> Self {
        let settings = Arc::new(settings);
        Self { name: S::NAME, part: erase(settings.clone()), settings }
    }

    /// Its name in configurations.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The part itself, to be kept.
    pub fn shared(&self) -> Arc<T> {
        self.part.clone()
    }

    /// Its settings, if they are of type `S`.
    pub fn get<S: Settings>(&self) -> Option<&S> {
        let settings: &dyn Any = &*self.settings;
        settings.downcast_ref()
    }

    /// Its settings, to be written.
    fn settings(&self) -> &dyn erased_serde::Serialize {
        &*self.settings
    }

    /// Its settings as a tree of values.
    fn value(&self) -> Value {
        serde_json::to_value(self.settings()).unwrap_or_default()
    }

    /// Whether it has no settings.
    pub(crate) fn is_plain(&self) -> bool {
        match self.value() {
            Value::Null => true,
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }

    /// Writes it as a table with its name as `kind`.
    pub(crate) fn serialize_tagged<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(crate = "burn::serde")]
        struct Tagged<'a> {
            kind: &'static str,
            #[serde(flatten)]
            settings: &'a dyn erased_serde::Serialize,
        }
        Tagged { kind: self.name, settings: self.settings() }.serialize(serializer)
    }
}

impl<T: ?Sized> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.part
    }
}

impl<T: ?Sized> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self { name: self.name, settings: self.settings.clone(), part: self.part.clone() }
    }
}

impl<T: ?Sized> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

/// The same name and the same settings.
impl<T: ?Sized> PartialEq for Part<T> {
    fn eq(&self, other: &Self) -> bool {
        // As they are printed: a tree of values has no infinite numbers.
        self.name == other.name && format!("{self:?}") == format!("{other:?}")
    }
}

/// Why a part of a configuration cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// Dotted path of the table or field inside the recipe, such as `penalty.l1`.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

impl ReadError {
    pub(crate) fn new(place: impl Into<String>, what: impl fmt::Display) -> Self {
        let what = what.to_string();
        let what = what.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("cannot be read");
        Self { place: place.into(), what: what.to_string() }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for ReadError {}

/// A type of part that a registry knows.
pub struct Kind<T: ?Sized> {
    /// Name in configurations.
    pub name: &'static str,
    /// Of its settings: the meaning of the type and of each field.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    read: fn(&str, Value) -> Result<Part<T>, ReadError>,
}

impl<T: ?Sized> Kind<T> {
    /// The part with its default settings.
    pub fn default_part(&self) -> Part<T> {
        (self.read)(self.name, Value::Object(Map::new())).expect("a part is added to a registry if it has defaults")
    }
}

impl<T: ?Sized> Clone for Kind<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Kind<T> {}

/// The same name.
impl<T: ?Sized> PartialEq for Kind<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<T: ?Sized> fmt::Debug for Kind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Reads what is written at a place of a recipe.
pub(crate) fn read_at<'de, T: Deserialize<'de>, D: Deserializer<'de>>(place: &str, value: D) -> Result<T, ReadError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place =
            [place, path.as_str()].into_iter().filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join(".");
        ReadError::new(place, error.inner())
    })
}

/// Reads settings; a part without any may be a unit struct.
fn read_settings<S: Settings>(place: &str, value: Value) -> Result<S, ReadError> {
    let is_empty = value.as_object().is_some_and(Map::is_empty);
    read_at(place, value)
        .or_else(|error| if is_empty { read_at(place, Value::Null).map_err(|_: ReadError| error) } else { Err(error) })
}

/// Names that no part can have: they mean something else in a configuration, or in the log of a training.
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
        "`{}` has other characters than a-z, 0-9 and _",
        S::NAME
    );
    assert!(!RESERVED.contains(&S::NAME), "no part can be called `{}`", S::NAME);
    if let Err(error) = read_settings::<S>(S::NAME, Value::Object(Map::new())) {
        panic!("`{}` has no default for each of its settings: {error}", S::NAME);
    }
    let schema = SchemaGenerator::default().into_root_schema_for::<S>();
    assert!(
        schema.as_value()["properties"].get("kind").is_none(),
        "`{}` has a field called `kind`, which is how parts are named",
        S::NAME
    );
}

/// Every type of part that a configuration can name.
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    codes: Vec<Kind<dyn CodeSettings>>,
    penalties: Vec<Kind<dyn Penalty>>,
    corruptions: Vec<Kind<dyn CorruptSettings>>,
    losses: Vec<Kind<dyn Loss>>,
}

/// Declares, for each kind of part, how it is put into the registry, and that settings of that kind are such a part.
macro_rules! kinds {
    ($($(#[$about:meta])* $with:ident, $list:ident: $part:ident;)*) => {
        impl Registry {
            /// A registry without any part.
            pub fn empty() -> Self {
                Self { $($list: Vec::new(),)* }
            }

            $($(#[$about])*
            ///
            /// # Panics
            /// A name that there is already, that is one of [`RESERVED`], or that has other characters than lower-case letters, digits and `_`; a field called
            /// `kind`, or one without a default.
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

            /// What there is of this kind, in the order in which it was added.
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
    /// The same with one more code, `model.code.kind`.
    with_code, codes: CodeSettings;
    /// The same with one more penalty, a table under `model.penalty`.
    with_penalty, penalties: Penalty;
    /// The same with one more corruption, a table under `model.corruption`. In a configuration corruptions act in the order in which they were added here.
    with_corruption, corruptions: CorruptSettings;
    /// The same with one more reconstruction loss, `model.reconstruction`.
    with_loss, losses: Loss;
}

impl Default for Registry {
    /// The parts of this crate.
    fn default() -> Self {
        Self::empty()
            .with_code::<code::DeterministicConfig>()
            .with_code::<code::TopKConfig>()
            .with_code::<code::LifetimeConfig>()
            .with_code::<code::GaussianConfig>()
            .with_penalty::<penalty::L1>()
            .with_penalty::<penalty::KlRate>()
            .with_penalty::<penalty::Contractive>()
            .with_penalty::<penalty::ContractiveHessian>()
            .with_corruption::<corruption::GaussianConfig>()
            .with_corruption::<corruption::SaltAndPepper>()
            .with_corruption::<corruption::Masking>()
            .with_loss::<reconstruction::SquaredError>()
            .with_loss::<reconstruction::Bernoulli>()
    }
}

/// The part of this name among `kinds`, with settings from a table.
pub(crate) fn read_part<T: ?Sized>(
    kinds: &[Kind<T>],
    name: &str,
    place: &str,
    value: Value,
) -> Result<Part<T>, ReadError> {
    let kind = kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.name)).collect();
        let advice = "a run with parts of its own is opened by the program that trained it";
        ReadError::new(place, format!("there is no `{name}`, only {}; {advice}", names.join(", ")))
    })?;
    let Value::Object(settings) = &value else {
        return Err(ReadError::new(place, format!("it is {value}, but must be a table of settings")));
    };
    let default = kind.default_part();
    match settings.keys().next() {
        Some(field) if default.is_plain() => {
            Err(ReadError::new(format!("{place}.{field}"), format!("`{name}` has no settings")))
        }
        _ => (kind.read)(place, value),
    }
}

/// The part that a table with a `kind`, or the bare name of one, stands for.
pub(crate) fn read_tagged<T: ?Sized>(kinds: &[Kind<T>], place: &str, value: Value) -> Result<Part<T>, ReadError> {
    match value {
        Value::String(name) => read_part(kinds, &name, place, Value::Object(Map::new())),
        Value::Object(mut table) => match table.remove("kind") {
            Some(Value::String(name)) => read_part(kinds, &name, place, Value::Object(table)),
            Some(other) => {
                Err(ReadError::new(format!("{place}.kind"), format!("it is {other}, but must be a name in quotes")))
            }
            None => Err(ReadError::new(
                place,
                format!("its `kind` is missing, such as kind = \"{}\"", kinds.first().map_or("", |kind| kind.name)),
            )),
        },
        other => Err(ReadError::new(place, format!("it is {other}, but must be a table with a `kind`"))),
    }
}

/// The parts of a map from names to settings, in the order of `kinds`.
pub(crate) fn read_named<T: ?Sized>(kinds: &[Kind<T>], place: &str, value: Value) -> Result<Vec<Part<T>>, ReadError> {
    let Value::Object(table) = value else {
        return Err(ReadError::new(place, format!("it is {value}, but must be a table")));
    };
    let read = |(name, value): (String, Value)| read_part(kinds, &name, &format!("{place}.{name}"), value);
    let mut parts = table.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    parts.sort_by_key(|part| kinds.iter().position(|kind| kind.name == part.name));
    Ok(parts)
}

/// Puts a part into a list, in the place of one of the same name if there is one.
pub(crate) fn put<T: ?Sized>(parts: &mut Vec<Part<T>>, part: Part<T>) {
    match parts.iter_mut().find(|other| other.name == part.name) {
        Some(other) => *other = part,
        None => parts.push(part),
    }
}

/// The settings of type `S` among the parts.
pub(crate) fn find<T: ?Sized, S: Settings>(parts: &[Part<T>]) -> Option<&S> {
    parts.iter().find_map(Part::get)
}

/// Parts as a map from names to settings.
pub(crate) struct Named<'a, T: ?Sized>(pub &'a [Part<T>]);

impl<T: ?Sized> Serialize for Named<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A part without settings is an empty table, whatever its type is.
        struct Table<'a, T: ?Sized>(&'a Part<T>);

        impl<T: ?Sized> Serialize for Table<'_, T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if self.0.is_plain() {
                    serializer.collect_map([("", ""); 0])
                } else {
                    self.0.settings().serialize(serializer)
                }
            }
        }
        serializer.collect_map(self.0.iter().map(|part| (part.name, Table(part))))
    }
}
