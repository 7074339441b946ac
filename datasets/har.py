"""HAR: six activities of people who carry a smartphone, as 561 features of its accelerometer and gyroscope.

Anguita, Ghio, Oneto, Parra and Reyes-Ortiz, "A public domain dataset for human activity recognition using smartphones",
ESANN 2013. The test part is of 9 of the 30 people, who gave none of the train part.
"""

import zipfile

from datasets.base import Card, Raw
from datasets.parts import tables
from datasets.source import Source

card = Card(
    title="Human activity recognition using smartphones",
    source="https://archive.ics.uci.edu/dataset/240/human+activity+recognition+using+smartphones",
    licence="CC BY 4.0; its README forbids commercial use",
    modality="vector",
    shape=[561],
    n=10299,
    n_test=2947,
    classes=6,
    class_names=["walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying"],
    class_counts=[1722, 1544, 1406, 1777, 1906, 1944],
    test_counts=[496, 471, 420, 491, 532, 537],
    defects=[
        "the publisher states no checksum and no copy was at hand, so the content is not verified beyond shape and class counts",
    ],
    files={"har/UCI HAR Dataset.zip": ""},
)
_PATH = "har/UCI HAR Dataset.zip"
_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/00240/UCI%20HAR%20Dataset.zip"


def load(source: Source) -> Raw:
    """The 7,352 train rows, then the 2,947 test rows, in the order of the files."""
    found = source.find(_PATH, checksum=card.files[_PATH], urls=[_URL])
    parts = []
    with source.reading(found), zipfile.ZipFile(found) as archive:
        for part in ("train", "test"):
            inputs, labels = (
                tables.rows(tables.member(archive, f"UCI HAR Dataset/{part}/{kind}_{part}.txt", found), width, None)
                for kind, width in (("X", card.shape[0]), ("y", 1))
            )
            if len(inputs) != len(labels):
                raise ValueError(f"its {part} part has {len(inputs)} rows and {len(labels)} labels")
            parts.append((tables.numbers(inputs), tables.classes([row[0] for row in labels], 1, card.classes)))
    return tables.joined(*parts)
