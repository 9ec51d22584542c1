"""From sets and runs to results folders: spectra compared, plans of many runs, reports, the quickstart."""
