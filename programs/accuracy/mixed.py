"""The curve of bytes against agreement of EfficientNet-Lite0 with bits chosen layer by layer, beside uniform widths.

usage: mixed.py BINARIES EFFICIENTNET.onnx PHOTOS OUTPUT_FOLDER [choosing|reporting]

Layers are measured, and everything is fitted, on the calibration crops of `networks.py`; the points are measured on crops of other photos, which choose nothing: the reporting
ones, or while the method is worked on the choosing ones. Prints the curve as Markdown with the bits of every layer, and for each uniform width the best point in no more bytes.
"""

import json
import pathlib
import subprocess
import sys

import networks
import numpy as np

SPACE = pathlib.Path(__file__).with_suffix(".toml")
BYTES, AGREEMENT, SQNR = "memory.weights_bytes", "accuracy.agreement", "accuracy.sqnr_db"


def sweep(binaries, model, photos, folder, measured):
    """Runs `qdse`; the rows of all points, and the bits of the layers by assignment."""
    network = networks.efficientnet(model, photos)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("calibration", measured):
        np.save(folder / f"{name}.npy", getattr(network, name))
    out = folder / f"sweep-{measured}"
    command = [binaries / "qdse", model, "--space", SPACE, "--data", folder / f"{measured}.npy", "--calib", folder / "calibration.npy"]
    command += ["--preprocess", f"mean={network.mean},std={network.std}", "-o", out, "--resume"]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (out / "points.jsonl").read_text().splitlines()]
    layers = {found["name"]: found["layers"] for found in json.loads((out / "sweep.json").read_text())["assignments"]}
    return rows, layers


def line(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main():
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    binaries, model, photos, folder = map(pathlib.Path, sys.argv[1:5])
    rows, layers = sweep(binaries, model, photos, folder, sys.argv[5] if len(sys.argv) == 6 else "reporting")
    rows.sort(key=lambda row: (row[BYTES], row[AGREEMENT]))
    print(line("widths", "weights, bytes", "agreement", "SQNR", "bits of the layers' weights, in order"))
    print(line(*["---"] * 5))
    for row in rows:
        print(line(row["widths"], f"{row[BYTES]:,}", f"{row[AGREEMENT]:.2%}", f"{row[SQNR]:.1f} dB", f"`{layers[row['widths']]}`"))
    print()
    mixed = [row for row in rows if row["widths"].startswith("mixed")]
    for row in rows:
        within = [other for other in mixed if other[BYTES] <= row[BYTES]]
        if row not in mixed and within:
            # Which one is said by its bytes alone: the dearest that fits, not the one that came out best.
            rival = max(within, key=lambda other: other[BYTES])
            verdict = "more" if rival[AGREEMENT] > row[AGREEMENT] else "not more"
            print(f"- {row['widths']}, {row[BYTES]:,} bytes: {row[AGREEMENT]:.2%}, {row[SQNR]:.1f} dB; {rival['widths']}, {rival[BYTES]:,} bytes: {rival[AGREEMENT]:.2%}, {rival[SQNR]:.1f} dB ({verdict})")


if __name__ == "__main__":
    main()
