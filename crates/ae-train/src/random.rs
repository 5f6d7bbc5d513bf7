//! Random numbers.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A standard normal number (Box and Muller 1958): two uniform numbers give one.
pub(crate) fn normal(generator: &mut ChaCha8Rng) -> f64 {
    let (radius, angle) = (1.0 - generator.random::<f64>(), generator.random::<f64>());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
