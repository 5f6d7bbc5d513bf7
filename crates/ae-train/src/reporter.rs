//! What a training says while it goes on. The library says nothing by itself: whoever starts a training gives it a [`Reporter`].

use std::io::{self, Write};

use ae_model::train::Silent;
use burn::train::{Interrupter, renderer::MetricsRenderer};

/// Hears of a training. By default it hears nothing; its methods may be called from another thread than the one that trains.
pub trait Reporter: Send + Sync {
    /// A line of progress: an epoch that is over, a layer that was pre-trained.
    fn progress(&self, line: &str) {
        let _ = line;
    }

    /// What a person should know, in a sentence.
    fn warning(&self, text: &str) {
        let _ = text;
    }

    /// What draws the metrics of Burn's Learner: by default nothing does. `resumed` is the epoch that was done already, if one was.
    fn renderer(&self, interrupter: &Interrupter, resumed: Option<usize>) -> Box<dyn MetricsRenderer> {
        let _ = (interrupter, resumed);
        Box::new(Silent)
    }
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Reporter for Quiet {}

/// Lines on standard error. One that has been closed is no reason to stop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines;

impl Reporter for Lines {
    fn progress(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    fn warning(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "warning: {text}");
    }
}
