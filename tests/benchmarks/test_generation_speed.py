"""Generation: encoding overlaps with the network, so the whole takes little more than the slower of the two.

pytest -m benchmark tests/benchmarks/test_generation_speed.py -s
"""

from __future__ import annotations

import os
import statistics
import time

import pytest
import torch

from ganlab.config import load
from ganlab.generation import write as writing
from ganlab.generation.plan import Part
from ganlab.generation.sampling import BLOCK, generate_block
from ganlab.models import build_generator

NUM, ROUNDS = 2048, 5


class Source:
    """A generator as a set's source, without a file."""

    name = "fake"

    def __init__(self, generator):
        self.generator = generator

    def block(self, number):
        return generate_block(self.generator, 0, number)

    def about(self):
        return {"kind": "fake"}


class Ready(Source):
    """The same images, already computed."""

    def __init__(self, source):
        self.blocks = [source.block(number) for number in range(NUM // BLOCK)]

    def block(self, number):
        return self.blocks[number]


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.mark.benchmark
def test_encoding_overlaps_with_the_network(tmp_path, capsys):
    """One thread for the network and the others for the encoders; needs at least 2 cores."""
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    source = Source(build_generator(load("dcgan32", ["model.generator.width=48"])).eval())
    ready, count = Ready(source), iter(range(1000))

    def write(origin):
        folder = tmp_path / str(next(count))
        part = Part("fake", origin, 0, NUM)
        writing.PartWriter(part, "folder", folder / "staging", folder).run(
            256, max(1, (os.cpu_count() or 2) // 2)
        )

    def network():
        for number in range(NUM // BLOCK):
            source.block(number)

    network(), write(ready)
    rows = [
        (timed(network), timed(lambda: write(ready)), timed(lambda: write(source))) for _ in range(ROUNDS)
    ]
    value = statistics.median(both / max(alone, encode) for alone, encode, both in rows)
    alone, encode, both = (statistics.median(column) for column in zip(*rows, strict=True))
    with capsys.disabled():
        print(f"\nnetwork {alone:.2f} s, encoding {encode:.2f} s, together {both:.2f} s: ratio {value:.3f}")
    assert value <= 1.2
