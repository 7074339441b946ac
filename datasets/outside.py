"""A user's own data, without a file in this folder: `folder:PATH`, `npz:PATH`, `features:PATH`.

Labels are optional. Nothing from outside becomes a path: a set's name is its kind, its path's last part as far as that is
plain, and a hash of its content. Sighted: it reads labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.ground.errors import MissingData, UserError
from benchmark.ground.files import sha256, sha256_array
from datasets.base import Card, Raw
from datasets.parts import npz
from datasets.source import BROKEN

KINDS = ("folder", "npz", "features")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".tif", ".tiff", ".webp")
MANY_PIXELS = 2**25  # of one picture; a larger one is taken for a bomb


def is_outside(name: str) -> bool:
    """Whether a dataset is named by where it lies."""
    return name.partition(":")[0] in KINDS and ":" in name


def path_of(spec: str) -> Path:
    """Where the data of `KIND:PATH` lie."""
    return Path(spec.partition(":")[2]).expanduser().resolve()


def read(spec: str, size: int | None = None) -> tuple[str, Card, Raw]:
    """(name, card, canonical arrays) of `KIND:PATH`; UserError for whatever can't be read.

    size: side of the square that a folder's images are brought to, by their shorter side and a crop of the middle.
    """
    kind, _, given = spec.partition(":")
    path = Path(given).expanduser()
    if kind == "folder":
        raw, class_names = _folder(path, size)
        pretrained = ""
    else:
        raw, class_names, pretrained = _archive(path, features=kind == "features")
    _check(spec, raw)
    stem = re.sub(r"[^a-z0-9]+", "-", path.resolve().stem.lower()).strip("-")[:30] or "data"
    hashes = [sha256_array(array) for array in (raw.inputs, raw.labels, raw.split) if array is not None]
    name = f"{kind}-{stem}-{sha256(*(text.encode() for text in hashes))[:8]}"
    return name, _card(kind, stem, raw, class_names, pretrained, hashes), raw


def _card(kind: str, stem: str, raw: Raw, class_names: list[str], pretrained: str, hashes: list[str]) -> Card:
    classes = len(class_names) if class_names else 0 if raw.labels is None else int(raw.labels.max()) + 1
    split = np.zeros(len(raw.inputs), np.int8) if raw.split is None else raw.split
    test, bare = split == 1, split == 2
    counts = [] if raw.labels is None else np.bincount(raw.labels[~bare], minlength=classes).tolist()
    tests = [] if raw.labels is None or raw.split is None else np.bincount(raw.labels[test], minlength=classes).tolist()
    return Card(
        title=f"{stem} (the user's own {kind})",
        source="the user's own",
        licence="the user's own",
        modality="image" if raw.inputs.ndim == 4 else "vector",
        shape=list(raw.inputs.shape[1:]),
        n=len(raw.inputs),
        n_test=int(test.sum()),
        n_unlabelled=int(bare.sum()),
        inductive_only=bool(bare.any()),
        classes=classes,
        class_counts=counts,
        test_counts=tests,
        class_names=class_names,
        standardise=kind != "features",
        pretrained=pretrained,
        rule=f"from outside: {' '.join(hashes)}",
    )


def facts(card: Card) -> dict[str, Any]:
    """A card as a record carries it, so that a board can be made where the data are not."""
    return {key: value for key, value in asdict(card).items() if key not in ("files", "requires", "class_names")}


def card_of(facts: dict[str, Any]) -> Card:
    """The card in a record; UserError where it is none."""
    try:
        return Card(**facts)
    except TypeError as error:
        raise UserError(f"a record's data are no dataset card: {error}; make the record anew") from None


def absent(name: str) -> MissingData:
    """The error for a set that is known by its records alone."""
    return MissingData(f"dataset {name!r} is from outside and known by its records alone; name it again as KIND:PATH")


def _check(spec: str, raw: Raw) -> None:
    n = len(raw.inputs)
    if n < 2 or not raw.inputs.size:
        raise UserError(f"{spec} holds {n} samples of {list(raw.inputs.shape[1:])}; at least 2 that are not empty are needed")
    for what, array in (("labels", raw.labels), ("split", raw.split)):
        if array is not None and array.shape != (n,):
            raise UserError(f"{spec} has {what} of shape {list(array.shape)}; one for each of the {n} inputs is needed")
    if raw.split is not None and not {0, 1} <= set(np.unique(raw.split).tolist()) <= {0, 1, 2}:
        found = np.unique(raw.split)[:5].tolist()
        raise UserError(f"{spec} has a split of {found}; it must hold 0 (train) and 1 (test), and may hold 2 (without labels)")
    if raw.inputs.dtype == np.float32 and not np.isfinite(raw.inputs).all():
        bad = int((~np.isfinite(raw.inputs).all(axis=1)).sum())
        raise UserError(f"{spec} has NaN or infinity in {bad} of {n} rows; leave them out or fill them in")


def _archive(path: Path, *, features: bool) -> tuple[Raw, list[str], str]:
    """(canonical arrays, class names, pretrained model) of a `.npz`."""
    if not path.is_file():
        raise UserError(f"{path} is no file; give a .npz with inputs or images, and labels and split where there are any")
    try:
        raw, words = npz.read_any(path)
    except BROKEN as error:
        raise UserError(f"{path} can't be read: {' '.join(str(error).split())}") from None
    if features and raw.inputs.ndim != 2:
        raise UserError(f"{path} holds {raw.inputs.ndim}-dimensional inputs; features are [n, d]; name images as npz:{path}")
    labels, names = raw.labels, words.get("class_names", [])
    if labels is not None:
        bare = np.zeros(len(labels), bool) if raw.split is None or len(raw.split) != len(labels) else raw.split == 2
        known, numbers = np.unique(labels[~bare], return_inverse=True)
        names = names if len(names) == len(known) else [str(one) for one in known]
        labels = np.full(len(labels), -1, np.int64)
        labels[~bare] = numbers
    backbone = " ".join(words.get("backbone", [])) or ("a model that the file doesn't name" if features else "")
    return Raw(raw.inputs, labels, raw.split), names if labels is not None else [], backbone


def _folder(path: Path, size: int | None) -> tuple[Raw, list[str]]:
    """(canonical arrays, class names) of images in folders.

    PATH/CLASS/…, or PATH/train/CLASS/… and PATH/test/CLASS/…, or images in PATH itself, without labels. Classes and files are
    taken in the order of their names.
    """
    if not path.is_dir():
        raise UserError(f"{path} is no folder; give one with a sub-folder of images for each class")
    parts = [path / "train", path / "test"] if all((path / part).is_dir() for part in ("train", "test")) else [path]
    found: list[tuple[Path, str, int]] = []
    for number, part in enumerate(parts):
        classes = sorted(one for one in part.iterdir() if one.is_dir() and not one.name.startswith("."))
        for folder in classes or [part]:
            found += [(file, folder.name if classes else "", number) for file in _images(folder, path)]
    if not found:
        raise UserError(f"{path} holds no images; allowed: {', '.join(SUFFIXES)}, in a sub-folder for each class")
    names = sorted({name for _, name, _ in found})
    if "" in names and len(names) > 1:
        raise UserError(f"one part of {path} has class folders and the other has none; give both, or neither")
    inputs = _decode([file for file, _, _ in found], size)
    labels = None if names == [""] else np.array([names.index(name) for _, name, _ in found], np.int64)
    split = np.array([number for _, _, number in found], np.int8) if len(parts) == 2 else None
    return Raw(inputs, labels, split), [] if labels is None else names


def _images(folder: Path, root: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file():
            if not file.resolve().is_relative_to(root.resolve()):
                raise UserError(f"{file} is a link out of {root}, which is refused; put the file itself there")
            yield file


def _decode(files: list[Path], size: int | None) -> np.ndarray:
    """Images as [n, c, h, w] uint8: grey where all are grey, else RGB."""
    from PIL import Image, UnidentifiedImageError

    pictures, first = [], (0, 0)
    for file in files:
        try:
            with Image.open(file) as image:
                if image.width * image.height > MANY_PIXELS:
                    raise UserError(f"{file} has {image.width}×{image.height} pixels; at most {MANY_PIXELS:,} are allowed")
                grey = image.mode in ("1", "L", "LA")
                picture = _resized(image.convert("L" if grey else "RGB"), size)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{file} is no image that can be read ({error}); remove it or mend it") from None
        first = first if pictures else picture.size
        if picture.size != first:
            raise UserError(
                f"images differ in size: {files[0]} has {first}, {file} has {picture.size}; give --size, as in --size 32"
            )
        pictures.append(np.asarray(picture))
    grey = all(picture.ndim == 2 for picture in pictures)
    if grey:
        return np.stack(pictures)[:, None]
    coloured = [np.repeat(one[..., None], 3, axis=2) if one.ndim == 2 else one for one in pictures]
    return np.ascontiguousarray(np.stack(coloured).transpose(0, 3, 1, 2))


def _resized(image: Any, size: int | None) -> Any:
    """The shorter side brought to `size` (bilinear, with antialiasing), then the middle."""
    if size is None or image.size == (size, size):
        return image
    from PIL import Image

    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
