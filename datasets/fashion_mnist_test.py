"""The 10,000 test images of Fashion-MNIST alone."""

from datasets.base import Card, Raw
from datasets.parts import idx
from datasets.source import Source

card = Card(
    title="Fashion-MNIST, test part",
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    modality="image",
    shape=[1, 28, 28],
    n=10000,
    n_test=0,
    classes=10,
    class_names=["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"],
    class_counts=[1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000],
    sha_inputs="3e6c70d3ce80310e581f2acdb60800b8f1e7922edc0f659150d05cf69ff2a394",
    sha_labels="33177131bc427da42cf335c3e428fe9353fa2ed1a70f539380e18ac1faa5b3a9",
    # Of the packed files the official checksum; of the unpacked ones that of what is in them.
    files={
        "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "FashionMNIST/raw/t10k-images-idx3-ubyte": "md5:8181f5470baa50b63fa0f6fddb340f0a",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte": "md5:15d484375f8d13e6eb1aabb0c3f46965",
    },
)
_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"


def load(source: Source) -> Raw:
    """The 10,000 test images in their file's order; without a split, since they are the whole set."""
    return idx.load(source, card.files, _URL, "FashionMNIST/raw", parts=["t10k"])
