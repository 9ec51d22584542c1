"""The frozen list of configuration keys: adding or removing one is a decision, made here as well."""

from ganlab.config import Config, json_schema
from ganlab.config.errors import dotted, key_path
from ganlab.config.names import names
from ganlab.config.tree import expected, find, keys, suggestion

KEYS = [
    "task",
    "seed",
    "out",
    "data",
    "data.source",
    "data.classes",
    "data.path",
    "data.num_images",
    "data.seed",
    "data.val_fraction",
    "data.flip",
    "data.dequantize",
    "data.masks",
    "data.scale",
    "data.on_error",
    "data.cache",
    "data.download",
    "model",
    "model.architecture",
    "model.image_size",
    "model.upsampling",
    "model.upsampling.name",
    "model.upsampling.last",
    "model.upsampling.kernel",
    "model.upsampling.border",
    "model.upsampling.icnr",
    "model.upsampling.shuffle_first",
    "model.upsampling.tail",
    "model.upsampling.tail.convs",
    "model.upsampling.tail.kernel",
    "model.upsampling.tail.activation",
    "model.num_classes",
    "model.skips",
    "model.encoder",
    "model.encoder.depth",
    "model.encoder.downsampling",
    "model.encoder.latent",
    "model.generator",
    "model.generator.z_dim",
    "model.generator.width",
    "model.generator.widths",
    "model.generator.max_width",
    "model.discriminator",
    "model.discriminator.width",
    "model.discriminator.widths",
    "model.discriminator.max_width",
    "model.discriminator.norm",
    "model.discriminator.spectral_norm",
    "model.discriminator.downsampling",
    "model.spectral_discriminator",
    "model.spectral_discriminator.input",
    "model.spectral_discriminator.convention",
    "model.spectral_discriminator.head",
    "model.spectral_discriminator.hidden",
    "model.spectral_discriminator.spectral_norm",
    "model.spectral_discriminator.combine",
    "model.spectral_discriminator.ratio",
    "model.spectral_discriminator.detach",
    "loss",
    "loss.pixel",
    "loss.kl_weight",
    "loss.adversarial_weight",
    "loss.adversarial",
    "loss.penalty",
    "loss.penalty_weight",
    "loss.spectral",
    "loss.spectral[0].kind",
    "loss.spectral[0].weight",
    "loss.spectral[0].name",
    "loss.spectral[0].warmup",
    "loss.spectral[0].convention",
    "loss.spectral[0].normalisation",
    "loss.spectral[0].reference",
    "loss.spectral[0].decay",
    "loss.spectral[0].distance",
    "loss.spectral[0].compare",
    "loss.spectral[0].as_released",
    "loss.spectral[0].alpha",
    "loss.spectral[0].log_weight",
    "loss.spectral[0].average",
    "loss.spectral[0].projections",
    "optimizer",
    "optimizer.lr",
    "optimizer.lr_discriminator",
    "optimizer.betas",
    "optimizer.schedule",
    "optimizer.decay_start",
    "training",
    "training.steps",
    "training.batch_size",
    "training.generator_batch_size",
    "training.n_dis",
    "training.augment",
    "training.same_start",
    "training.ema_decay",
    "training.ema_start",
    "training.device",
    "training.precision",
    "training.compile",
    "training.compile_mode",
    "training.channels_last",
    "training.tf32",
    "training.deterministic",
    "training.threads",
    "training.max_minutes",
    "logging",
    "logging.log_every",
    "logging.samples_every",
    "logging.checkpoint_every",
    "logging.keep_checkpoints",
    "logging.milestone_every",
    "logging.gradients_every",
    "logging.tensorboard",
]


def test_the_keys_are_these():
    assert [dotted(key) for key in keys()] == KEYS


def test_every_key_is_described():
    assert [dotted(key) for key in keys() if not (find(key) or {}).get("description")] == []


def test_required_keys():
    required = [key for key in KEYS if "default" not in (find(key_path(key)) or {})]
    assert required == ["model", "model.upsampling", "model.upsampling.name", "loss.spectral[0].kind"]


def test_json_schema_knows_names_short_forms_and_extends():
    schema = json_schema()
    upsampling = schema["$defs"]["UpsamplingConfig"]["properties"]
    upsamplers = [*names("upsamplers"), *names("unpoolers")]
    assert upsampling["name"]["anyOf"][0]["enum"] == upsamplers
    assert upsampling["name"]["anyOf"][1]["items"]["enum"] == upsamplers
    short = schema["$defs"]["ModelConfig"]["properties"]["upsampling"]["anyOf"]
    assert short[0] == {"$ref": "#/$defs/UpsamplingConfig"}
    assert [option.get("type") for option in short[1:]] == ["string", "array"]
    assert schema["then"]["properties"]["model"]["required"] == ["upsampling"]
    assert schema["properties"]["extends"]["type"] == "string"
    assert schema["$defs"]["LossConfig"]["properties"]["penalty"]["enum"] == list(names("penalties"))
    assert "enum" not in Config.model_json_schema()["$defs"]["LossConfig"]["properties"]["penalty"]


def test_words_for_what_is_expected():
    assert expected(("training", "n_dis")) == "an integer >= 1 and <= 2147483647"
    assert expected(("training", "device")) == "one of auto, cpu, cuda, mps"
    assert expected(("optimizer", "betas")) == "a list of 2: a number >= 0 and < 1, a number >= 0 and < 1"
    assert expected(("model", "generator", "widths")) == "a list, each an integer >= 1 and <= 65536, or null"
    assert expected(("model", "upsampling", "name")).endswith("bilinear_align_corners or a list of them")
    assert expected(("model", "upsampling", "last")).endswith("bilinear_align_corners or null")
    assert expected(("loss", "spectral", 2, "kind")).startswith("one of radial_profile, axis_profiles, ")
    assert expected(("loss", "spectral", 2, "weight")) == "a number >= 0"
    assert expected(("out",)) == "text or null"


def test_suggestions():
    assert suggestion(("training", "batchsize")) == "; did you mean 'batch_size'?"
    assert suggestion(("loss", "spectral", 3, "wieght")) == "; did you mean 'weight'?"
    assert suggestion(("betas",)) == "; did you mean 'optimizer.betas'?"
    assert suggestion(("model", "n-dis")) == "; did you mean 'training.n_dis'?"
    assert suggestion(("zzzzqq",)) == ""
