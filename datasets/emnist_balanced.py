"""EMNIST, the part balanced: handwritten digits and letters, as many of each, 28×28.

Cohen, Afshar, Tapson and van Schaik, "EMNIST: extending MNIST to handwritten letters", IJCNN 2017. arXiv:1702.05373.
"""

from datasets.base import Card, Raw
from datasets.parts import emnist
from datasets.source import Source

card = Card(
    title="EMNIST, balanced",
    source="https://www.nist.gov/itl/products-and-services/emnist-dataset",
    licence="none stated",
    modality="image",
    shape=[1, 28, 28],
    n=131600,
    n_test=18800,
    classes=47,
    class_names=[
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M",
        "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "d", "e", "f", "g", "h", "n", "q", "r",
        "t",
    ],
    class_counts=[
        2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800,
        2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800,
        2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800, 2800,
    ],
    test_counts=[
        400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400,
        400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400,
        400,
    ],
    defects=["fifteen letters whose two cases look alike are one class each"],
    files={"EMNIST/raw/gzip.zip": "md5:58c8d27c78d21e728a6bc7b3cc06412e"},
)  # fmt: skip


def load(source: Source) -> Raw:
    """The 112,800 train images, then the 18,800 test images, in their files' order."""
    return emnist.load(source, card.files, "balanced")
