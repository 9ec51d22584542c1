"""Loss, penalty, normalisation, optimizer: combinations that make no sense or are known to fail."""

from __future__ import annotations

from collections.abc import Iterator

from ganlab.config.architecture import uses_spectral_norm
from ganlab.config.checks.problem import Problem, error, warning
from ganlab.config.schema import Config


def loss_and_penalty(config: Config) -> Iterator[Problem]:
    """Wasserstein estimates a distance only over Lipschitz critics; the other losses take any penalty."""
    loss = config.loss
    if loss.adversarial != "wasserstein":
        return
    if loss.penalty in ("dragan", "r1"):
        yield error(
            "loss.penalty",
            f"{loss.penalty} does not bound the critic's slope between real and fake images, which "
            "wasserstein needs; expected wgan_gp, or none with a spectrally normalised discriminator",
        )
    if loss.penalty == "none" and not uses_spectral_norm(config.model):
        yield error(
            "loss.adversarial",
            "wasserstein needs a Lipschitz critic; expected loss.penalty: wgan_gp or "
            "model.discriminator.spectral_norm: true",
        )


def norm_and_penalty(config: Config) -> Iterator[Problem]:
    """A gradient penalty is about one image's gradient; batch norm makes it depend on the whole batch."""
    if config.model.discriminator.norm == "batch" and config.loss.penalty != "none":
        yield error(
            "model.discriminator.norm",
            f"batch norm mixes the images of a batch, so the gradient that {config.loss.penalty} penalises "
            "is no image's own (Gulrajani et al. 2017, section 4); expected layer, none or auto",
        )


def resnet_settings(config: Config) -> Iterator[Problem]:
    """SNGAN's ResNet with DCGAN's optimizer settings (pfnet-research/sngan_projection issue 40)."""
    betas, n_dis = config.optimizer.betas, config.training.n_dis
    if config.model.architecture == "sngan" and n_dis == 1 and betas == (0.5, 0.999):
        yield warning(
            "optimizer.betas",
            "the sngan ResNet with betas 0.5/0.999 and training.n_dis 1 is known to collapse in quality (a "
            "user got an inception score of 4.3 to 4.6 on CIFAR-10 where the paper has 8.22); published: "
            "betas 0/0.9 and n_dis 5",
        )


def schedule(config: Config) -> Iterator[Problem]:
    """Starting points lie inside the run."""
    steps = config.training.steps
    if config.optimizer.schedule == "linear" and config.optimizer.decay_start >= steps:
        start = config.optimizer.decay_start
        text = f"the decay would start at step {start} of {steps}; expected less than training.steps"
        yield error("optimizer.decay_start", text)
    if config.training.ema_decay > 0 and config.training.ema_start >= steps:
        start = config.training.ema_start
        text = f"the average would start at step {start} of {steps}; expected less than training.steps"
        yield error("training.ema_start", text)


def precision(config: Config) -> Iterator[Problem]:
    """bf16 is mixed precision on CUDA."""
    device = config.training.device
    if config.training.precision == "bf16" and device in ("cpu", "mps"):
        yield error(
            "training.precision", f"bf16 runs on CUDA, not on {device}; expected fp32, or device: cuda"
        )
