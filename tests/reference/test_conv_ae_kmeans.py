"""The convolutional autoencoder: its decoder's layers and its code."""

from __future__ import annotations

import copy

import pytest
import torch
from drawn import strokes, train

from methods.autoencoder.conv_ae_kmeans import ConvAeKmeans, ConvAutoencoder, images


@pytest.fixture(scope="module")
def convolutional() -> ConvAeKmeans:
    """A small convolutional autoencoder, trained."""
    return train(ConvAeKmeans(widths=(4, 8), code=3, epochs=15, batch_size=32))[0]


@pytest.mark.parametrize("side", [8, 12, 16, 28, 31])
def test_images_are_rebuilt_at_their_size(side: int) -> None:
    """The decoder's planes are the encoder's in turn, whatever the image's side."""
    network, x = ConvAutoencoder((3, side, side), (4, 6, 8), 5), torch.rand(2, 3, side, side)
    code, error = network(x)
    assert code.shape == (2, 5)
    assert network.decoded(code).shape == x.shape
    assert torch.allclose(error, (network.decoded(code) - x * network.encoder.scale).square().mean(), atol=1e-6)


def test_training_lowers_the_reconstruction_error() -> None:
    """Codes carry the image: after training the error is well under that of the mean image."""
    method, run = train(ConvAeKmeans(widths=(4, 8), code=6, epochs=30, batch_size=16, lr=0.01))
    x = images(strokes()) * method.network.encoder.scale
    assert run.curve["reconstruction"][-1] < 0.7 * float((x - x.mean(0)).square().mean())


def test_convolutional_code_is_standardised(convolutional: ConvAeKmeans) -> None:
    """Codes have mean 0 and standard deviation 2, and the reconstruction is what it was before."""
    codes = convolutional.embed(strokes())
    assert torch.allclose(codes.mean(0), torch.zeros(3), atol=1e-4)
    assert float(codes.var(0, correction=0).mean()) == pytest.approx(4, rel=1e-4)
    network, x = copy.deepcopy(convolutional.network), images(strokes())
    before = network.decoded(network.encoder(x))
    network.standardise(network.encoder(x), 0.5)
    assert torch.allclose(network.decoded(network.encoder(x)), before, atol=1e-4)
