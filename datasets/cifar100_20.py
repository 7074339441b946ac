"""CIFAR-100 by its twenty superclasses, of five classes each.

Krizhevsky, "Learning multiple layers of features from tiny images", technical report, University of Toronto 2009.
"""

from datasets.base import Card, Raw
from datasets.parts import cifar
from datasets.source import Source

card = Card(
    title="CIFAR-100, 20 superclasses",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated, research use",
    modality="image",
    shape=[3, 32, 32],
    n=60000,
    n_test=10000,
    classes=20,
    class_names=[
        "aquatic mammals", "fish", "flowers", "food containers", "fruit and vegetables", "household electrical devices",
        "household furniture", "insects", "large carnivores", "large man-made outdoor things", "large natural outdoor scenes",
        "large omnivores and herbivores", "medium mammals", "non-insect invertebrates", "people", "reptiles", "small mammals",
        "trees", "vehicles 1", "vehicles 2",
    ],
    class_counts=[
        3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000,
        3000,
    ],
    test_counts=[500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500],
    defects=["10% of the test images have a near-duplicate among the train images (Barz and Denzler, arXiv:1902.00423)"],
    files={
        "cifar-100-python/train": "md5:16019d7e3df5f24257cddd939b257f8d",
        "cifar-100-python/test": "md5:f0ef6b0ae62326f3e7ffdfab6717acfc",
        "cifar-100-python.tar.gz": "md5:eb9058c3a382ffc7106e4002c42a8d85",
    },
)  # fmt: skip
_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"


def load(source: Source) -> Raw:
    """The 50,000 train images, then the 10,000 test images, in their files' order, with the twenty coarse labels."""
    return cifar.load(source, card.files, _URL, labels="coarse_labels")
