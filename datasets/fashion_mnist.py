"""Fashion-MNIST: articles of clothing, 28×28.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
arXiv:1708.07747.
"""

from datasets.base import Card, Raw
from datasets.parts import idx
from datasets.source import Source

card = Card(
    title="Fashion-MNIST",
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    modality="image",
    shape=[1, 28, 28],
    n=70000,
    n_test=10000,
    classes=10,
    class_names=["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"],
    class_counts=[7000, 7000, 7000, 7000, 7000, 7000, 7000, 7000, 7000, 7000],
    test_counts=[1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000],
    sha_inputs="fe81474c865a4a9aa8869c7a273ded2996fd58424687d9a6009373fb9f61d35c",
    sha_labels="80ed85a65257689d15173c2e8eb1bfdb2198b0e969fec8a65004abad8731a28e",
    # Of the packed files the official checksum; of the unpacked ones that of what is in them.
    files={
        "FashionMNIST/raw/train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "FashionMNIST/raw/train-images-idx3-ubyte": "md5:f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "FashionMNIST/raw/train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "FashionMNIST/raw/train-labels-idx1-ubyte": "md5:9018921c3c673c538a1fc5bad174d6f9",
        "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "FashionMNIST/raw/t10k-images-idx3-ubyte": "md5:8181f5470baa50b63fa0f6fddb340f0a",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte": "md5:15d484375f8d13e6eb1aabb0c3f46965",
    },
)
_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"


def load(source: Source) -> Raw:
    """The 60,000 train images, then the 10,000 test images, in their files' order."""
    return idx.load(source, card.files, _URL, "FashionMNIST/raw")
