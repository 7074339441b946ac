"""BBC Sport: articles of 2004 and 2005 on five kinds of sport, as TF-IDF vectors.

Greene and Cunningham, "Practical solutions to the problem of diagonal dominance in kernel document clustering", ICML 2006.
"""

from datasets.base import Card, Raw
from datasets.parts import text
from datasets.source import Source

card = Card(
    title="BBC Sport",
    source="http://mlg.ucd.ie/datasets/bbc.html",
    licence="non-commercial and research use; the BBC owns the articles",
    modality="vector",
    shape=[2000],
    n=737,
    classes=5,
    class_names=["athletics", "cricket", "football", "rugby", "tennis"],
    class_counts=[101, 124, 265, 147, 100],
    standardise=False,
    defects=[
        "the publisher states no checksum and no copy was at hand, so the content is not verified beyond the number by section",
    ],
    files={"bbcsport-fulltext.zip": ""},
)
_URL = "https://mlg.ucd.ie/files/datasets/bbcsport-fulltext.zip"
_MEMBER = r"(?:bbcsport-fulltext/)?bbcsport/(?P<name>[^/]+)/(?P<id>[0-9]+)\.txt"


def load(source: Source) -> Raw:
    """The articles by section and number."""
    return text.load(source, card, _URL, _MEMBER)
