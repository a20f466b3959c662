"""The shape of the package: imports run one way, JAX's internals stay behind one door."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import shiftproof

ROOT = Path(shiftproof.__file__).parent
REPOSITORY = Path(__file__).parent.parent
MODULES = sorted(ROOT.rglob("*.py"))

ORDER = (
    ("plain",),
    ("_version", "errors", "files", "display", "listening", "terminal", "compile_cache"),
    ("archive", "beside", "progress", "layers", "group"),
    ("canvas", "zoo", "data"),
    ("training", "provenance", "certificate"),
    ("tracing",),
    ("algebras",),
    ("exactness",),
    ("proving",),
    ("sweeping",),
    ("refuting",),
    ("deciding",),
    ("rewriting",),
    ("published",),
    ("targets", "doctor", "answer", "comparing", "watching"),
    ("report", "messages"),
    ("claims",),
    ("demo", "assertions", "notebooks", "pitfalls", "records", "testing", "tolerance"),
    ("cli", "pytest_plugin"),
    ("__main__", "__init__"),
)
RANK = {name: level for level, names in enumerate(ORDER) for name in names}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path) -> None:
    here = room(path)
    assert here in RANK, f"{here} has no place in the order: put it where it belongs"
    if here == "__init__":
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "shiftproof" and len(parts) > 1 and parts[1] in RANK and parts[1] != here:
            assert RANK[parts[1]] < RANK[here], f"{here} imports {parts[1]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_internals_and_drawing_stay_in_their_rooms(path) -> None:
    found = imports(path)
    if path.name != "trace.py":
        assert not {n for n in found if n.startswith(("jax._src", "jax.core", "jax.interpreters"))}
    if room(path) not in ("report", "data", "demo"):
        assert not {n for n in found if n.startswith(("matplotlib", "jinja2"))}


@pytest.mark.slow
def test_one_loop_walks_the_equations_of_a_jaxpr() -> None:
    loops = [
        path.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.For) and ast.unparse(node.iter).endswith(".eqns")
    ]
    assert loops.count("trace.py") == len(loops)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_say_their_idea(path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    if len(path.read_text().splitlines()) > 600:
        assert "600 lines" in ast.get_docstring(tree)


@pytest.mark.slow
def test_no_modules_import_each_other() -> None:
    names = {".".join(p.with_suffix("").parts[len(ROOT.parts) - 1 :]): p for p in MODULES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    names.pop("shiftproof")  # the public names, loaded when they are used
    graph = {name: imports(path) & set(names) - {name} for name, path in names.items()}
    assert sum(map(len, graph.values())) > 100
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_imports_by_string_are_few_and_known() -> None:
    """They would hide a cycle from the tests above. Public names are loaded by name, and what the user names or has:
    modules of their own, packages of architectures, the adapter of a framework."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if "import_module(" in path.read_text()
    }
    assert found == {"__init__.py", "published.py", "targets.py", "tracing/doors/torch.py"}


@pytest.mark.slow
def test_results_know_nothing_of_the_report() -> None:
    """The package's `__init__` hands the views in; without it, a result cannot show itself."""
    code = (
        "import sys, shiftproof as sp\n"
        "from shiftproof import display\n"
        "lattice = sp.Lattice((4, 4), ((2, 0),))\n"
        "assert not {m for m in sys.modules if m.startswith('shiftproof.report')}\n"
        "assert '2Z' in lattice._repr_html_()\n"
        "assert 'shiftproof.report.notebook' in sys.modules\n"
        "display._HANDED.clear()\n"
        "try:\n    lattice._repr_html_()\nexcept IndexError:\n    pass\nelse:\n    sys.exit('it finds the report')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_does_not_import_jax() -> None:
    code = "import sys, shiftproof; assert not {'jax', 'numpy', 'flax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_resolve() -> None:
    for name in shiftproof.__all__:
        assert getattr(shiftproof, name) is not None
    assert callable(shiftproof.sweep)
    assert {"verify", "zoo", "__version__"} <= set(shiftproof.__all__) == set(dir(shiftproof))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        shiftproof.nonsense  # noqa: B018


@pytest.mark.parametrize("package", ["shiftproof", "shiftproof_kernel"])
def test_types_are_shipped(package) -> None:
    assert (ROOT.parent / package / "py.typed").is_file()


def test_no_absolute_paths_or_lock_files_are_tracked() -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.fail("run the tests from a clone, so that tracked files can be listed")
    files = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    tracked = [REPOSITORY / line for line in files.stdout.splitlines()]
    assert not [p.name for p in tracked if p.name.endswith(".lock")]
    pattern = re.compile(r"(^|[\s\"'(=])/(work|root|home|tmp|Users)/\w")
    offenders = [
        str(p)
        for p in tracked
        if p.suffix in {".py", ".toml", ".md", ".jinja", ".json", ".jsonl", ".ipynb"}
        and p != Path(__file__)
        if p.exists() and pattern.search(p.read_text())
    ]
    assert not offenders
