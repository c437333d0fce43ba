"""Text recognition by PP-OCRv4: strips of printed text from photos, the network's answer as text, and how far two texts are apart."""

import numpy as np
import onnx
from PIL import Image, ImageFilter

HEIGHT, WIDTH = 48, 320
# Ink is this much darker than its surroundings, 15 pixels about.
CONTRAST, SURROUNDINGS = 15, 15
# Lines of text in the photos have so many rows.
LINE_ROWS = range(8, 25)
MARGIN = 3


def runs(mask, gap):
    """Runs `[first, behind]` of true values, joined over gaps of up to `gap`."""
    out = []
    for i in map(int, np.flatnonzero(mask)):
        if out and i - out[-1][1] <= gap:
            out[-1][1] = i + 1
        else:
            out.append([i, i + 1])
    return out


def words(line, most):
    """Horizontal runs of whole words, each up to `most` columns wide, of an inked line."""
    groups = []
    for first, behind in runs(line.any(axis=0), round(0.2 * len(line))):
        if groups and behind - groups[-1][0] <= most:
            groups[-1][1] = behind
        else:
            groups.append([first, behind])
    return [group for group in groups if group[1] - group[0] <= most]


def normalized(image):
    """An image of text as the network wants it, `[3, HEIGHT, WIDTH]`, gray behind the text."""
    width = min(WIDTH, round(image.width * HEIGHT / image.height))
    pixels = image.convert("RGB").resize((width, HEIGHT), Image.Resampling.BILINEAR)
    x = np.zeros((3, HEIGHT, WIDTH), np.float32)
    x[:, :, :width] = np.asarray(pixels, np.float32).transpose(2, 0, 1) / 127.5 - 1
    return x


def strips(path):
    """The text of a photo in strips of whole words."""
    image = Image.open(path).convert("L")
    surroundings = image.filter(ImageFilter.BoxBlur(SURROUNDINGS))
    ink = np.asarray(image, np.float32) < np.asarray(surroundings, np.float32) - CONTRAST
    out = []
    for top, bottom in runs(ink.sum(axis=1) >= 4, 1):
        if bottom - top not in LINE_ROWS:
            continue
        top, bottom = max(0, top - MARGIN), min(image.height, bottom + MARGIN)
        rows = bottom - top
        for left, right in words(ink[top:bottom], WIDTH * rows / HEIGHT):
            if right - left > 2 * rows:
                out.append(normalized(image.crop((left - MARGIN, top, right + MARGIN, bottom))))
    return out


def alphabet(model):
    """What each class stands for, the blank first, from the model's metadata."""
    metadata = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    return ["", *metadata["character"].splitlines(), " "]


def text(scores, alphabet):
    """The likeliest class of each column, repetitions and blanks left out (CTC)."""
    best = scores.argmax(axis=-1).ravel()
    return "".join(alphabet[c] for i, c in enumerate(best) if i == 0 or c != best[i - 1])


def distance(a, b):
    """Characters to insert, delete or replace (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        diagonal, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            diagonal, row[j + 1] = row[j + 1], min(row[j] + 1, row[j + 1] + 1, diagonal + (x != y))
    return row[-1]
