"""The gallery: a real picture from every verb that makes one, small, with a command that the verb takes."""

from __future__ import annotations

import re
import shlex

from PIL import Image
from shared import ROOT

from ganlab.cli.verbs import VERBS

GALLERY = ROOT / "docs" / "gallery.md"
WITHOUT = {"bench", "data", "list", "reproduce", "schema", "show"}
"""Verbs that print, or whose pictures have pages of their own."""


def test_every_verb_has_a_picture_and_commands_that_it_takes():
    text, verbs = GALLERY.read_text(), {name for name, verb in VERBS.items() if verb.exists}
    shown = set(re.findall(r"ganlab (\w+)", " ".join(re.findall(r"^## (.*)", text, re.MULTILINE))))
    assert verbs - WITHOUT == shown
    blocks = re.findall(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for command in "".join(blocks).replace("\\\n", " ").splitlines():
        program, verb, *words = shlex.split(command)
        known = {option for one in VERBS[verb].load(verb).params for option in one.opts}
        assert program == "ganlab"
        assert {word for word in words if word.startswith("--")} <= known, command


def test_pictures_are_small_and_can_be_opened():
    pictures = sorted((ROOT / "docs" / "images" / "gallery").iterdir())
    assert sum(path.stat().st_size for path in pictures) < 2_000_000
    for path in pictures:
        assert f"images/gallery/{path.name}" in GALLERY.read_text()
        with Image.open(path) as picture:
            assert 300 <= picture.width <= 1300
