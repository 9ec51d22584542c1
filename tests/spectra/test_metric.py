"""Spectral deviation in other people's loops: as torchmetrics has its metrics."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch
from torchmetrics import Metric, MetricCollection

from ganlab.errors import GanlabError
from ganlab.spectra import SpectralDeviation, SpectrumAccumulator, spectral_deviation
from ganlab.upsampling import interpolate2x


def images(seed, count=24):
    return (torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) / 4).clamp(-1, 1)


def fakes(seed, count=24):
    return interpolate2x(images(seed, count)[..., :8, :8], "nearest")


def test_it_is_the_function_whatever_the_batches():
    real, fake = images(0), fakes(1)
    expected = spectral_deviation(real, fake, metrics=("mean_db", "high_excess_db"), resamples=0)
    metric = SpectralDeviation()
    for start in range(0, 24, 10):
        metric.update(real[start : start + 10], real=True)
        metric(fake[start : start + 10], real=False)
    found = metric.compute()
    assert set(found) == {"mean_db", "high_excess_db"}
    for name, value in found.items():
        assert value.ndim == 0
        assert float(value) == pytest.approx(expected[name].value, rel=1e-6)


def test_reset_collection_and_device_moves():
    collection = MetricCollection({"spectrum": SpectralDeviation(("mean_db",), reset_real_features=False)})
    collection.update(images(0), real=True)
    collection.update(fakes(1), real=False)
    first = collection.compute()
    assert list(first) == ["mean_db"] or list(first) == ["spectrum_mean_db"]
    collection.reset()
    collection.to("cpu")
    with pytest.raises(GanlabError, match="no generated images"):
        collection.compute()
    collection.update(fakes(1), real=False)
    assert collection.compute() == first


def test_state_travels_with_a_checkpoint():
    metric = SpectralDeviation(("mean_db",), size=(16, 16))
    metric.update(images(0), real=True)
    metric.update(fakes(1), real=False)
    other = SpectralDeviation(("mean_db",), size=(16, 16))
    other.load_state_dict(metric.state_dict())
    assert float(other.compute()["mean_db"]) == float(metric.compute()["mean_db"])


def test_wrong_use_is_said():
    with pytest.raises(GanlabError, match="unknown deviation"):
        SpectralDeviation(("mean",))
    metric = SpectralDeviation()
    with pytest.raises(GanlabError, match="no real images were added"):
        metric.compute()
    metric.update(images(0), real=True)
    with pytest.raises(GanlabError, match="cannot be added"):
        metric.update(torch.zeros(2, 3, 8, 8), real=True)


def test_it_pickles_and_is_a_metric_that_waits_for_torchmetrics():
    metric = SpectralDeviation(("mean_db",), size=(16, 16))
    assert isinstance(metric, Metric)
    metric.update(images(0), real=True)
    metric.update(fakes(1), real=False)
    assert pickle.loads(pickle.dumps(metric)).compute() == metric.compute()
    # A process of its own: here torchmetrics has been imported.
    code = "import sys, ganlab.spectra as s; s.spectral_deviation; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_under_lightning():
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.metric = SpectralDeviation(("mean_db",))
            self.layer = torch.nn.Linear(1, 1)

        def validation_step(self, batch, index):
            self.metric.update(batch[0], real=True)
            self.metric.update(fakes(index), real=False)

        def on_validation_epoch_end(self):
            self.log_dict(self.metric.compute())
            self.metric.reset()

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images(0)), batch_size=12)
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    found = trainer.validate(Module(), loader, verbose=False)[0]
    expected = spectral_deviation(
        images(0), torch.cat([fakes(0), fakes(1)]), metrics=("mean_db",), resamples=0
    )
    assert found["mean_db"] == pytest.approx(expected["mean_db"].value, rel=1e-5)


def test_one_name_is_enough():
    assert SpectralDeviation("mean_db").metrics == ("mean_db",)
    assert SpectrumAccumulator(conventions="jung2021").settings.conventions == ("jung2021",)
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    assert list(spectral_deviation(images, images, 0, metrics="mean_db")) == ["mean_db"]
