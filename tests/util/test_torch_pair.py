"""A torchvision that does not fit torch, simulated by a module of that name on the path."""

import subprocess
import sys

import pytest

from ganlab.util.torch_pair import explain

FAILURES = {
    "nms": "raise RuntimeError('operator torchvision::nms does not exist')",
    "symbol": "raise ImportError('torchvision/_C.so: undefined symbol: _ZN3c10')",
    "loader": "raise OSError('libtorchvision.so: cannot open shared object file')",
    "circular": "raise AttributeError('torchvision is partially initialized and has no extension')",
}


def run(tmp_path, code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
    )


@pytest.mark.parametrize("kind", FAILURES)
def test_a_broken_pair_becomes_one_sentence(tmp_path, kind):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(FAILURES[kind])
    code = (
        "from importlib.metadata import version\n"
        "from ganlab.errors import GanlabError\n"
        "from ganlab.util.torch_pair import import_torchvision\n"
        "try:\n    import_torchvision('datasets')\n"
        "except GanlabError as error:\n"
        "    text = str(error)\n"
        "    assert version('torch') in text and version('torchvision') in text, text\n"
        "    print(text)\n"
    )
    result = run(tmp_path, code)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    assert "pip install --upgrade torch torchvision" in result.stdout


def test_an_absent_torchvision(tmp_path):
    code = (
        "import sys\nsys.modules['torchvision'] = None\n"
        "from ganlab.util.torch_pair import import_torchvision\nimport_torchvision()"
    )
    result = run(tmp_path, code)
    assert result.stderr.splitlines()[-1].startswith("ganlab.errors.GanlabError: torch ")


def test_a_good_import_is_passed_through(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("")
    (tmp_path / "torchvision" / "ops.py").write_text("here = 3")
    code = "from ganlab.util.torch_pair import import_torchvision as f\nprint(f('ops').here, f().__name__)"
    assert run(tmp_path, code).stdout == "3 torchvision\n"


@pytest.mark.parametrize(
    "error", [RuntimeError("out of memory"), ImportError("no name x"), ModuleNotFoundError("x", name="numpy")]
)
def test_other_errors_are_not_explained(error):
    assert explain(error) is None


def test_errors_elsewhere_are_explained():
    assert explain(RuntimeError("operator torchvision::nms does not exist"))
    assert explain(ModuleNotFoundError("No module named 'torch'", name="torch"))
