"""Tasks of networks with integer inputs: key points of MoveNet, file types of Magika. See `tasks.py`, which runs them."""

import os
import pathlib
import sys

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

import common

# MoveNet: people are on these photos, which are judged and calibrate nothing.
PEOPLE = ("astronaut.png", "messi5.jpg")
LEAST_SCORE = 0.3
MOST_DISTANCE = 0.02
LEAST_NEAR = 0.93
LEAST_SAME = 0.95

# Magika: bytes of the beginning and the end of a file, and what stands for none.
WINDOW = 1024
NOTHING = 256
JUDGED_FILES = 60
CALIBRATING_FILES = 40
FILES_OF_A_KIND = 6


def variants(image):
    """A photo's centre as MoveNet may see it: itself, mirrored, darker, brighter, closer, further away."""
    side = min(image.size)
    square = ImageOps.fit(image, (side, side))
    near = ImageOps.fit(image, (side, side), centering=(0.5, 0.4)).crop((side // 10, 0, side - side // 10, side - side // 5))
    far = ImageOps.expand(square, side // 6)
    views = [square, ImageOps.mirror(square), near, far]
    views += [ImageEnhance.Brightness(square).enhance(by) for by in (0.6, 1.4)]
    return [np.asarray(view.resize((192, 192), Image.Resampling.BILINEAR), np.uint8) for view in views]


def movenet(tools, model, machine, folder):
    """The share of key points where float is sure that integers find at most `MOST_DISTANCE` of the image's side away; and how many."""
    photos = sorted((pathlib.Path(os.environ["QCC_DATA"]) / "photos").iterdir())
    seen = {path.name: variants(Image.open(path).convert("RGB")) for path in photos}
    calibration, judged, program = folder / "calibration.npz", folder / "judged.npz", folder / "prog.bin"
    np.savez(calibration, x=np.stack([view for name, views in seen.items() if name not in PEOPLE for view in views[:3]]))
    x = np.stack([view for name in PEOPLE for view in seen[name]])
    np.savez(judged, x=x)
    tools.qcc(model, program, "--data", calibration, "--hw", machine)
    common.run(tools.qsim_path, "verify", program)
    report = tools.report(program, "--data", judged, "--check", "--output", folder / "y.npz")
    judge_report(report, model, machine)
    session = common.session(model)
    name = session.get_inputs()[0].name
    real = np.stack([session.run(None, {name: view[np.newaxis].astype(np.int32)})[0].reshape(17, 3) for view in x])
    with np.load(folder / "y.npz") as outputs:
        found = next(iter(outputs.values())).reshape(-1, 17, 3)
    sure = real[..., 2] > LEAST_SCORE
    distance = np.abs(real[..., :2] - found[..., :2]).max(axis=-1)
    return float((distance[sure] <= MOST_DISTANCE).mean()), int(sure.sum())


def tokens(path):
    """What Magika sees of a file: 1,024 bytes from the first and up to the last that is no white space."""
    content = path.read_bytes()
    beginning, end = content[:4096].lstrip()[:WINDOW], content[-4096:].rstrip()[-WINDOW:]
    ids = np.full(2 * WINDOW, NOTHING, np.int32)
    ids[: len(beginning)] = np.frombuffer(beginning, np.uint8)
    if end:
        ids[-len(end) :] = np.frombuffer(end, np.uint8)
    return ids


def files():
    """Files of this machine, of as many kinds as there are: some of each ending, in a fixed order."""
    kinds = {}
    for root in ("/usr/share", "/usr/lib", "/usr/include", "/usr/bin", os.environ["QCC_DATA"], pathlib.Path(__file__).parents[2] / "docs"):
        for place, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                path = pathlib.Path(place) / name
                kind = kinds.setdefault(path.suffix, [])
                if len(kind) < FILES_OF_A_KIND and path.is_file() and not path.is_symlink() and 64 <= path.stat().st_size < 1 << 24:
                    kind.append(path)
    # One of each kind after the other, so that both halves hold all kinds.
    return [kind[at] for at in range(FILES_OF_A_KIND) for _, kind in sorted(kinds.items()) if at < len(kind)]


def magika(tools, model, machine, folder):
    """The share of files to which float and integers give the same type, where float is sure; and how many."""
    session = common.session(model)
    name = session.get_inputs()[0].name
    sure = []
    for path in files():
        ids = tokens(path)
        real = session.run(None, {name: ids[np.newaxis]})[0][0]
        if real.max() > 0.5:
            sure.append((ids, int(real.argmax())))
        if len(sure) == JUDGED_FILES + CALIBRATING_FILES:
            break
    calibration, judged, program = folder / "calibration.npz", folder / "judged.npz", folder / "prog.bin"
    # Every third file is judged until there are enough.
    chosen = [i for i in range(len(sure)) if i % 5 < 3][:JUDGED_FILES]
    np.savez(calibration, x=np.stack([ids for i, (ids, _) in enumerate(sure) if i not in chosen]))
    np.savez(judged, x=np.stack([sure[i][0] for i in chosen]))
    tools.qcc(model, program, "--data", calibration, "--hw", machine)
    common.run(tools.qsim_path, "verify", program)
    report = tools.report(program, "--data", judged, "--check", "--output", folder / "y.npz")
    judge_report(report, model, machine)
    with np.load(folder / "y.npz") as outputs:
        found = next(iter(outputs.values())).reshape(len(chosen), -1).argmax(axis=1)
    same = found == np.array([sure[i][1] for i in chosen])
    return float(same.mean()), len(chosen)


def judge_report(report, model, machine):
    """Ends the script if the machine is not the host runtime, or the host does more than index work."""
    if not report["check"]["bit_exact"]:
        sys.exit(f"{model.stem} on {machine} is not what the host runtime computes")
    if report["host"]["share"] > 0.01:
        sys.exit(f"{model.stem}: the host computes {report['host']['share']:.2%} of the operations")
