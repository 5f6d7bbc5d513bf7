//! The arguments of a training in several processes, and its launcher on one machine.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use burn::train::Interrupter;
use clap::{Args, ValueHint};

use crate::{
    Error, Result,
    cli::{
        output::{note, status},
        signals,
    },
    peers::Peers,
    remote::{self, Client, TOKEN},
};

/// How a training is divided among processes.
#[derive(Debug, Clone, Default, Args)]
pub struct PeerArgs {
    /// Train in this many processes on this machine, each with its part of every batch.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(conflicts_with_all = ["join", "rank", "of"])]
    pub processes: Option<u16>,
    /// Train in a process for each of these devices, separated by commas: names of `ae devices`, or ws://HOST:PORT of
    /// an `ae worker`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    #[arg(conflicts_with_all = ["join", "rank", "of", "processes", "device"])]
    pub devices: Vec<String>,
    /// Train with the other processes that `ae gather` serves at this address.
    #[arg(long, value_name = "HOST:PORT", requires_all = ["rank", "of"])]
    pub join: Option<String>,
    /// The number of this process, from 0; the first one writes the run, the others write nothing.
    #[arg(long, value_name = "R", requires = "join")]
    pub rank: Option<u16>,
    /// Number of processes.
    #[arg(long, value_name = "N", requires = "join", value_parser = clap::value_parser!(u16).range(1..))]
    pub of: Option<u16>,
    /// Seconds that the processes of --processes or --devices wait for each other in a step. Default: 60.
    #[arg(long, value_name = "SECONDS", conflicts_with = "join", value_parser = clap::value_parser!(u64).range(1..))]
    pub patience: Option<u64>,
    /// File with the token of `ae gather`; by default that of the environment variable AE_TOKEN.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "join")]
    pub token_file: Option<PathBuf>,
}

impl PeerArgs {
    /// In how many processes to train, if this one only starts them.
    pub fn launches(&self) -> Option<u16> {
        match self.devices.len() {
            0 => self.processes,
            count => u16::try_from(count).ok(),
        }
    }

    /// Whether this process is not the first one, which writes the run.
    pub fn is_helper(&self) -> bool {
        self.rank.is_some_and(|rank| rank > 0)
    }

    /// The connection to the other processes, if there are any.
    pub fn connect(&self, interrupter: &Interrupter) -> Result<Option<Peers>> {
        let (Some(address), Some(rank), Some(of)) = (&self.join, self.rank, self.of) else { return Ok(None) };
        if rank >= of {
            return Err(Error::Usage(format!(
                "`--rank {rank}` of {of} processes: the ranks are 0 to {}",
                of.saturating_sub(1)
            )));
        }
        let token = token(self.token_file.as_deref())?;
        let client = Client::connect(address, token.as_deref(), interrupter.clone())?;
        Ok(Some(Peers { rank: rank.into(), of: of.into(), connection: Arc::new(client) }))
    }
}

/// The token of a file, or else of the environment.
pub fn token(file: Option<&Path>) -> Result<Option<String>> {
    let Some(file) = file else { return remote::token() };
    let text = fs::read_to_string(file).map_err(|error| Error::at("read", file, error))?;
    let token = text.trim().to_string();
    match token.is_empty() {
        true => Err(Error::Usage(format!("{}: the file of the token is empty", file.display()))),
        false => Ok(Some(token)),
    }
}

/// How long the first process may go on when another one has failed.
const GRACE: Duration = Duration::from_secs(15);
/// How long the first process may save after Ctrl-C.
const SAVING: Duration = Duration::from_secs(4);
/// How often it is looked whether the processes have ended.
const LOOK: Duration = Duration::from_millis(20);

/// A socket on this address, where it is, and the token; only this machine may be without one.
pub fn listen(address: &str, token_file: Option<&Path>) -> Result<(TcpListener, SocketAddr, Option<String>)> {
    let token = token(token_file)?;
    let cannot = |error: std::io::Error| Error::Failed(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(cannot)?;
    let found = listener.local_addr().map_err(cannot)?;
    if token.is_none() && !found.ip().is_loopback() {
        return Err(Error::Usage(format!(
            "others can reach {found}, so it needs a token: set the environment variable {TOKEN}, or \
             `--token-file FILE`"
        )));
    }
    Ok((listener, found, token))
}

/// What others write for this address.
pub fn reached(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("HOST:{}", address.port()),
        false => address.to_string(),
    }
}

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
    let token = remote::token()?.unwrap_or_else(|| format!("{:016x}{:016x}", seed(), seed()));
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
    status(&format!("{processes} processes with {threads} of the threads each, over {address}"));

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
