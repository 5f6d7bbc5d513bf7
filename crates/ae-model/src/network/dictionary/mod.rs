//! A dictionary: each unit of the code has one atom, and a row is the sum of the atoms of its active units.
//!
//! `z = (x - c) W_e + b`, `r = h W_d + c`. The rows of `W_d` are the atoms `d_j`, and the center `c` is shared by both
//! sides, so that the code explains what differs from it (Bricken et al. 2023).
//!
//! The length of an atom is free: scaling it up and its unit down changes nothing. So a code that compares units, such
//! as [`top_k`](crate::code::top_k), compares `z_j |d_j|`, what a unit adds to the reconstruction, and a penalty on the
//! code is on `h_j |d_j|`. [`Autoencoder::folded`](crate::Autoencoder::folded) moves the lengths into the encoder. This
//! leaves atoms of length 1 and changes no reconstruction.
//!
//! With a target `y` other than the input it is a transcoder, `z = x W_e + b`, `r = h W_d + c`, which has no center to
//! share (Dunefsky et al. 2024); with a skip connection `r = h W_d + x S + c`, so that the units explain what is not
//! linear (Paulo et al. 2025).
//!
//! The encoder starts as the transposed decoder, and the center at the geometric median of some rows
//! ([`Autoencoder::started_on`](crate::Autoencoder::started_on)).

mod config;
mod decoder;
mod encoder;
mod folding;
pub mod median;
#[cfg(test)]
mod tests;

pub use config::DictionaryConfig;
pub use decoder::DictionaryDecoder;
pub use encoder::DictionaryEncoder;
