"""STL-10: photographs of ten kinds of things, 96×96 in colour, from ImageNet; the labelled images.

Coates, Lee and Ng, "An analysis of single-layer networks in unsupervised feature learning", AISTATS 2011.
"""

from collections.abc import Mapping

import numpy as np

from datasets.base import Card, Raw
from datasets.parts.joined import joined
from datasets.parts.unpacked import bodies
from datasets.source import Source

card = Card(
    title="STL-10, labelled images",
    source="https://cs.stanford.edu/~acoates/stl10/",
    licence="none stated, images from ImageNet",
    modality="image",
    shape=[3, 96, 96],
    n=13000,
    n_test=8000,
    classes=10,
    class_names=["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"],
    class_counts=[1300, 1300, 1300, 1300, 1300, 1300, 1300, 1300, 1300, 1300],
    test_counts=[800, 800, 800, 800, 800, 800, 800, 800, 800, 800],
    defects=[
        "the 100,000 unlabelled images are not in it: they are stl10-unlabelled",
    ],
    files={
        "stl10_binary/train_X.bin": "md5:918c2871b30a85fa023e0c44e0bee87f",
        "stl10_binary/train_y.bin": "md5:5a34089d4802c674881badbb80307741",
        "stl10_binary/test_X.bin": "md5:7f263ba9f9e0b06b93213547f721ac82",
        "stl10_binary/test_y.bin": "md5:36f9794fa4beb8a2c72628de14fa638e",
        "stl10_binary.tar.gz": "md5:91f7769df0f17e558f3565bffb0c7dfb",
    },
)
URL = "https://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"


def load(source: Source) -> Raw:
    """The 5,000 train images, then the 8,000 test images, in their files' order."""
    return labelled(source, card.files)


def labelled(source: Source, files: Mapping[str, str]) -> Raw:
    """The labelled images; files: checksum by path, of the four labelled files first and of the archive last."""
    paths, archive = list(files)[:4], list(files)[-1]
    found = list(bodies(source, files, paths, archive, URL))
    parts = []
    for (path, images), (_, labels) in (found[:2], found[2:]):
        with source.reading(path):
            parts.append(parse(images, labels))
    return joined(parts)


def parse(images: bytes, labels: bytes) -> tuple[np.ndarray, np.ndarray]:
    """One part: channel by channel and column by column becomes [n, 3, 96, 96] uint8; labels 1..10 become [n] int64 in 0..9."""
    pixels, classes = np.frombuffer(images, np.uint8), np.frombuffer(labels, np.uint8).astype(np.int64) - 1
    if len(pixels) != len(classes) * 3 * 96 * 96:
        raise ValueError(f"it holds {len(pixels)} bytes beside {len(classes)} labels, not 3·96·96 a label")
    if not np.isin(classes, range(10)).all():
        raise ValueError("its labels do not lie in 1..10")
    return pixels.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2), classes
