#!/usr/bin/env python3
"""Runs `ae`, built with the feature `wgpu`, on machines as people have them, and checks how each run ends.

    cargo build -p ae-train --features wgpu
    python3 scripts/check_devices.py [--ae target/debug/ae] [--only none,gl,software,broken]

- none: no driver at all; the loaders are pointed at nothing.
- gl: OpenGL through EGL alone (needs Mesa's EGL; skipped where it lacks).
- software: Mesa's software Vulkan (Debian: mesa-vulkan-drivers; skipped where it lacks).
- broken: Vulkan drivers that crash or hang as soon as they are asked (needs a C compiler and the Vulkan loader; skipped
  where they lack).

Every line says what was run, how it ended, and in how many seconds; the exit status is 1 if any ended in another way
than it should.
"""

import argparse, glob, json, os, re, shutil, signal, subprocess, sys, tempfile, time

NOTHING = "/nonexistent"
NO_VULKAN = {"VK_DRIVER_FILES": NOTHING, "VK_ICD_FILENAMES": NOTHING}
NO_GL = {"__EGL_VENDOR_LIBRARY_FILENAMES": NOTHING}
DRIVER = """
#include <stdlib.h>
#include <unistd.h>
static void fail(void) { %s }
int vk_icdNegotiateLoaderICDInterfaceVersion(unsigned *version) { fail(); return 0; }
void *vk_icdGetInstanceProcAddr(void *instance, const char *name) { fail(); return 0; }
"""


def software_driver():
    found = glob.glob("/usr/share/vulkan/icd.d/lvp_icd*.json") + glob.glob("/etc/vulkan/icd.d/lvp_icd*.json")
    return found[0] if found else None


class Check:
    def __init__(self, ae, patience):
        self.ae, self.patience, self.failed, self.runs = ae, patience, 0, 0
        self.folder = tempfile.TemporaryDirectory()
        # What Burn keeps between runs is kept here.
        self.environment = dict(
            os.environ,
            HOME=self.folder.name,
            XDG_CACHE_HOME=os.path.join(self.folder.name, "cache"),
            XDG_RUNTIME_DIR=self.folder.name,
        )

    def run(
        self,
        what,
        args,
        environment,
        status,
        within,
        said=(),
        unsaid=("panicked", "stack backtrace"),
        kill_after=None,
        errors=None,
    ):
        """One run of `ae`; gives back what it printed."""
        within *= self.patience
        began = time.time()
        process = subprocess.Popen(
            [self.ae, *args],
            cwd=self.folder.name,
            env={**self.environment, **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        problems = []
        try:
            if kill_after is not None:
                time.sleep(kill_after)
                if process.poll() is not None:
                    problems.append("ended before it was interrupted")
                began = time.time()
                process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=within + 60)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            problems.append("hangs")
        seconds = time.time() - began
        if process.returncode != status:
            problems.append(f"exit status {process.returncode} instead of {status}")
        if seconds > within:
            problems.append(f"took longer than {within} s")
        problems += [f"does not say `{part}`" for part in said if part not in err + out]
        problems += [f"says `{part}`" for part in unsaid if part in err + out]
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        if errors is not None and len(lines) != errors:
            problems.append(f"says {len(lines)} errors instead of {errors}")
        self.runs += 1
        self.failed += bool(problems)
        print(
            f"{'FAILED' if problems else 'ok':<7}{seconds:6.1f} s  {what}: ae {' '.join(args)}"
            + "".join(f"\n        {problem}" for problem in problems),
            flush=True,
        )
        if problems:
            print("".join(f"        | {line}\n" for line in (out + err).splitlines()[-12:]))
        return out, err

    def without_gpu(self, what, environment, reason):
        """`auto` trains on the CPU and says why; a GPU by name is refused in one line that says why and what to do."""
        small = ["--epochs", "1", "--set", "model.network.hidden=[8]"]
        self.run(
            what,
            ["train", *small],
            environment,
            0,
            30,
            ["note: no usable GPU", reason, "computing on flex", "epochs on flex"],
            errors=0,
        )
        self.run(
            what,
            ["train", "--device", "wgpu", *small],
            environment,
            1,
            30,
            ["error: `--device wgpu` cannot be used", reason, "install", "--device flex"],
            errors=1,
        )
        self.run(what, ["devices"], environment, 0, 30, ["flex"], errors=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--ae", default=os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "target/debug/ae")
    )
    parser.add_argument("--only", default="none,gl,software,broken")
    parser.add_argument("--patience", type=float, default=1, help="factor of every time limit, for a slow machine")
    arguments = parser.parse_args()
    check, only = Check(os.path.abspath(arguments.ae), arguments.patience), arguments.only.split(",")
    skipped = []

    if "none" in only:
        check.without_gpu("no driver", {**NO_VULKAN, **NO_GL}, "no adapter was found")
    if "gl" in only:
        if glob.glob("/usr/share/glvnd/egl_vendor.d/*.json"):
            check.without_gpu("OpenGL alone", NO_VULKAN, "only available through OpenGL")
            check.run(
                "OpenGL alone",
                ["train", "--device", "wgpu:1"],
                NO_VULKAN,
                2,
                30,
                ["device `wgpu:1` is not available", "flex"],
                errors=1,
            )
        else:
            skipped.append("gl: no EGL driver")
    if "software" in only:
        if driver := software_driver():
            there = {"VK_DRIVER_FILES": driver, "VK_ICD_FILENAMES": driver}
            auto = check.run(
                "software Vulkan",
                ["train", "--epochs", "1", "--out", "auto"],
                there,
                0,
                30,
                ["computes on the CPU", "--device wgpu", "epochs on flex"],
                errors=0,
            )
            check.run(
                "software Vulkan", ["devices"], there, 0, 30, ["llvmpipe", "Vulkan", "only by its name"], errors=0
            )
            # Interrupted while the first kernels are compiled, by a single signal.
            check.run(
                "software Vulkan, SIGTERM while kernels are compiled",
                ["train", "--device", "wgpu", "--out", "cut"],
                there,
                130,
                8,
                ["error: ", "ae train --resume cut"],
                kill_after=6,
                errors=1,
            )
            check.run(
                "software Vulkan",
                ["train", "--device", "wgpu", "--epochs", "2", "--out", "gpu"],
                there,
                0,
                90,
                ["is a software adapter that computes on the CPU", "compiles kernels", "report: gpu/report.html"],
                errors=0,
            )
            check.run(
                "software Vulkan, what was tuned before",
                ["train", "--device", "wgpu", "--epochs", "2", "--out", "again"],
                there,
                0,
                60,
                [],
                errors=0,
            )
            check.run("software Vulkan", ["evaluate", "gpu"], there, 0, 30, ["PCA (10)"], errors=0)
            sse = {
                run: json.load(open(os.path.join(check.folder.name, run, "summary.json")))["test"]["sse"]
                for run in ("gpu", "again")
            }
            print("sse of the two: " + ", ".join(f"{run} {value:.4f}" for run, value in sse.items()))
        else:
            skipped.append("software: no lvp_icd*.json (Debian: mesa-vulkan-drivers)")
    if "broken" in only:
        compiler = shutil.which("cc")
        if compiler and glob.glob("/usr/lib/*/libvulkan.so.1"):
            for name, body, reason in [
                ("crashes", "abort();", "crashed"),
                ("hangs", "for (;;) sleep(1);", "did not answer"),
            ]:
                path = os.path.join(check.folder.name, name)
                with open(path + ".c", "w") as file:
                    file.write(DRIVER % body)
                subprocess.run([compiler, "-shared", "-fPIC", "-o", path + ".so", path + ".c"], check=True)
                with open(path + ".json", "w") as file:
                    json.dump(
                        {"file_format_version": "1.0.0", "ICD": {"library_path": path + ".so", "api_version": "1.3.0"}},
                        file,
                    )
                there = {"VK_DRIVER_FILES": path + ".json", "VK_ICD_FILENAMES": path + ".json", **NO_GL}
                said = [f"warning: the Vulkan driver {reason}", "computing on flex"]
                check.run(f"a driver that {name}", ["train", "--epochs", "1"], there, 0, 40, said, errors=0)
                check.run(
                    f"a driver that {name}",
                    ["train", "--device", "wgpu"],
                    there,
                    1,
                    40,
                    [said[0], "--device flex"],
                    errors=1,
                )
                check.run(
                    f"a driver that {name}",
                    ["train", "--device", "flex", "--epochs", "1"],
                    there,
                    0,
                    20,
                    [],
                    ["warning"],
                    errors=0,
                )
        else:
            skipped.append("broken: no C compiler or no Vulkan loader")

    for what in skipped:
        print(f"skipped {what}")
    print(f"{check.runs - check.failed} passed, {check.failed} failed, {len(skipped)} skipped")
    sys.exit(bool(check.failed))


if __name__ == "__main__":
    main()
