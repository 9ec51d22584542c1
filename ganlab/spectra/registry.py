"""Name -> profile convention. A new one is a constant in conventions.py and a line here."""

from __future__ import annotations

from ganlab.spectra.conventions import (
    CORVI2023,
    DURALL2019,
    DURALL2020,
    GANLAB,
    JUNG2021,
    SCHWARZ2021,
    SSDGAN2021,
    ProfileConvention,
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
