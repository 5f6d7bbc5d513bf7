//! What would otherwise be written out once for each field or method.

/// Declares methods `with_FIELD` for the fields of a configuration, in the manner of Burn's `#[derive(Config)]`, which
/// cannot be used here: it drops the attributes of serde.
macro_rules! setters {
    ($config:ident { $($set:ident($field:ident: $kind:ty),)* }) => {
        impl $config {
            $(
                #[doc = concat!("The same with another [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $set(mut self, $field: $kind) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

/// Writes methods of a trait that hand the call on to `self.part()`.
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
