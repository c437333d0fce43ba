"""Cuts photos into folders of crops: one to calibrate on, one to report on, from different photos.

usage: crops.py OUTPUT_FOLDER CALIBRATION_PHOTOS... -- REPORT_PHOTOS...

Every photo gives 22 square crops of 7/8, 3/4 and 5/8 of its shorter side on a grid, saved without loss (PNG) under OUTPUT/calibration and OUTPUT/report.
The same photos always give the same files.
"""

import pathlib
import sys

import numpy as np
from PIL import Image

# EfficientNet-Lite0's own preprocessing: shorter side, then center crop.
RESIZE, CROP = 256, 224
# Numerator and denominator of a side, and positions per axis.
SIZES = ((7, 8, 3), (3, 4, 3), (5, 8, 2))


def crops(photo):
    """Square crops: for each size, n x n positions from corner to corner."""
    width, height = photo.size
    for numerator, denominator, n in SIZES:
        side = min(width, height) * numerator // denominator
        for row in range(n):
            for column in range(n):
                left, top = column * (width - side) // (n - 1), row * (height - side) // (n - 1)
                yield photo.crop((left, top, left + side, top + side))


def prepared(photos):
    """All crops of some photos as EfficientNet-Lite0 takes them: pixels, uint8 [n, c, h, w]."""
    images = []
    for file in photos:
        with Image.open(file) as photo:
            images += [pixels(crop) for crop in crops(photo.convert("RGB"))]
    return np.stack(images)


def pixels(crop):
    """Channels first. Crops of photos are square."""
    first = (RESIZE - CROP) // 2
    image = crop.resize((RESIZE, RESIZE), Image.Resampling.BICUBIC).crop((first, first, first + CROP, first + CROP))
    return np.asarray(image).transpose(2, 0, 1)


def cut(files, folder):
    """Writes all crops of some photos and returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for file in sorted(map(pathlib.Path, files)):
        with Image.open(file) as photo:
            for i, crop in enumerate(crops(photo.convert("RGB"))):
                crop.save(folder / f"{file.stem}_{i:02}.png")
                count += 1
    return count


def main():
    if "--" not in sys.argv or len(sys.argv) < 5:
        sys.exit(__doc__)
    output, split = pathlib.Path(sys.argv[1]), sys.argv.index("--")
    calibration, report = sys.argv[2:split], sys.argv[split + 1 :]
    both = set(map(pathlib.Path, calibration)) & set(map(pathlib.Path, report))
    if both:
        sys.exit(f"{sorted(both)} would be calibrated on and reported on")
    print(f"{cut(calibration, output / 'calibration')} crops to calibrate on, {cut(report, output / 'report')} to report on")


if __name__ == "__main__":
    main()
