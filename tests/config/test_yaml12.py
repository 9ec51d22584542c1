"""YAML 1.2 scalars, structure faults, lines."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ganlab.config import ConfigError
from ganlab.config.dump import dump_mapping
from ganlab.config.errors import Origin, dotted, key_path
from ganlab.config.yaml12 import MAX_NODES, load_yaml, parse

SCALARS = {
    "2e-4": 2e-4,
    "1E3": 1000.0,
    ".5": 0.5,
    "5.": 5.0,
    "-.5e+1": -5.0,
    "+12": 12,
    "-3": -3,
    "010": 10,
    "0o17": 15,
    "0x1F": 31,
    "1e5": 1e5,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "true": True,
    "False": False,
    "TRUE": True,
    "null": None,
    "~": None,
    "Null": None,
    "": None,
    "off": "off",
    "on": "on",
    "yes": "yes",
    "No": "No",
    "y": "y",
    "1_000": "1_000",
    "0b11": "0b11",
    "12:30:45": "12:30:45",
    "2020-01-01": "2020-01-01",
    "=": "=",
    "tRUE": "tRUE",
    "nan": "nan",
    "inf": "inf",
    "e5": "e5",
    "1e": "1e",
    "'2e-4'": "2e-4",
    '"true"': "true",
    "!!str 5": "5",
    "!!float 1": 1.0,
    "!!int 7": 7,
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_scalars_follow_the_core_schema(text, value):
    found = load_yaml(f"key: {text}", "x")["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read_and_left_to_the_schema():
    assert math.isnan(load_yaml("key: .nan", "x")["key"])


def test_plain_pyyaml_disagrees_on_what_this_is_for():
    """The reason for the subclass: if PyYAML ever moves to 1.2 this fails and the subclass can go."""
    assert yaml.safe_load("2e-4") == "2e-4"
    assert yaml.safe_load("off") is False


def test_sequences_are_tuples_and_lines_are_kept():
    document = parse("a:\n  b: 1\n  c: [x, {d: 2}]\n", "f.yaml")
    assert document.value == {"a": {"b": 1, "c": ("x", {"d": 2})}}
    assert document.origins["a", "b"] == Origin("f.yaml", 2)
    assert document.origins["a", "c", 1, "d"] == Origin("f.yaml", 3)
    assert document.origins["a",] == Origin("f.yaml", 1)


def test_the_line_of_a_value_below_its_key_is_the_keys():
    assert parse("a:\n\n  - 1\n", "f").origins["a",].line == 1


def faults(text):
    return [str(fault) for fault in parse(text, "f.yaml").faults]


def test_duplicate_keys_are_refused_with_both_lines():
    assert faults("a: 1\nb: {c: 1,\n  c: 2}\na: 3\n") == [
        "f.yaml:3: b.c: duplicate key, first on line 2; expected each key once",
        "f.yaml:4: a: duplicate key, first on line 1; expected each key once",
    ]


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!mine", "!!set", "!!timestamp", "!!binary"]
)
def test_unknown_tags_are_refused(tag):
    (fault,) = faults(f"a: {tag} x" if tag != "!!set" else "a: !!set {x}")
    assert fault.startswith("f.yaml:1: a: unknown tag")
    assert tag in fault


def test_a_tag_that_does_not_fit_its_value_is_refused():
    assert faults("a: !!int x") == ["f.yaml:1: a: 'x' is no int as its tag '!!int' says"]


@pytest.mark.parametrize("key", ["1", "true", "~", "2.5", "[a, b]", "? {a: 1}"])
def test_keys_are_text(key):
    (fault,) = faults(f"{key}\n: x" if key.startswith("?") else f"{key}: x")
    assert "as a key; expected text" in fault


def test_anchors_aliases_and_merge_keys():
    text = "base: &b {x: 1, y: 2}\nother: &o {y: 9, z: 3}\nuse:\n  <<: [*b, *o]\n  x: 7\nagain: *b\n"
    document = parse(text, "f")
    assert document.value["use"] == {"x": 7, "y": 2, "z": 3}
    assert document.value["again"] == {"x": 1, "y": 2}
    assert document.origins["use", "x"].line == 5
    assert document.origins["use", "z"].line == 2


def test_merging_something_else_is_refused():
    assert faults("a: {<<: 3}") == ["f.yaml:1: a: '<<' merges mappings; expected an alias of a mapping"]


def test_an_alias_inside_its_own_anchor_is_refused():
    assert "inside its own anchor" in faults("a: &x [1, *x]")[0]


def test_aliases_cannot_explode():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (fault,) = faults("\n".join(lines))
    assert f"more than {MAX_NODES} values" in fault


def test_merge_keys_cannot_explode():
    """Aliases of a large mapping, merged many times: each counts as often as it stands."""
    keys = ", ".join(f"k{n}: 0" for n in range(1000))
    text = f"big: &big {{{keys}}}\n" + "".join(f"use{n}: {{<<: [{'*big, ' * 20}]}}\n" for n in range(50))
    document = parse(text, "f.yaml")
    (fault,) = document.faults
    assert fault.text == f"more than {MAX_NODES} values after expanding aliases"
    assert len(document.origins) <= MAX_NODES


def test_merged_keys_keep_their_order_and_lines():
    document = parse("a: &a {x: 1, y: 2}\nb: &b {z: 3, x: 4}\nc:\n  own: 5\n  <<: [*a, *b]\n", "f")
    assert list(document.value["c"].items()) == [("z", 3), ("x", 1), ("y", 2), ("own", 5)]
    lines = {key: document.origins["c", key].line for key in document.value["c"]}
    assert lines == {"z": 2, "x": 1, "y": 1, "own": 4}


@pytest.mark.parametrize("escape", ["\\U00110000", "\\UFFFFFFFF"])
def test_an_escape_that_is_no_character_is_refused(escape):
    with pytest.raises(ConfigError, match=r"f\.yaml:2: not valid YAML: an escape that is no character"):
        parse(f'a: 1\nb: "{escape}"', "f.yaml")


def test_deep_nesting_is_an_error_not_a_crash():
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse("[" * 5000 + "]" * 5000, "f.yaml")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1, 2", "f.yaml:1: column"),
        ("a: b: c", "f.yaml:1: column 5"),
        ("a: 1\n\tb: 2", "f.yaml:2: column 1"),
        ("a: 'x", "f.yaml:1: column"),
        ("a: *nobody", "f.yaml:1: column 4"),
        ("a: 1\n---\nb: 2", "f.yaml:2: column 1"),
        ("a: @x", "f.yaml:1: column 4"),
        ("%BAD", "f.yaml:"),
    ],
)
def test_syntax_errors_have_line_and_column(text, place):
    with pytest.raises(ConfigError, match="not valid YAML") as caught:
        parse(text, "f.yaml")
    assert str(caught.value).startswith(place)


def test_control_characters_are_refused():
    with pytest.raises(ConfigError, match="not readable as YAML"):
        parse("a: \x00", "f.yaml")


def test_a_byte_order_mark_is_ignored():
    assert load_yaml("\ufeffa: 1", "x") == {"a": 1}


def test_huge_integers_are_refused():
    assert "number out of range" in faults("a: " + "9" * 5000)[0]


def test_load_yaml_raises_structural_faults():
    with pytest.raises(ConfigError, match="duplicate key"):
        load_yaml("a: 1\na: 2", "x")


words = st.sampled_from(
    [*SCALARS, "a", "two words", "<<", "-", "?", "#", "a: b", "é", "\x85", "😀", " x ", "x\ny"]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | words
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_whatever_is_written_is_read_back(value):
    assert load_yaml(dump_mapping(value), "x") == value


@given(st.lists(st.text("abc_", min_size=1) | st.integers(0, 99), min_size=1).map(tuple))
def test_key_paths_and_their_text_are_inverse(path):
    path = ("a", *path)
    assert key_path(dotted(path)) == path
