"""Accuracy of qcc beside ONNX Runtime's quantize_static and NNCF, on the same images: Markdown on standard output.

usage: compare.py --binaries FOLDER --cache FOLDER [--json FILE]
                  [--fashion-mnist TEST.npz] [--efficientnet MODEL.onnx --photos FOLDER]
"""

import argparse
import json
import pathlib
import sys
import tempfile

import networks
import ours
import rivals
import score


def main():
    args = arguments()
    report = {}
    for network in chosen_networks(args):
        report[network.name] = compare(network, args.binaries, args.cache)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    for flag in ("--binaries", "--cache"):
        parser.add_argument(flag, type=pathlib.Path, required=True)
    for flag in ("--json", "--fashion-mnist", "--efficientnet", "--photos"):
        parser.add_argument(flag, type=pathlib.Path)
    args = parser.parse_args()
    if not args.fashion_mnist and not args.efficientnet:
        parser.error("name --fashion-mnist, --efficientnet or both")
    if bool(args.efficientnet) != bool(args.photos):
        parser.error("--efficientnet and --photos go together")
    return args


def chosen_networks(args):
    if args.fashion_mnist:
        yield networks.fashion_mnist(args.fashion_mnist)
    if args.efficientnet:
        yield networks.efficientnet(args.efficientnet, args.photos)


def compare(network, binaries, cache):
    """Prints the table of one network and returns it."""
    others = rivals.Rivals(network, cache)
    choosing, floats, float_bytes = others.float_logits()
    rows, unknown = our_rows(network, binaries, floats)
    first = {row["bits"]: row for row in reversed(rows)}
    best = []
    for settings_of in (rivals.onnxruntime_settings, rivals.nncf_settings):
        for group in by_bits(settings_of()):
            theirs = [rival_row(others, settings, network, choosing, floats) for settings in group]
            pick = score.choose(theirs)
            pick["chosen"] = True
            best.append(pick)
            rows += theirs
    exact = list(others.exactness(best[0]["settings"]))
    choices = list(score.verdicts(first, best))
    show(network, rows, first, float_bytes, floats, unknown, exact, choices)
    rows = [score.plain(row) for row in rows]
    return {"float_bytes": float_bytes, "rows": rows, "unknown": unknown, "exactness": exact, "verdicts": choices}


def by_bits(settings):
    """Lists of settings of the same bit widths, in order."""
    groups = {}
    for each in settings:
        groups.setdefault(rivals.bits(each), []).append(each)
    return groups.values()


def our_rows(network, binaries, floats):
    """Scores of our rows, and what is said of those whose options the binary does not know."""
    rows, unknown = [], []
    for row in ours.ROWS:
        name, bits, _, options = row
        progress(f"{network.name}: {name} {bits}")
        try:
            with tempfile.TemporaryDirectory() as folder:
                logits, size = ours.logits(binaries, network, row, pathlib.Path(folder))
        except ours.Unknown as error:
            unknown.append(f"{name} {bits} left out: {error}")
            continue
        rows.append({"name": name, "bits": bits, "bytes": size, "options": options} | score.score(logits, floats, network.labels))
    return rows, unknown


def rival_row(others, settings, network, choosing, floats):
    progress(f"{network.name}: {rivals.name(settings)}")
    chosen_by, logits, size = others.run(settings)
    row = {"name": rivals.name(settings), "bits": rivals.bits(settings), "bytes": size, "settings": settings}
    return row | score.score(logits, floats, network.labels) | {"choosing_sqnr_db": score.sqnr_db(chosen_by, choosing)}


def show(network, rows, first, float_bytes, floats, unknown, exact, choices):
    counts = f"{len(network.calibration)} images to calibrate on, {len(network.choosing)} to choose by, {len(network.reporting)} reported"
    print(f"## {network.name}\n\n{counts}. Float: {float_bytes:,} bytes", end="")
    print("." if network.labels is None else f", top-1 {(floats.argmax(1) == network.labels).mean():.2%}.")
    kept, twins = score.distinct(rows)
    print("\n" + "\n".join(score.table(kept, first, float_bytes)) + "\n")
    for sentence in unknown + choices + twins:
        print(f"- {sentence}")
    for found in exact:
        print(
            f"- ONNX Runtime, session {found['session']}: {found['differing']:.2%} of logits differ from those without optimizations, by up to "
            f"{found['most']:.2g} of the largest; same answer on {found['same_answer']:.2%}"
        )
    print(flush=True)


def progress(what):
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
