"""MNIST: handwritten digits, 28×28.

LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proceedings of the IEEE 1998.
"""

from datasets.base import Card, Raw
from datasets.parts import idx
from datasets.source import Source

card = Card(
    title="MNIST",
    source="https://ossci-datasets.s3.amazonaws.com/mnist/",
    licence="CC BY-SA 3.0",
    modality="image",
    shape=[1, 28, 28],
    n=70000,
    n_test=10000,
    classes=10,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    class_counts=[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
    test_counts=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    sha_inputs="1abf2921bd4337bdcc7adc5f3f1c661f0ec63d93b5ace0b28f40816fcfca3604",
    sha_labels="2329fa841787c4768d645103ca6002b597016cb032158a8ae26ae519afc2e03e",
    # Of the packed files the official checksum; of the unpacked ones that of what is in them.
    files={
        "MNIST/raw/train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "MNIST/raw/train-images-idx3-ubyte": "md5:6bbc9ace898e44ae57da46a324031adb",
        "MNIST/raw/train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "MNIST/raw/train-labels-idx1-ubyte": "md5:a25bea736e30d166cdddb491f175f624",
        "MNIST/raw/t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "MNIST/raw/t10k-images-idx3-ubyte": "md5:2646ac647ad5339dbf082846283269ea",
        "MNIST/raw/t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
        "MNIST/raw/t10k-labels-idx1-ubyte": "md5:27ae3e4e09519cfbb04c329615203637",
    },
)
_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"


def load(source: Source) -> Raw:
    """The 60,000 train images, then the 10,000 test images, in their files' order."""
    return idx.load(source, card.files, _URL, "MNIST/raw")
