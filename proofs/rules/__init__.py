"""The arithmetic of the kernel, proved for all sizes, strides, paddings and shifts.

A lemma runs the kernel's own formulas on symbols, so another formula is another lemma. Each is proved three times:

    identity   as polynomial identities with explicit multipliers, expanded by plain Python (identities, polynomial)
    z3, cvc5   over unbounded integers, without quantifiers, every division by its witness (solvers)

and shown to say something: `twins` (each hypothesis is needed, all can be met) and `mutants` (each small change of a
formula makes a lemma false). Rules that branch are run along each of their paths (paths). Reading order: terms,
claim, lemma, signals, windows, factors, sliding, spectra, scenes (the lemmas), identities, solvers, twins, mutants.
"""

import functools
import time
from collections.abc import Callable, Iterator

from proofs.outcome import Outcome, Status
from proofs.rules import mutants, solvers, twins
from proofs.rules.factors import LEMMAS as ABOUT_FACTORS
from proofs.rules.identities import check
from proofs.rules.lemma import KERNEL, Lemma
from proofs.rules.scenes import LEMMAS as ABOUT_SCENES
from proofs.rules.signals import LEMMAS as ABOUT_SIGNALS
from proofs.rules.sliding import LEMMAS as ABOUT_SLIDING
from proofs.rules.spectra import LEMMAS as ABOUT_SPECTRA
from proofs.rules.windows import LEMMAS as ABOUT_WINDOWS

LEMMAS: tuple[Lemma, ...] = (
    *(*ABOUT_SIGNALS, *ABOUT_WINDOWS, *ABOUT_FACTORS),
    *(*ABOUT_SLIDING, *ABOUT_SPECTRA, *ABOUT_SCENES),
)
INSTALL = 'missing: pip install "shiftproof[proofs]"'


def run(progress: Callable[[Outcome], None] | None = None) -> list[Outcome]:
    """All lemmas by all methods, and the mutants of all formulas.

    Args:
        progress: is given each outcome as it comes.

    Returns:
        one outcome for each lemma and method, and one for the mutants of each formula.
    """
    outcomes = []
    for outcome in _outcomes():
        outcomes.append(outcome)
        if progress is not None:
            progress(outcome)
    return outcomes


def _outcomes() -> Iterator[Outcome]:
    for lemma in LEMMAS:
        yield _timed(
            lemma.name, "identity", lemma.statement, lambda lemma=lemma: by_identity(lemma)
        )
        for method in solvers.MODULES:
            prove = functools.partial(by_solver, lemma, method)
            yield _timed(lemma.name, method, lemma.statement, prove)
        yield _timed(lemma.name, "twins", lemma.statement, lambda lemma=lemma: by_twins(lemma))
    for name in KERNEL:
        statement = f"every small change of {name} makes a lemma false"
        yield _timed(name, "mutants", statement, lambda name=name: by_mutants(name))


def _timed(
    name: str, method: str, statement: str, prove: Callable[[], tuple[Status, str]]
) -> Outcome:
    start = time.perf_counter()
    status, detail = prove()
    return Outcome(name, method, statement, status, detail, time.perf_counter() - start)


def by_identity(lemma: Lemma) -> tuple[Status, str]:
    """Whether all its polynomials are what they should be."""
    reason = check(lemma.claim(), lemma.sizes)
    return ("proved", "") if reason is None else ("failed", reason)


def by_solver(lemma: Lemma, method: solvers.Method) -> tuple[Status, str]:
    """Whether the solver proves it."""
    if solvers.load(method) is None:
        return "not run", INSTALL
    reason = solvers.prove(method, lemma.claim(), lemma.sizes)
    return ("proved", "") if reason is None else ("failed", reason)


def by_twins(lemma: Lemma) -> tuple[Status, str]:
    """Whether its hypotheses can be met and each is needed; the detail shows the numbers."""
    solver = solvers.load("z3")
    if solver is None:
        return "not run", INSTALL
    questions = solvers.Questions(solver, lemma.sizes, seconds=solvers.SECONDS)
    try:
        met = twins.example(lemma, questions)
        found = list(twins.twins(lemma, questions))
    except solvers.Undecided as reason:
        return "failed", str(reason)
    if met is None:
        return "failed", "no numbers were found that meet its hypotheses"
    needless = [f"{twin.dropped}: {twin.note}" for twin in found if twin.model is None]
    if needless:
        return "failed", "; ".join(needless)
    shown = [f"without {twin.dropped}: {_numbers(twin.model or {})}" for twin in found]
    return "proved", "; ".join([f"met by {_numbers(met)}", *shown])


def by_mutants(name: str) -> tuple[Status, str]:
    """Whether every mutant of a formula is killed by a lemma, or proved to be the same function."""
    solver = solvers.load("z3")
    if solver is None:
        return "not run", INSTALL
    fates = list(mutants.fates(LEMMAS, solver, mutants.SECONDS, name=name))
    alive = [fate.mutant.change for fate in fates if fate.word == "survives"]
    killed = sum(fate.word == "killed" for fate in fates)
    if alive or not killed:
        return "failed", "; ".join([f"{killed} of {len(fates)} killed, but not", *alive])
    same = f", {len(fates) - killed} are the same function" if killed < len(fates) else ""
    return "proved", f"{killed} of {len(fates)} make a lemma false{same}"


def _numbers(model: dict[str, int]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in model.items())
