//! Devices for the commands: drivers are asked and tried in processes of their own, so that none can take this one
//! down.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    device::{self, Available, Finding, Found, HAS_GPU_BACKENDS},
};

use crate::cli::output::{note, warn};

/// How long the drivers of one interface may take to say what they have.
const LOOKING: Duration = Duration::from_secs(15);

/// How long a device may take for a small computation, its kernels compiled.
const TESTING: Duration = Duration::from_secs(30);

/// The device called `name`, tested; a note about the choice goes to standard error.
pub fn choose(name: &str) -> Result<Found> {
    if let Some(remote) = Found::remote(name) {
        return Ok(remote);
    }
    let for_cpu = device::found_cpu();
    let found = if for_cpu.iter().any(|found| found.name == name) { for_cpu } else { found() };
    let choice = device::choose(&found, name, test)?;
    if let Some(text) = &choice.note {
        note(text);
    }
    Ok(choice.found)
}

/// The device for a command that uses what was trained: the CPU, unless `name` says otherwise.
pub fn open_for_results(name: Option<&str>) -> Result<Available> {
    match name {
        Some(name) => choose(name)?.open(),
        None => device::open_cpu("auto").unwrap_or_else(|| choose("auto")?.open()),
    }
}

/// Every device that can be found in time.
pub fn found() -> Vec<Found> {
    if !HAS_GPU_BACKENDS {
        return device::found();
    }
    let mut found = Vec::new();
    let Ok(mut child) = start(&[]) else { return device::arranged(device::found_cpu()) };
    let (send, lines) = mpsc::channel();
    let stdout = child.stdout.take().expect("it is piped");
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            let _ = send.send(line);
        }
    });
    let mut asked = String::new();
    let ended = loop {
        match lines.recv_timeout(LOOKING) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(Finding::Asking(api)) => asked = api,
                Ok(Finding::Found(device)) => found.push(device),
                Err(_) => {} // a driver may print, too
            },
            Err(RecvTimeoutError::Disconnected) => break wait(&mut child, Duration::from_secs(2)),
            Err(RecvTimeoutError::Timeout) => break Err(format!("did not answer in {} s", LOOKING.as_secs())),
        }
    };
    end(child);
    if let Err(reason) = ended {
        warn(&format!("the {asked} driver {reason} when it was asked for its devices, and is not used"));
        found.retain(|device| device.api != asked);
    }
    device::arranged(found)
}

/// Has a device compute something small.
fn test(found: &Found) -> std::result::Result<(), String> {
    if !found.is_gpu() {
        return Ok(());
    }
    let device = serde_json::to_string(found).expect("a device is JSON");
    let mut child = start(&[&device]).map_err(|error| format!("cannot be tested: {error}"))?;
    let mut errors = child.stderr.take().expect("it is piped");
    let said = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = errors.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let ended = wait(&mut child, TESTING);
    end(child);
    let Err(reason) = ended else { return Ok(()) };
    // What went wrong is in the first line that says so; a driver that hangs says nothing.
    let said = if reason.starts_with("did not") { String::new() } else { said.join().unwrap_or_default() };
    let error = said.lines().find_map(|line| line.strip_prefix("error: "));
    Err(match error {
        Some(error) => format!("failed a small computation: {error}"),
        None => format!("{reason} in a small computation"),
    })
}

/// This program again, as `ae probe`.
fn start(args: &[&str]) -> std::io::Result<Child> {
    let program = std::env::current_exe()?;
    Command::new(program)
        .arg("probe")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Waits for a process to end well; else how it ended.
fn wait(child: &mut Child, patience: Duration) -> std::result::Result<(), String> {
    let began = Instant::now();
    while began.elapsed() < patience {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) => return Err("crashed".to_string()),
            Ok(None) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(format!("cannot be watched: {error}")),
        }
    }
    Err(format!("did not answer in {} s", patience.as_secs()))
}

fn end(mut child: Child) {
    let _ = child.kill();
    // A process that sits in its driver may not even be killed: somebody else waits for it.
    thread::spawn(move || child.wait());
}
