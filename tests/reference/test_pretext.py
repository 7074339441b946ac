"""Methods on pseudo-labels, memories and patches against their papers' formulas, and what each idea does for its method."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import methods
from datasets.base import Inputs
from methods.joint_embedding import (
    byol_closed_form,
    cpc,
    deepcluster,
    deepcluster_v2,
    invariance_propagation,
    jigclu,
    odc,
    sela,
)
from methods.parts.clusters import lloyd, means, nearest, whitened
from methods.parts.encoders import encoder
from methods.parts.engine import FromViews
from methods.parts.planes import Patches, Plane
from methods.run import Run

FAMILY = [
    *("deepcluster_v2", "deepcluster", "sela", "odc", "byol_closed_form"),
    *("invariance_propagation", "jigclu", "cpc", "clusterfit"),
]
N = 64


def rows(b: int, d: int, seed: int = 0) -> Tensor:
    """Random rows [b, d]."""
    return torch.randn(b, d, generator=torch.Generator().manual_seed(seed))


def unit(b: int, d: int, seed: int = 0) -> Tensor:
    """Random rows [b, d] of length one."""
    return F.normalize(rows(b, d, seed), dim=1)


def images(b: int = N, seed: int = 1) -> Tensor:
    """Grey 28×28 images."""
    return torch.rand(b, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def close(ours: Tensor, theirs: float) -> bool:
    """Equal to a millionth."""
    return abs(float(ours.detach()) - theirs) < 1e-6 * max(1.0, abs(theirs))


def made(name: str, **changes: object) -> FromViews:
    """A method on N grey images before its first step, in full precision."""
    torch.manual_seed(0)
    method = methods.get(name)(**{**methods.configure(name, kind="grey", budget="smoke"), "precision": "fp32", **changes})
    method.build((1, 28, 28), None)
    method._pretext = rows(N, 16)  # of clusterfit
    run, x = Run(seed=0), images()
    method.begin(x, run)
    method.before_epoch(0, x, run)
    return method


def crossed(scores: Tensor, labels: Tensor) -> float:
    """The mean cross-entropy of scores [b, k] with labels [b], written out."""
    lost = 0.0
    for row, label in zip(scores.detach().double().tolist(), labels.tolist(), strict=True):
        lost -= math.log(math.exp(row[label]) / sum(math.exp(score) for score in row))
    return lost / len(labels)


@pytest.mark.parametrize("name", FAMILY)
def test_gradients_reach_what_is_trained_and_no_memory(name: str) -> None:
    """Every trained weight gets a gradient; memories have none, and the loss alone leaves them as they were."""
    method = made(name)
    memories = {
        key: getattr(method, key) for key in ("memory", "bank", "target") if isinstance(getattr(method, key, 0), nn.Module)
    }
    before = {key: [t.clone() for t in [*memory.parameters(), *memory.buffers()]] for key, memory in memories.items()}
    views = method.draw(images(), Run(seed=0))
    if name == "invariance_propagation":
        method._alone = False
        method.bank.near[:] = (torch.arange(N)[:, None] + torch.arange(1, 5)) % N
        before["bank"] = [t.clone() for t in method.bank.buffers()]
    method.loss(views, torch.arange(N)).backward()
    # one row of patches has nothing below: of the rows ahead only some are there
    trained = {id(w): w for module in method._trained for w in module.parameters()}
    assert [w.shape for w in trained.values() if w.grad is None] == []
    for key, memory in memories.items():
        weights = list(memory.parameters())
        assert not any(w.requires_grad or w.grad is not None for w in weights)
        if key != "target":  # whose batch statistics are its own
            assert all(torch.equal(a, b) for a, b in zip(before[key], memory.buffers(), strict=True))


def test_lloyd_finds_what_k_means_minimises() -> None:
    """Labels are of the nearest centre, centres are means, and separate groups come out apart; spherical ones have length one."""
    z = torch.cat([0.1 * rows(30, 4, i) + 5 * torch.eye(4)[i] for i in range(4)])
    best = min(
        (lloyd(z, 4, Run(seed=seed), iterations=15) for seed in range(5)), key=lambda f: float((z - f[0][f[1]]).square().sum())
    )
    centres, labels = best
    assert torch.equal(labels, torch.cdist(z, centres).argmin(1))
    assert all(torch.allclose(centres[label], z[labels == label].mean(0), atol=1e-5) for label in labels.unique())
    assert len({tuple(labels[30 * i : 30 * i + 30].unique().tolist()) for i in range(4)}) == 4
    assert torch.allclose(lloyd(unit(50, 4), 5, Run(seed=0), iterations=3, spherical=True)[0].norm(dim=1), torch.ones(5))


def test_lloyd_s_lost_clusters_go_on() -> None:
    """Of rows of which most are one point, random centres coincide; without new places most clusters would stay empty."""
    z = torch.cat([torch.zeros(200, 3), 5 + rows(100, 3)])
    used = lloyd(z, 12, Run(seed=0), iterations=20)[1].unique().numel()
    centres = z[torch.randperm(len(z), generator=Run(seed=0).generator)[:12]]
    assert used > nearest(z, centres).unique().numel()


def test_deepcluster_v2_is_cross_entropy_with_centres() -> None:
    """−log softmax(z·c / τ) of each view's own cluster, mean over views and partitions."""
    method, views = made("deepcluster_v2"), [images(), images(seed=2)]
    z = made("deepcluster_v2")._projected(views)
    wanted = [crossed(z[v] @ method.memory.centres[p].T / 0.1, method.memory.labels[p]) for v in range(2) for p in range(2)]
    assert abs(float(method.loss(views, torch.arange(N)).detach()) - sum(wanted) / 4) < 1e-5
    one = deepcluster_v2.classified(unit(5, 3), unit(4, 3, 1), torch.tensor([0, 3, 2, 1, 0]), 0.1)
    assert close(one, crossed(unit(5, 3) @ unit(4, 3, 1).T / 0.1, torch.tensor([0, 3, 2, 1, 0])))


def test_deepcluster_v2_clusters_what_views_gave_the_epoch_before() -> None:
    """Labels of each partition follow the memory of one of the views, in turn, and no gradient moves a centre."""
    method = made("deepcluster_v2", clusters=2, partitions=3)
    halves, turns = torch.arange(N) // (N // 2), torch.arange(N) % 2
    method.memory.rows[0] = F.normalize(F.one_hot(halves, 128).float() + 0.01 * rows(N, 128), dim=1)
    method.memory.rows[1] = F.normalize(F.one_hot(turns, 128).float() + 0.01 * rows(N, 128), dim=1)
    method.before_epoch(1, images(), Run(seed=0))
    for partition, wanted in ((0, halves), (1, turns), (2, halves)):
        agree = (method.memory.labels[partition] == wanted).float().mean()
        assert agree in (0.0, 1.0)
    views = [images(), images(seed=2)]
    method.loss(views, torch.arange(N)).backward()
    method.stepped(0.5)
    assert not torch.allclose(method.memory.rows[0], method.memory.rows[1], atol=1e-3)
    assert torch.allclose(method.memory.rows.norm(dim=2), torch.ones(2, N), atol=1e-5)
    assert not method.memory.centres.requires_grad


def test_deepcluster_whitens() -> None:
    """Components have the identity for a covariance before rows get length one: inner products are Mahalanobis'."""
    z = rows(200, 6) @ rows(6, 6, 1) + 3
    centred = (z - z.mean(0)).double()
    inner = centred @ torch.linalg.inv(centred.T @ centred / 200) @ centred.T
    length = inner.diagonal().sqrt()
    ours = whitened(z, 6)
    assert torch.allclose((ours @ ours.T).double(), inner / length[:, None] / length, atol=1e-4)
    leading = whitened(z, 2)
    assert leading.shape == (200, 2)


def test_deepcluster_is_equation_1() -> None:
    """The multinomial logistic loss of the classifier on the backbone's features."""
    method = made("deepcluster")
    said = (twin := made("deepcluster")).classifier(twin.network(images()))
    assert abs(float(method.loss([images()], torch.arange(N)).detach()) - crossed(said, method.memory.labels)) < 1e-5


def test_deepcluster_draws_clusters_alike() -> None:
    """With nine tenths of the images in one of five clusters, each cluster gets a fifth of the draws."""
    labels = torch.cat([torch.zeros(900, dtype=torch.long), torch.arange(100) % 4 + 3])
    drawn = labels[deepcluster.balanced(labels, 1000, torch.Generator().manual_seed(0))]
    assert drawn.bincount()[[0, 3, 4, 5, 6]].tolist() == [200] * 5
    method = made("deepcluster")
    method.memory.labels[:] = torch.where(torch.arange(N) < 60, 0, 1)
    batch = next(iter(method.order(N, Run(seed=0))))
    assert (batch >= 60).sum() == 32


def test_deepcluster_s_classifier_starts_anew_with_each_turn() -> None:
    """It is the same within a turn, moves by its own optimiser's steps, and is another after the next clustering."""
    method = made("deepcluster", every=2)
    first = method.classifier[-1].weight.detach().clone()
    method.loss([images()], torch.arange(N)).backward()
    method.stepped(0.1)
    learned = method.classifier[-1].weight.detach().clone()
    assert not torch.equal(first, learned)
    method.before_epoch(1, images(), Run(seed=0))
    assert torch.equal(method.classifier[-1].weight, learned)
    method.before_epoch(2, images(), Run(seed=0))
    assert (method.classifier[-1].weight - learned).abs().mean() > 0.01
    assert [len(list(module.parameters())) for module in method._trained] == [len(list(method.network.parameters()))]


def test_sela_s_labels_are_sinkhorn_knopp_s() -> None:
    """Equations 5 to 8 in double precision: scaling vectors for P^λ, then the largest entry of each row."""
    scores = 2 * rows(60, 6)
    p = scores.double().softmax(1) ** 10
    r, c = torch.ones(6).double() / 6, torch.ones(60).double() / 60
    for _ in range(300):
        r = (1 / 6) / (p.T @ c)
        c = (1 / 60) / (p @ r)
    assert torch.equal(sela.fair_labels(scores, 10.0, 300), (c[:, None] * p * r).argmax(1))


def test_sela_s_labels_use_clusters_alike() -> None:
    """Where the network puts every image in one cluster, the labels still have nearly equal shares; free ones don't."""
    scores = rows(800, 8) + 6 * torch.eye(8)[0]
    assert scores.argmax(1).bincount(minlength=8).max() > 790
    shares = sela.fair_labels(scores, 10.0, 30).bincount(minlength=8)
    assert shares.min() > 70
    assert shares.max() < 130


def test_sela_averages_its_heads() -> None:
    """The loss is the mean over heads of the cross-entropy with that head's labels, which change in turn."""
    method, twin = made("sela"), made("sela")
    said = twin.classifier(twin.network(images())).view(N, 2, 8)
    wanted = sum(crossed(said[:, head], method.memory.labels[head]) for head in range(2)) / 2
    assert abs(float(method.loss([images()], torch.arange(N)).detach()) - wanted) < 1e-5
    labels = method.memory.labels.clone()
    for epoch, changed in ((1, False), (5, True), (6, False), (7, True)):
        method.still, method.every = 5, 2
        method.memory.labels.copy_(labels)
        nn.init.normal_(method.classifier[-1].weight)
        method.before_epoch(epoch, images(), Run(seed=0))
        assert torch.equal(method.memory.labels, labels) != changed


def test_odc_s_memory_is_equations_1_and_2() -> None:
    """A stored feature moves half-way to the new one, and its label is that of the centre it then is nearest to."""
    method = made("odc", every=10**6, still=0)
    held, centres = method.memory.rows.clone(), method.memory.centres.clone()
    method.loss([images(seed=3)], torch.arange(N))
    z = method._seen[1]
    seen = torch.arange(0, N, 2)
    method._seen = seen, z[seen]
    method.stepped(0.1)
    for i in range(N):
        wanted = F.normalize(0.5 * held[i] + 0.5 * z[i] / z[i].norm(), dim=0) if i % 2 == 0 else held[i]
        assert torch.allclose(method.memory.rows[i], wanted, atol=1e-6)
        if i % 2 == 0:
            assert int(method.memory.labels[i]) == max(range(8), key=lambda k: float(wanted @ centres[k]))


def test_odc_weighs_small_clusters_more() -> None:
    """Weights are 1/√size over their sum, and the loss is the weighted mean."""
    assert torch.allclose(odc.weight(torch.tensor([4, 0, 16]), 0.5), torch.tensor([2 / 3, 0, 1 / 3]))
    method, twin = made("odc"), made("odc")
    said = twin.classifier(twin.neck(twin.network(images()))).log_softmax(1)
    labels = method.memory.labels
    w = [1 / math.sqrt(float((labels == label).sum())) for label in labels]
    wanted = -sum(w[i] * float(said[i, labels[i]].detach()) for i in range(N)) / sum(w)
    assert abs(float(method.loss([images()], torch.arange(N)).detach()) - wanted) < 1e-5


def test_odc_has_no_empty_cluster() -> None:
    """Even when all images are in one cluster, or some clusters have one image, afterwards none is empty or tiny."""
    z = unit(400, 6)
    ours = odc.regrouped(z, torch.zeros(400, dtype=torch.long), 8, 0.15, Run(seed=0))
    assert ours.bincount(minlength=8).min() >= 8
    labels = torch.cat([torch.tensor([5, 6, 7]), torch.arange(397) % 5])
    ours = odc.regrouped(z, labels, 8, 0.15, Run(seed=0))
    assert ours.bincount(minlength=8).min() >= 8
    centres = means(z, labels, 8)[0]
    alone = odc.regrouped(z, torch.where(labels == 6, 4, torch.where(labels == 7, 3, labels)), 6, 0.15, Run(seed=0))
    assert not (alone[:1] == 5).any() or int((alone == 5).sum()) > 1
    assert torch.equal(odc.nearest_direction(z, centres), (z @ centres.T).argmax(1))


def test_the_closed_form_predictor_is_least_squares() -> None:
    """Without a ridge it is lstsq's solution; with one it is that of the system with √λ·I below."""
    z, t = rows(50, 6), rows(50, 6, 1)
    own, other = z.T @ z / 50, z.T @ t / 50
    assert torch.allclose(byol_closed_form.regression(own, other, 0.0), torch.linalg.lstsq(z, t).solution, atol=1e-5)
    penalty = math.sqrt(0.1 * float(own.trace()) / 6 * 50)
    longer = torch.linalg.lstsq(torch.cat([z, penalty * torch.eye(6)]), torch.cat([t, torch.zeros(6, 6)])).solution
    assert torch.allclose(byol_closed_form.regression(own, other, 0.1), longer, atol=1e-5)


def test_closed_form_byol_is_byol_s_loss_with_that_predictor() -> None:
    """2 − 2 cos(Wz, t) both ways; W is solved from the batch at the first step and takes no gradient."""
    method, twin, views = made("byol_closed_form"), made("byol_closed_form"), [images(), images(seed=2)]
    z = [F.normalize(twin.projector(twin.network(view)), dim=1).detach() for view in views]
    t = [F.normalize(twin.target.network(view), dim=1).detach() for view in views]
    both, told = torch.cat(z), torch.cat([t[1], t[0]])
    own, other = both.T @ both / len(both), both.T @ told / len(both)
    w = torch.linalg.solve(own + 0.1 * own.trace() / 128 * torch.eye(128), other)
    ways = [2 - 2 * F.cosine_similarity(a @ w, b, dim=1) for a, b in ((z[0], t[1]), (z[1], t[0]))]
    loss = method.loss(views, torch.arange(N))
    assert abs(float(loss.detach()) - float(sum(ways).mean())) < 1e-4
    assert not any(held.requires_grad for held in method.correlations.buffers())


def test_the_closed_form_predictor_keeps_features_apart() -> None:
    """BYOL whose predictor is the identity brings all images together; with the closed form they stay apart."""
    coarse = torch.rand(128, 3, 2, 2, generator=torch.Generator().manual_seed(5))
    x = (255 * F.interpolate(coarse, size=(8, 8), mode="bilinear")).to(torch.uint8)

    def spread(solved: Callable[[Tensor, Tensor], Tensor] | None) -> float:
        torch.manual_seed(0)
        given = {"epochs": 16, "batch": 64, "warm_up": 1, "precision": "fp32", "lr": 0.01, "tau": 0.8}
        method = methods.get("byol_closed_form")(**given)
        if solved:
            method._solved = solved
        method.fit(Inputs("image", x), None, Run(seed=0))
        with torch.no_grad():
            z = method.projector.eval()(method.network.eval()(x.float() / 255))
        return float(F.normalize(z, dim=1).std(0).mean() * math.sqrt(z.shape[1]))

    assert spread(lambda z, t: torch.eye(z.shape[1])) < 0.5 * spread(None)


def test_invariance_propagates_along_the_graph() -> None:
    """On a ring whose images know the next one, three steps reach the next three; closest leaves the own place out."""
    ring = (torch.arange(10)[:, None] + 1) % 10
    for steps in (1, 3):
        found = invariance_propagation.reached(ring, torch.tensor([0, 8]), steps)
        assert [sorted(row.nonzero()[:, 0].tolist()) for row in found] == [
            list(range(1, 1 + steps)),
            sorted((8 + i) % 10 for i in range(1, 1 + steps)),
        ]
    similarity = rows(3, 9)
    near = invariance_propagation.closest(similarity, torch.tensor([4, 0, 8]), 2)
    for i, own in enumerate((4, 0, 8)):
        order = sorted((j for j in range(9) if j != own), key=lambda j: -float(similarity[i, j]))
        assert near[i].tolist() == order[:2]


def test_the_propagated_term_is_the_paper_s() -> None:
    """−log of the share that the least similar of the reached images have among all but the own one."""
    similarity, own = rows(5, 12), torch.tensor([0, 3, 5, 7, 11])
    found = torch.rand(5, 12, generator=torch.Generator().manual_seed(2)) < 0.5
    found[torch.arange(5), own] = False
    found[2] = False
    wanted = []
    for i in range(5):
        if found[i].any():
            hard = sorted(found[i].nonzero()[:, 0].tolist(), key=lambda j: float(similarity[i, j]))[:3]
            below = sum(math.exp(float(similarity[i, j])) for j in range(12) if j != own[i])
            wanted.append(-math.log(sum(math.exp(float(similarity[i, j])) for j in hard) / below))
    assert close(invariance_propagation.propagated(similarity, own, found, 3), sum(wanted) / len(wanted))


def test_invariance_propagation_is_both_terms() -> None:
    """Instance discrimination alone at first, later 0.6 of the propagated term beside it; then memories take the batch in."""
    method, twin = made("invariance_propagation"), made("invariance_propagation")
    method.bank.near[:] = (torch.arange(N)[:, None] + torch.arange(1, 5)) % N
    v = F.normalize(twin.projector(twin.network(images())), dim=1).detach()
    similarity = v @ method.bank.rows.T / 0.2
    instance = crossed(similarity, torch.arange(N))
    found = invariance_propagation.reached(method.bank.near, torch.arange(N), 3)
    assert found.sum(1).tolist() == [12] * N
    other = float(invariance_propagation.propagated(similarity, torch.arange(N), found, 50))
    for alone, wanted in ((True, instance), (False, instance + 0.6 * other)):
        method._alone = alone
        with torch.no_grad():
            assert abs(float(method.loss([images()], torch.arange(N))) - wanted) < 1e-4
    bank = method.bank.rows.clone()
    method.stepped(0.5)
    assert torch.allclose(method.bank.rows, F.normalize(bank + v, dim=1), atol=1e-4)
    assert torch.equal(method.bank.near, invariance_propagation.closest(similarity, torch.arange(N), 4))


def test_jigclu_s_montages_come_apart_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """cut inverts montage exactly, and the loss's labels say of each cut patch whose it was and where."""
    patches = rows(4 * 6, 3 * 5 * 7).view(24, 3, 5, 7)
    assert torch.equal(jigclu.cut(jigclu.montage(patches)), patches)
    method = made("jigclu")
    monkeypatch.setattr(method, "look", lambda channels: lambda x, generator: x)
    # of image i the four corners have the values 4i to 4i + 3
    x = (4 * torch.arange(8.0)[:, None, None] + torch.arange(4.0).view(2, 2)).repeat_interleave(14, 1).repeat_interleave(14, 2)
    method.overlap = 0.0
    (pictures,) = method.draw(x[:, None], Run(seed=0))
    assert pictures.shape == (8, 1, 32, 32)
    values = jigclu.cut(pictures).mean(dim=(1, 2, 3))
    assert torch.allclose(values, (4 * (method._order % 8) + method._order // 8).float())
    assert not torch.equal(method._order, torch.arange(32))


def test_jigclu_s_clustering_loss_is_the_paper_s() -> None:
    """−log of each partner's share among all other patches, mean over three partners, then over patches."""
    z, image = unit(12, 5), torch.arange(12) % 3
    wanted = 0.0
    for i in range(12):
        shares = [math.exp(float(z[i] @ z[j]) / 0.3) if j != i else 0.0 for j in range(12)]
        wanted -= sum(math.log(shares[j] / sum(shares)) for j in range(12) if j != i and image[j] == image[i]) / 3 / 12
    assert close(jigclu.clustering(3 * z, image, 0.3), wanted)


def test_jigclu_is_both_losses() -> None:
    """The clustering loss and the cross-entropy of corners, on features averaged over each quarter of the plane."""
    method, twin = made("jigclu"), made("jigclu")
    views = method.draw(images(8), Run(seed=0))
    planes = Plane(twin.network)(views[0])
    assert planes.shape == (8, 128, 8, 8)
    features = torch.cat([planes[:, :, r : r + 4, c : c + 4].mean(dim=(2, 3)) for r in (0, 4) for c in (0, 4)])
    together = jigclu.clustering(twin.projector(features), method._order % 8, 0.3)
    wanted = float(together.detach()) + crossed(twin.locator(features), method._order // 8)
    assert abs(float(method.loss(views, torch.arange(8)).detach()) - wanted) < 1e-4


@pytest.mark.parametrize("name", ["small", "resnet18"])
def test_a_plane_s_mean_is_the_backbone_s_output(name: str) -> None:
    """What `Plane` gives, averaged over places, is the backbone's embedding; patches are seen each by itself."""
    network = encoder((3, 16, 16), name).eval()
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(Plane(network)(x).mean(dim=(2, 3)), network(x), atol=1e-5)
        tiles = Patches(network, 0.5)(x)
        assert tiles.shape == (2, network.width, 3, 3)
        assert torch.allclose(tiles[:, :, 1, 2], network(x[:, :, 4:12, 8:16]), atol=1e-5)
    with pytest.raises(ValueError, match="no plane"):
        Plane(nn.Sequential(nn.Conv2d(3, 4, 3)))(x)


def test_cpc_is_equation_4() -> None:
    """−log of the own patch's share among the patches at its place in the batch and all others of its image."""
    z, said, skipped = rows(4 * 6, 5).view(4, 6, 5), rows(4 * 4, 5, 1).view(4, 4, 5), 2
    wanted = 0.0
    for i in range(4):
        for place in range(4):
            target = place + skipped
            scores = {(j, target): math.exp(float(said[i, place] @ z[j, target])) for j in range(4)}
            scores |= {(i, q): math.exp(float(said[i, place] @ z[i, q])) for q in range(6)}
            wanted -= math.log(scores[i, target] / sum(scores.values())) / 16
    assert close(cpc.infonce(said, z, skipped), wanted)


def test_cpc_s_context_knows_nothing_below() -> None:
    """Another lower row changes no context above it; another upper row does change those below."""
    context = made("cpc").context
    z = rows(2 * 128, 36).view(2, 128, 6, 6)
    lower, upper = z.clone(), z.clone()
    lower[:, :, 4:] += 1
    upper[:, :, 2] += 1
    with torch.no_grad():
        c, below, above = context(z), context(lower), context(upper)
    assert torch.equal(c[:, :, :4], below[:, :, :4])
    assert not torch.allclose(c[:, :, 3], above[:, :, 3])


def test_cpc_predicts_rows_below() -> None:
    """The loss is that of W_k·c at the place k rows up, for each k, mean over k; a 3×3 grid has two."""
    method, twin = made("cpc"), made("cpc")
    z = twin.network[0](images())
    assert z.shape == (N, 128, 3, 3)
    assert torch.allclose(twin.network(images())[:, 4::9], z[:, :, 1, 1], atol=1e-5)
    c = twin.context(z)
    terms = []
    for ahead in (1, 2):
        said = [twin.predictions[ahead - 1](c[:, :, row, column]) for row in range(3 - ahead) for column in range(3)]
        terms.append(float(cpc.infonce(torch.stack(said, 1), z.flatten(2).transpose(1, 2), 3 * ahead).detach()))
    assert abs(float(method.loss([images()], torch.arange(N)).detach()) - sum(terms) / 2) < 1e-4


def test_clusterfit_learns_the_clusters_of_its_part() -> None:
    """Labels are clusters of the part's features, whatever their length; the network is a new one and the part stays."""
    groups = torch.arange(N) % 4
    features = (F.one_hot(groups, 16).float() + 0.01 * rows(N, 16)) * torch.linspace(1, 9, N)[:, None]
    part = SimpleNamespace(embed=lambda x: features)
    torch.manual_seed(0)
    method = methods.get("clusterfit")(epochs=1, batch=64, warm_up=0, clusters=16)
    method.fit(Inputs("image", (255 * images()).to(torch.uint8)), None, Run(seed=0, parts={"pretext": part}))
    labels = method.memory.labels
    assert all(groups[labels == label].unique().numel() == 1 for label in labels.unique())
    method, twin = made("clusterfit"), made("clusterfit")
    said = twin.classifier(twin.network(images()))
    assert abs(float(method.loss([images()], torch.arange(N)).detach()) - crossed(said, method.memory.labels)) < 1e-5
    assert isinstance(method.network, nn.Module)
