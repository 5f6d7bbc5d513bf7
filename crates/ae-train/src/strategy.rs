//! The order of a training's steps, for Burn's Learner.

use ae_model::{ModuleCode, ModuleDecoder, ModuleEncoder};
use burn::{
    module::Module,
    tensor::Device,
    train::{
        EventProcessorTraining, InferenceStep, Learner, LearnerEvent, SupervisedLearningStrategy,
        SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem, ValidLoader,
    },
};

use crate::step::Trainee;

/// Trains and validates on one device, without autodiff.
///
/// The order is that of Burn's own strategy for one device, but the metrics are told of [several
/// steps](ae_model::train::StepOutput::due) at once. They have a thread of their own, which takes some 40 microseconds
/// of a core for each item: on two cores that was a tenth of a step of 0.2 ms.
pub struct OneDevice(pub Device);

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> SupervisedLearningStrategy<Trainee<E, D, C>> for OneDevice {
    fn fit(
        &self,
        components: TrainingComponents<Trainee<E, D, C>>,
        mut learner: Learner<Trainee<E, D, C>>,
        train: TrainLoader<Trainee<E, D, C>>,
        validation: ValidLoader<Trainee<E, D, C>>,
        starting_epoch: usize,
    ) -> (Trainee<E, D, C>, SupervisedTrainingEventProcessor<Trainee<E, D, C>>) {
        let TrainingComponents {
            num_epochs,
            mut checkpointer,
            interrupter,
            mut early_stopping,
            event_processor: mut metrics,
            event_store,
            ..
        } = components;
        let device = self.0.clone().autodiff();
        let (train, validation) = (train.to_device(&device), validation.to_device(&self.0));
        learner.fork(&device);
        for epoch in starting_epoch..=num_epochs {
            let mut event = |event| interrupter.fail_on_error(metrics.process_train(event));
            event(LearnerEvent::StartSplit { epoch_number: epoch, total_items: train.num_items() });
            let mut batches = train.iter();
            for iteration in 1.. {
                let Some(batch) = batches.next() else { break };
                let Ok(batch) = batch.map_err(|error| interrupter.fail(error)) else { break };
                let progress = batches.progress();
                let output = learner.train_step(batch);
                learner.lr_step();
                learner.optimizer_step(output.grads);
                if let Some(item) = output.item.due() {
                    let rate = learner.lr_current();
                    event(LearnerEvent::ProcessedItem(TrainingItem::new(item, progress, Some(iteration), Some(rate))));
                }
                if interrupter.should_stop() {
                    break;
                }
            }
            if interrupter.should_stop() {
                event(LearnerEvent::EndSplit(epoch));
                break;
            }

            let model = learner.model().valid();
            let mut batches = validation.iter();
            let mut measured = || {
                let batch = batches.next()?.map_err(|error| interrupter.fail(error)).ok()?;
                Some((InferenceStep::step(&model, batch), batches.progress()))
            };
            // Before the end of the training steps is told, which waits until the metrics have seen the last one.
            let mut next = measured();
            event(LearnerEvent::EndSplit(epoch));
            let mut event = |event| interrupter.fail_on_error(metrics.process_valid(event));
            event(LearnerEvent::StartSplit { epoch_number: epoch, total_items: validation.num_items() });
            for iteration in 1.. {
                let Some((output, progress)) = next else { break };
                if let Some(item) = output.due() {
                    event(LearnerEvent::ProcessedItem(TrainingItem::new(item, progress, Some(iteration), None)));
                }
                if interrupter.should_stop() {
                    break;
                }
                next = measured();
            }
            event(LearnerEvent::EndSplit(epoch));
            interrupter.fail_on_error(metrics.process_train(LearnerEvent::EndEpoch(epoch)));
            // Whether an epoch is the best one, and whether to go on, depends on its metrics.
            interrupter.fail_on_error(metrics.flush());
            if interrupter.should_stop() {
                break;
            }
            if let Some(checkpointer) = &mut checkpointer {
                checkpointer.checkpoint(&learner, epoch, &event_store);
            }
            if early_stopping.as_mut().is_some_and(|stopping| stopping.should_stop(epoch, &event_store)) {
                break;
            }
        }
        (learner.model(), metrics)
    }
}
