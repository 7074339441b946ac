"""COIL-100: a hundred objects on a turntable, 72 views each, here in grey, 32×32.

Nene, Nayar and Murase, "Columbia object image library (COIL-100)", technical report CUCS-006-96, Columbia University 1996.
"""

from datasets.base import Card, Raw
from datasets.parts import coil
from datasets.source import Source

card = Card(
    title="COIL-100, grey, 32×32",
    source="https://www.cs.columbia.edu/CAVE/software/softlib/coil-100.php",
    licence="research use (Columbia University, CAVE)",
    modality="image",
    shape=[1, 32, 32],
    n=7200,
    classes=100,
    class_names=[
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21",
        "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32", "33", "34", "35", "36", "37", "38", "39", "40",
        "41", "42", "43", "44", "45", "46", "47", "48", "49", "50", "51", "52", "53", "54", "55", "56", "57", "58", "59",
        "60", "61", "62", "63", "64", "65", "66", "67", "68", "69", "70", "71", "72", "73", "74", "75", "76", "77", "78",
        "79", "80", "81", "82", "83", "84", "85", "86", "87", "88", "89", "90", "91", "92", "93", "94", "95", "96", "97",
        "98", "99", "100",
    ],
    class_counts=[
        72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
        72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
        72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
        72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
    ],
    # The publisher states no checksum; this one is TensorFlow Datasets'.
    files={"coil-100.zip": "sha256:fcb4b8b01c0778f416d8d7a09f45082c4f7075cc74743dcddd5c44307bd4afe7"},
)  # fmt: skip
_URL = "https://www.cs.columbia.edu/CAVE/databases/SLAM_coil-20_coil-100/coil-100/coil-100.zip"


def load(source: Source) -> Raw:
    """By object, then by view (0 to 355 degrees); each image is the 4×4 block means of its 128×128 original's luma."""
    return coil.load(source, card.files, _URL, objects=100, views=range(0, 360, 5))
