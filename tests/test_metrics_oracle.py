"""Metrics against scikit-learn, against literal formulas, and against two bugs that are known elsewhere."""

import itertools
import json
import math
import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn import metrics as oracle
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import metrics
from benchmark.ground.errors import UserError
from metrics import silhouette
from metrics.evidence import Evidence
from metrics.knn import vote
from metrics.linear_probe import STRENGTHS, fit, predict, standardised
from metrics.parts import neighbours
from metrics.parts.contingency import Contingency
from metrics.parts.neighbours import search

SCORES = {
    "nmi": oracle.normalized_mutual_info_score,
    "ami": oracle.adjusted_mutual_info_score,
    "ari": oracle.adjusted_rand_score,
    "homogeneity": oracle.homogeneity_score,
    "completeness": oracle.completeness_score,
}


def labellings():
    """Pairs of labellings [n], the edge cases by name."""
    rng = np.random.default_rng(0)
    true = rng.integers(5, size=300)
    near = np.where(rng.random(300) < 0.7, true, rng.integers(5, size=300))
    return {
        "random": (true, rng.integers(5, size=300)),
        "near": (true, near),
        "perfect": (true, (true + 2) % 5),
        "more clusters": (true, near * 3 + rng.integers(3, size=300)),
        "fewer clusters": (true, near // 2),
        "gaps and offsets": (true * 1000 + 7, near * 10**15 + 10**17),
        "negative class ids": (true - 3, near),
        "noise": (true, near - 1),
        "negative cluster ids": (true, near * 7 - 20),
        "empty cluster 0": (true, near + 1),
        "one cluster": (true, np.full(300, 4)),
        "one class": (np.full(300, -2), near),
        "one of each": (np.zeros(300, int), np.full(300, 9)),
        "all apart": (np.arange(300), rng.permutation(300)),
        "clusters all apart": (true, np.arange(300)),
        "classes all apart": (np.arange(300), near),
        "many small clusters": (rng.integers(20, size=600), rng.integers(120, size=600)),
        "one sample": (np.array([3]), np.array([-1])),
        "two samples": (np.array([0, 1]), np.array([5, 5])),
        "small types": (true.astype(np.uint8), near.astype(np.int16)),
    }


PROTOCOL = {"knn": (20, 0.07), "knn_200": (200, 0.1), "knn_5": (5, None)}  # v1: neighbours, temperature
CASES = pytest.mark.parametrize("case", labellings())


@CASES
@pytest.mark.parametrize("name", SCORES)
def test_agrees_with_scikit_learn(name, case):
    """The scores that scikit-learn has agree with it, edge cases among them."""
    true, pred = labellings()[case]
    assert metrics.get(name).score(labels_true=true, labels_pred=pred) == pytest.approx(SCORES[name](true, pred), abs=1e-10)


@CASES
def test_matched_scores_agree_with_their_definitions(case):
    """ACC is the best of all one-to-one maps; macro-F1 and balanced ACC are scikit-learn's after one of the best."""
    true, pred = labellings()[case]
    classes, clusters = np.unique(true), np.unique(pred)
    table = np.array([[((true == c) & (pred == k)).sum() for k in clusters] for c in classes])
    rows, columns = linear_sum_assignment(-table)
    assert metrics.get("acc").score(labels_true=true, labels_pred=pred) == table[rows, columns].sum() / len(true)
    assert metrics.get("purity").score(labels_true=true, labels_pred=pred) == table.max(axis=0).sum() / len(true)
    if case in {"clusters all apart", "classes all apart", "all apart", "one class", "more clusters", "many small clusters"}:
        return  # many matchings are the best there, and these scores depend on which is taken
    mapping = dict(zip(clusters[columns].tolist(), rows.tolist(), strict=True))
    codes, mapped = np.searchsorted(classes, true), np.array([mapping.get(k, -1) for k in pred.tolist()])
    f1 = oracle.f1_score(codes, mapped, labels=np.arange(len(classes)), average="macro", zero_division=0)
    recall = oracle.recall_score(codes, mapped, labels=np.arange(len(classes)), average="macro", zero_division=0)
    assert metrics.get("macro_f1").score(labels_true=true, labels_pred=pred) == pytest.approx(f1)
    assert metrics.get("balanced_acc").score(labels_true=true, labels_pred=pred) == pytest.approx(recall)


@pytest.mark.parametrize("clusters", [2, 4, 6])
def test_acc_is_the_best_of_all_maps(clusters):
    """Trying every one-to-one map of up to six clusters to four classes finds no better ACC."""
    rng = np.random.default_rng(clusters)
    true, pred = rng.integers(4, size=40), rng.integers(clusters, size=40)
    size = max(4, clusters)
    best = max((np.array(way)[pred] == true).mean() for way in itertools.permutations(range(size)))
    assert metrics.get("acc").score(labels_true=true, labels_pred=pred) == pytest.approx(best)


def test_acc_with_cluster_0_empty():
    """A widely copied evaluator shifts the ids after it has matched them, and so gives 0.25 where 0.75 is right."""
    true, pred = np.array([0, 0, 0, 1]), np.array([1, 1, 2, 2])
    table = np.zeros((3, 3), int)
    np.add.at(table, (pred, true), 1)
    _, class_of = linear_sum_assignment(-table)
    shifted = pred - pred.min()
    assert (class_of[shifted] == true).mean() == 0.25
    assert metrics.get("acc").score(labels_true=true, labels_pred=pred) == 0.75


def test_ari_beyond_int64():
    """Pair counts multiplied in int64 overflow from 100,000 samples on; ours equals exact rational arithmetic."""
    rng = np.random.default_rng(0)
    true = rng.integers(10, size=100_000)
    pred = np.where(rng.random(100_000) < 0.8, true, rng.integers(10, size=100_000))
    (tn, fp), (fn, tp) = oracle.pair_confusion_matrix(true, pred)
    counts = np.array([tp, fp, fn, tn], dtype=np.int64)
    a, b, c, d = counts[:1], counts[1:2], counts[2:3], counts[3:]
    wrapped = float((2 * (a * d - b * c) / ((a + c) * (c + d) + (a + b) * (b + d)))[0])
    a, b, c, d = counts.tolist()
    exact = float(Fraction(2 * (a * d - b * c), (a + c) * (c + d) + (a + b) * (b + d)))
    assert abs(wrapped - exact) > 0.01
    assert metrics.get("ari").score(labels_true=true, labels_pred=pred) == pytest.approx(exact, abs=1e-15)


def test_a_million_samples_in_a_thousand_classes():
    """1.3 million samples × 1,000 classes: right to 1e-10, in well under a second of processor time, for any integers."""
    rng = np.random.default_rng(0)
    true = rng.integers(1000, size=1_300_000)
    pred = np.where(rng.random(len(true)) < 0.5, true, rng.integers(1000, size=len(true)))
    found = []
    for ids in (pred, pred * 1_000_003 - 10**12):
        start = time.process_time()
        evidence = Evidence(labels_true=true, labels_pred=ids)
        found.append([metrics.get(name).measure(evidence) for name in ("acc", "nmi", "ari")])
        assert time.process_time() - start < 1.0
    assert found[0] == found[1]
    assert found[0][0] == (true == pred).mean()
    assert found[0][1] == pytest.approx(oracle.normalized_mutual_info_score(true, pred), abs=1e-10)
    assert found[0][2] == pytest.approx(oracle.adjusted_rand_score(true, pred), abs=1e-10)


def test_a_table_too_large_to_hold_densely():
    """Ten thousand clusters of two in five thousand classes are counted without a dense table."""
    true, pred = np.arange(20_000) // 4, np.arange(20_000) // 2
    table = Contingency.of(true, pred)
    assert table.triples() == [[i // 2, i, 2] for i in range(10_000)]
    assert metrics.get("purity").score(labels_true=true, labels_pred=pred) == 1.0
    assert metrics.get("ari").score(labels_true=true, labels_pred=pred) == pytest.approx(oracle.adjusted_rand_score(true, pred))


@CASES
def test_triples_tell_everything(case):
    """The triples hold each class, cluster and count once, sorted, and give the same table again."""
    true, pred = labellings()[case]
    table = Contingency.of(true, pred)
    pairs, counts = np.unique(np.column_stack([true, pred]).astype(np.int64), axis=0, return_counts=True)
    assert table.triples() == np.column_stack([pairs, counts]).tolist()
    again = Contingency.from_triples(json.loads(json.dumps(table.triples()[::-1])))
    assert again.triples() == table.triples()
    np.testing.assert_array_equal(again.table, table.table)
    assert table.n == len(true) == table.table.sum()
    np.testing.assert_array_equal(table.class_sizes, table.table.sum(axis=1))
    np.testing.assert_array_equal(table.cluster_sizes, table.table.sum(axis=0))


@pytest.mark.parametrize("triples", [[], [[0, 0, 0]], [[0, 1, 2], [0, 1, 3]]])
def test_broken_triples_are_refused(triples):
    """No triples, a count of 0 or a pair written twice is no table."""
    with pytest.raises(ValueError, match="triples"):
        Contingency.from_triples(triples)


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"labels_true": [0, 1], "labels_pred": [0]}, "labels_true has 2, labels_pred has 1"),
        ({"labels_true": [0.0, 1.0]}, "labels_true holds float64"),
        ({"labels_pred": [[0, 1]]}, r"labels_pred has the shape \[1, 2\]"),
        ({"labels_pred": np.array([], dtype=int)}, r"labels_pred has the shape \[0\]"),
        ({"labels_pred": np.array([2**63], dtype=np.uint64)}, "9223372036854775808"),
        ({"embeddings": [[1.0, np.nan], [0.0, 1.0]]}, "NaN or infinity in 1 of 2 rows"),
        ({"embeddings": [[1e300]]}, "NaN or infinity in 1 of 1 rows"),
        ({"embeddings": [1.0, 2.0]}, r"embeddings has the shape \[2\]"),
        ({"embeddings": [["a"]]}, "real numbers"),
        ({"embeddings": [[1.0]], "labels_pred": [0, 1]}, "labels_pred has 2, embeddings has 1"),
        ({"soft": [[0.5, 0.6]]}, "rows must be distributions"),
        ({"soft": [[-1.0, 2.0]]}, "rows must be distributions"),
        ({"embeddings_train": [[1.0]], "embeddings_test": [[1.0, 2.0]]}, "1 dimensions and embeddings_test 2"),
        ({"embeddings_train": [[1.0]], "labels_train": [0, 1]}, "labels_train has 2"),
        ({"labels_true_train": [0, 1], "labels_pred_train": [0]}, "labels_pred_train has 1"),
        ({"labels_pred": [0], "contingency": Contingency.of([0], [0])}, "give one of them"),
    ],
)
def test_wrong_arrays_are_refused(arrays, match):
    """Evidence names the array, what is wrong with it and what is allowed."""
    with pytest.raises(UserError, match=match):
        Evidence(**arrays)


def test_the_search_is_done_once():
    """The three kNN scores share one search, and all scores one table."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 3))
    labels = rng.integers(3, size=60)
    evidence = Evidence(
        embeddings_train=rows,
        labels_train=labels,
        embeddings_test=rows,
        labels_test=labels,
        labels_true=labels,
        labels_pred=labels,
    )
    assert evidence.neighbours is evidence.neighbours
    assert evidence.contingency is evidence.contingency
    assert evidence.neighbours.indices.shape == (60, 60)
    np.testing.assert_array_equal(evidence.neighbours.indices[:, 0], np.arange(60))


def brute_force(train, test, k):
    """[m, k]: the k nearest rows by exact rational arithmetic on integers, ties by lowest index; and s²·sign(s)."""
    found = []
    norms = [int(row @ row) for row in train]
    for query in test:
        dots = [int(query @ row) for row in train]
        exact = [Fraction(dot * abs(dot), norm) if norm else Fraction(0) for dot, norm in zip(dots, norms, strict=True)]
        order = sorted(range(len(train)), key=lambda i: (-exact[i], i))[:k]
        own = int(query @ query) or 1
        found.append([(i, exact[i] / own) for i in order])
    return found


@pytest.mark.parametrize(("n", "width", "values"), [(400, 3, 2), (400, 6, 3), (300, 1, 2), (240, 2, 1), (19, 3, 2)])
@pytest.mark.parametrize("name", PROTOCOL)
def test_knn_equals_brute_force_on_integers(name, n, width, values):
    """On integer embeddings, full of ties and with rows of zeros, neighbours and votes are exactly the brute-force ones."""
    rng = np.random.default_rng(n + width)
    train, test = (rng.integers(-values, values + 1, size=(rows, width)) for rows in (n, 25))
    labels = rng.integers(4, size=n) * 3 - 1
    k, temperature = PROTOCOL[name]
    nearest = brute_force(train, test, k)
    found = search(train.astype(np.float32), test.astype(np.float32), k)
    assert found.indices.tolist() == [[i for i, _ in row] for row in nearest]
    winners = []
    for row in nearest:
        votes = {}
        for i, square in row:
            cosine = math.copysign(math.sqrt(abs(square)), square)
            votes.setdefault(int(labels[i]), []).append(1 if temperature is None else math.exp(cosine / temperature))
        winners.append(min(votes, key=lambda c: (-math.fsum(votes[c]), c)))
    arrays = {"embeddings_train": train, "labels_train": labels, "embeddings_test": test}
    assert metrics.get(name).score(**arrays, labels_test=np.array(winners)) == 1.0


@pytest.mark.parametrize(("values", "chunk"), [(1, 1), (70, 4), (600, 25)])
def test_blocks_change_no_neighbour(values, chunk, monkeypatch):
    """Rows searched block by block, even in blocks of fewer than k, and settled by threads: the same neighbours, ties too."""
    rng = np.random.default_rng(3)
    train, test = (rng.integers(-2, 3, size=(rows, 3)).astype(np.float32) for rows in (300, 25))
    whole = search(train, test, 20)
    monkeypatch.setattr(neighbours, "_VALUES", values)
    monkeypatch.setattr(neighbours, "_CHUNK", chunk)
    parted = search(train, test, 20)
    np.testing.assert_array_equal(parted.indices, whole.indices)
    np.testing.assert_allclose(parted.similarities, whole.similarities, rtol=0, atol=1e-15)


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("name", PROTOCOL)
def test_knn_equals_brute_force_on_reals(name, offset):
    """On real embeddings the winner is the brute-force one wherever the vote is not closer than 1e-6.

    With the offset all rows point almost the same way, and float32 alone could not order them.
    """
    rng = np.random.default_rng(7)
    labels = rng.integers(10, size=3000)
    train = (rng.normal(size=(10, 16))[labels] + rng.normal(size=(3000, 16)) + offset).astype(np.float32)
    test = (rng.normal(size=(300, 16)) + offset).astype(np.float32)
    k, temperature = PROTOCOL[name]
    a, b = (x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (test, train))
    cosines = a @ b.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(cosines, order, axis=1)
    weights = np.ones_like(near) if temperature is None else np.exp(near / temperature)
    votes = np.array([np.bincount(labels[row], weight, minlength=10) for row, weight in zip(order, weights, strict=True)])
    ranked = np.sort(votes, axis=1)
    clear = (ranked[:, -1] - ranked[:, -2]) / ranked[:, -1] > 1e-6
    assert clear.mean() > 0.5
    arrays = {"embeddings_train": train, "labels_train": labels, "embeddings_test": test[clear]}
    assert metrics.get(name).score(**arrays, labels_test=votes.argmax(axis=1)[clear]) == 1.0


def test_knn_5_equals_scikit_learn():
    """The unweighted vote of five, ties to the lowest class, is scikit-learn's with cosine distance."""
    rng = np.random.default_rng(1)
    labels = rng.integers(6, size=900)
    rows = rng.normal(size=(6, 8))[labels] + 1.5 * rng.normal(size=(900, 8))
    model = KNeighborsClassifier(5, metric="cosine", algorithm="brute").fit(rows[:600], labels[:600])
    arrays = {
        "embeddings_train": rows[:600],
        "labels_train": labels[:600],
        "embeddings_test": rows[600:],
        "labels_test": labels[600:],
    }
    assert metrics.get("knn_5").score(**arrays) == pytest.approx(model.score(rows[600:], labels[600:]))


def test_tied_votes_go_to_the_lowest_class():
    """Votes that differ only by the order in which their weights were summed are a tie."""
    weights = np.array([[0.1, 0.3, 0.2, 0.2, 0.3, 0.1]])
    assert 0.1 + 0.2 + 0.3 > 0.3 + 0.2 + 0.1
    assert vote(np.array([[1, 0, 1, 0, 1, 0]]), weights, 3).tolist() == [0]
    assert vote(np.array([[2, 1, 2, 1, 2, 1]]), weights, 3).tolist() == [1]


def test_knn_of_a_collapsed_embedding():
    """Where all rows are alike the nearest are those of lowest index."""
    labels = np.array([1] * 20 + [0] * 280)
    ones = np.ones((300, 4))
    arrays = {"embeddings_train": ones, "labels_train": labels, "embeddings_test": ones, "labels_test": labels}
    assert metrics.get("knn").score(**arrays) == 20 / 300
    assert metrics.get("knn_200").score(**arrays) == 280 / 300


def mixture(seed, n, width, classes, spread):
    """Gaussian classes: rows [n, d] float32 with uneven scales and a constant column, labels [n]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    rows = spread * rng.normal(size=(classes, width))[labels] + rng.normal(size=(n, width))
    rows = rows * rng.uniform(0.01, 100, size=width) + 5
    rows[:, 0] = 0.1
    return rows.astype(np.float32), labels


def test_linear_probe_agrees_with_scikit_learn():
    """Strength and accuracy are those of scikit-learn's LogisticRegression with C = 1/(n · strength), to 0.1 point."""
    rows, labels = mixture(0, 5000, 24, 7, 0.5)
    train, test = standardised(rows[:1500], rows[1500:])

    def model(n, strength):
        fitted = LogisticRegression(C=1 / (n * strength), tol=1e-6, max_iter=5000)
        return fitted.fit(train[:n].astype(np.float64), labels[:n])

    held = [model(1350, strength).score(train[1350:], labels[1350:1500]) for strength in STRENGTHS]
    chosen = STRENGTHS[int(np.argmax(held))]
    arrays = {"embeddings_train": rows[:1500], "labels_train": labels[:1500] + 3, "embeddings_test": rows[1500:]}
    evidence = Evidence(**arrays, labels_test=labels[1500:] + 3)
    found = metrics.get("linear_probe").measure(evidence)
    assert evidence.notes == {"linear_probe_strength": chosen}
    assert found == pytest.approx(model(1500, chosen).score(test, labels[1500:]), abs=0.001)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_linear_probe_fit_agrees_with_scikit_learn(strength):
    """At every strength the fit predicts like scikit-learn's on 99.9% of new rows."""
    rows, labels = mixture(1, 5000, 12, 4, 0.4)
    train, test = standardised(rows[:1000], rows[1000:])
    expected = LogisticRegression(C=1 / (1000 * strength), tol=1e-6, max_iter=5000).fit(train.astype(np.float64), labels[:1000])
    weights = fit(torch.from_numpy(train), torch.from_numpy(labels[:1000]), 4, strength)
    found = predict(weights, torch.from_numpy(test), 4).numpy()
    assert (found == expected.predict(test)).mean() >= 0.999


def test_linear_probe_standardises_by_train():
    """Train columns get mean 0 and deviation 1, a constant column is only centred, test is treated like train."""
    train = np.array([[1.0, 0.1], [3.0, 0.1]], dtype=np.float32)
    found = standardised(train, np.array([[5.0, 1.1]], dtype=np.float32))
    np.testing.assert_allclose(found[0], [[-1, 0], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(found[1], [[3, 1]], atol=1e-6)


def test_linear_probe_of_one_class():
    """A train set of one class predicts that class; a class that train lacks is always wrong."""
    rows = np.random.default_rng(0).normal(size=(12, 3))
    arrays = {"embeddings_train": rows, "labels_train": np.full(12, 4), "embeddings_test": rows[:4], "labels_test": [4, 4, 4, 9]}
    assert metrics.get("linear_probe").score(**arrays) == 0.75


def test_ece_is_guos_sum_over_bins():
    """ECE equals the sum over fifteen bins written out, with columns mapped to classes."""
    rng = np.random.default_rng(0)
    soft = rng.dirichlet(np.full(5, 0.3), size=500)
    true = np.where(rng.random(500) < 0.6, (soft.argmax(axis=1) + 1) % 5, rng.integers(5, size=500))
    confidence, predicted = soft.max(axis=1), (soft.argmax(axis=1) + 1) % 5
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs((predicted == true)[inside].mean() - confidence[inside].mean())
    assert metrics.get("ece").score(labels_true=true * 9 - 4, soft=soft) == pytest.approx(total, abs=1e-6)


def test_ece_of_an_unmatched_column():
    """A column that is matched to no class is always wrong: sure predictions of it cost their confidence."""
    soft = np.eye(3)[[0, 0, 0, 1, 1, 2]]
    assert metrics.get("ece").score(labels_true=[0, 0, 0, 1, 1, 1], soft=soft) == pytest.approx(1 / 6)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50)])
def test_effective_rank_is_roy_and_vetterlis(shape):
    """The effective rank equals the exponential of the entropy of the normalised singular values."""
    rows = np.random.default_rng(0).normal(size=shape) * np.linspace(0.01, 3, shape[1]) + 7
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    values = values[values > 1e-9]
    p = values / values.sum()
    assert metrics.get("effective_rank").score(embeddings=rows) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-4)


def test_effective_rank_of_a_collapse():
    """All rows alike: 0; all on one line: 1."""
    assert metrics.get("effective_rank").score(embeddings=np.full((9, 4), 0.3)) == 0.0
    line = np.outer(np.arange(9.0), [1.0, 2.0, -1.0])
    assert metrics.get("effective_rank").score(embeddings=line) == pytest.approx(1.0, abs=1e-4)


def test_uniformity_is_wang_and_isolas():
    """Uniformity equals the authors' formula over all pairs, and a collapsed embedding has 0."""
    rows = torch.randn(700, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.pdist(torch.nn.functional.normalize(rows, dim=1)).pow(2).mul(-2).exp().mean().log().item()
    assert metrics.get("uniformity").score(embeddings=rows.numpy()) == pytest.approx(expected, abs=1e-6)
    assert metrics.get("uniformity").score(embeddings=np.ones((600, 3))) == pytest.approx(0, abs=1e-12)


def test_silhouette_agrees_with_scikit_learn():
    """The silhouette is scikit-learn's, clusters of one sample and repeated rows among them; None for one cluster."""
    rng = np.random.default_rng(0)
    pred = rng.integers(4, size=200)
    rows = (rng.normal(size=(4, 3))[pred] + rng.normal(size=(200, 3))).astype(np.float32)
    rows[:30] = rows[0]
    pred[7] = 11
    found = metrics.get("silhouette").score(embeddings=rows, labels_pred=pred)
    assert found == pytest.approx(oracle.silhouette_score(rows, pred), abs=1e-6)
    assert metrics.get("silhouette").measure(Evidence(embeddings=rows, labels_pred=np.zeros(200, int))) is None
    assert math.isnan(metrics.get("silhouette").score(embeddings=rows, labels_pred=np.zeros(200, int)))


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("spread", [1.0, 1e-7, 0.0])
def test_distances_of_near_rows_keep_their_digits(offset, spread):
    """Distances are SciPy's to nine digits, of groups of rows that lie close together too, and 0 between equal rows."""
    rng = np.random.default_rng(5)
    rows = np.repeat(rng.normal(size=(40, 200)), 5, axis=0) + offset
    rows += spread * rng.normal(size=rows.shape)
    found, exact = silhouette.distances(rows), cdist(rows, rows)
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-13 * (1 + offset))
    assert ((found == 0) == (exact == 0)).all()


@pytest.mark.parametrize("name", ["silhouette", "uniformity"])
def test_a_sample_stands_for_all(name):
    """Above the limit a fixed sample is measured, and its value is near that of all rows."""
    rng = np.random.default_rng(0)
    pred = rng.integers(3, size=5000)
    rows = rng.normal(size=(3, 4))[pred] * 2 + rng.normal(size=(5000, 4))
    arrays = {"embeddings": rows, **({"labels_pred": pred} if name == "silhouette" else {})}
    values = [metrics.get(name).score(**arrays, seed=seed) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    assert values[0] == pytest.approx(values[2], abs=0.03)


def test_acc_chance_is_the_mean_of_random_labellings():
    """It is near the mean ACC of labellings drawn elsewhere, and the share of the largest class for one cluster."""
    rng = np.random.default_rng(99)
    true, pred = rng.choice(4, size=400, p=[0.4, 0.3, 0.2, 0.1]), rng.integers(6, size=400)
    elsewhere = [metrics.get("acc").score(labels_true=true, labels_pred=rng.integers(6, size=400)) for _ in range(200)]
    assert metrics.get("acc_chance").score(labels_true=true, labels_pred=pred) == pytest.approx(np.mean(elsewhere), abs=0.02)
    assert metrics.get("acc_chance").score(labels_true=true, labels_pred=np.zeros(400, int)) == np.bincount(true).max() / 400


def test_acc_train_matching_cannot_look_at_test():
    """With the matching of train a test set whose clusters are swapped gets 0, where ACC gets 1."""
    train = np.array([0, 0, 1, 1])
    arrays = {"labels_true": train, "labels_pred": 1 - train, "labels_true_train": train, "labels_pred_train": train}
    assert metrics.get("acc_train_matching").score(**arrays) == 0.0
    assert metrics.get("acc").score(labels_true=train, labels_pred=1 - train) == 1.0
    arrays |= {"labels_pred": np.array([0, 0, 1, 8])}
    assert metrics.get("acc_train_matching").score(**arrays) == 0.75


def test_accuracies_by_size_are_recalls_of_classes_by_falling_size():
    """Ten classes in 3:4:3: scikit-learn's recalls of the matched labels; together they are the balanced accuracy."""
    rng = np.random.default_rng(3)
    sizes = (500 * 50.0 ** -(np.arange(10) / 9)).astype(int)
    train = rng.permutation(10).repeat(sizes)  # which class is large has nothing to do with its id
    order = list(dict.fromkeys(train.tolist()))
    true = np.arange(10).repeat(30)
    pred = (np.where(rng.random(300) < 0.6, true, rng.integers(10, size=300)) + 4) % 10
    arrays = {"labels_true": true, "labels_pred": pred, "labels_true_train": train, "labels_pred_train": train}
    table = oracle.cluster.contingency_matrix(true, pred)
    columns = linear_sum_assignment(table, maximize=True)[1]
    recalls = oracle.recall_score(true, np.argsort(columns)[pred], average=None)
    wanted = [recalls[order[low:high]].mean() for low, high in ((0, 3), (3, 7), (7, 10))]
    found = [metrics.get(name).score(**arrays) for name in ("acc_head", "acc_medium", "acc_tail")]
    assert found == pytest.approx(wanted)
    whole = metrics.get("balanced_acc").score(labels_true=true, labels_pred=pred)
    assert np.average(found, weights=[3, 4, 3]) == pytest.approx(whole)
    even = {**arrays, "labels_true_train": true, "labels_pred_train": true}
    assert metrics.get("acc_tail").score(**even) == pytest.approx(whole)  # of equal classes none is in the tail alone


def test_counts_of_clusters():
    """Used clusters leave out noise and empty ids; coverage and entropy are those of the sizes."""
    pred = np.array([0, 0, 5, 5, 9, 9, -1, -1])
    assert metrics.get("clusters_used").score(labels_pred=pred) == 3
    assert metrics.get("coverage").score(labels_pred=pred) == 0.75
    assert metrics.get("cluster_size_entropy").score(labels_pred=pred) == pytest.approx(math.log(4))
    assert metrics.get("k_error").score(labels_true=np.arange(8), labels_pred=pred) == 5
    assert metrics.get("clusters_used").score(labels_pred=np.full(8, -1)) == 0
    assert metrics.get("coverage").score(labels_pred=np.full(8, -1)) == 0
