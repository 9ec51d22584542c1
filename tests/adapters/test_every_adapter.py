"""One source of every adapter's kind through every verb that takes a generator."""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
from foreign_sources import SOURCES, TRUSTED, file_of
from forensics_images import natural
from mutator import Mutator, escape
from patch_sets import keep_detector, png_folder

import ganlab as lab
from ganlab.adapters import ADAPTERS, as_generator, load_generator
from ganlab.data import open_image_set
from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.util.hashing import sha256_file

COUNT = 24


def test_every_adapter_has_a_source():
    assert SOURCES.keys() == ADAPTERS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_source_passes_through_every_verb(ganlab, adapter, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of exporters, on their own account
        source = str(SOURCES[adapter](tmp_path))
    trust = sha256_file(file_of(source)) if adapter in TRUSTED else None
    trusted = ["--trust", trust] if trust else []
    for given, words in ((None, "can run code"), ("0" * 64, "not the file you trust")) if trust else ():
        with pytest.raises(GanlabError, match=words):
            load_generator(source, given)
    generator = as_generator(load_generator(source, trust))
    assert isinstance(generator, lab.adapters.Generator)
    images = generator.sample(0, 0, 3)
    assert (images[1:2] == generator.sample(0, 1, 1)).all()
    reals = natural(2 * COUNT, images.shape[-1], seed=5, channels=images.shape[1])
    folder = png_folder(tmp_path / "reals", reals if images.shape[1] == 3 else reals[..., 0])

    def verb(*words, code=(0,)):
        done = ganlab(*words)
        assert done.code in code, done.stderr
        return done

    file = tmp_path / "probe.json"
    verb("probe", source, *trusted, "--samples", 16, "--json", file, "--out", tmp_path / "page", code=(0, 1))
    report = json.loads(file.read_text())
    assert report["image_size"] == list(images.shape[-2:])
    verb("generate", source, *trusted, "--num", COUNT, "--out", tmp_path / "fakes")
    fakes = open_image_set(tmp_path / "fakes")
    assert len(fakes) == COUNT
    fake = [folder, source, *trusted, "--limit", COUNT]
    spectra = ["spectra", *fake, "--metrics", "basic", "--bootstrap", 0, "--out", tmp_path / "spectra"]
    open_inside = adapter not in ("onnx", "torchscript")
    staged = verb(*spectra, "--stages", source, code=(0,) if open_inside else (2,))
    if open_inside:
        assert list((tmp_path / "spectra").glob("stages-*.csv"))
    else:  # an engine shows nothing of itself
        assert "no stage can be seen" in staged.stderr
        verb(*spectra)
    verb("detect", *fake, "--system", "dft+ridge", "--seeds", 1, "--resamples", 20, "--perturbation", "none",
         "--size", 0, "--bands", 0, "--out", tmp_path / "detect")  # fmt: skip
    verb("audit", *fake, "--out", tmp_path / "audit", code=(0, 1))
    verb("theory", source, *trusted, "--out", tmp_path / "theory")
    sets = [array_image_set(reals, "real"), array_image_set(reals[::-1], "fake")]
    model = keep_detector(tmp_path, *sets, depth=1, epochs=1, batch=16)
    verb("patches", model, *fake, "--shown", 2, "--gallery", 2, "--pairs", 1, "--steps", 1, "--resamples", 20,
         "--out", tmp_path / "patches")  # fmt: skip
    plan = json.loads((tmp_path / "patches" / "plan.json").read_text())
    assert generator.name in json.dumps(plan)


def spoiled(mutator, file, data):
    """The bytes of a source's file with faults that fit its kind."""
    if file.suffix == ".json":
        return mutator.json_file(data)
    if file.suffix == ".safetensors":
        return mutator.tensors(data)
    return mutator.zip_file(data) if file.suffix in (".pt", ".pt2") else mutator.data(data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("adapter", [name for name in ADAPTERS if name not in ("zoo", "python")])
def test_a_spoiled_source_draws_or_is_refused_in_one_sentence(adapter, tmp_path):
    """Files cut off, with other numbers, keys missing or of another kind; trusted, where trust is asked."""
    base, place = tmp_path / "sound", tmp_path / "case"
    base.mkdir()
    source = str(SOURCES[adapter](base)).replace(str(base), str(place))
    files = sorted(path.relative_to(base) for path in base.rglob("*") if path.is_file())

    def draw():
        trust = sha256_file(source) if adapter in TRUSTED else None
        as_generator(load_generator(f"{adapter}:{source}", trust)).sample(0, 0, 1)

    for number in range(20):
        mutator = Mutator([number, 7])
        shutil.copytree(base, place)
        file = mutator.pick(files)
        if adapter in TRUSTED or not mutator.place(place / file):
            (place / file).write_bytes(spoiled(mutator, file, (base / file).read_bytes()))
        assert not (found := escape(draw, 20)), f"{number}: {file}: {found}"
        shutil.rmtree(place)
