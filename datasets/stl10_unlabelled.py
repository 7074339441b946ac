"""STL-10 with its unlabelled part: 100,000 more photographs to train on, which are never scored.

Coates, Lee and Ng, "An analysis of single-layer networks in unsupervised feature learning", AISTATS 2011.
"""

import numpy as np

from datasets import stl10
from datasets.base import Card, Raw
from datasets.parts.unpacked import bodies
from datasets.source import Source

card = Card(
    title="STL-10 with its unlabelled images",
    source="https://cs.stanford.edu/~acoates/stl10/",
    licence="none stated, images from ImageNet",
    modality="image",
    shape=[3, 96, 96],
    n=113000,
    n_test=8000,
    n_unlabelled=100000,
    inductive_only=True,
    classes=10,
    class_names=["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"],
    class_counts=[1300, 1300, 1300, 1300, 1300, 1300, 1300, 1300, 1300, 1300],
    test_counts=[800, 800, 800, 800, 800, 800, 800, 800, 800, 800],
    defects=[
        "the unlabelled images show more kinds of things than the ten classes",
        "7,545 of the unlabelled images equal a test image, byte for byte (the authors of CleanSTL-10, arXiv:2506.03582, keep "
        "92,455)",
    ],
    files={
        "stl10_binary/train_X.bin": "md5:918c2871b30a85fa023e0c44e0bee87f",
        "stl10_binary/train_y.bin": "md5:5a34089d4802c674881badbb80307741",
        "stl10_binary/test_X.bin": "md5:7f263ba9f9e0b06b93213547f721ac82",
        "stl10_binary/test_y.bin": "md5:36f9794fa4beb8a2c72628de14fa638e",
        "stl10_binary/unlabeled_X.bin": "md5:5242ba1fed5e4be9e1e742405eb56ca4",
        "stl10_binary.tar.gz": "md5:91f7769df0f17e558f3565bffb0c7dfb",
    },
)


def load(source: Source) -> Raw:
    """The 5,000 train images, the 8,000 test images, then the 100,000 unlabelled ones, in their files' order."""
    *_, unlabelled, archive = card.files
    known = stl10.labelled(source, card.files)
    ((path, body),) = bodies(source, card.files, [unlabelled], archive, stl10.URL)
    with source.reading(path):
        if not body:
            raise ValueError("it holds no images")
        more, _ = stl10.parse(body, b"\1" * (len(body) // (3 * 96 * 96)))
    split = np.concatenate([known.split, np.full(len(more), 2, np.int8)])
    labels = np.concatenate([known.labels, np.full(len(more), -1, np.int64)])
    return Raw(np.concatenate([known.inputs, more]), labels, split)
