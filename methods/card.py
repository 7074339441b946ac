"""A method's card: what it is, what it is told, where it was tuned. A literal, read without importing the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

TOLD = {"k", "augmentations", "pretrained", "pairs", "labels"}
MODALITIES = {"image", "vector"}
TRACKS = {"transductive", "inductive"}
BUDGETS = ("smoke", "quick", "full", "paper")
CLASSES = ("grey", "colour", "vector")
FEATURES, GIVEN = "features", "given_features"  # the role that inputs which are features take themselves, and by which method


@dataclass(frozen=True)
class Card:
    """What the board says of a method.

    title, authors, year, arxiv or url: the source. told: what supervision it gets (TOLD).
    tuned_on: datasets on which its settings were chosen, by its authors or by us; tuning: what we tried, counted.
    modalities, tracks, max_n: where it applies. bound: it frames the board and is not ranked.
    own_clusters: False where the fit has no use for k, which only the harness clusters the embedding with; a method that
    starts from such a part isn't told k by it.
    varies: the method in which it changes one thing, and which the board sets beside it.
    requires: optional packages. parts: role -> the method whose cell of the same dataset and seed it starts from; a part in the
    role `features` is used by its `embed` alone, so that vectors can take its place (`parts_on`).
    settings: changes to the fields' defaults (which are budget `full`), keyed by `budget`, `class` or `budget:class`,
    where class is grey, colour or vector; applied class first, then budget, then both.
    schedule: the paper's own training length, in words. deviations: where we differ from the paper, a sentence each.
    findings: why a score is as it is, where that was measured, a sentence each.
    """

    title: str
    authors: str
    year: int
    arxiv: str | None = None
    url: str | None = None
    told: Set[str] = field(default_factory=lambda: {"k"})
    tuned_on: Set[str] = frozenset()
    tuning: str = ""
    modalities: Set[str] = field(default_factory=lambda: {"image", "vector"})
    tracks: Set[str] = field(default_factory=lambda: {"transductive", "inductive"})
    max_n: int | None = None
    bound: bool = False
    own_clusters: bool = True
    varies: str | None = None
    requires: Sequence[str] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    schedule: str = ""
    deviations: Sequence[str] = ()
    findings: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, values, allowed in (
            ("told", self.told, TOLD),
            ("modalities", self.modalities, MODALITIES),
            ("tracks", self.tracks, TRACKS),
        ):
            if wrong := set(values) - allowed:
                raise ValueError(f"{name} holds {sorted(wrong)}; allowed: {sorted(allowed)}")
        for key in self.settings:
            budget, _, kind = key.rpartition(":")
            if (budget and budget not in BUDGETS) or (kind not in CLASSES and (budget or kind not in BUDGETS)):
                raise ValueError(f"settings key {key!r}; allowed: a budget, a class, or 'budget:class'")

    def parts_on(self, modality: str) -> dict[str, str]:
        """The parts on inputs of a modality: on vectors the role `features` is theirs, as they are."""
        given = modality == "vector"
        return {role: GIVEN if given and role == FEATURES else name for role, name in self.parts.items()}

    @property
    def link(self) -> str | None:
        """The address of the source."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url
