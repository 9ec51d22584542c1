"""Every check across keys: each error and each warning once wrong, once right."""

import inspect

import pytest

from ganlab.config import ConfigError, from_mapping, load, problems, resolve
from ganlab.config.checks import CHECKS, network, sources
from ganlab.config.checks.sources import FACTS
from ganlab.config.errors import key_path
from ganlab.config.names import names as registered
from ganlab.config.schema import Section

DCGAN = ("model.upsampling=nearest", "model.architecture=dcgan", "optimizer.betas=[0.5, 0.999]")
SNGAN = (
    "model.architecture=sngan",
    "model.upsampling=nearest",
    "optimizer.betas=[0, .9]",
    "training.n_dis=5",
    "model.generator.width=null",
    "model.discriminator.width=null",
)
LABELS = ("data.source=cifar10", "data.path=x")


def errors(*overrides):
    with pytest.raises(ConfigError) as caught:
        load("dcgan32", overrides)
    return {fault.key: str(fault) for fault in caught.value.faults}


def warnings(*overrides):
    return resolve("dcgan32", overrides).warnings


ERRORS = {
    "size of dcgan": (["model.image_size=48"], "model.image_size", "16, 32, 64, 128, 256; the nearest is 32"),
    "size of sngan": ([*SNGAN, "model.image_size=256"], "model.image_size", "one of 32, 48, 64, 128"),
    "size of sndcgan": (
        ["model.architecture=sndcgan", "model.image_size=64"],
        "model.image_size",
        "one of 32;",
    ),
    "too few names": (
        ["model.upsampling=[nearest, bilinear]"],
        "model.upsampling.name",
        "2 names for 3 stages (4 -> 8 -> 16 -> 32 px); expected one name or 3",
    ),
    "too many names": (
        ["model.upsampling=[nearest, nearest, nearest, nearest]"],
        "model.upsampling.name",
        "4 names for 3 stages",
    ),
    "no names": (["model.upsampling=[]"], "model.upsampling.name", "0 names for 3 stages"),
    "list and last": (
        ["model.upsampling={name: [nearest, nearest, nearest], last: bilinear}"],
        "model.upsampling.last",
        "expected either the list or name and last",
    ),
    "even kernel": (["model.upsampling.kernel=4"], "model.upsampling.kernel", "an odd side such as 3 or 5"),
    "even tail": (["model.upsampling.tail={kernel: 2}"], "model.upsampling.tail.kernel", "such as 1 or 3"),
    "generator widths": (["model.generator.widths=[8, 8]"], "model.generator.widths", "has 3 feature maps"),
    "discriminator widths": (
        [*SNGAN, "model.discriminator.widths=[8, 8, 8]"],
        "model.discriminator.widths",
        "expected 4 widths",
    ),
    "indivisible shuffle": (
        ["model.upsampling={name: pixel_shuffle, shuffle_first: true}", "model.generator.widths=[16, 8, 6]"],
        "model.upsampling.shuffle_first",
        "stage 3 gets 6 channels; pixel shuffle before the convolution needs a multiple of 4, for example 8",
    ),
    "wasserstein alone": (["loss.adversarial=wasserstein"], "loss.adversarial", "loss.penalty: wgan_gp or"),
    "wasserstein and dragan": (
        ["loss={adversarial: wasserstein, penalty: dragan}"],
        "loss.penalty",
        "expected wgan_gp, or none with",
    ),
    "wasserstein and r1": (
        [*SNGAN, "loss={adversarial: wasserstein, penalty: r1}"],
        "loss.penalty",
        "r1 does not bound the critic's",
    ),
    "batch norm and penalty": (
        ["loss.penalty=r1", "model.discriminator.norm=batch"],
        "model.discriminator.norm",
        "no image's own",
    ),
    "two terms of one name": (
        ["loss.spectral=[{kind: sliced}, {kind: radial_profile, name: sliced}]"],
        "loss.spectral[1].name",
        "a second term called 'sliced'; expected a name of its own, such as sliced_2",
    ),
    "negative spectral weight": (
        ["loss.spectral=[{kind: sliced}, {kind: frechet, weight: -1}]"],
        "loss.spectral[1].weight",
        "got -1; expected a number >= 0",
    ),
    "spectral weight without a value": (
        ["loss.spectral=[{kind: frechet, weight: .nan}]"],
        "loss.spectral[0].weight",
        "got nan; expected a number >= 0",
    ),
    "unknown spectral loss": (
        ["loss.spectral=[{kind: radial}]"],
        "loss.spectral[0].kind",
        "unknown spectral loss 'radial'; expected one of radial_profile, ",
    ),
    "distance of another kind": (
        ["loss.spectral=[{kind: axis_profiles, distance: bce}]"],
        "loss.spectral[0].distance",
        "axis_profiles has no bce; expected one of l1, l2",
    ),
    "bce outside of its domain": (
        ["loss.spectral=[{kind: radial_profile, convention: ganlab, distance: bce}]"],
        "loss.spectral[0].distance",
        "bce needs profiles in [0, 1]",
    ),
    "logarithm of zero": (
        ["loss.spectral=[{kind: radial_profile, distance: log_l1}]"],
        "loss.spectral[0].distance",
        "log_l1 takes logarithms of linear power",
    ),
    "logarithm of logarithms": (
        ["loss.spectral=[{kind: frechet, normalisation: log}]"],
        "loss.spectral[0].normalisation",
        "are logarithms already",
    ),
    "loss without gradient": (
        ["loss.spectral=[{kind: radial_profile, convention: durall2019}]"],
        "loss.spectral[0].convention",
        "no gradient passes; expected durall2020",
    ),
    "discriminator without gradient": (
        ["model.spectral_discriminator={convention: durall2019}"],
        "model.spectral_discriminator.convention",
        "no gradient passes",
    ),
    "ratio": (
        ["model.spectral_discriminator={ratio: 0}"],
        "model.spectral_discriminator.ratio",
        "expected a number > 0",
    ),
    "unbounded spectral critic": (
        [*SNGAN, "loss={adversarial: wasserstein}", "model.spectral_discriminator={}"],
        "model.spectral_discriminator.spectral_norm",
        "wasserstein needs a Lipschitz critic here too",
    ),
    "late decay": (
        ["optimizer.schedule=linear", "optimizer.decay_start=2000"],
        "optimizer.decay_start",
        "step 2000 of 2000",
    ),
    "late average": (["training.ema_start=2000"], "training.ema_start", "less than training.steps"),
    "bf16 on the cpu": (
        ["training.precision=bf16", "training.device=cpu"],
        "training.precision",
        "expected fp32, or device: cuda",
    ),
    "bf16 on mps": (["training.precision=bf16", "training.device=mps"], "training.precision", "not on mps"),
    "too large for the source": (
        ["data.source=cifar10", "model.image_size=64"],
        "model.image_size",
        "cifar10 has 32x32 and is never enlarged; expected 32 or less",
    ),
    "classes without labels": (["model.num_classes=10"], "model.num_classes", "dead_leaves has no labels"),
    "wrong number of classes": ([*LABELS, "model.num_classes=9"], "model.num_classes", "has 10 classes"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_error(kind):
    overrides, key, part = ERRORS[kind]
    found = errors(*overrides)
    assert list(found) == [key]
    assert part in found[key]
    # The origin is the override that said so, or the preset's line.
    assert found[key].startswith(("override '", "preset dcgan32:"))


@pytest.mark.parametrize("source", ["pack", "folder"])
def test_sources_in_files_need_a_path(source):
    text = errors(f"data.source={source}")["data.path"]
    assert f"data.path: missing; with source: {source} expected the" in text


@pytest.mark.parametrize("source", [name for name, facts in FACTS.items() if facts.path == "optional"])
def test_official_sources_find_their_own_folder(source):
    assert warnings(f"data.source={source}") == ()
    assert warnings(f"data.source={source}", "data.path=x") == ()


@pytest.mark.parametrize("source", [name for name, facts in FACTS.items() if facts.native])
def test_images_are_never_enlarged(source):
    native = FACTS[source].native or 0
    # A size without a network is a second error at the same key, so this asks the check alone.
    model = load("dcgan32").model.model_copy(update={"image_size": native + 1})
    config = load("dcgan32", [f"data.source={source}"]).model_copy(update={"model": model})
    (found,) = sources.native_size(config)
    assert f"expected {native} or less" in found.text
    assert not list(sources.native_size(load("dcgan32", [f"data.source={source}"])))


NO_EFFECT = {
    "penalty weight": (["loss.penalty_weight=3"], "loss.penalty_weight", "loss.penalty is none"),
    "same learning rate": (
        ["optimizer.lr_discriminator=2e-4"],
        "optimizer.lr_discriminator",
        "equals optimizer.lr",
    ),
    "decay start": (["optimizer.decay_start=5"], "optimizer.decay_start", "schedule is constant"),
    "average start": (["training.ema_decay=0", "training.ema_start=5"], "training.ema_start", "no average"),
    "icnr": (["model.upsampling.icnr=true"], "model.upsampling.icnr", "no stage is pixel_shuffle"),
    "shuffle first": (
        ["model.upsampling.shuffle_first=true"],
        "model.upsampling.shuffle_first",
        "no stage is",
    ),
    "icnr and shuffle first": (
        ["model.upsampling={name: pixel_shuffle, icnr: true, shuffle_first: true}"],
        "model.upsampling.icnr",
        "shuffle_first has none there",
    ),
    "same last": (
        ["model.upsampling={name: nearest, last: nearest}"],
        "model.upsampling.last",
        "same upsampler",
    ),
    "border": (
        ["model.upsampling={name: bilinear_align_corners, border: reflect}"],
        "model.upsampling.border",
        "never looks outside",
    ),
    "tail activation": (
        ["model.upsampling.tail={convs: 1, activation: relu}"],
        "model.upsampling.tail.activation",
        "nothing between",
    ),
    "width and widths": (
        ["model.generator={widths: [8, 8, 8], width: 8}"],
        "model.generator.width",
        "says every width",
    ),
    "width and widths of D": (
        ["model.discriminator={widths: [8, 8, 8], width: 8}"],
        "model.discriminator.width",
        "says every width",
    ),
    "cap and widths": (
        ["model.generator={width: null, widths: [8, 8, 8], max_width: 9}"],
        "model.generator.max_width",
        "says every width",
    ),
    "option of another kind": (
        ["loss.spectral=[{kind: sliced, alpha: 2}]"],
        "loss.spectral[0].alpha",
        "sliced has no such option",
    ),
    "option beside as_released": (
        ["loss.spectral=[{kind: radial_profile, as_released: true, compare: mean}]"],
        "loss.spectral[0].compare",
        "as_released fixes it",
    ),
    "weight of zero": (
        ["loss.spectral=[{kind: sliced, weight: 0}]"],
        "loss.spectral[0].weight",
        "logged all the same",
    ),
    "decay without a running mean": (
        ["loss.spectral=[{kind: frechet, reference: batch, decay: .5}]"],
        "loss.spectral[0].decay",
        "nothing is averaged over steps",
    ),
    "gradients of nothing": (
        ["logging.gradients_every=7"],
        "logging.gradients_every",
        "no loss beside the adversarial one",
    ),
    "convention of a plane": (
        ["model.spectral_discriminator={input: plane, convention: ssdgan2021}"],
        "model.spectral_discriminator.convention",
        "no radial profile",
    ),
    "hidden layer of a linear head": (
        ["model.spectral_discriminator={hidden: 7}"],
        "model.spectral_discriminator.hidden",
        "has no hidden layer",
    ),
    "detached errors": (
        ["model.spectral_discriminator={detach: true}"],
        "model.spectral_discriminator.detach",
        "only the mean of mixed",
    ),
    "milestones": (["logging.milestone_every=2001"], "logging.milestone_every", "more than the 2000 steps"),
    "samples": (["logging.samples_every=2001"], "logging.samples_every", "more than the 2000 steps"),
    "log": (["logging.log_every=2001"], "logging.log_every", "more than the 2000 steps"),
    "checkpoints": (
        ["logging.checkpoint_every=2001"],
        "logging.checkpoint_every",
        "more than the 2000 steps",
    ),
    "path of dead leaves": (["data.path=x"], "data.path", "reads no files"),
    "download of dead leaves": (["data.download=true"], "data.download", "downloads nothing"),
    "unreadable dead leaves": (["data.on_error=skip"], "data.on_error", "no single image files"),
    "cache of a pack": (["data={source: pack, path: x, cache: y}"], "data.cache", "never packed anew"),
    "seed of a split": (
        ["data={source: cifar10, path: x, seed: 3}"],
        "data.seed",
        "its own training and validation",
    ),
    "fraction of a split": (
        ["data={source: cifar10, path: x, val_fraction: .2}"],
        "data.val_fraction",
        "its own training and",
    ),
}


@pytest.mark.parametrize("kind", NO_EFFECT)
def test_options_without_effect_are_said(kind):
    overrides, key, part = NO_EFFECT[kind]
    (text,) = warnings(*overrides)
    assert f": {key}: has no effect" in text
    assert part in text
    assert text.startswith(("override '", "preset dcgan32:"))


def test_a_warm_up_longer_than_the_run_is_said():
    (text,) = warnings("loss.spectral=[{kind: sliced, warmup: 2001, weight: .5}]")
    assert "loss.spectral[0].warmup: the weight reaches 0.5 at step 2001 of 2000" in text
    assert not warnings("loss.spectral=[{kind: sliced, warmup: 2000}, {kind: frechet, decay: .5}]")


def test_options_of_a_preset_made_moot_are_not_the_users_concern():
    pack = ["data.source=pack", "data.path=x"]
    assert resolve("sngan32-pfnet", pack).warnings == ()
    (text,) = resolve("sngan32-pfnet", [*pack, "data.download=true"]).warnings
    assert "override 'data.download=true': data.download: has no effect" in text


def test_the_resnet_with_dcgans_settings_is_doubtful():
    (text,) = warnings(*SNGAN, "optimizer.betas=[.5, .999]", "training.n_dis=1")
    assert "optimizer.betas: the sngan ResNet" in text
    assert "known to collapse in quality" in text
    assert not warnings(*SNGAN)
    assert not warnings(*SNGAN, "training.n_dis=1")


def test_an_odd_size_has_no_nyquist_bin(monkeypatch):
    config = load("dcgan32").model_copy(
        update={"model": load("dcgan32").model.model_copy(update={"image_size": 33})}
    )
    (odd,) = [p for p in problems(config) if p.level == "warning"]
    assert "has no bin at Nyquist" in odd.text
    assert "16/33" in odd.text


@pytest.mark.parametrize(
    "overrides",
    [
        ["loss={adversarial: wasserstein, penalty: wgan_gp}"],
        [*SNGAN, "loss.adversarial=wasserstein"],
        ["loss.adversarial=wasserstein", "model.discriminator.spectral_norm=true"],
        ["loss={adversarial: hinge, penalty: dragan, penalty_weight: 1}"],
        ["loss={adversarial: least_squares, penalty: r1}"],
        ["loss.penalty=r1", "model.discriminator.norm=layer"],
        ["model.upsampling={name: nearest, last: transposed}"],
        ["model.upsampling=[nearest, bilinear, pixel_shuffle]", "model.upsampling.icnr=true"],
        ["model.upsampling={name: bilinear, border: reflect}"],
        ["model.upsampling={name: pixel_shuffle, shuffle_first: true}"],
        ["optimizer={schedule: linear, decay_start: 1999}"],
        ["optimizer.lr_discriminator=4e-4"],
        ["training.ema_decay=0"],
        ["training.precision=bf16", "training.device=cuda"],
        ["training.precision=bf16"],
        ["training.steps=10"],
        ["logging.milestone_every=2000"],
        ["data={source: pack, path: x, seed: 3, val_fraction: .2}", "model.num_classes=7"],
        ["data={source: folder, path: x, cache: y, on_error: skip}"],
        ["data={source: cifar10, path: x, seed: 3, num_images: 100, cache: y, download: true}"],
        [*LABELS, "model.num_classes=10"],
        ["model.image_size=16"],
        ["model.image_size=256"],
        [*SNGAN, "model.image_size=48"],
        ["model.generator={widths: [8, 12, 20], width: null}"],
    ],
    ids=" ".join,
)
def test_sound_configurations_are_silent(overrides):
    assert warnings(*overrides) == ()


def test_batch_sizes_are_divided_by_the_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    found = errors("model.discriminator.norm=layer", "training.generator_batch_size=100")
    assert "64 images over 3 processes; expected a multiple, such as 66" in found["training.batch_size"]
    assert (
        "100 images over 3 processes; expected a multiple, such as 102"
        in found["training.generator_batch_size"]
    )
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not warnings("model.discriminator.norm=layer")


def test_batch_norm_in_the_discriminator_under_several_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    (text,) = warnings()
    assert "model.discriminator.norm: batch norm in the discriminator under 2 processes" in text
    assert not warnings(*SNGAN)
    assert not warnings("loss.penalty=r1")


def test_an_odd_world_size_variable_counts_as_one(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert not warnings()


def test_an_architecture_needs_both_networks(monkeypatch):
    tables = {"generators": ("dcgan", "lonely"), "discriminators": ("dcgan",)}
    monkeypatch.setattr(network, "names", lambda kind: tables.get(kind, ()))
    assert "has a generator but no discriminator" in errors("model.architecture=lonely")["model.architecture"]


def test_facts_are_about_registered_sources():
    assert set(FACTS) == set(registered("sources"))


def test_unlisted_architectures_and_sources_are_left_alone(monkeypatch):
    monkeypatch.setattr(network, "names", lambda kind: ())
    found = [
        "model.architecture=mine",
        "model.image_size=100",
        "data.source=mine",
        "model.generator.widths=[1]",
    ]
    assert warnings(*found, "model.generator.width=null", "model.num_classes=3") == ()


class Recorder:
    """A configuration that notes which dotted keys are looked at."""

    def __init__(self, section, prefix, seen):
        self._section, self._prefix, self._seen = section, prefix, seen

    def __getattr__(self, name):
        value = getattr(self._section, name)
        if isinstance(value, Section):
            return Recorder(value, f"{self._prefix}{name}.", self._seen)
        self._seen.add(f"{self._prefix}{name}")
        return value


EXAMPLES = [
    *(["dcgan32", *overrides] for overrides, *_ in [*NO_EFFECT.values()]),
    ["sngan32-pfnet"],
    ["sngan32-pfnet", "model.num_classes=10"],
    ["dcgan32", "loss.spectral=[{kind: sliced}, {kind: radial_profile, distance: l1}]"],
    ["dcgan32", "model.spectral_discriminator={}"],
    ["superres32", "model.upsampling=[max_unpool, max_unpool, nearest]"],
    ["autoencoder32", "loss.kl_weight=1", "loss.adversarial_weight=1", "loss.spectral=[{kind: log_power}]"],
    ["segment32"],
]


@pytest.mark.parametrize("check", [check for check in CHECKS if check is not network.registered_names])
def test_checks_declare_what_they_read(check, monkeypatch):
    """Otherwise a key already known to be wrong would cause a second, misleading error."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    seen = set()
    for source, *overrides in EXAMPLES:
        list(check(Recorder(load(source, overrides), "", seen)))
    declared = [key_path(key) for key in CHECKS[check]]
    undeclared = {key for key in seen if not any(key_path(key)[: len(path)] == path for path in declared)}
    assert undeclared == set()


def test_every_check_is_listed():
    modules = {inspect.getmodule(check) for check in CHECKS}
    written = {
        function
        for module in modules
        for name, function in vars(module).items()
        if inspect.isgeneratorfunction(function)
        and not name.startswith("_")
        and function.__module__ == module.__name__
    }
    assert written == set(CHECKS)


def test_problems_of_a_config_built_in_python():
    config = from_mapping({"model": {"upsampling": "nearest"}})
    assert problems(config) == []
    broken = config.model_copy(update={"model": config.model.model_copy(update={"image_size": 31})})
    assert [problem.key for problem in problems(broken)] == ["model.image_size", "model.image_size"]
