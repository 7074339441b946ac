"""Joint-embedding methods against their papers' formulas, and what each idea does for its method."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import methods
from datasets.base import Inputs
from methods.joint_embedding import align_uniform, decoupled_uniformity, dino, kernel_infonce, moco_v2, nnclr, swav, vicreg
from methods.parts.contrast import nt_xent
from methods.parts.engine import FromViews
from methods.parts.redundancy import barlow, correlation
from methods.parts.teacher import Queue, Teacher, momentum
from methods.parts.transport import sinkhorn
from methods.run import Run

FAMILY = [
    *("simclr", "byol", "moco_v2", "swav", "barlow_twins", "simsiam", "vicreg", "dino", "nnclr"),
    *("align_uniform", "decoupled_uniformity", "kernel_infonce", "instdisc", "rotnet"),
]
TEACHERS = {"byol": "target", "moco_v2": "keys", "dino": "teacher"}


def rows(b: int, d: int, seed: int = 0) -> Tensor:
    """Random rows [b, d]."""
    return torch.randn(b, d, generator=torch.Generator().manual_seed(seed))


def made(name: str, **changes: object) -> FromViews:
    """A method with its networks for grey 28×28 images, in full precision."""
    torch.manual_seed(0)
    method = methods.get(name)(**{**methods.configure(name, kind="grey", budget="smoke"), "precision": "fp32", **changes})
    method.build((1, 28, 28), None)
    method.begin(torch.zeros(64, 1, 28, 28), SimpleNamespace())
    method.before_epoch(5, torch.zeros(0), SimpleNamespace())
    return method


def pair(b: int = 32) -> list[Tensor]:
    """Two views of b grey images."""
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(b, 1, 28, 28, generator=generator) for _ in range(2)]


def close(ours: Tensor, theirs: float) -> bool:
    """Equal to a millionth."""
    return abs(float(ours.detach()) - theirs) < 1e-6 * max(1.0, abs(theirs))


def cos(a: Tensor, b: Tensor) -> float:
    """The cosine of two vectors, written out."""
    a, b = a.detach(), b.detach()
    return float((a * b).sum()) / math.sqrt(float((a * a).sum()) * float((b * b).sum()))


def test_byol_is_equation_2() -> None:
    """2 − 2 cos of prediction and target, both ways, mean over images."""
    method, views = made("byol"), pair()
    p = [method.predictor(method.projector(method.network(view))) for view in views]
    z = [method.target.network(view) for view in views]
    ways = [2 - 2 * cos(a, b) for one, other in ((p[0], z[1]), (p[1], z[0])) for a, b in zip(one, other, strict=True)]
    assert close(made("byol").loss(views, torch.arange(32)), sum(ways) / 32)


def test_simsiam_is_equation_4() -> None:
    """D(p1, stopgrad(z2)) / 2 + D(p2, stopgrad(z1)) / 2 with D the negative cosine."""
    method, views = made("simsiam"), pair()
    z = [method.projector(method.network(view)) for view in views]
    p = [method.predictor(one) for one in z]
    ways = [-cos(a, b) / 2 for one, other in ((p[0], z[1]), (p[1], z[0])) for a, b in zip(one, other, strict=True)]
    assert close(made("simsiam").loss(views, torch.arange(32)), sum(ways) / 32)


def test_barlow_twins_is_the_loss_of_its_projections() -> None:
    """The loss of methods/parts/redundancy.py, on the two views' projections, over the number of features."""
    views = pair()
    method = made("barlow_twins")
    z1, z2 = (method.projector(method.network(view)) for view in views)
    wanted = barlow(correlation(z1, z2), 5e-3).detach() / 512
    assert close(made("barlow_twins").loss(views, torch.arange(32)), float(wanted))


def test_vicreg_is_equations_1_and_4() -> None:
    """The hinge on standard deviations and the squared covariances, written out."""
    z = rows(20, 4) * torch.tensor([0.1, 0.5, 1.0, 2.0])
    centred = z - z.mean(0)
    spread = sum(max(0.0, 1 - math.sqrt(float((centred[:, j] ** 2).sum()) / 19 + 1e-4)) for j in range(4)) / 4
    assert close(vicreg.variance(z, 1.0, 1e-4), spread)
    off = sum((float((centred[:, i] * centred[:, j]).sum()) / 19) ** 2 for i in range(4) for j in range(4) if i != j) / 4
    assert close(vicreg.covariance(z), off)


def test_moco_is_equation_1() -> None:
    """−log of the own key's share among the own key and all of the queue."""
    q, k, queue = (F.normalize(rows(n, 6, seed), dim=1) for n, seed in ((4, 0), (4, 1), (9, 2)))
    wanted = 0.0
    for i in range(4):
        own = math.exp(float(q[i] @ k[i]) / 0.2)
        wanted -= math.log(own / (own + sum(math.exp(float(q[i] @ other) / 0.2) for other in queue))) / 4
    assert close(moco_v2.contrast(q, k, queue, 0.2), wanted)


def test_nnclr_is_equation_3() -> None:
    """Each view's nearest neighbour in the support set is contrasted with all predictions."""
    z, support, p = (F.normalize(rows(n, 6, seed), dim=1) for n, seed in ((5, 0), (11, 1), (5, 2)))
    wanted = 0.0
    for i in range(5):
        found = max(support, key=lambda other: float(z[i] @ other))
        shares = [math.exp(float(found @ p[j]) / 0.1) for j in range(5)]
        wanted -= math.log(shares[i] / sum(shares)) / 5
    assert close(nnclr.contrast(nnclr.nearest(z, support), p, 0.1), wanted)


def test_swav_is_equation_2() -> None:
    """−Σ_k q_k log p_k with p a softmax of scores over the temperature."""
    scores, code = rows(6, 7), F.softmax(rows(6, 7, 1), dim=1)
    wanted = 0.0
    for n in range(6):
        below = sum(math.exp(float(s) / 0.1) for s in scores[n])
        wanted -= sum(float(code[n, k]) * math.log(math.exp(float(scores[n, k]) / 0.1) / below) for k in range(7)) / 6
    assert abs(float(swav.swapped(scores, code, 0.1)) - wanted) < 1e-5


def test_sinkhorn_is_sinkhorn_knopp() -> None:
    """The log-domain plan equals Sinkhorn-Knopp on the kernel in double precision, and its marginals are right."""
    scores = F.normalize(rows(40, 8), dim=1) @ F.normalize(rows(8, 8, 1), dim=1).T
    q = (scores.double() / 0.05).exp()
    for _ in range(200):
        q = q / q.sum(0, keepdim=True) * 40 / 8
        q = q / q.sum(1, keepdim=True)
    ours = sinkhorn(scores, epsilon=0.05, iterations=200)
    assert torch.allclose(ours.double(), q, atol=1e-5)
    assert torch.allclose(ours.sum(1), torch.ones(40), atol=1e-5)
    assert torch.allclose(ours.sum(0), torch.full((8,), 5.0), atol=1e-3)


def test_sinkhorn_stands_sharp_scores() -> None:
    """At an epsilon at which exp overflows, the plan stays finite."""
    assert sinkhorn(rows(10, 4) * 1000, epsilon=0.01, iterations=3).isfinite().all()


def test_codes_are_balanced() -> None:
    """SwAV's codes use all prototypes alike where a softmax of the same scores puts nearly everything on one."""
    scores = 0.1 * rows(512, 16) + torch.eye(16)[0]
    shares = sinkhorn(scores, epsilon=0.05, iterations=3).mean(0)
    plain = F.softmax(scores / 0.05, dim=1).mean(0)
    assert shares.max() / shares.min() < 1.3
    assert plain[0] > 0.9


def test_swav_asks_every_view_for_the_codes_of_both_whole_ones() -> None:
    """Equation 6 over two whole views and a small one, code by code; no gradient goes through a code."""
    method, seen = made("swav"), [*pair(), pair()[0][..., :16, :16]]
    whole, bank = nn.Sequential(method.network, method.projector), F.normalize(method.bank.weight, dim=1)
    z = [F.normalize(part, dim=1) for part in [*whole(torch.cat(seen[:2])).chunk(2), whole(seen[2])]]
    method._queued = False
    codes = [sinkhorn((one @ bank.T).detach(), epsilon=method.epsilon, iterations=method.iterations) for one in z[:2]]
    terms = [
        -float((codes[i] * F.log_softmax(z[j] @ bank.T / method.temperature, dim=1)).sum().detach()) / 32
        for i, j in ((0, 1), (0, 2), (1, 0), (1, 2))
    ]
    fresh = made("swav")
    fresh._queued = False
    assert close(fresh.loss(seen, torch.arange(32)), sum(terms) / 4)


def test_dino_is_equation_3() -> None:
    """Cross-entropies of all pairs of a whole view's teacher and another view's student."""
    method, views = made("dino"), [*pair(), *pair()[:1]]
    network = nn.Sequential(method.network, method.head)
    # one pass over all views, as in training: batch norm sees them together
    student = network(torch.cat(views)).chunk(3)
    teacher = method.teacher.network(torch.cat(views[:2])).chunk(2)
    student, teacher = [one.detach() for one in student], [one.detach() for one in teacher]
    wanted, pairs = 0.0, 0
    for i in range(2):
        for j in range(3):
            if i != j:
                target = F.softmax(teacher[i] / 0.04, dim=1)
                wanted -= float((target * (student[j] / 0.1).log_softmax(1)).sum(1).mean())
                pairs += 1
    assert abs(float(made("dino").loss(views, torch.arange(32)).detach()) - wanted / pairs) < 1e-4


def test_dino_s_centre_is_equation_4() -> None:
    """The centre moves by a tenth towards the mean of the teacher's outputs."""
    method, views = made("dino"), pair()
    told = made("dino").teacher(torch.cat(views)).mean(0)
    method.loss(views, torch.arange(32))
    assert torch.allclose(method.centre.value, 0.1 * told, atol=1e-6)


def test_alignment_and_uniformity_are_the_paper_s() -> None:
    """Mean ‖x − y‖² over pairs, and the log of the mean Gaussian potential over pairs of different rows."""
    x, y = F.normalize(rows(7, 5), dim=1), F.normalize(rows(7, 5, 1), dim=1)
    near = [float(((a - b) ** 2).sum()) for a, b in zip(x, y, strict=True)]
    assert close(align_uniform.align(x, y, 2.0), sum(near) / 7)
    potentials = [math.exp(-2 * float(((x[i] - x[j]) ** 2).sum())) for i in range(7) for j in range(i)]
    assert close(align_uniform.uniform(x, 2.0), math.log(sum(potentials) / len(potentials)))


def test_decoupled_uniformity_is_the_paper_s() -> None:
    """log 1/(n(n − 1)) Σ_{i≠j} exp(−‖μ_i − μ_j‖²)."""
    m = rows(6, 4)
    terms = [math.exp(-float(((m[i] - m[j]) ** 2).sum())) for i in range(6) for j in range(6) if i != j]
    assert close(decoupled_uniformity.decoupled(m), math.log(sum(terms) / 30))


def test_kernel_infonce_is_the_paper_s() -> None:
    """With γ = 1 it is InfoNCE under exp(−‖·‖/τ), written out; with γ = 2 and twice the temperature it is NT-Xent."""
    z1, z2 = F.normalize(rows(5, 6), dim=1), F.normalize(rows(5, 6, 1), dim=1)
    z, wanted = torch.cat([z1, z2]), 0.0
    for i in range(10):
        kernel = [math.exp(-math.dist(z[i].tolist(), z[j].tolist()) / 0.5) for j in range(10)]
        wanted -= math.log(kernel[(i + 5) % 10] / (sum(kernel) - kernel[i])) / 10
    assert close(kernel_infonce.kernel_infonce(z, 1.0, 0.5), wanted)
    assert torch.allclose(kernel_infonce.kernel_infonce(z, 2.0, 1.0), nt_xent(z1, z2, 0.5), atol=1e-6)


def test_instance_discrimination_is_equation_2() -> None:
    """−log of an image's own share in the memory; afterwards the memory is half the old feature and half the new one."""
    method, view = made("instdisc"), pair()[:1]
    bank = method.bank.rows.clone()
    with torch.no_grad():
        loss = method.loss(view, torch.arange(32, 64))
        v = F.normalize(made("instdisc").projector(made("instdisc").network(view[0])), dim=1)
    wanted = 0.0
    for i in range(32):
        shares = [math.exp(float(v[i] @ row) / 0.1) for row in bank]
        wanted -= math.log(shares[32 + i] / sum(shares)) / 32
    assert abs(float(loss) - wanted) < 1e-4
    method.stepped(0.1)
    assert torch.allclose(method.bank.rows[32:], F.normalize(bank[32:] + v, dim=1), atol=1e-5)
    assert torch.equal(method.bank.rows[:32], bank[:32])


def test_rotnet_turns_each_image_four_ways() -> None:
    """Four copies, each a quarter turn on, with labels in that order: a classifier that knows them has no loss."""
    method = made("rotnet")
    views = method.draw(pair()[0], Run(seed=0))
    assert len(views) == 4
    assert all(torch.equal(views[turns], torch.rot90(views[0], turns, dims=(2, 3))) for turns in range(4))
    turns = torch.arange(4).repeat_interleave(32)
    method.outputs = lambda network, x: 50 * F.one_hot(turns, 4).float()
    assert float(method.loss(views, torch.arange(32))) < 1e-6


def test_momentum_rises_along_a_cosine() -> None:
    """BYOL's τ: 1 − (1 − τ)(cos(πk/K) + 1)/2."""
    assert momentum(0.9, 0.0) == pytest.approx(0.9)
    assert momentum(0.9, 0.5) == pytest.approx(0.95)
    assert momentum(0.9, 1.0) == pytest.approx(1.0)


def test_a_teacher_follows() -> None:
    """Every weight moves by 1 − momentum of the way; batch statistics are the teacher's own."""
    source = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    teacher = Teacher(source)
    before = teacher.network[0].weight.clone()
    with torch.no_grad():
        source[0].weight += 1
    source(rows(8, 3))
    teacher.follow(source, 0.75)
    assert torch.allclose(teacher.network[0].weight, before + 0.25)
    assert not torch.equal(teacher.network[1].running_mean, source[1].running_mean)


def test_a_queue_keeps_the_last() -> None:
    """The oldest rows go first, and more rows than fit leave the last ones."""
    queue = Queue(5, 2)
    for start in (0, 3, 6):
        queue.put(torch.arange(start, start + 3).float().repeat(2, 1).T)
    assert sorted(queue.rows[:, 0].tolist()) == [4, 5, 6, 7, 8]
    queue.put(torch.arange(10, 20).float().repeat(2, 1).T)
    assert sorted(queue.rows[:, 0].tolist()) == [15, 16, 17, 18, 19]


@pytest.mark.parametrize("name", FAMILY)
def test_gradients_reach_what_is_trained_and_no_teacher(name: str) -> None:
    """After a step's backward pass every trained weight has a gradient and no weight of a teacher has."""
    method = made(name)
    method.loss(method.draw(pair(64)[0], Run(seed=0)), torch.arange(64)).backward()
    idle = [weight.shape for module in method._trained for weight in module.parameters() if weight.grad is None]
    assert idle == []
    if name in TEACHERS:
        teacher = getattr(method, TEACHERS[name])
        assert not any(weight.requires_grad or weight.grad is not None for weight in teacher.parameters())


def projections(method: FromViews) -> Tensor:
    """Trains on 256 small colour pictures; their projections [256, d] afterwards."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(256, 3, 2, 2, generator=generator)
    x = (255 * F.interpolate(coarse, size=(8, 8), mode="bilinear")).to(torch.uint8)
    torch.manual_seed(0)
    method.fit(Inputs("image", x), None, Run(seed=0))
    with torch.no_grad():
        return method.projector.eval()(method.network.eval()(x.float() / 255))


def spread(z: Tensor) -> float:
    """The standard deviation of projections of length one, over that of random directions: 0 where all are one point."""
    return float(F.normalize(z, dim=1).std(0).mean() * math.sqrt(z.shape[1]))


def small(name: str, **changes: object) -> FromViews:
    """A method at some epochs."""
    given = {"epochs": 20, "batch": 64, "warm_up": 1, "precision": "fp32", "lr": 0.01, **changes}
    return methods.get(name)(**{**methods.configure(name, kind="colour", budget="smoke"), **given})


def test_simsiam_needs_its_stopped_gradient() -> None:
    """With the gradient let through both ways, all images fall together."""
    let = small("simsiam")

    def loss(views: list[Tensor], rows: Tensor) -> Tensor:
        z1, z2 = (let.projector(let.network(view)) for view in views)
        p1, p2 = let.predictor(z1), let.predictor(z2)
        return -(F.cosine_similarity(p1, z2, dim=1) + F.cosine_similarity(p2, z1, dim=1)).mean() / 2

    let.loss = loss
    assert spread(projections(let)) < 0.5 * spread(projections(small("simsiam")))


def test_vicreg_s_variance_term_holds_the_variance() -> None:
    """Without the hinge the projections shrink to nothing."""
    held, let = (projections(small("vicreg", **changes)).std(0).mean() for changes in ({}, {"variance": 0.0}))
    assert let < 0.3 * held


def test_dino_is_a_checkpointed_state() -> None:
    """Temperature and centre are among the buffers, which checkpoints keep."""
    method = made("dino")
    method.stepped(1.0)
    state = method.centre.state_dict()
    assert float(state["temperature"]) == pytest.approx(0.07)
    assert dino.DINO.card.told == {"augmentations"}
