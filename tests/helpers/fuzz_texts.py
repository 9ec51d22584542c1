"""Configurations as nobody should write them: keys of the schema, values of any kind, YAML of any form."""

from __future__ import annotations

import yaml

from ganlab.config.sources import preset_names
from ganlab.config.tree import all_keys, dotted, expected

WORDS = [
    "null", "true", "off", "~", "0", "-1", "1", "3", "0.5", "1e999", "-.inf", ".nan", "2e-4", "10" * 30,
    "9" * 5000,
    "0x" + "f" * 5000, "0o777", "''", "nearest", "transposed", "bilinear", "hinge", "dcgan", "cuda", "''''",
    "[]", "{}",
    "[1, 2]", "[[[]]]", "{a: 1}", "[nearest, bicubic]", '"\\ud800"', '"a\\0b"', '"\\U00110000"',
    '"\\u202e"', "*x", "&x",
    "!!python/object:os.system x", "!!binary aGk=", "!!int x", "2026-01-01", "1:30", "|\n  text",
    ">-\n text", "? a",
    "- a", "@", "`", "%", "\t", "\x00", "\x07", "\ud800", "é" * 100, "a: b: c", "[" * 3000, "{" * 3000,
    "<<: {a: 1}",
    "../../etc/passwd", "~nobody/x", "/dev/zero", "x" * 70_000, "{k: 1}" * 20, "1_000", "1e5", "+1", "1.",
    ".5", "=",
]  # fmt: skip


def value(rng):
    """A Python value or a word of YAML."""
    return rng.choice([
        None, True, -1, 0, 1, 7, 64, 1024, 2**31, 2**40, 2**70, 10**30, -(10**300), 0.0, -0.5, 1e-300, 1e308,
        float("nan"), float("inf"), "", "a", "\ud800", "a\0b", "a\nb", (), [], {}, [1], ["nearest"], ("a", 2),
        {"name": "nearest"}, {"kind": "radial_profile"}, [{"kind": "axis_profiles", "weight": -1}], b"x",
        {1: 2},
        [None] * 50, "x" * 10_000, {"extends": "dcgan32"}, [[["a"]]], {"a": {"b": {"c": 1}}},
    ])  # fmt: skip


def key(rng):
    """A key of the schema, misspelt at times."""
    text = dotted(rng.choice(all_keys()))
    return rng.choice(
        [text] * 8 + [text + "x", text.upper(), "", "a.b", ".", "[", "loss.spectral[0]", "x" * 2000]
    )


def sensible(rng, path):
    """A value of about the kind that the key expects."""
    words = expected(path)
    if words.startswith("one of "):
        return rng.choice(words.removeprefix("one of ").split(" or ")[0].split(", "))
    if "integer" in words:
        return rng.choice([1, 2, 8, 16, 32, 64, 1000, 0, -1])
    if "number" in words:
        return rng.choice([0.1, 0.5, 1.0, 2e-4, 0, 1])
    if "true" in words:
        return rng.choice([True, False])
    return value(rng)


def nested(rng):
    """A mapping with some of the schema's keys."""
    tree = {"extends": rng.choice(preset_names())} if rng.random() < 0.7 else {}
    for _ in range(rng.randint(0, 6)):
        path = rng.choice(all_keys())
        place = tree
        for part in path[:-1]:
            if isinstance(part, int):
                break
            below = place.setdefault(str(part), {})
            if not isinstance(below, dict):
                break
            place = below
        place[path[-1]] = sensible(rng, path) if rng.random() < 0.5 else value(rng)
    return tree


def merge_bomb(rng):
    lines = ["a0: &a0 {k: 1}"]
    for level in range(1, rng.randint(2, 30)):
        lines.append(f"a{level}: &a{level} {{<<: [*a{level - 1}, *a{level - 1}], b{level}: 1}}")
    return "\n".join(lines)


def text(rng):
    """The text of a configuration file."""
    kind = rng.random()
    if kind < 0.45:
        try:
            written = yaml.safe_dump(nested(rng), allow_unicode=rng.random() < 0.5)
        except yaml.YAMLError:
            written = str(nested(rng))
    elif kind < 0.55:
        written = merge_bomb(rng)
    elif kind < 0.6:
        written = "a: &a [x, x]\n" + "\n".join(
            f"b{n}: &b{n} [*{'a' if not n else f'b{n - 1}'}, *a]" for n in range(40)
        )
    elif kind < 0.605:
        written = "\n".join(f"key{number}: 1" for number in range(rng.choice([3000, 20_000])))
    else:
        written = "".join(f"{key(rng)}: {rng.choice(WORDS)}\n" for _ in range(rng.randint(1, 5)))
    if rng.random() < 0.3:
        start = rng.randrange(len(written) + 1)
        written = written[:start] + rng.choice(WORDS) + written[start + rng.randint(0, 5) :]
    return written


def configuration(rng, folder):
    """Source and overrides for `ganlab.config.resolve`; the source may be a file in ``folder``."""
    source = "dcgan32"
    if rng.random() < 0.75:
        (folder / "c.yaml").write_bytes(text(rng).encode("utf-8", "surrogatepass"))
        source = folder / "c.yaml"
    elif rng.random() < 0.3:
        source = rng.choice(
            ["", ".", "..", "a\0b", "\ud800", "x" * 5000, "~x", "/dev/zero", "/", "dcgan", "c.yaml/x"]
        )
    if rng.random() < 0.3:
        return source, {key(rng): value(rng) for _ in range(rng.randint(0, 3))}
    count = rng.choice([0, 0, 1, 2, 5])
    return source, [rng.choice([f"{key(rng)}={rng.choice(WORDS)}", key(rng), "=", ""]) for _ in range(count)]
