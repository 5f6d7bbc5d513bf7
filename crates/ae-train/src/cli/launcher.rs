//! Starts the processes of a training on one machine.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use burn::train::Interrupter;

use super::peers::PeerArgs;
use crate::{
    Error, Result,
    cli::{
        output::{note, status},
        signals,
    },
    remote::{self, TOKEN},
};

/// How long the first process may go on when another one has failed.
const GRACE: Duration = Duration::from_secs(15);
/// How long the first process may save after Ctrl-C.
const SAVING: Duration = Duration::from_secs(4);
/// How often it is looked whether the processes have ended.
const LOOK: Duration = Duration::from_millis(20);

/// Processes that end with this one.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Trains in `processes` processes, each on its device if there are `devices`, with the arguments that this program was
/// called with. Returns the exit status of the first one.
pub fn launch(processes: u16, PeerArgs { devices, patience, .. }: &PeerArgs) -> Result<i32> {
    let failed = |error: std::io::Error| Error::Failed(format!("cannot start the processes: {error}"));
    let program = env::current_exe().map_err(failed)?;
    let threads = (thread::available_parallelism().map_or(1, usize::from) / usize::from(processes)).max(1);
    // That of a person is also for the workers; nobody else of this machine knows the other one.
    let token = remote::token(None)?.unwrap_or_else(|| format!("{:016x}{:016x}", seed(), seed()));
    let command = || {
        let mut command = Command::new(&program);
        command.env(TOKEN, &token).stdin(Stdio::null());
        command
    };
    let patience = patience.unwrap_or(60).to_string();
    let mut gather = apart(&mut command())
        .args(["gather", "--listen", "127.0.0.1:0", "--of", &processes.to_string(), "--patience", &patience])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut line = String::new();
    let said = gather.stdout.take().map(BufReader::new).map(|mut said| said.read_line(&mut line).map(|_| said));
    let mut children = Children(vec![gather]);
    let _said = said.transpose().map_err(failed)?;
    let address = line.trim().strip_prefix("listening on ").unwrap_or_default().to_string();
    if address.is_empty() {
        return Err(Error::Failed("`ae gather` did not start".to_string()));
    }
    status(&format!(
        "{processes} processes with {threads} of the threads each, over {address}; each needs the memory that the \
         first one says"
    ));

    let arguments = arguments(env::args_os().skip(1));
    let of = |rank: u16| {
        let mut command = command();
        let (place, rank, of) = (usize::from(rank), rank.to_string(), processes.to_string());
        command.args(&arguments).args(["--join", &address, "--rank", &rank, "--of", &of]);
        if let Some(device) = devices.get(place) {
            command.args(["--device", device]);
        }
        // What a person has set is not changed.
        if env::var_os("RAYON_NUM_THREADS").is_none() {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        command
    };
    for rank in 1..processes {
        let child = apart(&mut of(rank)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(failed)?;
        // Only what went wrong is worth saying: the first process says everything else.
        let said = child.stderr.take();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = said.map(|mut said| said.read_to_string(&mut text));
            text.lines()
                .filter(|line| line.starts_with("error:"))
                .for_each(|line| note(&format!("rank {rank}: {line}")));
        });
        children.0.push(child);
    }
    let mut first = of(0).spawn().map_err(failed)?;
    // Ctrl-C reaches the first process, too; this one waits until that has saved what it can.
    let interrupter = Interrupter::new();
    signals::training(&interrupter, "");
    let mut stopped: Option<Instant> = None;
    let mut lost: Option<Instant> = None;
    loop {
        if let Some(ended) = first.try_wait().map_err(failed)? {
            return Ok(ended.code().unwrap_or(1));
        }
        if interrupter.should_stop() && stopped.get_or_insert_with(Instant::now).elapsed() > SAVING {
            children.0.push(first);
            return Err(Error::Interrupted("interrupted; all processes were ended".to_string()));
        }
        // Before all have joined, the first process waits for one that could not even start. Afterwards it learns from
        // the server that another one is lost, which ends when all have left.
        let is_serving = children.0[0].try_wait().is_ok_and(|ended| ended.is_none());
        let failing = children
            .0
            .iter_mut()
            .any(|child| child.try_wait().is_ok_and(|ended| ended.is_some_and(|status| !status.success())));
        if is_serving && failing && lost.get_or_insert_with(Instant::now).elapsed() > GRACE {
            children.0.push(first);
            return Err(Error::Failed("another process of the training ended".to_string()));
        }
        thread::sleep(LOOK);
    }
}

/// The command in a process group of its own, which Ctrl-C in the terminal does not reach.
fn apart(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// Random bits of the system.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// The arguments without those that start processes.
fn arguments(all: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut kept, mut skips) = (Vec::new(), false);
    for argument in all {
        let text = argument.to_string_lossy();
        if std::mem::take(&mut skips) {
            continue;
        }
        let begins =
            |option: &str| text.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
        if let Some(option) = ["--processes", "--devices", "--patience"].into_iter().find(|option| begins(option)) {
            skips = text == option;
            continue;
        }
        kept.push(argument);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processes_get_the_same_arguments_but_for_their_number() {
        let of = |all: &[&str]| arguments(all.iter().map(OsString::from));
        let given: [&[&str]; 3] = [
            &["train", "--processes", "2", "-e", "3"],
            &["train", "--processes=2", "-e", "3"],
            &["train", "-e", "3", "--devices", "flex,flex"],
        ];
        for given in given {
            assert_eq!(of(given), ["train", "-e", "3"]);
        }
    }
}
