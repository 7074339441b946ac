"""Linear probe: multinomial logistic regression on frozen embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card

if TYPE_CHECKING:
    from torch import Tensor

    from metrics.evidence import Evidence

card = Card(
    title="Linear probe accuracy",
    source="Alain & Bengio, arXiv:1610.01644; L-BFGS and a chosen penalty as in Kornblith et al., arXiv:1805.08974",
    needs={"split"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=None,
    headline=True,
    description="Its L2 strength is chosen on the last tenth of the training rows and noted as linear_probe_strength.",
)

STRENGTHS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # strong to weak: each solution starts the next
TOLERANCE = 1e-5
ITERATIONS = 500


def compute(evidence: Evidence) -> float:
    """Share of test rows that the probe fitted on the training rows gets right; 0: none, 1: all.

    embeddings_train [m, d], labels_train [m], embeddings_test [t, d], labels_test [t]. Features are standardised by the
    training rows' mean and standard deviation (constant ones only centred). The loss is

        mean cross-entropy + strength/2 · ||W||²,  the bias free,

    which is scikit-learn's LogisticRegression with C = 1 / (m · strength). The strength that is best on the last tenth
    of the training rows is taken (of equals, the strongest), and the probe refitted on all of them.

    >>> import metrics
    >>> metrics.get("linear_probe").score(embeddings_train=[[0.0], [1.0], [0.1], [0.9]], labels_train=[0, 1, 0, 1],
    ...                                   embeddings_test=[[0.2], [0.8]], labels_test=[0, 1])
    1.0
    """
    import torch

    classes, codes = np.unique(evidence.labels_train, return_inverse=True)
    train, test = (torch.from_numpy(x) for x in standardised(evidence.embeddings_train, evidence.embeddings_test))
    targets, count = torch.from_numpy(codes), len(classes)
    strength, start = _choose(train, targets, count)
    weights = fit(train, targets, count, strength, start)
    evidence.notes["linear_probe_strength"] = strength
    return float((classes[predict(weights, test, count).numpy()] == evidence.labels_test).mean())


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both [n, d] float32 after the training rows' mean is taken off and their standard deviation divided out."""
    mean, scale = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    scale[scale == 0] = 1
    return ((train - mean) / scale).astype(np.float32), ((test - mean) / scale).astype(np.float32)


def _choose(train: Tensor, targets: Tensor, count: int) -> tuple[float, np.ndarray | None]:
    """The strength that is best on the last tenth of the rows, and the weights it gave."""
    held = max(1, len(train) // 10)
    kept = len(train) - held
    if not kept:
        return STRENGTHS[0], None
    best, weights = (-1, STRENGTHS[0], None), None
    for strength in STRENGTHS:
        weights = fit(train[:kept], targets[:kept], count, strength, weights)
        right = int((predict(weights, train[kept:], count) == targets[kept:]).sum())
        if right > best[0]:
            best = (right, strength, weights)
    return best[1], best[2]


def fit(rows: Tensor, targets: Tensor, count: int, strength: float, start: np.ndarray | None = None) -> np.ndarray:
    """[count · (d + 1)] float64, the weights [count, d] and then the biases, that minimise the loss; from `start` or zeros.

    rows: [n, d] float32, targets: [n] int64 in 0..count-1. Values and gradients are float32, L-BFGS's own state float64.
    """
    import torch
    from scipy.optimize import minimize

    n, width = rows.shape
    every = torch.arange(n)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = _split(flat, width, count)
        logp = torch.addmm(bias, rows, weights.T).log_softmax(dim=1)
        value = -logp[every, targets].sum(dtype=torch.float64).item() / n
        value += strength / 2 * weights.square().sum(dtype=torch.float64).item()
        error = logp.exp_()
        error[every, targets] -= 1
        # error.T @ rows runs ten times as fast as rows.T @ error where there are few classes
        gradient = torch.cat([(error.T @ rows / n + strength * weights).ravel(), error.sum(dim=0) / n])
        return value, gradient.double().numpy()

    start = np.zeros(count * (width + 1)) if start is None else start
    options = {"maxiter": ITERATIONS, "maxfun": 10 * ITERATIONS, "gtol": TOLERANCE, "ftol": 0.0, "maxcor": 10}
    return minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x


def predict(flat: np.ndarray, rows: Tensor, count: int) -> Tensor:
    """[n] int64: the class code of the largest logit."""
    import torch

    weights, bias = _split(flat, rows.shape[1], count)
    return torch.addmm(bias, rows, weights.T).argmax(dim=1)


def _split(flat: np.ndarray, width: int, count: int) -> tuple[Tensor, Tensor]:
    """The weights [count, d] and the biases [count], float32."""
    import torch

    values = torch.from_numpy(flat.astype(np.float32))
    return values[: count * width].view(count, width), values[count * width :]
