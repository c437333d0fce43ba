"""Judges real networks by their task: the face that is found, the person that is cut out, the text that is read, key points of people,
types of files.

usage: tasks.py FOLDER_WITH_BINARIES

Each is compiled with default options for two machines, calibrated on photos without the one it is judged by, proved, and compared there with
ONNX Runtime's float result; every layer must also equal the host runtime. Text is read in strips of two photos, every other one for calibration.
Networks come from the folder QCC_MODELS, photos from QCC_DATA; where either is not set the check says so and is skipped.
"""

import os
import pathlib
import sys
import tempfile

import numpy as np
from PIL import Image

import common
import ocr
import tasks_integer

MACHINES = ("edge16", "edge32")
JUDGED = "astronaut.png"
LEAST_BOX_IOU = 0.9
LEAST_MASK_IOU = 0.97
# Text recognition: a convolutional network with attention, on a machine of each size.
READERS = ("tiny8", "edge16")
PAGES = ("photos/page.png", "ocr/imageTextN.png")
LEAST_READ = 0.95


def photo(path, size):
    """The central square of a photo as float32 pixels 0..255, `[1, size, size, 3]`."""
    image = Image.open(path).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box), np.float32)[np.newaxis]


def best_box(outputs):
    """The box `[x0, y0, x1, y1]` of the best score, in 0..1: BlazeFace's anchors are the centres of its cells."""
    cells = [(16, 2), (8, 6)]
    centres = [((x + 0.5) / n, (y + 0.5) / n) for n, boxes in cells for y in range(n) for x in range(n) for _ in range(boxes)]
    best = int(outputs["classificators"].argmax())
    x, y, w, h = outputs["regressors"].reshape(-1, 16)[best, :4] / 128
    x, y = (x, y) + np.array(centres[best])
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def box_iou(real, found):
    """Intersection over union of the best boxes."""
    a, b = best_box(real), best_box(found)
    both = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)


def mask_iou(real, found):
    """Intersection over union of the pixels that are more likely a person than not."""
    a, b = (next(iter(outputs.values())) > 0.5 for outputs in (real, found))
    return (a & b).sum() / (a | b).sum()


def judge(tools, model, machine, size, pixels, measure, folder):
    """`measure` of the float and the integer outputs for the judged photo; `pixels` is the network's normalization."""
    photos = sorted((pathlib.Path(os.environ["QCC_DATA"]) / "photos").iterdir())
    samples, program = folder / "samples.npz", folder / "prog.bin"
    np.savez(samples, x=np.stack([pixels(photo(path, size)) for path in photos if path.name != JUDGED]))
    tools.qcc(model, program, "--data", samples, "--hw", machine)
    common.run(tools.qsim_path, "verify", program)
    if not tools.report(program, "--check")["check"]["bit_exact"]:
        sys.exit(f"{model.stem} on {machine} is not what the host runtime computes")
    session = common.session(model)
    x = pixels(photo(next(path for path in photos if path.name == JUDGED), size))
    name = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    real = dict(zip(names, session.run(names, {name: x})))
    found = tools.outputs(program, {name: x}, folder)
    return measure(real, found)


def read(tools, model, machine, folder):
    """Share of the characters that the float network reads which the compiled one reads too."""
    pages = [pathlib.Path(os.environ["QCC_DATA"]) / page for page in PAGES]
    strips = [strip for page in pages for strip in ocr.strips(page)]
    samples, program = folder / "samples.npz", folder / "prog.bin"
    np.savez(samples, x=np.stack(strips[::2]))
    shape = f"x=1x3x{ocr.HEIGHT}x{ocr.WIDTH}"
    tools.qcc(model, program, "--shape", shape, "--data", samples, "--hw", machine)
    common.run(tools.qsim_path, "verify", program)
    if not tools.report(program, "--check")["check"]["bit_exact"]:
        sys.exit(f"{model.stem} on {machine} is not what the host runtime computes")
    session, alphabet = common.session(model), ocr.alphabet(model)
    characters = wrong = 0
    for strip in strips[1::2]:
        x = {"x": strip[np.newaxis]}
        real = ocr.text(session.run(None, x)[0], alphabet)
        found = ocr.text(tools.compute(program, x, folder), alphabet)
        characters += len(real)
        wrong += ocr.distance(real, found)
    return 1 - wrong / characters


def main():
    if not {"QCC_MODELS", "QCC_DATA"} <= os.environ.keys():
        print("skipped: QCC_MODELS and QCC_DATA are not both set")
        return
    tools, models = common.Tools(sys.argv[1]), pathlib.Path(os.environ["QCC_MODELS"])
    tasks = [
        ("mp_blazeface_short", 128, lambda x: x / 127.5 - 1, box_iou, LEAST_BOX_IOU),
        ("mp_selfie_segmentation", 256, lambda x: x / 255, mask_iou, LEAST_MASK_IOU),
    ]
    failures = 0
    for name, size, pixels, measure, least in tasks:
        for machine in MACHINES:
            with tempfile.TemporaryDirectory() as folder:
                iou = judge(tools, models / f"{name}.onnx", machine, size, pixels, measure, pathlib.Path(folder))
            failures += iou < least
            print(f"{name} on {machine}: IoU with the float result {iou:.3f}, expected at least {least}", flush=True)
    for machine in READERS:
        with tempfile.TemporaryDirectory() as folder:
            share = read(tools, models / "ppocrv4_rec.onnx", machine, pathlib.Path(folder))
        failures += share < LEAST_READ
        print(f"ppocrv4_rec on {machine}: {share:.3f} of the characters that the float network reads, expected at least {LEAST_READ}", flush=True)
    for name, measure, least, what in [
        ("movenet_lightning", tasks_integer.movenet, tasks_integer.LEAST_NEAR, "key points within 2 % of the float ones"),
        ("magika_v3_3", tasks_integer.magika, tasks_integer.LEAST_SAME, "files of the same type as float"),
    ]:
        model = models / f"{name}.onnx"
        if not model.exists():
            print(f"{name}: skipped, {model} is absent")
            continue
        for machine in ("edge16", "tiny8"):
            with tempfile.TemporaryDirectory() as folder:
                share, count = measure(tools, model, machine, pathlib.Path(folder))
            failures += share < least
            print(f"{name} on {machine}: {share:.1%} of {count} {what}, expected at least {least:.0%}", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
