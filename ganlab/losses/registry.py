"""Name -> adversarial loss, name -> penalty, name -> spectral loss."""

from __future__ import annotations

from ganlab.losses.adversarial import (
    R1,
    R1R2,
    AdversarialLoss,
    Dragan,
    Hinge,
    LeastSquares,
    NonSaturating,
    NoPenalty,
    Penalty,
    Relativistic,
    Wasserstein,
    WganGp,
)
from ganlab.losses.spectral import (
    AxisProfileLoss,
    FocalFrequencyLoss,
    FrechetProfileLoss,
    LogPowerLoss,
    SlicedProfileLoss,
    SpectralLoss,
    SpectralRegularization,
)

ADVERSARIAL: dict[str, type[AdversarialLoss]] = {
    "hinge": Hinge,
    "non_saturating": NonSaturating,
    "least_squares": LeastSquares,
    "wasserstein": Wasserstein,
    "relativistic": Relativistic,
}

PENALTIES: dict[str, type[Penalty]] = {
    "none": NoPenalty,
    "wgan_gp": WganGp,
    "dragan": Dragan,
    "r1": R1,
    "r1_r2": R1R2,
}

SPECTRAL: dict[str, type[SpectralLoss]] = {
    "radial_profile": SpectralRegularization,
    "axis_profiles": AxisProfileLoss,
    "log_power": LogPowerLoss,
    "focal_frequency": FocalFrequencyLoss,
    "sliced": SlicedProfileLoss,
    "frechet": FrechetProfileLoss,
}
