"""Networks that say the cluster themselves: their losses against the papers' formulas, and what each idea does."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from drawn import K, bars, logits
from torch import Tensor, nn
from torch.nn import functional as F

import methods
from benchmark.ground.errors import UserError
from datasets.base import Inputs
from methods.base import Method
from methods.clustering import cc, iic, scan, scan_selflabel, temi, turtle
from methods.parts.heads import Heads, begin_as, linear_head, neighbours, one_of
from methods.parts.teacher import Teacher
from methods.run import Run


def trained(name: str, n: int, parts: dict[str, Method] | None = None, **changes: object) -> tuple[Method, Tensor]:
    """A method fitted on bars, and how many of each kind it put into each cluster: [K, K]."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, kind = bars(n)
    settings = {**methods.configure(name, kind="grey", budget="smoke"), "batch": n // 2, **changes}
    method = methods.get(name)(**settings)
    run = Run(seed=0, parts=parts)
    method.fit(Inputs("image", x), K, run)
    method.curve = run.curve
    said = F.one_hot(method.assign(x), K)
    return method, F.one_hot(kind, K).T @ said


def pure(table: Tensor) -> bool:
    """Whether nearly every row [K, K] of kinds has a cluster of its own."""
    return bool(table.max(0).values.sum() > 0.9 * table.sum()) and bool((table.sum(0) > 0).all())


def pretext() -> Method:
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


@pytest.mark.parametrize(("new", "standardised", "bare"), [(linear_head, 0.3, 0.1), (cc.perceptron, 0.1, 0.02)])
def test_a_new_head_tells_rows_apart(new: Callable[[int, int], nn.Sequential], standardised: float, bare: float) -> None:
    """Features of small spread about a large mean, as a mean of ReLUs has them: the head's logits differ more, standardised."""
    torch.manual_seed(0)
    x = 1 + 0.02 * logits(50, 40)
    head = new(40, K)
    spread = [float(one(x).detach().std(0).mean()) for one in (head, head[1:])]
    assert spread[0] > standardised > bare > spread[1]
    assert spread[0] > 10 * spread[1]


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
    settings = {"epochs": 8, "lr": 1e-2, "near": 5, "count": 2}
    _, table = trained("scan", 60, {"pretext": pretext()}, **settings)
    assert pure(table)
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


def test_sure_images_teach_their_strong_views() -> None:
    """The loss falls as SCAN's network goes on; where no image is sure enough, its head stays as it was, bit for bit."""
    first, _ = trained("scan", 60, {"pretext": pretext()}, epochs=4, lr=1e-2, near=5, count=1)
    taught, _ = trained("scan_selflabel", 60, {"scan": first}, epochs=8, lr=3e-3, sure=0.6)
    assert taught.curve["loss"][-1] < 0.8 * taught.curve["loss"][0]
    still, _ = trained("scan_selflabel", 60, {"scan": first}, epochs=1, warm_up=0, sure=1.0, weight_decay=0.0)
    assert torch.equal(still.clusterers.each[0][1].weight, first.clusterers.best()[1].weight)
    assert not torch.equal(taught.clusterers.each[0][1].weight, first.clusterers.best()[1].weight)


def test_iic_is_equation_3() -> None:
    """Σ P log(P / (P_c P_c')) of the symmetrised joint, written out."""
    p, q = logits(7, K).softmax(1), logits(7, K, 1).softmax(1)
    one_way = [[sum(float(p[i, a] * q[i, b]) for i in range(7)) / 7 for b in range(K)] for a in range(K)]
    joint = [[(one_way[a][b] + one_way[b][a]) / 2 for b in range(K)] for a in range(K)]
    left, right = [sum(row) for row in joint], [sum(row[b] for row in joint) for b in range(K)]
    wanted = sum(joint[a][b] * math.log(joint[a][b] / (left[a] * right[b])) for a in range(K) for b in range(K))
    assert abs(float(iic.information(p, q)) - wanted) < 1e-6


def test_information_is_log_k_for_a_perfect_match_and_0_for_independence() -> None:
    """One cluster for all, or clusters of no image's choosing, tell nothing; equal sure clusters tell all there is."""
    labels = torch.arange(30)
    sure = F.one_hot(labels % 5, 5).float()
    assert abs(float(iic.information(sure, sure)) - math.log(5)) < 1e-5
    other = F.one_hot(labels // 5 % 5, 5).float()[torch.randperm(30, generator=torch.Generator().manual_seed(0))]
    assert float(iic.information(sure, other)) < math.log(5) - 0.5
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    assert abs(float(iic.information(*(F.one_hot(one, 5).float() for one in pairs.T)))) < 1e-5
    assert abs(float(iic.information(torch.full((30, 5), 0.2), torch.full((30, 5), 0.2)))) < 1e-5
    assert abs(float(iic.information(sure[:1].expand(30, 5), sure[:1].expand(30, 5)))) < 1e-5


@pytest.mark.parametrize("reads", [True, False])
def test_iic_main_heads_come_later_and_are_compared(reads: bool) -> None:
    """Auxiliary heads learn alone at first; what main heads learn then reaches the network only if told to."""
    torch.manual_seed(2)
    torch.set_num_threads(1)
    method = methods.get("iic")(**{**methods.configure("iic", kind="grey", budget="smoke"), "reads": reads, "alone": 0.5})
    method.build((1, 28, 28), K)
    assert [head[1].out_features for head in method.auxiliary.each] == [method.over * K] * method.subheads
    views = [bars(6)[0] / 255] * 2
    gradients = []
    for epoch in (0, 1):
        method.before_epoch(epoch, torch.zeros(0), SimpleNamespace())
        assert bool((method.clusterers.losses == 0).all())
        method.network.zero_grad()
        method.loss(views, torch.arange(6)).backward()
        assert bool((method.clusterers.losses != 0).all()) == bool(epoch)
        assert all((head[1].weight.grad is not None) == bool(epoch) for head in method.clusterers.each)
        gradients.append(next(method.network.parameters()).grad.clone())
    assert torch.allclose(*gradients, atol=1e-4 * float(gradients[0].abs().max())) == reads


def test_iic_pairs_views_with_views() -> None:
    """Cluster 0 for all of a pair's first and 1 for all of its second is worth log 2, so the two must look alike."""
    first, second = (F.one_hot(torch.full((30,), c), 5).float() for c in (0, 1))
    assert abs(float(iic.information(first, second)) - math.log(2)) < 1e-5
    images = bars(6)[0] / 255
    method = methods.get("iic")(transforms=3)
    drawn = method.draw(images, Run(seed=0))
    assert len(drawn) == 4
    assert all(not torch.equal(one, images) for one in drawn)


def test_information_finds_clusters_that_agreement_alone_does_not() -> None:
    """Of five linear heads on noisy pairs the one of the lowest loss separates the kinds; −log⟨p, q⟩ alone merges them."""
    kind = torch.arange(90) % K
    first, second = (F.one_hot(kind, K) + 0.15 * logits(90, K, seed) for seed in (1, 2))

    def merged(loss: Callable[[Tensor, Tensor], Tensor]) -> int:
        torch.manual_seed(0)
        heads = Heads(nn.Linear(K, K) for _ in range(5))
        stepper = torch.optim.Adam(heads.parameters(), lr=0.1)
        for _ in range(60):
            pairs = zip(heads(first).softmax(2), heads(second).softmax(2), strict=True)
            losses = torch.stack([loss(p, q) for p, q in pairs])
            heads.renew()
            heads.note(losses)
            stepper.zero_grad()
            losses.sum().backward()
            stepper.step()
        table = F.one_hot(kind, K).T @ F.one_hot(heads.best()(first).argmax(1), K)
        return 90 - int(table.max(0).values.sum())

    assert merged(lambda p, q: -iic.information(p, q)) <= 3
    assert merged(lambda p, q: -(p * q).sum(1).log().mean()) >= 30


def test_cc_is_equations_3_and_7() -> None:
    """NT-Xent of rows, and of columns with the sizes' entropy, written out."""
    p, q = logits(6, K).softmax(1), logits(6, K, 1).softmax(1)
    columns = [p[:, c] for c in range(K)] + [q[:, c] for c in range(K)]
    wanted = 0.0
    for i, own in enumerate(columns):
        like = [math.exp(float(F.cosine_similarity(own, other, dim=0)) / 0.7) for other in columns]
        wanted -= math.log(like[(i + K) % (2 * K)] / (sum(like) - like[i])) / (2 * K)
    for one in (p, q):
        sizes = one.sum(0) / one.sum()
        wanted += sum(float(size) * math.log(float(size)) for size in sizes)
    assert abs(float(cc.of_clusters(p, q, 0.7)) - wanted) < 1e-6


def test_cc_adds_both_losses() -> None:
    """The row space's loss is that of a perceptron on the backbone's output at T = 0.5."""
    torch.manual_seed(0)
    method = methods.get("cc")(**{**methods.configure("cc", kind="grey", budget="smoke"), "precision": "fp32"})
    method.build((1, 28, 28), K)
    views = [torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    found = method.loss(views, torch.arange(8)).detach()
    with torch.no_grad():
        h = method.network(torch.cat(views))
        z = F.normalize(method.projector(h), dim=1)
        p, q = method.clusterers.each[0](h).softmax(1).chunk(2)
    like = (z @ z.T / 0.5).exp()
    rows = -sum(math.log(float(like[i, (i + 8) % 16] / (like[i].sum() - like[i, i]))) for i in range(16)) / 16
    assert abs(float(found) - rows - float(cc.of_clusters(p, q, 1.0))) < 1e-5


def test_cc_without_its_entropy_may_leave_clusters_empty() -> None:
    """Where all is in one cluster the contrast of columns says nothing of sizes; their entropy does."""
    generator = torch.Generator().manual_seed(0)
    even = F.one_hot(torch.arange(60) % K, K).float() * 0.98 + 0.01
    one = torch.zeros(60, K).index_fill_(1, torch.tensor([0]), 1.0) + 1e-3 * torch.rand(60, K, generator=generator)
    one = one / one.sum(1, keepdim=True)
    sizes = [float(torch.special.entr(p.mean(0)).sum()) for p in (even, one)]
    gained = float(cc.of_clusters(one, one, 1.0) - cc.of_clusters(even, even, 1.0))
    assert gained > 2 * (sizes[0] - sizes[1]) > 2.0


def test_cc_finds_the_kinds() -> None:
    """On bars, from nothing."""
    _, table = trained("cc", 60, epochs=16, lr=1e-2)
    assert pure(table)


def test_temi_is_its_formula() -> None:
    """−w (pmi(x, x') + pmi(x', x)) / 2 for each head, w averaged over heads, and the moving shares, written out."""
    torch.manual_seed(0)
    method = methods.get("temi")(remember=0.7)
    method.students = Heads(temi.Head(4, 8, 5, K, 0.5) for _ in range(2))
    teacher = Teacher(Heads(temi.Head(4, 8, 5, K, 0.5) for _ in range(2)))
    pair, share = logits(10, 4), torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    with torch.no_grad():
        s, t = method.students(pair).softmax(2), teacher(pair).softmax(2)
    shares = [[0.7 * float(share[h, c]) + 0.3 * float(t[h, :, c].mean()) for c in range(K)] for h in range(2)]
    found = method._step(pair, teacher, share).detach()
    assert torch.allclose(share, torch.tensor(shares), atol=1e-6)

    def pmi(h: int, i: int, j: int) -> float:
        return math.log(sum(float(s[h, i, c] * t[h, j, c]) ** 0.6 / shares[h][c] for c in range(K)))

    for h in range(2):
        wanted = 0.0
        for i in range(5):
            weight = sum(float((t[other, i] * t[other, i + 5]).sum()) for other in range(2)) / 2
            wanted -= weight * (pmi(h, i, i + 5) + pmi(h, i + 5, i)) / 2 / 5
        assert abs(float(found[h]) - wanted) < 1e-5


def test_temi_separates_what_neighbours_share_and_keeps_clusters_by_beta() -> None:
    """On features of three kinds it finds them; for pairs of no likeness a β below 1 rewards many clusters, β = 1 none."""
    _, table = trained("temi", 60, {"features": pretext()}, epochs=40, lr=1e-2, near=5, count=3)
    assert pure(table)
    even, one = torch.full((1, 1, K), 1 / K), torch.tensor([[[1.0, 0.0, 0.0]]])
    gains = [float(temi.pointwise(even.log(), even.log(), even[0], beta)) for beta in (0.6, 1.0)]
    alone = [float(temi.pointwise(one.log(), one.log(), one[0].clamp_min(1e-9), beta)) for beta in (0.6, 1.0)]
    assert gains[0] > alone[0] + 0.5
    assert abs(gains[1] - alone[1]) < 1e-5


def test_turtle_is_its_outer_loss() -> None:
    """Cross-entropy with soft labels minus γ H of their mean, written out."""
    said, labels = logits(6, K), logits(6, K, 1).softmax(1)
    log_p = said.log_softmax(1)
    wanted = -sum(float(labels[i, c] * log_p[i, c]) for i in range(6) for c in range(K)) / 6
    means = [float(labels[:, c].mean()) for c in range(K)]
    wanted += 10 * sum(m * math.log(m) for m in means)
    assert abs(float(turtle.outer_loss(said, labels, 10.0)) - wanted) < 1e-5


def test_turtle_labels_what_is_learned_well() -> None:
    """On features of three kinds it finds them; a classifier that never learns leads it elsewhere."""
    settings = {"epochs": 2, "steps": 25, "lr": 0.03, "inner_lr": 0.03}
    _, table = trained("turtle", 60, {"features": pretext()}, inner=5, **settings)
    assert pure(table)
    _, table = trained("turtle", 60, {"features": pretext()}, inner=0, **settings)
    assert not pure(table)
