"""The 10,000 test images of MNIST alone, as much of the literature on deep clustering uses them."""

from datasets.base import Card, Raw
from datasets.parts import idx
from datasets.source import Source

card = Card(
    title="MNIST, test part",
    source="https://ossci-datasets.s3.amazonaws.com/mnist/",
    licence="CC BY-SA 3.0",
    modality="image",
    shape=[1, 28, 28],
    n=10000,
    n_test=0,
    classes=10,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    class_counts=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    development=True,
    sha_inputs="c1e336d807fdbb055f2b8cdb0943491b44a0d25b838ad0851128cdda2c6164c0",
    sha_labels="bc4f9655c228502ea84fb679f1b5c618ad81c0ca308f62e8b89621010716f3d7",
    # Of the packed files the official checksum; of the unpacked ones that of what is in them.
    files={
        "MNIST/raw/t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "MNIST/raw/t10k-images-idx3-ubyte": "md5:2646ac647ad5339dbf082846283269ea",
        "MNIST/raw/t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
        "MNIST/raw/t10k-labels-idx1-ubyte": "md5:27ae3e4e09519cfbb04c329615203637",
    },
)
_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"


def load(source: Source) -> Raw:
    """The 10,000 test images in their file's order; without a split, since they are the whole set."""
    return idx.load(source, card.files, _URL, "MNIST/raw", parts=["t10k"])
