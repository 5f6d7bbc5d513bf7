//! Number of units of the code that have been active for no example since the start of the epoch.

use std::sync::Arc;

use ae_model::train::Reading;
use burn::{
    tensor::TensorReadError,
    train::metric::{
        Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
    },
};

/// Counts units whose absolute value never exceeded that of an inactive unit ([`ae_model::Activation::inactive`]).
#[derive(Clone, Default)]
pub struct DeadUnits {
    peak: Vec<f32>,
    inactive: f32,
}

impl DeadUnits {
    fn count(&self) -> f64 {
        self.peak.iter().filter(|&&peak| peak <= self.inactive).count() as f64
    }

    fn entry(&self, value: NumericEntry) -> SerializedEntry {
        SerializedEntry::new(format!("{} of {}", self.count(), self.peak.len()), value.serialize())
    }
}

impl Metric for DeadUnits {
    type Input = Reading;

    fn name(&self) -> MetricName {
        Arc::new("dead_units".to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }

    fn update(&mut self, reading: &Reading, _metadata: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        let step = &reading.statistics;
        self.inactive = step.inactive;
        self.peak.resize(step.unit_peak.len(), 0.0);
        self.peak.iter_mut().zip(&step.unit_peak).for_each(|(peak, &seen)| *peak = peak.max(seen));
        Ok(self.entry(NumericEntry::Value(self.count())))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.entry(NumericEntry::Final(self.count())))
    }

    fn clear(&mut self) {
        self.peak.clear();
    }
}

impl Numeric for DeadUnits {
    fn value(&self) -> Option<NumericEntry> {
        Some(NumericEntry::Value(self.count()))
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.value()
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.count())
    }
}
