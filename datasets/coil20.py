"""COIL-20: twenty objects on a turntable, 72 views each, in grey, 32×32.

Nene, Nayar and Murase, "Columbia object image library (COIL-20)", technical report CUCS-005-96, Columbia University 1996.
"""

from datasets.base import Card, Raw
from datasets.parts import coil
from datasets.source import Source

card = Card(
    title="COIL-20, 32×32",
    source="https://www.cs.columbia.edu/CAVE/software/softlib/coil-20.php",
    licence="research use (Columbia University, CAVE)",
    modality="image",
    shape=[1, 32, 32],
    n=1440,
    classes=20,
    class_names=["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20"],
    class_counts=[72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72],
    sha_inputs="e844eb1f7f391bcf0bcc6bdc497e752e8fc8eb385e7df927470e18a06d1a597b",
    sha_labels="d8f81820e98b812dca5837d58b250b303126f5577935b730fa1cf27b7e7d3877",
    defects=[
        "the publisher states no checksum; the hashes were made from a copy of the block means, and the official archive "
        "was not at hand to compare",
    ],
    files={"coil-20-proc.zip": ""},
)
_URL = "https://www.cs.columbia.edu/CAVE/databases/SLAM_coil-20_coil-100/coil-20/coil-20-proc.zip"


def load(source: Source) -> Raw:
    """By object, then by view (0 to 71, five degrees apart); each image is the 4×4 block means of its 128×128 original."""
    return coil.load(source, card.files, _URL, objects=20, views=range(72))
