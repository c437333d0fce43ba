"""Opens the pages that `qsim --html` and `qdse` write in headless Chromium, on a desk, on a phone and on paper, and uses them.

usage: pages.py FOLDER_WITH_BINARIES [FOLDER_FOR_SCREENSHOTS]

Every script error fails, as does a page that is wider than its window, asks for anything from elsewhere, shows an empty chart or text outside of one, does not react,
or says something else than the report in JSON. Layers and axes have names that would be scripts if they were not escaped. Needs `chromium` (a Debian package); where there is none the
check says so and is skipped.
"""

import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

FASHION_MNIST = pathlib.Path(__file__).resolve().parents[2] / "programs" / "fashion_mnist"
HOSTILE = "</title></script><script>throw 'a name became a script'</script>&quot;'"
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

# What every page is asked: stands before all other scripts, and sends what it saw to the page that frames it.
ANY_READER = r"""<script>
const errors = [];
addEventListener('error', (e) => errors.push(String(e.message)));
const ask = (selector) => [...document.querySelectorAll(selector)];
const finger = (made, type) => made.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: 20, clientY: 20 }));
const click = (made) => made.dispatchEvent(new MouseEvent('click', { bubbles: true }));
const charts = () => ask('svg.chart').filter((svg) => svg.getBoundingClientRect().width > 0).map((svg) => {
  const box = svg.viewBox.baseVal;
  const outside = [...svg.querySelectorAll('text')].filter((text) => {
    const b = text.getBBox();
    return b.width > 0 && (b.x < -1 || b.y < -1 || b.x + b.width > box.width + 1 || b.y + b.height > box.height + 1);
  });
  const marks = [...svg.querySelectorAll('.mark')];
  const silent = marks.slice(0, 400).filter((mark) => {
    finger(mark, 'pointerover');
    const tip = document.getElementById('tip');
    return !tip.textContent || tip.style.visibility !== 'visible';
  });
  finger(document.body, 'pointerover');
  return { label: svg.getAttribute('aria-label'), marks: marks.length, silent: silent.length, outside: outside.map((text) => text.textContent), text: parseFloat(getComputedStyle(svg.querySelector('text')).fontSize) * svg.getBoundingClientRect().width / box.width };
});
addEventListener('load', () => {
  const seen = { charts: charts(), ...read() };
  seen.width = document.documentElement.scrollWidth;
  seen.window = innerWidth;
  seen.resources = performance.getEntriesByType('resource').length;
  // Brightness of the paper, and of the text on it.
  const light = (color) => color.match(/[\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part) / 3, 0);
  seen.paper = light(getComputedStyle(document.body).backgroundColor);
  seen.ink = [light(getComputedStyle(document.body).color), ...ask('svg text').map((text) => light(getComputedStyle(text).fill))];
  seen.errors = errors;
  parent.postMessage(JSON.stringify(seen), '*');
});
</script>
"""

# Goes through the page of a run as a reader does.
RUN_READER = r"""<script>
const read = () => {
  const seen = {};
  const names = () => ask('table.layers tbody tr').map((row) => Number(row.cells[0].textContent));
  const cycles = ask('table.layers th').find((head) => head.textContent === 'cycles');
  seen.before = names();
  click(cycles);
  seen.falling = names();
  click(cycles);
  seen.rising = names();
  const mark = ask('.chart [data-layer="1"]')[0];
  click(mark);
  seen.chosen = ask('tr.chosen').map((row) => row.dataset.layer);
  seen.open = ask('details[open]').map((made) => made.id);
  seen.facts = Object.fromEntries(ask('.facts div').map((fact) => [fact.children[0].textContent, fact.children[1].textContent]));
  seen.links = ask('nav a').filter((a) => !document.querySelector(a.getAttribute('href'))).length;
  return seen;
};
</script>
"""

# Goes through the page of a sweep.
SWEEP_READER = r"""<script>
const read = () => {
  const seen = {};
  const text = () => document.getElementById('point').textContent;
  seen.dots = ask('#scatter circle').length;
  seen.lines = ask('#parallel path').length;
  seen.listed = ask('#best tbody tr').length;
  seen.said = {};
  seen.runs = {};
  document.getElementById('find').value = '';
  for (let page = 0; page < 10; page++) {
    ask('#all tbody tr').forEach((line) => {
      click(line);
      seen.said[line.dataset.point] = text();
      seen.runs[line.dataset.point] = ask('#run svg.chart').length;
    });
    document.getElementById('after').click();
  }
  ask('#scatter circle').forEach((dot) => { finger(dot, 'pointerover'); });
  for (const id of ['x', 'y']) {
    const choice = document.getElementById(id);
    for (const option of choice.options) { choice.value = option.value; choice.dispatchEvent(new Event('change')); }
  }
  document.querySelector('th[data-column="cycles.total"]').click();
  const find = document.getElementById('find');
  find.value = 'weight_bits=4';
  find.dispatchEvent(new Event('input'));
  seen.found = document.getElementById('where').textContent;
  const dot = ask('#front circle.front')[0];
  click(dot);
  seen.chosen = [dot.dataset.point, text()];
  return seen;
};
</script>
"""

# Listens to the page in a frame.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0"><iframe src="{name}" width="{width}" height="{height}" style="border:0"></iframe>
<script>addEventListener('message', (e) => {{ document.body.dataset.seen = e.data; }});</script>"""


def browser(arguments, page):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000", "--enable-logging=stderr"]
    done = subprocess.run(["chromium", *flags, *arguments, page.as_uri()], capture_output=True, text=True, timeout=120)
    if "Uncaught" in done.stderr:
        sys.exit(f"script error: {done.stderr}")
    return done.stdout


def framed(page, width, height=900):
    """A page that shows another one in a window of that size: Chromium's own window is never as narrow as a phone."""
    frame = page.with_name(f"{page.stem}-{width}-frame.html")
    frame.write_text(FRAME.format(name=page.name, width=width, height=height))
    return frame


def read(page, reader, width, kind):
    """What the reader saw in a window of that width, of a screen (light or dark) or as it would be on paper; and what is wrong with any page."""
    paper = kind == "paper"
    text = page.read_text()
    if paper:
        # What is meant for paper, on screen, where it can be measured.
        text = text.replace("@media print", "@media screen").replace("@media screen and (prefers", "@media print and (prefers")
    copy = page.with_name(f"{page.stem}-{width}-{kind}.html")
    copy.write_text(text.replace("<head>", "<head>" + reader + ANY_READER, 1))
    scheme = f"--blink-settings=preferredColorScheme={0 if kind == 'dark' else 1}"
    dom = browser(["--window-size=1400,1000", "--dump-dom", scheme], framed(copy, width))
    found = re.search(r'data-seen="([^"]*)"', dom)
    if not found:
        sys.exit(f"{page.name} at width {width} did not come to its end")
    seen = json.loads(html.unescape(found.group(1)))
    problems = list(seen["errors"])
    if seen["width"] > seen["window"]:
        problems.append(f"it is {seen['width']} wide in a window of {seen['window']}")
    # What is missing beside a local file is not among the resources.
    if seen["resources"] or re.search(r'<[^>]*\s(?:src|href)="(?!#)|url\(|@import', page.read_text()):
        problems.append("it asks for other files")
    if (seen["paper"] < 128) != (kind == "dark") or any(abs(ink - seen["paper"]) < 80 for ink in seen["ink"]):
        problems.append(f"its paper has brightness {seen['paper']:.0f}, its text {min(seen['ink']):.0f} to {max(seen['ink']):.0f}")
    for chart in seen["charts"]:
        if not chart["marks"] or chart["silent"] or chart["outside"] or chart["text"] < (6 if paper else 9):
            problems.append(f"chart {chart}")
    return seen, [f"{page.name} at width {width}, {kind}: {problem}" for problem in problems]


def printed(page):
    """Prints to PDF; how many pages that took."""
    pdf = page.with_suffix(".pdf")
    browser([f"--print-to-pdf={pdf}", "--no-pdf-header-footer"], page)
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))


def check_run(page, report, width, kind):
    seen, problems = read(page, RUN_READER, width, kind)
    layers = report["layers"]
    by_cycles = sorted(range(len(layers)), key=lambda i: (layers[i]["cycles"], -i))
    if seen["before"] != list(range(len(layers))) or seen["falling"] != by_cycles[::-1] or seen["rising"] != sorted(range(len(layers)), key=lambda i: (layers[i]["cycles"], i)):
        problems.append(f"its table is not sorted: {seen['falling']}")
    if seen["chosen"] != ["1"] or "layer-1" not in seen["open"]:
        problems.append(f"a mark leads to {seen['chosen']} and {seen['open']}")
    if seen["facts"]["cycles"] != f"{report['cycles']['total']:,}" or seen["facts"]["top-1"] != f"{100 * report['accuracy']['top1']:.1f}%" or seen["facts"]["check"] != "bit-exact":
        problems.append(f"it says {seen['facts']}")
    if len(seen["charts"]) != 7 or seen["links"]:
        problems.append(f"{len(seen['charts'])} charts, {seen['links']} links that lead nowhere")
    return problems


def check_sweep(page, rows, width, kind):
    seen, problems = read(page, SWEEP_READER, width, kind)
    measured = [row for row in rows if row["cycles.total"] is not None]
    if seen["dots"] != len(measured) or not 0 < seen["lines"] <= seen["dots"] or not seen["listed"]:
        problems.append(f"{seen['dots']} dots, {seen['lines']} lines, {seen['listed']} listed of {len(measured)} measured points")
    for row in rows:
        said = seen["said"].get(str(row["point"]), "")
        expected = "It failed" if row["error"] else "It breaks" if row["violates"] else "front|beats it"
        if not re.search(expected, said):
            problems.append(f"of point {row['point']} it says {said[:200]!r}")
        wanted = 2 if "On the front" in said else 0
        if seen["runs"].get(str(row["point"])) != wanted:
            problems.append(f"of point {row['point']} it shows {seen['runs'].get(str(row['point']))} charts instead of {wanted}")
    count = sum(row["weight_bits"] == 4 for row in rows)
    if not seen["found"].endswith(f"of {count}"):
        problems.append(f"it found {seen['found']!r} with weight_bits=4, of {count}")
    point, said = seen["chosen"]
    if not said.startswith(f"Point {point}"):
        problems.append(f"the dot of point {point} leads to {said[:40]!r}")
    return problems


def simulate(binaries, folder):
    """The page of a run of the embedded network, one of whose layers has a hostile name; and its report."""
    data = ["--data", FASHION_MNIST / "test.npz", "--float", FASHION_MNIST / "fashion_mnist.onnx", "--check", "--quiet"]
    program = folder / "net.bin"
    compile_ = [binaries / "qcc", FASHION_MNIST / "fashion_mnist.onnx", "--data", FASHION_MNIST / "calibration.npz", "--preprocess", "mean=0,std=255", "-o", program, "--quiet"]
    subprocess.run(compile_, check=True)
    run = [binaries / "qsim", program, *data, "--html", folder / "net.html", "--svg", folder / "charts", "--format", "json"]
    report = json.loads(subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout)
    text = subprocess.run([binaries / "qsim", "disasm", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    renamed = re.sub(r'(\.node )"[^"]*"', lambda m: m.group(1) + json.dumps(HOSTILE), text)
    (folder / "hostile.qasm").write_text(renamed)
    subprocess.run([binaries / "qsim", "asm", folder / "hostile.qasm", "--quiet"], check=True)
    subprocess.run([binaries / "qsim", folder / "hostile.bin", *data, "--html", folder / "hostile.html"], check=True, stdout=subprocess.DEVNULL)
    if "&lt;script&gt;throw" not in (folder / "hostile.html").read_text():
        sys.exit("the hostile name is not on the page")
    return folder / "net.html", folder / "hostile.html", report


def explore(binaries, folder):
    (folder / "space.toml").write_text(SPACE)
    command = [binaries / "qdse", FASHION_MNIST / "fashion_mnist.onnx", "--space", folder / "space.toml", "--data", FASHION_MNIST / "test.npz"]
    command += ["--calib", FASHION_MNIST / "calibration.npz", "--preprocess", "mean=0,std=255", "-o", folder / "out", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (folder / "out" / "points.jsonl").read_text().splitlines()]
    return folder / "out" / "report.html", rows


def screenshot(page, width, height, to):
    # Chromium's window is at least 500 wide, so a phone gets a margin.
    browser([f"--window-size={width},{height}", f"--screenshot={to}"], framed(page, width, height))


def main():
    if not shutil.which("chromium"):
        print("skipped: no chromium (a Debian package: apt-get install chromium)")
        return
    binaries = pathlib.Path(sys.argv[1]).resolve()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        page, hostile, report = simulate(binaries, scratch)
        front, rows = explore(binaries, scratch)
        made = time.monotonic()
        problems = []
        for width, kind in ((1280, "light"), (390, "light"), (390, "dark"), (700, "paper")):
            problems += check_run(page, report, width, kind)
            problems += check_run(hostile, report, width, kind)
            problems += check_sweep(front, rows, width, kind)
        pages = [printed(page), printed(front)]
        if not all(2 <= count <= 40 for count in pages):
            problems.append(f"printed on {pages} pages")
        if problems:
            sys.exit("\n".join(problems))
        if len(sys.argv) > 2:
            folder = pathlib.Path(sys.argv[2]).resolve()
            screenshot(page, 1100, 1500, folder / "run.png")
            screenshot(front, 1100, 1400, folder / "sweep.png")
            screenshot(page, 390, 1000, folder / "phone.png")
    print(f"pages: one run and {len(rows)} points, at 1280 and 390, light, dark and on paper: no script error, no overflow, every chart drawn; printed on {pages[0]} and {pages[1]} pages; "
          f"{made - begun:.0f} s to make, {time.monotonic() - made:.0f} s to read")


if __name__ == "__main__":
    main()
