"""DEC and IDEC against their papers' formulas, written out literally, and what their mechanisms promise."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from datasets.base import Inputs
from methods.autoencoder.ae_kmeans import AeKmeans
from methods.autoencoder.dec import DEC
from methods.autoencoder.idec import IDEC
from methods.parts.kmeans import kmeans
from methods.parts.targets import Centres, divergence, sharpened, student_t
from methods.run import Run

SMALL = {"widths": (16, 24), "code": 3, "epochs": 3, "least_steps": 12, "batch_size": 32}
QUICK = {"steps": 12, "interval": 4, "batch_size": 32, "tolerance": 0.0, "starts": 1}


def rows(n: int = 90, d: int = 6) -> torch.Tensor:
    """Three separated groups of vectors: [n, d] float32."""
    drawn = torch.Generator().manual_seed(1)
    return torch.randn(n, d, generator=drawn) + 4 * torch.randn(3, d, generator=drawn).repeat(n // 3, 1)


@pytest.fixture
def autoencoder() -> AeKmeans:
    """A small autoencoder, trained."""
    torch.manual_seed(0)
    method = AeKmeans(**SMALL)
    method.fit(Inputs("vector", rows()), 3, Run(seed=0))
    return method


def fitted(method, autoencoder: AeKmeans):
    """The method after its fit from the autoencoder, and its run."""
    run = Run(seed=0, parts={"autoencoder": autoencoder})
    torch.manual_seed(0)
    method.fit(Inputs("vector", rows()), 3, run)
    return method, run


def literal_q(z, mu):
    """DEC eq. 1, one number at a time."""
    q = [[(1 + sum((a - b) ** 2 for a, b in zip(zi, mj, strict=True))) ** -1 for mj in mu] for zi in z]
    return [[value / sum(row) for value in row] for row in q]


def literal_p(q):
    """DEC eq. 3, one number at a time."""
    f = [sum(row[j] for row in q) for j in range(len(q[0]))]
    p = [[value**2 / f[j] for j, value in enumerate(row)] for row in q]
    return [[value / sum(row) for value in row] for row in p]


def test_similarities_are_dec_equation_1() -> None:
    """q agrees with the Student-t kernel written out to 1e-6."""
    z, mu = torch.randn(20, 4), torch.randn(5, 4)
    assert torch.allclose(student_t(z, mu), torch.tensor(literal_q(z.tolist(), mu.tolist())), atol=1e-6, rtol=0)


def test_targets_are_dec_equation_3() -> None:
    """p agrees with the squared, size-normalised q written out to 1e-6."""
    q = torch.rand(20, 5).softmax(1)
    assert torch.allclose(sharpened(q), torch.tensor(literal_p(q.tolist())), atol=1e-6, rtol=0)


def test_divergence_is_dec_equation_2() -> None:
    """The loss is the mean over rows of sum_j p_ij log(p_ij / q_ij)."""
    p, q = torch.rand(20, 5).softmax(1), torch.rand(20, 5).softmax(1)
    by_hand = sum(a * math.log(a / b) for a, b in zip(p.flatten().tolist(), q.flatten().tolist(), strict=True)) / 20
    assert float(divergence(p, q)) == pytest.approx(by_hand, abs=1e-6)


def test_gradients_are_dec_equations_4_and_5() -> None:
    """Autograd's gradients for codes and centres are those that the paper derives by hand, over the batch size."""
    z, head = torch.randn(20, 4, requires_grad=True), Centres(torch.randn(5, 4))
    q = head(z)
    p = sharpened(q).detach()
    divergence(p, q).backward()
    apart = z.detach()[:, None] - head.centres.detach()[None]
    pull = 2 * ((1 + apart.square().sum(2)) ** -1 * (p - q.detach())).unsqueeze(2) * apart
    assert torch.allclose(z.grad, pull.sum(1) / 20, atol=1e-6, rtol=0)
    assert torch.allclose(head.centres.grad, -pull.sum(0) / 20, atol=1e-6, rtol=0)


def test_loss_is_that_of_idec(autoencoder: AeKmeans) -> None:
    """The gradient of IDEC's first step is that of mean squared error + 0.1 · KL(P‖Q), written out."""
    method, _ = fitted(IDEC(**{**QUICK, "steps": 1, "interval": 1, "batch_size": 90}, precision="fp32"), autoencoder)
    network, x = copy.deepcopy(autoencoder.network), rows()
    network.zero_grad()
    centres, _ = kmeans(autoencoder.embed(x), 3, Run(seed=0), starts=1)
    scaled = x * network.encoder.scale
    code = network.encoder.code(network.encoder.body(scaled))
    kernel = 1 / (1 + (code[:, None] - centres[None]).square().sum(2))
    q = kernel / kernel.sum(1, keepdim=True)
    p = torch.tensor(literal_p(q.tolist()))
    loss = (network.decoder(code) - scaled).square().mean() + 0.1 * (p * (p / q).log()).sum() / 90
    loss.backward()
    for found, written in zip(method.network.parameters(), network.parameters(), strict=True):
        assert torch.allclose(found.grad, written.grad, atol=1e-6, rtol=0)


def test_targets_sharpen_assignments() -> None:
    """With clusters of one size, p is surer of every row than q is."""
    q = torch.tensor([[0.7, 0.3], [0.3, 0.7], [0.6, 0.4], [0.4, 0.6]])
    p = sharpened(q)
    assert torch.all(p.max(1).values > q.max(1).values)
    assert torch.equal(p.argmax(1), q.argmax(1))


def test_targets_shrink_large_clusters() -> None:
    """A row torn between two clusters goes to the smaller one."""
    q = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.5, 0.5]])
    assert sharpened(q)[3, 1] > 0.5


def test_similarities_stay_float32_under_autocast() -> None:
    """The head computes in float32 whatever surrounds it."""
    z, head = torch.randn(20, 4), Centres(torch.randn(5, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        q = head(z)
    assert q.dtype == torch.float32
    assert torch.equal(q, head(z))


def test_dec_trains_encoder_and_centres(autoencoder: AeKmeans) -> None:
    """After DEC's steps the encoder's weights and the centres have moved, and the divergence has a gradient in each."""
    method = DEC(**QUICK)
    fitted(method, autoencoder)
    for weight, start in zip(method.encoder.parameters(), autoencoder.network.encoder.parameters(), strict=True):
        assert weight.grad is not None
        assert not torch.equal(weight, start)
    assert method.head.centres.grad.abs().sum() > 0


def test_dec_has_no_decoder(autoencoder: AeKmeans) -> None:
    """DEC keeps the encoder and the centres only, and leaves its part as it was."""
    before = {name: tensor.clone() for name, tensor in autoencoder.state().items()}
    method, _ = fitted(DEC(**QUICK), autoencoder)
    assert not [name for name in method.state() if "decoder" in name]
    assert all(torch.equal(before[name], tensor) for name, tensor in autoencoder.state().items())


def test_idec_trains_the_decoder(autoencoder: AeKmeans) -> None:
    """IDEC moves the decoder's weights too."""
    method, run = fitted(IDEC(**QUICK), autoencoder)
    for weight, start in zip(method.network.decoder.parameters(), autoencoder.network.decoder.parameters(), strict=True):
        assert not torch.equal(weight, start)
    assert set(run.curve) == {"reconstruction", "kl"}


def test_idec_without_divergence_is_an_autoencoder(autoencoder: AeKmeans) -> None:
    """With weight 0 IDEC's centres stay where k-means put them, while reconstruction goes on improving."""
    off, run = fitted(IDEC(**QUICK, weight=0.0), autoencoder)
    assert off.head.centres.grad.abs().sum() == 0
    assert run.curve["reconstruction"][-1] < run.curve["reconstruction"][0]
    on, _ = fitted(IDEC(**QUICK), autoencoder)
    assert on.head.centres.grad.abs().sum() > 0


def test_targets_come_from_all_rows(autoencoder: AeKmeans, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every target is computed on the whole data, never on a batch."""
    sizes = []
    monkeypatch.setattr("methods.parts.self_training.sharpened", lambda q: sizes.append(len(q)) or sharpened(q))
    fitted(DEC(**QUICK), autoencoder)
    assert sizes == [90, 90, 90]


def test_training_stops_when_assignments_settle(autoencoder: AeKmeans) -> None:
    """With a tolerance that everything meets, DEC ends at the second target."""
    _, run = fitted(DEC(**{**QUICK, "tolerance": 1.1}), autoencoder)
    assert len(run.curve["kl"]) == 1


def test_autoencoder_survives_state_and_restore(autoencoder: AeKmeans) -> None:
    """A restored autoencoder embeds exactly as the one it came from."""
    other = AeKmeans(**SMALL)
    other.restore(autoencoder.state(), (6,), 3)
    assert torch.equal(other.embed(rows()), autoencoder.embed(rows()))


def test_autoencoder_scales_inputs_to_mean_square_one(autoencoder: AeKmeans) -> None:
    """The encoder sees inputs with ‖x‖²/d = 1 on average, as DEC asks of every data set."""
    scaled = rows() * autoencoder.network.encoder.scale
    assert float(scaled.square().mean()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("method", [DEC, IDEC])
def test_same_seed_same_bytes(method: type, autoencoder: AeKmeans) -> None:
    """Two fits with one seed agree exactly."""
    first, _ = fitted(method(**QUICK), autoencoder)
    second, _ = fitted(method(**QUICK), autoencoder)
    assert torch.equal(first.assign_soft(rows()), second.assign_soft(rows()))
    assert torch.equal(first.embed(rows()), second.embed(rows()))
