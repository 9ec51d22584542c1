"""Tables as text: the same cell reads the same in CSV, Markdown and a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.results.tables import aligned, cell, csv_text, markdown, number, plain, with_interval, write_csv
from ganlab.spectra import POWER_FLOOR, decibels
from ganlab.util.reading import read_bytes, read_json


def test_numbers():
    assert [number(v) for v in (None, 0.1234567891, 1e-12, 3)] == ["", "0.123456789", "1e-12", "3"]
    assert number(2 / 3, 3) == "0.667"


def test_a_value_with_its_interval():
    assert with_interval(1.234, 1.1, 1.4) == "1.23 [1.10, 1.40]"
    assert with_interval(0.5, -1.0, 1.0, digits=1, sign=True, unit="dB") == "+0.5 [-1.0, +1.0] dB"
    assert with_interval(2.0, unit="dB") == "2.00 dB"
    assert with_interval(2.0, None, 3.0) == "2.00"
    assert with_interval(None, 1.0, 2.0, unit="dB") == ""


def test_cells():
    assert [cell(v) for v in (None, 1, 0.25, np.float32(0.5), "a", True)] == [
        "",
        "1",
        "0.25",
        "0.5",
        "a",
        "True",
    ]


def test_csv_reads_back(tmp_path):
    rows = [("a,b", 1, None), ('say "x"\nand y', 0.1, 2)]
    write_csv(tmp_path / "t.csv", ("name", "x", "y"), iter(rows))
    text = (tmp_path / "t.csv").read_text()
    assert text == csv_text(("name", "x", "y"), rows)
    assert [*csv.reader(io.StringIO(text))] == [
        ["name", "x", "y"], ["a,b", "1", ""], ['say "x"\nand y', "0.1", "2"],
    ]  # fmt: skip


def test_markdown_keeps_its_columns_whatever_the_names_hold():
    text = markdown(["set", "dB"], [["a|b\nc", 1.5]])
    assert text == "| set | dB |\n| --- | ---: |\n| a\\|b c | 1.5 |\n"
    assert markdown(["a", "b"], [], left=(0, 1)).splitlines()[1] == "| --- | --- |"


def test_columns_stand_side_by_side():
    assert aligned([["set", "dB"], ["bilinear", 1.5], ["x", None]]) == "set        dB\nbilinear  1.5\nx\n"
    assert aligned([]) == ""


def test_plain_values_are_json():
    @dataclass
    class Row:
        name: str
        values: tuple[float, ...]

    values = {1: Row("a", (1.0, math.nan, -math.inf)), "b": np.array([1, 2]), "c": np.float64(0.5)}
    expected = {"1": {"name": "a", "values": [1.0, None, None]}, "b": [1, 2], "c": 0.5}
    assert json.loads(json.dumps(plain(values), allow_nan=False)) == expected


def test_decibels_of_arrays_and_tensors():
    power = np.array([1.0, 0.01, 0.0])
    assert decibels(power).tolist() == pytest.approx([0.0, -20.0, -120.0])
    assert decibels(torch.from_numpy(power)).tolist() == pytest.approx([0.0, -20.0, -120.0])
    assert decibels(power, floor=1e-30)[2] == pytest.approx(-300.0)
    assert POWER_FLOOR == 1e-12


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[" * 100_000, b""])
def test_unreadable_json_is_one_sentence(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(GanlabError, match=r"x\.json is no readable JSON"):
        read_json(tmp_path / "x.json")


def test_json_that_is_missing_or_a_folder_or_too_large(tmp_path):
    with pytest.raises(GanlabError, match=r"x\.json is missing"):
        read_json(tmp_path / "x.json")
    with pytest.raises(GanlabError, match="cannot be read: it is a folder"):
        read_json(tmp_path)
    (tmp_path / "x.json").write_text("[1, 2, 3]")
    with pytest.raises(GanlabError, match="has more than 4 bytes"):
        read_bytes(tmp_path / "x.json", largest=4)
