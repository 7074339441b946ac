"""Pendigits: digits written with a pen on a tablet, as eight points along the stroke.

Alimoglu and Alpaydin, "Methods of combining multiple classifiers based on different representations for pen-based
handwritten digit recognition", TAINN 1996. The test part is of 14 writers who wrote none of the train part.
"""

from datasets.base import Card, Raw
from datasets.parts import tables
from datasets.source import Source

card = Card(
    title="Pendigits",
    source="https://archive.ics.uci.edu/dataset/81/pen+based+recognition+of+handwritten+digits",
    licence="CC BY 4.0",
    modality="vector",
    shape=[16],
    n=10992,
    n_test=3498,
    classes=10,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    class_counts=[1143, 1143, 1144, 1055, 1144, 1055, 1056, 1142, 1055, 1055],
    test_counts=[363, 364, 364, 336, 364, 335, 336, 364, 336, 336],
    sha_inputs="199ddf8b0033a2f35a38216614451c8db79d75bba0e592b759c471f50718b710",
    sha_labels="ff5470e47ba253ab20ca81b16d7b9ae6962fff44965b75d75b9421b1945f35a6",
    defects=[
        "the publisher states no checksum; the hashes were made from copies of the two files, not from the official address",
    ],
    files={"pendigits/pendigits.tra": "", "pendigits/pendigits.tes": ""},
)
_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/"


def load(source: Source) -> Raw:
    """The 7,494 train rows, then the 3,498 test rows; 16 whole numbers 0..100, x and y of each point in turn."""
    parts = []
    for path, checksum in card.files.items():
        found = source.find(path, checksum=checksum, urls=[_URL + path])
        with source.reading(found):
            fields = tables.rows(found.read_bytes(), 17)
            parts.append((tables.numbers([row[:16] for row in fields]), tables.classes([row[16] for row in fields], 0, 10)))
    return tables.joined(*parts)
