"""Mutants of the kernel: every side condition dropped, every number of a formula shifted by one; and what kills each.

    python tests/kernel/mutants.py [WORD]     prints each mutant (with that word in it), its killer, and the score

Each mutant is a copy of the kernel with one place of its source changed, loaded in this process under another name; no
file changes. A mutant is killed by a named case that the real kernel passes and the mutant does not: it claims what is
false, loses what must hold, or gives another reason.
"""

import ast
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import kernels
import pytest
from kernel_cases import CASES, judge
from scene_cases import SCENES
from unit_cases import UNITS

import shiftproof_kernel

ROOT = Path(shiftproof_kernel.__file__).parent
NAMES = ("arithmetic", "facts", "program", "rules", "derivation")
MUTATED = ("arithmetic", "facts", "rules", "derivation")
NUMERIC = frozenset(
    (
        *("Still", "Moving", "Fold", "Phase", "Scene", "still", "replace", "range", "gcd", "pow"),
        *("_strided", "turned", "_passed", "_spread", "pay"),
    )
)
"""Functions whose arguments are shifted by one, beside all of `arithmetic`."""

NAMED = ("part", "tag", "shape")
"""Keywords of theirs that are no numbers."""

EQUIVALENT: dict[str, str] = {
    "rules.fourier: n  ->  n + 1": "step n / period is whole, and step / period less than 1",
    "rules._pieces: fact is not None  ->  True": "a window is None where its fact is",
    "derivation._concluded: isinstance(premise, Fact)  ->  True": "no operand of a rule is lost",
    "rules._passed: Lt  ->  LtE": "a stride of 0 is refused before and after",
    "derivation._found: isinstance(one, Fact)  ->  True": "the weakest is a fact, so all are",
}
"""Mutants that say the same as the kernel, each with the reason why."""


class Mutant(NamedTuple):
    """One change: `put(True)` makes it in the tree of its module, `put(False)` takes it back."""

    module: str
    label: str
    put: Callable[[bool], None]


def tests() -> dict[str, Callable[[SimpleNamespace], None]]:
    """All named tests."""
    cases = {
        name: (lambda kernel, case=case: judge(kernel, case))
        for name, case in [*CASES.items(), *SCENES.items()]
    }
    return {**UNITS, **cases}


TREES = {name: ast.parse((ROOT / f"{name}.py").read_text()) for name in NAMES}


def mutants() -> Iterator[Mutant]:
    """All changes, in the order of the source."""
    for module in MUTATED:
        for function in ast.walk(TREES[module]):
            if isinstance(function, ast.FunctionDef):
                inside = {
                    n
                    for f in ast.walk(function)
                    if isinstance(f, ast.FunctionDef) and f is not function
                    for n in ast.walk(f)
                }
                for node in ast.walk(function):
                    if node not in inside:
                        for place, old, new in _changes(module, node):
                            yield _mutant(module, function, place, old, new)


Place = tuple[Any, Any]


def _changes(module: str, node: ast.AST) -> Iterator[tuple[Place, ast.expr, ast.expr]]:
    yes, no = ast.Constant(True), ast.Constant(False)
    match node:
        case ast.Call(func=ast.Name("need"), args=[condition, *_]):
            yield (node.args, 0), condition, yes
        case ast.Call(func=func):
            name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            owner = getattr(getattr(func, "value", None), "id", "")
            if name in NUMERIC or owner == "arithmetic":
                changed = [] if name == "replace" else node.args  # its argument is no number
                places = [((node.args, i), a) for i, a in enumerate(changed)]
                places += [((k, "value"), k.value) for k in node.keywords if k.arg not in NAMED]
                for place, old in places:
                    yield from _shifted(place, old)
        case ast.BoolOp(op=op, values=values):
            for i, old in enumerate(values):
                yield (values, i), old, yes if isinstance(op, ast.And) else no
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield (node, "test"), test, no
            if not isinstance(node, ast.While):
                yield (node, "test"), test, yes
        case ast.comprehension(ifs=ifs):
            for i, old in enumerate(ifs):
                yield (ifs, i), old, yes
        case ast.match_case(guard=ast.expr() as guard):
            yield (node, "guard"), guard, yes
            yield (node, "guard"), guard, no
        case ast.Return(value=ast.Tuple(elts=elements)) if module == "arithmetic":
            for i, old in enumerate(elements):
                if isinstance(old, ast.Compare):
                    yield (elements, i), old, yes
                    yield from _shifted((old.comparators, 0), old.comparators[0])
                else:
                    yield from _shifted((elements, i), old)
        case ast.Return(value=ast.expr() as value) if module == "arithmetic":
            yield from _shifted((node, "value"), value)
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for one, other in (
                (ast.Lt, ast.LtE),
                (ast.LtE, ast.Lt),
                (ast.Gt, ast.GtE),
                (ast.GtE, ast.Gt),
            ):
                if isinstance(op, one):
                    yield (node.ops, i), op, other()  # type: ignore[misc]
        if len(node.ops) == 2:
            first = ast.Compare(node.left, node.ops[:1], node.comparators[:1])
            second = ast.Compare(node.comparators[0], node.ops[1:], node.comparators[1:])
            for kept in (first, second):
                yield (node, None), node, kept


def _shifted(place: Place, old: ast.expr) -> Iterator[tuple[Place, ast.expr, ast.expr]]:
    constant = isinstance(old, ast.Constant) and not isinstance(old.value, int)
    if not isinstance(old, ast.Starred | ast.GeneratorExp) and not constant:
        for op in (ast.Add(), ast.Sub()):
            yield place, old, ast.BinOp(old, op, ast.Constant(1))


def _mutant(module: str, function: ast.FunctionDef, place: Place, old: Any, new: Any) -> Mutant:
    holder, key = place
    if key is None:  # a comparison changes from within
        saved = (old.left, old.ops, old.comparators)
        other = (new.left, new.ops, new.comparators)

        def put(on: bool) -> None:
            old.left, old.ops, old.comparators = other if on else saved

    elif isinstance(holder, list):

        def put(on: bool) -> None:
            holder[key] = new if on else old

    else:

        def put(on: bool) -> None:
            setattr(holder, key, new if on else old)

    if isinstance(old, ast.cmpop):
        texts = type(old).__name__, type(new).__name__
    else:
        texts = ast.unparse(old), ast.unparse(new)
    return Mutant(module, f"{module}.{function.name}: {texts[0]}  ->  {texts[1]}", put)


class _Renamed(ast.NodeTransformer):
    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.module and node.module.startswith("shiftproof_kernel"):
            module = node.module.replace("shiftproof_kernel", "mutant_kernel")
            return ast.copy_location(ast.ImportFrom(module, node.names, 0), node)
        return node


for _tree in TREES.values():
    _Renamed().visit(_tree)


def _code(name: str) -> types.CodeType:
    return compile(ast.fix_missing_locations(TREES[name]), f"<{name}>", "exec")


CODES = {name: _code(name) for name in NAMES}


def load(mutant: Mutant | None) -> SimpleNamespace:
    """The kernel with a change."""
    codes = dict(CODES)
    if mutant is not None:
        mutant.put(True)
        try:
            codes[mutant.module] = _code(mutant.module)
        finally:
            mutant.put(False)
    package = sys.modules["mutant_kernel"] = types.ModuleType("mutant_kernel")
    made = []
    for name in NAMES:
        module = types.ModuleType(f"mutant_kernel.{name}")
        sys.modules[module.__name__] = module
        exec(codes[name], module.__dict__)
        setattr(package, name, module)
        made.append(module)
    return kernels.namespace(*made)


class Timed(NamedTuple):
    """A test, and the seconds that the kernel itself takes."""

    test: Callable[[SimpleNamespace], None]
    seconds: float


PATIENCE, FAST = 20, 0.1
"""A mutant never ends that takes so many times as long, and a second; and what is a fast test, in seconds."""

RUNNING = [False]
"""Whether a test of a mutant runs, so that an alarm that comes late hits nothing else."""


def _stop(signum: int, frame: object) -> None:
    if RUNNING[0]:
        raise TimeoutError("never ends")


def killer(mutant: Mutant, named: Mapping[str, Timed]) -> str | None:
    """The name of a test that the mutant fails; None where it survives."""
    try:
        kernel = load(mutant)
    except Exception:
        return "it cannot be loaded"
    previous = signal.signal(signal.SIGVTALRM, _stop)
    try:
        for name, (test, seconds) in named.items():
            # seconds of this process, whatever else the machine does; again, where the first is swallowed
            signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE * seconds + 1, 0.5)
            try:
                RUNNING[0] = True
                test(kernel)
            except (Exception, pytest.fail.Exception):
                return name
            finally:
                RUNNING[0] = False
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    finally:
        signal.signal(signal.SIGVTALRM, previous)
    return None


def timed() -> dict[str, Timed]:
    """All named tests, and how long the kernel itself takes, the fastest first.

    Raises:
        AssertionError: the kernel itself fails one, which would kill every mutant.
    """
    found, kernel = {}, load(None)
    for name, test in tests().items():
        begin = time.process_time()
        test(kernel)
        found[name] = Timed(test, time.process_time() - begin)
    return dict(sorted(found.items(), key=lambda pair: pair[1].seconds))


def survey(word: str = "", every: str = "1") -> Iterator[tuple[Mutant, str | None]]:
    """The mutants whose label holds the word, each or one of so many, with its killer.

    Tests that killed the last ones are tried first, if they are fast.
    """
    named = timed()
    for number, mutant in enumerate(mutants()):
        if word in mutant.label and number % int(every) == 0:
            found = killer(mutant, named)
            if found in named and named[found].seconds < FAST:
                named = {found: named[found]} | named
            yield mutant, found


def main() -> int:
    start, killed, total, equivalent = time.perf_counter(), 0, 0, 0
    for mutant, found in survey(*sys.argv[1:3]):
        total += 1
        if found is None and mutant.label in EQUIVALENT:
            equivalent += 1
            print(f"equivalent  {mutant.label}\n            {EQUIVALENT[mutant.label]}")
        else:
            killed += found is not None
            print(
                f"{'killed  ' if found else 'SURVIVES'}  {mutant.label}\n            {found or '-'}"
            )
    seconds = time.perf_counter() - start
    print(f"{killed} of {total - equivalent} killed, {equivalent} equivalent, {seconds:.0f} s")
    return killed + equivalent != total


if __name__ == "__main__":
    sys.exit(main())
