"""ORL: faces of forty people, ten pictures each, in grey, 32×32.

Samaria and Harter, "Parameterisation of a stochastic model for human face identification", WACV 1994.
"""

from datasets.base import Card, Raw
from datasets.parts import npz
from datasets.source import Source

card = Card(
    title="ORL faces, 32×32",
    source="https://cam-orl.co.uk/facedatabase.html",
    licence="research use (AT&T Laboratories Cambridge)",
    modality="image",
    shape=[1, 32, 32],
    n=400,
    classes=40,
    class_names=[
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21",
        "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32", "33", "34", "35", "36", "37", "38", "39", "40",
    ],
    class_counts=[
        10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
        10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
    ],
    defects=[
        "a resized copy: how the 92×112 originals became 32×32 is not recorded",
        "there is no checksum of a file: the user brings the arrays, and their hashes are checked",
    ],
    sha_inputs="631967a665af6592d4200f6d39fb7ff129b41525bfed2d0a7c58927d463425a5",
    sha_labels="b7a5fdfb52020ff967b89dcd50dc2f99b153faa7034287e120b02779cbc91b5a",
    files={"orl-32.npz": ""},
)  # fmt: skip


def load(source: Source) -> Raw:
    """From `orl-32.npz`, in its order; there is no download."""
    return npz.load(source, "orl-32.npz")
