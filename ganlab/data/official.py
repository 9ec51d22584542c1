"""Data sets that torchvision knows (and ImageWoof, which it does not): official files -> a pack, once.

All are prepared by the recipe of :mod:`ganlab.data.folder`: centre square, Lanczos, never enlarged. For
CelebA (178x218) that is the customary 178 crop, for LSUN (shorter side 256) the 256 crop. Official splits are
kept: train is 0, validation and test are 1 (held out).
"""

from __future__ import annotations

import importlib
import io
import shutil
import tarfile
import urllib.error
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganlab.config.schema import DataConfig
from ganlab.data.arrays import UInt8Array
from ganlab.data.decode import prepare, resize_recipe
from ganlab.data.folder import Item, pack_items, packed_listing, warn_about
from ganlab.data.listing import list_images
from ganlab.data.pack import Pack, PackWriter, cache_folder, cached_pack
from ganlab.errors import GanlabError
from ganlab.util.progress import bar
from ganlab.util.reading import open_regular
from ganlab.util.torch_pair import import_torchvision

Labels = npt.NDArray[np.int64]
Part = tuple[UInt8Array, Labels | None, int]
"""Images (N, H, W, 3), labels, split number."""

IMAGEWOOF_URL = "https://s3.amazonaws.com/fast-ai-imageclas/imagewoof2-320.tgz"
# MD5 as in catalyst-team/catalyst, catalyst/contrib/datasets/imagewoof.py (commit 649e082), the same in two
# other public loaders. Read there, not computed from a download of ours.
IMAGEWOOF_MD5 = "0f46d997ec2264e97609196c95897a44"
IMAGEWOOF_NAMES = {
    "n02086240": "Shih-Tzu", "n02087394": "Rhodesian ridgeback", "n02088364": "Beagle",
    "n02089973": "English foxhound", "n02093754": "Border terrier", "n02096294": "Australian terrier",
    "n02099601": "Golden retriever", "n02105641": "Old English sheepdog", "n02111889": "Samoyed",
    "n02115641": "Dingo",
}  # fmt: skip
LSUN_FOLDERS = ("bedroom_train_lmdb", "bedroom_val_lmdb")


def root_folder(data: DataConfig) -> Path:
    """``data.path``, else the folder ``torchvision`` in the cache."""
    return Path(data.path).expanduser() if data.path else cache_folder(data.cache) / "torchvision"


def official(name: str, data: DataConfig, make: Callable[[], Any]) -> Any:
    """Call torchvision; missing files and a failing network become one clear sentence.

    Raises:
        GanlabError: says where the files are expected and which option fetches them.
    """
    root = root_folder(data)
    try:
        return make()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise GanlabError(
            f"{name}: cannot be fetched ({error}); check the network, or put the official files into {root}"
        ) from error
    except GanlabError:
        raise
    except Exception as error:  # torchvision's readers of damaged files: of any kind
        remedy = (
            "the files that are there may be damaged: remove them"
            if data.download
            else "set data.download=true to fetch them, or data.path to the folder that has them"
        )
        raise GanlabError(f"{name}: the official files are not in {root} ({error}); {remedy}") from error


def _pack_arrays(
    name: str, data: DataConfig, size: int, parts: Callable[[], Sequence[Part]], class_names: list[str]
) -> Pack:
    """The cached pack of arrays that torchvision has read."""

    def build(path: Path) -> None:
        with PackWriter(path, size, yield_to_existing=True) as writer:
            writer.meta.update(recipe=resize_recipe(size), source={"kind": name})
            loaded: Sequence[Part] = official(name, data, parts)
            with bar(total=sum(len(images) for images, _, _ in loaded), desc=name, unit="image") as progress:
                for images, labels, split in loaded:
                    for index, image in enumerate(images):
                        label = None if labels is None else int(labels[index])
                        writer.add(prepare(Image.fromarray(image), size), label, split)
                        progress.update()
            writer.meta["class_names"] = class_names

    return cached_pack(cache_folder(data.cache), f"{name}_{size}", _key(name, size), build)


def _key(name: str, size: int) -> dict[str, Any]:
    """The official files never change, so that the name and the recipe say everything."""
    return {"source": name, "recipe": resize_recipe(size)}


def _cifar(name: str, class_name: str, data: DataConfig, size: int) -> Pack:
    """CIFAR from the official Python archives."""
    _refuse_larger(name, 32, size)
    names: list[str] = []

    def parts() -> list[Part]:
        kind = getattr(import_torchvision("datasets"), class_name)
        sets = [kind(root_folder(data), train=train, download=data.download) for train in (True, False)]
        names.extend(sets[0].classes)
        return [(part.data, np.array(part.targets), split) for split, part in enumerate(sets)]

    return _pack_arrays(name, data, size, parts, names)


def cifar10_source(data: DataConfig, image_size: int) -> Pack:
    """CIFAR-10: 60,000 photos of 10 classes, 32x32 (50,000 train, 10,000 held out)."""
    return _cifar("cifar10", "CIFAR10", data, image_size)


def cifar100_source(data: DataConfig, image_size: int) -> Pack:
    """CIFAR-100: 60,000 photos of 100 classes, 32x32 (50,000 train, 10,000 held out)."""
    return _cifar("cifar100", "CIFAR100", data, image_size)


def stl10_source(data: DataConfig, image_size: int) -> Pack:
    """STL-10: 113,000 photos, 96x96 (train and unlabelled together: 105,000; test held out); no classes."""
    _refuse_larger("stl10", 96, image_size)

    def parts() -> list[Part]:
        kind = import_torchvision("datasets").STL10
        sets = [
            kind(root_folder(data), split, download=data.download) for split in ("train+unlabeled", "test")
        ]
        return [(part.data.transpose(0, 2, 3, 1), None, split) for split, part in enumerate(sets)]

    return _pack_arrays("stl10", data, image_size, parts, [])


def _refuse_larger(name: str, native: int, size: int) -> None:
    """Say it before anything is downloaded."""
    if size > native:
        raise GanlabError(
            f"{name} has {native}x{native} images and model.image_size is {size}; images are never enlarged: "
            f"set model.image_size to {native} or less"
        )


def celeba_source(data: DataConfig, image_size: int) -> Pack:
    """CelebA: 202,599 faces, centre crop 178 of 178x218, reduced; validation and test held out."""
    _refuse_larger("celeba", 178, image_size)

    def items() -> list[Item]:
        kind = import_torchvision("datasets").CelebA
        folder = root_folder(data) / "celeba" / "img_align_celeba"
        sets = [
            kind(root_folder(data), split, download=data.download) for split in ("train", "valid", "test")
        ]
        return [
            Item(file, partial(open_regular, folder / file), None, int(number > 0))
            for number, part in enumerate(sets)
            for file in part.filename
        ]

    return _pack_files("celeba", data, image_size, items, _key("celeba", image_size))


def _pack_files(
    name: str, data: DataConfig, size: int, items: Callable[[], list[Item]], key: dict[str, Any]
) -> Pack:
    """The cached pack of encoded images that torchvision (or LMDB) lists."""

    def build(path: Path) -> None:
        with PackWriter(path, size, yield_to_existing=True) as writer:
            writer.meta.update(recipe=resize_recipe(size), source={"kind": name})
            pack_items(writer, official(name, data, items), f"{name} in {root_folder(data)}", data.on_error)

    pack = cached_pack(cache_folder(data.cache), f"{name}_{size}", {**key, "on_error": data.on_error}, build)
    warn_about(pack)
    return pack


def lsun_bedroom_source(data: DataConfig, image_size: int) -> Pack:
    """LSUN bedroom: three million photos in LMDB, centre crop 256, reduced; download them yourself."""
    _refuse_larger("lsun_bedroom", 256, image_size)
    key = {**_key("lsun_bedroom", image_size), "num_images": data.num_images}
    return _pack_files("lsun_bedroom", data, image_size, partial(_lsun_items, data), key)


def _lsun_items(data: DataConfig) -> list[Item]:
    """The encoded images of both LMDB folders; of train only ``num_images`` where that is set.

    torchvision's LSUN class is not used: it writes and unpickles a list of keys in the working directory.
    """
    try:
        lmdb = importlib.import_module("lmdb")
    except ImportError as error:
        raise GanlabError("lsun_bedroom needs the package lmdb: pip install lmdb") from error
    items: list[Item] = []
    for split, folder in enumerate(LSUN_FOLDERS):
        path = root_folder(data) / folder
        if not path.is_dir():
            raise GanlabError(
                f"lsun_bedroom: {path} is not there; torchvision cannot fetch LSUN: download and unzip "
                f"{folder}.zip from the LSUN site, and set data.path to the folder that holds {folder}"
            )
        base = lmdb.open(str(path), readonly=True, lock=False, readahead=False, meminit=False)
        with base.begin() as transaction:
            keys = list(transaction.cursor().iternext(keys=True, values=False))
        chosen = keys[: data.num_images] if split == 0 else keys
        items += [
            Item(f"{folder}/{key.decode('ascii', 'replace')}", partial(_lmdb_value, base, key), None, split)
            for key in chosen
        ]
    return items


def _lmdb_value(base: Any, key: bytes) -> IO[bytes]:
    with base.begin() as transaction:
        return io.BytesIO(transaction.get(key))


def imagenette_source(data: DataConfig, image_size: int) -> Pack:
    """Imagenette: 13,394 photos of 10 ImageNet classes (9,469 train, 3,925 held out), from 320 px."""
    size = "320px" if image_size <= 320 else "full"
    root = root_folder(data)

    def fetch() -> Any:
        kind = import_torchvision("datasets").Imagenette
        return kind(root, split="train", size=size, download=data.download)

    dataset = official("imagenette", data, fetch)
    names = {wnid: names[0] for wnid, names in zip(dataset.wnids, dataset.classes, strict=True)}
    folder = root / ("imagenette2-320" if size == "320px" else "imagenette2")
    return _pack_extracted(folder, data, image_size, "imagenette", names)


def imagewoof_source(data: DataConfig, image_size: int) -> Pack:
    """ImageWoof: 12,954 photos of 10 dog breeds (9,025 train, 3,929 held out), from 320 px."""
    _refuse_larger("imagewoof", 320, image_size)
    folder = root_folder(data) / Path(IMAGEWOOF_URL).stem
    if not folder.is_dir():
        official("imagewoof", data, partial(_fetch_imagewoof, root_folder(data), data.download))
    return _pack_extracted(folder, data, image_size, "imagewoof", IMAGEWOOF_NAMES)


def _fetch_imagewoof(root: Path, download: bool) -> None:
    """Download (or find) the archive, check it, and extract it beside."""
    utils = import_torchvision("datasets.utils")
    archive = root / Path(IMAGEWOOF_URL).name
    if download:
        utils.download_url(IMAGEWOOF_URL, str(root), archive.name, IMAGEWOOF_MD5)
    if not archive.is_file():
        raise RuntimeError("Dataset not found")
    if not utils.check_integrity(str(archive), IMAGEWOOF_MD5):
        raise RuntimeError(f"{archive.name} is damaged or another version: its MD5 is not {IMAGEWOOF_MD5}")
    extract_safely(archive, root)


def extract_safely(archive: Path, root: Path) -> None:
    """Extract a tar archive into ``root``: nothing outside it, no links out, no devices; whole or not at all.

    Raises:
        RuntimeError: this Python is too old to extract safely.
        tarfile.TarError: damaged, or it tries to write elsewhere.
    """
    if not hasattr(tarfile, "data_filter"):
        raise RuntimeError("this Python cannot extract archives safely; update to a newer 3.11 or 3.12")
    aside = root / f".{archive.name}.extracting"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(aside, filter="data")
        for entry in aside.iterdir():
            entry.rename(root / entry.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _pack_extracted(
    folder: Path, data: DataConfig, size: int, name: str, class_names: dict[str, str]
) -> Pack:
    """The cached pack of train/ and val/ with one folder a class, the folders' codes turned into names.

    Raises:
        GanlabError: the folder does not have that structure.
    """
    listing = list_images(folder)
    codes = set(listing.class_names)
    if listing.files[0].split is None or codes != set(class_names):
        raise GanlabError(
            f"{folder}: expected train/ and val/ with the class folders {', '.join(sorted(class_names))}; "
            f"found {', '.join(sorted(codes)) or 'none'}; remove the folder and set data.download=true"
        )
    pack = packed_listing(listing, data, size, name)
    return replace(pack, class_names=tuple(class_names[code] for code in listing.class_names))
