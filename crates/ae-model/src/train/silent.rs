//! A renderer without output. Burn's own prints every step if there is no terminal.

use burn::train::{
    LearnerSummary,
    logger::TrainingProgressLogger,
    metric::MetricDefinition,
    renderer::{MetricState, MetricsRenderer, MetricsRendererTraining},
};

/// Implements the part of a renderer that is for evaluations, which does nothing. Burn's traits have no defaults for it,
/// and a training evaluates nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! renders_no_evaluation {
    ($renderer:ty) => {
        impl ::burn::train::renderer::MetricsRendererEvaluation for $renderer {
            fn update_test(
                &mut self,
                _: ::burn::train::renderer::EvaluationName,
                _: ::burn::train::renderer::MetricState,
            ) {
            }
        }

        impl ::burn::train::logger::EvaluationProgressLogger for $renderer {
            fn start_global_progress(&mut self, _: usize) {}
            fn start_test(&mut self, _: &str, _: usize) {}
            fn update_test_progress(&mut self, _: usize) {}
            fn end_test(&mut self) {}
            fn end_global_progress(&mut self) {}
            fn log_event_evaluation(&mut self, _: String) {}
        }
    };
}

/// A renderer without output.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl MetricsRendererTraining for Silent {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
    fn on_train_end(&mut self, _: Option<LearnerSummary>) -> Result<(), Box<dyn core::error::Error>> {
        Ok(())
    }
}

crate::renders_no_evaluation!(Silent);

impl TrainingProgressLogger for Silent {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
    fn update_epoch(&mut self, _: usize) {}
    fn start_split(&mut self, _: &str, _: usize) {}
    fn update_split(&mut self, _: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}
}

impl MetricsRenderer for Silent {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}
