"""Letter: capital letters in twenty fonts, distorted, as 16 numbers that describe the picture.

Frey and Slate, "Letter recognition using Holland-style adaptive classifiers", Machine Learning 1991; they trained on the
first 16,000 rows and tested on the last 4,000.
"""

import numpy as np

from datasets.base import Card, Raw
from datasets.parts import tables
from datasets.source import Source

card = Card(
    title="Letter recognition",
    source="https://archive.ics.uci.edu/dataset/59/letter+recognition",
    licence="CC BY 4.0",
    modality="vector",
    shape=[16],
    n=20000,
    n_test=4000,
    classes=26,
    class_names=[
        "A",
        "B",
        "C",
        "D",
        "E",
        "F",
        "G",
        "H",
        "I",
        "J",
        "K",
        "L",
        "M",
        "N",
        "O",
        "P",
        "Q",
        "R",
        "S",
        "T",
        "U",
        "V",
        "W",
        "X",
        "Y",
        "Z",
    ],
    class_counts=[
        789,
        766,
        736,
        805,
        768,
        775,
        773,
        734,
        755,
        747,
        739,
        761,
        792,
        783,
        753,
        803,
        783,
        758,
        748,
        796,
        813,
        764,
        752,
        787,
        786,
        734,
    ],
    test_counts=[
        156,
        136,
        142,
        167,
        152,
        153,
        164,
        151,
        165,
        148,
        146,
        157,
        144,
        166,
        139,
        168,
        168,
        161,
        161,
        151,
        168,
        136,
        139,
        159,
        145,
        158,
    ],
    duplicates=1332,
    leaks=380,
    sha_inputs="46475b72dc99047971527fe69828e9b10e3580a3fa4c1bc4f2d276b5d18b4df8",
    sha_labels="b352eb77ea444286d6f1382ab289ae22e852fc4b39347914901c4b8303acdf2c",
    defects=[
        "the publisher states no checksum; the hashes were made from copies of the file, not from the official address",
    ],
    files={"letter-recognition/letter-recognition.data": ""},
)
_PATH = "letter-recognition/letter-recognition.data"
_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/"


def load(source: Source) -> Raw:
    """The rows in the order of the file; whole numbers 0..15."""
    found = source.find(_PATH, checksum=card.files[_PATH], urls=[_URL + _PATH])
    with source.reading(found):
        fields = tables.rows(found.read_bytes(), 17)
        wrong = next((row[0] for row in fields if row[0] not in card.class_names), None)
        if wrong is not None:
            raise ValueError(f"its label {wrong!r} is none of the letters A to Z")
        labels = np.array([card.class_names.index(row[0]) for row in fields], np.int64)
        inputs = tables.numbers([row[1:] for row in fields])
    return tables.joined((inputs[: -card.n_test], labels[: -card.n_test]), (inputs[-card.n_test :], labels[-card.n_test :]))
