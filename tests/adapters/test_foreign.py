"""Folders of diffusers and segmentation_models.pytorch, made here with small networks of random weights."""

import json
import shutil

import pytest
import torch

import ganlab
from ganlab.adapters import load_generator
from ganlab.errors import GanlabError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    import diffusers

    torch.manual_seed(0)
    module = diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2, norm_num_groups=4, sample_size=16, latent_channels=3,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("diffusers") / "vae"
    module.save_pretrained(folder)
    return folder, module.eval()


def test_an_autoencoder_decodes_latents_of_unit_variance(vae):
    folder, module = vae
    generator = load_generator(folder)
    assert (generator.name, generator.image_size, generator.about["adapter"]) == ("vae", 16, "diffusers")
    images = generator.sample(0, 0, 3)
    z = generator.arguments(0, 0, 3)[0][0]
    assert z.shape == (3, 3, 8, 8)
    with torch.no_grad():
        expected = module.decode(z / module.config.scaling_factor).sample.clamp(-1, 1)
    assert torch.allclose(images, expected, atol=1e-5)
    assert generator.stages == ("decoder.up_blocks.0.upsamplers.0.interpolate",)
    assert ganlab.probe_generator(folder).ok


def test_another_latent_and_a_whole_pipeline(vae, tmp_path):
    shutil.copytree(vae[0], tmp_path / "pipe" / "vae")
    (tmp_path / "pipe" / "model_index.json").write_text("{}")
    (tmp_path / "pipe.json").write_text(json.dumps({"latent": [3, 4, 6]}))
    generator = load_generator(f"diffusers:{tmp_path / 'pipe'}")
    assert (generator.name, generator.image_size) == ("pipe", (8, 12))


def test_pickled_and_damaged_weights_are_refused(vae, tmp_path):
    folder = tmp_path / "vae"
    shutil.copytree(vae[0], folder)
    file = folder / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(GanlabError, match="cannot be read"):
        load_generator(folder)
    file.unlink()
    with pytest.raises(GanlabError, match="pickled weights can run code"):
        load_generator(folder)


def test_a_tiny_autoencoder_and_a_unet(tmp_path):
    import diffusers

    torch.manual_seed(0)
    blocks = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    counts = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    diffusers.AutoencoderTiny(**blocks, **counts).save_pretrained(tmp_path / "tiny")
    (tmp_path / "tiny.json").write_text(json.dumps({"latent": [4, 8, 8]}))
    tiny = load_generator(tmp_path / "tiny")
    assert tiny.sample(0, 0, 2).shape == (2, 3, 16, 16)
    diffusers.UNet2DModel(
        sample_size=16, block_out_channels=(8, 16), down_block_types=["DownBlock2D"] * 2,
        up_block_types=["UpBlock2D"] * 2, norm_num_groups=4, layers_per_block=1, num_class_embeds=3,
    ).save_pretrained(tmp_path / "unet")  # fmt: skip
    unet = load_generator(tmp_path / "unet")
    images = unet.sample(0, 0, 4)
    assert images.shape == (4, 3, 16, 16)
    assert torch.equal(unet.sample(0, 2, 1), images[2:3])
    assert unet.stages == ("up_blocks.0.upsamplers.0.interpolate",)


@pytest.mark.parametrize(("name", "classes"), [("Unet", 1), ("FPN", 4)])
def test_a_segmentation_decoder_draws_maps(tmp_path, name, classes):
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    module = getattr(smp, name)("resnet18", encoder_weights=None, classes=classes)
    module.save_pretrained(tmp_path / "net")
    generator = load_generator(tmp_path / "net")
    assert generator.about["adapter"] == "smp"
    images = generator.sample(0, 0, 2)
    assert images.shape == (2, 1, 128, 128)
    assert all(stage.startswith(("decoder", "segmentation_head")) for stage in generator.stages)
    assert len(generator.stages) >= 4
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    (tmp_path / "net" / "config.json").write_text(json.dumps({**config, "_model_class": "encoders"}))
    with pytest.raises(GanlabError, match="no model 'encoders'"):
        load_generator(tmp_path / "net")
