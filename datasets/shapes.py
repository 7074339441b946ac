"""shapes: ten drawn figures under nuisance pose, size, colour, texture and background. Made by this project, from a seed.

Every byte follows from NumPy's PCG64 and elementary arithmetic on arrays (sine and cosine only on scalars, rounded to
six digits), so each machine draws the same set. The figure is the class; nothing else about a picture depends on it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from datasets.base import Card, Raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Figure = Callable[[np.ndarray, np.ndarray], np.ndarray]

card = Card(
    title="Shapes",
    source="drawn by this project: datasets/shapes.py",
    licence="BSD-3-Clause",
    modality="image",
    shape=(3, 32, 32),
    n=2400,
    classes=10,
    class_counts=(240, 240, 240, 240, 240, 240, 240, 240, 240, 240),
    class_names=("disc", "ring", "crescent", "square", "frame", "triangle", "star", "cross", "bars", "hourglass"),
    sha_inputs="37bd4a0622ec9ad4d98a6956d82c47c4021c039893fb39f29355435f47ec562f",
    sha_labels="3bc01aa5678c81728e4e5c83b5a3e25ca6a7b95506da56e1c2247f94373b34c8",
    development=True,
)

SIDE, FINE, EACH, SEED = 32, 3, 240, 20_2611  # FINE: subsamples along each side of a pixel


def load(source: Path | None = None) -> Raw:
    """The whole set, balanced, sorted by class: inputs [2400, 3, 32, 32] uint8, labels [2400] int64. Reads no file."""
    draw = np.random.Generator(np.random.PCG64(SEED))
    images = [_pictures(inside, EACH, draw) for inside in FIGURES.values()]
    labels = np.repeat(np.arange(len(FIGURES), dtype=np.int64), EACH)
    return Raw(inputs=np.concatenate(images), labels=labels)


def _pictures(inside: Figure, n: int, draw: np.random.Generator) -> np.ndarray:
    """n pictures of one figure: [n, 3, SIDE, SIDE] uint8."""
    cover = _cover(inside, n, draw)
    fore, back = _paint(n, draw)
    image = back + cover[:, None] * (fore - back)
    image = image + 0.06 * (draw.random((n, 3, SIDE, SIDE)) - 0.5)
    return np.floor(np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _cover(inside: Figure, n: int, draw: np.random.Generator) -> np.ndarray:
    """How much of each pixel a figure in a random pose covers: [n, SIDE, SIDE] float64 in 0..1."""
    fine = SIDE * FINE
    axis = (np.arange(fine) + 0.5) * 2.0 / fine - 1.0
    x, y = axis[None, None, :], axis[None, :, None]
    size, turn, dx, dy = (column[:, None, None] for column in draw.random((4, n)))
    radius = 0.60 + 0.20 * size
    cos, sin = _cos_sin((turn[:, 0, 0] - 0.5) * 45.0)
    x = (x - 0.5 * (dx - 0.5)) / radius
    y = (y - 0.5 * (dy - 0.5)) / radius
    hit = inside(cos * x + sin * y, cos * y - sin * x)
    return hit.reshape(n, SIDE, FINE, SIDE, FINE).sum(axis=(2, 4)) / float(FINE * FINE)


def _cos_sin(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of angles [n], each [n, 1, 1]; rounded, since C libraries differ in the last bit."""
    angles = [math.radians(float(angle)) for angle in degrees]
    cos, sin = ([round(f(angle), 6) for angle in angles] for f in (math.cos, math.sin))
    return np.array(cos)[:, None, None], np.array(sin)[:, None, None]


def _paint(n: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of figures and grounds, each [n, 3, SIDE, SIDE] in 0..1: gradients, stripes, checks and spots.

    A figure is lighter than its ground; hue, saturation, contrast and texture are free.
    """
    axis = (np.arange(SIDE) + 0.5) * 2.0 / SIDE - 1.0
    x, y = axis[None, None, :], axis[None, :, None]
    ground = 0.05 + 0.35 * draw.random((n, 3, 1, 1))
    figure = 0.60 + 0.40 * draw.random((n, 3, 1, 1))
    slope = 0.2 * (draw.random((2, n, 1, 1)) - 0.5)
    gradient = slope[0] * x + slope[1] * y
    return figure + 0.10 * _texture(n, x, y, draw)[:, None], ground + (gradient + _spots(n, x, y, draw))[:, None]


def _texture(n: int, x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Plain, stripes or checks of random direction, period and phase: [n, SIDE, SIDE] in −1..0."""
    cos, sin = _cos_sin(draw.random(n) * 360.0)
    period, shift, along = (column[:, None, None] for column in draw.random((3, n)))
    kind = draw.integers(0, 3, n)[:, None, None]
    steps = 1.5 + 3.0 * period
    u = np.floor((cos * x + sin * y) * steps + shift)
    v = np.floor((cos * y - sin * x) * steps + along)
    stripe, check = u - 2.0 * np.floor(u / 2.0), (u + v) - 2.0 * np.floor((u + v) / 2.0)
    return -np.where(kind == 0, 0.0, np.where(kind == 1, stripe, check))


def _spots(n: int, x: np.ndarray, y: np.ndarray, draw: np.random.Generator, count: int = 4) -> np.ndarray:
    """Small square specks on the ground, some of the pictures' clutter: [n, SIDE, SIDE] in 0..0.15."""
    out = np.zeros((n, SIDE, SIDE))
    for _ in range(count):
        cx, cy, half, bright = (column[:, None, None] for column in draw.random((4, n)))
        half = 0.04 + 0.06 * half
        out += 0.15 * bright * ((np.abs(x - 2.0 * cx + 1.0) < half) & (np.abs(y - 2.0 * cy + 1.0) < half))
    return np.clip(out, 0.0, 0.15)


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x * x + y * y < 0.8


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r = x * x + y * y
    return (r < 0.9) & (r > 0.36)


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x * x + y * y < 1.0) & ((x - 0.5) * (x - 0.5) + y * y > 0.64)


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) < 0.78


def _frame(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r = np.maximum(np.abs(x), np.abs(y))
    return (r < 0.82) & (r > 0.5)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (y < 0.7) & (1.8 * np.abs(x) - y < 0.95)


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Inside at least four of the five half-planes of a pentagram."""
    normals = [(round(math.cos(a), 6), round(math.sin(a), 6)) for a in (math.radians(90.0 + 72.0 * i) for i in range(5))]
    return sum(((nx * x + ny * y < 0.36).astype(np.int8) for nx, ny in normals), np.int8(0)) >= 4


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = np.abs(x), np.abs(y)
    return (np.minimum(a, b) < 0.27) & (np.maximum(a, b) < 0.95)


def _bars(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.abs(x) < 0.9) & (np.abs(np.abs(y) - 0.5) < 0.24)


def _hourglass(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.abs(y) < 0.9) & (np.abs(x) < 0.9 * np.abs(y) + 0.05)


FIGURES: dict[str, Figure] = {
    "disc": _disc,
    "ring": _ring,
    "crescent": _crescent,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "bars": _bars,
    "hourglass": _hourglass,
}
