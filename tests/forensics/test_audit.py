"""An audit finds planted confounds, gives each the right name and no other, and is silent about halves."""

import functools
import io

import numpy as np
import pytest
import torch
from forensics_images import natural
from PIL import Image, ImageCms, ImageFilter, PngImagePlugin
from scipy.stats import mannwhitneyu

from ganlab.data.imageset import open_image_set
from ganlab.errors import GanlabError
from ganlab.forensics import KINDS, audit_sets
from ganlab.forensics.audit.pixels import signs
from ganlab.forensics.audit.two_samples import (
    auc_interval,
    learned_scores,
    named_separation,
    separation,
    share_p,
)

COUNT, SIDE = 100, 48


@functools.cache
def halves():
    """Fields with brightness and contrast of their own, as photographs have them."""
    draw, images = np.random.default_rng(11), natural(2 * COUNT, SIDE, seed=11).astype(float)
    gain, colour = draw.uniform(0.6, 1.2, (2 * COUNT, 1, 1, 1)), draw.normal(0, 8, (2 * COUNT, 1, 1, 3))
    images = gain * (images - 128) + 128 + colour + draw.normal(0, 25, (2 * COUNT, 1, 1, 1))
    images = np.clip(np.rint(images + draw.normal(0, 1, images.shape)), 0, 255).astype(np.uint8)
    return images[:COUNT], images[COUNT:]


def each(change, images):
    return np.stack([np.asarray(change(Image.fromarray(image)).convert("RGB")) for image in images])


def through_jpeg(image, quality=80):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def enlarged(image, factor, kernel=Image.Resampling.BICUBIC):
    side = round(image.width / factor)
    return image.crop((0, 0, side, side)).resize(image.size, kernel)


def tone(images, function):
    return np.clip(np.rint(function(images.astype(float))), 0, 255).astype(np.uint8)


def some(images, change, count=25):
    return np.concatenate([change(images[:count]), images[count:]])


PLANTED = {
    "jpeg_history": lambda x: each(through_jpeg, x),
    "jpeg_history, a few": lambda x: some(x, lambda part: each(through_jpeg, part)),
    "enlarged": lambda x: each(lambda i: enlarged(i, 2), x),
    "enlarged, nearest": lambda x: each(lambda i: enlarged(i, 2, Image.Resampling.NEAREST), x),
    "enlarged, a little": lambda x: each(lambda i: enlarged(i, 1.25), x),
    "resampling": lambda x: each(lambda i: i.filter(ImageFilter.GaussianBlur(0.5)), x),
    "palette": lambda x: each(lambda i: i.convert("P", palette=Image.Palette.ADAPTIVE, colors=256), x),
    "bit_depth": lambda x: x // 2 * 2,
    "bit_depth, a few": lambda x: some(x, lambda part: part // 8 * 8),
    "constant": lambda x: some(x, lambda part: 0 * part + 90),
    "brightness": lambda x: tone(x, lambda v: v + 40),
    "brightness, a gain": lambda x: tone(x, lambda v: 1.1 * v),
    "counts": lambda x: x[: COUNT // 3],
    "duplicates": lambda x: np.concatenate([x[5:], halves()[0][:5]]),
    "duplicates, mirrored": lambda x: np.concatenate([x[5:], halves()[0][:5, :, ::-1]]),
}


def kinds(report):
    return {one.kind for one in report.findings}


def test_two_samples_of_one_population_are_silent():
    report = audit_sets(*halves())
    assert report.clean
    assert report.as_json()["findings"] == []
    assert report.counts == {"reals": COUNT, "fakes": COUNT}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_in_the_fakes_is_found_and_nothing_else(name):
    kind, (reals, fakes) = name.partition(",")[0], halves()
    report = audit_sets(reals, PLANTED[name](fakes))
    assert kinds(report) == {kind}
    (found,) = report.findings
    assert 0 <= found.low <= found.auc <= found.high <= 1
    assert found.evidence
    assert found.fakes == "fakes"


@pytest.mark.parametrize("name", ["jpeg_history", "enlarged", "palette", "bit_depth"])
def test_what_is_planted_in_the_reals_is_theirs(name):
    fakes, reals = halves()
    (found,) = audit_sets(PLANTED[name](reals), fakes).findings
    assert (found.kind, found.side, found.generator) == (name, "reals", False)


def test_fakes_that_look_enlarged_may_be_the_generators_doing():
    reals, fakes = halves()
    (found,) = audit_sets(reals, PLANTED["enlarged"](fakes)).findings
    assert found.side == "fakes"
    assert found.generator
    assert "generator" in found.evidence


def test_jpegs_cut_off_the_grid_differ_in_the_grid():
    reals, fakes = (each(through_jpeg, images) for images in halves())
    (found,) = audit_sets(reals[:, :40, :40], fakes[:, 3:43, 5:45]).findings
    assert found.kind == "grid"
    assert "(5, 3)" in found.evidence


def test_several_sets_of_fakes_and_every_form_of_images():
    reals, fakes = halves()
    tensor = torch.from_numpy(fakes).permute(0, 3, 1, 2) / 127.5 - 1
    report = audit_sets(reals, [fakes, tensor, fakes // 2 * 2])
    assert {one.fakes for one in report.findings if one.kind != "duplicates"} == {"fakes 3"}
    assert list(report.counts) == ["reals", "fakes 1", "fakes 2", "fakes 3"]


@pytest.mark.parametrize(
    ("fakes", "text"),
    [
        ([], "at least one set"),
        (np.zeros((5, 8, 8, 3), np.float32), "expected uint8"),
        (np.zeros((2, 8, 8, 3), np.uint8), "4 at least"),
        (7, "no set of images"),
        ("nowhere", "no such file"),
    ],
)
def test_what_is_no_set_is_refused(fakes, text):
    with pytest.raises(GanlabError, match=text):
        audit_sets(halves()[0], fakes)


# ---------------------------------------------------------------------------------------------------- files


def png(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, options.pop("format", "PNG"), **options)
    return buffer.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[274] = orientation
    return tags


def prompt():
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a dog")
    return text


def icc():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


FILES = {
    "codec": (png, functools.partial(png, format="BMP"), 1),
    "codec, half": (functools.partial(png, format="JPEG", quality=95), png, 2),
    "quality": (*(functools.partial(png, format="JPEG", quality=q) for q in (90, 91)), 1),
    "subsampling": (*(functools.partial(png, format="JPEG", quality=95, subsampling=s) for s in (0, 2)), 1),
    "palette": (lambda i: png(i.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)), png, 1),
    "bit_depth": (lambda i: png(i.convert("L")), png, 3),
    "size": (lambda i: png(i.crop((0, 0, 40, 48))), png, 1),
    "size, a few": (lambda i: png(i.crop((0, 0, 47, 48))), png, 3),
    "exif": (functools.partial(png, exif=exif(6)), png, 3),
    "exif, text": (lambda i: png(i, pnginfo=prompt()), png, 3),
    "profile": (lambda i: png(i, icc_profile=icc()), png, 3),
}
"""Kind -> bytes of the files that have it, bytes of the others, and one in how many has it."""


@pytest.mark.parametrize("name", FILES)
def test_headers_tell(name, tmp_path):
    confounded, others, every = FILES[name]
    for folder, images in zip(("real", "fake"), halves(), strict=True):
        (tmp_path / folder).mkdir()
        for number, image in enumerate(images[:60]):
            write = confounded if folder == "fake" and number % every == 0 else others
            (tmp_path / folder / f"{number:02d}.png").write_bytes(write(Image.fromarray(image)))
    findings = audit_sets(tmp_path / "real", str(tmp_path / "fake")).findings
    assert [one.kind for one in findings] == [name.partition(",")[0]]


def test_sets_of_several_sizes_are_read_one_by_one(tmp_path):
    for number, side in enumerate((20, 30)):
        Image.new("RGB", (side, 24), (number, 2, 3)).save(tmp_path / f"{number}.png")
    with pytest.raises(GanlabError, match="2 sizes"):
        open_image_set(tmp_path)
    mixed = open_image_set(tmp_path, mixed=True)
    assert [image.shape for image in mixed.singly()] == [(24, 20, 3), (24, 30, 3)]
    assert mixed.shape == (24, 20, 3)
    assert mixed.fingerprint()
    assert [header.size for header in mixed.headers] == ["20x24", "30x24"]


# --------------------------------------------------------------------------------------- measurements, tests


def test_zeros_stand_on_the_grid_of_a_jpeg():
    images = each(lambda image: through_jpeg(image, 90), halves()[0][:20])
    assert np.unravel_index(signs(images[:, 3:43, 6:46]).grid.mean(0).argmax(), (8, 8)) == (5, 2)
    # what repeats every two pixels cancels
    doubled = halves()[0][:20].repeat(2, 1).repeat(2, 2)
    assert signs(doubled).grid.mean(0).max() < 0.01


@pytest.mark.parametrize("bits", [1, 3, 6, 7])
def test_depth_is_the_number_of_bits(bits):
    images = halves()[0][:4]
    levels = images >> (8 - bits)
    top = 2**bits - 1
    for stored in (levels << (8 - bits), np.rint(levels * (255 / top)), levels.astype(int) * 255 // top):
        assert (signs(stored.astype(np.uint8)).depth <= bits).all()
    assert (signs(images).depth == 8).all()


def test_a_test_of_scores_is_the_rank_test_of_scipy():
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=40), np.round(draw.normal(0.4, 1, 60), 1)
    ours = separation(first, second, tails=False)
    theirs = mannwhitneyu(second, first, use_continuity=False, method="asymptotic")
    assert ours.p == pytest.approx(theirs.pvalue)
    assert ours.auc == pytest.approx(theirs.statistic / 2400)


def test_a_fault_in_a_few_images_is_in_the_tail():
    draw = np.random.default_rng(1)
    first, second = draw.normal(size=500), draw.normal(size=500)
    second[:25] += 20
    assert separation(first, second).p < 1e-4 < separation(first, second, tails=False).p


def test_names_that_occur_once_separate_nothing():
    assert named_separation([f"a{k}" for k in range(50)], [f"b{k}" for k in range(50)]).p > 0.5
    tested = named_separation(["png"] * 50, ["png"] * 40 + ["jpeg"] * 10)
    assert tested.p == pytest.approx(share_p(10, 50, 10, 100) * 2)
    assert tested.auc == pytest.approx(0.6)


def test_what_is_learned_is_tried_on_other_images():
    draw = np.random.default_rng(2)
    noise = draw.normal(size=(2, 60, 30))
    scores = learned_scores(noise[0], noise[1])
    assert separation(*scores, directed=True).p > 0.01
    scores = learned_scores(noise[0], noise[1] + np.eye(30)[3] * 3)
    assert separation(*scores, directed=True).auc > 0.9


@pytest.mark.parametrize(
    ("auc", "low", "high"), [(1.0, 0.9, 1.0), (0.5, 0.4, 0.6), (0.0, 0.0, 0.1), (0.75, 0.65, 0.85)]
)
def test_the_interval_of_an_area_is_finite_everywhere(auc, low, high):
    ends = auc_interval(auc, 100, 100)
    assert low < ends[0] <= auc <= ends[1] < high or auc in (0.0, 1.0)
    assert ends == pytest.approx(tuple(1 - end for end in reversed(auc_interval(1 - auc, 100, 100))))
    assert low <= ends[0] < ends[1] <= high


def test_every_kind_says_what_it_is_about():
    assert len(KINDS) == 16
    assert all(KINDS.values())
