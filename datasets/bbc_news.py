"""BBC News: articles of 2004 and 2005 in five sections, as TF-IDF vectors.

Greene and Cunningham, "Practical solutions to the problem of diagonal dominance in kernel document clustering", ICML 2006.
"""

from datasets.base import Card, Raw
from datasets.parts import text
from datasets.source import Source

card = Card(
    title="BBC News",
    source="http://mlg.ucd.ie/datasets/bbc.html",
    licence="non-commercial and research use; the BBC owns the articles",
    modality="vector",
    shape=[2000],
    n=2225,
    classes=5,
    class_names=["business", "entertainment", "politics", "sport", "tech"],
    class_counts=[510, 386, 417, 511, 401],
    duplicates=119,
    sha_inputs="fda3047d058ebca16c19cd6baf7c796df177e70b6002926b342e8e7db6c5436f",
    sha_labels="f21d40ce4ba59bbbe93e6584b5eccf2079ecd5142d7d4747b712a215bf042bf2",
    standardise=False,
    defects=[
        "98 articles repeat an earlier one, word for word; as vectors 119 do",
        "the publisher states no checksum; the hashes were made from a copy of the texts as JSON lines, and a repacked copy of "
        "the archive gave the same; the official address was not at hand",
    ],
    files={"bbc-fulltext.zip": ""},
)
_LINES = "bbc-news.jsonl.xz"
_URL = "https://mlg.ucd.ie/files/datasets/bbc-fulltext.zip"
_MEMBER = r"(?:bbc-fulltext/)?bbc/(?P<name>[^/]+)/(?P<id>[0-9]+)\.txt"


def load(source: Source) -> Raw:
    """The articles by section and number; from the JSON lines where they are, else the archive of texts."""
    return text.load(source, card, _URL, _MEMBER, lines=_LINES, split=False)
