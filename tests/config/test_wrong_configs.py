"""Many kinds of wrong configuration; each message names the line, the key, and what would be right."""

import pytest

from ganlab.config import ConfigError, load, loads

OK = "model: {upsampling: nearest}"

WRONG = {
    "unknown section": (f"{OK}\ntrainng: {{}}", "text:2: trainng: unknown key", "did you mean 'training'?"),
    "unknown key": (
        f"{OK}\ntraining: {{step: 3}}",
        "text:2: training.step: unknown key",
        "did you mean 'steps'?",
    ),
    "key of another section": (f"{OK}\nmodel2: 1", "text:2: model2", "did you mean 'model'?"),
    "missing model": ("seed: 1", "text:1: model: missing", "expected a section with the keys architecture"),
    "missing upsampling": ("seed: 1\nmodel: {}", "text:2: model.upsampling: missing", "name, last, kernel"),
    "missing name": (
        "model: {upsampling: {kernel: 3}}",
        "model.upsampling.name: missing",
        "one of transposed",
    ),
    "null section": (f"{OK}\ndata:", "text:2: data: got null", "expected a section"),
    "list for a section": (f"{OK}\nloss: [hinge]", "text:2: loss: got a list (text 'hinge')", "a section"),
    "text for a number": (f"{OK}\noptimizer: {{lr: fast}}", "optimizer.lr: got text 'fast'", "a number > 0"),
    "bool for an integer": (f"{OK}\nseed: true", "seed: got true", "an integer >= 0 and < 2147483648"),
    "float for an integer": (
        f"{OK}\ntraining: {{steps: 1e3}}",
        "training.steps: got 1000.0",
        "an integer >= 1",
    ),
    "number for text": (f"{OK}\nout: 5", "out: got 5", "text or null"),
    "yes for true": (f"{OK}\ndata: {{flip: yes}}", "data.flip: got text 'yes'", "true or false"),
    "not a number": (f"{OK}\noptimizer: {{lr: .nan}}", "optimizer.lr: got nan", "a number > 0"),
    "infinity": (f"{OK}\noptimizer: {{lr: .inf}}", "optimizer.lr: got inf", "a number > 0"),
    "overflow to infinity": (f"{OK}\noptimizer: {{lr: 1e999}}", "optimizer.lr: got inf", "a number > 0"),
    "negative weight": (
        f"{OK}\nloss: {{penalty: r1, penalty_weight: -1}}",
        "penalty_weight: got -1",
        "> 0 or null",
    ),
    "zero steps": (f"{OK}\ntraining: {{steps: 0}}", "training.steps: got 0", ">= 1"),
    "fraction of one": (
        f"{OK}\ndata: {{val_fraction: 1}}",
        "data.val_fraction: got 1",
        "a number > 0 and < 1",
    ),
    "beta of one": (f"{OK}\noptimizer: {{betas: [0, 1]}}", "optimizer.betas[1]: got 1", ">= 0 and < 1"),
    "one beta": (f"{OK}\noptimizer: {{betas: [0]}}", "optimizer.betas[1]: missing", "a number >= 0"),
    "three betas": (
        f"{OK}\noptimizer: {{betas: [0, 0, 0]}}",
        "optimizer.betas: got a list (0, 0, 0)",
        "a list of 2",
    ),
    "beta alone": (f"{OK}\noptimizer: {{betas: 0.5}}", "optimizer.betas: got 0.5", "a list of 2: a number"),
    "not a choice": (
        f"{OK}\ntraining: {{device: gpu}}",
        "training.device: got text 'gpu'",
        "one of auto, cpu, cuda",
    ),
    "too small": (
        "model: {upsampling: nearest, image_size: 4}",
        "model.image_size: got 4",
        ">= 8 and <= 1024",
    ),
    "number in a name list": (
        "model: {upsampling: [nearest, 3]}",
        "model.upsampling.name[1]: got 3",
        "one of",
    ),
    "number for a name": (
        "model: {upsampling: 3}",
        "model.upsampling: got 3",
        "a section with the keys name",
    ),
    "unknown upsampler": (
        "model: {upsampling: nearets}",
        "unknown upsampler 'nearets'",
        "did you mean 'nearest'?",
    ),
    "unknown in a list": (
        "model: {upsampling: [nearest, nearest, bilinaer]}",
        "model.upsampling.name[2]: unknown upsampler 'bilinaer'",
        "did you mean 'bilinear'?",
    ),
    "unknown last": (
        "model: {upsampling: {name: nearest, last: pixelshuffle}}",
        "model.upsampling.last: unknown upsampler",
        "did you mean 'pixel_shuffle'?",
    ),
    "unknown loss": (
        f"{OK}\nloss: {{adversarial: hing}}",
        "unknown adversarial loss 'hing'",
        "did you mean 'hinge'?",
    ),
    "unknown penalty": (
        f"{OK}\nloss: {{penalty: wgangp}}",
        "unknown penalty 'wgangp'",
        "did you mean 'wgan_gp'?",
    ),
    "unknown source": (
        f"{OK}\ndata: {{source: dead-leafs}}",
        "unknown data source",
        "did you mean 'dead_leaves'?",
    ),
    "unknown architecture": (
        "model: {upsampling: nearest, architecture: sgan}",
        "text:1: model.architecture: unknown architecture 'sgan'; expected one of",
        "did you mean 'sngan'?",
    ),
    "wrong tail": (
        "model: {upsampling: {name: nearest, tail: {conv: 2}}}",
        "model.upsampling.tail.conv: unknown key; expected one of convs, kernel, activation",
        "did you mean 'convs'?",
    ),
    "wrong width in a list": (
        "model: {upsampling: nearest, generator: {widths: [8, 0, 8]}}",
        "model.generator.widths[1]: got 0",
        "an integer >= 1",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_message(kind):
    text, *parts = WRONG[kind]
    with pytest.raises(ConfigError) as caught:
        loads(text)
    message = str(caught.value)
    assert message.startswith("text:"), message
    assert len(caught.value.faults) == 1, message
    for part in parts:
        assert part in message


def test_several_faults_keep_the_order_of_the_file():
    with pytest.raises(ConfigError) as caught:
        loads("optimizer: {lr: 0}\nseed: -1\nmodel: {upsampling: neares}\n")
    assert [fault.key for fault in caught.value.faults] == ["optimizer.lr", "seed", "model.upsampling.name"]
    assert [fault.origin.line for fault in caught.value.faults if fault.origin] == [1, 2, 3]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("training.batch_size", 10**30, "an integer >= 1 and <= 1048576"),
        ("training.threads", 2**40, "an integer >= 1 and <= 4096 or null"),
        ("training.steps", 10**400, "an integer >= 1 and <= 2147483647"),
        ("model.generator.z_dim", 2**64, "an integer >= 1 and <= 65536"),
        ("model.discriminator.width", 2**70, "an integer >= 1 and <= 65536 or null"),
        ("optimizer.decay_start", 10**30, "an integer >= 0 and <= 2147483647"),
    ],
)
def test_numbers_beyond_every_machine_are_refused_with_their_bounds(key, value, expected):
    with pytest.raises(ConfigError) as caught:
        load("dcgan32", {key: value})
    (fault,) = caught.value.faults
    assert fault.key == key
    assert fault.text.startswith("got ")
    assert fault.text.endswith(f"expected {expected}")


@pytest.mark.parametrize("key", ["out", "data.path", "data.cache"])
@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_texts_that_no_path_can_be_are_refused(key, text):
    with pytest.raises(ConfigError) as caught:
        load("dcgan32", {key: text})
    assert repr(text) in str(caught.value)


def test_of_very_many_faults_the_first_are_shown_and_the_others_counted():
    with pytest.raises(ConfigError) as caught:
        loads("\n".join([OK, *(f"key{number}: 1" for number in range(300))]))
    lines = str(caught.value).splitlines()
    assert lines[0] == "300 things are wrong with the configuration:"
    assert len(lines) == 22
    assert lines[-1] == "and 280 more"
    assert len(caught.value.faults) == 300
