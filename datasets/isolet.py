"""ISOLET: the names of the letters, each spoken twice by 150 people, as 617 features of the sound.

Fanty and Cole, "Spoken letter recognition", NeurIPS 1990. The test part is the fifth group of 30 speakers.
"""

from datasets.base import Card, Raw
from datasets.parts import lzw, tables
from datasets.source import Source

card = Card(
    title="ISOLET",
    source="https://archive.ics.uci.edu/dataset/54/isolet",
    licence="CC BY 4.0",
    modality="vector",
    shape=[617],
    n=7797,
    n_test=1559,
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
    defects=[
        "three of the 7,800 recordings are missing",
        "the publisher states no checksum and no copy was at hand, so the content is not verified beyond its shape",
    ],
    files={"isolet/isolet1+2+3+4.data.Z": "", "isolet/isolet5.data.Z": ""},
)
_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/"


def load(source: Source) -> Raw:
    """The 6,238 rows of four groups, then the 1,559 of the fifth, in the order of the files, packed (`.Z`) or not."""
    parts = []
    for packed, checksum in card.files.items():
        plain = packed.removesuffix(".Z")
        unpacked = source.has(plain) and not source.has(packed)
        found = source.find(plain) if unpacked else source.find(packed, checksum=checksum, urls=[_URL + packed])
        with source.reading(found):
            body = found.read_bytes() if unpacked else lzw.decompress(found.read_bytes())
            fields = tables.rows(body, card.shape[0] + 1)
            labels = tables.classes([row[-1] for row in fields], 1, card.classes)
            parts.append((tables.numbers([row[:-1] for row in fields]), labels))
    return tables.joined(*parts)
