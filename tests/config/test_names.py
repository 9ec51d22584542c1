"""The table of names against the registries of the rooms, and what a live dict adds to it.

Run as a program, ``python tests/config/test_names.py``, this file writes the table anew.
"""

import importlib
import json
import subprocess
import sys
import types

import pytest

from ganlab.config.names import REGISTRIES, TABLE, Registry, entries, names, summary
from ganlab.config.tree import NAMED


def what_the_rooms_hold():
    for registry in REGISTRIES.values():
        importlib.import_module(registry.module)
    return json.dumps({kind: entries(kind) for kind in REGISTRIES}, indent=2, ensure_ascii=False) + "\n"


def test_the_table_is_what_the_rooms_hold():
    stale = "names.json is not what the registries hold; write it anew: python tests/config/test_names.py"
    assert TABLE.read_text(encoding="utf-8") == what_the_rooms_hold(), stale


def test_names_are_known_without_the_rooms():
    code = (
        "import sys; from ganlab.config.names import REGISTRIES, names\n"
        "print([kind for kind in REGISTRIES if not names(kind)], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"


class Added:
    """Registered by hand.

    More about it.
    """


def test_a_live_dict_counts_at_once(monkeypatch):
    import ganlab.upsampling

    monkeypatch.setattr(ganlab.upsampling, "UPSAMPLERS", {})
    ganlab.upsampling.UPSAMPLERS["added"] = Added
    assert entries("upsamplers") == {"added": "Registered by hand"}
    assert names("upsamplers") == ("added",)


def test_a_room_that_is_half_imported_has_the_table(monkeypatch):
    expected = entries("upsamplers")
    monkeypatch.setitem(REGISTRIES, "upsamplers", Registry("half_imported", "UPSAMPLERS", "upsampler"))
    monkeypatch.setitem(sys.modules, "half_imported", types.ModuleType("half_imported"))
    assert entries("upsamplers") == expected


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_entry_is_described(kind):
    assert [name for name, text in entries(kind).items() if not text] == []


def test_the_rooms_of_a_configuration_have_names():
    assert [kind for kind in set(NAMED.values()) if not names(kind)] == []


def test_summary():
    assert summary(types.SimpleNamespace(summary="Stated.")) == "Stated"
    assert summary(Added) == "Registered by hand"


if __name__ == "__main__":
    TABLE.write_text(what_the_rooms_hold(), encoding="utf-8")
