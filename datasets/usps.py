"""USPS: handwritten digits from envelopes, 16×16.

Hull, "A database for handwritten text recognition research", TPAMI 1994; the form of "The Elements of Statistical Learning"
(Hastie, Tibshirani and Friedman), whose pixels lie in −1..1.
"""

from pathlib import Path

import numpy as np

from datasets.base import Card, Raw
from datasets.parts import npz
from datasets.parts.bounded import gunzip
from datasets.parts.joined import joined
from datasets.source import Source

card = Card(
    title="USPS",
    source="https://hastie.su.domains/ElemStatLearn/data.html",
    licence="none stated",
    modality="image",
    shape=[1, 16, 16],
    n=9298,
    n_test=2007,
    classes=10,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    class_counts=[1553, 1269, 929, 824, 852, 716, 834, 792, 708, 821],
    test_counts=[359, 264, 198, 166, 200, 160, 170, 147, 166, 177],
    development=True,
    sha_inputs="3b013b7891613b3958c48b3830c2bf8b9dac7aba457b6d2607371417e7217039",
    sha_labels="fd3af4480ffb5096c594c08b614a497be0b231728072b46ebf0f31e41a319a37",
    # The publisher states no checksum; these are of copies that produce the canonical arrays.
    files={
        "usps/zip.train.gz": "sha256:66ebf231ab51f2cf6ac1a892d0f98ccffee1079d7a5db638c1f11f366046ca16",
        "usps/zip.test.gz": "sha256:8dacc3c6e136af6c3488de9e5113a7daf140c8c2f1f0b61c54ee02f03f1a962f",
    },
)
_BOUND = 64 << 20  # bytes of text; the train file has 13 million
_URL = "https://hastie.su.domains/ElemStatLearn/datasets/"


def load(source: Source) -> Raw:
    """The 7,291 train rows, then the 2,007 test rows; from `usps.npz` where it is, else from the two text files."""
    if source.has("usps.npz"):
        return npz.load(source, "usps.npz")
    parts = []
    for path, checksum in card.files.items():
        found = source.find(path, checksum=checksum, urls=[_URL + path.rsplit("/", 1)[-1]])
        with source.reading(found):
            parts.append(read_text(found))
    return joined(parts)


def read_text(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """One packed text file, a row a line: its label, then 256 values v in −1..1, which become round((v + 1)/2·255)."""
    rows = [line.split() for line in gunzip(path.read_bytes(), _BOUND).decode("ascii").splitlines()]
    width = 1 + 16 * 16
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != width), None)
    if wrong or not rows:
        raise ValueError(f"its line {wrong or 1} holds {len(rows[wrong - 1]) if wrong else 0} values, not {width}")
    table = np.array(rows, np.float64)
    labels, values = table[:, 0], table[:, 1:]
    if not (np.isin(labels, range(10)).all() and (np.abs(values) <= 1).all()):
        raise ValueError("its labels do not lie in 0..9 or its values not in -1..1")
    # The values have three decimals: in thousandths they are integers, and halves are exact.
    thousandths = np.rint((values + 1) * 1000)
    pixels = np.rint(thousandths * 255 / 2000).astype(np.uint8)
    return pixels.reshape(-1, *card.shape), labels.astype(np.int64)
