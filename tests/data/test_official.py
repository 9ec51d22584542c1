"""The torchvision sources, on small files in the official formats."""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
import tarfile
import types
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets as official
from PIL import Image

from ganlab.config.schema import DataConfig
from ganlab.data import load_training_images
from ganlab.data.official import IMAGEWOOF_NAMES, extract_safely
from ganlab.errors import GanlabError


def md5(path):
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def load(source, root, size, **options):
    return load_training_images(DataConfig(source=source, path=str(root), **options), size)


def pixels(seed, count, side):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def write_cifar(folder, files, label_key, meta):
    """Python pickles as in the official archives; returns [[name, md5], ...] and the names' file."""
    folder.mkdir(parents=True)
    sums = []
    for name, (images, labels) in files.items():
        entry = {"data": images.transpose(0, 3, 1, 2).reshape(len(images), -1), label_key: labels}
        (folder / name).write_bytes(pickle.dumps(entry))
        sums.append([name, md5(folder / name)])
    (folder / meta["filename"]).write_bytes(pickle.dumps({meta["key"]: ["ape", "bus"]}))
    return sums, {**meta, "md5": md5(folder / meta["filename"])}


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """CIFAR-10 and CIFAR-100 with 6 and 4 training images."""
    data = {"10": pixels(0, 6, 32), "100": pixels(1, 4, 32), "test": pixels(2, 2, 32)}
    for kind, train, label_key in (
        (official.CIFAR10, {"data_batch_1": (data["10"], [0, 1] * 3)}, "labels"),
        (official.CIFAR100, {"train": (data["100"], [1] * 4)}, "fine_labels"),
    ):
        test_name = kind.test_list[0][0]
        files = {**train, test_name: (data["test"], [1, 0])}
        sums, meta = write_cifar(tmp_path / kind.base_folder, files, label_key, kind.meta)
        monkeypatch.setattr(kind, "train_list", sums[:-1])
        monkeypatch.setattr(kind, "test_list", sums[-1:])
        monkeypatch.setattr(kind, "meta", meta)
    return tmp_path, data


def test_cifar10_is_exact_at_its_size(cifar):
    root, data = cifar
    found = load("cifar10", root, 32)
    assert np.array_equal(found.images[found.train], data["10"])
    assert np.array_equal(found.images[found.val], data["test"])
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1, 1, 0]
    assert found.class_names == ("ape", "bus")


def test_cifar100_and_a_smaller_size(cifar):
    found = load("cifar100", cifar[0], 16)
    assert found.images.shape == (6, 16, 16, 3)
    assert found.description["recipe"]["size"] == 16


def test_the_pack_is_made_once(cifar, tmp_path):
    load("cifar10", cifar[0], 32)
    for path in (tmp_path / "cifar-10-batches-py").iterdir():
        path.unlink()
    assert len(load("cifar10", cifar[0], 32).images) == 8


def test_cifar_is_never_enlarged(tmp_path):
    with pytest.raises(GanlabError, match=r"32x32 images and model\.image_size is 64"):
        load("cifar10", tmp_path, 64)


@pytest.mark.parametrize("source", ["cifar10", "cifar100", "stl10", "celeba", "imagenette", "imagewoof"])
def test_absent_files_name_the_folder_and_the_option(source, tmp_path):
    with pytest.raises(GanlabError, match=rf"{source}: .*{tmp_path.name}.*data\.download=true"):
        load(source, tmp_path, 32)


@pytest.mark.parametrize(("source", "module", "function"), [
    ("cifar10", "cifar", "download_and_extract_archive"), ("stl10", "stl10", "download_and_extract_archive"),
    ("imagenette", "imagenette", "download_and_extract_archive"), ("imagewoof", "utils", "download_url"),
])  # fmt: skip
def test_a_failing_network_is_one_sentence(source, module, function, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(f"torchvision.datasets.{module}.{function}", fail)
    with pytest.raises(
        GanlabError, match=f"{source}: cannot be fetched.*no route to host.*check the network"
    ):
        load(source, tmp_path, 32, download=True)


def test_the_default_root_is_in_the_cache(own_cache):
    with pytest.raises(GanlabError, match=f"{own_cache.name}/torchvision"):
        load_training_images(DataConfig(source="cifar10"), 32)


def test_stl10(tmp_path, monkeypatch):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    data = {"train": pixels(0, 3, 96), "unlabeled": pixels(1, 4, 96), "test": pixels(2, 2, 96)}
    for name, images in data.items():
        (folder / f"{name}_X.bin").write_bytes(images.transpose(0, 3, 2, 1).tobytes())  # column by column
        (folder / f"{name}_y.bin").write_bytes(np.ones(len(images), np.uint8).tobytes())
    sums = {name: [name, md5(folder / name)] for name in ("train_X.bin", "train_y.bin", "unlabeled_X.bin")}
    monkeypatch.setattr(official.STL10, "train_list", list(sums.values()))
    test_sums = [[name, md5(folder / name)] for name in ("test_X.bin", "test_y.bin")]
    monkeypatch.setattr(official.STL10, "test_list", test_sums)
    found = load("stl10", tmp_path, 96)
    assert np.array_equal(found.images[found.train], np.concatenate([data["train"], data["unlabeled"]]))
    assert np.array_equal(found.images[found.val], data["test"])
    assert found.labels is None


def test_celeba(tmp_path, monkeypatch):
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    names = [f"{i:06d}.jpg" for i in range(1, 7)]
    for i, name in enumerate(names):
        image = np.full((218, 178, 3), 10 * i, np.uint8)
        image[:20] = 255  # outside of the central 178 rows
        Image.fromarray(image).save(folder / name, quality=100)
    lines = {
        "list_eval_partition.txt": [f"{n} {[0, 0, 1, 1, 2, 2][i]}" for i, n in enumerate(names)],
        "identity_CelebA.txt": [f"{n} {i}" for i, n in enumerate(names)],
        "list_bbox_celeba.txt": ["6", "image_id x y w h", *(f"{n} 1 1 1 1" for n in names)],
        "list_landmarks_align_celeba.txt": ["6", "a b", *(f"{n} 1 1" for n in names)],
        "list_attr_celeba.txt": ["6", "Bald Young", *(f"{n} 1 -1" for n in names)],
    }
    for name, text in lines.items():
        (tmp_path / "celeba" / name).write_text("\n".join(text) + "\n")
    unchecked = [(file_id, None, name) for file_id, _, name in official.CelebA.file_list]
    monkeypatch.setattr(official.CelebA, "file_list", unchecked)
    found = load("celeba", tmp_path, 89)
    assert found.train.tolist() == [0, 1]
    assert found.val.tolist() == [2, 3, 4, 5]
    assert [int(image.mean().round()) for image in found.images] == [0, 10, 20, 30, 40, 50]
    assert found.images.max() < 60


def class_tree(root, names, count=2, side=40):
    for split in ("train", "val"):
        for number, name in enumerate(names):
            (root / split / name).mkdir(parents=True)
            for i in range(count if split == "train" else 1):
                image = Image.fromarray(np.full((side, side + 9, 3), number * 20, np.uint8))
                image.save(root / split / name / f"{i}.JPEG", quality=100)


def test_imagenette(tmp_path):
    class_tree(tmp_path / "imagenette2-320", ["n01440764", "n03888257"])
    found = load("imagenette", tmp_path, 16)
    assert found.class_names == ("tench", "parachute")
    assert found.labels[found.train].tolist() == [0, 0, 1, 1]
    assert found.labels[found.val].tolist() == [0, 1]


@pytest.fixture
def woof(tmp_path, monkeypatch):
    """A small ImageWoof archive in its own folder, with the expected MD5."""
    class_tree(tmp_path / "made" / "imagewoof2-320", sorted(IMAGEWOOF_NAMES))
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "imagewoof2-320.tgz", "w:gz") as archive:
        archive.add(tmp_path / "made" / "imagewoof2-320", "imagewoof2-320")
    monkeypatch.setattr("ganlab.data.official.IMAGEWOOF_MD5", md5(root / "imagewoof2-320.tgz"))
    return root


def test_imagewoof_from_its_archive(woof):
    found = load("imagewoof", woof, 32)
    assert found.class_names[:3] == ("Shih-Tzu", "Rhodesian ridgeback", "Beagle")
    assert len(found.train) == 20
    assert len(found.val) == 10
    assert (woof / "imagewoof2-320" / "train").is_dir()
    assert len(load("imagewoof", woof, 32).images) == 30


def test_imagewoof_downloads_when_told(woof, tmp_path, monkeypatch):
    asked = []

    def fetch(url, root, filename, md5_sum):
        asked.append((url, filename, md5_sum))
        data = (woof / "imagewoof2-320.tgz").read_bytes()
        (tmp_path / "fresh").mkdir()
        (tmp_path / "fresh" / filename).write_bytes(data)

    monkeypatch.setattr("torchvision.datasets.utils.download_url", fetch)
    assert len(load("imagewoof", tmp_path / "fresh", 32, download=True).images) == 30
    assert asked[0][0].endswith("/imagewoof2-320.tgz")


def test_imagewoof_with_another_md5(woof):
    with open(woof / "imagewoof2-320.tgz", "ab") as stream:
        stream.write(b"x")
    with pytest.raises(GanlabError, match="its MD5 is not"):
        load("imagewoof", woof, 32)
    assert not (woof / "imagewoof2-320").exists()


def test_imagewoof_of_another_structure(tmp_path):
    class_tree(tmp_path / "imagewoof2-320", ["cats", "dogs"])
    with pytest.raises(GanlabError, match=r"expected train/ and val/ with the class folders n02086240.*cats"):
        load("imagewoof", tmp_path, 32)


@pytest.mark.parametrize("kind", ["outside", "absolute", "link"])
def test_malicious_archives_write_nothing_outside(tmp_path, kind):
    root = tmp_path / "root"
    root.mkdir()
    member = tarfile.TarInfo({"outside": "../evil", "absolute": "/evil", "link": "link"}[kind])
    if kind == "link":
        member.type, member.linkname = tarfile.SYMTYPE, "../../evil"
    else:
        member.size = 4
    with tarfile.open(root / "x.tgz", "w:gz") as archive:
        archive.addfile(member, io.BytesIO(b"evil"))
    if kind == "absolute":
        extract_safely(root / "x.tgz", root)  # the filter strips the leading slash
        assert (root / "evil").read_bytes() == b"evil"
    else:
        with pytest.raises(tarfile.TarError):
            extract_safely(root / "x.tgz", root)
        assert sorted(p.name for p in root.iterdir()) == ["x.tgz"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root"]


class FakeLmdb:
    """As much of lmdb as the source uses: a read-only map from keys to encoded images."""

    def __init__(self, path):
        self.table = {name.name.encode(): name.read_bytes() for name in sorted(Path(path).iterdir())}

    def begin(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def cursor(self):
        return self

    def iternext(self, keys, values):
        assert (keys, values) == (True, False)
        return iter(self.table)

    def get(self, key):
        return self.table[key]


@pytest.fixture
def lsun(tmp_path, monkeypatch):
    for folder, count in (("bedroom_train_lmdb", 5), ("bedroom_val_lmdb", 2)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            image = Image.fromarray(np.full((256, 300, 3), 40 * i, np.uint8))
            image.save(tmp_path / folder / f"{i:040x}", format="WEBP", lossless=True)

    def open_base(path, readonly, lock, readahead, meminit):
        assert readonly
        return FakeLmdb(path)

    monkeypatch.setitem(sys.modules, "lmdb", types.SimpleNamespace(open=open_base))
    return tmp_path


def test_lsun_bedroom(lsun, tmp_path):
    found = load("lsun_bedroom", lsun, 64)
    assert [int(found.images[i].mean()) for i in found.train] == [0, 40, 80, 120, 160]
    assert len(found.val) == 2
    assert not list(tmp_path.glob("_cache_*"))


def test_lsun_packs_only_as_many_as_wanted(lsun):
    found = load("lsun_bedroom", lsun, 64, num_images=3)
    assert len(found.images) == 5
    assert len(found.train) + len(found.val) == 3


def test_lsun_without_files_or_package(lsun, tmp_path, monkeypatch):
    with pytest.raises(GanlabError, match=r"bedroom_train_lmdb is not there.*data\.path"):
        load("lsun_bedroom", tmp_path / "nothing", 64)
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(GanlabError, match="pip install lmdb"):
        load("lsun_bedroom", lsun, 64)
