//! How the program ends before its work is done: by a signal, or because a thread of a backend panicked. Nothing may
//! hang.
//!
//! A signal while a network trains asks Burn to stop after the step at hand; a second one, or one in any other phase,
//! ends the program at once, and so does a step that does not end in time. Drivers have exit handlers that wait for
//! threads that no longer answer, so the end is `_exit`: whole epochs are on the disk, and nothing else is worth
//! keeping.
//!
//! A panic in a thread of a backend may leave everybody else waiting for it, or Burn may recover from it. So the panic
//! is remembered, and the program ends if the work has not gone on for a while.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::PanicHookInfo,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{Error, Result};
use ae_data::caught;
use burn::train::Interrupter;

use crate::cli::{bar, output::say};

/// How long a step may go on once somebody has asked for the end.
const STEP: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(5) };

/// How long the work may stand still after a panic in another thread.
const STANDSTILL: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(20) };

/// Exit status of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// What is going on.
struct State {
    /// What stops the training, while one is going on.
    training: Option<Interrupter>,
    /// What to do to go on with the work.
    advice: String,
    /// The first panic that nobody expected.
    panic: Option<String>,
}

static STATE: Mutex<State> = Mutex::new(State { training: None, advice: String::new(), panic: None });

/// How often work has gone on.
static BEATS: AtomicUsize = AtomicUsize::new(0);

/// Some part of the work is done: it goes on.
pub fn beat() {
    BEATS.fetch_add(1, Ordering::Relaxed);
}

fn beats() -> usize {
    BEATS.load(Ordering::Relaxed)
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on signals and panics end the program as described.
///
/// # Errors
/// A system that does not let a program listen for signals.
pub fn watch() -> Result<()> {
    std::panic::set_hook(Box::new(panicked));
    ctrlc::set_handler(interrupted).map_err(|error| Error::Failed(format!("cannot listen for Ctrl-C: {error}")))
}

/// A training begins: the first signal stops it with `interrupter`, between two steps. `advice` says how to go on with
/// it.
pub fn training(interrupter: &Interrupter, advice: &str) {
    let mut state = state();
    (state.training, state.advice) = (Some(interrupter.clone()), advice.to_string());
}

/// The training is over: the next signal ends the program at once. `advice` says how to go on.
pub fn after_training(advice: &str) {
    let mut state = state();
    (state.training, state.advice) = (None, advice.to_string());
}

fn interrupted() {
    let training = state().training.clone();
    match training {
        Some(interrupter) if !interrupter.should_stop() => {
            interrupter.stop(Some("Ctrl-C"));
            thread::spawn(|| {
                thread::sleep(STEP);
                end(INTERRUPTED, &format!("interrupted in a step that did not end within {} s", STEP.as_secs()));
            });
        }
        _ => end(INTERRUPTED, "interrupted"),
    }
}

/// Says one line and ends the program, whatever its threads do.
fn end(status: i32, what: &str) -> ! {
    let advice = match &state().advice {
        advice if advice.is_empty() => String::new(),
        advice => format!("; {advice}"),
    };
    leave_dashboard();
    bar::clear();
    say(&format!("error: {what}{advice}"));
    exit(status)
}

#[cfg(unix)]
fn exit(status: i32) -> ! {
    signal_hook::low_level::exit(status)
}

#[cfg(not(unix))]
fn exit(status: i32) -> ! {
    std::process::exit(status)
}

/// Gives the terminal back, if Burn's dashboard has it.
fn leave_dashboard() {
    use crossterm::{cursor, event, execute, terminal};
    if terminal::is_raw_mode_enabled().unwrap_or_default() {
        let _ = terminal::disable_raw_mode();
        let _ = execute!(std::io::stdout(), event::DisableMouseCapture, terminal::LeaveAlternateScreen, cursor::Show);
    }
}

fn panicked(info: &PanicHookInfo) {
    if caught::expected() {
        return;
    }
    let place =
        info.location().map(|location| format!(" ({}:{})", location.file(), location.line())).unwrap_or_default();
    let message = info.payload_as_str().unwrap_or("no message").lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        say(&format!("{message}{place}\n{backtrace}"));
    }
    state().panic.get_or_insert_with(|| format!("{message}{place}"));
    if thread::current().name() != Some("main") {
        let before = beats();
        thread::spawn(move || stands_still(before));
    }
}

/// Ends the program if the work does not go on.
fn stands_still(before: usize) {
    thread::sleep(STANDSTILL);
    if beats() == before {
        end(1, &failure());
    }
}

/// What the first panic said.
fn failure() -> String {
    let panic = state().panic.clone().unwrap_or_else(|| "no reason was given".to_string());
    format!("the program failed inside: {panic}")
}

/// The result of `work`, whose panics are errors.
///
/// # Errors
/// Those of `work`; a panic.
pub fn guarded(work: impl FnOnce() -> Result<()>) -> Result<()> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(Ok(())) => Ok(()),
        // Burn says of a failed computation that it failed; the panic behind it says why.
        Ok(Err(error)) => Err(match &state().panic {
            Some(panic) if matches!(error, Error::Failed(_)) => Error::Failed(format!("{error}: {panic}")),
            _ => error,
        }),
        Err(payload) => {
            let advice = match &state().advice {
                advice if advice.is_empty() => String::new(),
                advice => format!("; {advice}"),
            };
            // Burn's dashboard ends a training at once by a panic of its own, which no hook sees.
            let is_killed =
                payload.downcast_ref::<&str>().is_some_and(|message| message.starts_with("Killing training"));
            Err(if is_killed {
                Error::Interrupted(format!("killed{advice}"))
            } else {
                Error::Failed(format!("{}{advice}", failure()))
            })
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        process::{Command, Output, Stdio},
        time::Instant,
    };

    use super::*;

    /// Says that this process is the child of a test, and what it is to do.
    const CHILD: &str = "AE_TEST_ENDING";

    /// What the child does: its main thread waits for something that never comes.
    #[test]
    fn child() {
        let Ok(what) = std::env::var(CHILD) else { return };
        watch().unwrap();
        match what.as_str() {
            "panic" => {
                after_training("go on like this");
                drop(thread::spawn(|| panic!("the driver\nis gone")));
            }
            "recovered" => {
                // Burn catches some of its own panics and goes on.
                let _ = thread::spawn(|| panic!("a kernel that cannot be")).join();
                for _ in 0..20 {
                    beat();
                    thread::sleep(STANDSTILL / 4);
                }
                exit(0);
            }
            "expected" => {
                let _ = thread::spawn(|| caught::caught(|| panic!("a damaged file"))).join();
                thread::sleep(2 * STANDSTILL);
                exit(0);
            }
            "step" => training(&Interrupter::new(), "go on like this"),
            _ => after_training("go on like this"),
        }
        println!("waiting");
        loop {
            thread::park();
        }
    }

    /// Runs the child, and sends it a signal once it waits.
    fn run(what: &str, signal: Option<&str>) -> (Output, Duration) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let (_, module) = module_path!().split_once("::").expect("a module of this crate");
        command.args(["--exact", &format!("{module}::child"), "--nocapture"]).env(CHILD, what);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(signal) = signal {
            thread::sleep(Duration::from_millis(500));
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        }
        let began = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("running 1 test"), "there is no such child");
        (output, began.elapsed())
    }

    fn errors(output: &Output) -> Vec<String> {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains("panicked at"), "{text}");
        text.lines().filter(|line| line.starts_with("error: ")).map(str::to_string).collect()
    }

    #[test]
    fn a_panic_in_another_thread_ends_a_program_that_waits_for_it() {
        let (output, _) = run("panic", None);
        assert_eq!(output.status.code(), Some(1));
        let errors = errors(&output);
        assert!(
            errors.len() == 1 && errors[0].contains("the driver is gone") && errors[0].ends_with("; go on like this"),
            "{errors:?}"
        );
    }

    #[test]
    fn a_panic_that_somebody_recovers_from_ends_nothing() {
        for what in ["recovered", "expected"] {
            let (output, _) = run(what, None);
            assert_eq!((output.status.code(), errors(&output).len()), (Some(0), 0), "{what}");
        }
    }

    #[test]
    fn a_signal_ends_the_program_at_once_and_a_training_soon() {
        for (what, signal) in [("measuring", "-TERM"), ("measuring", "-INT"), ("step", "-TERM")] {
            let (output, time) = run(what, Some(signal));
            assert_eq!(output.status.code(), Some(130), "{what} {signal}");
            assert!(time < Duration::from_secs(5), "{what} {signal}: {time:?}");
            let errors = errors(&output);
            assert!(errors.len() == 1 && errors[0].ends_with("; go on like this"), "{what} {signal}: {errors:?}");
        }
    }
}
