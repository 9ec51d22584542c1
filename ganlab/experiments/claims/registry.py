"""Every experiment by its name. A new one is a file with an `Experiment`, and a line here."""

from __future__ import annotations

from ganlab.experiments.claims import (
    chai2020,
    chandrasegaran2021,
    claim_discriminator,
    claim_last_stage,
    claim_notch,
    claim_remedies,
    claim_seeds,
    durall2019,
    durall2020,
    fingerprints,
    frank2020,
    guarnera2020,
    jung2021,
    lecture,
    schwarz2021,
    yu2019,
)
from ganlab.experiments.claims.outcome import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    "lecture": lecture.EXPERIMENT,
    "frank2020": frank2020.EXPERIMENT,
    "durall2019": durall2019.EXPERIMENT,
    "durall2020": durall2020.EXPERIMENT,
    "jung2021": jung2021.EXPERIMENT,
    "chandrasegaran2021": chandrasegaran2021.EXPERIMENT,
    "schwarz2021": schwarz2021.EXPERIMENT,
    "guarnera2020": guarnera2020.EXPERIMENT,
    "chai2020": chai2020.EXPERIMENT,
    "yu2019": yu2019.EXPERIMENT,
    "corvi2023": fingerprints.CORVI2023,
    "stylegan3": fingerprints.STYLEGAN3,
    "wang2020": fingerprints.WANG2020,
    "claim-discriminator": claim_discriminator.EXPERIMENT,
    "claim-last-stage": claim_last_stage.EXPERIMENT,
    "claim-notch": claim_notch.EXPERIMENT,
    "claim-remedies": claim_remedies.EXPERIMENT,
    "claim-seeds": claim_seeds.EXPERIMENT,
}
"""Name -> experiment, in the order of ``ganlab reproduce``."""
