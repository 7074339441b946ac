"""UMIST: faces of twenty people turning from profile to front, in grey, 32×32.

Graham and Allinson, "Characterising virtual eigensignatures for general purpose face recognition", in "Face recognition:
from theory to applications", 1998.
"""

from datasets.base import Card, Raw
from datasets.parts import npz
from datasets.source import Source

card = Card(
    title="UMIST faces, 32×32",
    source="https://www.visioneng.org.uk/datasets/",
    licence="research use",
    modality="image",
    shape=[1, 32, 32],
    n=575,
    classes=20,
    class_names=["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20"],
    class_counts=[38, 35, 26, 24, 26, 23, 19, 22, 20, 32, 34, 34, 26, 30, 19, 26, 26, 33, 48, 34],
    duplicates=10,
    defects=[
        "a resized copy: how the originals became 32×32 is not recorded",
        "ten images repeat an earlier one, byte for byte",
        "there is no checksum of a file: the user brings the arrays, and their hashes are checked",
    ],
    sha_inputs="903fedf1e610baa79c101aeb54dccf1f874fcdabfcff931dd584f1f164dd90b5",
    sha_labels="ef10fe5554d97fd521d6d84d561328ad7ab3f537290fa7101c33df8cc27b158a",
    files={"umist-32.npz": ""},
)


def load(source: Source) -> Raw:
    """From `umist-32.npz`, in its order; there is no download."""
    return npz.load(source, "umist-32.npz")
