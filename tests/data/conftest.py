"""Images and folders that the tests of the data room make for themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test touches the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GANLAB_CACHE", str(folder))
    return folder


def noise(seed: int, height: int = 24, width: int = 24, channels: int = 3) -> np.ndarray:
    """Smooth random pixels, uint8 (H, W, C)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, channels))
    return coarse.repeat(4, 0).repeat(4, 1)[:height, :width].astype(np.uint8)


@pytest.fixture
def save() -> Callable[..., Path]:
    """Write one image file: ``save(path, seed, height, width, **options of Pillow's save)``."""

    def write(path: Path, seed: int = 0, height: int = 24, width: int = 24, **options) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(seed, height, width)).save(path, **options)
        return path

    return write


@pytest.fixture
def class_folder(tmp_path, save) -> Path:
    """Two classes with 5 and 3 PNG files of 24x24."""
    root = tmp_path / "photos"
    for name, count in (("cat", 5), ("dog", 3)):
        for i in range(count):
            save(root / name / f"{i}.png", seed=ord(name[0]) + i)
    return root


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """The members of a good ``.npz``."""
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (10, 8, 8, 3), dtype=np.uint8),
        "labels": np.array([0, 0, 1, 1, 2, 2, 0, 1, 2, 0], dtype=np.int16),
        "split": np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1], dtype=np.uint8),
        "class_names": np.array(["a", "b", "c"]),
    }


@pytest.fixture
def npz(tmp_path, arrays) -> Path:
    """A good ``.npz``."""
    path = tmp_path / "good.npz"
    np.savez_compressed(path, **arrays)
    return path
