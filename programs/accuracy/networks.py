"""The networks and their three sets of images: disjoint, and the same for all quantizers."""

import hashlib
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "python"))
from crops import prepared  # noqa: E402

FASHION_MNIST = ROOT / "programs" / "fashion_mnist"
# Of the photos that are not reported on, in order of name, every third is for choosing.
CHOOSE_EVERY = 3


class Network:
    """A float model, how pixels become its input, and its images, uint8 [n, c, h, w].

    `calibration` is for quantizers to learn from, `choosing` to choose among a rival's settings, `reporting` for the table."""

    def __init__(self, name, model, mean, std, calibration, choosing, reporting, labels=None):
        self.name, self.model, self.mean, self.std = name, pathlib.Path(model), mean, std
        self.calibration, self.choosing, self.reporting = calibration, choosing, reporting
        self.labels = labels
        if reporting.dtype != np.uint8:
            sys.exit(f"{name}: the images must be pixels, uint8, and are {reporting.dtype}")
        check_disjoint(calibration, choosing, reporting)

    def real(self, pixels):
        """The network's input for each image."""
        return (pixels.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)

    def hash(self):
        """Of everything a result depends on beside the settings."""
        digest = hashlib.sha256(self.model.read_bytes())
        for pixels in (self.calibration, self.choosing, self.reporting):
            digest.update(pixels.tobytes())
        return digest.hexdigest()


def check_disjoint(*sets):
    """Ends the script if two sets share an image."""
    seen = [{image.tobytes() for image in images} for images in sets]
    for i, one in enumerate(seen):
        for other in seen[i + 1 :]:
            if one & other:
                sys.exit(f"{len(one & other)} images are in two sets that must be disjoint")


def fashion_mnist(test):
    """The embedded network. Its calibration images, half to calibrate on and half to choose by, are of the training set."""
    train, reporting = np.load(FASHION_MNIST / "calibration.npz")["x"], np.load(test)
    half = len(train) // 2
    model = FASHION_MNIST / "fashion_mnist.onnx"
    return Network("Fashion-MNIST", model, 0, 255, train[:half], train[half:], reporting["x"], reporting["y"])


def efficientnet(model, folder):
    """EfficientNet-Lite0 on crops of photos without labels; photos of odd index are for the report."""
    photos = sorted(pathlib.Path(folder).iterdir())
    rest = photos[::2]
    choosing = rest[::CHOOSE_EVERY]
    calibration = [photo for photo in rest if photo not in choosing]
    sets = (prepared(photos) for photos in (calibration, choosing, photos[1::2]))
    return Network("EfficientNet-Lite0", model, 127, 128, *sets)
