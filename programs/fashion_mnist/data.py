"""Reads Fashion-MNIST as installed by the Debian package dataset-fashion-mnist."""

import gzip
import os

import numpy as np

DATASET = os.environ.get("FASHION_MNIST_DIR", "/usr/share/datasets/fashion-mnist")

# Only the first half of the official test set is ever read: t10k[5000:10000]
# stays unseen so that it can still serve as an untouched test set.
TEST_IMAGES = 5000


def read_idx(name, header_bytes, item_bytes, count):
    """Returns the first `count` items of a gzipped IDX file as uint8."""
    with gzip.open(os.path.join(DATASET, name)) as f:
        f.read(header_bytes)
        items = f.read(count * item_bytes)
    return np.frombuffer(items, np.uint8).reshape(count, item_bytes)


def load(split, count):
    """Returns raw pixels uint8 [count,1,28,28] and labels int64 [count]."""
    assert split == "train" or count <= TEST_IMAGES
    x = read_idx(f"{split}-images-idx3-ubyte.gz", 16, 28 * 28, count)
    y = read_idx(f"{split}-labels-idx1-ubyte.gz", 8, 1, count)
    return x.reshape(count, 1, 28, 28), y[:, 0].astype(np.int64)


if __name__ == "__main__":
    # usage: data.py OUT.npz -- the first 5000 test images as qsim reads them
    import sys

    images, labels = load("t10k", TEST_IMAGES)
    np.savez_compressed(sys.argv[1], x=images, y=labels)
