"""From a ``data:`` section to train and validation indices."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.config.schema import DataConfig
from ganlab.data import SOURCES, load_training_images
from ganlab.data.split import limit_indices, split_indices
from ganlab.errors import GanlabError


def config(npz, **options):
    return DataConfig(source="pack", path=str(npz), **options)


def test_a_pack_keeps_its_own_split(npz, arrays):
    found = load_training_images(config(npz, val_fraction=0.5), 8)
    assert found.train.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found.val.tolist() == [7, 8, 9]
    assert found.labels.tolist() == arrays["labels"].tolist()
    assert found.num_classes == 3
    assert found.description["num_train"] == 7
    json.dumps(found.description)


def test_without_a_split_a_seeded_part_is_held_out(tmp_path, arrays):
    np.savez(tmp_path / "x.npz", images=arrays["images"])
    parts = [load_training_images(config(tmp_path / "x.npz", val_fraction=0.3, seed=s), 8) for s in (0, 0, 1)]
    assert len(parts[0].val) == 3
    assert sorted([*parts[0].train, *parts[0].val]) == list(range(10))
    assert np.array_equal(parts[0].val, parts[1].val)
    assert not np.array_equal(parts[0].val, parts[2].val)


def test_another_size_is_refused_with_the_command(npz):
    with pytest.raises(GanlabError, match=r"8x8, but model.image_size is 32.*ganlab data pack.*--size 32"):
        load_training_images(config(npz), 32)


def test_an_unknown_source_names_the_nearest():
    with pytest.raises(GanlabError, match="did you mean 'cifar10'"):
        load_training_images(DataConfig(source="cifar_10"), 32)


@pytest.mark.parametrize("source", ["pack", "folder"])
def test_a_path_is_needed(source):
    with pytest.raises(GanlabError, match=r"data\.path"):
        load_training_images(DataConfig(source=source), 32)


def test_images_where_only_some_have_a_class_count_as_unlabelled(tmp_path, arrays):
    np.savez(tmp_path / "x.npz", images=arrays["images"], labels=np.array([-1, *range(9)]))
    found = load_training_images(config(tmp_path / "x.npz"), 8)
    assert found.labels is None
    assert found.num_classes == 0


def test_more_images_than_there_are(npz):
    with pytest.raises(GanlabError, match=r"num_images is 11.*only 10"):
        load_training_images(config(npz, num_images=11), 8)


def test_the_description_hashes_the_pixels(npz, tmp_path, arrays):
    one = load_training_images(config(npz), 8).description["pixels_sha256"]
    np.savez(tmp_path / "same.npz", images=arrays["images"])
    same = load_training_images(config(tmp_path / "same.npz"), 8).description["pixels_sha256"]
    arrays["images"][0, 0, 0, 0] ^= 1
    np.savez(tmp_path / "other.npz", images=arrays["images"])
    other = load_training_images(config(tmp_path / "other.npz"), 8).description["pixels_sha256"]
    assert one == same != other


@given(count=st.integers(2, 400), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_seeded_split_is_a_partition(count, fraction, seed):
    train, held_out = split_indices(count, None, fraction, seed)
    assert sorted([*train, *held_out]) == list(range(count))
    assert len(train) >= 1
    assert len(held_out) >= 1
    assert abs(len(held_out) - fraction * count) <= 1


@given(data=st.data(), train=st.integers(1, 60), held_out=st.integers(0, 40), seed=st.integers(0, 3))
def test_a_limit_keeps_the_proportion_and_grows_by_adding(data, train, held_out, seed):
    first, second = np.arange(train), np.arange(train, train + held_out)
    wanted = data.draw(st.integers(1, train + held_out))
    some = limit_indices(first, second, wanted, seed)
    assert len(some[0]) + len(some[1]) == wanted
    assert len(some[0]) >= 1
    assert abs(len(some[0]) - wanted * train / (train + held_out)) <= 1
    if wanted < train + held_out:
        more = limit_indices(first, second, wanted + 1, seed)
        assert set(some[0]) <= set(more[0])
        assert set(some[1]) <= set(more[1])


def test_limit_takes_every_class_of_an_ordered_pack(tmp_path):
    labels = np.repeat(np.arange(4), 50)
    np.savez(tmp_path / "x.npz", images=np.zeros((200, 4, 4, 3), np.uint8), labels=labels)
    found = load_training_images(config(tmp_path / "x.npz", num_images=40), 4)
    assert set(labels[found.train]) == {0, 1, 2, 3}


def test_every_source_describes_itself():
    for name, load in SOURCES.items():
        assert load.__doc__, name
        assert len(load.__doc__.splitlines()[0]) > 20, name
