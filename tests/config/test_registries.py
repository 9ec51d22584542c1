"""Names read from source text, without importing the rooms."""

import sys
import types

import pytest

from ganlab.config import registries
from ganlab.config.registries import REGISTRIES, Registry, entries, first_line, names
from ganlab.config.tree import NAMED

SOURCE = '''
from functools import partial
from ganlab.room.parts import Other as Renamed, CONSTANT, MORE
from .parts import helper
import torch.nn

class Here:
    """In this file. More."""

class Silent:
    pass

SETTINGS = Convention(name="x", summary="Stated in the call.")
"""Docstring after."""

TABLE: dict[str, type] = {
    "here": Here,
    "silent": Silent,
    "renamed": Renamed,
    "partial": partial(helper, 3),
    "constructed": Convention(summary="A summary."),
    "described": Convention(1, description="A description."),
    "settings": SETTINGS,
    "constant": CONSTANT,
    "foreign": torch.nn.Conv2d,
    "absent": Nowhere,
    **MORE,
}
PLAIN = {"a": Here}
'''
PARTS = '''
class Other:
    """Imported under another name.

    Long text.
    """

def helper(x):
    """A function; with ``code``."""

class Kind:
    """What a kind is."""

CONSTANT = Kind(3)
THIRD = Kind(4)
"""Its own line."""
MORE = {"more": Other, "third": THIRD}
'''
EXPECTED = {
    "here": "In this file. More",
    "silent": "",
    "renamed": "Imported under another name",
    "partial": "A function; with code",
    "constructed": "A summary",
    "described": "A description",
    "settings": "Docstring after",
    "constant": "What a kind is",
    "foreign": "",
    "absent": "",
    "more": "Imported under another name",
    "third": "Its own line",
}


@pytest.fixture
def room(tmp_path, monkeypatch):
    package = tmp_path / "ganlab"
    (package / "room").mkdir(parents=True)
    (package / "room" / "registry.py").write_text(SOURCE)
    (package / "room" / "parts.py").write_text(PARTS)
    monkeypatch.setattr(registries, "PACKAGE", package)
    monkeypatch.setattr(registries, "_written", registries._written.__wrapped__)
    monkeypatch.setitem(REGISTRIES, "things", Registry("room", "TABLE", "thing"))
    monkeypatch.setitem(REGISTRIES, "plain", Registry("room", "PLAIN", "thing"))
    return package / "room"


def test_entries_are_read_from_the_text(room):
    assert entries("things") == EXPECTED
    assert names("plain") == ("a",)
    assert "ganlab.room" not in sys.modules


@pytest.mark.parametrize("text", ["", "TABLE = make()", "TABLE = {", "import x"])
def test_a_file_without_a_readable_dict_has_no_names(room, text):
    (room / "registry.py").write_text(text)
    assert names("things") == ()


def test_an_absent_file_has_no_names(room):
    (room / "registry.py").unlink()
    assert names("things") == ()


def test_the_live_dict_counts_too(room, monkeypatch):
    class Added:
        """Registered by hand."""

    module = types.ModuleType("ganlab.room.registry")
    module.TABLE = {"added": Added, "odd": 3}
    monkeypatch.setitem(sys.modules, "ganlab.room.registry", module)
    found = entries("things")
    assert found["added"] == "Registered by hand"
    assert set(found) == {*EXPECTED, "added", "odd"}


@pytest.mark.parametrize(
    "kind", [kind for kind, entry in REGISTRIES.items() if entry.room in ("upsampling", "losses")]
)
def test_the_text_agrees_with_the_imported_dict(kind):
    import importlib

    registry = REGISTRIES[kind]
    module = importlib.import_module(f"ganlab.{registry.room}.registry")
    assert tuple(registries._written(registry.room, registry.attribute)) == tuple(
        getattr(module, registry.attribute)
    )


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_entry_is_described(kind):
    assert [name for name, text in entries(kind).items() if not text] == []


def test_the_rooms_of_a_configuration_have_names():
    assert [kind for kind in set(NAMED.values()) if not names(kind)] == []


def test_first_line():
    assert first_line(None) == ""
    assert first_line("\n  One ``x``.\n\n  Two.") == "One x"
