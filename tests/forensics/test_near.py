"""Near-duplicates: a recompressed copy is found, in another set and across the parts of a split."""

import tracemalloc

import numpy as np
import pytest
from forensics_images import natural

from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.forensics import (
    check_leakage,
    check_sets,
    exact_hashes,
    make_perturbation,
    perturb,
    split_by_identity,
)
from ganlab.forensics.protocol.near import groups, identities, look, thumbnails

ALTERED = {"jpeg": {"quality": 75}, "gaussian_blur": {"sigma": 0.6}, "gaussian_noise": {"variance": 20.0}}


@pytest.fixture(scope="module")
def photos():
    return natural(240)


def named(name, images):
    return array_image_set(images, name)


def altered(images, name):
    return perturb(images, make_perturbation(name, **ALTERED[name]))


def same(*arrays):
    return identities([look(named(str(i), one)) for i, one in enumerate(arrays)])


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_copy_has_the_identity_of_its_original(photos, name):
    left, right = same(photos[:120], altered(photos[100:], name))
    assert np.isin(right[:20], left[100:]).all()
    assert len(np.unique(np.concatenate([left, right]))) == 240


def test_without_copies_identities_are_the_exact_hashes(photos):
    (found,) = same(photos)
    np.testing.assert_array_equal(found, exact_hashes(photos))


def test_identities_do_not_depend_on_the_order(photos):
    everything = np.concatenate([photos, altered(photos[:30], "jpeg")])
    order = np.random.default_rng(0).permutation(len(everything))
    np.testing.assert_array_equal(same(everything[order])[0], same(everything)[0][order])


def test_a_recompressed_real_among_the_fakes_is_refused_by_name(photos):
    real, fake = named("real", photos[:150]), named("fake", altered(photos[149:], "jpeg"))
    with pytest.raises(GanlabError, match=r"near_duplicates: real and fake share 1 .*real#149 and fake#0"):
        check_sets(real, [fake])
    findings, found = check_sets(real, [fake], allow=["near_duplicates"])
    # the others are JPEG's marks in the fakes, which are told and not refused
    assert [one.guard for one in findings if not one.note] == ["near_duplicates"]
    np.testing.assert_array_equal(found["real"], exact_hashes(photos[:150]))
    with pytest.raises(GanlabError, match=r"real and unseen share 1"):
        check_sets(
            real, [named("fake", photos[160:])], unseen=[named("unseen", altered(photos[100:101], "jpeg"))]
        )


def test_copies_within_a_set_stay_on_one_side_of_the_split(photos):
    images = np.concatenate([photos[:100], altered(photos[:100], "jpeg")])
    allow = ["jpeg_history"]  # half the reals are
    _, found = check_sets(named("real", images), [named("fake", photos[100:])], allow)
    for seed in range(3):
        split = split_by_identity(found["real"], seed)
        for part in (split.train, split.val, split.test):
            assert set(part % 100) == set(part[part >= 100] - 100)
        assert check_leakage({"real": split}, {"real": found["real"]}) == []
    apart = split_by_identity(exact_hashes(images), 0)
    with pytest.raises(GanlabError, match="leakage"):
        check_leakage({"real": apart}, {"real": found["real"]})


def test_groups_join_through_others_and_take_the_smallest_place():
    codes = np.array([0b0, 0b1111111111 << 20, 0b11111111, 0b1111111111111111], np.uint64)
    pictures = np.ones((4, 1), np.float16)
    assert groups(codes, pictures).tolist() == [0, 1, 0, 0]
    apart = np.array([[1.0], [1.0], [-1.0], [-1.0]], np.float16)
    assert groups(codes, apart).tolist() == [0, 1, 2, 2]


def test_many_images_that_all_look_alike_take_no_memory_squared():
    """4000 alike have 8 million pairs, of 16 bytes each; what is held at once grows with the images alone."""
    codes, pictures = np.zeros(4000, np.uint64), np.ones((4000, 1), np.float16)
    tracemalloc.start()
    found = groups(codes, pictures)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not found.any()
    assert peak < 2**20


def test_thumbnails_have_mean_zero_and_norm_one(photos):
    small = thumbnails(photos[:5]).astype(float)
    np.testing.assert_allclose(small.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose((small**2).sum(1), 1, atol=1e-2)
    assert not thumbnails(np.full((1, 8, 8, 3), 7, np.uint8)).any()
