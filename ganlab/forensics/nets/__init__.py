"""Neural detectors: one file a network, one trainer for all, behind scikit-learn's interface."""
