"""Generation: encoding overlaps with the network, so the whole takes little more than the slower of the two.

pytest -m benchmark tests/benchmarks/test_generation_speed.py -s
"""

from __future__ import annotations

import os

import pytest
import torch

from ganlab.config import load
from ganlab.experiments.bench.measure import generation
from ganlab.experiments.bench.run import line
from ganlab.models import build_generator


@pytest.mark.benchmark
def test_encoding_overlaps_with_the_network(tmp_path, capsys):
    """One thread for the network and the others for the encoders; needs at least 2 cores."""
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    generator = build_generator(load("dcgan32", ["model.generator.width=48"])).eval()
    rate, ratio = generation(generator, 2048, tmp_path)
    with capsys.disabled():
        print(f"\n{line(rate)}: {rate}\n{line(ratio)}")
    assert ratio["median"] <= 1.2
