"""Opens the HTML report of a sweep in headless Chromium, on a desk and on a phone, and uses it.

usage: report_page.py FOLDER_WITH_BINARIES [FOLDER_FOR_SCREENSHOTS]

Every script error fails, as does a page that is wider than its window, asks for anything from elsewhere, or does not react. Needs `chromium`; where there is none the check says
so and is skipped.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FASHION_MNIST = pathlib.Path(__file__).resolve().parents[2] / "programs" / "fashion_mnist"
SPACE = """
[axes]
weight_bits = [2, 4, 8]
array_rows = [8, 16]
array_cols = [8, 16]
scratchpad_kib = [32, 128]
scratchpad_banks = [12, 16]
per_tensor = [false, true]
[objectives]
accuracy.top1 = "max"
cycles.total = "min"
energy.total_pj = "min"
[constraints]
array_rows = "== array_cols"
accuracy.top1 = ">= 0.5"
"""

# Goes through the page as a reader does, and leaves what it saw in an attribute of the body.
READER = """<script>
const errors = [];
addEventListener('error', (e) => errors.push(String(e.message)));
addEventListener('load', () => {
  const seen = {};
  const ask = (selector) => document.querySelectorAll(selector);
  const text = () => document.getElementById('point').textContent;
  seen.dots = ask('#scatter circle').length;
  seen.lines = ask('#parallel path').length;
  seen.listed = ask('#best tbody tr').length;
  seen.said = {};
  const data = JSON.parse(document.getElementById('data').textContent);
  document.getElementById('find').value = '';
  for (let page = 0; page < 10; page++) {
    ask('#all tbody tr').forEach((line) => {
      line.dispatchEvent(new MouseEvent('click', { bubbles: true }));
      seen.said[line.dataset.point] = text();
    });
    document.getElementById('after').click();
  }
  ask('#scatter circle').forEach((dot) => { dot.dispatchEvent(new PointerEvent('pointerenter')); dot.dispatchEvent(new PointerEvent('pointerleave')); });
  for (const id of ['x', 'y']) {
    const choice = document.getElementById(id);
    for (const option of choice.options) { choice.value = option.value; choice.dispatchEvent(new Event('change')); }
  }
  document.querySelector('th[data-column="cycles.total"]').click();
  const find = document.getElementById('find');
  find.value = 'weight_bits=4';
  find.dispatchEvent(new Event('input'));
  seen.found = document.getElementById('where').textContent;
  seen.width = document.documentElement.scrollWidth;
  seen.window = innerWidth;
  seen.resources = performance.getEntriesByType('resource').length;
  seen.errors = errors;
  document.body.dataset.seen = JSON.stringify(seen);
});
</script>
"""


def browser(arguments, page):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000", "--enable-logging=stderr"]
    done = subprocess.run(["chromium", *flags, *arguments, page.as_uri()], capture_output=True, text=True, timeout=120)
    if "Uncaught" in done.stderr:
        sys.exit(f"script error: {done.stderr}")
    return done.stdout


def check(page, width):
    """Reads the page in a window of that width."""
    read = page.with_name(f"read-{width}.html")
    read.write_text(page.read_text().replace("<head>", "<head>" + READER, 1))
    dom = browser([f"--window-size={width},900", "--dump-dom"], read)
    found = re.search(r'data-seen="([^"]*)"', dom)
    if not found or 'data-ready="yes"' not in dom:
        sys.exit(f"the page at width {width} did not come to its end")
    seen = json.loads(found.group(1).replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    problems = list(seen["errors"])
    if seen["width"] > seen["window"]:
        problems.append(f"it is {seen['width']} wide in a window of {seen['window']}")
    if seen["resources"]:
        problems.append(f"it asked for {seen['resources']} other files")
    rows = [json.loads(line) for line in (page.parent / "points.jsonl").read_text().splitlines()]
    measured = [row for row in rows if row["cycles.total"] is not None]
    if seen["dots"] != len(measured) or not 0 < seen["lines"] <= seen["dots"] or not seen["listed"]:
        problems.append(f"{seen['dots']} dots, {seen['lines']} lines, {seen['listed']} listed of {len(measured)} measured points")
    for row in rows:
        said = seen["said"].get(str(row["point"]), "")
        expected = "It failed" if row["error"] else "It breaks" if row["violates"] else "front|beats it"
        if not re.search(expected, said):
            problems.append(f"of point {row['point']} it says {said[:200]!r}")
    count = sum(row["weight_bits"] == 4 for row in rows)
    if not seen["found"].endswith(f"of {count}"):
        problems.append(f"it found {seen['found']!r} with weight_bits=4, of {count}")
    if problems:
        sys.exit("\n".join(problems))
    return len(rows)


def main():
    if not shutil.which("chromium"):
        print("skipped: no chromium")
        return
    qdse = pathlib.Path(sys.argv[1]).resolve() / "qdse"
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "space.toml").write_text(SPACE)
        command = [qdse, FASHION_MNIST / "fashion_mnist.onnx", "--space", scratch / "space.toml", "--data", FASHION_MNIST / "test.npz"]
        command += ["--calib", FASHION_MNIST / "calibration.npz", "--preprocess", "mean=0,std=255", "-o", scratch / "out", "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        page = scratch / "out" / "report.html"
        for width in (1200, 500):
            count = check(page, width)
        if len(sys.argv) > 2:
            for width in (1200, 500):
                target = pathlib.Path(sys.argv[2]).resolve() / f"report-{width}.png"
                browser([f"--window-size={width},2600", f"--screenshot={target}"], page)
        print(f"the report of {count} points: no script error, no other file, no wider than its window; every point says what it is")


if __name__ == "__main__":
    main()
