//! The number of steps on Burn's dashboard.

use burn::train::{
    LearnerSummary,
    logger::{EvaluationProgressLogger, TrainingProgressLogger},
    metric::MetricDefinition,
    renderer::{EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining},
};

/// What Burn calls a step.
const STEP: &str = "Iteration";

/// A renderer that is told of each step. Burn tells it of each item that the metrics are told of, which can be several
/// steps: see [`OneDevice`](crate::strategy::OneDevice).
pub struct Counted {
    renderer: Box<dyn MetricsRenderer>,
    /// Of training and of validation.
    batch_sizes: [usize; 2],
    batch_size: usize,
    /// The steps of the epoch that are done, and those that the renderer was told of.
    done: usize,
    told: usize,
}

impl Counted {
    pub fn new(renderer: Box<dyn MetricsRenderer>, batch_sizes: [usize; 2]) -> Self {
        Self { renderer, batch_sizes, batch_size: 1, done: 0, told: 0 }
    }
}

impl TrainingProgressLogger for Counted {
    fn start(&mut self, epochs: usize, first: usize, items: Option<usize>, label: Option<&str>) {
        self.renderer.start(epochs, first, items, label);
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.renderer.update_epoch(epoch);
    }

    fn start_split(&mut self, split: &str, items: usize) {
        let [training, validation] = self.batch_sizes;
        self.batch_size = if split.eq_ignore_ascii_case("train") { training } else { validation };
        (self.done, self.told) = (0, 0);
        self.renderer.start_split(split, items);
    }

    fn update_split(&mut self, items: usize) {
        self.done = items.div_ceil(self.batch_size.max(1));
        self.renderer.update_split(items);
    }

    fn end_split(&mut self) {
        self.renderer.end_split();
    }

    fn end(&mut self) {
        self.renderer.end();
    }

    fn log_event_training(&mut self, event: String) {
        if event != STEP {
            return self.renderer.log_event_training(event);
        }
        (self.told..self.done).for_each(|_| self.renderer.log_event_training(event.clone()));
        self.told = self.done;
    }
}

impl MetricsRendererTraining for Counted {
    fn update_train(&mut self, state: MetricState) {
        self.renderer.update_train(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.renderer.update_valid(state);
    }

    fn on_train_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn core::error::Error>> {
        self.renderer.on_train_end(summary)
    }
}

impl MetricsRenderer for Counted {
    fn manual_close(&mut self) {
        self.renderer.manual_close();
    }

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.renderer.register_metric(definition);
    }
}

// A training evaluates nothing.

impl MetricsRendererEvaluation for Counted {
    fn update_test(&mut self, name: EvaluationName, state: MetricState) {
        self.renderer.update_test(name, state);
    }
}

impl EvaluationProgressLogger for Counted {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Counts the steps that it is told of.
    #[derive(Clone, Default)]
    struct Steps(Arc<Mutex<usize>>);

    impl TrainingProgressLogger for Steps {
        fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
        fn update_epoch(&mut self, _: usize) {}
        fn start_split(&mut self, _: &str, _: usize) {}
        fn update_split(&mut self, _: usize) {}
        fn end_split(&mut self) {}
        fn end(&mut self) {}
        fn log_event_training(&mut self, _: String) {
            *self.0.lock().unwrap() += 1;
        }
    }

    impl MetricsRendererTraining for Steps {
        fn update_train(&mut self, _: MetricState) {}
        fn update_valid(&mut self, _: MetricState) {}
    }

    impl MetricsRendererEvaluation for Steps {
        fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
    }

    impl EvaluationProgressLogger for Steps {
        fn start_global_progress(&mut self, _: usize) {}
        fn start_test(&mut self, _: &str, _: usize) {}
        fn update_test_progress(&mut self, _: usize) {}
        fn end_test(&mut self) {}
        fn end_global_progress(&mut self) {}
        fn log_event_evaluation(&mut self, _: String) {}
    }

    impl MetricsRenderer for Steps {
        fn manual_close(&mut self) {}
        fn register_metric(&mut self, _: MetricDefinition) {}
    }

    #[test]
    fn every_step_is_counted_when_several_are_told_at_once() {
        let steps = Steps::default();
        let mut counted = Counted::new(Box::new(steps.clone()), [64, 256]);
        let mut told = |split: Option<&str>, items: usize| {
            split.iter().for_each(|split| counted.start_split(split, 3441));
            counted.update_split(items);
            counted.log_event_training(STEP.to_string());
            std::mem::take(&mut *steps.0.lock().unwrap())
        };
        assert_eq!(told(Some("Train"), 16 * 64), 16);
        assert_eq!(told(None, 32 * 64), 16);
        assert_eq!(told(None, 32 * 64 + 1), 1);
        assert_eq!(told(Some("Valid"), 360), 2);
        assert_eq!(told(Some("Train"), 64), 1);
    }
}
