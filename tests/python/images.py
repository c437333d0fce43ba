"""Compares the pixels that qcc and qsim make of image files with Pillow's, to the bit.

usage: images.py FOLDER_WITH_BINARIES

Pillow prepares pixels as an array, qcc calibrates on the array, and qsim reads the images: it says of how many samples the program has seen
the very pixels before, which must be all of them.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

MODEL = pathlib.Path(__file__).resolve().parents[2] / "programs" / "fashion_mnist" / "fashion_mnist.onnx"
SIZES = [(28, 28), (29, 61), (400, 300), (301, 97), (17, 23), (1024, 40)]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def photo(rng, width, height):
    """A random image with smooth and rough parts."""
    rough = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    smooth = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    return Image.fromarray(np.where(rng.random((height, width, 1)) < 0.5, rough, smooth))


def prepared(image, resize, crop, resampling):
    """What Pillow makes of an image: grey, resized, cropped in the center (rounded as Python rounds)."""
    image = image.convert("L")
    width, height = image.size
    if isinstance(resize, int):
        short = min(width, height)
        size = (resize * width // short, resize * height // short)
    else:
        size = (resize[1], resize[0])
    image = image.resize(size, resampling)
    left, top = round((size[0] - crop) / 2), round((size[1] - crop) / 2)
    return np.asarray(image.crop((left, top, left + crop, top + crop)))[None]


def main():
    binaries = pathlib.Path(sys.argv[1])
    rng = np.random.default_rng(1)
    photos = [photo(rng, *size) for size in SIZES]
    failures, checked = [], 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "photos").mkdir()
        for i, image in enumerate(photos):
            image.save(folder / "photos" / f"{i}.png")
        for name, resampling in FILTERS.items():
            for resize, crop in [(28, 28), (31, 28), (40, 28), ((28, 28), 28), ((50, 33), 28)]:
                pixels = np.stack([prepared(image, resize, crop, resampling) for image in photos])
                np.save(folder / "pixels.npy", pixels)
                text = resize if isinstance(resize, int) else f"{resize[0]}x{resize[1]}"
                how = f"mean=0,std=255,resize={text}:{name},crop={crop},color=gray"
                program = folder / "p.bin"
                command = [binaries / "qcc", MODEL, "--data", folder / "pixels.npy", "--preprocess", how, "-o", program]
                subprocess.run(command, check=True, capture_output=True)
                said = subprocess.run([binaries / "qsim", program, "--data", folder / "photos"], check=True, capture_output=True, text=True).stderr
                checked += 1
                if f"{len(photos)} of {len(photos)} samples were used for calibration" not in said:
                    failures.append(f"{how}: pixels differ from Pillow's: {said}")
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"images as Pillow makes them: {checked - len(failures)} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
