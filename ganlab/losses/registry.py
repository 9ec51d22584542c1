"""Name -> adversarial loss, name -> penalty."""

from __future__ import annotations

from ganlab.losses.adversarial import AdversarialLoss, Hinge, LeastSquares, NonSaturating, Wasserstein
from ganlab.losses.penalties import R1, Dragan, NoPenalty, Penalty, WganGp

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
