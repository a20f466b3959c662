"""The command line as a new user meets it."""

import gc
import json
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from rich.cells import cell_len

import shiftproof as sp
from shiftproof import cli
from shiftproof.cli import COLLECTING, main
from shiftproof.group import BoundaryName


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["sweep", "--help"],
        ["verify", "--help"],
        ["placements", "--help"],
        ["demo", "--help"],
        ["notebooks", "--help"],
        ["--version"],
    ],
)
def test_help_does_not_import_jax(arguments) -> None:
    code = (
        "import sys\nfrom shiftproof.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'jax', 'flax', 'numpy', 'matplotlib', 'optax'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
def test_sweep_of_a_zoo_model(capsys) -> None:
    code, out, _ = call(capsys, "sweep", "maxpool2x2-stride2")
    assert code == 0
    assert "max_pool" in out
    assert "16/64" in out


@pytest.mark.slow
def test_sweep_of_a_file_with_json_and_a_report(capsys, tmp_path) -> None:
    file = tmp_path / "mymodel.py"
    file.write_text(
        "from flax import nnx\n"
        "def make():\n    return nnx.Conv(1, 2, (3, 3), strides=2, padding='CIRCULAR', rngs=nnx.Rngs(0))\n"
    )
    out_dir = tmp_path / "out"
    code, out, _ = call(
        capsys, "sweep", f"{file}:make", "--shape", 6, 8, 1, "--json", "--out", out_dir
    )
    assert code == 0
    data = json.loads(out)
    assert data["layers"][-1]["equivariance"]["equal"] == 12
    assert data["layers"][-1]["equivariance"]["lattice"] == [[2, 0], [0, 2]]
    names = {path.name for path in out_dir.iterdir()}
    assert {"report.html", "maps.png", "sweep.npz", "sweep.json", "plan.json", "chunks"} <= names
    assert sp.load_sweep(out_dir / "sweep.npz").count("equivariance").equal == 12
    code, _, err = call(capsys, "sweep", f"{file}:make", "--shape", 6, 8, 1, "--out", out_dir)
    assert code == 2
    assert "--resume" in err
    code, again, _ = call(
        capsys, "sweep", f"{file}:make", "--shape", 6, 8, 1, "--json", "--out", out_dir, "--resume"
    )
    assert code == 0
    assert again == out


@pytest.mark.slow
def test_placements_of_a_file_and_of_a_zoo_model(capsys, tmp_path) -> None:
    (tmp_path / "two.py").write_text(
        "from flax import nnx\n"
        "def make():\n"
        "    convs = [nnx.Conv(1, 1, (3, 3), use_bias=False, rngs=nnx.Rngs(i)) for i in (0, 1)]\n"
        "    return nnx.Sequential(*convs)\n"
    )
    place = ("placements", f"{tmp_path / 'two.py'}:make")
    code, out, _ = call(capsys, *place, "--object", 3, 3, 1, "--canvas", 9, 9)
    assert code == 0
    assert "49 placements" in out
    assert "25/49" in out
    code, out, _ = call(capsys, *place, "--object", 3, 3, 1, "--canvas", 9, 9, "--json")
    assert json.loads(out)["causes"][0]["code"] == "border"
    (tmp_path / "picky.py").write_text(
        "def picky(x):\n    assert x.shape[1:] == (5, 9, 2)\n    return x\n"
    )
    code, _, err = call(capsys, "placements", tmp_path / "picky.py")
    assert code == 2
    assert "add --object 3 3 1 --canvas 28 28" in " ".join(err.split())
    code, out, _ = call(capsys, "placements", "maxpool2x2-stride2")
    assert code == 0
    assert "an object of 2x2 on a canvas of 8x8, 49 placements" in out


@pytest.mark.slow
def test_a_model_that_is_a_function_of_one_argument(capsys, tmp_path) -> None:
    (tmp_path / "funcs.py").write_text("def half(x):\n    return x[:, ::2, ::2]\n")
    code, out, _ = call(
        capsys, "sweep", f"{tmp_path / 'funcs.py'}:half", "--shape", 6, 6, 1, "--count", 2
    )
    assert code == 0
    assert "9/36" in out


@pytest.mark.slow
def test_sweep_of_a_picture(capsys, tmp_path) -> None:
    import matplotlib.image

    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    matplotlib.image.imsave(tmp_path / "picture.png", picture)
    (tmp_path / "pools.py").write_text(
        "from flax import nnx\ndef pool(x):\n    return nnx.max_pool(x, (2, 2), (2, 2))\n"
    )
    code, out, _ = call(
        capsys, "sweep", f"{tmp_path / 'pools.py'}:pool", "--png", tmp_path / "picture.png"
    )
    assert code == 0
    assert "16/64" in out


MISTAKES = {
    "unknown zoo name": (["sweep", "lenet-globl"], "lenet-global"),
    "no shape": (["sweep", "{file}:picky"], "--shape 28 28 1"),
    "no file": (["sweep", "nowhere.py:f"], "there is no file nowhere.py"),
    "no factory": (["sweep", "{file}"], "say which one by its name"),
    "unknown factory": (
        ["sweep", "{file}:pol"],
        "defines no 'pol'; it defines pool, needs, fails, second, picky. Did you mean",
    ),
    "a factory with arguments": (["sweep", "{file}:needs"], "needs the arguments width, rngs"),
    "a factory that fails": (["sweep", "{file}:fails"], "fails: RuntimeError: boom"),
    "unknown module": (["sweep", "no.such.module:f"], "cannot be imported"),
    "two sources": (["sweep", "{file}:pool", "--digits", "--png", "x.png"], "exclude each other"),
    "resume without out": (["sweep", "dense", "--resume"], "--resume needs --out"),
    "no probes": (["sweep", "dense", "--count", "0"], "--count must be at least 1"),
    "missing MNIST": (["sweep", "{file}:pool", "--mnist", "nowhere"], "nowhere"),
    "missing picture": (["sweep", "{file}:pool", "--png", "nowhere.png"], "nowhere.png"),
    "wrong rank": (["sweep", "{file}:pool", "--shape", "8"], "needed is"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_one_clear_message(capsys, tmp_path, name) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def pool(x):\n    return x\n"
        "def needs(width, rngs):\n    return None\n"
        "def fails():\n    raise RuntimeError('boom')\n"
        "def second():\n    return pool\n"
        "def picky(x):\n    assert x.shape[1:] == (5, 9, 2)\n    return x\n"
    )
    arguments, message = MISTAKES[name]
    code, out, err = call(capsys, *[a.format(file=file) for a in arguments])
    assert code == 2
    assert err.startswith("error: ")
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert not out


def test_warnings_are_told_in_words(capsys, tmp_path) -> None:
    (tmp_path / "dead.py").write_text("def dead(x):\n    return x * 0\n")
    code, _, err = call(capsys, "sweep", f"{tmp_path / 'dead.py'}:dead", "--shape", 4, 4, 1)
    assert code == 0
    assert err.startswith("warning: dead: output does not depend on the images")


def test_interruption_says_how_to_go_on(capsys, tmp_path, monkeypatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shiftproof.sweeping.sweep.sweep", interrupt)
    code, _, err = call(capsys, "sweep", "dense", "--out", tmp_path / "x")
    assert code == 130
    assert "--resume goes on" in err


def test_doctor(capsys) -> None:
    code, out, _ = call(capsys, "doctor")
    assert code == 0
    assert "exact" in out
    assert "Healthy" in out
    code, out, _ = call(capsys, "doctor", "--json")
    data = json.loads(out)
    assert data["devices"][0]["calibration"]["float32"]["exact"] is True
    assert {"jax", "default matmul precision"} <= set(data["versions"])


CIRCULAR = (
    "from flax import nnx\n"
    "def make():\n    return nnx.Conv(1, 2, (3, 3), strides=2, padding='CIRCULAR', rngs=nnx.Rngs(0))\n"
)


@pytest.mark.slow
def test_verify_check_and_replay(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    file, out_dir = tmp_path / "mymodel.py", tmp_path / "out"
    file.write_text(CIRCULAR)
    asked = ["--grid", 6, 8, "--property", "equivariance"]
    code, out, _ = call(capsys, "verify", f"{file}:make", *asked, "--out", out_dir)
    assert code == 1
    assert "equivariant under 12 of 48 shifts (2Z × 2Z); refuted under 36" in out
    assert "wrote" in out
    names = {path.name for path in out_dir.iterdir()}
    assert {"report.html", "maps.png", "verdict.json"} <= names
    certificate = out_dir / "output.equivariance.certificate.json"
    code, out, _ = call(capsys, "check", certificate)
    assert code == 0
    assert out.startswith("proved: equivariance of 'output'")
    assert "12 of 48" in out
    certificate.write_text(certificate.read_text().replace('"proved": 12', '"proved": 24'))
    code, out, _ = call(capsys, "check", certificate)
    assert code == 1
    assert out.startswith("refused")
    for path in out_dir.glob("*.counterexample.npz"):
        code, out, _ = call(capsys, "replay", path)
        assert code == 3
        assert "Nothing was run: this is what the file claims" in " ".join(out.split())
        code, out, _ = call(capsys, "replay", path, "--target", f"{file}:make")
        assert code == 0
        assert "reproduced" in out
        code, out, _ = call(capsys, "replay", path, "--target", "maxpool2x2-stride2", "--json")
        assert code == 2 or not json.loads(out)["reproduced"]


@pytest.mark.slow
def test_verify_exit_codes_follow_the_shifts_asked(capsys) -> None:
    asked = ["verify", "maxpool2x2-stride2", "--property", "equivariance", "--json"]
    code, out, _ = call(capsys, *asked, "--shifts", "2Z,2Z")
    assert code == 0
    assert json.loads(out)["word"] == "proved"
    code, out, _ = call(capsys, *asked, "--shifts", "1,0")
    assert code == 1
    data = json.loads(out)["outputs"][0]["equivariance"]
    assert (data["proved"], data["refuted"], data["undecided"]) == (16, 48, 0)


@pytest.mark.slow
def test_verify_says_undecided_with_code_3(capsys, tmp_path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import jax.numpy as jnp\n"
        "def model(x):\n    return jnp.where(jnp.cumsum(x**2, 1) >= 0, x, x + 1)\n"
    )
    code, out, _ = call(
        capsys, "verify", f"{file}:model", "--shape", 4, 1, "--property", "equivariance"
    )
    assert code == 3
    assert "undecided under 3: cumsum at model.py:3" in " ".join(out.split())
    _, out, _ = call(capsys, "verify", f"{file}:model", "--shape", 4, 1, "--no-why", "--full")
    assert "?" in out


AVERAGED = (
    "from flax import nnx\ndef model(x):\n    return nnx.avg_pool(x, (2, 2), (2, 2)).mean((1, 2))\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("exhaustive", [[], ["--exhaustive"]])
def test_identities_are_counted_apart_and_written(capsys, tmp_path, exhaustive) -> None:
    file, out_dir = tmp_path / "model.py", tmp_path / "out"
    file.write_text(AVERAGED)
    asked = ["verify", f"{file}:model", "--shape", 8, 8, 1, *exhaustive]
    code, out, _ = call(capsys, *asked, "--out", out_dir)
    assert code == 0
    said = " ".join(out.split())
    assert "invariant under 64 of 64 shifts (all shifts); 48 by identity, error < 2^-1" in said
    assert ("every shift of the grid was also tried by itself" in said) is bool(exhaustive)
    assert "1 certificates, 1 identities, 0 counterexamples" in said
    identity = json.loads((out_dir / "output.invariance.identity.json").read_text())
    assert identity["schema"] == "shiftproof.identity/1"
    assert identity["statement"]["proved"] == 64
    assert identity["statement"]["certified"] == 16
    assert identity["exhaustive"] is bool(exhaustive)
    assert identity["log2_error"] < -100
    code, out, _ = call(capsys, *asked, "--json")
    (output,) = json.loads(out)["outputs"]
    evidence = output["invariance"]["evidence"]
    assert (evidence["certified"], evidence["by_identity"]) == (16, 48)
    assert {proof["by"] for proof in evidence["proofs"]} == {"kernel", "identity"}


@pytest.mark.slow
def test_notes_are_told_once(capsys, tmp_path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import jax.numpy as jnp\n"
        "def halves(x):\n    return (x.astype(jnp.bfloat16) * 2).astype(x.dtype)\n"
        "def dead(x):\n    return 0 * x\n"
    )
    code, out, _ = call(capsys, "verify", f"{file}:halves", "--shape", 4, 1)
    assert code == 1
    assert "note the compiled program computes in bfloat16" in " ".join(out.split())
    _, out, err = call(capsys, "verify", f"{file}:dead", "--shape", 4, 1)
    assert "hardly answers" in err
    assert "hardly answers" not in out


@pytest.mark.slow
def test_verify_measures_by_cosets_and_by_brute_force(capsys) -> None:
    found = []
    for more in ([], ["--brute"]):
        code, out, _ = call(
            capsys, "verify", "lenet-global", "--sweep", "--json", "--no-why", *more
        )
        assert code == 1
        found.append(json.loads(out)["sweep"]["layers"])
    assert found[0] == found[1]


def test_rules_print_themselves(capsys) -> None:
    code, out, _ = call(capsys, "rules", "--json")
    assert code == 0
    kernel, primitives = json.loads(out)
    assert {"map", "window", "mix", "loop"} <= {row[0] for row in kernel["rows"]}
    words = {word: row[0] for row in primitives["rows"] for word in row[1].split()}
    assert words["conv_general_dilated"] == "bilinear"
    assert words["cholesky"] == "opaque"
    assert all(row[2] for row in primitives["rows"])


VERIFY_MISTAKES = {
    "no shape": (["verify", "FILE:picky"], "the shape of one image is missing"),
    "two shapes": (
        ["verify", "lenet-global", "--shape", 28, 28, 1, "--grid", 28, 28],
        "exclude each other",
    ),
    "no shift": (["verify", "lenet-global", "--shifts", "x,0"], "is no shift"),
    "brute alone": (["verify", "lenet-global", "--brute"], "--brute belongs to --sweep"),
    "no file": (["replay", "FILE"], "no readable counterexample"),
}


@pytest.mark.parametrize("name", VERIFY_MISTAKES)
def test_mistakes_in_a_verification_are_told(capsys, tmp_path, name) -> None:
    file = tmp_path / "mymodel.py"
    file.write_text(CIRCULAR + "def picky(x):\n    assert x.shape[1:] == (5, 9, 2)\n    return x\n")
    arguments, message = VERIFY_MISTAKES[name]
    code, _, err = call(capsys, *(str(a).replace("FILE", str(file)) for a in arguments))
    assert code == 2
    assert message in " ".join(err.split())


FLAT = (
    "import jax.numpy as jnp\n"
    "from flax import nnx\n"
    "class Net(nnx.Module):\n"
    "    def __init__(self, *, rngs):\n"
    "        self.conv = nnx.Conv(1, 2, (3, 3), padding='CIRCULAR', rngs=rngs)\n"
    "        self.head = nnx.Linear(2 * 8 * 8, 3, rngs=rngs)\n"
    "    def __call__(self, x):\n"
    "        x = nnx.relu(self.conv(x))\n"
    "        return self.head(x.reshape(x.shape[0], -1)), x\n"
)


@pytest.mark.slow
def test_a_file_alone_is_enough(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FLAT)
    code, out, err = call(capsys, "verify", "mine.py", "--out", "verdict")
    assert code == 1
    assert "output.1: equivariant under 64 of 64 shifts (all shifts)" in out
    page = (tmp_path / "verdict" / "report.html").read_text()
    assert page.index("The answer") < page.index("because") < page.index("Every shift")
    said = " ".join(err.split())
    assert "note: mine.py defines Net, which is taken for the model." in said
    assert "note: images are taken to have the shape 8x8x1" in said
    (example, *_) = sorted((tmp_path / "verdict").rglob("*.counterexample.npz"))
    code, out, _ = call(capsys, "replay", example, "--target", "mine.py")
    assert code == 0


COMMANDS = {
    "help": ["--help"],
    **{f"help of {name}": [name, "--help"] for name in ("demo", "verify", "sweep", "claims")},
    "help of placements": ["placements", "--help"],
    "help of diff": ["diff", "--help"],
    "verify": ["verify", "mine.py", "--sweep"],
    "verify with files": ["verify", "lenet-global", "--out", "out"],
    "sweep": ["sweep", "mine.py"],
    "sweep with files": ["sweep", "maxpool2x2-stride2", "--out", "swept"],
    "placements": ["placements", "mine.py"],
    "scene": ["verify", "mine.py", "--boundary", "scene"],
    "background": ["verify", "mine.py", "--boundary", "background"],
    "pitfalls": ["pitfalls"],
    "claims": ["claims"],
    "one claim": ["claims", "B1'"],
    "check": ["check", "{certificate}"],
    "replay": ["replay", "{example}", "--target", "mine.py"],
    "a claim": ["replay", "{example}"],
    "rules": ["rules"],
    "doctor": ["doctor"],
    "a mistake": ["verify", "mine.py", "--grid", "5", "5"],
    "a wrong name": ["verify", "lenet-globl"],
    "a wrong option": ["verify", "mine.py", "--grdi", "5"],
}


def test_the_boundaries_are_those_of_the_library() -> None:
    assert get_args(cli.Boundary) == get_args(BoundaryName)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_text_fits_80_columns_without_colour(capsys, tmp_path, monkeypatch, name) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FLAT)
    places = {}
    if name in ("check", "replay", "a claim"):
        call(capsys, "verify", "mine.py", "--out", "made", "--property", "equivariance")
        places["certificate"] = next(tmp_path.rglob("*.certificate.json")).relative_to(tmp_path)
        places["example"] = next(iter(tmp_path.rglob("*.npz")), tmp_path).relative_to(tmp_path)
    _, out, err = call(capsys, *(word.format(**places) for word in COMMANDS[name]))
    assert out + err
    assert "\x1b" not in out + err
    for line in (out + err).splitlines():
        # the line of usage is tyro's, and never broken
        assert cell_len(line) <= 80 or line.startswith("usage: "), line


@pytest.mark.slow
def test_completion_for_the_shell_does_not_import_jax() -> None:
    code = (
        "import sys\nfrom shiftproof.cli import main\n"
        "try:\n    main(['--tyro-print-completion', 'bash'])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'jax', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "verify" in done.stdout
    assert "complete" in done.stdout


@pytest.mark.slow
def test_what_draws_is_loaded_only_where_something_is_drawn(tmp_path) -> None:
    (tmp_path / "net.py").write_text(
        "from flax import nnx\n\n\ndef make():\n    return nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))\n"
    )
    watched = """
import sys
from shiftproof import cli
try:
    cli.main(sys.argv[1:])
except SystemExit:
    print(sorted({"matplotlib", "jinja2", "scipy"} & {name.split(".")[0] for name in sys.modules}))
"""
    for more, loaded in (
        (["--no-why"], []),
        (["--out", "seen", "--no-why"], ["jinja2", "matplotlib"]),
    ):
        words = [sys.executable, "-c", watched, "verify", "net.py", "--grid", "4", "4", *more]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == str(loaded)


def test_garbage_is_looked_for_less_often_in_a_process_of_its_own_only(monkeypatch) -> None:
    before = gc.get_threshold()
    try:
        with pytest.raises(SystemExit):
            main(["--version"])
        assert gc.get_threshold() == before
        monkeypatch.setattr(sys, "argv", ["shiftproof", "--version"])
        with pytest.raises(SystemExit):
            main()
        assert gc.get_threshold() == COLLECTING
    finally:
        gc.set_threshold(*before)
