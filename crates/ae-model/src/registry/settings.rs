//! Settings of parts, and the macro that declares them.

use std::{borrow::Cow, fmt};

use burn::serde::{Serialize, de::DeserializeOwned};
use schemars::JsonSchema;

/// Settings of a part that a configuration can name. [`settings!`](crate::settings) declares them.
///
/// Every field needs a default (`#[serde(default)]` on the type), so that the name of a part is enough. `ae config`
/// prints the doc comments of the type and of its fields as their explanations.
pub trait Settings: fmt::Debug + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Name in configurations, such as `top_k`.
    const NAME: &'static str;
}

/// Declares types of [`Settings`](crate::Settings): the name in configurations, and each field with its default.
///
/// The crate that uses it must depend on this one by the name `ae_model`. If a field has an enum type of that crate,
/// the enum must implement the traits of serde and schemars.
///
/// Names consist of lower-case letters, digits and `_`. No field can be called `kind`, which is reserved for the name
/// of a part.
///
/// ```
/// ae_model::settings! {
///     /// What the part does.
///     pub struct Mine("mine") {
///         /// Meaning, unit and range of the field. Default: 0.5.
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
        #[derive($crate::registry::derive::Serialize, $crate::registry::derive::Deserialize)]
        #[derive($crate::registry::derive::JsonSchema)]
        #[serde(crate = "ae_model::registry::derive::serde")]
        #[serde(default, deny_unknown_fields, expecting = "a table of settings")]
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

/// What [`settings!`](crate::settings) expands to.
#[doc(hidden)]
pub mod derive {
    pub use burn::serde::{self, Deserialize, Serialize};
    pub use schemars::{self, JsonSchema};
}

/// The name of a type in the spelling of configurations: `student_t` for `StudentT`.
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
