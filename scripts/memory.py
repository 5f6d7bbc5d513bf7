#!/usr/bin/env python3
"""Memory, threads and disk of long trainings and of a service, as figures and as a drawing.

    cargo build --workspace --examples
    python3 scripts/memory.py target/debug docs/memory.svg     # some minutes

Three programs are watched: a training of 100,000 steps, one of 1,000 epochs, and examples/service.rs for a minute. A
line each says the memory after a tenth and at the end, and the slope between them with an interval of 95%: the process
is cut into ten blocks, and the slope is that of a line through them drawn anew 2,000 times (a bootstrap over blocks, as
neighbouring samples are not independent). What each epoch measured is kept in memory, some kilobytes an epoch, and
examples/service.rs keeps the time of each request, 16 bytes; nothing else may grow. The exit status is 1 if memory
grows for certain, by more than a tenth from there to the end.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVERY = 0.1


def table(path, rows):
    numbers = random.Random(1)
    lines = ["a,b,c,d,e,f,g,h"] + [",".join(f"{numbers.gauss(0, 1):.4f}" for _ in range(8)) for _ in range(rows)]
    path.write_text("\n".join(lines) + "\n")


def status(pid):
    """Bytes of memory and number of threads; none if the process has ended."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024, int(fields["Threads"])
    except (FileNotFoundError, ProcessLookupError, KeyError):
        return None


def size(folder):
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass
    return total


def watch(command, folder, progress):
    """Samples of (progress, bytes of memory, threads, bytes of the folder) while `progress` goes on, and after it."""
    with open(folder / "said", "w+") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        samples = []
        while process.poll() is None:
            found, done = status(process.pid), progress()
            if found and done is not None:
                samples.append((done, *found, size(folder)))
            time.sleep(EVERY)
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{' '.join(map(str, command))}: {process.returncode}\n{said.read()[-1000:]}")
    if len(samples) < 20:
        sys.exit(f"{' '.join(map(str, command))}: ended after {len(samples)} samples, which is too few")
    return samples


def line(points):
    """Slope of the line through points, by least squares."""
    n = max(1, len(points))
    x, y = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    across = sum((p[0] - x) ** 2 for p in points)
    return sum((p[0] - x) * (p[1] - y) for p in points) / across if across else 0.0


def slope(points):
    """Slope after the first tenth, and an interval of 95%."""
    settled = [p for p in points if p[0] >= points[-1][0] / 10]
    length = max(1, len(settled) // 10)
    blocks = [settled[i : i + length] for i in range(0, len(settled), length)]
    numbers = random.Random(1)
    drawn = sorted(line(sum((numbers.choice(blocks) for _ in blocks), [])) for _ in range(2000))
    return line(settled), drawn[50], drawn[-51], settled


def training(ae, place, rows, batch, epochs, unit=1):
    """A training of `rows / batch` steps an epoch; its progress in `unit` steps."""
    folder = place / f"{rows}-{epochs}"
    folder.mkdir()
    table(folder / "t.csv", round(rows / 0.8 / 0.9))
    metrics = folder / "run/metrics.csv"
    steps, seen = rows // batch, [0, 0.0, 0.0]

    def progress():
        try:
            done = metrics.read_bytes().count(b"\n") - 1
        except FileNotFoundError:
            return None
        now = time.monotonic()
        if done > seen[0]:
            seen[:] = [done, now, (now - seen[1]) / (done - seen[0])]
        # Within an epoch, by what the one before took.
        part = min((now - seen[1]) / seen[2], 1.0) if seen[0] > 1 else 0.0
        return (max(done, 0) + part) * steps / unit if done < epochs else None

    settings = ["model.code_dim=2", "model.network.hidden=[16]", f"training.batch_size={batch}", "training.patience=0"]
    command = [ae, "train", "--data", "t.csv", "--epochs", str(epochs), "--out", "run"]
    return watch(command + [word for setting in settings for word in ("--set", setting)], folder, progress)


def service(ae, example, place, seconds):
    folder = place / "service"
    folder.mkdir()
    subprocess.run([ae, "train", "--epochs", "5", "--out", "run"], cwd=folder, check=True, capture_output=True)
    began = time.monotonic()
    return watch([example, "run", str(seconds)], folder, lambda: time.monotonic() - began)


def draw(drawings, out):
    """One panel a program: memory over its progress."""
    width, height, left, top = 300, 150, 44, 26
    text = []
    for index, (title, unit, samples, said) in enumerate(drawings):
        across, most = samples[-1][0], max(sample[1] for sample in samples) * 1.15
        x0 = index * (width + 24) + left
        point = (
            lambda sample: f"{x0 + sample[0] / across * (width - left):.1f},{top + height * (1 - sample[1] / most):.1f}"
        )
        thin = samples[:: max(1, len(samples) // 300)]
        text.append(f'<text x="{x0}" y="14" font-weight="bold">{title}</text>')
        for part in (0, 0.5, 1):
            y = top + height * (1 - part)
            text.append(f'<line x1="{x0}" x2="{x0 + width - left}" y1="{y}" y2="{y}" stroke="#ccc"/>')
            text.append(f'<text x="{x0 - 4}" y="{y + 4}" text-anchor="end">{most * part / 1e6:.0f} MB</text>')
        text.append(f'<polyline fill="none" stroke="#1f77b4" points="{" ".join(map(point, thin))}"/>')
        text.append(
            f'<text x="{x0 + width - left}" y="{top + height + 15}" text-anchor="end">{across:,.0f} {unit}</text>'
        )
        text.append(f'<text x="{x0}" y="{top + height + 32}">{said}</text>')
    whole = len(drawings) * (width + 24)
    out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{top + height + 42}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(text) + "\n</svg>\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=Path, help="the folder of `ae` and of examples/service")
    parser.add_argument("out", type=Path, help="the drawing, an SVG")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of it, for a try")
    arguments = parser.parse_args()
    ae, example = arguments.binaries.absolute() / "ae", arguments.binaries.absolute() / "examples/service"
    drawings, grows = [], False
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        programs = [
            (
                "100,000 steps in 100 epochs",
                "steps",
                training(ae, place, 8000, 8, max(3, round(100 * arguments.scale))),
            ),
            (
                "1,000 epochs of 20 steps",
                "epochs",
                training(ae, place, 1280, 64, max(3, round(1000 * arguments.scale)), 20),
            ),
            ("a service that scores", "seconds", service(ae, example, place, max(5, round(60 * arguments.scale)))),
        ]
    for title, unit, samples in programs:
        at, low, high, settled = slope(samples)
        first, last = settled[0], settled[-1]
        said = f"{at:,.0f} bytes {'an' if unit == 'epochs' else 'a'} {unit[:-1]} ({low:,.0f} to {high:,.0f})"
        print(
            f"{title}: {first[1] / 1e6:.1f} MB after {first[0]:,.0f} {unit}, {last[1] / 1e6:.1f} MB after {last[0]:,.0f}; {said};"
            f" {min(s[2] for s in settled)} to {max(s[2] for s in settled)} threads;"
            f" folder {first[3] / 1e6:.2f} MB, largest {max(s[3] for s in settled) / 1e6:.2f} MB, at last {last[3] / 1e6:.2f} MB",
            flush=True,
        )
        grows |= low > 0 and low * (last[0] - first[0]) > first[1] / 10
        drawings.append((title, unit, samples, said))
    draw(drawings, arguments.out)
    sys.exit(grows)


if __name__ == "__main__":
    main()
