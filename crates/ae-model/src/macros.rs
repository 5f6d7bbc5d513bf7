//! Macros for repetitive methods.

/// Declares methods `with_FIELD` for the fields of a configuration, as Burn's `#[derive(Config)]` does. That derive
/// cannot be used here: it drops the attributes of serde.
macro_rules! setters {
    ($config:ident { $($set:ident($field:ident: $kind:ty),)* }) => {
        impl $config {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $set(mut self, $field: $kind) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

/// Declares methods of a trait that call the same method of `self.part()`.
macro_rules! delegate {
    ($(fn $name:ident(&self $(, $argument:ident: $kind:ty)*) -> $result:ty;)*) => {
        $(
            fn $name(&self $(, $argument: $kind)*) -> $result {
                self.part().$name($($argument),*)
            }
        )*
    };
}

pub(crate) use {delegate, setters};
