"""Which planted confounds does an audit find, what does it say beside them, and how often does it cry wolf?

Environment: ``AUDIT_IMAGES`` an ``.npz`` of 64 px photographs (built-in fields without), ``AUDIT_COUNT``
    images a set,
``AUDIT_DRAWS`` draws of every confound, ``AUDIT_HALVES`` clean random halves, ``AUDIT_ONLY`` a part of the
names, ``AUDIT_LOG`` a file that gets a line for every draw.
"""

import functools
import io
import os
import shutil
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from forensics_images import natural
from PIL import Image, ImageCms, ImageFilter, PngImagePlugin

from ganlab.data.imageset import array_image_set, open_image_set
from ganlab.forensics import audit_sets
from ganlab.forensics.audit import audit

pytestmark = pytest.mark.benchmark

COUNT = int(os.environ.get("AUDIT_COUNT", "200"))
DRAWS = int(os.environ.get("AUDIT_DRAWS", "1"))
HALVES = int(os.environ.get("AUDIT_HALVES", "3"))
NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING = range(6)


@functools.cache
def photographs():
    path = os.environ.get("AUDIT_IMAGES")
    return np.load(path)["images"] if path else natural(3 * COUNT, 64, seed=3)


def each(change):
    """A confound of pixels: a function of one Pillow image, applied to all of a set."""
    return lambda images, draw: np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def some(share, change):
    """The same for a random share of the images."""

    def changed(images, draw):
        chosen = draw.permutation(len(images))[: max(1, round(share * len(images)))]
        images = images.copy()
        images[chosen] = change(images[chosen], draw)
        return images

    return changed


def jpeg_bytes(image, quality=75, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def jpeg(quality, **options):
    return each(lambda image: Image.open(io.BytesIO(jpeg_bytes(image, quality, **options))).convert("RGB"))


def enlarged(factor, kernel):
    """Made small first, so that the sets show the same things."""

    def change(image):
        side = round(image.width / factor)
        return image.resize((side, side), LANCZOS).resize(image.size, kernel)

    return each(change)


def halved(kernel):
    return each(lambda image: image.resize((image.width // 2, image.height // 2), kernel))


def tone(function):
    return lambda images, draw: np.clip(np.rint(function(images.astype(float))), 0, 255).astype(np.uint8)


def cut(top, left):
    return lambda images, draw: images[:, top : top + 48, left : left + 48]


def then(*changes):
    return lambda images, draw: functools.reduce(lambda kept, change: change(kept, draw), changes, images)


def cut_anywhere(images, draw):
    starts = draw.integers(0, 16, (len(images), 2))
    return np.stack([image[y : y + 48, x : x + 48] for image, (y, x) in zip(images, starts, strict=True)])


def few_colours(image):
    return image.convert("P", palette=Image.Palette.ADAPTIVE, colors=256).convert("RGB")


def bits(count):
    return tone(lambda x: np.floor(x / 2 ** (8 - count)) * 2 ** (8 - count))


SAME = lambda images, draw: images  # noqa: E731

PIXELS = {
    # name: (kind, what is done to one set, what is done to the other)
    "jpeg 75": ("jpeg_history", jpeg(75), SAME),
    "jpeg 95": ("jpeg_history", jpeg(95), SAME),
    "jpeg 98": ("jpeg_history", jpeg(98), SAME),
    "jpeg 75 in 10 %": ("jpeg_history", some(0.1, jpeg(75)), SAME),
    "jpeg 90, cut anywhere": ("jpeg_history", then(jpeg(90), cut_anywhere), cut_anywhere),
    "grid at (3, 5)": ("grid", then(jpeg(75), cut(3, 5)), then(jpeg(75), cut(8, 8))),
    "grid at (4, 4), quality 92": ("grid", then(jpeg(92), cut(4, 4)), then(jpeg(92), cut(0, 0))),
    "enlarged twice": ("enlarged", enlarged(2, BICUBIC), SAME),
    "enlarged twice, nearest": ("enlarged", enlarged(2, NEAREST), SAME),
    "enlarged 1.25, Lanczos": ("enlarged", enlarged(1.25, LANCZOS), SAME),
    "enlarged 1.1, bilinear": ("enlarged", enlarged(1.1, BILINEAR), SAME),
    "enlarged 1.5 in 15 %": ("enlarged", some(0.15, enlarged(1.5, BICUBIC)), SAME),
    "reduced, box": ("resampling", halved(BOX), halved(LANCZOS)),
    "reduced, nearest": ("resampling", halved(NEAREST), halved(LANCZOS)),
    "reduced, bicubic": ("resampling", halved(BICUBIC), halved(LANCZOS)),
    "blurred 0.4": ("resampling", each(lambda i: i.filter(ImageFilter.GaussianBlur(0.4))), SAME),
    "sharpened": ("resampling", each(lambda i: i.filter(ImageFilter.UnsharpMask(1, 40, 0))), SAME),
    "palette, stored as RGB": ("palette", each(few_colours), SAME),
    "palette in 5 %": ("palette", some(0.05, each(few_colours)), SAME),
    "5 bits": ("bit_depth", bits(5), SAME),
    "7 bits": ("bit_depth", bits(7), SAME),
    "7 bits in 5 %": ("bit_depth", some(0.05, bits(7)), SAME),
    "constant 10 %": ("constant", some(0.1, tone(lambda x: 0 * x + 127)), SAME),
    "constant 2 %": ("constant", some(0.02, tone(lambda x: 0 * x)), SAME),
    "brighter by 15": ("brightness", tone(lambda x: x + 15), SAME),
    "brighter by 3": ("brightness", tone(lambda x: x + 3), SAME),
    "gain 1.03": ("brightness", tone(lambda x: 1.03 * x), SAME),
    "gamma 1.05": ("brightness", tone(lambda x: 255 * (x / 255) ** 1.05), SAME),
    "warmer": ("brightness", tone(lambda x: x * [1.05, 1.0, 0.92]), SAME),
    "5 copies in both": ("duplicates", "copies", None),
    "10 near copies in both": ("duplicates", "near", None),
    "5 mirrored within": ("duplicates", "mirrored", None),
    "500 against 30": ("counts", "few", None),
    "500 against 300": ("counts", "fewer", None),
}


def icc():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def oriented(value, camera="Camera 1"):
    exif = Image.Exif()
    exif[274], exif[271] = value, camera
    return exif


def text(words):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", words)
    return info


def png(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, **options)
    return buffer.getvalue()


def webp(image):
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, method=0)
    return buffer.getvalue()


def saved(quality, subsampling=2):
    """Bytes of a JPEG file, 4:2:0 by default."""
    return functools.partial(jpeg_bytes, quality=quality, subsampling=subsampling)


SIDEWAYS = (lambda i: png(i, exif=oriented(6)), lambda i: png(i, exif=oriented(1)))

FILES = {
    # name: (kind, share, bytes of the confounded files, bytes of all others)
    "JPEG against PNG": ("codec", 1.0, saved(95), png),
    "WebP against PNG": ("codec", 1.0, webp, png),
    "5 % JPEG": ("codec", 0.05, saved(95), png),
    "quality 75, 95": ("quality", 1.0, jpeg_bytes, saved(95)),
    "quality 90, 91": ("quality", 1.0, saved(90), saved(91)),
    "quality 85 in 5 %": ("quality", 0.05, saved(85), saved(90)),
    "4:4:4 against 4:2:0": ("subsampling", 1.0, saved(90, 0), saved(90, 2)),
    "4:2:2 in 5 %": ("subsampling", 0.05, saved(90, 1), saved(90, 2)),
    "palette files": ("palette", 1.0, lambda i: png(i.convert("P", palette=1, colors=256)), png),
    "palette files, 5 %": ("palette", 0.05, lambda i: png(i.convert("P", palette=1, colors=256)), png),
    "grey files, 5 %": ("bit_depth", 0.05, lambda i: png(i.convert("L")), png),
    "60 against 64 px": ("size", 1.0, lambda i: png(i.crop((0, 0, 60, 60))), png),
    "63 px wide, 5 %": ("size", 0.05, lambda i: png(i.crop((0, 0, 63, 64))), png),
    "camera": ("exif", 1.0, lambda i: png(i, exif=oriented(1)), png),
    "on their side, 5 %": ("exif", 0.05, *SIDEWAYS),
    "prompt, 5 %": ("exif", 0.05, lambda i: png(i, pnginfo=text("a dog")), png),
    "sRGB profile": ("profile", 1.0, lambda i: png(i, icc_profile=icc()), png),
    "sRGB profile, 5 %": ("profile", 0.05, lambda i: png(i, icc_profile=icc()), png),
}  # fmt: skip


def planted_pixels(name, first, second, draw):
    """The two sets, the first with the confound."""
    _, change, other = PIXELS[name]
    if change == "copies":
        return np.concatenate([first[5:], second[:5]]), second
    if change == "near":
        return np.concatenate([first[10:], jpeg(60)(second[:10], draw)]), second
    if change == "mirrored":
        return np.concatenate([first[5:], first[5:10, :, ::-1]]), second
    if change in ("few", "fewer"):
        return first[: len(first) * 6 // 100 if change == "few" else len(first) * 6 // 10], second
    return change(first, draw), other(second, draw)


def planted_files(name, first, second, draw, folder):
    kind, share, confounded, others = FILES[name]
    if kind != "size":  # headers do not depend on it, and writing takes most of the time
        first, second = first[:, 16:48, 16:48], second[:, 16:48, 16:48]
    for images, part in ((first, share), (second, 0.0)):
        place = folder / ("first" if images is first else "second")
        place.mkdir(parents=True)
        chosen = set(draw.permutation(len(images))[: round(part * len(images))].tolist())
        for number, image in enumerate(images):
            write = confounded if number in chosen else others
            (place / f"{number:04d}.png").write_bytes(write(Image.fromarray(image)))
    return open_image_set(folder / "first", mixed=True), open_image_set(folder / "second", mixed=True)


def log(line):
    print(line, flush=True)
    if "AUDIT_LOG" in os.environ:
        with Path(os.environ["AUDIT_LOG"]).open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def halves(seed):
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(photographs()))
    return photographs()[order[:COUNT]], photographs()[order[COUNT : 2 * COUNT]], draw


def kinds_of(pair, seed):
    """Kinds found; the confound is in the reals or in the fakes by turns."""
    sets = pair if seed % 2 else pair[::-1]
    return audit_sets(*sets).findings


@pytest.fixture
def read_once(monkeypatch):
    """The set that a draw's confounds leave alone is measured once."""
    kept, read = {}, audit._read

    def reading(images, *arguments):
        key = (images.fingerprint(), *arguments)
        if key not in kept:
            kept[key] = read(images, *arguments)
        while len(kept) > 30:
            del kept[next(iter(kept))]
        return kept[key]

    monkeypatch.setattr(audit, "_read", reading)


def test_planted_confounds_are_found(tmp_path, read_once):
    found, beside, kinds = Counter(), defaultdict(Counter), {}
    only = os.environ.get("AUDIT_ONLY", "")
    for seed in range(DRAWS):
        first, second, draw = halves(seed)
        for name, (kind, *_) in {**PIXELS, **FILES}.items():
            if only not in name:
                continue
            start, folder = time.perf_counter(), tmp_path / "sets"
            if name in PIXELS:
                pair = planted_pixels(name, first, second, draw)
                sets = [array_image_set(images, f"set{k}") for k, images in enumerate(pair)]
            else:
                sets = planted_files(name, first, second, draw, folder)
            findings = kinds_of(sets, seed)
            kinds[name] = kind
            shutil.rmtree(folder, ignore_errors=True)
            found[name] += kind in {one.kind for one in findings}
            beside[name].update({one.kind for one in findings} - {kind})
            shown = " | ".join(f"{one.kind} {one.auc:.3f} {one.side}" for one in findings)
            log(f"draw {seed} {name} [{kind}] {time.perf_counter() - start:.1f} s: {shown}")
    for name, kind in kinds.items():
        log(f"{kind:13s} {name:28s} found {found[name]} of {DRAWS}, beside it {dict(beside[name])}")
    recall = sum(found.values()) / max(1, DRAWS * len(kinds))
    log(f"recall {recall:.4f} over {len(kinds)} confounds")
    assert recall >= 0.8


def test_clean_halves_are_silent():
    alarms = []
    for seed in range(HALVES):
        first, second, _ = halves(1000 + seed)
        findings = audit_sets(first, second).findings
        alarms += [seed] if findings else []
        for one in findings:
            log(f"clean {seed}: {one} p {one.p:.1e}")
    log(f"{len(alarms)} of {HALVES} clean halves alarm")
    assert len(alarms) <= max(1, HALVES // 10)


def test_a_thousand_images_take_seconds():
    first, second, _ = halves(1)
    start = time.perf_counter()
    audit_sets(first, second)
    log(f"{2 * COUNT} images of 64 px: {time.perf_counter() - start:.1f} s")
