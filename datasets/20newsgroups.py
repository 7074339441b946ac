"""20 Newsgroups: posts of 1993 in twenty discussion groups, by date, as TF-IDF vectors.

Lang, "NewsWeeder: learning to filter netnews", ICML 1995; Rennie's version by date, whose test posts are the later ones.
"""

from datasets.base import Card, Raw
from datasets.parts import text
from datasets.source import Source

card = Card(
    title="20 Newsgroups (by date)",
    source="http://qwone.com/~jason/20Newsgroups/",
    licence="none stated",
    modality="vector",
    shape=[2000],
    n=18846,
    n_test=7532,
    classes=20,
    class_names=[
        "alt.atheism",
        "comp.graphics",
        "comp.os.ms-windows.misc",
        "comp.sys.ibm.pc.hardware",
        "comp.sys.mac.hardware",
        "comp.windows.x",
        "misc.forsale",
        "rec.autos",
        "rec.motorcycles",
        "rec.sport.baseball",
        "rec.sport.hockey",
        "sci.crypt",
        "sci.electronics",
        "sci.med",
        "sci.space",
        "soc.religion.christian",
        "talk.politics.guns",
        "talk.politics.mideast",
        "talk.politics.misc",
        "talk.religion.misc",
    ],
    class_counts=[799, 973, 985, 982, 963, 988, 975, 990, 996, 994, 999, 991, 984, 990, 987, 997, 910, 940, 775, 628],
    test_counts=[319, 389, 394, 392, 385, 395, 390, 396, 398, 397, 399, 396, 393, 396, 394, 398, 364, 376, 310, 251],
    duplicates=43,
    leaks=10,
    sha_inputs="86547b49d30fe8847e9ba13cb4752f8566748733229d49c2e1552ea076bb4009",
    sha_labels="4985702f76a3a2c6e82f34bf9d737d793bc31fd0f0eec5da3623322f4244fe22",
    standardise=False,
    defects=[
        "posts are whole: headers, signatures and quoted lines name people, hosts and threads that belong to one group",
        "the hashes were made from a copy of the texts as JSON lines; the official archive was not at hand to compare",
    ],
    # scikit-learn states this checksum of the official archive.
    files={"20news-bydate.tar.gz": "sha256:8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610"},
)
_LINES = "20newsgroups.jsonl.xz"
_URL = "https://ndownloader.figshare.com/files/5975967"
_MEMBER = r"(?:\./)?20news-bydate-(?P<part>train|test)/(?P<name>[^/]+)/(?P<id>[0-9]+)"


def load(source: Source) -> Raw:
    """The train posts, then the test posts, each by group and number; from the JSON lines where they are, else the archive."""
    return text.load(source, card, _URL, _MEMBER, lines=_LINES, split=True)
