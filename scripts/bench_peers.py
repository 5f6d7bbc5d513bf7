#!/usr/bin/env python3
"""Runs the `peers` benchmark and its peers' in turns, round by round, and prints their ratios.

    cargo bench -p ae-train --bench peers --no-run
    scripts/bench_peers.py --python .venv/bin/python --rounds 5

The peers are PyTorch with one thread, PyTorch with all threads, and JAX: `pytorch_peer.py` and `jax_peer.py` beside
this file. With `--busy` another process keeps each core busy meanwhile, and the time of a step is the mean, not the
median: most steps run without a pause, and the pauses are what counts there. `--program` is our benchmark where there
is no Cargo to build it.

On a GPU, each side by the name that it has for it, and PyTorch alone, as it is (eager) or through `torch.compile`:

    scripts/bench_peers.py --features vulkan --device vulkan --peer-device cuda --rounds 5
    scripts/bench_peers.py --features vulkan --device vulkan --peer-device cuda --compile --rounds 5

There memory is the GPU's: how much more of it was in use while the process ran than before (`nvidia-smi`), the largest
of looks every 50 ms, so nothing else may use the GPU.

Every measurement is a process of its own, so that memory and time to the first step are its own. A round runs all of
them directly after one another, each round in another order, so that a slow minute of the machine slows all. The ratio
is the time of the fastest peer of a workload (by its median over the rounds) over ours in the same round: above 1 ours
is faster. Memory and first step are beside those of that peer.
"""

import argparse, json, math, os, re, shutil, statistics, subprocess, sys, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Runs the peer's file as it is, and notes when its first optimizer step is over.
PEER = """
import os, runpy, sys, time
import torch
step, first = torch.optim.Adam.step, []
def noted(self, *args, **kwargs):
    result = step(self, *args, **kwargs)
    if not first:
        first.append(time.time() - float(os.environ["BENCH_STARTED"]))
    return result
torch.optim.Adam.step = noted
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print('{"first_step_s": %.4f}' % first[0])
"""


def ours(features):
    """The built benchmark; Cargo says where it is."""
    with_features = ["--features", features] if features else []
    built = subprocess.run(
        ["cargo", "bench", "-p", "ae-train", "--bench", "peers", "--no-run", *with_features],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = re.search(r"Executable .*\((.*)\)", built.stderr)
    if built.returncode or not found:
        sys.exit(built.stderr)
    return os.path.join(ROOT, found.group(1))


def gpu_memory_mb():
    """Memory in use on the first GPU."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def run(command, workload, steps, on_gpu):
    steps = ["--steps", str(steps)] if steps else []
    before = gpu_memory_mb() if on_gpu else 0
    environment = dict(os.environ, BENCH_STARTED=repr(time.time()))
    process = subprocess.Popen(
        [*command, workload, *steps], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    most, watching = before, threading.Event()

    def watch():
        nonlocal most
        while not watching.wait(0.05):
            most = max(most, gpu_memory_mb())

    watcher = threading.Thread(target=watch)
    if on_gpu:
        watcher.start()
    out, err = process.communicate()
    if on_gpu:
        watching.set()
        watcher.join()
    if process.returncode:
        sys.exit(f"{command[0]} {workload}: {err}")
    line = {}
    for part in out.splitlines():
        if part.startswith("{"):
            line.update(json.loads(part))
    if on_gpu:
        line["peak_gpu_mb"] = most - before
    return line


WORKLOADS = ["digits_mlp", "mnist_mlp", "deep_mlp", "conv", "denoising", "contractive_shallow", "contractive_deep"]
WORKLOADS += ["sparse_topk", "variational"]


def peers(arguments):
    """The command of each peer, without the workload."""
    script = lambda name: os.path.join(ROOT, "scripts", name)
    torch = [arguments.python, "-c", PEER, script("pytorch_peer.py")]
    if arguments.peer_device:
        return {"PyTorch": [*torch, "--device", arguments.peer_device, *(["--compile"] if arguments.compile else [])]}
    cores = len(os.sched_getaffinity(0))
    threads = {f"PyTorch {count}": [*torch, "--threads", str(count)] for count in sorted({1, cores})}
    return {**threads, "JAX": [arguments.python, script("jax_peer.py")]}


def keep_busy():
    """A process on each core that never rests."""
    spin = "import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass"
    return [subprocess.Popen([sys.executable, "-c", spin, str(core)]) for core in os.sched_getaffinity(0)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", help="all of ours if none is named")
    parser.add_argument("--python", default=sys.executable, help="a Python that has what the peers need")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=0, help="steps of each run; each workload's own number if 0")
    parser.add_argument("--busy", action="store_true", help="with another busy process on each core")
    parser.add_argument("--json", help="also write every line to this file")
    parser.add_argument("--device", help="ours, one of `ae devices`; the CPU if it is left out")
    parser.add_argument("--peer-device", help="PyTorch's, such as cuda; the CPU, and JAX beside it, if it is left out")
    parser.add_argument("--compile", action="store_true", help="PyTorch through torch.compile")
    parser.add_argument("--program", help="our benchmark, built elsewhere")
    parser.add_argument("--features", default="", help="of the benchmark, such as wgpu or vulkan")
    arguments = parser.parse_args()
    on_gpu = bool(arguments.device) and shutil.which("nvidia-smi") is not None
    bench = [arguments.program or ours(arguments.features)] + (["--device", arguments.device] if arguments.device else [])
    commands = {"ours": bench, **peers(arguments)}
    others = [who for who in commands if who != "ours"]
    time_of = "mean_ms" if arguments.busy else "ms_per_step"
    busy = keep_busy() if arguments.busy else []
    lines, ratios, small = [], {}, True
    print(f"| workload | ours, ms | {', ms | '.join(others)}, ms | ratio to the fastest | spread | memory, MB ", end="")
    print("| of that peer's | first step, s | that peer's |")
    print("|---|---|" + "---|" * len(others) + "---|---|---|---|---|---|")
    try:
        for name in arguments.workloads or WORKLOADS:
            rounds = []
            for turn in range(arguments.rounds):
                order = list(commands)
                order = order[turn % len(order) :] + order[: turn % len(order)]
                rounds.append({who: run(commands[who], name, arguments.steps, on_gpu) for who in order})
                lines += [dict(line, who=who, round=turn, busy=arguments.busy) for who, line in rounds[-1].items()]
            median = lambda who, key: statistics.median(of[who][key] for of in rounds)
            fastest = min(others, key=lambda who: median(who, time_of))
            of = [each[fastest][time_of] / each["ours"][time_of] for each in rounds]
            ratios[name] = statistics.median(of)
            memory = [median(who, "peak_gpu_mb" if on_gpu else "peak_rss_mb") for who in ("ours", fastest)]
            small &= memory[0] <= memory[1] / 4
            times = " | ".join(f"{median(who, time_of):.3f}" for who in commands)
            first = [median(who, "first_step_s") for who in ("ours", fastest)]
            print(
                f"| {name} | {times} | **{ratios[name]:.2f}** ({fastest}) | {min(of):.2f}-{max(of):.2f} "
                f"| {memory[0]:.0f} | {memory[0] / memory[1]:.1%} | {first[0]:.3f} | {first[1]:.2f} |",
                flush=True,
            )
    finally:
        for process in busy:
            process.kill()
    mean = math.exp(statistics.fmean(map(math.log, ratios.values())))
    lowest = min(ratios, key=ratios.get)
    print(f"\n{arguments.rounds} rounds; geometric mean {mean:.2f}, lowest {ratios[lowest]:.2f} ({lowest}).")
    print(f"Peak memory is {'at most' if small else 'somewhere more than'} a quarter of that of the fastest peer.")
    if arguments.json:
        with open(arguments.json, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
