"""Mutants of the kernel's formulas: every small change of their source must make a lemma false.

The changes are made in the syntax tree of `arithmetic.py`: one more and one less at every number and name, operands
swapped, operations and comparisons exchanged, conditions dropped. A mutant is *killed* by a lemma that is false of it,
with numbers for which plain Python shows so. What no lemma kills must be the same function, which z3 then has to prove.
"""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from proofs.rules.identities import check
from proofs.rules.lemma import KERNEL, Lemma
from proofs.rules.solvers import Questions, Undecided
from proofs.rules.terms import Relation, lift, unknown
from proofs.rules.twins import counterexample, is_false
from shiftproof_kernel import arithmetic

SIZES = frozenset("n period still other block common base size dilation stride".split())
"""Arguments of the formulas that the kernel's rules only ever give integers of at least 1."""

SECONDS = 3
"""Longer than this no question about a mutant takes; there may be another lemma that kills it."""

OPERATIONS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
COMPARISONS = {
    ast.Eq: (ast.LtE, ast.GtE, ast.NotEq),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.LtE: (ast.Lt, ast.Gt),
}


class Mutant(NamedTuple):
    """A changed formula."""

    name: str
    change: str
    function: Callable[..., Any]


class Fate(NamedTuple):
    """What became of a mutant: the lemma that is false of it, and where; or that it is the same function."""

    mutant: Mutant
    word: str
    lemma: str = ""
    model: Mapping[str, int] | None = None


def mutants() -> Iterator[Mutant]:
    """All changes of all formulas, in the order of the source."""
    tree = ast.parse(inspect.getsource(arithmetic))
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            (answer,) = [part for part in function.body if isinstance(part, ast.Return)]
            original = ast.unparse(answer.value) if answer.value else ""
            for change in _changes(answer, "value"):
                changed = ast.unparse(answer.value) if answer.value else ""
                yield Mutant(function.name, f"{original}  →  {changed}", _compiled(function))
                change()


def _changes(holder: Any, key: Any) -> Iterator[Callable[[], None]]:
    """Make one change after the other within an expression; each time, give what takes it back."""
    old = holder[key] if isinstance(holder, list) else getattr(holder, key)

    def put(node: Any) -> Callable[[], None]:
        if isinstance(holder, list):
            holder[key] = node
        else:
            setattr(holder, key, node)
        return lambda: put(old) and None

    match old:
        case ast.Tuple(elts=elements):
            for i, element in enumerate(elements):
                if isinstance(element, ast.Compare):
                    elements[i] = ast.Constant(True)

                    def back(i: int = i, element: ast.expr = element) -> None:
                        elements[i] = element

                    yield back
                yield from _changes(elements, i)
        case ast.Name() | ast.Constant():
            for op in (ast.Add(), ast.Sub()):
                yield put(ast.BinOp(old, op, ast.Constant(1)))
        case ast.BinOp(left=left, op=op, right=right):
            if not isinstance(op, ast.Add | ast.Mult):  # the others do not mind
                yield put(ast.BinOp(right, op, left))
            yield put(ast.BinOp(left, OPERATIONS[type(op)](), right))
            for shift in (ast.Add(), ast.Sub()):
                yield put(ast.BinOp(old, shift, ast.Constant(1)))
            yield from _changes(old, "left")
            yield from _changes(old, "right")
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            if not isinstance(op, ast.Eq):
                yield put(ast.Compare(right, [op], [left]))
            for other in COMPARISONS[type(op)]:
                yield put(ast.Compare(left, [other()], [right]))
            yield from _changes(old, "left")
            yield from _changes(old.comparators, 0)
        case _:
            raise TypeError(f"formulas are not made of {ast.unparse(old)}")


def _compiled(function: ast.FunctionDef) -> Callable[..., Any]:
    module = ast.fix_missing_locations(ast.Module([function], []))
    names: dict[str, Any] = {}
    exec(compile(ast.parse(ast.unparse(module)), "<mutant>", "exec"), names)
    return names[function.name]


def fates(
    lemmas: Sequence[Lemma], solver: Any, seconds: float, *, name: str = ""
) -> Iterator[Fate]:
    """What becomes of every mutant, or of those of one formula. Numbers that killed one are first tried on the next."""
    runs = {lemma.name: lemma.used() for lemma in lemmas}
    deadly: dict[str, list[Mapping[str, int]]] = {lemma.name: [] for lemma in lemmas}
    for mutant in mutants():
        if name in ("", mutant.name):
            about = [lemma for lemma in lemmas if mutant.name in runs[lemma.name]]
            found = fate(mutant, about, solver, seconds, deadly)
            if found.model is not None and found.model not in deadly[found.lemma]:
                deadly[found.lemma].insert(0, found.model)
            yield found


def fate(
    mutant: Mutant,
    lemmas: Sequence[Lemma],
    solver: Any,
    seconds: float,
    deadly: Mapping[str, Sequence[Mapping[str, int]]],
) -> Fate:
    """Which lemma is false of it. Lemmas whose identities still hold are true of it, and z3 is not asked about them."""
    formulas = {**KERNEL, mutant.name: mutant.function}
    for lemma in lemmas:
        for model in deadly.get(lemma.name, ()):
            if is_false(lemma, model, formulas):
                return Fate(mutant, "killed", lemma.name, model)
    if is_same(mutant, solver, seconds):
        return Fate(mutant, "the same")
    for lemma in lemmas:
        if check(lemma.claim(formulas), lemma.sizes) is not None:
            questions = Questions(solver, lemma.sizes, seconds=seconds)
            try:
                model = counterexample(lemma, questions, formulas=formulas)
            except Undecided:
                continue
            if model is not None:
                return Fate(mutant, "killed", lemma.name, model)
    return Fate(mutant, "survives")


def is_same(mutant: Mutant, solver: Any, seconds: float) -> bool:
    """Whether z3 proves that it gives what the formula gives, for all arguments."""
    names = list(inspect.signature(mutant.function).parameters)
    arguments = [unknown(name) for name in names]
    questions = Questions(solver, SIZES.intersection(names), seconds=seconds)
    values = KERNEL[mutant.name](*arguments), mutant.function(*arguments)
    ours, theirs = (value if isinstance(value, tuple) else (value,) for value in values)
    try:
        for one, other in zip(ours, theirs, strict=True):
            if isinstance(one, Relation):
                questions.need([one], other)
                questions.need([other], one)
            else:
                questions.need([], lift(one) == other)
    except Undecided:
        return False
    return True
