"""Sensor forensics: noise residuals compared with the mean residual of each class, plain or filtered.

The filter leaves no lines and no periods. Source: Chen, Fridrich, Goljan, Lukas, IEEE Trans. Information
Forensics and Security 3(1), 2008, in the form of RUB-SysSec/GANDCTAnalysis (``baselines/prnu_functions.py``):
rows and columns of mean 0 on each of the four lattices of every second pixel, then a Wiener filter of the
spectrum that takes away what stands out of its surroundings. Both were made to remove what all cameras of a
kind share. In a generated image that is the trace of upsampling: a checkerboard is constant on each lattice,
and is gone after the first step.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from ganlab.forensics.detectors.prepare import Calibrated, Floats, Labels, Planes, preparation

WINDOWS = (3, 5, 7, 9)


def sensor_filter(planes: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Residuals ``(N, H, W)`` without lines and periods, float64.

    The windows of the Wiener filter wrap around, as the spectrum does (the program cited pads with zeros).
    """
    flat = np.array(planes, np.float64)
    for row in range(min(2, flat.shape[1])):
        for column in range(min(2, flat.shape[2])):
            # a view: rows and columns of this lattice get mean 0
            lattice = flat[:, row::2, column::2]
            means = lattice.mean(1, keepdims=True) + lattice.mean(2, keepdims=True)
            lattice[:] = lattice - means + lattice.mean((1, 2), keepdims=True)
    variance = flat.var((1, 2), keepdims=True)
    spectrum = np.fft.fft2(flat)
    power = np.abs(spectrum) ** 2 / flat[0].size
    local = np.min([uniform_filter(power, (0, size, size), mode="wrap") for size in WINDOWS], axis=0)
    total = np.maximum(local, variance)
    # an image of one value has no power at all, and nothing to divide
    share = np.divide(variance, total, out=np.ones_like(total), where=total > 0)
    filtered: npt.NDArray[np.float64] = np.fft.ifft2(spectrum * share).real
    return filtered


def unit_rows(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Every row with mean 0 and norm 1; a constant row becomes 0."""
    centred = values - values.mean(1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = centred / np.where(norm > 1e-12, norm, 1.0)
    return scaled


class Patterns(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Normalised cross-correlation of a residual with the mean residual of each class."""

    def fit(self, features: Floats, labels: Labels) -> Self:
        """Average the residuals of each class, then normalise."""
        self.classes_ = np.unique(labels)
        means = np.stack([features[labels == label].mean(0, dtype=np.float64) for label in self.classes_])
        self.patterns_ = self._unit(means)
        return self

    def _unit(self, residuals: Floats) -> npt.NDArray[np.float64]:
        """Residuals as rows of mean 0 and norm 1."""
        return unit_rows(np.asarray(residuals, np.float64))

    def decision_function(self, features: Floats) -> Floats:
        """Correlation with each class ``(N, K)``; of two classes the difference ``(N,)``."""
        correlation: Floats = self._unit(features) @ self.patterns_.T
        return correlation[:, 1] - correlation[:, 0] if len(self.classes_) == 2 else correlation

    def predict(self, features: Floats) -> Labels:
        """The class with the largest correlation."""
        chosen: Labels = self.classes_[(self._unit(features) @ self.patterns_.T).argmax(1)]
        return chosen


class SensorPatterns(Patterns):
    """The same of residual planes ``(N, H, W)``, with images and means passed through `sensor_filter`."""

    def _unit(self, residuals: Floats) -> npt.NDArray[np.float64]:
        self.plane_ = (residuals.shape[1], residuals.shape[2])
        return unit_rows(sensor_filter(residuals).reshape(len(residuals), -1))


def prnu(seed: int = 0) -> Pipeline:
    """Correlation with each class's mean noise residual, calibrated; made for the feature "residual"."""
    return Pipeline([*preparation(standardise=False), ("classify", Calibrated(Patterns(), seed))])


def prnu_sensor(seed: int = 0) -> Pipeline:
    """The same with sensor forensics' filters against lines and periods (Frank 2020's PRNU)."""
    return Pipeline([("planes", Planes()), ("classify", Calibrated(SensorPatterns(), seed))])
