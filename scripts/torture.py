#!/usr/bin/env python3
"""Kills, damages and fills up runs, and says what came of it.

    cargo build -p ae-train
    python3 scripts/torture.py                 # everything, a few minutes
    python3 scripts/torture.py kills --times 200

Each part prints one line: what was done, how often, and how often it went wrong; the exit status is 1 if anything did. `AE` names another program
than target/debug/ae. `disks` mounts small file systems and needs root.
"""
import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AE = os.environ.get("AE") or str(ROOT / "target/debug/ae")
EPOCHS = ["--epochs", "40", "--seed", "3"]
RESUME = ["train", "--resume", "run"]


def ae(folder, arguments, **options):
    return subprocess.run([AE, *arguments], cwd=folder, capture_output=True, text=True, **options)


def start(folder, arguments):
    return subprocess.Popen([AE, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def weights(folder):
    return (folder / "run/model.safetensors").read_bytes()


def whole(place, settings=EPOCHS):
    """A run that nothing happened to."""
    folder = place / "whole"
    folder.mkdir()
    done = ae(folder, [*settings, "--out", "run"])
    assert done.returncode == 0, done.stderr
    return folder


def has_panicked(text):
    return "panicked" in text or "PANIC" in text or "backtrace" in text


def kills(place, times):
    """SIGKILL at random moments, of the start, of epochs, of checkpoints and of resuming; every run ends in the bytes of one that was never killed."""
    expected, wrong, runs, killed = weights(whole(place)), [], 0, 0
    while killed < times:
        folder = place / f"kills-{runs}"
        folder.mkdir()
        arguments = [*EPOCHS, "--out", "run"]
        for _ in range(random.randint(3, 12)):
            process = start(folder, arguments)
            time.sleep(random.choice([random.uniform(0, 0.1), random.uniform(0, 1.0)]))
            process.kill()
            said = process.communicate()[1]
            killed += 1
            if has_panicked(said):
                wrong.append(said)
            arguments = RESUME if (folder / "run/config.toml").exists() else arguments
        done = ae(folder, arguments)
        if done.returncode != 0 or weights(folder) != expected:
            wrong.append(f"{folder.name}: {done.returncode} {done.stderr[-300:]}")
        shutil.rmtree(folder)
        runs += 1
    return f"{killed} SIGKILLs in {runs} runs", wrong


def flips(place, times):
    """One bit of a record flipped before resuming; it is said, or the result is that of a run that was not damaged."""
    source, wrong = whole(place), []
    expected = weights(source)
    (source / "run/summary.json").unlink()
    records = sorted((source / "run/checkpoint").iterdir())
    last = max(int(re.search(r"-(\d+)\.", record.name)[1]) for record in records)
    of_last = [record for record in records if f"-{last}." in record.name]
    folder = place / "flips"
    for _ in range(times):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        record = folder / "run/checkpoint" / random.choice(of_last).name
        data = bytearray(record.read_bytes())
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        record.write_bytes(data)
        done = ae(folder, RESUME)
        if done.returncode != 0 or "is damaged" not in done.stderr or weights(folder) != expected:
            wrong.append(f"{record.name}: {done.returncode} {done.stderr[-300:]}")
    return f"{times} flipped bits of the last checkpoint", wrong


def pairs(place, times):
    """Two processes on one folder: one works, the other is refused, and the result is that of one alone."""
    expected, wrong = weights(whole(place)), []
    for count in range(times):
        folder = place / f"pairs-{count}"
        folder.mkdir()
        first = start(folder, [*EPOCHS, "--out", "run"])
        while not (folder / "run/config.toml").exists():
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.3))
        both = [start(folder, RESUME), start(folder, RESUME)]
        said = [process.communicate()[1] for process in [first, *both]]
        ended = [process.returncode for process in [first, *both]]
        refused = sum("another process is working" in text for text in said)
        if ended.count(0) + refused != 3 or ended.count(0) < 1 or any(map(has_panicked, said)) or weights(folder) != expected:
            wrong.append(f"{ended} {said}")
        shutil.rmtree(folder)
    return f"{times} times three processes on one folder", wrong


def signals(place, times):
    """SIGINT, SIGTERM and SIGHUP at random moments: exit status 130 (or 0 or the signal, before it listens), and the run goes on to the same bytes."""
    expected, wrong = weights(whole(place)), []
    for count in range(times):
        folder = place / f"signals-{count}"
        folder.mkdir()
        process = start(folder, [*EPOCHS, "--out", "run"])
        time.sleep(random.uniform(0, 1.2))
        which = random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        process.send_signal(which)
        said = process.communicate()[1]
        if process.returncode not in (130, 0, -which) or has_panicked(said):
            wrong.append(f"{which.name}: {process.returncode} {said[-300:]}")
        done = ae(folder, RESUME if (folder / "run/config.toml").exists() else [*EPOCHS, "--out", "run"])
        if done.returncode != 0 or weights(folder) != expected:
            wrong.append(f"{which.name}, resumed: {done.returncode} {done.stderr[-300:]}")
        shutil.rmtree(folder)
    return f"{times} signals", wrong


def closed(place, times):
    """Standard output and standard error closed at random moments: the training goes on."""
    expected, wrong = weights(whole(place)), []
    for count in range(times):
        folder = place / f"closed-{count}"
        folder.mkdir()
        process = subprocess.Popen([AE, *EPOCHS, "--out", "run"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(random.uniform(0, 0.5))
        process.stdout.close()
        process.stderr.close()
        if process.wait() != 0 or weights(folder) != expected:
            wrong.append(f"exit {process.returncode}")
        shutil.rmtree(folder)
    return f"{times} times both outputs closed", wrong


def disks(place, times):
    """A file system of a few hundred kilobytes: one line, no panic; with room again the run goes on to the same bytes."""
    expected, wrong = weights(whole(place)), []
    folder = place / "disk"
    folder.mkdir()
    for _ in range(times):
        size = random.randint(300, 2500)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)], check=True)
        try:
            done = ae(folder, [*EPOCHS, "--out", "run"])
            lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            if has_panicked(done.stderr) or done.returncode not in (0, 1) or (done.returncode == 1) != (len(lines) == 1):
                wrong.append(f"{size} kB: {done.returncode} {done.stderr[-400:]}")
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
            again = RESUME if (folder / "run/config.toml").exists() else [*EPOCHS, "--out", "run"]
            done = ae(folder, again)
            if done.returncode != 0 or weights(folder) != expected:
                wrong.append(f"{size} kB, resumed: {done.returncode} {done.stderr[-400:]}")
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    return f"{times} full disks", wrong


PARTS = {"kills": (kills, 200), "flips": (flips, 200), "pairs": (pairs, 50), "signals": (signals, 50), "closed": (closed, 20), "disks": (disks, 50)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all of them if none is named")
    parser.add_argument("--times", type=int, default=0, help="how often; each part's own number if 0")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    failed = False
    for name in arguments.parts or PARTS:
        part, times = PARTS[name]
        random.seed(arguments.seed)
        with tempfile.TemporaryDirectory() as place:
            what, wrong = part(Path(place), arguments.times or times)
        print(f"{name}: {what}, {len(wrong)} went wrong", flush=True)
        for one in wrong[:5]:
            print(f"    {one}")
        failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
