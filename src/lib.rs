//! Autoencoders for Burn.
