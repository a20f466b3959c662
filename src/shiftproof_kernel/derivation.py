"""Derivations: what a shift of the image does to every node of a program, and what follows for an output.

`derive` applies the rule of every node in order. A node whose rule refuses is *lost*, and so is what needs it. Every
application is paid for before it is made: a derivation that would need more than `STEPS` is refused.

**What wanders.** The shift moves what a selection picks, R(Tx)[u] = R(x)[u - w(x)], by some w = (w_1, ..., w_d) whole
cells along its axes. They depend on the image, so no fact says it. Let V = F(R, c) be a node behind, where c are nodes
that stay: c(Tx) = c(x). Then V(Tx) = F(R moved by w, c), with the same c. So what F makes of R moved by *one* cell
along *one* axis is derived, for every axis: the facts of R then, and those of c as they are, are premises, and rules
are true of all R and of all c with the periods that are said. Suppose that F(R moved by one cell along axis i, c) is
F(R, c) moved by v_i, for all R and c. To move R by w is to move it w_1 + ... + w_d times by one cell, and each time
that is said of an R like any other; so V(Tx) is V(x) moved by w_1 v_1 + ... + w_d v_d. Where no v_i moves anything,
V(Tx) = V(x): the node stays, as any other, and may meet anything. Where some do, the node *wanders*, as R does, by the
same w(x); it may meet what wanders by the same selection, and what stays, and nothing else: what moves with the image
does so by another number of cells, and so does what another selection picked.

What a selection cuts into components may wander itself: moved by w_1 v_1 + ... + w_d v_d, a whole torus along every
axis, it has the same components, each rolled, so what it picks wanders anew. Of the body of a loop or a branch what
wanders within is lost where it leaves. An output that wanders has no theorem: a statement names one output shift for
all images.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence, Set

from shiftproof_kernel import arithmetic
from shiftproof_kernel.facts import (
    Fact,
    Factor,
    Factors,
    Joined,
    Moving,
    Refusal,
    Scene,
    Still,
    is_still,
    merged,
    need,
    still,
)
from shiftproof_kernel.program import (
    LARGEST,
    Branch,
    Concat,
    Constant,
    Input,
    Loop,
    Node,
    Program,
    Select,
    kind,
)
from shiftproof_kernel.rules import (
    BOUNDARIES,
    RULES,
    Shape,
    assume_constant,
    cells,
    concatenate,
    need_axes,
    select,
    slice_of,
    weaker,
)

ROUNDS = 16
"""How often a loop's rule may go through its body."""
STEPS = 200_000
"""The most work of one certificate: how often a factor of an operand, or a number of an index, is looked at."""

WANDERS = "what it picks moves by a number of cells that depends on the image"

Shift = tuple[int, ...]
Choices = Mapping[int, Sequence[int]]
Place = tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """No claim about a node, of this shape: the first node on the way where a rule refused, and why.

    `along`: of a node that wanders by the selection `number`, its axes if what that picks moves by one cell along one
    axis, for each in turn.
    """

    number: int
    refusal: Refusal
    shape: Shape = ()
    along: tuple[tuple[Factors, ...], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Wandering:
    """A node that the shift moves with what a selection picked; what holds of it if that moves by one cell along one
    axis, for each in turn.
    """

    selection: int
    along: tuple[Fact, ...]


Outcome = Fact | Lost
Found = Outcome | Wandering


@dataclasses.dataclass(frozen=True)
class Theorem:
    """Node `number` of `program` has `fact` under `shift`, on the torus or of a scene, as `boundary` says.

    It is as good as where it comes from: what `derive` returns is a theorem, what anybody builds is not.
    """

    program: Program
    shift: Shift
    boundary: str
    number: int
    fact: Fact


class Work:
    """How many steps are left."""

    def __init__(self) -> None:
        self.left = STEPS

    def pay(self, steps: int) -> None:
        """Refuse what is too much."""
        self.left -= steps
        need(self.left >= 0, "budget", f"the derivations need more than {STEPS} steps")

    def apply(self, node: Node, premises: Sequence[Outcome]) -> None:
        """Pay for the application of a rule: for every number in the node, and for what meets."""
        self.pay(1 + len(node.shape) + len(premises) + _listed(node))
        self.meet([premise for premise in premises if isinstance(premise, Fact)])

    def meet(self, facts: Sequence[Fact]) -> None:
        """Operands meet factor by factor, and axes of parts wherever a part ends. Even to count them is work."""
        counts = []
        for fact in facts:
            counts.append(sum(1 for _ in cells(fact.axes)))
            self.pay(counts[-1])
        several = any(isinstance(f, Joined) for fact in facts for axis in fact.axes for f in axis)
        self.pay(len(counts) * (sum(counts) if several else max(counts, default=0)))


def _listed(node: Node) -> int:
    """How many numbers a rule goes through that are written in the node."""
    op = node.op
    count = sum(len(v) for name in op.__slots__ if isinstance(v := getattr(op, name), tuple))
    return count * (len(node.shape) + 1) if isinstance(op, Constant) else count


def derive(
    program: Program,
    shift: Shift,
    *,
    choices: Choices | None = None,
    boundary: str = "torus",
    work: Work | None = None,
) -> list[Theorem | Lost]:
    """A theorem, or the reason why there is none, for every node of a program.

    Args:
        program: what is shifted.
        shift: the shift of its input, one step per grid axis.
        choices: for some constants, by number, a roll under which they do not change, to be taken as how they move.
            None are made for a scene.
        boundary: `torus`, where the image wraps around; or `scene`, where it is cut out of an infinite one.
        work: what is left of a budget that several derivations share.
    """
    shift = tuple(shift)
    need(boundary in BOUNDARIES, "format", f"the boundary is none of {', '.join(BOUNDARIES)}")
    need(not choices or boundary == "torus", "constant", "no constant moves with a scene")

    def image(node: Node, op: Input) -> Fact:
        return BOUNDARIES[boundary](op, node.shape, shift)

    rolls = {number: tuple(roll) for number, roll in (choices or {}).items()}
    outcomes = _Walk(image, rolls, work or Work()).outcomes(program, ())
    found: list[Theorem | Lost] = []
    for number, outcome in enumerate(outcomes):
        match outcome:
            case Fact():
                found.append(Theorem(program, shift, boundary, number, outcome))
            case Wandering(selection, along):
                axes, shape = tuple(fact.axes for fact in along), program.nodes[number].shape
                found.append(Lost(selection, Refusal("wanders", WANDERS), shape, axes))
            case Lost():
                found.append(outcome)
    return found


@dataclasses.dataclass(frozen=True)
class _Walk:
    """What holds of the nodes of one program: of its inputs what `image` says, of constants as is chosen.

    `place` names the program among those that lie in each other, so that each signal of a derivation has one name.
    """

    image: Callable[[Node, Input], Outcome]
    choices: Mapping[int, Shape]
    work: Work

    def outcomes(self, program: Program, place: Place) -> list[Found]:
        """Of every node."""
        found: list[Found] = []
        for number, node in enumerate(program.nodes):
            premises = [found[source] for source in node.inputs]
            found.append(self._found(number, node, premises, (*place, number)))
        return found

    def _found(self, number: int, node: Node, premises: Sequence[Found], here: Place) -> Found:
        """A node with an operand that wanders is asked about for each axis of the selection; the weakest counts."""
        first = next((one for one in premises if isinstance(one, Wandering)), None)
        if first is None:
            return self._outcome(
                number, node, [_seen(one, None, 0, number) for one in premises], here
            )
        made = [
            self._outcome(
                number, node, [_seen(one, first.selection, axis, number) for one in premises], here
            )
            for axis in range(len(first.along))
        ]
        weakest = min(made, key=lambda one: (Lost, Wandering, Fact).index(type(one)))
        if not isinstance(weakest, Fact):
            return weakest
        return _settled(first.selection, [one for one in made if isinstance(one, Fact)])

    def _outcome(self, number: int, node: Node, premises: Sequence[Outcome], here: Place) -> Found:
        lost = [premise for premise in premises if isinstance(premise, Lost)]
        if lost and not isinstance(node.op, Loop | Branch | Concat):
            # not refused here, but counted: a body may be gone through often, and there may be many generators
            self.work.left -= 1 + len(premises)
            return dataclasses.replace(lost[0], shape=node.shape)
        try:
            self.work.apply(node, premises)
            outcome = self._concluded(number, node, premises, here)
            if isinstance(outcome, Wandering):
                return outcome
            if isinstance(outcome, Fact):
                _need_sane(node, outcome)
                return outcome if outcome.signal else Fact(outcome.axes, here)
        except Refusal as refusal:
            outcome = Lost(number, _kept(refusal))
        before = (one.number for one in lost if one.refusal is outcome.refusal)
        return Lost(next(before, number), outcome.refusal, node.shape)

    def _concluded(
        self, number: int, node: Node, premises: Sequence[Outcome], here: Place
    ) -> Found:
        op, shape = node.op, node.shape
        facts = [premise for premise in premises if isinstance(premise, Fact)]
        match op:
            case Input():
                return self.image(node, op)
            case Constant():
                return assume_constant(op, shape, self.choices.get(number))
            case Concat():
                found = [None if isinstance(one, Lost) else one for one in premises]
                joined = concatenate(op, shape, found, [one.shape for one in premises])
                return joined or next(one for one in premises if isinstance(one, Lost))
            case Loop():
                return self._loop(op, shape, premises, here)
            case Branch():
                return self._branch(op, premises, here)
            case Select():
                picked = [Fact(fact.axes, here) for fact in select(op, shape, facts)]
                for fact in picked:
                    _need_sane(node, fact)
                return _settled(number, picked)
        return RULES[type(op)](op, shape, facts)

    def _loop(self, op: Loop, shape: Shape, premises: Sequence[Outcome], here: Place) -> Outcome:
        """c[t + 1] = f(a, c[t], b[t]). If a fact holds of c[0], and of c[t + 1] where it holds of c[t], then it holds
        of every c[t]. It is found by weakening that of c[0] until the body gives it back. What keeps none is lost, and
        with it only what depends on it.
        """
        first, count = op.constants, op.carries
        fits = 0 <= first <= len(premises) - count and 0 <= count <= len(op.body.outputs)
        need(fits, "shape", "a loop has fewer operands, or its body fewer outputs, than it names")
        need(0 <= op.result < len(op.body.outputs), "shape", "the body of a loop lacks the result")
        constants, start = premises[:first], premises[first : first + count]
        carried = [self._both(one, one, (*here, 0, i)) for i, one in enumerate(start)]
        slices = [_slice(one, (*here, -1, i)) for i, one in enumerate(premises[first + count :])]
        for turn in range(1, ROUNDS + 1):
            made = self._inside(op.body, [*constants, *carried, *slices], (*here, turn))
            pairs = zip(carried, made, strict=False)
            weakened = [
                self._both(old, new, (*here, turn, -1 - i)) for i, (old, new) in enumerate(pairs)
            ]
            if list(map(_axes, weakened)) == list(map(_axes, carried)):
                break
            carried = weakened
        else:
            raise Refusal("loop", f"what a loop carries keeps no fact within {ROUNDS} rounds")
        if op.test is not None:
            _need_choice(self._inside(op.test, [*constants, *carried], (*here, -2)))
        if op.result < count:
            return carried[op.result]
        outcome = made[op.result]
        if isinstance(outcome, Lost):
            return outcome
        need(len(shape) > 0, "shape", "what a loop stacks has an axis of its rounds")
        return Fact((still(shape[0]), *outcome.axes))

    def _branch(self, op: Branch, premises: Sequence[Outcome], here: Place) -> Outcome:
        """R(x) = f_c(A(x), ...), where c = C(x): if C(Tx) = C(x), the result has what all f_c(A, ...) have."""
        there = len(op.bodies) > 0 and all(0 <= op.result < len(b.outputs) for b in op.bodies)
        need(there, "shape", "a branch lacks the result")
        _need_choice(premises[:1])
        results = [
            self._inside(body, premises[1:], (*here, number))[op.result]
            for number, body in enumerate(op.bodies)
        ]
        return functools.reduce(lambda one, other: self._both(one, other, ()), results, results[0])

    def _inside(self, program: Program, given: Sequence[Outcome], place: Place) -> list[Outcome]:
        """What holds of the outputs of a body, from what holds of its inputs."""
        fits = program.images == len(given)
        need(fits, "shape", "a body has another number of inputs than operands")
        self.work.pay(len(program.outputs))
        inputs = iter(given)
        walk = _Walk(lambda node, op: next(inputs), {}, self.work)
        outcomes = walk.outcomes(program, place)
        before = {id(one.refusal) for one in given if isinstance(one, Lost)}
        return [_told(program, outcomes[output], before) for output in program.outputs]

    def _both(self, old: Outcome, new: Outcome, name: Place) -> Outcome:
        """What holds of either of two values."""
        if isinstance(old, Lost) or isinstance(new, Lost):
            return old if isinstance(old, Lost) else new
        try:
            self.work.meet([old, new])
            return Fact(weaker(old, new).axes, name)
        except Refusal as refusal:
            return Lost(0, _kept(refusal))


def _kept(refusal: Refusal) -> Refusal:
    """A refusal without the frames that it came through, which would keep all that their callers hold."""
    return refusal.with_traceback(None)


def _seen(premise: Found, selection: int | None, axis: int, number: int) -> Outcome:
    """What holds of an operand of node `number` if what the selection picked moves by one cell along an axis, and all
    that stays is what it was; as it is where nothing wanders.
    """
    match premise:
        case Wandering(other, along):
            if other == selection:
                return along[axis]
            text = "what one selection picked meets what another one picked"
            return Lost(number, Refusal("wanders", text), along[0].shape)
        case Fact(axes) if selection is not None and not all(map(is_still, axes)):
            text = "what a selection picked meets values that move with the image"
            return Lost(number, Refusal("wanders", text), premise.shape)
    return premise


def _settled(selection: int, along: Sequence[Fact]) -> Fact | Wandering:
    """A node wanders where any of the facts says that it moves."""
    if all(is_still(factors) for fact in along for factors in fact.axes):
        return along[0]
    return Wandering(selection, tuple(along))


def _told(program: Program, outcome: Found, before: Set[int]) -> Outcome:
    """A loss within a body names its place there; not one that came `before` it. What wanders there is lost."""
    if isinstance(outcome, Wandering):
        outcome = Lost(outcome.selection, Refusal("wanders", WANDERS))
    if isinstance(outcome, Fact) or id(outcome.refusal) in before:
        return outcome
    node, refusal = program.nodes[outcome.number], outcome.refusal
    text = f"{refusal} ({' '.join([kind(node.op), node.source]).strip()})"
    return Lost(0, Refusal(refusal.code, text, **refusal.detail), outcome.shape)


def _slice(outcome: Outcome, name: Place) -> Outcome:
    """What one round of a loop sees of an operand that is cut along its first axis."""
    if isinstance(outcome, Lost):
        return outcome
    try:
        return Fact(slice_of(outcome).axes, name)
    except Refusal as refusal:
        return Lost(0, _kept(refusal))


def _need_choice(outcomes: Sequence[Outcome]) -> None:
    """What decides between programs, or about a further round, must be one value that does not change."""
    need(len(outcomes) == 1, "shape", "a choice is one value")
    if isinstance(outcomes[0], Lost):
        raise outcomes[0].refusal
    stays = all(map(is_still, outcomes[0].axes))
    need(stays, "contract", "what a loop or a branch is decided by is moved by the shift")


def _need_sane(node: Node, fact: Fact) -> None:
    """A rule must give the shape that the program states, and no number may grow without bounds."""
    text = f"{kind(node.op)} gives shape {fact.shape}, not {node.shape}"
    need(fact.shape == node.shape, "shape", text)
    for factor in cells(fact.axes):
        numbers = (getattr(factor, name) for name in factor.__slots__)
        sane = all(abs(number) <= LARGEST for number in numbers if isinstance(number, int))
        need(sane, "size", "a period, offset or step is larger than 2^48")
        inside = not isinstance(factor, Scene) or factor.low < factor.high
        need(inside, "interior", "the border reaches every cell: of the interior nothing is left")


def _axes(outcome: Outcome) -> object:
    return None if isinstance(outcome, Lost) else outcome.axes


# --- conclusions ---


def invariant(theorem: Theorem) -> bool:
    """Whether the theorem says that the value does not change: A(Tx) = A(x)."""
    return all(map(is_still, theorem.fact.axes))


def equivariant(theorem: Theorem, axes: Sequence[int]) -> Shift | None:
    """The output shift r along the axes given, where the theorem says A(Tx)[u] = A(x)[u - r]; None where it does not.

    Every axis named must show whole periods, or stay; all other axes must stay.
    """
    windows = _windows(theorem, axes)
    if windows is None:
        return None
    for axis, window in enumerate(windows):
        if not isinstance(window, Still) and (
            axis not in axes
            or not isinstance(window, Moving)
            or not all(arithmetic.covers(window.n, window.period))
        ):
            return None
    steps = [window.step if isinstance(window, Moving) else 0 for window in windows]
    return tuple(steps[axis] for axis in axes)


def interior(theorem: Theorem, axes: Sequence[int]) -> tuple[tuple[int, int, int], ...] | None:
    """Step and interior, (step, low, high), along each of the axes given, where the theorem says of a scene that the
    value moves by these steps; None where it does not. For every k and every u: `A[u](T^k X) = A[u - k steps](X)`, if
    u and u - k steps lie in the interior.

    Every axis named must show a scene, or stay, which counts as step 0; all other axes must stay.
    """
    windows = _windows(theorem, axes)
    if windows is None or theorem.boundary != "scene":
        return None
    found = []
    for axis, window in enumerate(windows):
        if isinstance(window, Still):
            found.append((0, 0, window.n))
        elif isinstance(window, Scene) and axis in axes:
            found.append((window.step, window.low, window.high))
        else:
            return None
    return tuple(found[axis] for axis in axes)


def _windows(theorem: Theorem, axes: Sequence[int]) -> list[Factor] | None:
    """Every axis as one factor; None where one is not, or the axes are not there."""
    try:
        need_axes(axes, len(theorem.fact.axes))
        return [merged(factors) for factors in theorem.fact.axes]
    except Refusal:
        return None
