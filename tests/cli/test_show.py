"""``ganlab show``, ``ganlab list``, ``ganlab schema``."""

import json

import pytest

from ganlab.cli.list_ import KINDS
from ganlab.cli.show import derived
from ganlab.config import json_schema, load, loads, preset_names
from ganlab.config.names import REGISTRIES, names


def test_show_prints_a_configuration_that_loads_back(ganlab):
    result = ganlab(
        "show", "dcgan32", "model.upsampling=[nearest, nearest, transposed]", "training.steps=2e3"
    )
    assert result.code == 2
    assert "training.steps: got 2000.0; expected an integer >= 1" in result.stderr
    result = ganlab("show", "dcgan32", "model.upsampling=[nearest, nearest, transposed]")
    assert result.code == 0
    assert result.stderr == ""
    assert loads(result.stdout) == load("dcgan32", ["model.upsampling=[nearest, nearest, transposed]"])


def test_show_prints_warnings_on_standard_error(ganlab, tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: dcgan32\nloss:\n  penalty_weight: 3\n")
    result = ganlab("show", "mine.yaml")
    assert result.code == 0
    assert result.stderr == "warning: mine.yaml:3: loss.penalty_weight: has no effect: loss.penalty is none\n"


def test_show_reports_everything_at_once(ganlab):
    result = ganlab("show", "dcgan32", "optimizer.lr=0", "seeds=1", "model.upsampling=nearets")
    assert result.code == 2
    assert result.stderr.startswith("error: 3 things are wrong with the configuration:\noverride '")
    assert len(result.stderr.splitlines()) == 4


def test_derived_lines():
    assert derived(load("dcgan32", ["model.upsampling={name: nearest, last: transposed}"])) == [
        "generator",
        "stage 1: 4 -> 8 px, 128 -> 64 channels, nearest",
        "stage 2: 8 -> 16 px, 64 -> 32 channels, nearest",
        "stage 3: 16 -> 32 px, 32 -> RGB channels, transposed",
        "discriminator: widths 32, 64, 128; no spectral norm, normalisation batch",
    ]


def test_spectral_lines():
    config = load(
        "dcgan32",
        [
            "model.spectral_discriminator={head: nonlinear, ratio: 3}",
            "loss.spectral=[{kind: sliced, weight: 0.5}, "
            "{kind: radial_profile, as_released: true, name: paper}]",
        ],
    )
    assert derived(config)[-3:] == [
        "spectral discriminator: nonlinear on radial (jung2021); errors, weight 0.75",
        "spectral loss: sliced, weight 0.5",
        "spectral loss: paper, weight 1, as released (no gradient through the spectrum)",
    ]


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_shown(ganlab, preset):
    result = ganlab("show", preset)
    assert (result.code, result.stderr) == (0, "")
    assert loads(result.stdout) == load(preset)


def test_list_names_everything(ganlab):
    result = ganlab("list")
    assert result.code == 0
    for kind in set(REGISTRIES) - {"discriminators"}:
        for name in names(kind):
            assert f"\n  {name} " in result.stdout
    for preset in preset_names():
        assert f"\n  {preset} " in result.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_list_one_kind(ganlab, kind):
    lines = ganlab("list", kind).stdout.splitlines()
    expected = preset_names() if kind == "presets" else names(kind)
    assert lines[0] == KINDS[kind] + (":" if expected else ": none")
    assert tuple(line.split()[0] for line in lines[1:] if line and not line.startswith("   ")) == expected


def test_every_published_method_is_listed_with_its_trap(ganlab):
    text = ganlab("list", "methods").stdout
    assert text.count("    trap: ") == len(names("methods"))
    assert "trap: its CelebA fakes are 128x128" in text


def test_list_an_unknown_kind(ganlab):
    result = ganlab("list", "upsampler")
    assert result.code == 2
    assert result.stderr.endswith("did you mean 'upsamplers'?\n")


def test_schema_is_json(ganlab):
    assert json.loads(ganlab("schema").stdout) == json.loads(json.dumps(json_schema()))
