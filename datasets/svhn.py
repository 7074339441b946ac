"""SVHN: digits cropped from photographs of house numbers, 32×32 in colour.

Netzer, Wang, Coates, Bissacco, Wu and Ng, "Reading digits in natural images with unsupervised feature learning", NIPS
workshop on deep learning and unsupervised feature learning 2011.
"""

from pathlib import Path

import numpy as np

from datasets.base import Card, Raw
from datasets.parts.joined import joined
from datasets.source import Source

card = Card(
    title="SVHN, cropped digits",
    source="http://ufldl.stanford.edu/housenumbers/",
    licence="none stated, non-commercial use",
    modality="image",
    shape=[3, 32, 32],
    n=99289,
    n_test=26032,
    classes=10,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    class_counts=[6692, 18960, 14734, 11379, 9981, 9266, 7704, 7614, 6705, 6254],
    test_counts=[1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595],
    defects=[
        "neighbouring digits of the same house number stand at the sides of many crops",
        "the 531,131 images of the part `extra` are not used",
    ],
    files={
        "train_32x32.mat": "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "md5:eb5a983be6a315427106f1b164d9cef3",
    },
)
_URL = "https://ufldl.stanford.edu/housenumbers/"


def load(source: Source) -> Raw:
    """The 73,257 train images, then the 26,032 test images, in their files' order."""
    parts = []
    for path, checksum in card.files.items():
        found = source.find(path, checksum=checksum, urls=[_URL + path])
        with source.reading(found):
            parts.append(read_mat(found))
    return joined(parts)


def read_mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """One file of MATLAB: `X` [32, 32, 3, n] becomes [n, 3, 32, 32] uint8, `y` [n, 1] with 10 for a nought becomes [n] int64."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, variable_names=["X", "y"])
    except (MatReadError, NotImplementedError, TypeError, IndexError) as error:
        raise ValueError(f"it is no file of MATLAB that can be read: {error}") from error
    if absent := {"X", "y"} - set(found):
        raise ValueError(f"it has no variable {' and no '.join(sorted(absent))}")
    images, labels = found["X"], found["y"].ravel()
    if images.dtype != np.uint8 or images.shape != (32, 32, 3, len(labels)):
        raise ValueError(f"its X is {images.dtype} {images.shape} beside {len(labels)} labels, not uint8 (32, 32, 3, n)")
    if not np.isin(labels, range(1, 11)).all():
        raise ValueError("its labels do not lie in 1..10")
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels.astype(np.int64) % 10
