"""Rules that branch, run on symbols: along one path of answers, or along all of them.

Whatever a rule asks about its numbers is a relation between terms. On a path each relation gets the answer that the
path has for it, and what was answered with yes, or is so because the answer was no, may be supposed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, SimpleNamespace
from typing import Any, NamedTuple

from proofs.rules.errors import Misstated
from proofs.rules.terms import DECIDERS, Integer, Relation
from shiftproof_kernel.facts import Refusal


class Path(NamedTuple):
    """What a rule asked, what it was told, and what it gave; None where it refused."""

    asked: tuple[Relation, ...]
    answers: tuple[bool, ...]
    result: Any


class Given:
    """A rule whose divisors, multiples and inverses are given, and of which numbers it wanted them."""

    def __init__(
        self, rule: Callable[..., Any], *, gcd: Integer = 1, lcm: Integer = 1, inverse: Integer = 1
    ) -> None:
        self.divided: tuple[Integer, ...] = ()
        self.multiplied: tuple[Integer, ...] = ()
        self.inverted: tuple[Integer, Integer] = (0, 0)

        def divisor(*numbers: Integer) -> Integer:
            self.divided = numbers
            return gcd

        def multiple(*numbers: Integer) -> Integer:
            self.multiplied = numbers
            return lcm

        def power(x: Integer, exponent: int, modulus: Integer) -> Integer:
            if exponent != -1:
                raise Misstated(f"{rule.__name__} raises to the power {exponent}")
            self.inverted = x, modulus
            return inverse

        names = {
            **rule.__globals__,
            "math": SimpleNamespace(gcd=divisor, lcm=multiple),
            "pow": power,
        }
        for name, function in rule.__globals__.items():
            if isinstance(function, FunctionType) and function.__globals__ is rule.__globals__:
                names[name] = _copy(function, names)
        self.rule = _copy(rule, names)


def _copy(function: Callable[..., Any], names: dict[str, Any]) -> FunctionType:
    """The function, to which other names mean other things."""
    copy = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def along(
    rule: Callable[..., Any], *arguments: Any, answers: Sequence[bool], **options: bool
) -> Path:
    """The path of these answers, exactly.

    Raises:
        Misstated: where the rule asks more or less, or refuses.
    """
    path = _run(rule, arguments, options, answers, further=None)
    if len(path.asked) != len(answers) or path.result is None:
        asked = ", ".join(map(str, path.asked)) or "nothing"
        raise Misstated(f"{rule.__name__} asked {asked}, and that is another path")
    return path


def explore(rule: Callable[..., Any], *arguments: Any, **options: bool) -> Iterator[Path]:
    """All paths; those on which one relation gets two answers are left out."""
    waiting: list[tuple[bool, ...]] = [()]
    while waiting:
        answers = waiting.pop()
        path = _run(rule, arguments, options, answers, further=True)
        for taken in range(len(answers), len(path.answers)):
            before = [str(relation) for relation in path.asked[:taken]]
            if str(path.asked[taken]) not in before:
                waiting.append((*path.answers[:taken], False))
        yield path


def _run(
    rule: Callable[..., Any],
    arguments: Sequence[Any],
    options: Mapping[str, bool],
    answers: Sequence[bool],
    *,
    further: bool | None,
) -> Path:
    asked: list[Relation] = []
    told: list[bool] = []

    def decide(relation: Relation) -> bool:
        known = {str(old): answer for old, answer in zip(asked, told, strict=True)}
        if len(asked) < len(answers):
            answer = answers[len(asked)]
        elif further is None:
            raise Misstated(f"{rule.__name__} asks further: {relation}")
        else:
            answer = known.get(str(relation), further)
        asked.append(relation)
        told.append(answer)
        return answer

    DECIDERS.append(decide)
    try:
        result = rule(*arguments, **options)
    except Refusal:
        result = None
    finally:
        DECIDERS.pop()
    return Path(tuple(asked), tuple(told), result)
