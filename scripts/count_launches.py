#!/usr/bin/env python3
"""Counts the kernels that a training step launches on a GPU, and how often it reads from it, for each workload of the `peers` benchmark.

    cargo bench --profile dev -p ae-train --bench peers --features wgpu --no-run
    python3 scripts/count_launches.py target/debug/deps/peers-HASH [--device wgpu] [WORKLOAD ...]

CubeCL writes a line for each kernel that it launches; the first hundreds of steps also try kernels out, so what is counted is the part at the end
that repeats, which is 16 steps long. Kernels that a step launches do not depend on the GPU, but on which of the variants that Burn tries was the
fastest there.
"""
import argparse, collections, json, os, subprocess, tempfile

WORKLOADS = ["digits_mlp", "mnist_mlp", "deep_mlp", "conv", "denoising", "contractive_shallow", "contractive_deep", "sparse_topk"]
EVERY = 16


def kind(line):
    """`Executing MatmulEntry | TensorArgs ..._e2432e3c`: the kernel's first name."""
    return line.split(" ", 1)[1].split("|")[0].strip().rsplit("_", 1)[0]


def period(lines):
    """The shortest end that the lines before it repeat twice."""
    for length in range(EVERY, len(lines) // 3):
        if lines[-length:] == lines[-2 * length:-length] == lines[-3 * length:-2 * length]:
            return length
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("workloads", nargs="*", default=WORKLOADS)
    parser.add_argument("--device", default="wgpu")
    parser.add_argument("--steps", type=int, default=6 * EVERY)
    arguments = parser.parse_args()
    print("| workload | kernels a step | steps a read | which kernels |\n|---|---|---|---|")
    for workload in arguments.workloads:
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "kernels.log")
            with open(os.path.join(folder, "cubecl.toml"), "w") as file:
                file.write(f'[profiling.logger]\nlevel = "minimal"\nfile = "{log}"\n')
            command = [os.path.abspath(arguments.bench), workload, "--steps", str(arguments.steps), "--device", arguments.device, "--count-reads"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                print(f"| {workload} | failed: {done.stderr.strip().splitlines()[-1]} | | |", flush=True)
                continue
            line = json.loads(done.stdout.splitlines()[-1])
            with open(log) as file:
                lines = [line.strip() for line in file if line.startswith("Executing ")]
        length = period(lines)
        if length is None:
            print(f"| {workload} | no part repeats | {line['steps'] / max(line['reads'], 1):.0f} | |", flush=True)
            continue
        which = collections.Counter(map(kind, lines[-length:])).most_common()
        listed = ", ".join(f"{count / EVERY:.3g} {name}" for name, count in which)
        print(f"| {workload} | {length / EVERY:.1f} | {line['steps'] / max(line['reads'], 1):.0f} | {listed} |", flush=True)


if __name__ == "__main__":
    main()
