//! A number per step, averaged over the epoch with a weight per step.

use std::{borrow::Cow, sync::Arc};

use ae_model::train::{Reading, Statistics};
use burn::{
    tensor::TensorReadError,
    train::metric::{
        Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
        SerializedEntry,
        state::{FormatOptions, NumericMetricState},
    },
};

/// Reads a value and its weight from a step.
type Read = Arc<dyn Fn(&Statistics) -> (f64, f64) + Send + Sync>;

/// A weighted mean over the steps of an epoch.
#[derive(Clone)]
pub struct Mean {
    name: MetricName,
    read: Read,
    state: NumericMetricState,
}

impl Mean {
    /// The mean of the values that `read` returns, each with the count it is an average over.
    pub fn new(name: &str, read: impl Fn(&Statistics) -> (f64, f64) + Send + Sync + 'static) -> Self {
        Self { name: Arc::new(name.to_string()), read: Arc::new(read), state: NumericMetricState::new() }
    }

    /// The loss, or its term with this name, per example.
    pub fn loss(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        Self::new(&name.clone(), move |step| {
            let value = step.losses.iter().find(|(other, _)| *other == name).map_or(f64::NAN, |(_, value)| *value);
            (value, step.examples as f64)
        })
    }

    /// The fraction of variance unexplained, for rows of this variance per value.
    pub fn fvu(variance: f64) -> Self {
        Self::new("fvu", move |step| (step.squared_error / step.observed / variance, step.observed))
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name.clone()).precision(5)
    }
}

impl Metric for Mean {
    type Input = Reading;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }

    fn update(&mut self, reading: &Reading, _metadata: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        let (value, count) = (self.read)(&reading.statistics);
        self.state.update(value, if reading.is_new { count as usize } else { 0 });
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for Mean {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
