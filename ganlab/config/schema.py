"""What a run is made of: the fields, their defaults (here and nowhere else), their ranges. No torch.

Names of upsamplers, losses, data sources and architectures are text here; ``ganlab.config.checks`` holds
them against the registries, together with everything that concerns more than one field.
"""

from __future__ import annotations

from string import ascii_letters
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

Border = Literal["torch", "zeros", "reflect", "replicate", "circular"]
LARGEST = 2**31 - 1
"""Of counts and steps: what a 32-bit integer holds, and more than any run of this laboratory takes."""
PositiveInt = Annotated[int, Field(ge=1, le=LARGEST)]
Step = Annotated[int, Field(ge=0, le=LARGEST)]
# A typing error in one of these would else end in a message of the machine's memory, or of its scheduler.
Width = Annotated[int, Field(ge=1, le=65_536)]
Threads = Annotated[int, Field(ge=1, le=4096)]
BatchSize = Annotated[int, Field(ge=1, le=1_048_576)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _writable(path: str) -> str:
    # NUL ends a path for the operating system; half a surrogate pair cannot be written into config.yaml.
    if "\0" in path or any("\ud800" <= character <= "\udfff" for character in path):
        raise ValueError(f"got text {path!r}; expected a path of Unicode characters without NUL")
    return path


PathText = Annotated[str, AfterValidator(_writable)]
"""A path that an operating system can take."""


class Section(BaseModel):
    """A strict, frozen group of options: unknown keys, wrong types, NaN and infinity are errors."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


GLYPH_CLASSES = {"digits": "0123456789", "letters": ascii_letters}
"""Sets of characters that have a name."""


def glyph_characters(classes: str) -> str:
    """The characters of ``data.classes``: a name of `GLYPH_CLASSES`, or the characters themselves."""
    return GLYPH_CLASSES.get(classes, classes)


def _drawable(classes: str) -> str:
    characters = glyph_characters(classes)
    good = all("!" <= character <= "~" for character in characters)
    if not (characters and good and len(set(characters)) == len(characters)):
        names = ", ".join(GLYPH_CLASSES)
        raise ValueError(f"got text {classes!r}; expected {names}, or printable ASCII characters, each once")
    return classes


class DataConfig(Section):
    """Where the real images come from. Their side is ``model.image_size``."""

    source: str = "dead_leaves"
    """A name of ``ganlab list``: glyphs, dead_leaves, pack, folder, or a torchvision data set."""
    classes: Annotated[str, AfterValidator(_drawable)] = "digits"
    """Characters that glyphs draws, one class each: digits, letters (52), or themselves, as in ``"0OQ"``."""
    path: PathText | None = None
    """The pack, the image folder, or the root folder of a torchvision data set (by default in the cache)."""
    num_images: PositiveInt | None = None
    """Use only so many images, chosen by ``seed`` (glyphs, dead_leaves: make so many; 10,000 when absent)."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of images made here, of the split where the source has none, and of ``num_images``."""
    val_fraction: Fraction = 0.1
    """Held-out part where the source brings no split of its own."""
    flip: bool = True
    """Mirror every training image left-right with probability 1/2."""
    dequantize: bool = False
    """Add uniform noise of one grey level to the reals (SNGAN's official code does; it whitens the floor)."""
    masks: PathText | None = None
    """task segment: classes of the pixels of image i, a .npy of integers (N, H, W); glyphs draws its own."""
    scale: Literal[2, 4, 8] = 2
    """task superres: how many times larger the image is than the network's input."""
    on_error: Literal["skip", "fail"] = "fail"
    """A file that cannot be read: name it and stop, or name it, count it and go on."""
    cache: PathText | None = None
    """Folder for packs made on first use; by default a cache folder of the user."""
    download: bool = False
    """Let a torchvision source fetch its files."""


class TailConfig(Section):
    """Convolutions after the last upsampling stage (UpConv: three 5x5, no activation between)."""

    convs: int = Field(3, ge=1, le=5)
    """How many convolutions, the one to RGB included (X.n.k's n)."""
    kernel: int = Field(5, ge=1, le=9)
    """Their side, odd (X.n.k's k)."""
    activation: Literal["none", "relu"] = "none"
    """Between them: UpConv has none, the spectral-discriminator code of Jung and Keuper has ReLU."""


class UpsamplingConfig(Section):
    """How the generator doubles its resolution: one name for all stages, one per stage, or the last apart."""

    name: str | tuple[str, ...]
    """A name of ``ganlab list``, or one name per stage from the coarsest to the finest."""
    last: str | None = None
    """The last stage's name alone, the others keep ``name``."""
    kernel: int = Field(3, ge=1, le=9)
    """Side of the convolution beside the upsampler, odd. A transposed convolution gets kernel + 1 (4x4)."""
    border: Border = "torch"
    """Outside the image: torch = interpolation repeats the edge and convolution sees zeros (torch's own
    layers); any other value holds for interpolation and convolution alike."""
    icnr: bool = False
    """Pixel shuffle starts as nearest (Aitken et al. 2017)."""
    shuffle_first: bool = False
    """Pixel shuffle before its convolution: C -> C/4 -> conv, instead of conv to 4C -> shuffle."""
    tail: TailConfig | None = None
    """Convolutions after the last stage."""


class GeneratorConfig(Section):
    """The generator's size."""

    z_dim: Width = 128
    """Length of the latent vector, standard normal."""
    width: Width | None = None
    """Base width; the published one when absent."""
    widths: tuple[Width, ...] | None = None
    """Every width from 4x4 to the finest stage, instead of ``width``."""
    max_width: Width = 1024
    """Cap on the widths that follow from ``width``."""


class EncoderConfig(Section):
    """What an encoder-decoder or a U-Net has before its upsampling (``task`` other than gan)."""

    depth: int = Field(3, ge=1, le=8)
    """How many x2 stages lie between its coarsest map and the image."""
    downsampling: Literal["auto", "stride", "max_pool", "avg_pool", "blur_pool"] = "auto"
    """How it halves: by a 4x4 convolution of stride 2, or by pooling. auto: max_pool in a unet and where the
    decoder un-pools, otherwise stride."""
    latent: Width = 16
    """encoder_decoder: channels of the code, the map between encoder and decoder."""


class DiscriminatorConfig(Section):
    """The discriminator's size and normalisation."""

    width: Width | None = None
    """Base width; the published one when absent."""
    widths: tuple[Width, ...] | None = None
    """Every width from the finest stage to the coarsest, instead of ``width``."""
    max_width: Width = 1024
    """Cap on the widths that follow from ``width``."""
    norm: Literal["auto", "none", "batch", "layer"] = "auto"
    """auto: none under spectral normalisation, layer under a gradient penalty, otherwise batch."""
    spectral_norm: bool | None = None
    """Absent: on for sngan and sndcgan, off for dcgan."""
    downsampling: Literal["auto", "stride", "avg_pool", "blur_pool"] = "auto"
    """How it halves: stride keeps every second position, avg_pool averages 2x2, blur_pool filters with
    [1, 2, 1]/4 before it drops positions. auto: as published (dcgan and sndcgan stride, sngan avg_pool).
    The layers and their weights are the same."""


class SpectralDiscriminatorConfig(Section):
    """A second discriminator that sees only the image's spectrum (Jung and Keuper 2021; SSD-GAN)."""

    input: str = "radial"
    """radial: profile in ``convention``; axis: horizontal and vertical profile; plane: 2-D log spectrum."""
    convention: str = "jung2021"
    """Profile convention of the radial input."""
    head: Literal["linear", "nonlinear"] = "linear"
    """linear: one layer; nonlinear: a hidden layer with leaky ReLU 0.2 before it."""
    hidden: Width | None = None
    """Width of the hidden layer; when absent the input's length, but 512 at most."""
    spectral_norm: bool = False
    """Normalise its layers to spectral norm 1."""
    combine: Literal["errors", "logits", "mixed"] = "errors"
    """What the generator minimises: errors = the weighted mean of both losses, logits = the loss of the
    weighted mean of both logits; mixed (SSD-GAN) = the main discriminator, too, is trained on that mean."""
    ratio: float = Field(1.0, gt=0)
    """Weight b of its error or logit against 1 of the main one; both are divided by 1 + b."""
    detach: bool = False
    """combine mixed: its logit enters the mean as a constant, as in SSD-GAN's code, and the generator gets no
    gradient from the spectrum."""


class ModelConfig(Section):
    """Both networks. ``upsampling`` has no default: it is what the lab is about."""

    architecture: str = "dcgan"
    """dcgan, sndcgan or sngan; for another ``task`` than gan encoder_decoder or unet."""
    image_size: int = Field(32, ge=8, le=1024)
    """Side of the square images in pixels."""
    upsampling: UpsamplingConfig
    """A name alone is short for ``{name: ...}``."""
    num_classes: int = Field(0, ge=0, le=65_536)
    """0: unconditional. Otherwise class-conditional batch norm and a projection discriminator. task segment:
    classes of the masks; 0 stands for two."""
    skips: bool = True
    """unet: each level of the decoder sees the encoder's features of its own size. Without, what is left of
    a unet is an encoder-decoder of the same layers."""
    encoder: EncoderConfig = EncoderConfig()
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    spectral_discriminator: SpectralDiscriminatorConfig | None = None
    """A second discriminator on the spectrum; none when absent."""

    @field_validator("upsampling", mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        """``upsampling: nearest`` and ``upsampling: [nearest, transposed]`` are short forms."""
        return {"name": value} if isinstance(value, str | tuple) else value


class SpectralTermConfig(Section):
    """One spectral loss of the generator. Options that its kind does not have are warned about."""

    kind: str
    """A name of ``ganlab list``."""
    weight: float = Field(1.0, ge=0)
    """Its factor in the generator's loss."""
    name: str | None = Field(None, pattern="^[a-z0-9_]+$")
    """Its line in the log; the kind when absent."""
    warmup: Step = 0
    """The weight grows linearly over this many steps."""
    convention: str = "durall2020"
    """Profile convention (radial_profile, sliced, frechet)."""
    normalisation: Literal["none", "min_max", "first_ring", "log"] | None = None
    """Of each profile: to [0, 1], divided by its first ring, or its logarithm; the convention's own when
    absent."""
    reference: Literal["running", "dataset", "batch"] = "running"
    """What the fakes are held against: a moving average over the real batches, the mean over all training
    images (computed once), or the current real batch."""
    decay: float = Field(0.99, ge=0, le=1)
    """Of the running reference; 1 weighs all batches alike."""
    distance: Literal["bce", "l1", "l2", "log_l1"] | None = None
    """When absent: bce for radial profiles that lie in [0, 1], otherwise l1."""
    compare: Literal["each", "mean"] = "each"
    """Each fake's profile against the reference, or the mean of the fakes' profiles."""
    as_released: bool = False
    """radial_profile as the code of Durall et al. 2020 has it: a constant factor of the adversarial loss,
    without gradient through the spectrum."""
    alpha: float = Field(1.0, ge=0)
    """Focal exponent (focal_frequency)."""
    log_weight: bool = False
    """Focal weights ln(1 + w) (focal_frequency)."""
    average: Literal["amplitude", "complex", "none"] = "amplitude"
    """What is averaged over the batch (focal_frequency); complex compares mean images. none, for another task
    than gan: image i against its own target, as published."""
    projections: Width = 64
    """Random directions in each step (sliced)."""


class LossConfig(Section):
    """The adversarial game, and what an encoder-decoder's output is held against its target by."""

    pixel: Literal["l1", "l2"] = "l1"
    """task autoencoder and superres: mean absolute or squared difference in [-1, 1]."""
    kl_weight: float = Field(0.0, ge=0)
    """task autoencoder, encoder_decoder: the code becomes a normal distribution (a VAE), and this weighs its
    divergence from the standard normal in nats per image value."""
    adversarial_weight: float = Field(0.0, ge=0)
    """Of the adversarial loss in another task than gan; 0: no discriminator."""
    adversarial: str = "hinge"
    """hinge, non_saturating, least_squares, wasserstein or relativistic."""
    penalty: str = "none"
    """none, wgan_gp, dragan, r1 or r1_r2."""
    penalty_weight: float | None = Field(None, gt=0)
    """Factor of the penalty; 10 when absent. Of r1 and r1_r2 it is gamma (R3GAN: 0.05 to 0.5 at 32 px)."""
    spectral: tuple[SpectralTermConfig, ...] = ()
    """Spectral losses of the generator, any number; ``[0]`` stands for any of them."""

    @field_validator("adversarial", "penalty", mode="before")
    @classmethod
    def _spelling(cls, value: object) -> object:
        """Papers write ``wgan-gp`` and ``non-saturating``; names here have underscores."""
        return value.lower().replace("-", "_") if isinstance(value, str) else value


class OptimizerConfig(Section):
    """Adam for both networks."""

    lr: float = Field(2e-4, gt=0)
    """Learning rate of the generator, and of the discriminator unless that has its own."""
    lr_discriminator: float | None = Field(None, gt=0)
    """Learning rate of the discriminator when it differs."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.5, 0.999)
    """Adam's decay rates of the first and second moment."""
    schedule: Literal["constant", "linear"] = "constant"
    """linear: falls to zero at the last step."""
    decay_start: Step = 0
    """Step at which the linear decay begins."""


class TrainingConfig(Section):
    """How long, how fast, on what. A step is one generator update."""

    steps: PositiveInt = 10_000
    """Generator updates."""
    batch_size: BatchSize = 64
    """Real images in one discriminator update, over all processes."""
    generator_batch_size: BatchSize | None = None
    """Fakes in one generator update; ``batch_size`` when absent (SNGAN's official code: twice as many)."""
    n_dis: PositiveInt = 1
    """Discriminator updates for each generator update."""
    augment: tuple[str, ...] = ()
    """DiffAugment: what both players' images pass on their way to the discriminator: color, translation."""
    same_start: bool = False
    """Start from the weights that this run with nearest upsampling would have, wherever name and shape agree:
    runs that differ in the upsampler then differ in nothing else."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Decay of the generator's exponential moving average for each step; 0 turns it off."""
    ema_start: Step = 0
    """Until this step the average is a copy."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto: cuda, then mps, then cpu."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: mixed precision on CUDA."""
    compile: bool = False
    """torch.compile both networks (minutes at the start, faster steps on CUDA)."""
    compile_mode: Literal["default", "reduce-overhead", "max-autotune"] = "default"
    """Of ``compile``. reduce-overhead: CUDA graphs, for steps of many small kernels; max-autotune: also tries
    kernels out (many minutes)."""
    channels_last: bool = True
    """Memory layout of the networks; the numbers stay the same up to rounding."""
    tf32: bool = True
    """On CUDA, convolutions and products of float32 round their factors to TensorFloat-32's 10 bits, about
    1e-3 relative; false: full float32."""
    deterministic: bool = False
    """On CUDA, kernels that give the same bits every time, for exact resume; false: cuDNN tries out which
    convolution is the fastest, and sums may be in any order."""
    threads: Threads | None = None
    """CPU threads; torch's choice when absent."""
    max_minutes: float | None = Field(None, gt=0)
    """Save and stop after so many minutes of one call, at least a step; the same command goes on."""


class LoggingConfig(Section):
    """What is written while training, and how often (in steps)."""

    log_every: PositiveInt = 50
    """Losses into metrics.jsonl and TensorBoard."""
    samples_every: PositiveInt = 500
    """Fixed-noise grid and mean spectrum."""
    checkpoint_every: PositiveInt = 500
    """Training state; a killed run loses at most this many steps."""
    keep_checkpoints: PositiveInt = 2
    """The last so many stay."""
    milestone_every: PositiveInt | None = None
    """Checkpoints at these steps stay for good."""
    gradients_every: PositiveInt = 50
    """Gradient of each spectral loss at the image relative to the adversarial one, into metrics.jsonl."""
    tensorboard: bool = True
    """Write TensorBoard events."""


class Config(Section):
    """One run, complete."""

    task: Literal["gan", "autoencoder", "superres", "segment"] = "gan"
    """gan: latents to images. autoencoder: images to themselves. superres: reduced images to themselves.
    segment: images to masks."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Everything random descends from (seed, stream, index)."""
    out: PathText | None = None
    """Run folder; ``runs/<name of the config>`` when absent."""
    data: DataConfig = DataConfig()
    model: ModelConfig
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    logging: LoggingConfig = LoggingConfig()
