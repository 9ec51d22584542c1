"""Commands on files that somebody spoiled: exit code 0, or one sentence, and no traceback.

The library's readers have their own cases in ``test_fuzz``; here whole verbs run in this process.
``pytest -m fuzz`` takes 200 cases of every command that is cheap, fewer of the others. A case is a line of
`COMMANDS` and a number.
"""

import shutil
import warnings

import pytest
from fuzz_kinds import kinds, pixels, png
from mutator import Mutator, entries, escape

SIDE = 8
SECONDS = 30
"""Of a whole command: imports, figures and a page, where the file turns out to be sound enough."""
COMMANDS = {
    # kind of spoiled file, cases, words: IN is the spoiled folder, SOUND the sound files, OUT a free place
    "verify": ("fake set", 200, "generate --verify IN/set"),
    "detect zip": ("zip of images", 200, "detect --model SOUND/d.safetensors IN/set.zip --out OUT/s.csv"),
    "detect folder": ("images", 200, "detect --model SOUND/d.safetensors IN/set --out OUT/s.csv"),
    "detect model": ("detector logistic", 200, "detect --model IN/d.safetensors SOUND/real --out OUT/s.csv"),
    "detect sets": ("images", 40, "detect SOUND/real IN/set --out OUT/d --seeds 1 --system both+logistic "
                    "--resamples 20 --size 0 --perturbation none --bands 0"),
    "audit": ("images", 100, "audit SOUND/real IN/set --json OUT/a.json"),
    "audit zip": ("zip of images", 100, "audit SOUND/real IN/set.zip --json OUT/a.json"),
    "probe": ("generator", 40, "probe IN/generator.safetensors --json OUT/p.json"),
    "probe pretrained": ("pretrained", 40, "probe IN/hub --json OUT/p.json"),
    "generate": ("generator", 60, "generate IN/generator.safetensors --num 4 --out OUT/g"),
    "patches": ("detector cnn", 40, "patches IN/d.safetensors SOUND/real SOUND/images/set --out OUT/p"),
    "spectra": ("images", 40, "spectra SOUND/real IN/set --out OUT/s --bootstrap 0"),
    "data pack": ("images", 200, "data pack IN/set OUT/p.gpack --size 8"),
    "report": ("results", 60, "report IN/theory --out OUT/page.html"),
    "show": ("texts", 200, "show IN/c.yaml"),
    "ablate": ("texts", 100, "ablate IN/p.yaml --out OUT/a --dry-run"),
}  # fmt: skip
FEW = 2
"""Cases of the commands that take milliseconds, by default."""
CHEAP = ["verify", "detect zip", "detect folder", "detect model", "show", "ablate"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory, tiny_runs):
    """The sound files of every kind that a command reads, and what they are held against."""
    folder, table = tmp_path_factory.mktemp("sound"), kinds(tiny_runs[0])
    for name in {kind for kind, _, _ in COMMANDS.values()} - {"images"}:
        (folder / name).mkdir()
        table[name].make(folder / name)
    for name, count, seed in (("images/set", 34, 1), ("real", 34, 2)):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(pixels(count, SIDE, seed)):
            (folder / name / f"{number}.png").write_bytes(png(image))
    shutil.copy(folder / "detector logistic" / "d.safetensors", folder)
    return folder, table


def escape_of(name, sound, folder, number, ganlab):
    """One case: what the command ended in, if that was neither success nor one sentence."""
    base, table = sound
    kind, _, words = COMMANDS[name]
    mutator, place = Mutator([number, list(COMMANDS).index(name)]), folder / "in"
    shutil.copytree(base / kind, place)
    (folder / "out").mkdir()
    chosen = mutator.pick(sorted(path for path in entries(place) if (place / path).is_file()))
    if kind in table and table[kind].files:
        chosen = mutator.pick(table[kind].files)
    if not mutator.place(place / chosen):
        data = (place / chosen).read_bytes()
        spoil = table[kind].spoil if kind in table else lambda mutator, _, data: mutator.data(data)
        (place / chosen).write_bytes(spoil(mutator, chosen, data))
    for short, path in (("IN", place), ("SOUND", base), ("OUT", folder / "out")):
        words = words.replace(short, str(path))
    before, ended = entries(place), []

    def run():
        done = ganlab(*words.split(" "))
        ended.append(done)
        if done.code not in (0, 1, 2):
            raise AssertionError(f"exit code {done.code}")
        if done.code == 2 and "error" not in done.stderr:
            raise AssertionError(f"no word: {done.stderr}")
        if "Traceback" in done.stderr + done.stdout:
            raise AssertionError(done.stderr)

    try:
        found = escape(run, SECONDS)
        debris = [path for path in entries(folder / "out") if ".tmp" in path]
        left = sorted(entries(place) - before) + debris
        code = ended[0].code if ended else None
        return code, f"{name} {number}: {chosen}: {found or f'left {left}'}" if found or left else None
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(folder / "out", ignore_errors=True)


def ended(name, sound, folder, numbers, ganlab, monkeypatch):
    """How many cases ended in each exit code, and the escapes."""
    monkeypatch.chdir(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [escape_of(name, sound, folder, number, ganlab) for number in numbers]
    codes = {code: sum(case[0] == code for case in cases) for code in (0, 1, 2)}
    return codes, [case[1] for case in cases if case[1]]


@pytest.mark.parametrize("name", CHEAP)
def test_commands_on_spoiled_files(name, sound, tmp_path, ganlab, monkeypatch):
    _, found = ended(name, sound, tmp_path, range(FEW), ganlab, monkeypatch)
    assert not found, "\n\n".join(found[:3])


@pytest.mark.fuzz
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", list(COMMANDS))
def test_commands_on_many_spoiled_files(name, sound, tmp_path, ganlab, monkeypatch):
    codes, found = ended(name, sound, tmp_path, range(FEW, FEW + COMMANDS[name][1]), ganlab, monkeypatch)
    print(f"{name}: exit codes {codes}, {len(found)} escapes")
    assert not found, f"{len(found)} of {COMMANDS[name][1]}\n" + "\n\n".join(found[:5])
