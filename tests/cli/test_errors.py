"""What the machine refuses is one line; what is a bug keeps its traceback."""

from __future__ import annotations

import errno
import os
import re
import warnings

import pytest
import torch

from ganlab.cli import app, main
from ganlab.cli.verbs import VERBS, Verb
from ganlab.data import DataWarning


def report(monkeypatch, capsys, error, *flags):
    """Exit status and standard error of a verb that raises."""

    def fail():
        raise error

    monkeypatch.setitem(VERBS, "list", Verb("list_:list_", ""))
    monkeypatch.setattr("ganlab.cli.list_.list_", fail)
    with pytest.raises(SystemExit) as leaving:
        app([*flags, "list"], prog_name="ganlab")
    return leaving.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "runs/a"), "runs/a: Permission denied"),
        (IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), "x.csv"), "x.csv: Is a directory"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "log.txt"), "log.txt: No space left"),
        (MemoryError(), "not enough memory .*smaller batch"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "not enough memory .CUDA out of"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
    ],
)
def test_what_the_machine_refuses_is_one_line(monkeypatch, capsys, error, text):
    status, shown = report(monkeypatch, capsys, error)
    assert status == 2
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1
    assert re.search(text, shown)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError("a bug"), KeyError("a bug")])
def test_bugs_keep_their_traceback(monkeypatch, capsys, error):
    with pytest.raises(type(error)):
        report(monkeypatch, capsys, error)


def test_a_warning_of_ganlab_is_one_line_and_others_keep_their_place(monkeypatch, capsys):
    def warn():
        warnings.warn("both are one set", DataWarning, stacklevel=1)
        warnings.warn("theirs", FutureWarning, stacklevel=1)

    monkeypatch.setitem(VERBS, "list", Verb("list_:list_", ""))
    monkeypatch.setattr("ganlab.cli.list_.list_", warn)
    monkeypatch.setattr("sys.argv", ["ganlab", "list"])
    with pytest.warns(FutureWarning, match="theirs"), pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "warning: both are one set\n"


def test_debug_shows_the_traceback_of_everything(monkeypatch, capsys):
    with pytest.raises(MemoryError):
        report(monkeypatch, capsys, MemoryError(), "--debug")


def test_a_run_folder_resumes_where_it_was_moved_to(ganlab, tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "config.yaml").write_text("model: {upsampling: nearest}\nout: runs/elsewhere\n")
    assert "# would train in archive\n" in ganlab("train", "archive", "--dry-run").stdout
    assert "# would train in b\n" in ganlab("train", "archive", "out=b", "--dry-run").stdout
    file = ganlab("train", "archive/config.yaml", "--dry-run")
    assert "# would train in runs/elsewhere\n" in file.stdout
    (tmp_path / "dcgan32").mkdir()
    preset = ganlab("train", "dcgan32", "model.upsampling=nearest", "--dry-run")
    assert "# would train in runs/dcgan32\n" in preset.stdout


def test_verifying_nothing_is_an_error(ganlab):
    done = ganlab("generate", "--verify")
    assert done.code == 2
    assert "needs the finished set" in done.stderr


def test_the_list_names_options_that_exist(ganlab):
    """``(detect --system ...)``: every option in brackets is one of the verb's."""
    titles = [line for line in ganlab("list").stdout.splitlines() if line.endswith(":")]
    named = [match.groups() for line in titles for match in re.finditer(r"\((\w+) (--[\w-]+)", line)]
    assert named
    for verb, option in named:
        options = [o for parameter in VERBS[verb].load(verb).params for o in parameter.opts]
        assert option in options


@pytest.mark.parametrize(("words", "text"), [
    (("spectra", "a", "b", "--out", "o", "--limit", "-1"), "--limit"),
    (("spectra", "a", "b", "--out", "o", "--limit", "1" + "0" * 30), "limit: got a number of 31 digits"),
    (("spectra", "a", "b", "--out", "o", "--limit", "9" * 5000), "--limit"),
    (("generate", "run", "--num", str(2**31), "--out", "o"), "num: got a number of 10 digits"),
    (("generate", "run", "--num", "1", "--out", "o", "--test-fraction", "nan"), "test-fraction: got nan"),
    (("evade", "run", "--model", "m", "--real", "r", "--out", "o", "--rate", "inf"), "rate: got inf"),
    (("spectra", "a\0b", "b", "--out", "o"), "real: got 'a\\x00b'; expected Unicode text without NUL"),
    (("spectra", "a", "b", "c\udcff", "--out", "o"), "fakes: got 'c\\udcff'"),
    (("data", "pack", "a", "b\0", "--size", "8"), "'out'"),
    (("train", "dcgan32", "--stop-at", str(10**30)), "stop-at: got a number of 31 digits"),
    (("theory", "--out", "o", "--size", "100000"), "--size"),
    (("detect", "~nobody-of-this-name/x", "b", "--out", "o"), "~nobody-of-this-name/x"),
])  # fmt: skip
def test_values_that_nothing_can_take(ganlab, words, text):
    code, _, error = ganlab(*words)
    assert (code, text in error) == (2, True), error
