"""What a comparison of spectra is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.spectra import CONVENTIONS, WINDOWS

METRICS = ("all", "basic")
PUBLISHED = {
    "corvi2023": "shares of the power by radius and by direction, autocorrelation of median residuals",
    "stylegan3": "whitened spectra on a padded grid, and their slices at 0 and 45 degrees",
    "wang2020": "mean spectrum of median residuals, averaged as complex numbers",
    "frank2020": "logarithm of the mean DCT coefficients of images in 0..255",
}
"""Published figures that can be drawn beside ganlab's own: name -> what they show."""


@dataclass(frozen=True)
class SpectraOptions:
    """Options of ``compare_spectra``.

    Attributes:
        convention: a key of ``ganlab.spectra.CONVENTIONS`` for the radial figure. Deviations are always those
            of the "ganlab" convention, in dB.
        window: a key of ``ganlab.spectra.WINDOWS``, applied to every image before its FFT. The command
            ``ganlab spectra`` has "hann" as its default, this class, like the library, "none".
        bootstrap: resamples for the intervals, the null control and the permutation tests; 0 for none.
        metrics: "all" deviations of ``ganlab.spectra``, or the "basic" ones, which take a few seconds less a
            set: differences of the power profiles and peaks at the replica frequencies.
        seed: of the resampling and of the null control.
        published: keys of ``PUBLISHED``, drawn as well; each has a window of its own.
        force: replace a results folder of an earlier comparison.
        command: the command line to record, if there was one.
    """

    convention: str = "ganlab"
    window: str = "none"
    bootstrap: int = 1000
    metrics: str = "all"
    seed: int = 0
    published: tuple[str, ...] = ()
    force: bool = False
    command: str | None = None

    def __post_init__(self) -> None:
        lookup(CONVENTIONS, self.convention, "profile convention")
        lookup(WINDOWS, self.window, "window")
        lookup(dict.fromkeys(METRICS), self.metrics, "choice of metrics")
        for name in self.published:
            lookup(PUBLISHED, name, "published figure")
        if self.bootstrap < 0 or self.seed < 0:
            raise GanlabError(
                f"bootstrap and seed are 0 or more; got bootstrap {self.bootstrap}, seed {self.seed}"
            )

    def identity(self) -> dict[str, Any]:
        """The options that the results depend on."""
        return {key: value for key, value in asdict(self).items() if key not in ("force", "command")}
