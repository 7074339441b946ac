"""CIFAR-10: photographs of ten kinds of things, 32×32 in colour.

Krizhevsky, "Learning multiple layers of features from tiny images", technical report, University of Toronto 2009.
"""

from datasets.base import Card, Raw
from datasets.parts import cifar
from datasets.source import Source

card = Card(
    title="CIFAR-10",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated, research use",
    modality="image",
    shape=[3, 32, 32],
    n=60000,
    n_test=10000,
    classes=10,
    class_names=["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    class_counts=[6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000],
    test_counts=[1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000],
    sha_inputs="287ed80d25896996308889febf5f840560bb7cc420a8a0f4aeb982e912fa39d0",
    sha_labels="f282471c468a92669aa598566090ecb6f270c3965146d6e82bc5bcb8a505a05a",
    defects=["3.3% of the test images have a near-duplicate among the train images (Barz and Denzler, arXiv:1902.00423)"],
    files={
        "cifar-10-batches-py/data_batch_1": "md5:c99cafc152244af753f735de768cd75f",
        "cifar-10-batches-py/data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
        "cifar-10-batches-py/data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751",
        "cifar-10-batches-py/data_batch_4": "md5:634d18415352ddfa80567beed471001a",
        "cifar-10-batches-py/data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb",
        "cifar-10-batches-py/test_batch": "md5:40351d587109b95175f43aff81a1287e",
        "cifar-10-python.tar.gz": "md5:c58f30108f718f92721af3b95e74349a",
    },
)
_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"


def load(source: Source) -> Raw:
    """The five train batches, then the test batch, in their order."""
    return cifar.load(source, card.files, _URL)
