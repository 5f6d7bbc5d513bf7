#!/usr/bin/env python3
"""Whether the pages that `ae` writes load in a browser without a complaint, with every figure drawn, at phone and desktop width.

Needs: chromium; the binary: cargo build -p ae-train
Usage: python3 scripts/check_report.py [target/debug/ae] [folder for screenshots]
"""
import os, re, subprocess, sys, tempfile

AE = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/ae")
SHOTS = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
BROWSER = os.environ.get("BROWSER", "chromium")
COMMON = {"measured", "loss", "reconstructions", "best", "worst", "code", "plane", "activations", "units", "jacobian", "noise", "missing", "copying", "scores", "settings"}
IMAGES = COMMON | {"decoder", "encoder", "pixels", "classes", "samples"}
TABLE = COMMON | {"columns"}
# What the browser itself says of the page, written where the dumped document shows it.
PROBE = """<script>window.addEventListener('load', () => {
  const bad = [...document.images].filter(image => !image.complete || image.naturalWidth === 0).length;
  const empty = [...document.querySelectorAll('figure')].filter(figure => figure.getBoundingClientRect().height < 30).map(figure => figure.id);
  const charts = [...document.querySelectorAll('svg.chart')].filter(chart => chart.getBoundingClientRect().width < 150).length;
  document.title = JSON.stringify({bad, empty, charts, wide: document.documentElement.scrollWidth > window.innerWidth + 1});
});</script>"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return done


def check(name, page, expected):
    html = open(page).read()
    outside = [link for link in re.findall(r'(?:src|href)="([^"]*)"', html) if not link.startswith("data:")]
    assert not outside, f"{name}: {outside} would be fetched"
    probe = os.path.abspath(f"{name}-probe.html")
    # The page forbids scripts; the probe is one. What else the page forbids, the browser complains of.
    policy = "default-src 'none';"
    assert html.count(policy) == 1, f"{name}: no content security policy"
    allowed = html.replace(policy, policy + " script-src 'unsafe-inline';")
    open(probe, "w").write(allowed.replace("</body>", PROBE + "</body>"))
    for width in (390, 1280):
        done = run(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--window-size={max(width, 500)},900", "--dump-dom", f"file://{probe}")
        complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert not complaints, f"{name}: {complaints}"
        said = re.search(r"<title>(.*?)</title>", done.stdout).group(1)
        assert said == '{"bad":0,"empty":[],"charts":0,"wide":false}', f"{name} at {width}: {said}"
        found = set(re.findall(r'<figure[^>]* id="([a-z]+)"', done.stdout))
        assert found == expected, f"{name}: {found ^ expected}"
        if SHOTS:
            os.makedirs(SHOTS, exist_ok=True)
            run(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={SHOTS}/{name}-{width}.png", f"--window-size={width},3600", f"file://{os.path.abspath(page)}")
    print(f"{name}: {len(expected)} figures, no complaint", flush=True)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open("table.csv", "w") as file:
        file.write("width,height,<b>depth</b>,class\n")
        for i in range(300):
            x = (i * 37 % 101) / 10
            file.write(f"{x},{'' if i % 17 == 0 else 2 * x + i % 3},{x * x},{int(i % 11 == 0)}\n")
    run(AE, "train", "--epochs", "3", "--out", "images")
    check("images", "images/report.html", IMAGES)
    run(AE, "train", "--variant", "denoising", "--epochs", "3", "--out", "denoising")
    check("denoising", "denoising/report.html", IMAGES)
    run(AE, "train", "--data", "table.csv", "--label", "class", "--normal-only", "--epochs", "3", "--out", "table")
    check("table", "table/report.html", TABLE)
    run(AE, "report", "images", "denoising", "--out", "both.html")
    check("both", "both.html", IMAGES | {"comparison"})
print("every page is whole")
