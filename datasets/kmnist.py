"""Kuzushiji-MNIST: ten hiragana characters from old Japanese books, 28×28.

Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto and Ha, "Deep learning for classical Japanese literature", 2018.
arXiv:1812.01718.
"""

from datasets.base import Card, Raw
from datasets.parts import idx
from datasets.source import Source

card = Card(
    title="Kuzushiji-MNIST",
    source="https://github.com/rois-codh/kmnist",
    licence="CC BY-SA 4.0",
    modality="image",
    shape=[1, 28, 28],
    n=70000,
    n_test=10000,
    classes=10,
    class_names=["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    class_counts=[7000, 7000, 7000, 7000, 7000, 7000, 7000, 7000, 7000, 7000],
    test_counts=[1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000],
    # Of the packed files alone a checksum is published, so the unpacked ones are not read.
    files={
        "KMNIST/raw/train-images-idx3-ubyte.gz": "md5:bdb82020997e1d708af4cf47b453dcf7",
        "KMNIST/raw/train-labels-idx1-ubyte.gz": "md5:e144d726b3acfaa3e44228e80efcd344",
        "KMNIST/raw/t10k-images-idx3-ubyte.gz": "md5:5c965bf0a639b31b8f53240b1b52f4d7",
        "KMNIST/raw/t10k-labels-idx1-ubyte.gz": "md5:7320c461ea6c1c855c0b718fb2a4b134",
    },
)
_URL = "https://codh.rois.ac.jp/kmnist/dataset/kmnist/"


def load(source: Source) -> Raw:
    """The 60,000 train images, then the 10,000 test images, in their files' order."""
    return idx.load(source, card.files, _URL, "KMNIST/raw")
