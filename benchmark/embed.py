"""`embed`: the features of a pretrained model, as a file that joins by `features:FILE`.

Sighted: the file carries the dataset's labels, which go behind the label wall again when it joins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import datasets
from benchmark.ground.errors import UserError
from benchmark.ground.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

SEED = 0  # of a model without trained weights


def embed(
    backbone: str,
    dataset: str,
    out: Path,
    *,
    cache: Path,
    data: Path | None = None,
    weights: str = "pretrained",
    download: bool = False,
    device: str = "cpu",
    batch: int = 256,
) -> tuple[int, int]:
    """Writes the features of every image of a dataset, in its canonical order, to `out`; returns their shape (n, d).

    backbone: `timm:NAME`. weights: "pretrained" (timm's, which `download` allows to be fetched), "random", or the path of a
    `.safetensors` file. Images are brought to the model's own size and normalised by its own mean and scale.
    """
    from datasets.prepare import check, read
    from datasets.source import Source

    card = datasets.card(dataset)
    if card.modality != "image":
        raise UserError(f"{dataset} holds {card.modality}s; a backbone takes images")
    if out.suffix != ".npz":
        raise UserError(f"{str(out)!r} must end in .npz, so that it can be named as features:{out.with_suffix('.npz')}")
    model, size, mean, std = _timm(backbone, weights, download)
    raw = read(dataset, Source(data, cache, download, name=dataset))
    check(dataset, raw, card)
    features = _features(model.to(device).eval(), raw.inputs, size, mean, std, device, batch)
    arrays: dict[str, Any] = {"inputs": features, "backbone": f"{backbone} ({Path(weights).name})", "dataset": dataset}
    arrays |= {"labels": raw.labels} if raw.labels is not None else {}
    arrays |= {"split": raw.split} if raw.split is not None else {}
    arrays |= {"class_names": list(card.class_names)} if card.class_names else {}
    with replacing(out) as part, part.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return features.shape


def _timm(backbone: str, weights: str, download: bool) -> tuple[Any, tuple[int, int], Tensor, Tensor]:
    """(model without its head, (height, width), mean, std) of a timm model."""
    kind, _, name = backbone.partition(":")
    if kind != "timm" or not name:
        raise UserError(f"backbone {backbone!r} is not timm:NAME, as in timm:vit_small_patch14_dinov2")
    try:
        import timm
    except ImportError:
        raise UserError("embed needs the package timm; next: uv sync --extra features") from None
    import torch

    torch.manual_seed(SEED)
    own = weights not in ("pretrained", "random")
    if own and (not Path(weights).is_file() or Path(weights).suffix != ".safetensors"):
        raise UserError(f"weights {weights!r}: allowed are 'pretrained', 'random' and the path of a .safetensors file")
    with _offline(not download):
        try:
            model = timm.create_model(name, pretrained=weights == "pretrained", num_classes=0)
            if own:
                from safetensors.torch import load_file

                missing = set(model.load_state_dict(load_file(weights), strict=False).missing_keys)
                if missing:
                    raise UserError(f"{weights} lacks {len(missing)} of {name}'s weights, {sorted(missing)[0]} among them")
        except (RuntimeError, OSError, ValueError, AttributeError) as error:
            hint = "" if download else "; weights that aren't on this disk are fetched with --download"
            raise UserError(
                f"no model {backbone!r} with weights {weights!r}: {' '.join(str(error).split())[:200]}{hint}"
            ) from None
    about = timm.data.resolve_model_data_config(model)
    channels, height, width = about["input_size"]
    if channels != 3:
        raise UserError(f"{backbone!r} takes {channels} channels; choose a model that takes 3")
    return model, (height, width), torch.tensor(about["mean"]), torch.tensor(about["std"])


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """No network while the block lasts, as far as the model hub's client goes."""
    before = os.environ.get("HF_HUB_OFFLINE")
    if wanted:
        import huggingface_hub.constants as constants

        known, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if wanted:
            constants.HF_HUB_OFFLINE = known
            os.environ.pop("HF_HUB_OFFLINE", None) if before is None else os.environ.__setitem__("HF_HUB_OFFLINE", before)


def _features(
    model: Any, images: np.ndarray, size: tuple[int, int], mean: Tensor, std: Tensor, device: str, batch: int
) -> np.ndarray:
    """[n, d] float32 of images [n, c, h, w] uint8: bicubic with antialiasing to `size`, grey repeated to three channels."""
    import torch
    from torch.nn.functional import interpolate

    found = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            x = torch.from_numpy(np.ascontiguousarray(images[start : start + batch])).to(device).float() / 255
            x = x if x.shape[1] == 3 else x.expand(-1, 3, -1, -1)
            if x.shape[2:] != size:
                x = interpolate(x, size=size, mode="bicubic", antialias=True).clamp(0, 1)
            x = (x - mean.to(device).view(1, 3, 1, 1)) / std.to(device).view(1, 3, 1, 1)
            found.append(model(x).float().cpu().numpy())
    return np.concatenate(found)
