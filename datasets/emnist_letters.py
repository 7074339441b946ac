"""EMNIST, the part letters: handwritten letters, upper and lower case as one class, 28×28.

Cohen, Afshar, Tapson and van Schaik, "EMNIST: extending MNIST to handwritten letters", IJCNN 2017. arXiv:1702.05373.
"""

from datasets.base import Card, Raw
from datasets.parts import emnist
from datasets.source import Source

card = Card(
    title="EMNIST, letters",
    source="https://www.nist.gov/itl/products-and-services/emnist-dataset",
    licence="none stated",
    modality="image",
    shape=[1, 28, 28],
    n=145600,
    n_test=20800,
    classes=26,
    class_names=[
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w",
        "x", "y", "z",
    ],
    class_counts=[
        5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600, 5600,
        5600, 5600, 5600, 5600, 5600, 5600, 5600,
    ],
    test_counts=[
        800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800, 800,
        800, 800, 800,
    ],
    files={"EMNIST/raw/gzip.zip": "md5:58c8d27c78d21e728a6bc7b3cc06412e"},
)  # fmt: skip


def load(source: Source) -> Raw:
    """The 124,800 train images, then the 20,800 test images, in their files' order; labels 1..26 become 0..25."""
    return emnist.load(source, card.files, "letters", first=1)
