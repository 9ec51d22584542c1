"""``ganlab spectra``: mean spectra of real and fake sets; figures, numbers and deviations."""
