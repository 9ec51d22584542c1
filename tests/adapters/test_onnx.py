"""ONNX files: real exports, with a batch that is fixed and one that is not."""

import json

import pytest
import torch
from torch import nn

import ganlab
from ganlab.adapters import load_generator
from ganlab.errors import GanlabError

pytestmark = pytest.mark.filterwarnings("ignore")


class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(3, 6)
        self.net = nn.Sequential(
            nn.Unflatten(1, (6, 1, 1)), nn.ConvTranspose2d(6, 4, 4), nn.Upsample(scale_factor=2)
        )
        self.out = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, z, label):
        return torch.sigmoid(self.out(self.net(z + self.embed(label))))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.ConvTranspose2d(6, 4, 4),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 3, 4, 2, 1),
        nn.Tanh(),
    ).eval()


def export(module, inputs, path, **options):
    # The older exporter: the newer one needs a package more.
    torch.onnx.export(module, inputs, str(path), dynamo=False, **options)
    return path


@pytest.mark.parametrize("fixed", [True, False])
def test_an_export_makes_the_images_of_its_module(tmp_path, fixed):
    module = network()
    axes = {} if fixed else {"dynamic_axes": {"z": {0: "n"}, "image": {0: "n"}}}
    path = export(module, (torch.randn(3, 6, 1, 1),), tmp_path / "net.onnx",
                  input_names=["z"], output_names=["image"], **axes)  # fmt: skip
    generator = load_generator(path)
    assert generator.fixed_batch == (3 if fixed else None)
    expected = ganlab.wrap(module, (6, 1, 1)).sample(5, 0, 8)
    assert torch.allclose(generator.sample(5, 0, 8), expected, atol=1e-5)
    # Image 4 alone is what it is among others, also where three are always computed together.
    assert torch.equal(generator.sample(5, 4, 1), generator.sample(5, 2, 4)[2:3])
    assert generator.about["adapter"] == "onnx"
    difference = ganlab.compare_generators(ganlab.wrap(module, (6, 1, 1)), generator)
    assert difference.pixels < 1e-4


def test_labels_ranges_and_open_shapes_come_from_the_side_file(tmp_path):
    module = Conditional().eval()
    inputs = (torch.randn(2, 6), torch.tensor([0, 1]))
    axes = {"z": {0: "n", 1: "length"}, "label": {0: "n"}, "image": {0: "n"}}
    path = export(module, inputs, tmp_path / "net.onnx",
                  input_names=["z", "label"], output_names=["image"], dynamic_axes=axes)  # fmt: skip
    with pytest.raises(GanlabError, match=r"leaves the shape of its input open.*net\.onnx\.json"):
        load_generator(path)
    side = tmp_path / "net.onnx.json"
    side.write_text(json.dumps({"latent": 6, "labels": 3, "value_range": [0, 1]}))
    expected = ganlab.wrap(module, 6, labels=3, value_range=(0, 1)).sample(0, 0, 4)
    assert torch.allclose(load_generator(f"onnx:{path}").sample(0, 0, 4), expected, atol=1e-5)
    side.write_text(json.dumps({"latent": 6}))
    with pytest.raises(GanlabError, match="takes z, label and got 1"):
        load_generator(path).sample(0, 0, 4)


def test_what_is_no_onnx_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(GanlabError, match=r"net\.onnx is no readable ONNX file"):
        load_generator(path)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(GanlabError, match=r'pip install "ganlab\[onnx\]"'):
        load_generator(path)


@pytest.mark.slow
def test_a_probe_of_an_export_sees_its_lattice(tmp_path):
    faulty = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 3, 2, 1, 1), nn.Tanh()
    )
    path = export(faulty.eval(), (torch.randn(2, 4, 16, 16),), tmp_path / "net.onnx",
                  input_names=["z"], output_names=["image"], dynamic_axes={"z": {0: "n"}})  # fmt: skip
    report = ganlab.probe_generator(load_generator(path))
    assert not report.ok
    assert report.of("structure")[0].period == 2
