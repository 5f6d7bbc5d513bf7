//! Numbers in bf16, two in the bits of each `f32`: half their bytes in a message of Burn's protocol.

/// The first `count` values rounded to bf16, two of them in the bits of each number, and the others as they are. Only
/// [`unpacked`] reads them: the numbers mean nothing in between.
pub(super) fn packed(values: Vec<f32>, count: usize) -> Vec<f32> {
    if count == 0 {
        return values;
    }
    let (rounded, others) = values.split_at(count.min(values.len()));
    let (pairs, last) = rounded.as_chunks::<2>();
    let both = |low: u32, high: u32| f32::from_bits(high << 16 | low);
    let mut all = Vec::with_capacity(pairs.len() + 1 + others.len());
    all.extend(pairs.iter().map(|[low, high]| both(bf16(*low), bf16(*high))));
    all.extend(last.iter().map(|low| both(bf16(*low), 0)));
    all.extend_from_slice(others);
    all
}

/// What [`packed`] was given, rounded.
pub(super) fn unpacked(values: Vec<f32>, count: usize) -> Vec<f32> {
    if count == 0 {
        return values;
    }
    let (pairs, others) = values.split_at(count.div_ceil(2).min(values.len()));
    let mut all = Vec::with_capacity(2 * pairs.len() + others.len());
    all.extend(pairs.iter().flat_map(|pair| {
        let bits = pair.to_bits();
        [f32::from_bits(bits << 16), f32::from_bits(bits & 0xffff_0000)]
    }));
    all.truncate(count);
    all.extend_from_slice(others);
    all
}

/// The bits of the nearest number of bf16, of two equally near ones the even one: the upper half of those of an `f32`.
fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    // Rounding could make infinite what is no number, or 0.
    if value.is_nan() { bits >> 16 | 0x40 } else { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 }
}

#[cfg(test)]
mod tests {
    use burn::tensor::bf16;

    use super::*;

    #[test]
    fn the_first_values_are_rounded_to_bf16_and_the_others_stay() {
        let mut values: Vec<f32> = (0..20_000u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761))).collect();
        values.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-45, 1.0039063]);
        for count in [0, 1, 2, 7, values.len() - 1, values.len()] {
            let found = packed(values.clone(), count);
            assert_eq!(found.len(), values.len() - count / 2);
            let found = unpacked(found, count);
            assert_eq!(found.len(), values.len());
            for (at, (found, value)) in found.iter().zip(&values).enumerate() {
                let expected = if at < count { bf16::from_f32(*value).to_f32() } else { *value };
                assert!(found.to_bits() == expected.to_bits() || found.is_nan() && value.is_nan(), "{value} at {at}");
            }
        }
    }
}
