"""The house itself: imports go downward and in no circle, public names are documented, annotated and stay.

``python -m tests.test_house`` prints the figures of the house, ``pytest -s tests/test_house.py`` too. Nothing
fails on them but circles, imports upward and functions too long to read in one look: a figure that a test
asks for is a figure that people write code for.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
import statistics
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

import ganlab

ROOT = Path(ganlab.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
FLOORS = {
    "cli": 6, "experiments": 5, "results": 4, "training": 3, "generation": 3, "forensics": 3, "adapters": 3,
    "models": 2, "losses": 2, "data": 2, "spectra": 1, "upsampling": 1, "zoo": 1,
    "config": 0, "util": 0, "images": 0, "device": 0, "errors": 0,
}  # fmt: skip
SAME_FLOOR = {("spectra", "upsampling")}
LONGEST_FUNCTION = 70
TEXT = {".py", ".md", ".yaml", ".toml", ".json", ".csv", ".txt", ".svg", ".html"}


@functools.cache
def nodes(path):
    """Every node of the file's syntax tree, the module first."""
    return list(ast.walk(ast.parse(path.read_text())))


def tree(path):
    return nodes(path)[0]


def short(path):
    return path.relative_to(ROOT).as_posix()


def module_name(path):
    return ".".join(["ganlab", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


# -------------------------------------------------------------------------------------------------- imports


def imports_in(statements):
    """Files of the package that these statements name: the module, or the package whose name it takes."""
    for node in statements:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in inner]
        else:
            continue
        yield from (MODULES[name] for name in names if name in MODULES)


def at_import(node):
    """Statements that run when a module is imported: none of functions, none for the type checker."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_import(child)


def import_graph(late):
    """File -> the files it imports when it is imported itself; with ``late`` those of its functions too."""
    return {path: set(imports_in(nodes(path) if late else at_import(tree(path)))) - {path} for path in FILES}


def circles(graph):
    """Groups of files that all import each other, directly or not (Tarjan 1972: strong components)."""
    order, low, stack, found = {}, {}, [], []

    def visit(path):
        order[path] = low[path] = len(order)
        stack.append(path)
        for other in graph[path]:
            if other not in order:
                visit(other)
            if other in stack:
                low[path] = min(low[path], low[other])
        if low[path] == order[path]:
            start = stack.index(path)
            if len(stack) - start > 1:
                found.append(sorted(map(short, stack[start:])))
            del stack[start:]

    for path in graph:
        if path not in order:
            visit(path)
    return found


def test_no_import_circle():
    assert circles(import_graph(late=False)) == []


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_imports_go_downward():
    """Those of functions too: an import that is late is no less upward."""
    upward = []
    for path, imported in import_graph(late=True).items():
        for here, there in {(room(path), room(other)) for other in imported}:
            if here == there or {here, there} & {"__init__", "__main__"} or (here, there) in SAME_FLOOR:
                continue
            if not (FLOORS[there] < FLOORS[here] or FLOORS[there] == FLOORS[here] == 0):
                upward.append(f"{short(path)} imports {there}")
    assert not upward


def test_every_room_has_a_floor():
    rooms = {
        path.name.removesuffix(".py") for path in ROOT.iterdir() if not path.name.startswith(("_", "py."))
    }
    assert rooms == set(FLOORS)


def test_importing_ganlab_is_quiet_and_loads_no_torch():
    code = "import ganlab, sys; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


# -------------------------------------------------------------------------------------------- what is written


def functions_of(path):
    return [node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


FUNCTIONS = [(path, node) for path in FILES for node in functions_of(path)]


def length(function):
    return function.end_lineno - function.lineno + 1


def test_no_function_is_too_long():
    long = [f"{short(path)}: {node.name}" for path, node in FUNCTIONS if length(node) > LONGEST_FUNCTION]
    assert not long


def test_every_public_name_is_documented():
    missing = []
    for path in FILES:
        if not ast.get_docstring(tree(path)):
            missing.append(short(path))
        for node in tree(path).body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if named and not ast.get_docstring(node):
                missing.append(f"{short(path)}: {node.name}")
    assert not missing


def test_every_argument_is_annotated():
    bare = [
        f"{short(path)}: {node.name}({argument.arg})"
        for path, node in FUNCTIONS
        for argument in [*node.args.args, *node.args.kwonlyargs]
        if argument.annotation is None and argument.arg not in ("self", "cls")
    ]
    assert not bare


def test_nothing_of_one_machine_or_host_stands_in_the_sources():
    top = ROOT.parent
    done = subprocess.run(["git", "ls-files"], cwd=top, capture_output=True, text=True, check=False)
    bad = re.compile("/wo" + r"rk/|/ro" + r"ot/|pyt" + r"honhosted|py" + r"pi\.org")
    files = [top / name for name in done.stdout.split()]
    texts = [path for path in files if path.suffix in TEXT and path.is_file()]
    assert not [path.name for path in texts if bad.search(path.read_text())]


# ---------------------------------------------------------------------------------------------------- files

READERS = re.compile(
    r"(json|pickle|marshal)\.loads?|(np|numpy|torch|torch\.jit|torch\.export|onnx|joblib)\.load|yaml\.\w*load\w*"
    r"|(zipfile\.)?ZipFile|tarfile\.open|(\w+\.)?(safe_open|load_file)|Image\.open|np\.(fromfile|loadtxt)"
)
"""Calls that take a file's word for what it is."""
TRUSTED = {
    "util/reading.py": "the guarded reader itself",
    "config/names.py": "a file of ganlab's own package",
    "data/dead_leaves.py": "a task from the parent process",
    "data/official.py": "archives of known MD5; every exception becomes a GanlabError in `official`",
    "data/decode.py": "hands every exception to its callers, which name the file",
    "experiments/claims/durall2019.py": "a JPEG that was just encoded in memory",
    "forensics/detectors/store.py": "bytes that safetensors has just written",
    "forensics/perturbations/operators.py": "a JPEG that was just encoded in memory",
    "training/checkpoint.py": "a GanlabError of every exception, after the archive was checked",
}


def called(node):
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def is_own(call):
    """Plain values through text and back, or an archive that is written."""
    return any(called(arg) == "json.dumps" or getattr(arg, "value", None) == "w" for arg in call.args)


def unguarded(node):
    """Calls of readers below ``node`` that are not inside ``with reading(...)``."""
    if isinstance(node, ast.With) and any(called(item.context_expr) == "reading" for item in node.items):
        return
    if READERS.fullmatch(called(node)) and not is_own(node):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from unguarded(child)


def test_files_are_read_by_the_guarded_reader():
    calls = {short(path): [called(call) for call in unguarded(tree(path))] for path in FILES}
    assert {name: found for name, found in calls.items() if found and name not in TRUSTED} == {}
    assert [name for name in TRUSTED if not calls[name]] == [], "an exception that is none any more"


# --------------------------------------------------------------------------------------------- public names

PUBLIC = {
    "ganlab": ["load_generator", "wrap", "probe_generator", "compare_generators"],
    "ganlab.adapters": ["ADAPTERS", "Generator", "load_generator", "wrap"],
    "ganlab.upsampling": ["UPSAMPLERS", "make_upsampler", "interpolate2x", "replace_upsampling"],
    "ganlab.models": ["build_generator", "build_discriminator", "load_generator", "SpectralDiscriminator"],
    "ganlab.spectra": [
        "CONVENTIONS", "power_spectrum", "radial_profile", "axis_profiles", "dct2", "SpectrumAccumulator",
        "spectral_deviation", "frequency_response", "SpectralDeviation",
    ],
    "ganlab.losses": ["ADVERSARIAL", "PENALTIES", "SpectralRegularization"],
    "ganlab.forensics": ["FEATURES", "DETECTORS"],
    "ganlab.training": ["train"],
    "ganlab.generation": ["generate", "generate_images", "verify_set"],
    "ganlab.data": ["load_training_images", "open_image_set", "BatchReader"],
    "ganlab.config": ["load", "dump", "Config", "ConfigError"],
    "ganlab.images": ["to_float", "to_uint8", "luma"],
}  # fmt: skip
"""Names that scripts and notebooks rely on; a name that is added here is a promise."""


def test_public_names_stay():
    missing = []
    for module, names in PUBLIC.items():
        loaded = importlib.import_module(module)
        listed = getattr(loaded, "__all__", names)
        missing += [f"{module}.{name}" for name in names if not hasattr(loaded, name) or name not in listed]
    assert not missing


# -------------------------------------------------------------------------------------------------- figures


def code_numbers(path):
    """Numbers of the lines that hold code: no blank, comment or docstring."""
    documentation = set()
    for node in nodes(path):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documentation |= set(range(node.lineno, node.end_lineno + 1))
    lines = enumerate(path.read_text().splitlines(), 1)
    code = {number for number, line in lines if line.strip() and not line.strip().startswith("#")}
    return code - documentation


def body_numbers(path):
    """Numbers of the lines that work: code inside functions, without their signatures."""
    bodies = [(node.body[0].lineno, node.end_lineno) for node in functions_of(path)]
    inside = {number for first, last in bodies for number in range(first, last + 1)}
    return inside & code_numbers(path)


def called_once(path):
    """Private functions that their file uses in one place."""
    used = Counter()
    for node in nodes(path):
        used.update([node.id] if isinstance(node, ast.Name) else [])
        used.update([node.attr] if isinstance(node, ast.Attribute) else [])
    private = [node.name for node in functions_of(path) if re.match("_[^_]", node.name)]
    return [name for name in private if used[name] == 1]


def comments(path):
    with path.open("rb") as stream:
        return sum(token.type == tokenize.COMMENT for token in tokenize.tokenize(stream.readline))


def figures():
    """The figures of the house: text of one line each."""
    lengths = sorted(length(node) for _, node in FUNCTIONS)
    lines = sum(len(path.read_text().splitlines()) for path in FILES)
    code = sum(len(code_numbers(path)) for path in FILES)
    work = sum(len(body_numbers(path)) for path in FILES)
    once = sum(len(called_once(path)) for path in FILES)
    late = import_graph(late=True)
    importers = Counter(other for imported in late.values() for other in imported)
    single = sum(count == 1 for count in importers.values())
    said = sum(comments(path) for path in FILES)
    around = [" <-> ".join(circle) for circle in circles(late)]
    return [
        f"files {len(FILES)}, lines {lines}, of code {code}, that work {work} ({work / lines:.0%})",
        f"lines of code a file: median {statistics.median(len(code_numbers(path)) for path in FILES):.0f}",
        f"functions {len(lengths)}, median {statistics.median(lengths):.0f} lines, longest {lengths[-1]}",
        f"private functions called once {once} ({once / len(lengths):.0%} of all functions)",
        f"files with a single importer {single}",
        f"comments per 100 lines of code {100 * said / code:.1f}",
        f"circles through imports inside functions: {'; '.join(around) or 'none'}",
    ]


def test_the_figures_of_the_house_are_printed():
    print("\n" + "\n".join(figures()))


if __name__ == "__main__":
    print("\n".join(figures()))
