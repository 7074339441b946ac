"""Transport plans against POT, on the problems that methods/parts/unbalanced.py says are the same."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from methods.parts.transport import sinkhorn
from methods.parts.unbalanced import balanced, definite, partial, semantic, unbalanced

N, K, EPSILON, MASS, STRENGTH = 12, 4, 0.2, 0.6, 0.3
FINE = {"stopThr": 1e-10, "numItermax": 2000}


@functools.cache
def pot() -> ModuleType:
    """POT, whose own files warn as they are compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("ot")


@pytest.fixture(params=[torch.float32, torch.float64])
def problem(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Tensor]:
    """Cost [N, K] in single or double precision, masses of rows and columns, each of sum 1."""
    generator = torch.Generator().manual_seed(0)
    cost, rows, columns = (torch.rand(size, generator=generator).double() + 0.2 for size in ((N, K), (N,), (K,)))
    return cost.to(request.param), rows / rows.sum(), columns / columns.sum()


def same(ours: Tensor, theirs: np.ndarray, cost: Tensor) -> None:
    """Equal to 1e-5 of the mean entry's size, in the cost's precision, and no smaller than zero."""
    assert ours.dtype == cost.dtype
    assert float((ours.double() - torch.from_numpy(theirs)).abs().max()) < 1e-5 / (N * K)
    assert float(ours.min()) >= 0


def test_balanced_is_that_of_pot(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    """Entropic transport with both marginals given."""
    cost, rows, columns = problem
    wanted = pot().sinkhorn(rows.numpy(), columns.numpy(), cost.double().numpy(), EPSILON, **FINE)
    same(balanced(cost, rows, columns, epsilon=EPSILON), wanted, cost)


def test_balanced_is_the_transport_of_scores() -> None:
    """Equal masses give the plan of methods/parts/transport.py, divided by n."""
    scores = torch.randn(20, 5, generator=torch.Generator().manual_seed(1))
    ours = balanced(-scores, torch.full((20,), 1 / 20), torch.full((5,), 1 / 5), epsilon=0.5)
    assert torch.allclose(20 * ours, sinkhorn(scores, epsilon=0.5, iterations=200), atol=1e-5)


def test_partial_is_that_of_pot(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    """With a virtual column it is balanced transport of the wider problem, without it POT's partial transport."""
    cost, rows, columns = problem
    a, b, c = rows.numpy(), columns.numpy(), cost.double().numpy()
    wider = pot().sinkhorn(a, np.append(MASS * b, 1 - MASS), np.c_[c, np.zeros(N)], EPSILON, **FINE)
    same(partial(cost, rows, columns, mass=MASS, epsilon=EPSILON), wider[:, :-1], cost)
    capped = pot().partial.entropic_partial_wasserstein(a, MASS * b, c, EPSILON, MASS, **FINE)
    same(partial(cost, rows, columns, mass=MASS, epsilon=EPSILON, virtual=False), capped, cost)


def test_unbalanced_is_that_of_pot(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    """Rows exact, columns held by a KL divergence; the entropy is relative to 1."""
    cost, rows, columns = problem
    a, b, c = rows.numpy(), columns.numpy(), cost.double().numpy()
    wanted = pot().unbalanced.sinkhorn_unbalanced(a, b, c, EPSILON, (math.inf, STRENGTH), c=np.ones((N, K)), **FINE)
    same(unbalanced(cost, rows, columns, strength=STRENGTH, epsilon=EPSILON), wanted, cost)


def test_unbalanced_of_a_part_is_the_scaling_of_p2ot(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    """Algorithm 1 of P²OT, written out with products in double precision; where λ is infinite it is the partial plan."""
    cost, rows, columns = problem
    kernel = np.exp(-np.c_[cost.double().numpy(), np.zeros(N)] / EPSILON)
    sizes = np.append(MASS * columns.numpy(), 1 - MASS)
    power = np.append(np.full(K, STRENGTH / (STRENGTH + EPSILON)), 1.0)
    right = np.ones(K + 1)
    for _ in range(500):
        left = rows.numpy() / (kernel @ right)
        right = (sizes / (kernel.T @ left)) ** power
    left = rows.numpy() / (kernel @ right)
    ours = unbalanced(cost, rows, columns, strength=STRENGTH, epsilon=EPSILON, mass=MASS)
    same(ours, (left[:, None] * kernel * right)[:, :-1], cost)
    assert abs(float(ours.sum()) - MASS) < 1e-5
    firm = unbalanced(cost, rows, columns, strength=math.inf, epsilon=EPSILON, mass=MASS)
    assert torch.equal(firm, partial(cost, rows, columns, mass=MASS, epsilon=EPSILON))


def test_semantic_is_that_of_pot(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    """Where the entropy outweighs the concave part there is one minimum, and POT's conditional gradient finds it too."""
    cost, rows, columns = problem
    s = definite(torch.rand(N, N, generator=torch.Generator().manual_seed(2)).double())
    wanted = pot().optim.gcg(
        *(rows.numpy(), columns.numpy(), cost.double().numpy(), EPSILON, 0.05),
        *(lambda q: -float((s.numpy() * (q @ q.T)).sum()), lambda q: -2 * s.numpy() @ q),
        **{"stopThr": 1e-13, "stopThr2": 1e-13, "numItermax": 50},
    )
    settings = {"weight": 0.05, "strength": math.inf, "epsilon": EPSILON}
    same(semantic(cost, s.to(cost), rows, columns, steps=30, **settings), wanted, cost)
    assert float((balanced(cost, rows, columns, epsilon=EPSILON).double() - torch.from_numpy(wanted)).abs().max()) > 1e-3


def test_majorisation_never_raises_the_objective(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    """⟨Q, C⟩ + ε Σ Q log Q + ε Σ ξ log ξ + λ KL(Qᵀ1‖mass · b) − w ⟨S, QQᵀ⟩ falls with each step, far at first."""
    cost, rows, columns = (tensor.double() for tensor in problem)
    s = definite(torch.rand(N, N, generator=torch.Generator().manual_seed(2)).double())
    seen: list[float] = []

    def watch(plan: Tensor) -> None:
        rest, sizes = rows - plan.sum(1), plan.sum(0)
        relaxed = torch.xlogy(sizes, sizes / (MASS * columns)).sum() - sizes.sum() + MASS
        entropy = torch.xlogy(plan, plan).sum() + torch.xlogy(rest, rest.clamp(min=0)).sum()
        alike = (s * (plan @ plan.T)).sum()
        seen.append(float((plan * cost).sum() + EPSILON * entropy + STRENGTH * relaxed - 2.0 * alike))

    settings = {"weight": 2.0, "strength": STRENGTH, "epsilon": EPSILON, "mass": MASS}
    semantic(cost, s, rows, columns, steps=15, watch=watch, **settings)
    falls = [before - after for before, after in itertools.pairwise(seen)]
    assert min(falls) > -1e-9
    assert falls[0] > 1e-3


def test_definite_keeps_similarities_and_adds_no_direction() -> None:
    """Only the diagonal changes, and no eigenvalue is negative, as some were."""
    s = torch.randn(9, 9, generator=torch.Generator().manual_seed(3)).double()
    s = s + s.T
    made = definite(s)
    assert float(torch.linalg.eigvalsh(s)[0]) < 0 <= float(torch.linalg.eigvalsh(made)[0]) + 1e-12
    assert torch.equal(made - made.diagonal().diag(), s - s.diagonal().diag())


def test_sizes_of_a_hundred_to_one_are_found() -> None:
    """200 rows of one cluster, 2 of the other: balanced transport sends half of all astray, relaxed transport nearly nothing.

    Nor does partial transport of a small mass: what it moves into each cluster comes from the right rows.
    """
    truth = torch.tensor([0] * 200 + [1] * 2)
    noise = torch.rand(202, 2, generator=torch.Generator().manual_seed(4))
    cost = (1 - torch.nn.functional.one_hot(truth, 2).float()) + 0.5 * noise
    rows, columns = torch.full((202,), 1 / 202), torch.full((2,), 1 / 2)

    def right(plan: Tensor) -> float:
        return float(plan.gather(1, truth[:, None]).sum() / plan.sum())

    assert right(balanced(cost, rows, columns, epsilon=0.05)) < 0.52
    assert right(unbalanced(cost, rows, columns, strength=0.1, epsilon=0.05)) > 0.99
    assert right(partial(cost, rows, columns, mass=4 / 202, epsilon=0.05)) > 0.99


def test_a_mass_beyond_all_rows_is_refused() -> None:
    """No more can move than there is."""
    with pytest.raises(ValueError, match="above 0"):
        partial(torch.zeros(2, 2), torch.full((2,), 0.5), torch.full((2,), 0.5), mass=1.5, epsilon=0.1)


def test_small_epsilon_does_not_underflow() -> None:
    """Costs of hundreds of ε give a finite plan with the right marginals, in single precision."""
    cost = torch.rand(30, 3, generator=torch.Generator().manual_seed(5))
    plan = balanced(cost, torch.full((30,), 1 / 30), torch.tensor([0.2, 0.3, 0.5]), epsilon=2e-3)
    assert torch.allclose(plan.sum(1), torch.full((30,), 1 / 30), atol=1e-6)
    assert torch.allclose(plan.sum(0), torch.tensor([0.2, 0.3, 0.5]), atol=1e-3)
