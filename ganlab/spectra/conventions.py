"""The published radial profiles and our own, as data: what every one does to an image, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ganlab.images import LUMA_BT601
from ganlab.spectra.rings import RingRule, ring_plan

LUMA_FOUR_DIGITS = (0.2989, 0.5870, 0.1140)
"""The BT.601 weights as MATLAB rounds them; they sum to 0.9999."""

ValueRange = Literal["signed", "unit", "byte", "standardised"]
Measure = Literal["power", "raw_power", "log_amplitude", "log_power", "log_guarded"]


@dataclass(frozen=True)
class ProfileConvention:
    """One definition of "the radial profile", field by field in the order in which it is applied.

    Attributes:
        summary: one line that says what the profile is.
        source: paper and code whose numbers it reproduces.
        luma: weights of R, G, B; None keeps every channel and averages their spectra. One channel is grey.
        value_range: what images in [-1, 1] become first: "signed" stays, "unit" [0, 1], "byte" [0, 255],
            "standardised" mean 0 and RMS 1 per image, jointly over channels.
        measure: what is averaged on a ring. With F the un-normalised DFT: "power" ``|F|^2/(H W)``,
            "raw_power" ``|F|^2``, "log_amplitude" ``20 ln|F + epsilon|`` (epsilon joins the complex value),
            "log_power" ``20 ln(|F|^2 + epsilon)``, "log_guarded" SSD-GAN's three nested epsilons.
        rings: how the plane is cut.
        reduction: "mean" over the ring's members, or "fraction", their sum divided by H W.
        normalise: "none", or "minmax": per image to [0, 1].
        epsilon: the small number inside ``measure``.
        integer_luma: RGB is rounded to 0..255 and turned to grey in integers, as OpenCV reads a grey image.
            Such a grey has no gradient.
    """

    summary: str
    source: str
    luma: tuple[float, float, float] | None
    value_range: ValueRange
    measure: Measure
    rings: RingRule
    reduction: Literal["mean", "fraction"] = "mean"
    normalise: Literal["none", "minmax"] = "none"
    epsilon: float = 0.0
    integer_luma: bool = False

    @property
    def factor(self) -> float:
        """What logarithms are multiplied with: 20, for an amplitude 10 of its square; else 1."""
        return {"log_amplitude": 10.0, "log_power": 20.0}.get(self.measure, 1.0)

    def length(self, height: int, width: int) -> int:
        """Number of rings K of a ``height`` x ``width`` image."""
        return len(ring_plan(height, width, self.rings).totals)

    def frequencies(self, height: int, width: int) -> tuple[float, ...]:
        """Frequency of each ring in cycles per pixel, to draw profiles against.

        Where radii are rounded to nearest it is the ring's own number over min(H, W); where they are cut
        down, the mean radius of the ring's members.
        """
        plan = ring_plan(height, width, self.rings)
        nominal = plan.numbers / min(height, width)
        return tuple(float(f) for f in (nominal if self.rings.rounding == "nearest" else plan.frequencies))


GANLAB = ProfileConvention(
    summary="luma, linear power |F|^2/(HW), mean over the full plane's ring of nearest integer radius",
    source="ganlab; radius in cycles per pixel times min(H, W), k = 0..min(H, W)//2",
    luma=LUMA_BT601,
    value_range="signed",
    measure="power",
    rings=RingRule(unit="cycles", rounding="nearest", inscribed=True),
)

_DURALL_RINGS = RingRule(centre="half_pixel", first=1, last=1)

DURALL2019 = ProfileConvention(
    summary="grey 0..255, 20 ln|F + 1e-8|, ring mean about the half-pixel centre, first and last dropped",
    source="Durall et al. 2019, arXiv 1911.00686, cc-hpc-itwm/DeepFakeDetection aaff429",
    luma=LUMA_BT601,
    value_range="byte",
    measure="log_amplitude",
    epsilon=1e-8,
    integer_luma=True,
    rings=_DURALL_RINGS,
)

DURALL2020 = ProfileConvention(
    summary="luma of [-1, 1], 20 ln|F + 1e-8|, rings as durall2019, min-max per image",
    source="Durall et al. CVPR 2020, arXiv 2003.01826, cc-hpc-itwm/UpConv 999b856",
    luma=LUMA_FOUR_DIGITS,
    value_range="signed",
    measure="log_amplitude",
    epsilon=1e-8,
    rings=_DURALL_RINGS,
    normalise="minmax",
)

JUNG2021 = ProfileConvention(
    summary="luma of [0, 1], 20 ln(|F|^2 + 1e-8), mean over all rings of the half plane, min-max per image",
    source="Jung & Keuper AAAI 2021, arXiv 2012.03110, steffen-jung/SpectralGAN 497cc04",
    luma=LUMA_BT601,
    value_range="unit",
    measure="log_power",
    epsilon=1e-8,
    rings=RingRule(plane="half"),
    normalise="minmax",
)

SSDGAN2021 = ProfileConvention(
    summary="luma of [-1, 1], ln of the guarded modulus, ring 0 and the last two dropped, min-max per image",
    source="Chen et al. AAAI 2021 (SSD-GAN), arXiv 2012.05535, cyq373/SSD-GAN 0e5ef6e",
    luma=LUMA_FOUR_DIGITS,
    value_range="signed",
    measure="log_guarded",
    epsilon=1e-8,
    rings=RingRule(first=1, last=2),
    normalise="minmax",
)

SCHWARZ2021 = ProfileConvention(
    summary="every channel of [-1, 1], linear |F|^2, mean over rings of the odd grid, averaged over channels",
    source="Schwarz et al. NeurIPS 2021, arXiv 2111.02447, autonomousvision/frequency_bias 1bd267e",
    luma=None,
    value_range="signed",
    measure="raw_power",
    rings=RingRule(plane="odd"),
)

CORVI2023 = ProfileConvention(
    summary="standardised per image, share of the power in each ring of nearest radius; shares add up to 1",
    source="Corvi et al. CVPRW 2023, arXiv 2304.06408, grip-unina/SyntheticImagesAnalysis 061414b",
    luma=None,
    value_range="standardised",
    measure="power",
    rings=RingRule(unit="cycles", rounding="nearest"),
    reduction="fraction",
)

CONVENTIONS: dict[str, ProfileConvention] = {
    "ganlab": GANLAB,
    "durall2019": DURALL2019,
    "durall2020": DURALL2020,
    "jung2021": JUNG2021,
    "ssdgan2021": SSDGAN2021,
    "schwarz2021": SCHWARZ2021,
    "corvi2023": CORVI2023,
}
