"""The honest part: image identities, splits, guards, metrics with intervals, null controls."""
