//! Multi-layer perceptrons: `h_0 = x`, `h_{l+1} = phi(h_l W_l + b_l)`, and a last layer without `phi`.
//!
//! Without hidden layers it is one affine map. The decoder has the encoder's hidden layers in reverse, or its own.
//! Hidden layers can be normalized before their activation ([`norm`](super::norm)), and can have dropout after it
//! (Srivastava et al. 2014). The tangent is computed exactly.
//!
//! With tied weights, the weight of each decoder layer is the transpose of the opposite encoder layer's ([`TiedMlp`]).
//! This halves the number of weights, acts as a mild regularizer (Vincent et al. 2010), and prevents that encoder and
//! decoder are scaled against each other (Rifai et al. 2011).

mod config;
mod stack;
#[cfg(test)]
mod tests;
mod tied;

pub use config::MlpConfig;
pub use stack::Mlp;
pub use tied::TiedMlp;
