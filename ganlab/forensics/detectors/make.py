"""From a name and options to an estimator."""

from __future__ import annotations

from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.registry import DETECTORS


def make_detector(name: str, seed: int = 0, **options: Any) -> Any:
    """An unfitted detector with scikit-learn's ``fit(features, labels)`` and ``predict_proba(features)``.

    Args:
        name: a key of ``DETECTORS``.
        seed: of everything it draws.
        options: of the detector.

    Raises:
        GanlabError: unknown name or option.
    """
    factory = lookup(DETECTORS, name, "detector")
    try:
        return factory(seed=seed, **options)
    except TypeError as error:
        raise GanlabError(f"detector {name!r}: {error}") from error
