"""Networks that say the cluster themselves: their losses against the papers' formulas, and what each idea does."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import methods
from benchmark.ground.errors import UserError
from datasets.base import Inputs
from methods.base import Method
from methods.clustering import scan, scan_selflabel
from methods.parts.heads import Heads, begin_as, neighbours, one_of
from methods.run import Run

K = 3


def logits(b: int, k: int, seed: int = 0) -> Tensor:
    """Random logits [b, k]."""
    return 2 * torch.randn(b, k, generator=torch.Generator().manual_seed(seed))


def bars(n: int) -> tuple[Tensor, Tensor]:
    """Grey images [n, 1, 28, 28] with one wide, two, or four bars, in turn, and which: [n] int64."""
    kind = torch.arange(n) % K
    noise = torch.randint(0, 60, (n, 1, 28, 28), generator=torch.Generator().manual_seed(1))
    wave = torch.stack([(torch.arange(28) * (2**one) * math.pi / 14 + 0.5).sin() > 0 for one in range(K)])
    return (noise + 180 * wave[kind][:, None, None, :]).to(torch.uint8), kind


def trained(name: str, n: int, parts: dict[str, Method] | None = None, **changes: object) -> tuple[Method, Tensor]:
    """A method fitted on bars, and how many of each kind it put into each cluster: [K, K]."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, kind = bars(n)
    settings = {**methods.configure(name, kind="grey", budget="smoke"), "precision": "fp32", "batch": n, **changes}
    method = methods.get(name)(**settings)
    method.fit(Inputs("image", x), K, Run(seed=0, parts=parts))
    said = F.one_hot(method.assign(x), K)
    return method, F.one_hot(kind, K).T @ said


def pretext(right: bool = True) -> Method:
    """An untrained SimCLR, whose embedding shows an image's kind all the same: bars of one kind are neighbours."""
    torch.manual_seed(0)
    method = methods.get("simclr")(**methods.configure("simclr", kind="grey", budget="smoke"))
    method.build((1, 28, 28), None)
    method.embed = lambda x: F.one_hot(torch.arange(len(x)) % K, K) + 0.1 * logits(len(x), K, 5)
    return method


def test_neighbours_are_the_nearest_by_cosine() -> None:
    """Found one by one; no row is its own, and random ones are among them."""
    z = logits(30, 4)
    near = neighbours(z, 3)
    for i in range(30):
        by_hand = sorted((-float(F.cosine_similarity(z[i], z[j], dim=0)), j) for j in range(30) if j != i)
        assert near[i].tolist() == [j for _, j in by_hand[:3]]
    drawn = one_of(near, torch.arange(30), torch.Generator().manual_seed(0))
    assert (near == drawn[:, None]).any(1).all()


def test_the_head_of_the_lowest_loss_is_taken() -> None:
    """Losses add up over batches, and `renew` begins anew."""
    heads = Heads(nn.Linear(2, K) for _ in range(3))
    for losses in ([1.0, 3.0, 2.0], [5.0, 1.0, 3.0]):
        heads.note(torch.tensor(losses))
    assert heads.best() is heads.each[1]
    heads.renew()
    heads.note(torch.tensor([2.0, 2.0, 1.0]))
    assert heads.best() is heads.each[2]


def test_a_backbone_of_another_kind_is_refused() -> None:
    """The message says what to do."""
    with pytest.raises(UserError, match="take a part with one"):
        begin_as(nn.Linear(2, 2), pretext())


def test_scan_is_equation_2() -> None:
    """−mean log⟨p, p'⟩ + λ Σ p̄ log p̄, written out."""
    a, b = logits(6, K), logits(6, K, 1)
    p, q = a.softmax(1), b.softmax(1)
    agree = -sum(math.log(sum(float(p[i, c] * q[i, c]) for c in range(K))) for i in range(6)) / 6
    means = [sum(float(p[i, c]) for i in range(6)) / 6 for c in range(K)]
    wanted = agree + 5 * sum(m * math.log(m) for m in means)
    assert abs(float(scan.semantic(a, b, 5.0)) - wanted) < 1e-6


def test_scan_collapses_without_its_entropy() -> None:
    """With λ = 5 it finds the kinds that neighbours share; with λ = 0 clusters stay empty, which a record calls collapsed."""
    settings = {"epochs": 12, "lr": 1e-2, "near": 5, "count": 2}
    _, table = trained("scan", 60, {"pretext": pretext()}, **settings)
    assert table.max(1).values.sum() > 0.9 * 60
    assert (table.sum(0) > 0).all()
    _, table = trained("scan", 60, {"pretext": pretext()}, entropy=0.0, **settings)
    assert (table.sum(0) > 0).sum() < K


def test_scan_begins_with_its_pretext() -> None:
    """Before the first step the backbone is the part's."""
    part = pretext()
    method = methods.get("scan")()
    method.build((1, 28, 28), K)
    method._pretext, method._seen = part, Inputs("image", bars(12)[0])
    method.begin(torch.zeros(0), SimpleNamespace())
    ours, theirs = method.network.state_dict(), part.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_self_labels_are_balanced_cross_entropy_of_sure_images() -> None:
    """Written out: labels from p > 0.99 alone; each cluster that has any weighs the same. No sure image: no loss."""
    said, other = 4 * logits(40, K), logits(40, K, 1)
    p, log_q = said.softmax(1), other.log_softmax(1)
    by_cluster: dict[int, list[float]] = {}
    for i in range(40):
        if float(p[i].max()) > 0.99:
            label = int(p[i].argmax())
            by_cluster.setdefault(label, []).append(-float(log_q[i, label]))
    assert 0 < sum(len(one) for one in by_cluster.values()) < 40
    wanted = sum(sum(one) / len(one) for one in by_cluster.values()) / len(by_cluster)
    assert abs(float(scan_selflabel.self_labelled(said, other, 0.99)) - wanted) < 1e-6
    assert float(scan_selflabel.self_labelled(0 * said, other, 0.99)) == 0


def test_self_labels_are_held_by_strong_views_after_it() -> None:
    """Self-labelling raises the agreement of strong views with the images' own clusters; with no sure image it can't."""
    first, _ = trained("scan", 60, {"pretext": pretext()}, epochs=8, lr=1e-2, near=5, count=1)
    x = bars(60)[0]

    def agreement(sure: float) -> float:
        method, _ = trained("scan_selflabel", 60, {"scan": first}, epochs=8, lr=3e-3, sure=sure)
        plain, strong = method.draw(x.float() / 255, Run(seed=1))
        network = nn.Sequential(method.network, method.clusterers.best()).eval()
        with torch.no_grad():
            return float((network(plain).argmax(1) == network(strong).argmax(1)).float().mean())

    assert agreement(0.7) > agreement(1.0) + 0.05
