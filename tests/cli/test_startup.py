"""What answers without torch, what the help lists, and how errors reach the user."""

import json
import subprocess
import sys

import pytest

import ganlab as package
from ganlab.cli.verbs import VERBS, Verb

HEAVY = [
    "torch",
    "torchvision",
    "matplotlib",
    "sklearn",
    "scipy",
    "pandas",
    "numpy",
    "tensorboard",
    "PIL",
]
LISTED = [name for name, verb in VERBS.items() if verb.exists]
PROBE = """
import json, sys
from ganlab.cli import main
loaded = {}
for words in json.loads(sys.argv.pop()):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit:
        pass
    loaded[" ".join(words)] = [name for name in %r if name in sys.modules]
print(json.dumps(loaded), file=sys.stderr)
"""


def loaded(ganlab_process, lines, names):
    """Which of ``names`` were imported after each of the command lines, run in one process in this order."""
    done = ganlab_process(json.dumps(lines), code=PROBE % (names,))
    assert "Traceback" not in done.stderr
    return json.loads(done.stderr.splitlines()[-1])


def test_no_heavy_import(ganlab_process):
    lines = [
        ["--help"], ["-h"], [], ["--version"], ["list"], ["schema"], ["show", "dcgan32"],
        ["show", "dcgan32", "optimizer.lr=fast"], ["nonsense"],
        *([name, "--help"] for name in LISTED), ["data", "pack", "--help"],
    ]  # fmt: skip
    assert loaded(ganlab_process, lines, HEAVY) == {" ".join(words): [] for words in lines}


def test_help_lists_the_verbs_in_order_without_importing_them(ganlab, ganlab_process):
    listed = ganlab("--help").stdout
    words = [line.split()[0] for line in listed.split("Commands:")[1].splitlines() if line.strip()]
    assert words == LISTED
    for name in LISTED:
        assert VERBS[name].help in listed
    modules = [f"ganlab.cli.{verb.module}" for verb in VERBS.values()]
    assert loaded(ganlab_process, [["--help"]], modules) == {"--help": []}


@pytest.mark.parametrize("name", LISTED)
def test_every_verb_loads_and_has_help(name):
    command = VERBS[name].load(name)
    assert command.help
    assert "``" not in command.help
    for parameter in command.params:
        assert parameter.name


def test_a_verb_whose_file_is_absent_is_not_listed():
    assert not Verb("not_written:f", "").exists


def test_version(ganlab):
    assert ganlab("--version").stdout == f"ganlab {package.__version__}\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [("ganlab tr", "train"), ("ganlab train --dr", "--dry-run"), ("ganlab data pa", "pack")],
)
def test_the_shell_completes_verbs_and_options(ganlab_process, line, expected):
    code = (
        "import sys\nfrom ganlab.cli import main\n"
        "try: main()\nfinally: print('torch' in sys.modules, file=sys.stderr)"
    )
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    result = ganlab_process(code=code, _GANLAB_COMPLETE="complete_bash", **words)
    assert (result.stdout, result.stderr) == (f"{expected}\n", "False\n")


def test_completion_is_offered(ganlab):
    assert "complete -o default" in ganlab("--show-completion", "bash").stdout
    assert "--install-completion" in ganlab("--help").stdout


def test_without_arguments_the_help_is_shown(ganlab):
    result = ganlab()
    assert "Usage: ganlab" in result.stdout + result.stderr


def test_an_unknown_verb_suggests_the_nearest(ganlab):
    result = ganlab("shwo", "dcgan32")
    assert result.code == 2
    assert "no verb 'shwo'; expected one of" in result.stderr
    assert "did you mean 'show'?" in result.stderr


@pytest.mark.parametrize("args", [["show"], ["show", "dcgan32", "--nonsense"], ["list", "a", "b"]])
def test_wrong_usage_exits_with_2(ganlab, args):
    result = ganlab(*args)
    assert result.code == 2
    assert result.stderr.startswith("Usage:")
    assert "Traceback" not in result.stderr


def test_user_errors_have_no_traceback_and_exit_with_2(ganlab):
    result = ganlab("show", "dcgan46")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: dcgan46: no such configuration")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("args", [["--debug", "show", "dcgan46"], ["show", "dcgan46", "--debug"]])
def test_debug_shows_the_traceback(ganlab_process, args):
    result = ganlab_process(*args)
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    assert "ConfigError" in result.stderr


RAISING = """
import ganlab.cli.verbs as verbs
class Broken:
    exists, help = True, "x"
    def load(self, name):
        def broken():
            "Fails."
            raise {error}
        import typer
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(name)(broken)
        return typer.main.get_command(single)
verbs.VERBS["broken"] = Broken()
from ganlab.cli import main
main()
"""


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        ("KeyboardInterrupt", 130, "interrupted"),
        ("__import__('ganlab.errors').errors.GanlabError('plain words')", 2, "error: plain words"),
        (
            "RuntimeError('operator torchvision::nms does not exist')",
            2,
            "pip install --upgrade torch torchvision",
        ),
        ("__import__('typer').Exit(7)", 7, ""),
    ],
)
def test_errors_from_a_verb(ganlab_process, error, status, text):
    result = ganlab_process("broken", code=RAISING.format(error=error))
    assert result.returncode == status
    assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == bool(text)


@pytest.mark.parametrize("error", ["RuntimeError('a bug')", "ImportError('a bug')", "KeyError('a bug')"])
def test_bugs_keep_their_traceback(ganlab_process, error):
    result = ganlab_process("broken", code=RAISING.format(error=error))
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "a bug" in result.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    code = "from ganlab.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.wait(60)
    assert process.stderr.read() == b""
    process.stderr.close()


def test_python_m_works(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "ganlab", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert result.stdout.startswith("ganlab ")
