//! The number of steps on Burn's dashboard.

use burn::train::{
    LearnerSummary,
    logger::TrainingProgressLogger,
    metric::MetricDefinition,
    renderer::{MetricState, MetricsRenderer, MetricsRendererTraining},
};

/// What Burn calls a step.
const STEP: &str = "Iteration";

/// A renderer that is told of each step. Burn tells it of each item that the metrics are told of, which can be several
/// steps: see [`OneDevice`](crate::strategy::OneDevice).
pub struct StepCounter {
    renderer: Box<dyn MetricsRenderer>,
    /// Of training and of validation.
    batch_sizes: [usize; 2],
    count: Count,
}

/// The steps of a pass over the rows.
struct Count {
    batch_size: usize,
    /// Those that the renderer was told of.
    told: usize,
}

impl StepCounter {
    /// For batches of these sizes, in training and in validation.
    pub fn new(renderer: Box<dyn MetricsRenderer>, batch_sizes: [usize; 2]) -> Self {
        Self { renderer, batch_sizes, count: Count::new(batch_sizes[0]) }
    }
}

impl Count {
    fn new(batch_size: usize) -> Self {
        Self { batch_size: batch_size.max(1), told: 0 }
    }

    /// The number of steps since the last call, if this many rows are done now.
    fn new_steps(&mut self, rows: usize) -> usize {
        let done = rows.div_ceil(self.batch_size);
        let steps = done.saturating_sub(self.told);
        self.told = done;
        steps
    }
}

impl TrainingProgressLogger for StepCounter {
    fn start(&mut self, epochs: usize, first: usize, items: Option<usize>, label: Option<&str>) {
        self.renderer.start(epochs, first, items, label);
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.renderer.update_epoch(epoch);
    }

    fn start_split(&mut self, split: &str, items: usize) {
        let [training, validation] = self.batch_sizes;
        self.count = Count::new(if split.eq_ignore_ascii_case("train") { training } else { validation });
        self.renderer.start_split(split, items);
    }

    /// Tells of the steps that these rows are.
    fn update_split(&mut self, items: usize) {
        (0..self.count.new_steps(items)).for_each(|_| self.renderer.log_event_training(STEP.to_string()));
        self.renderer.update_split(items);
    }

    fn end_split(&mut self) {
        self.renderer.end_split();
    }

    fn end(&mut self) {
        self.renderer.end();
    }

    fn log_event_training(&mut self, event: String) {
        // Burn tells of one for each item of the metrics.
        if event != STEP {
            self.renderer.log_event_training(event);
        }
    }
}

impl MetricsRendererTraining for StepCounter {
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

impl MetricsRenderer for StepCounter {
    fn manual_close(&mut self) {
        self.renderer.manual_close();
    }

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.renderer.register_metric(definition);
    }
}

ae_model::renders_no_evaluation!(StepCounter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_counted_when_several_are_told_at_once() {
        let mut count = Count::new(64);
        // The last batch has one row.
        assert_eq!([16 * 64, 32 * 64, 32 * 64 + 1].map(|rows| count.new_steps(rows)), [16, 16, 1]);
        assert_eq!(count.new_steps(32 * 64 + 1), 0);
    }
}
