#!/usr/bin/env python3
"""Checks the pages that `ae` writes in headless Chromium, at phone and desktop width, in light and dark.

Every figure is drawn, nothing is complained of, nothing is fetched, names of the data stay text; tables sort, points
show their row, dragging changes the decoded row, and what the page decodes equals `ae decode` to 1e-3 of the range.

Needs: chromium (or BROWSER); the binary: cargo build -p ae-train
Usage: python3 scripts/check_report.py [target/debug/ae] [folder for screenshots]
"""

import base64
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

AE = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/ae")
SHOTS = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
BROWSER = os.environ.get("BROWSER", "chromium")
COMMON = {
    "measured",
    "loss",
    "reconstructions",
    "best",
    "worst",
    "code",
    "plane",
    "activations",
    "units",
    "jacobian",
    "noise",
    "missing",
    "copying",
    "scores",
    "settings",
}
IMAGES = COMMON | {"decoder", "encoder", "pixels", "classes", "samples"}
TABLE = COMMON | {"columns", "anomalous"}
ANOMALY = TABLE | {"roc", "recall"}
GAPS = {"imputation", "filled"}
# The most bytes that script and interactive data of a page may take.
ALIVE = 200_000
# Names that would run if they were markup.
HOSTILE = ["</script><script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", "\"'><b onclick=x>&amp;"]
# Folded figures are opened first.
UNFOLD = "document.querySelectorAll('details').forEach(details => { details.open = true; })"
# What is looked at in the page: images that do not load, figures without height, charts without width, and whether the
# page is wider than the window.
LOOK = """(() => ({
  bad: [...document.images].filter(image => !image.complete || image.naturalWidth === 0).length,
  empty: [...document.querySelectorAll('figure')].filter(figure => figure.getBoundingClientRect().height < 30).length,
  charts: [...document.querySelectorAll('svg.chart')].filter(svg => svg.getBoundingClientRect().width < 150).length,
  wide: document.documentElement.scrollWidth > window.innerWidth + 1,
  pwned: typeof window.pwned,
}))()"""
FINE = {"bad": 0, "empty": 0, "charts": 0, "wide": False, "pwned": "undefined"}


class Browser:
    """Headless Chromium over its debugging pipe: messages are JSON that end with a zero byte."""

    def __init__(self, profile):
        to_browser, from_us = os.pipe()
        to_us, from_browser = os.pipe()

        def as_3_and_4():
            os.dup2(to_browser, 13)
            os.dup2(from_browser, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
        command = [BROWSER, *flags, f"--user-data-dir={profile}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, preexec_fn=as_3_and_4, close_fds=False, **quiet)
        os.close(to_browser)
        os.close(from_browser)
        self.write, self.read, self.rest = from_us, to_us, b""
        self.count, self.session, self.complaints, self.loaded = 0, None, [], False
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.read, 1 << 20)
            if not more:
                sys.exit("the browser has ended")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(text)
        method, said = message.get("method"), message.get("params", {})
        if method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(json.dumps(said)[:400])
        self.loaded |= method == "Page.loadEventFired"
        return message

    def ask(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def evaluate(self, script):
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, page, width, scheme="light"):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.complaints, self.loaded = [], False
        self.ask("Page.navigate", url=f"file://{os.path.abspath(page)}")
        while not self.loaded:
            self.message()

    def mouse(self, kind, x, y, buttons=0):
        held = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=buttons, **held)

    def screenshot(self, path, selector=None):
        element = f"document.querySelector({json.dumps(selector or 'html')})"
        script = f"(() => {{ const box = {element}.getBoundingClientRect();"
        script += "return [box.x + scrollX, box.y + scrollY, box.width, box.height]; })()"
        x, y, width, height = self.evaluate(script)
        clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        made = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(made["data"]))

    def close(self):
        self.session = None
        self.ask("Browser.close")
        self.process.wait(timeout=30)


def run(*command):
    done = subprocess.run([AE, *command], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"ae {' '.join(command)}: {done.stderr}")
    return done.stdout


def policy_and_size(name, page):
    """The one script that may run is the page's own, nothing is fetched, and what is alive is small."""
    html = open(page).read()
    outside = [link for link in re.findall(r'(?:src|href)="([^"]*)"', html) if not link.startswith("data:")]
    assert not outside, f"{name}: {outside} would be fetched"
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html).group(1)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.S)
    data = re.findall(r'<script type="application/json">(.*?)</script>', html, re.S)
    assert len(scripts) == 1, f"{name}: {len(scripts)} scripts"
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none';"), policy
    size = len(scripts[0]) + sum(map(len, data))
    assert size <= ALIVE, f"{name}: {size} bytes of script and data"
    return size


def sorts(browser, name):
    """A click on a head of numbers sorts them, another one turns them around."""
    count = browser.evaluate("document.querySelectorAll('table.sortable').length")
    assert count > 0, f"{name}: no table sorts"
    for index in range(count):
        values = browser.evaluate(f"""(() => {{
          const table = document.querySelectorAll('table.sortable')[{index}];
          const heads = [...table.tHead.rows[0].cells];
          const column = heads.findIndex(head => head.classList.contains('number'));
          const values = () => [...table.tBodies[0].rows].map(row => parseFloat(row.cells[column].textContent));
          const before = values();
          heads[column].click();
          const down = values();
          heads[column].click();
          return [before, down, values(), heads[column].getAttribute('aria-sort')];
        }})()""")
        before, down, up, said = values
        numbers = sorted(value for value in before if value is not None)
        is_number = [[value for value in part if value is not None] for part in (down, up)]
        assert is_number == [numbers[::-1], numbers] and said == "ascending", f"{name}: {values}"


def explores(browser, name):
    """A point shows its row; dragging changes what is decoded; so does a slider."""
    state = (
        "JSON.stringify([...document.querySelectorAll('.output canvas')].map(canvas => canvas.toDataURL())"
        ".concat([...document.querySelectorAll('.output')].map(output => output.textContent)))"
    )
    browser.evaluate("document.querySelector('figure.code').scrollIntoView()")
    place = """(kind => { const box = document.querySelector('figure.code .' + kind).getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2]; })"""
    box = browser.evaluate(
        "(box => [box.x, box.y, box.width, box.height])"
        "(document.querySelector('figure.code .plane svg').getBoundingClientRect())"
    )
    point = browser.evaluate(
        "(data => [data.points.x[0], data.points.y[0], data.points.rows.names])"
        "(JSON.parse(document.querySelector('figure.code script').textContent))"
    )
    browser.mouse("mouseMoved", box[0] + point[0] * box[2] / 480, box[1] + point[1] * box[3] / 400)
    tip = browser.evaluate(
        "(tip => !tip.hidden && tip.firstChild.textContent)" "(document.querySelector('figure.code .tip'))"
    )
    assert tip in point[2], f"{name}: the tip says {tip}"
    if not browser.evaluate("Boolean(document.querySelector('figure.code .decoded'))"):
        return False
    before = browser.evaluate(state)
    x, y = browser.evaluate(f"{place}('handle')")
    browser.mouse("mousePressed", x, y, 1)
    for step in range(1, 6):
        browser.mouse("mouseMoved", x + 12 * step, y - 8 * step, 1)
    browser.mouse("mouseReleased", x + 60, y - 40)
    dragged = browser.evaluate(state)
    moved = browser.evaluate(f"{place}('handle')")
    assert dragged != before, f"{name}: dragging changes nothing"
    assert abs(moved[0] - x - 60) < 3 and abs(moved[1] - y + 40) < 3, f"{name}: the circle is at {moved}, not {x + 60}"
    browser.evaluate(
        "(input => { input.value = input.max; input.dispatchEvent(new Event('input')); })"
        "(document.querySelector('.sliders input'))"
    )
    assert browser.evaluate(state) != dragged, f"{name}: a slider changes nothing"
    return True


def decodes(browser, name, folder, count=5):
    """What the page decodes of codes of test rows, and of codes between them, is what `ae decode` says."""
    run("encode", folder, "--rows", "test", "--out", "codes.csv")
    rows = list(csv.DictReader(open("codes.csv")))[:count]
    units = sorted((unit for unit in rows[0] if re.fullmatch(r"h\d+", unit)), key=lambda unit: int(unit[1:]))
    codes = [[float(row[unit]) for unit in units] for row in rows]
    codes += [[(a + b) / 2 for a, b in zip(codes[0], codes[1])], [1.7 * a for a in codes[0]]]
    with open("codes.csv", "w") as file:
        file.write(",".join(units) + "\n" + "".join(",".join(map(repr, code)) + "\n" for code in codes))
    run("decode", folder, "codes.csv", "--out", "decoded.csv")
    expected = list(csv.DictReader(open("decoded.csv")))
    figure = "document.querySelector('figure.code')"
    found = browser.evaluate(f"{json.dumps(codes)}.map({figure}.decode)")
    data = browser.evaluate("JSON.parse(document.querySelector('figure.code script').textContent)")
    scale = data["decoder"]["scale"]
    columns = data.get("columns")
    if columns is None:
        columns = [[f"x{index}", "number", index, index + 1, [], "", ""] for index in range(len(found[0]))]
    worst = 0.0
    for row, cells in zip(found, expected):
        for column, kind, start, end, levels, prefix, suffix in columns:
            said = cells[column]
            if kind == "category":
                assert levels[max(range(start, end), key=lambda index: row[index]) - start] == said, (name, column)
            elif kind == "boolean":
                truth = row[start] >= 0.5
                assert said.lower() == (levels[truth] if levels else str(truth)).lower(), (name, column, said)
            else:
                number = float(said.removeprefix(prefix).removesuffix(suffix))
                worst = max(worst, abs(row[start] - number) / scale[start % len(scale)])
    assert worst <= 1e-3, f"{name}: decoded {worst} of the range apart"
    return worst, data["decoder"]["weights"]["bits"]


def check(browser, name, page, expected, folder=None):
    size = policy_and_size(name, page)
    for width in (400, 1200):
        browser.open(page, width)
        assert not browser.complaints, f"{name}: {browser.complaints}"
        browser.evaluate(UNFOLD)
        seen = browser.evaluate(LOOK)
        assert seen == FINE, f"{name} at {width}: {seen}"
        found = set(browser.evaluate("[...document.querySelectorAll('figure')].map(figure => figure.id)"))
        found = {re.sub(r"-\d+$", "", identifier) for identifier in found}
        assert found == expected, f"{name}: {found ^ expected}"
        if SHOTS:
            os.makedirs(SHOTS, exist_ok=True)
            browser.screenshot(f"{SHOTS}/{name}-{width}.png")
    alive = explores(browser, name)
    if SHOTS:
        browser.screenshot(f"{SHOTS}/{name}-code.png", "figure.code")
    sorts(browser, name)
    decoded = ""
    if alive and folder:
        worst, bits = decodes(browser, name, folder)
        decoded = f", decodes as ae does to {worst:.1e} ({bits} bits)"
    assert not browser.complaints, f"{name}: {browser.complaints}"
    # No other script runs: the browser refuses it, and complains.
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), " "{textContent: 'window.pwned = 1'}))"
    )
    assert browser.evaluate("typeof window.pwned") == "undefined", f"{name}: another script has run"
    browser.open(page, 1200, "dark")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)", f"{name}: not dark"
    if SHOTS:
        browser.screenshot(f"{SHOTS}/{name}-dark.png")
    alive = "alive" if alive else "without decoder"
    print(f"{name}: {len(expected)} figures, {alive}, {size} bytes of script and data{decoded}", flush=True)
    return alive == "alive"


def tables():
    """A table of an anomaly run with hostile names, and a mixed one with missing values."""
    with open("table.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "width", "height", HOSTILE[0], HOSTILE[1], "class"])
        for i in range(300):
            x = (i * 37 % 101) / 10
            odd = i % 11 == 0
            table.writerow([f"{HOSTILE[2]} {i}", x, 2 * x + i % 3, x * x + 40 * odd, i % 7, HOSTILE[1] if odd else "0"])
    with open("mixed.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "kind", "ripe", "grade", "weight", "price", "count"])
        for i in range(400):
            x = (i * 53 % 97) / 97
            row = [f"n{i}", "red green blue".split()[i * 7 % 3], i * 3 % 5 > 2, HOSTILE[i % 3], 10 + 5 * x + i % 3]
            row += [f"{3 * x + i * 7 % 3:.2f} %", i * 7 % 3 * 4 + int(6 * x)]
            table.writerow([row[0], *["" if (i + 7 * place) % 13 == 0 else cell for place, cell in enumerate(row[1:])]])


def main():
    tables()
    browser = Browser(os.path.abspath("profile"))
    small = ["--set", "model.network.hidden=[32]"]
    few = ["--epochs", "3"]
    run("train", *few, "--out", "images")
    assert check(browser, "images", "images/report.html", IMAGES, "images")
    run("train", "--variant", "denoising", *few, "--out", "denoising")
    check(browser, "denoising", "denoising/report.html", IMAGES, "denoising")
    run("train", "--variant", "k_sparse", *few, "--out", "sparse")
    assert check(browser, "sparse", "sparse/report.html", IMAGES - {"samples"}, "sparse")
    run("train", "--variant", "variational", *small, *few, "--out", "variational")
    assert check(browser, "variational", "variational/report.html", IMAGES, "variational")
    conv = ["--set", 'model.network.kind="conv"', "--set", "model.network.channels=[4]"]
    run("train", *conv, "--epochs", "1", "--out", "conv")
    assert not check(browser, "conv", "conv/report.html", IMAGES, "conv")
    label = ["--id", "name", "--label", "class", "--normal-only", "--normal", "0"]
    run("train", "--data", "table.csv", *label, *small, "--set", "model.code_dim=2", *few, "--out", "table")
    assert check(browser, "table", "table/report.html", ANOMALY, "table")
    norm = ["--set", 'model.network.norm="batch"', "--set", 'model.network.activation="gelu"']
    norm += ["--set", "model.code_dim=4"]
    run("train", "--data", "mixed.csv", "--id", "name", *small, *norm, "--epochs", "20", "--out", "mixed")
    assert check(browser, "mixed", "mixed/report.html", TABLE | GAPS, "mixed")
    run("report", "images", "denoising", "--out", "both.html")
    check(browser, "both", "both.html", IMAGES | {"comparison"})
    browser.close()
    print("every page is whole")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        main()
