"""Writing, comparing and identifying configurations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.config import (
    Config,
    differences,
    dump,
    flat,
    from_mapping,
    identity,
    load,
    loads,
    preset_names,
)
from ganlab.config.dump import BYSTANDERS
from ganlab.config.tree import keys
from ganlab.config.yaml12 import load_yaml
from ganlab.util.hashing import sha256_json

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["off", "2e-4", "~", "null"]
)
count = st.integers(1, 2**31 - 1)
width = st.integers(1, 2**16)
path = text.filter(lambda value: "\0" not in value)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
beta = st.floats(0, 1, exclude_max=True)
odd = st.integers(0, 4).map(lambda n: 2 * n + 1)
name = st.sampled_from(["nearest", "bilinear", "transposed"])
tail = st.fixed_dictionaries({}, optional={"convs": st.integers(1, 5), "kernel": odd})
upsampling = st.fixed_dictionaries(
    {"name": name | st.lists(name, min_size=1, max_size=4).map(tuple)},
    optional={"last": st.none() | name, "kernel": odd, "icnr": st.booleans(), "tail": st.none() | tail},
)
network = st.fixed_dictionaries(
    {}, optional={"width": st.none() | width, "widths": st.none() | st.lists(width, max_size=5).map(tuple)}
)
sections = {
    "seed": st.integers(0, 2**31 - 1),
    "out": st.none() | path,
    "data": st.fixed_dictionaries(
        {},
        optional={"path": path, "flip": st.booleans(), "val_fraction": st.floats(0.01, 0.99), "source": text},
    ),
    "loss": st.fixed_dictionaries({}, optional={"penalty_weight": st.none() | positive}),
    "optimizer": st.fixed_dictionaries({}, optional={"lr": positive, "betas": st.tuples(beta, beta)}),
    "training": st.fixed_dictionaries(
        {}, optional={"steps": count, "ema_decay": beta, "compile": st.booleans()}
    ),
}
model = st.fixed_dictionaries({"upsampling": upsampling | name}, optional={"generator": network})
configs = st.fixed_dictionaries({"model": model}, optional=sections).map(Config.model_validate)


@given(configs)
def test_dump_is_read_back_equal(config):
    assert Config.model_validate(load_yaml(dump(config), "x")) == config


@pytest.mark.parametrize("preset", preset_names())
def test_presets_survive_dump_and_loads(preset):
    config = load(preset)
    assert loads(dump(config)) == config
    assert from_mapping(config.model_dump(mode="json")) == config


def test_dump_writes_every_field():
    sections = {
        "model.upsampling.tail": {},
        "model.spectral_discriminator": {},
        "loss.spectral": [{"kind": "sliced"}],
    }
    written = load_yaml(dump(load("dcgan32", sections)), "x")

    def paths(value, path=()):
        for key, item in value.items():
            yield (*path, key)
            if isinstance(item, dict):
                yield from paths(item, (*path, key))
            for index, part in enumerate(item if isinstance(item, tuple) else ()):
                yield from paths(part, (*path, key, index)) if isinstance(part, dict) else ()

    assert set(paths(written)) == set(keys())


def test_differences_name_the_key_and_both_values():
    a = load("dcgan32")
    b = load("dcgan32", ["model.upsampling={name: nearest, tail: {convs: 2}}", "optimizer.lr=1e-3"])
    found = differences(a, b)
    assert ("model.upsampling.name", "transposed", "nearest") in found
    assert ("model.upsampling.tail.convs", None, 2) in found
    assert ("optimizer.lr", 2e-4, 1e-3) in found
    assert {key for key, *_ in found} == {
        "model.upsampling.name",
        "model.upsampling.tail.convs",
        "model.upsampling.tail.kernel",
        "model.upsampling.tail.activation",
        "optimizer.lr",
    }
    assert differences(a, a) == []


@given(configs, configs)
def test_no_differences_means_equal(a, b):
    assert (differences(a, b) == []) == (a == b)
    assert (flat(a) == flat(b)) == (a == b)


@pytest.mark.parametrize(
    "override",
    [
        "out=x",
        "training.device=cuda",
        "training.threads=3",
        "logging.log_every=7",
        "data.cache=x",
        "data.download=true",
    ],
)
def test_bystanders_do_not_change_the_identity(override):
    assert identity(load("dcgan32", [override])) == identity(load("dcgan32"))


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "training.steps=3",
        "training.precision=bf16",
        "model.upsampling=nearest",
        "data.num_images=9",
    ],
)
def test_everything_else_does(override):
    assert identity(load("dcgan32", [override])) != identity(load("dcgan32"))


def test_identity_can_be_hashed_and_covers_all_but_the_bystanders():
    config = load("dcgan32")
    assert len(sha256_json(identity(config))) == 64
    left_out = set(flat(config)) - set(identity(config))
    assert left_out == {key for key in flat(config) if key.startswith(BYSTANDERS)}
