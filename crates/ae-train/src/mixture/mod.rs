//! Gaussian mixture with full covariances: a density of codes or of any rows, to draw samples from and to score rows
//! by.
//!
//! `p(x) = sum_k w_k N(x; m_k, S_k)`, with weights `w`, means `m` and covariances `S` of `K` components. It is fitted
//! by expectation maximization (Dempster, Laird and Rubin 1977), initialized by k-means++ (Arthur and Vassilvitskii
//! 2007) and a few steps of k-means. On the codes of a trained autoencoder it is the ex-post density of Ghosh et al.
//! (2020): its decoded samples are generated rows. All computation is in `f64`.

mod component;
mod density;
mod fit;
mod kmeans;
#[cfg(test)]
mod tests;

pub use self::density::Mixture;
