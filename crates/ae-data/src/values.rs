//! Numbers of any type, stored as they are in their source: `u8` stays `u8` and `f16` stays `f16` until a batch is
//! gathered as `f32`.

use half::{bf16, f16};

/// A number that can be converted to `f64`; 64-bit integers beyond 2^53 are rounded to the nearest.
trait Number: Copy {
    fn to_f64(self) -> f64;

    /// Whether it is a `NaN`.
    fn is_missing(self) -> bool {
        false
    }

    /// Whether it is positive or negative infinity.
    fn is_boundless(self) -> bool {
        false
    }
}

macro_rules! integers {
    ($($type:ty),*) => { $(impl Number for $type { fn to_f64(self) -> f64 { self as f64 } })* };
}
integers!(u8, i8, u16, i16, u32, i32, u64, i64);

macro_rules! floats {
    ($($type:ty),*) => {
        $(impl Number for $type {
            fn to_f64(self) -> f64 {
                self.into()
            }

            fn is_missing(self) -> bool {
                self.is_nan()
            }

            fn is_boundless(self) -> bool {
                self.is_infinite()
            }
        })*
    };
}
floats!(f16, bf16, f32, f64);

/// The index of the first number for which `is` holds. Almost always there is none, so that blocks are looked at as a
/// whole first.
fn position<T: Copy>(values: &[T], is: impl Fn(T) -> bool) -> Option<usize> {
    const BLOCK: usize = 1024;
    let has_one = |block: &[T]| block.iter().fold(false, |found, &value| found | is(value));
    let start = values.chunks(BLOCK).position(has_one)? * BLOCK;
    values[start..].iter().position(|&value| is(value)).map(|at| start + at)
}

macro_rules! values {
    ($($(#[$about:meta])* $variant:ident($type:ty) $name:literal,)*) => {
        /// The numbers of a table, row by row; `NaN` stands for a missing value.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Values {
            $($(#[$about])* $variant(Vec<$type>),)*
        }

        /// The type of a number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Element {
            $($(#[$about])* $variant,)*
        }

        impl Element {
            /// Size of a number in bytes.
            pub fn bytes(self) -> usize {
                match self { $(Self::$variant => size_of::<$type>(),)* }
            }

            /// The name of the type in NumPy.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Numbers from their bytes; an incomplete number at the end is ignored.
            pub fn decode(self, bytes: &[u8], big_endian: bool) -> Values {
                match self {
                    $(Self::$variant => Values::$variant(
                        bytes
                            .chunks_exact(size_of::<$type>())
                            .map(|chunk| {
                                let chunk = chunk.try_into().expect("chunks of the type's size");
                                if big_endian { <$type>::from_be_bytes(chunk) } else { <$type>::from_le_bytes(chunk) }
                            })
                            .collect(),
                    ),)*
                }
            }
        }

        impl Values {
            /// Number of values.
            pub fn len(&self) -> usize {
                match self { $(Self::$variant(values) => values.len(),)* }
            }

            /// The type of the numbers.
            pub fn element(&self) -> Element {
                match self { $(Self::$variant(_) => Element::$variant,)* }
            }

            /// Calls `sink` with each number of `range`.
            pub fn each(&self, range: std::ops::Range<usize>, mut sink: impl FnMut(f64)) {
                match self {
                    $(Self::$variant(values) => values[range].iter().for_each(|&value| sink(value.to_f64())),)*
                }
            }

            /// Appends the numbers of `range` to `buffer`.
            pub fn extend(&self, range: std::ops::Range<usize>, buffer: &mut Vec<f64>) {
                match self {
                    $(Self::$variant(values) => buffer.extend(values[range].iter().map(|&value| value.to_f64())),)*
                }
            }

            /// The number at `index`.
            pub fn get(&self, index: usize) -> f64 {
                match self { $(Self::$variant(values) => values[index].to_f64(),)* }
            }

            /// Whether any value is `NaN`.
            pub fn has_missing(&self) -> bool {
                match self { $(Self::$variant(values) => position(values, Number::is_missing).is_some(),)* }
            }

            /// The index of the first infinite value.
            pub fn first_infinite(&self) -> Option<usize> {
                match self { $(Self::$variant(values) => position(values, Number::is_boundless),)* }
            }

            /// The numbers at `indices`, in that order.
            pub fn pick(&self, indices: impl Iterator<Item = usize>) -> Self {
                match self {
                    $(Self::$variant(values) => Self::$variant(indices.map(|index| values[index]).collect()),)*
                }
            }

            /// Makes room for so many more numbers.
            pub(crate) fn reserve(&mut self, more: usize) {
                match self { $(Self::$variant(values) => values.reserve_exact(more),)* }
            }

            /// Appends `other`; both as `f64` if their types differ.
            pub fn append(&mut self, other: Self) {
                match (&mut *self, other) {
                    $((Self::$variant(values), Self::$variant(other)) => values.extend(other),)*
                    (_, other) => {
                        let mut values = Vec::with_capacity(self.len() + other.len());
                        self.each(0..self.len(), |value| values.push(value));
                        other.each(0..other.len(), |value| values.push(value));
                        *self = Self::F64(values);
                    }
                }
            }
        }
    };
}

values! {
    /// Unsigned 8-bit integers, such as gray levels.
    U8(u8) "uint8",
    /// Signed 8-bit integers.
    I8(i8) "int8",
    /// Unsigned 16-bit integers.
    U16(u16) "uint16",
    /// Signed 16-bit integers.
    I16(i16) "int16",
    /// Unsigned 32-bit integers.
    U32(u32) "uint32",
    /// Signed 32-bit integers.
    I32(i32) "int32",
    /// Unsigned 64-bit integers.
    U64(u64) "uint64",
    /// Signed 64-bit integers.
    I64(i64) "int64",
    /// Half precision (IEEE 754).
    F16(f16) "float16",
    /// Brain floating point: 16 bits with the range of single precision.
    BF16(bf16) "bfloat16",
    /// Single precision.
    F32(f32) "float32",
    /// Double precision.
    F64(f64) "float64",
}

impl Element {
    /// Whether it is a floating-point type, which can hold `NaN` for a missing value.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// The bytes of a number of this type. For an integer type it is rounded and clamped to the range of the type.
    pub(crate) fn encode(self, value: f64, big_endian: bool) -> Vec<u8> {
        let whole = value.round();
        let mut bytes = match self {
            Self::U8 => (whole as u8).to_le_bytes().to_vec(),
            Self::I8 => (whole as i8).to_le_bytes().to_vec(),
            Self::U16 => (whole as u16).to_le_bytes().to_vec(),
            Self::I16 => (whole as i16).to_le_bytes().to_vec(),
            Self::U32 => (whole as u32).to_le_bytes().to_vec(),
            Self::I32 => (whole as i32).to_le_bytes().to_vec(),
            Self::U64 => (whole as u64).to_le_bytes().to_vec(),
            Self::I64 => (whole as i64).to_le_bytes().to_vec(),
            Self::F16 => f16::from_f64(value).to_le_bytes().to_vec(),
            Self::BF16 => bf16::from_f64(value).to_le_bytes().to_vec(),
            Self::F32 => (value as f32).to_le_bytes().to_vec(),
            Self::F64 => value.to_le_bytes().to_vec(),
        };
        if big_endian {
            bytes.reverse();
        }
        bytes
    }

    /// Whether single precision represents every number of this type exactly.
    pub(crate) fn is_single(self) -> bool {
        !matches!(self, Self::U32 | Self::I32 | Self::U64 | Self::I64 | Self::F64)
    }
}

impl Values {
    /// The same numbers as floating point, with `NaN` in place of those in `missing`; and how often each of those
    /// occurs.
    pub(crate) fn without(&self, missing: &[f64]) -> (Self, Vec<usize>) {
        let mut counts = vec![0; missing.len()];
        let mut real = |value: f64| match missing.iter().position(|missing| *missing == value) {
            Some(place) => {
                counts[place] += 1;
                f64::NAN
            }
            None => value,
        };
        let made = match self.element().is_single() {
            true => {
                let mut made = Vec::with_capacity(self.len());
                self.each(0..self.len(), |value| made.push(real(value) as f32));
                Self::F32(made)
            }
            false => {
                let mut made = Vec::with_capacity(self.len());
                self.each(0..self.len(), |value| made.push(real(value)));
                Self::F64(made)
            }
        };
        (made, counts)
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_decoded_in_both_byte_orders() {
        assert_eq!(Element::I16.decode(&[0xff, 0xfd], true), Values::I16(vec![-3]));
        assert_eq!(Element::I16.decode(&[0xfd, 0xff], false), Values::I16(vec![-3]));
        assert_eq!(Element::F16.decode(&[0x00, 0x3c, 0xff], false).get(0), 1.0);
        assert_eq!(Element::F64.decode(&1.5f64.to_le_bytes(), false).get(0), 1.5);
    }

    #[test]
    fn missing_and_infinite_values_are_found() {
        assert!(Values::F32(vec![1.0, f32::NAN]).has_missing() && !Values::U8(vec![1]).has_missing());
        assert_eq!(Values::F64(vec![1e300, f64::INFINITY]).first_infinite(), Some(1));
        for place in [0, 1023, 1024, 2999] {
            let mut values = vec![f16::MAX; 3000];
            values[place] = f16::NEG_INFINITY;
            assert_eq!(Values::F16(values.clone()).first_infinite(), Some(place));
            assert!(!Values::F16(values.clone()).has_missing());
            values[place] = f16::NAN;
            assert!(Values::F16(values.clone()).has_missing() && Values::F16(values).first_infinite().is_none());
        }
        let mut mixed = Values::U8(vec![1]);
        mixed.append(Values::F64(vec![2.5]));
        assert_eq!(mixed, Values::F64(vec![1.0, 2.5]));
    }
}
