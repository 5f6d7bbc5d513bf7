//! Every figure that is printed, with its formula: what `ae explain` says. A test compares this table with what the
//! commands print.

use serde::Serialize;

/// A figure.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figure {
    /// What it is called in tables, files and JSON; the first is the usual name.
    pub names: &'static [&'static str],
    /// What it is, in a sentence.
    pub meaning: &'static str,
    /// How it is computed.
    pub formula: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it can be, and what is good.
    pub range: &'static str,
    /// Who introduced it or uses it so; empty for what is common knowledge.
    pub source: &'static str,
}

const fn figure(
    names: &'static [&'static str],
    meaning: &'static str,
    formula: &'static str,
    unit: &'static str,
    range: &'static str,
    source: &'static str,
) -> Figure {
    Figure { names, meaning, formula, unit, range, source }
}

/// A number of things.
const COUNT: &str = "a count";
const SHARE: &str = "a share, 0 to 1";
const SCALED: &str = "units of the scaled data, squared";

/// Every figure.
pub const FIGURES: &[Figure] = &[
    // Errors of reconstructions.
    figure(
        &["mse", "valid_mse", "train_mse"],
        "Mean squared error of the reconstruction, per value.",
        "mean over rows and observed values of (x - r)^2, with the input x and its reconstruction r",
        SCALED,
        "0 or more; 0 is a perfect reconstruction, and with `standard` scaling 1 is about that of the mean",
        "",
    ),
    figure(
        &["sse"],
        "Sum of squared errors of the reconstruction, per row.",
        "mean over rows of sum_i (x_i - r_i)^2: mse times the features, where nothing is missing",
        SCALED,
        "0 or more; 0 is a perfect reconstruction",
        "Hinton and Salakhutdinov 2006 (their error per image)",
    ),
    figure(
        &["fvu", "fvu_pca", "valid_fvu", "train_fvu", "validation fvu", "fvu of PCA"],
        "Fraction of variance unexplained: the squared error relative to that of predicting each feature's mean.",
        "sum (x - r)^2 / sum (x - mean)^2, with each feature's mean over the same rows",
        "none: a ratio",
        "0 for a perfect reconstruction, 1 for the mean; above 1 is worse than the mean; null where the rows do not \
         vary",
        "",
    ),
    figure(
        &["psnr_db", "psnr", "psnr_db_pca"],
        "Peak signal-to-noise ratio of images, mean over the images.",
        "10 log10(range^2 / mse), with range the span of the values: 1 after `min_max` scaling",
        "decibels",
        "higher is better; at most 100, which stands for equal images",
        "",
    ),
    figure(
        &["ssim", "ssim_pca"],
        "Structural similarity of images and their reconstructions, mean over the images.",
        "mean over windows of (2 m_x m_r + c_1)(2 s_xr + c_2) / ((m_x^2 + m_r^2 + c_1)(s_x^2 + s_r^2 + c_2)), with \
         means, variances and covariance under a Gaussian window, c_1 = (0.01 range)^2, c_2 = (0.03 range)^2",
        "none: a ratio",
        "-1 to 1; 1 for equal images; not measured where an image is smaller than 3 pixels",
        "Wang et al. 2004",
    ),
    figure(
        &["noisy mse", "noise"],
        "Error to the clean row of the reconstruction of a noisy row.",
        "mean of (x - r(x + n))^2 with n ~ N(0, level^2)",
        SCALED,
        "0 or more; compare it with PCA at the same level",
        "",
    ),
    figure(
        &["missing mse", "missing"],
        "Error at values that were hidden, once they are filled in. In `ae data` the number of missing values.",
        "mean over hidden values of (x - r)^2, where the share `level` of the values is hidden at random",
        SCALED,
        "0 or more; compare it with PCA at the same level",
        "",
    ),
    figure(
        &["level"],
        "How strong the noise is (its standard deviation), or what share of the values is hidden.",
        "set by the curve that it is a point of",
        "units of the scaled data, or a share",
        "0 or more",
        "",
    ),
    figure(
        &["pca"],
        "The same figure of principal component analysis with as many components as the code has units: the baseline \
         that a nonlinear autoencoder should beat.",
        "r = m + V V^T (x - m), with the mean m and the first components V of the training rows",
        "that of the figure",
        "that of the figure",
        "Pearson 1901; Bourlard and Kamp 1988",
    ),
    figure(
        &["mean"],
        "The same figure of predicting the mean of the training rows; of a column in `ae data` its mean; in a \
         comparison the mean over the runs.",
        "r = m",
        "that of the figure",
        "that of the figure",
        "",
    ),
    figure(
        &["pca_components"],
        "Components of the PCA beside the model: as many as the code has units, or a sparse code active ones, or those \
         for 90% of the variance if that would be all of them.",
        "min(code_dim, rows), or round(l0) of a sparse code, unless that is the number of features or more",
        COUNT,
        "1 or more",
        "",
    ),
    figure(
        &["linear_map"],
        "The same figure of least squares from the rows to the target: what is linear in it, and the baseline of a \
         transcoder. The linear map of a rank is the best one with as many outputs in between as units are active.",
        "y = m_y + (x - m_x) B, with B and the means from the training rows; of rank k: B V V^T, with the first k \
         components V of its predictions",
        "that of the figure",
        "that of the figure",
        "Izenman 1975",
    ),
    figure(
        &["stability"],
        "How alike the dictionaries of runs with different seeds are: the mean |cosine| of their atoms, matched one to \
         one so that the sum is the largest (above 4,096 units the pairs that are nearest to each other, of which the \
         mean is larger). The mean over at most 10 pairs of runs; dead units count as well.",
        "mean over matched atoms of |d_i . d_j| / (|d_i| |d_j|)",
        "a cosine",
        "0 to 1; 1 is the same atoms. Many of a wide dictionary's atoms differ from seed to seed",
        "Song et al. 2025; Paulo and Belrose 2025",
    ),
    figure(
        &["copying"],
        "Copying meter: how well inputs are reproduced that do not resemble the data, such as noise.",
        "mse and fvu of the reconstruction of such inputs",
        "that of the figure",
        "a low fvu on the data and high ones elsewhere: the network has learned the data and not the identity",
        "",
    ),
    // The code.
    figure(
        &["l0", "code_l0", "train_code_l0", "valid_code_l0", "L0"],
        "Active units of the code, mean over the rows.",
        "mean over rows of #{j : |h_j| > a}, with a the level up to which a unit of this activation counts as inactive",
        COUNT,
        "0 to code_dim; small for a sparse code",
        "",
    ),
    figure(
        &["dead_units", "dead", "train_dead_units", "valid_dead_units"],
        "Units of the code that are never active on the rows.",
        "#{j : |h_j| <= a for every row}, with a as in L0",
        COUNT,
        "0 to code_dim; 0 is best: a dead unit carries nothing",
        "",
    ),
    figure(
        &["explained_variance", "explained variance", "EV"],
        "Share of the variance that a dictionary explains, in the units of the data.",
        "1 - sum |x - r|^2 / sum |x - m|^2, with the mean m of the same rows: 1 - fvu, if one scale is common to all \
         columns",
        "none: a ratio",
        "1 for a perfect reconstruction, 0 for the mean; below 0 is worse than the mean",
        "",
    ),
    figure(
        &["normalized_error", "normalized error"],
        "Squared error of a dictionary relative to the size of the row, mean over the rows.",
        "mean over rows of |x - r|^2 / |x|^2, in the units of the data",
        "none: a ratio",
        "0 for a perfect reconstruction, 1 for reconstructing 0",
        "Gao et al. 2024, as in their code",
    ),
    figure(
        &["shrinkage"],
        "How much shorter than the rows their reconstructions are.",
        "mean over rows of |r| / |x|, in the units of the data",
        "none: a ratio",
        "1 is none; an L1 penalty makes it less",
        "Wright and Sharkey 2024",
    ),
    figure(
        &["relative_bias", "relative bias"],
        "The factor by which reconstructions are too long or too short on the whole.",
        "mean |r|^2 / mean x.r, in the units of the data",
        "none: a ratio",
        "1 is none; below 1 a common factor would improve the reconstructions",
        "Rajamanoharan et al. 2024",
    ),
    figure(
        &["cosine"],
        "Cosine between rows and their reconstructions, mean over the rows.",
        "mean over rows of x.r / (|x| |r|), in the units of the data",
        "none: a ratio",
        "-1 to 1; 1 is the same direction",
        "",
    ),
    figure(
        &["dense_units", "dense units", "dense"],
        "Units of a sparse code that are active on more than a tenth of the rows.",
        "number of units with a share of active rows above 0.1",
        COUNT,
        "0 to the width of the code; many dense units are hard to name",
        "",
    ),
    figure(
        &["atom_cosine", "cosine of atoms"],
        "How similar the atoms of a dictionary are: the mean |cosine| between two of them.",
        "mean over pairs of living units of |d_i.d_j| / (|d_i| |d_j|), of at most 1,024 units with all",
        "none: a ratio",
        "0 to 1; too few or too many active units mix features and make it larger",
        "Chanin and Garriga-Alonso 2025",
    ),
    figure(
        &["nearest_atom_cosine", "cosine of nearest atoms"],
        "The |cosine| between the atom of a unit and the nearest other, mean over the units.",
        "mean over living units i of max over j of |d_i.d_j| / (|d_i| |d_j|), of at most 1,024 units",
        "none: a ratio",
        "0 to 1; near 1 units come in pairs of the same direction",
        "",
    ),
    figure(
        &["mean_activation", "train_mean_activation", "valid_mean_activation"],
        "Mean size of a unit of the code.",
        "mean over rows and units of |h_j|",
        "units of the code",
        "0 or more",
        "",
    ),
    figure(
        &["saturation", "train_saturation", "valid_saturation"],
        "Share of the code's values within 0.05 of a bound of their activation, such as 0 and 1 of a sigmoid.",
        "mean over rows and units of [h_j < low + 0.05 or h_j > high - 0.05]",
        SHARE,
        "0 to 1; high where the code is nearly binary, as contractive codes become; null without bounds",
        "Rifai et al. 2011",
    ),
    figure(
        &["jacobian_norm2", "|J|^2", "valid_jacobian_norm2"],
        "How much the code changes with the input: the squared Frobenius norm of its derivative, mean over the rows.",
        "||J(x)||_F^2 = sum_ij (dh_j / dx_i)^2; exact up to 128 features, by 16 random probes beyond (Hutchinson 1990)",
        "squared units of the code per unit of the scaled data",
        "0 or more; small for a code that is robust to small changes, but 0 for a constant code, too",
        "Rifai et al. 2011",
    ),
    figure(
        &["effective_rank"],
        "How many directions the code spreads over.",
        "exp(-sum_i p_i ln p_i), with p_i the eigenvalues of the code's covariance over their sum",
        "a count, not whole",
        "1 to code_dim",
        "Roy and Vetterli 2007",
    ),
    figure(
        &["linear", "probe"],
        "Accuracy of a linear classifier (a linear probe) that reads the class from the code; beside it from the \
         input and from as many principal components.",
        "share of the rows whose class is the one that multinomial logistic regression on standardized features, \
         trained on training rows, gives the highest probability",
        SHARE,
        "0 to 1; higher is better; compare it with the input's",
        "Alain and Bengio 2017",
    ),
    figure(
        &["code", "input"],
        "What a classifier reads the class from: the code, or the input itself. `code` also holds the figures of the \
         code.",
        "the accuracy of the linear probe or of the nearest neighbors on these features",
        SHARE,
        "0 to 1; a code that keeps what tells the classes apart has about the accuracy of the input",
        "",
    ),
    figure(
        &["neighbours", "5-nn", "neighbors"],
        "Accuracy of the five nearest training rows as a classifier, by Euclidean distance of the codes. In `ae score` \
         the figures of the distance to the 5th nearest training row.",
        "share of the rows whose class most of the 5 nearest training rows have",
        SHARE,
        "0 to 1; higher is better",
        "Fix and Hodges 1951; as an anomaly score Ramaswamy et al. 2000",
    ),
    figure(
        &["most_frequent"],
        "Accuracy of always naming the class that most training rows have: what a classifier has to beat.",
        "share of the test rows of that class",
        SHARE,
        "0 to 1",
        "",
    ),
    // Stochastic codes.
    figure(
        &["elbo", "elbo_of_rows"],
        "Evidence lower bound of a stochastic code: a lower bound on log p(x).",
        "E_q(h|x)[log p(x|h)] - KL(q(h|x) || p(h))",
        "nats a row",
        "higher is better; below log p(x)",
        "Kingma and Welling 2014",
    ),
    figure(
        &["kl"],
        "What the code costs: its divergence from the prior.",
        "KL(q(h|x) || p(h)), mean over the rows",
        "nats a row",
        "0 or more; 0 where the code carries nothing (posterior collapse)",
        "Kingma and Welling 2014",
    ),
    figure(
        &["log_likelihood", "log p(x)"],
        "How likely the rows are under the model, by importance sampling.",
        "log (1/K) sum_k p(x|h_k) p(h_k) / q(h_k|x), h_k ~ q(h|x): a lower bound that rises with the samples K",
        "nats a row",
        "higher is better",
        "Burda et al. 2016",
    ),
    figure(
        &["effective_samples", "samples"],
        "How many of the samples of the likelihood count (`effective_samples`), of so many (`samples`).",
        "(sum_k w_k)^2 / sum_k w_k^2 of the importance weights w, median over the rows",
        COUNT,
        "1 to samples; with few, log_likelihood is far below log p(x)",
        "Kong 1992",
    ),
    figure(
        &["active_units"],
        "Units of a stochastic code that carry something.",
        "#{j : variance over the rows of the mean of q(h_j|x) > 0.01}",
        COUNT,
        "0 to code_dim",
        "Burda et al. 2016",
    ),
    figure(
        &["deviation"],
        "Standard deviation: of a value around its reconstruction in a likelihood, or over the seeds in a comparison.",
        "over the seeds sqrt(sum (v - mean)^2 / (n - 1)); 0 of one run",
        "that of the value",
        "0 or more",
        "",
    ),
    // Anomalies.
    figure(
        &["score"],
        "Anomaly score of a row: how badly it is reconstructed, and how far it lies from the training rows. \
         `score_COLUMN` is a column's part of it.",
        "(E(x) / mean E + D(x) / mean D) / 2, with E the mean over columns of the squared error over the column's mean \
         error in training, and D the mean distance to the 3 nearest training rows",
        "none: a typical training row scores 1",
        "0 or more; higher is more anomalous; the mean over the columns' scores",
        "Ramaswamy et al. 2000 for the distance",
    ),
    figure(
        &["p_value", "p-value"],
        "How usual a score is among rows that were held out from training: a conformal p-value.",
        "(1 + #{held-out scores >= score}) / (m + 1), of m validation rows",
        SHARE,
        "1 / (m + 1), the smallest that m rows can give, to 1; small for anomalies; of rows like the held-out ones a \
         share of at most a has p <= a",
        "Vovk et al. 2005",
    ),
    figure(
        &["flagged", "threshold", "false_alarms"],
        "A row is flagged if its p-value is at most `false_alarms`; rows with a score above `threshold` \
         are, which is null where the held-out rows are too few for any.",
        "flagged = [p_value <= false_alarms]",
        "a count of rows, a score, and a share",
        "false_alarms in (0, 1): the share of normal rows that may be flagged by mistake",
        "Vovk et al. 2005",
    ),
    figure(
        &["auroc"],
        "Area under the receiver operating characteristic: the probability that a random anomaly scores higher than a \
         random normal row.",
        "P(score(anomaly) > score(normal)), ties counted half",
        "a probability",
        "0 to 1; 0.5 for a random order, 1 for a perfect one",
        "Hanley and McNeil 1982",
    ),
    figure(
        &["average_precision"],
        "Precision averaged over the anomalies.",
        "mean over the anomalies of the precision among the rows that score at least as high",
        SHARE,
        "0 to 1; the share of anomalies for a random order, 1 for a perfect one",
        "",
    ),
    figure(
        &["f1"],
        "How well the flags match the labels.",
        "2 precision recall / (precision + recall) of the flagged rows",
        SHARE,
        "0 to 1; higher is better",
        "",
    ),
    figure(
        &["labelled", "anomalies", "without_score", "held_out_rows"],
        "Rows with a label, those of them that are anomalies, rows without any value, and the held-out rows that \
         p-values are computed from.",
        "counted",
        COUNT,
        "0 or more",
        "",
    ),
    // Missing values.
    figure(
        &["hidden"],
        "Share of the values that were hidden to measure how well they are filled in.",
        "chosen completely at random",
        SHARE,
        "0.1",
        "",
    ),
    // Generated rows.
    figure(
        &["frechet", "frechet_of"],
        "Frechet distance between generated rows and data; `frechet_of` says of what: the rows, or the scores of 64 \
         principal components.",
        "|m_1 - m_2|^2 + tr(A + B - 2 (A B)^(1/2)), with means m and covariances A, B of both sets",
        SCALED,
        "0 or more; 0 is best; only sets of about the same size compare",
        "Dowson and Landau 1982; Heusel et al. 2017",
    ),
    figure(
        &["nearest_accuracy", "1-NN"],
        "Accuracy of the nearest neighbor in telling generated rows from data.",
        "share of the rows of both sets whose nearest other row is from their own set; a tie counts half",
        SHARE,
        "0.5 where the sets cannot be told apart, 1 where they are far apart, below 0.5 for copies of the data",
        "Lopez-Paz and Oquab 2017",
    ),
    figure(
        &["density"],
        "How dense the data is where generated rows lie.",
        "mean number of balls around real rows, each up to the 5th nearest other real row, that a generated row lies \
         in, over 5",
        "none: a ratio",
        "0 or more; about 1 for real rows",
        "Naeem et al. 2020",
    ),
    figure(
        &["coverage"],
        "How much of the data has generated rows near it.",
        "share of the real rows with a generated row in their ball",
        SHARE,
        "0 to 1; 0.97 is expected of real rows",
        "Naeem et al. 2020",
    ),
    figure(
        &["nearest_train", "nearest train"],
        "Whether generated rows are copies of training rows.",
        "median distance of generated rows to their nearest training row, over that of the real rows",
        "none: a ratio",
        "about 1 for new rows, well below 1 for copies; null where it cannot be measured",
        "",
    ),
    // The training.
    figure(
        &["loss", "train_loss", "valid_loss"],
        "What training minimizes: the reconstruction loss and the weighted penalties. The epoch with the smallest \
         validation loss is kept.",
        "mean over rows of the reconstruction loss (half the squared error, or another: \
         `ae explain model.reconstruction`) and of each penalty times its weight",
        "nats a row",
        "lower is better; only losses of the same settings compare",
        "",
    ),
    figure(
        &["epochs", "best_epoch", "epoch", "diverged"],
        "Passes over the training rows; the one that was kept; the first one whose loss was infinite.",
        "best_epoch = argmin of the validation loss",
        COUNT,
        "1 or more; diverged is null if none was",
        "",
    ),
    figure(
        &["train_seconds", "seconds"],
        "Time of training and validation, without reading data and the final measurements.",
        "sum over the epochs",
        "seconds",
        "0 or more",
        "",
    ),
    figure(
        &["learning_rate", "train_learning_rate"],
        "Step size of the optimizer, as the schedule has it in an epoch.",
        "see `ae explain training.learning_rate`",
        "none",
        "above 0 to 1",
        "",
    ),
    figure(&["parameters"], "Trained numbers of the model.", "counted", COUNT, "1 or more", ""),
    figure(
        &["random_dictionary", "random dictionary"],
        "Error of a dictionary of random atoms, as wide as a sparse code and with as many active units in each row.",
        "of the units with the largest |(x - mean) . d_j| as many as are active, with least-squares coefficients, over \
         at most 512 test rows",
        SCALED,
        "0 or more; a trained code that is not far below has learned little",
        "",
    ),
    figure(
        &["rows", "measured_rows", "test_rows", "runs", "drawn"],
        "How many rows or runs a figure was measured on.",
        "counted",
        COUNT,
        "1 or more",
        "",
    ),
    figure(
        &["d_input", "features"],
        "Features of a row: numbers, and for each category one for each level.",
        "counted",
        COUNT,
        "1 or more",
        "",
    ),
];

/// The figure of a name.
pub fn find(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_figure() {
        let mut names: Vec<&str> = FIGURES.iter().flat_map(|figure| figure.names.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for figure in FIGURES {
            assert!(figure.meaning.ends_with('.') && !figure.formula.is_empty() && !figure.range.is_empty());
        }
    }
}
