#!/usr/bin/env python3
"""Counts the kernels that a training step launches on a GPU, and how often it reads from it, for each workload of the
`peers` benchmark.

    cargo bench --profile dev -p ae-train --bench peers --features wgpu --no-run
    python3 scripts/count_launches.py target/debug/deps/peers-HASH [--device wgpu] [WORKLOAD ...]

CubeCL writes a line for each kernel that it launches. The first steps also try kernels out, so what is counted is the
part that repeats at the end. Which kernels a step launches also depends on which of the variants that Burn tries was
the fastest on that GPU.
"""

import argparse, collections, json, os, subprocess, tempfile

WORKLOADS = [
    "digits_mlp",
    "mnist_mlp",
    "deep_mlp",
    "conv",
    "denoising",
    "contractive_shallow",
    "contractive_deep",
    "sparse_topk",
]
EVERY = 16


def kind(line):
    """`Executing MatmulEntry | TensorArgs ..._e2432e3c`: the kernel's first name."""
    return line.split(" ", 1)[1].split("|")[0].strip().rsplit("_", 1)[0]


def period(lines):
    """The launches of a step: the shortest part that repeats eight times, at the end but for what reads the losses."""
    for length in range(2, len(lines) // 8):
        for end in range(len(lines), max(len(lines) - 8, 0), -1):
            step = lines[end - length : end]
            if all(lines[end - (turn + 1) * length : end - turn * length] == step for turn in range(8)):
                return step
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("workloads", nargs="*", default=WORKLOADS)
    parser.add_argument("--device", default="wgpu")
    parser.add_argument("--steps", type=int, default=3 * EVERY)
    arguments = parser.parse_args()
    print("| workload | kernels a step | steps a read | which kernels |\n|---|---|---|---|")
    for workload in arguments.workloads:
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "kernels.log")
            with open(os.path.join(folder, "cubecl.toml"), "w") as file:
                file.write(f'[profiling.logger]\nlevel = "minimal"\nfile = "{log}"\n')
            command = [
                os.path.abspath(arguments.bench),
                workload,
                "--steps",
                str(arguments.steps),
                "--device",
                arguments.device,
                "--count-reads",
            ]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                print(f"| {workload} | failed: {done.stderr.strip().splitlines()[-1]} | | |", flush=True)
                continue
            line = json.loads(done.stdout.splitlines()[-1])
            with open(log) as file:
                lines = [line.strip() for line in file if line.startswith("Executing ")]
        step = period(lines)
        reads = f"{line['steps'] / max(line['reads'], 1):.0f}"
        if step is None:
            print(f"| {workload} | no part repeats | {reads} | |", flush=True)
            continue
        listed = ", ".join(f"{count} {name}" for name, count in collections.Counter(map(kind, step)).most_common())
        print(f"| {workload} | {len(step)} | {reads} | {listed} |", flush=True)


if __name__ == "__main__":
    main()
