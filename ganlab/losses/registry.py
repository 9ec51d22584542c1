"""Name -> adversarial loss, name -> penalty, name -> spectral loss."""

from __future__ import annotations

from ganlab.losses.adversarial import AdversarialLoss, Hinge, LeastSquares, NonSaturating, Wasserstein
from ganlab.losses.penalties import R1, Dragan, NoPenalty, Penalty, WganGp
from ganlab.losses.spectral import (
    AxisProfileLoss,
    FrechetProfileLoss,
    SlicedProfileLoss,
    SpectralRegularization,
)
from ganlab.losses.spectral_base import SpectralLoss
from ganlab.losses.spectral_plane import FocalFrequencyLoss, LogPowerLoss

ADVERSARIAL: dict[str, type[AdversarialLoss]] = {
    "hinge": Hinge,
    "non_saturating": NonSaturating,
    "least_squares": LeastSquares,
    "wasserstein": Wasserstein,
}

PENALTIES: dict[str, type[Penalty]] = {
    "none": NoPenalty,
    "wgan_gp": WganGp,
    "dragan": Dragan,
    "r1": R1,
}

SPECTRAL: dict[str, type[SpectralLoss]] = {
    "radial_profile": SpectralRegularization,
    "axis_profiles": AxisProfileLoss,
    "log_power": LogPowerLoss,
    "focal_frequency": FocalFrequencyLoss,
    "sliced": SlicedProfileLoss,
    "frechet": FrechetProfileLoss,
}
