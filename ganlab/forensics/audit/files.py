"""What the files' headers say: codec, tables, sampling, depth, sizes, metadata, profiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ganlab.data.decode import LOSSY, Header
from ganlab.data.imageset import ImageSet
from ganlab.forensics.audit.report import ALPHA, Finding, Side, finding
from ganlab.forensics.audit.two_samples import Separation, named_separation, separation

Named = tuple[Sequence[Any], Sequence[Any]]

LISTED = 3
"""Names listed of each set."""
HIGHEST_LISTED = 0.9995


def most_common(names: Sequence[Any]) -> str:
    """``"PNG 52 %, JPEG 48 %"``."""
    counted = Counter(str(name) for name in names)
    parts = [
        f"{name or 'none'}" + (f" {100 * count / len(names):.3g} %" if len(counted) > 1 else "")
        for name, count in counted.most_common(LISTED)
    ]
    rest = len(counted) - LISTED
    return ", ".join(parts) + (f" and {rest} others" if rest > 0 else "")


def file_findings(real: ImageSet, fake: ImageSet) -> Iterator[Finding]:
    """Everything that the headers of two sets of files say; for arrays the codec alone.

    Args:
        real: the reals.
        fake: one set of fakes.
    """
    first, second = real.headers, fake.headers
    if first is None or second is None:
        yield from _array_against_files(real, fake)
        if real.shape[2] != fake.shape[2]:
            names = [(f"{one.shape[2]} channels",) * len(one) for one in (real, fake)]
            yield _named("bit_depth", "an image has", (names[0], names[1]), 1)[1]
        return

    def both(of: Callable[[Header], Any]) -> Named:
        return [of(header) for header in first], [of(header) for header in second]

    yield from _where(_named("codec", "files are", both(lambda h: f"{h.codec} {h.coding}".strip()), 1))
    yield from _quality(first, second)
    if any(header.sampling for header in (*first, *second)):
        yield from _where(_named("subsampling", "colour is sampled", _jpegs(first, second, "sampling"), 1))
    yield from _where(
        _named("palette", "colours are", both(lambda h: "a palette" if h.layout == "P" else "full"), 2)
    )
    yield from _where(_named("bit_depth", "an image has", both(_depth), 2))
    yield from _sizes(both)
    yield from _metadata(both)
    yield from _where(_named("profile", "the colour profile is", both(lambda h: h.profile or "none"), 1))


def _where(tested: tuple[bool, Finding]) -> Iterator[Finding]:
    """The finding, if it is one."""
    if tested[0]:
        yield tested[1]


def _named(kind: str, phrase: str, names: Named, looks: int) -> tuple[bool, Finding]:
    """Whether names of every image differ between the sets, and the finding that says so."""
    reals, fakes = names
    if not reals or not fakes:
        return False, finding(kind, "", None)
    tested = named_separation(reals, fakes, looks)
    evidence = f"{phrase} {most_common(reals)} among the reals, {most_common(fakes)} among the fakes"
    return tested.p < ALPHA, finding(kind, evidence, tested)


def _depth(header: Header) -> str:
    layout = {"P": "RGB", "1": "grey", "L": "grey"}.get(header.layout, header.layout)
    return f"{header.bits} bits a channel, {'grey' if header.grey else layout}"


def _jpegs(first: Sequence[Header], second: Sequence[Header], field: str) -> Named:
    """A field of the JPEG files of both sets."""
    reals, fakes = ([getattr(h, field) for h in part if h.codec == "JPEG"] for part in (first, second))
    return reals, fakes


def _quality(first: Sequence[Header], second: Sequence[Header]) -> Iterator[Finding]:
    """Quantisation tables, among the JPEG files; by name, and by how coarse they are."""
    reals, fakes = _jpegs(first, second, "tables")
    if not reals or not fakes:
        return
    sums = _jpegs(first, second, "quantization")
    tests: list[Separation] = [named_separation(reals, fakes, 2), separation(*sums, looks=2)]
    best = min(tests, key=lambda tested: tested.p)
    if best.p < ALPHA:
        means = [sum(part) / len(part) / 64 for part in sums]
        evidence = (
            f"JPEG files have {len(set(reals))} quantisation tables among the reals (mean luma step "
            f"{means[0]:.1f}) and {len(set(fakes))} among the fakes (mean luma step {means[1]:.1f}), "
            "in other shares"
        )
        yield finding(
            "quality", evidence, max(tests, key=lambda tested: tested.auc) if best.auc < 0.5 else best
        )


def _sizes(both: Callable[[Callable[[Header], Any]], Named]) -> Iterator[Finding]:
    """Width by height by name; area and aspect by rank, where every image has a size of its own."""
    names = both(lambda h: h.size)
    by_name = named_separation(*names, 3)
    tests = [by_name]
    for number in (lambda h: h.width * h.height, lambda h: h.width / h.height):
        tests.append(separation(*both(number), looks=3))
    best = min(tests, key=lambda tested: (tested.p, -tested.auc))
    if best.p < ALPHA:
        evidence = (
            f"images are {most_common(names[0])} among the reals, {most_common(names[1])} among the fakes"
        )
        yield finding("size", evidence, best)


def _metadata(both: Callable[[Callable[[Header], Any]], Named]) -> Iterator[Finding]:
    """Orientation, presence of EXIF, camera, software, which fields there are: the clearest of them."""

    def of(*fields: str) -> Callable[[Header], Any]:
        return lambda h: ", ".join(value for name, value in h.metadata if name in fields)

    asked: dict[str, Callable[[Header], Any]] = {
        "the EXIF orientation is": lambda h: f"{h.orientation}",
        "EXIF data are": lambda h: dict(h.metadata).get("EXIF", "absent"),
        "camera or software is": of("Make", "Model", "Software"),
        "the fields are": lambda h: ", ".join(name for name, _ in h.metadata) or "none",
        "resolution and comments are": of("dpi", "comment", "Comment", "parameters", "Description", "Author"),
    }  # fmt: skip
    tested = [_named("exif", phrase, both(field), len(asked)) for phrase, field in asked.items()]
    clear = [one for significant, one in tested if significant]
    if clear:
        best = max(clear, key=lambda one: (one.auc, -one.p))
        turned = [sum(o != "1" for o in names) for names in both(lambda h: f"{h.orientation}")]
        text = " (orientation tags are not applied when sets are read)" if any(turned) else ""
        yield finding("exif", best.evidence + text, Separation(best.p, best.auc, best.low, best.high, True))


def _array_against_files(real: ImageSet, fake: ImageSet) -> Iterator[Finding]:
    """Arrays have lost their headers: whether the other side's files are lossy is all there is to say."""
    sides: list[tuple[Side, ImageSet]] = [("reals", real), ("fakes", fake)]
    names = []
    for _, images in sides:
        headers = images.headers
        lossless = ["lossless"] * len(images)
        names.append(
            lossless if headers is None else [h.codec if h.codec in LOSSY else "lossless" for h in headers]
        )
    yield from _where(_named("codec", "pixels come", (names[0], names[1]), 1))
