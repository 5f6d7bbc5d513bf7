//! What the processes of a training wait for: that all have joined, and that all have given their values of a step.
//!
//! Sums are in the order of the processes, so that a training gives the same bits whoever comes first. They are in
//! `f64`: the mean of values that are equal is that value.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::peers::{END, EPOCH_END, Greeting};

/// What a process gives in a step.
struct Part {
    step: usize,
    rows: usize,
    values: Vec<f32>,
}

/// The mean of a step.
pub type Mean = std::sync::Arc<(Vec<f32>, usize)>;

#[derive(Default)]
struct State {
    /// What the processes said when they joined.
    greetings: Vec<Option<Greeting>>,
    /// Those that are done.
    left: Vec<bool>,
    parts: Vec<Option<Part>>,
    /// Number of means so far, and the last one.
    rounds: u64,
    mean: Option<Mean>,
    /// Why the training has ended, if it has.
    broken: Option<String>,
}

/// The meeting point of the processes.
pub struct Reducer {
    of: usize,
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

impl Reducer {
    /// The meeting point of `of` processes, which wait at most `patience` for each other once all have joined.
    pub fn new(of: usize, patience: Duration) -> Self {
        let state = State {
            greetings: (0..of).map(|_| None).collect(),
            left: vec![false; of],
            parts: (0..of).map(|_| None).collect(),
            ..State::default()
        };
        Self { of, patience, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Ends the training of all.
    fn end(&self, state: &mut State, reason: String) -> String {
        let reason = state.broken.get_or_insert(reason).clone();
        self.changed.notify_all();
        reason
    }

    /// Whether all processes have left; of a training that cannot go on, all that had joined.
    pub fn is_over(&self) -> bool {
        let state = self.lock();
        let is_gone = |rank: usize| state.left[rank] || state.greetings[rank].is_none() && state.broken.is_some();
        (0..self.of).all(is_gone)
    }

    /// Why the training ended before its end, if it did.
    pub fn reason(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// A process takes its place.
    ///
    /// # Errors
    /// What is wrong with it, or with another one; a sentence.
    pub fn join(&self, greeting: Greeting) -> Result<(), String> {
        let mut state = self.lock();
        if let Some(reason) = &state.broken {
            return Err(reason.clone());
        }
        let rank = greeting.rank;
        if greeting.of != self.of {
            return Err(format!(
                "this training has {} processes (`ae gather --of {}`), not {}",
                self.of, self.of, greeting.of
            ));
        }
        if rank >= self.of {
            return Err(format!(
                "there is no rank {rank}: the ranks of {} processes are 0 to {}",
                self.of,
                self.of - 1
            ));
        }
        if state.greetings[rank].is_some() {
            return Err(format!("rank {rank} has joined already: each process has another `--rank`"));
        }
        let other = state.greetings.iter().flatten().next();
        if let Some(reason) = other.and_then(|other| difference(other, &greeting)) {
            // Who came first is not wrong for that, but cannot go on either.
            return Err(self.end(&mut state, reason));
        }
        state.greetings[rank] = Some(greeting);
        Ok(())
    }

    /// Whether all processes have joined.
    ///
    /// # Errors
    /// The training cannot go on; a sentence.
    pub fn is_complete(&self) -> Result<bool, String> {
        let state = self.lock();
        match &state.broken {
            Some(reason) => Err(reason.clone()),
            None => Ok(state.greetings.iter().all(Option::is_some)),
        }
    }

    /// The mean of the values that all processes give in a step, weighted by their rows, and the number of rows.
    ///
    /// # Errors
    /// A process is missing, or gives something else; a sentence.
    pub fn mean(&self, rank: usize, step: usize, rows: usize, values: Vec<f32>) -> Result<Mean, String> {
        let mut state = self.lock();
        if let Some(reason) = &state.broken {
            return Err(reason.clone());
        }
        if state.greetings.get(rank).is_none_or(Option::is_none) || state.parts[rank].is_some() {
            return Err(self.end(&mut state, format!("rank {rank} gave values of a step that is not its turn")));
        }
        if let Some(done) = state.left.iter().position(|left| *left) {
            let reason = format!("rank {done} ended its training before {} of rank {rank}", named(step));
            return Err(self.end(&mut state, reason));
        }
        let other = state.parts.iter().flatten().next();
        if let Some(other) = other
            && (other.step, other.values.len()) != (step, values.len())
        {
            let reason = format!(
                "rank {rank} is at {} with {} values, and another process at {} with {}",
                named(step),
                values.len(),
                named(other.step),
                other.values.len()
            );
            return Err(self.end(&mut state, reason));
        }
        state.parts[rank] = Some(Part { step, rows, values });
        let round = state.rounds;
        if state.parts.iter().all(Option::is_some) {
            let parts: Vec<Part> = state.parts.iter_mut().filter_map(Option::take).collect();
            state.mean = Some(std::sync::Arc::new(mean_of(parts)));
            state.rounds += 1;
            self.changed.notify_all();
        }
        let until = Instant::now() + self.patience;
        while state.rounds == round && state.broken.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let missing = state.parts.iter().position(Option::is_none).unwrap_or_default();
                let reason = format!(
                    "rank {missing} did not come to {} within {} s (`ae gather --patience`)",
                    named(step),
                    self.patience.as_secs()
                );
                state.parts[rank] = None;
                return Err(self.end(&mut state, reason));
            }
            state = self.wait(state, left);
        }
        if state.rounds == round {
            state.parts[rank] = None;
            return Err(state.broken.clone().unwrap_or_default());
        }
        Ok(state.mean.clone().expect("a round has a mean"))
    }

    /// A process is done, or gives up.
    pub fn leave(&self, rank: usize) {
        let mut state = self.lock();
        if let Some(left) = state.left.get_mut(rank) {
            *left = true;
        }
        // Somebody waits for it.
        if let Some(part) = state.parts.iter().flatten().next() {
            let reason = format!("rank {rank} ended its training before {}", named(part.step));
            self.end(&mut state, reason);
        }
        self.changed.notify_all();
    }

    /// The connection to a process that joined was closed. If it has not left, the others do not wait for it; before
    /// all have joined, another one can take its place.
    pub fn lost(&self, rank: usize) {
        let mut state = self.lock();
        if state.left[rank] {
            return;
        }
        if state.greetings.iter().all(Option::is_some) || state.broken.is_some() {
            state.left[rank] = true;
            self.end(&mut state, format!("the connection to rank {rank} was lost"));
        } else {
            state.greetings[rank] = None;
        }
    }
}

/// What a step is called.
fn named(step: usize) -> String {
    match step {
        END => "the end of its training".to_string(),
        EPOCH_END => "the end of an epoch".to_string(),
        step => format!("step {}", step + 1),
    }
}

/// What two processes say differently, in a sentence.
fn difference(one: &Greeting, other: &Greeting) -> Option<String> {
    let [a, b] = [one.rank, other.rank];
    if one.version != other.version {
        return Some(format!("rank {a} is {} and rank {b} is {}", one.version, other.version));
    }
    let paths = one.config.keys().chain(other.config.keys());
    let of =
        |greeting: &Greeting, path: &str| greeting.config.get(path).cloned().unwrap_or_else(|| "not set".to_string());
    if let Some(path) = paths.into_iter().find(|path| one.config.get(*path) != other.config.get(*path)) {
        return Some(format!(
            "`{path}` is {} in rank {a} and {} in rank {b}: all processes need the same settings",
            of(one, path),
            of(other, path)
        ));
    }
    if one.data == other.data && one.layout != other.layout {
        return Some(format!(
            "rank {a} and rank {b} have the same rows in files of another kind or with another `--stream`, and so in \
             another order: all processes need the same files"
        ));
    }
    if one.data != other.data {
        return Some(format!("rank {a} and rank {b} have other data: all processes need the same rows"));
    }
    (one.steps != other.steps).then(|| {
        format!(
            "rank {a} begins after {} steps and rank {b} after {}: resume all of them from the same run folder",
            one.steps, other.steps
        )
    })
}

/// The mean of the parts, weighted by their rows, and the number of rows.
fn mean_of(parts: Vec<Part>) -> (Vec<f32>, usize) {
    let rows: usize = parts.iter().map(|part| part.rows).sum();
    // Without any rows all count alike.
    let weight = |part: &Part| match rows {
        0 => 1.0 / parts.len() as f64,
        rows => part.rows as f64 / rows as f64,
    };
    let mut sums = vec![0.0f64; parts[0].values.len()];
    for part in &parts {
        let weight = weight(part);
        // A part without rows has no values that count, be they infinite.
        if weight > 0.0 {
            sums.iter_mut().zip(&part.values).for_each(|(sum, value)| *sum += f64::from(*value) * weight);
        }
    }
    (sums.into_iter().map(|sum| sum as f32).collect(), rows)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    fn greeting(rank: usize, of: usize) -> Greeting {
        let config = [("training.epochs".to_string(), "3".to_string())].into_iter().collect();
        Greeting { version: "1".to_string(), rank, of, config, data: "d".to_string(), layout: String::new(), steps: 0 }
    }

    /// Joins, and waits for the others.
    fn wait(reducer: &Reducer, greeting: Greeting) -> Result<(), String> {
        reducer.join(greeting)?;
        while !reducer.is_complete()? {
            thread::yield_now();
        }
        Ok(())
    }

    /// What each of the processes does, in threads of their own.
    fn together<T: Send + 'static>(
        reducer: &Arc<Reducer>,
        of: usize,
        work: impl Fn(&Reducer, usize) -> T + Copy + Send + 'static,
    ) -> Vec<T> {
        let threads: Vec<_> = (0..of)
            .map(|rank| {
                let reducer = reducer.clone();
                thread::spawn(move || work(&reducer, rank))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }

    #[test]
    fn all_get_the_mean_weighted_by_rows() {
        let reducer = Arc::new(Reducer::new(3, Duration::from_secs(20)));
        assert!(together(&reducer, 3, |reducer, rank| wait(reducer, greeting(rank, 3))).iter().all(Result::is_ok));
        for step in 0..50 {
            let means = together(&reducer, 3, move |reducer, rank| {
                // The last one has no rows, and values that must not count.
                let (rows, value) = [(1, 1.0), (3, 2.0), (0, f32::NAN)][rank];
                reducer.mean(rank, step, rows, vec![value, 0.1]).unwrap()
            });
            assert!(means.iter().all(|mean| **mean == (vec![1.75, 0.1], 4)));
        }
        together(&reducer, 3, |reducer, rank| reducer.leave(rank));
        assert!(reducer.is_over() && reducer.reason().is_none());
    }

    #[test]
    fn equal_values_stay_as_they_are() {
        let values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 10f32.powi(i % 30 - 15)).collect();
        let parts = [3, 7, 5].map(|rows| Part { step: 0, rows, values: values.clone() });
        assert_eq!(mean_of(parts.into()).0, values);
    }

    #[test]
    fn who_does_not_fit_is_refused_in_a_sentence() {
        let reducer = Reducer::new(2, Duration::from_secs(20));
        assert!(reducer.join(greeting(0, 3)).unwrap_err().contains("--of 2"));
        assert!(reducer.join(greeting(2, 2)).unwrap_err().contains("0 to 1"));
        let first = |change: fn(&mut Greeting)| {
            let reducer = Arc::new(Reducer::new(2, Duration::from_secs(20)));
            let other = reducer.clone();
            let waiting = thread::spawn(move || wait(&other, greeting(0, 2)));
            while reducer.lock().greetings[0].is_none() {
                thread::yield_now();
            }
            let mut second = greeting(1, 2);
            change(&mut second);
            let refused = reducer.join(second).unwrap_err();
            if reducer.reason().is_some() {
                assert_eq!(waiting.join().unwrap().unwrap_err(), refused, "the one that waits is told, too");
            } else {
                reducer.join(greeting(1, 2)).unwrap();
                waiting.join().unwrap().unwrap();
            }
            refused
        };
        assert!(first(|second| second.rank = 0).contains("joined already"));
        assert!(first(|second| second.version = "2".to_string()).contains("rank 0 is 1 and rank 1 is 2"));
        assert!(first(|second| second.data = "e".to_string()).contains("other data"));
        assert!(first(|second| second.layout = "e".to_string()).contains("another order"));
        assert!(first(|second| second.steps = 9).contains("after 0 steps and rank 1 after 9"));
        let refused = first(|second| drop(second.config.insert("seed".to_string(), "4".to_string())));
        assert!(refused.contains("`seed` is not set in rank 0 and 4 in rank 1"), "{refused}");
    }

    #[test]
    fn nobody_waits_for_ever() {
        let begun = |patience| {
            let reducer = Arc::new(Reducer::new(2, Duration::from_millis(patience)));
            assert!(together(&reducer, 2, |reducer, rank| wait(reducer, greeting(rank, 2))).iter().all(Result::is_ok));
            reducer
        };
        // One that does not come, one that leaves, and one whose connection is lost.
        let late = begun(50).mean(0, 4, 1, vec![1.0]).unwrap_err();
        assert!(late.contains("rank 1 did not come to step 5"), "{late}");
        for (end, said) in [(0, "rank 1 ended"), (1, "connection to rank 1")] {
            let reducer = begun(60_000);
            let other = reducer.clone();
            let waiting = thread::spawn(move || other.mean(0, 4, 1, vec![1.0]));
            while reducer.lock().parts[0].is_none() {
                thread::yield_now();
            }
            if end == 0 {
                reducer.leave(1)
            } else {
                reducer.lost(1)
            }
            let reason = waiting.join().unwrap().unwrap_err();
            assert!(reason.contains(said), "{reason}");
            assert!(reducer.mean(0, 4, 1, vec![1.0]).is_err() && !reducer.is_over(), "rank 0 has not left");
            reducer.leave(0);
            assert!(reducer.is_over());
        }
        // Before all have joined another one can take the place.
        let reducer = Arc::new(Reducer::new(2, Duration::from_secs(20)));
        let other = reducer.clone();
        thread::spawn(move || wait(&other, greeting(1, 2)));
        while reducer.lock().greetings[1].is_none() {
            thread::yield_now();
        }
        reducer.lost(1);
        assert!(together(&reducer, 2, |reducer, rank| wait(reducer, greeting(rank, 2))).iter().all(Result::is_ok));
        // Other steps, or other parameters.
        let reducer = begun(60_000);
        let other = reducer.clone();
        let waiting = thread::spawn(move || other.mean(0, 4, 1, vec![1.0]));
        while reducer.lock().parts[0].is_none() {
            thread::yield_now();
        }
        assert!(reducer.mean(1, 5, 1, vec![1.0]).unwrap_err().contains("step 6"));
        assert!(waiting.join().unwrap().is_err());
    }
}
