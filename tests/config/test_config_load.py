"""Finding files, presets and run folders; ``extends``; overrides."""

import pytest

from ganlab.config import ConfigError, Resolved, dump, from_mapping, load, loads, preset_names, resolve


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, name, text):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return name


def message(source, overrides=()):
    with pytest.raises(ConfigError) as caught:
        load(source, overrides)
    return str(caught.value)


def test_a_file(folder):
    name = write(folder, "a.yaml", "model: {upsampling: nearest}\noptimizer: {lr: 1e-3}\n")
    config = load(name)
    assert (config.model.upsampling.name, config.optimizer.lr) == ("nearest", 1e-3)
    assert load(folder / name) == config


def test_resolved_knows_its_name_and_origins(folder):
    write(folder, "mine.yaml", "model:\n  upsampling: nearest\n")
    found = resolve("mine.yaml", ["optimizer.lr=1"])
    assert isinstance(found, Resolved)
    assert found.name == "mine"
    assert str(found.origins["model", "upsampling"]) == "mine.yaml:2"
    assert str(found.origins["optimizer", "lr"]) == "override 'optimizer.lr=1'"
    assert resolve("dcgan32").name == "dcgan32"


def test_a_run_folder(folder):
    config = load("dcgan32", ["training.steps=7"])
    write(folder, "runs/one/config.yaml", dump(config))
    assert load("runs/one") == config
    assert resolve("runs/one").name == "one"


def test_a_preset_name_wins_over_a_folder_of_that_name(folder):
    write(folder, "dcgan32/config.yaml", "model: {upsampling: bilinear}")
    assert load("dcgan32").model.upsampling.name == "transposed"
    assert load("./dcgan32").model.upsampling.name == "bilinear"


def test_missing_sources_list_what_is_there(folder):
    write(folder, "mine.yaml", "")
    text = message("mein.yaml")
    assert "no such configuration 'mein.yaml'" in text
    assert "mine.yaml" in text
    assert text.endswith("did you mean 'mine.yaml'?")
    for name in preset_names():
        assert name in text
    assert message("dcgan46").endswith("did you mean 'dcgan64'?")
    assert "no such configuration" in message("")
    assert message("").startswith("'': ")
    assert "no such configuration" in message("a" * 5000)
    assert "no such configuration" in message("a\0b")
    (folder / "empty").mkdir()
    assert "holds no config.yaml, so it is no run folder" in message("empty")


def test_an_empty_file_says_what_is_missing(folder):
    assert "model: missing; expected a section with the keys" in message(
        write(folder, "a.yaml", "# nothing\n")
    )


@pytest.mark.parametrize("text", ["- a\n- b", "just text", "3"])
def test_the_top_level_is_a_mapping(folder, text):
    assert "expected keys such as model:" in message(write(folder, "a.yaml", text))


def test_text_that_is_not_utf8(folder):
    (folder / "a.yaml").write_bytes(b"out: \xff\xfe")
    assert "a.yaml cannot be read: it is not UTF-8 text (byte 5)" in message("a.yaml")


def test_an_unreadable_file(folder, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    write(folder, "a.yaml", "")
    monkeypatch.setattr("ganlab.util.reading.open_regular", refuse)
    assert "cannot be read: Permission denied" in message("a.yaml")


def test_extends_a_preset_and_merges_deeply(folder):
    write(
        folder,
        "a.yaml",
        "extends: sngan32-pfnet\nmodel: {generator: {width: 64}}\noptimizer: {betas: [0, 0.99]}",
    )
    config, parent = load("a.yaml"), load("sngan32-pfnet")
    assert config.model.generator.width == 64
    assert config.model.generator.z_dim == parent.model.generator.z_dim
    assert config.optimizer.betas == (0, 0.99)
    assert config.optimizer.schedule == "linear"


def test_extends_is_relative_to_the_file_and_goes_up_several_steps(folder):
    write(folder, "base/a.yaml", "model: {upsampling: nearest}\nseed: 1\n")
    write(folder, "base/b.yaml", "extends: a.yaml\nseed: 2\n")
    write(folder, "own/c.yaml", "extends: ../base/b.yaml\ntraining: {steps: 5}\n")
    config = load("own/c.yaml")
    assert (config.seed, config.training.steps, config.model.upsampling.name) == (2, 5, "nearest")


def test_a_short_form_replaces_the_parents_mapping(folder):
    write(folder, "a.yaml", "model: {upsampling: {name: nearest, kernel: 5, tail: {convs: 2}}}")
    write(folder, "b.yaml", "extends: a.yaml\nmodel: {upsampling: bilinear}")
    write(folder, "c.yaml", "extends: a.yaml\nmodel: {upsampling: {name: bilinear}}")
    write(folder, "d.yaml", "extends: b.yaml\nmodel: {upsampling: {kernel: 7}}")
    assert load("b.yaml").model.upsampling.model_dump(exclude_defaults=True) == {"name": "bilinear"}
    assert load("c.yaml").model.upsampling.kernel == 5
    assert load("d.yaml").model.upsampling.model_dump(exclude_defaults=True) == {
        "name": "bilinear",
        "kernel": 7,
    }


def test_null_replaces_an_optional_section(folder):
    write(folder, "a.yaml", "model: {upsampling: {name: nearest, tail: {convs: 2}}}")
    write(folder, "b.yaml", "extends: a.yaml\nmodel: {upsampling: {tail: null}}")
    assert load("b.yaml").model.upsampling.tail is None


def test_errors_name_the_file_that_set_the_value(folder):
    write(folder, "a.yaml", "model:\n  upsampling: nearest\n  image_size: 33\n")
    write(folder, "b.yaml", "extends: a.yaml\nseed: -1\n")
    text = message("b.yaml", ["optimizer.lr=0"])
    assert "a.yaml:3: model.image_size: got 33" in text
    assert "b.yaml:2: seed: got -1" in text
    assert "override 'optimizer.lr=0': optimizer.lr: got 0" in text


def test_extends_in_a_circle(folder):
    write(folder, "a.yaml", "extends: b.yaml")
    write(folder, "b.yaml", "seed: 3\nextends: a.yaml")
    text = message("a.yaml")
    assert "b.yaml:2: extends: goes round in a circle: a.yaml -> b.yaml -> a.yaml" in text
    assert "circle" in message(write(folder, "c.yaml", "extends: ./c.yaml"))


def test_extends_something_missing(folder):
    text = message(write(folder, "a.yaml", "seed: 1\nextends: dcgan23\n"))
    assert text.startswith("a.yaml:2: extends: no such configuration 'dcgan23'")
    assert text.endswith("did you mean 'dcgan32'?")


@pytest.mark.parametrize("value", ["[a.yaml, b.yaml]", "3", "null", "{a: b}"])
def test_extends_names_one_parent(folder, value):
    assert "a.yaml:1: extends: got" in message(write(folder, "a.yaml", f"extends: {value}\n"))


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("optimizer.lr=2e-4", "lr", 2e-4),
        ("optimizer.lr = 1E-3", "lr", 1e-3),
        ("optimizer.betas=[0, .9]", "betas", (0, 0.9)),
        ("optimizer.lr_discriminator=", "lr_discriminator", None),
        ("optimizer={lr: 1, schedule: linear}", "schedule", "linear"),
    ],
)
def test_overrides_are_yaml(override, key, value):
    assert getattr(load("dcgan32", [override]).optimizer, key) == value


def test_later_overrides_win_and_text_may_hold_equals_signs():
    config = load("dcgan32", ["seed=1", "seed=2", "out=runs/a=b"])
    assert (config.seed, config.out) == (2, "runs/a=b")


def test_overrides_of_a_short_form():
    upsampling = load("dcgan32", ["model.upsampling=[nearest,nearest,transposed]"]).model.upsampling
    assert upsampling.name == ("nearest", "nearest", "transposed")
    assert load("dcgan32", ["model.upsampling.kernel=5"]).model.upsampling.name == "transposed"
    tail = load("dcgan32", ["model.upsampling.tail.activation=relu"]).model.upsampling.tail
    assert tail is not None
    assert tail.activation == "relu"


def test_overrides_from_a_program():
    changes = {"model.upsampling": ["nearest", "nearest", "bilinear"], "training": {"steps": 3}}
    config = load("dcgan32", changes)
    assert config.model.upsampling.name == ("nearest", "nearest", "bilinear")
    assert config.training.steps == 3
    assert "override 'training.steps': training.steps: got 0" in message("dcgan32", {"training.steps": 0})


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("optimizer.lr", "expected key.path=value, for example optimizer.lr=1e-4"),
        ("=3", "expected key.path=value"),
        ("optimizer.betas=[0, .9", "the value is not valid YAML"),
        ("training.lr=1", "unknown key; expected one of steps"),
        ("training.lr=1", "did you mean 'optimizer.lr'?"),
        ("lr=1", "did you mean 'optimizer.lr'?"),
        ("model.upsampler=nearest", "did you mean 'upsampling'?"),
        ("optimiser.lr=1", "did you mean 'optimizer'?"),
        ("seed.x=1", "seed: got a section; expected an integer >= 0"),
        ("data={a: 1, a: 2}", "duplicate key"),
        ("model.generator.width=2.5", "got 2.5; expected an integer >= 1 and <= 65536 or null"),
        ("data.flip=yes", "got text 'yes'; expected true or false"),
    ],
)
def test_wrong_overrides(override, part):
    text = message("dcgan32", [override])
    assert text.startswith(f"override '{override}'")
    assert part in text


def test_everything_wrong_is_reported_at_once(folder):
    write(folder, "a.yaml", "seed: -1\nseed: 2\nmodel: {image_size: 40}\nloss: {adversarial: hing}\n")
    text = message("a.yaml", ["optimizer.lr=x", "nonsense", "training.batch=3"])
    lines = text.splitlines()
    assert lines[0] == "7 things are wrong with the configuration:"
    assert len(lines) == 8
    for part in (
        "seed: duplicate",
        "model.upsampling: missing",
        "optimizer.lr",
        "nonsense",
        "training.batch",
    ):
        assert part in text


def test_checks_across_keys_are_reported_beside_wrong_values(folder):
    write(folder, "a.yaml", "model: {upsampling: neares, image_size: 40}\noptimizer: {lr: fast}\n")
    text = message("a.yaml")
    assert "a.yaml:1: model.image_size: got 40" in text
    assert "a.yaml:1: model.upsampling.name: unknown upsampler 'neares'" in text
    assert "a.yaml:2: optimizer.lr: got text 'fast'" in text


def test_a_wrong_value_does_not_cause_second_errors():
    text = message("dcgan32", ["training.steps=none", "training.ema_start=20000", "optimizer.decay_start=9"])
    assert len(text.splitlines()) == 1


def test_loads_and_from_mapping():
    text = loads("extends: dcgan32\nmodel: {upsampling: [nearest, nearest, bilinear]}", ["seed=3"])
    value = {"extends": "dcgan32", "model": {"upsampling": ["nearest", "nearest", "bilinear"]}}
    assert text == from_mapping(value, ["seed=3"])
    with pytest.raises(ConfigError, match=r"^mapping: seed: got -1"):
        from_mapping({"model": {"upsampling": "nearest"}, "seed": -1})
    with pytest.raises(ConfigError, match=r"^text:2: seed: got -1"):
        loads("model: {upsampling: nearest}\nseed: -1")
    assert from_mapping(text.model_dump()) == text
    assert value["extends"] == "dcgan32"


def test_spelling_of_loss_names():
    loss = load("dcgan32", ["loss.adversarial=Non-Saturating", "loss.penalty=wgan-gp"]).loss
    assert (loss.adversarial, loss.penalty) == ("non_saturating", "wgan_gp")
