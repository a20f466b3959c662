"""Every claim against the answer that mathematics gives, and every kind of evidence where it must fail."""

import ast
import dataclasses
import functools
import inspect
import json
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from proofs import coq, rules
from proofs.claims import (
    CLAIMS,
    convolution,
    counting,
    learning,
    lemmas,
    models,
    networks,
    pooling,
    training,
    translation,
)
from proofs.claims.audit import STRIDES, WINDOWS, Audit, files_of, filled, judged
from proofs.claims.claim import Claim, Decided, Findings, decide
from proofs.outcome import Outcome, Status
from proofs.page import differences
from shiftproof import Lattice, data
from shiftproof.claims import PAGE, AuditedClaim, load_claims
from shiftproof.refuting.counterexample import Counterexample
from shiftproof_kernel import check_text

pytestmark = pytest.mark.xdist_group("claims")  # one worker makes what these tests share

ANSWERS = {
    "A1": "on the grid and the torus: proved; on a frame: amended",
    "A2": "proved",
    "B1": "proved",
    "B1'": "amended",
    "B2": "amended",
    "B3": "proved",
    "B4": "measured",
    "C1": "amended",
    "C2": "proved",
    "C3": "proved",
    "C4": "receptive fields: measured; as a law: refuted; polyphase except on ties: proved",
    "C5": "amended",
    "C6": "measured",
    "D1": "proved",
    "D2": "formulas: proved; equal functions: measured",
    "D3": "measured",
    "D4": "measured",
    "D5": "proved",
}
"""The answers that are known beforehand; nothing but this test knows them."""


@functools.cache
def theorems() -> tuple[Outcome, ...]:
    """Those that are quick to prove; the others are proved in the tests of their own rooms."""
    found = [(lemma, rules.by_identity(lemma)) for lemma in rules.LEMMAS]
    identities = [Outcome(x.name, "identity", x.statement, *outcome) for x, outcome in found]
    return (*lemmas.run(), *identities)


@pytest.fixture(scope="session")
def audit() -> Audit:
    # a few steps: what training shows is not asserted here, only that it is measured
    return Audit(theorems(), quick=True, steps=40)


@pytest.fixture(scope="session")
def decided(audit: Audit) -> dict[str, Decided]:
    return {claim.id: decide(claim, claim.examine(audit)) for claim in CLAIMS}


def test_all_claims_are_there() -> None:
    assert [claim.id for claim in CLAIMS] == list(ANSWERS)


@pytest.mark.slow
@pytest.mark.parametrize("id", ANSWERS)
def test_the_verdict_is_what_mathematics_says(decided, id: str) -> None:
    assert decided[id].verdict == ANSWERS[id], decided[id].reasons
    assert decided[id].is_decided


@pytest.mark.slow
def test_every_statement_has_evidence(decided) -> None:
    for one in decided.values():
        about = {piece.about for piece in one.findings.evidence}
        assert about == {statement.key for statement in one.claim.statements}
        assert len({statement.key for statement in one.claim.statements}) == len(
            one.claim.statements
        )


@pytest.mark.slow
def test_amended_claims_name_their_condition(decided) -> None:
    for id, one in decided.items():
        assert bool(one.condition) == ("amended" in ANSWERS[id])


@pytest.mark.slow
def test_without_any_theorem_nothing_is_proved_for_all_sizes(decided) -> None:
    for one in decided.values():
        bare = [piece for piece in one.findings.evidence if piece.kind != "theorem"]
        again = decide(one.claim, Findings(tuple(bare)))
        needs = [s for s in one.claim.statements if "theorem" in s.needs]
        assert all(again.settled(s) == "undecided" for s in needs)
        assert again.is_decided == (not needs)


def test_all_theorems_exist() -> None:
    """One called for by a wrong name would not be missed where another holds."""
    wanted = {*WINDOWS, *STRIDES}
    for module in (translation, convolution, pooling, networks):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "theorems":
                wanted |= {a.value for a in node.args[1:] if isinstance(a, ast.Constant)}
    known = {outcome.name for outcome in theorems()}
    known |= {name for names in coq.THEOREMS.values() for name in names}
    assert wanted <= known, wanted - known
    assert {"shifts add", "full_reductions_are_invariant"} <= wanted


# --- the page that ships ---


@pytest.mark.slow
def test_the_page_that_ships_says_what_this_audit_finds(decided) -> None:
    assert differences(load_claims(), list(decided.values())) == []


def changed(claim: AuditedClaim, what: str) -> AuditedClaim:
    first, *others = claim.statements
    match what:
        case "verdict":
            return dataclasses.replace(claim, verdict="refuted")
        case "told":
            return dataclasses.replace(claim, told=f"{claim.told} Not.")
        case "word":
            first = dataclasses.replace(first, word="refuted")
        case "text":
            first = dataclasses.replace(first, text=first.text.replace("all", "some"))
        case "statement":
            return dataclasses.replace(claim, statements=tuple(others))
    return dataclasses.replace(claim, statements=(first, *others))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["verdict", "told", "word", "text", "statement"])
def test_a_page_that_says_otherwise_is_noticed(decided, what) -> None:
    shipped = [changed(c, what) if c.id == "B1" else c for c in load_claims()]
    (difference,) = differences(shipped, list(decided.values()))
    assert difference.startswith("B1: the page says")


@pytest.mark.slow
def test_a_claim_too_few_or_too_many_is_noticed(decided) -> None:
    found = list(decided.values())
    assert [d[:2] for d in differences(load_claims()[1:], found)] == ["A1"]
    assert [d[:2] for d in differences(load_claims(), found[:-1])] == ["D5"]


def test_the_theorems_that_ship_are_those_of_today_and_all_are_proved() -> None:
    shipped = msgspec.json.decode((PAGE / "audit.json").read_bytes())["theorems"]
    assert {outcome["status"] for outcome in shipped} == {"proved"}
    said = {outcome["name"]: outcome["statement"] for outcome in shipped}
    found = {lemma.name: lemma.statement for lemma in lemmas.LEMMAS}
    assert found.items() <= said.items()
    assert {name for names in coq.THEOREMS.values() for name in names} <= said.keys()
    changed = found | {next(iter(found)): "1 = 2"}
    assert not changed.items() <= said.items()


# --- theorems and verdicts as evidence ---


def outcome(method: str, status: Status) -> Outcome:
    return Outcome("t", method, "it is so", status, "a reason")


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ({"z3": "proved"}, "holds"),
        ({"z3": "proved", "coq": "not run"}, "holds"),
        ({"z3": "proved", "cvc5": "failed"}, "undecided"),
        ({"coq": "not run"}, "not run"),
        ({"twins": "proved", "mutants": "proved"}, "not run"),
        ({"identity": "proved", "twins": "failed"}, "undecided"),
        ({}, "not run"),
    ],
)
def test_a_theorem_holds_where_a_method_proves_it_and_none_fails(statuses, word) -> None:
    found = Audit(tuple(outcome(m, s) for m, s in statuses.items())).theorems("x", "t")
    assert [piece.word for piece in found] == [word]


def strided() -> nnx.Conv:
    return convolution.conv((3, 3), stride=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "word"), [((2, 2), "holds"), ((1, 1), "fails"), ((4, 4), "fails"), ((2, 1), "fails")]
)
def test_a_wrong_lattice_fails(audit, steps, word) -> None:
    assert audit.lattice("x", strided(), (4, 4, 1), steps=steps, name="conv").word == word


@pytest.mark.slow
def test_what_stays_open_is_undecided(audit) -> None:
    piece = audit.lattice(
        "x", models.polyphase_then_mean, (4, 4, 1), steps=(1, 1), name="p", property="invariance"
    )
    assert piece.word == "undecided"
    assert "undecided:" in piece.text


def test_a_certificate_of_other_shifts_and_a_counterexample_that_fails_are_noticed() -> None:
    model = strided()
    verdict = sp.verify(model, (4, 4, 1), property="equivariance")
    found = verdict.equivariance
    files = files_of(verdict, found, name="conv")
    wider = dataclasses.replace(found, lattice=Lattice((4, 4), ((1, 0), (0, 2))))
    piece = judged("x", model, wider, files, steps=(2, 2), name="conv", quick=True)
    assert (piece.word, "proves 4 shifts" in piece.text) == ("undecided", True)
    # a convolution of stride 1 has none of these counterexamples
    other = judged(
        "x", convolution.conv((3, 3)), found, files, steps=(2, 2), name="conv", quick=True
    )
    assert (other.word, "not reproduced" in other.text) == ("undecided", True)


@pytest.mark.slow
def test_files_are_certificates_and_counterexamples(decided) -> None:
    kinds: set[str] = set()
    for one in decided.values():
        for piece in one.findings.evidence:
            for name, content in piece.files.items():
                kinds.add(name.partition(".")[2].split(".")[-2])
                if isinstance(content, Counterexample):
                    assert name.endswith(".npz")
                elif name.endswith(".certificate.json"):
                    check_text(json.dumps(content))
    assert kinds == {"certificate", "counterexample", "identity"}


@pytest.mark.slow
def test_laws_are_contradicted_by_invariant_models_only(audit) -> None:
    shape = (4, 4, 1)
    for name, model in networks.COUNTER.items():
        assert audit.contradicts("law", model, shape, name=name).word == "fails"
    assert (
        audit.contradicts("law", models.lopsided_blur_then_mean, shape, name="1 3 1").word
        == "holds"
    )
    assert audit.contradicts("law", models.polyphase_then_mean, shape, name="p").word == "undecided"


# --- evidence functions where they must fail ---


def reexamined(claim: Claim, audit: Audit) -> str:
    return decide(claim, claim.examine(audit)).verdict


@pytest.mark.slow
def test_frames_are_no_torus() -> None:
    assert translation.acts((3, 4), "torus")
    assert not translation.acts((3, 4), "background")


def test_a_circular_layer_has_no_interior(monkeypatch) -> None:
    assert convolution.interior(9, 3)[0]

    def circular(layer, **_):
        return filled(
            nnx.Conv(1, 1, (3,), padding="CIRCULAR", use_bias=False, rngs=nnx.Rngs(0)),
            low=1,
            high=9,
        )

    monkeypatch.setattr(convolution, "filled", circular)
    assert not convolution.interior(9, 3)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "wrong", "id", "verdict"),
    [
        (pooling, "share", lambda shift, window: window ** len(shift), "B2", "refuted"),
        (pooling, "stride_steps", lambda sizes, strides: sizes, "B3", "refuted"),
        (pooling, "_intervals", lambda bound: (False, "one is"), "B3", "refuted"),
        (pooling, "crossings", lambda stride: 0, "C3", "refuted"),
        (
            pooling,
            "unchanged",
            lambda window: np.zeros((2 * window + 1,) * 2, int),
            "C3",
            "refuted",
        ),
        (counting, "conv_formula", lambda window, channels, filters: 39, "D1", "refuted"),
        (counting, "IMAGE", (28, 28, 1), "D1", "refuted"),
        (
            counting,
            "run_on",
            lambda size: size,
            "D2",
            "formulas: refuted; equal functions: measured",
        ),
        (convolution, "commutant", lambda sizes, stride: 1, "D5", "refuted"),
        (
            convolution,
            "circulant",
            lambda size: np.arange(size**4).reshape(size**2, -1),
            "D5",
            "refuted",
        ),
    ],
)
def test_a_wrong_figure_changes_the_verdict(
    audit, monkeypatch, module, name, wrong, id, verdict
) -> None:
    monkeypatch.setattr(module, name, wrong)
    claim = next(claim for claim in CLAIMS if claim.id == id)
    assert reexamined(claim, audit) == verdict


def test_the_window_of_four_pixels_needs_its_pool(monkeypatch) -> None:
    assert pooling._witnesses().word == "holds"
    monkeypatch.setattr(pooling, "outputs", lambda layer, images: images)
    assert pooling._witnesses().word == "fails"


@pytest.mark.slow
def test_a_smaller_maximum_is_noticed(audit, monkeypatch) -> None:
    monkeypatch.setattr(pooling, "_marks", lambda images, cells: np.ones_like(images))
    assert pooling.stays(audit, stride=2).word == "fails"


def test_other_fields_are_noticed(monkeypatch) -> None:
    assert networks.receptive_fields()[0]
    first, *others = networks.LAYERS
    monkeypatch.setattr(networks, "LAYERS", ((first[0], 3, 1), *others))
    assert not networks.receptive_fields()[0]


@pytest.mark.slow
def test_a_fixed_phase_is_no_selection(audit, monkeypatch) -> None:
    assert [piece.word for piece in networks.polyphase(audit)] == ["holds", "fails"]
    monkeypatch.setattr(models, "polyphase_then_mean", lambda x: x[:, ::2, ::2].mean(axis=(1, 2)))
    assert [piece.word for piece in networks.polyphase(audit)] == ["fails"]


def test_a_mean_has_no_ties(monkeypatch) -> None:
    assert networks.tied().word == "holds"
    monkeypatch.setattr(models, "polyphase_then_mean", lambda x: x.mean(axis=(1, 2)))
    assert networks.tied().word == "fails"


@pytest.mark.slow
def test_other_weights_are_another_function(monkeypatch) -> None:
    assert counting.same_function((5, 4, 3))[0]
    monkeypatch.setattr(counting.nnx, "update", lambda module, values: None)
    assert not counting.same_function((5, 4, 3))[0]


@pytest.mark.slow
def test_d1_prints_the_figures_of_the_question(decided) -> None:
    texts = " ".join(piece.text for piece in decided["D1"].findings.evidence)
    for figure in ("39", "36", "2353 H", "235,300"):
        assert figure in texts


def test_rank_is_exact() -> None:
    rows = [{0: 1, 1: 2}, {0: 2, 1: 4}, {1: 1, 2: -1}]
    assert convolution.rank([{k: Fraction(v) for k, v in row.items()} for row in rows]) == 2
    rows[1][1] = 5
    assert convolution.rank([{k: Fraction(v) for k, v in row.items()} for row in rows]) == 3
    assert convolution.rank([]) == 0


@pytest.mark.slow
def test_one_wrong_entry_is_no_circulant(audit) -> None:
    matrix = convolution.circulant(4)
    matrix[3, 5] += 1
    layer = convolution.OnTorus(matrix, 4)
    piece = audit.lattice("x", layer, (4, 4, 1), steps=(1, 1), name="nearly", weights="these")
    assert piece.word == "fails"


@pytest.mark.parametrize(
    ("differences", "word"),
    [
        ([0.1, 0.11, 0.09], "borne out"),
        ([0.1, -0.1, 0.02], "not seen"),
        ([-0.1, -0.11, -0.09], "the reverse is seen"),
    ],
)
def test_measurements_stand_against_their_error(differences, word) -> None:
    assert learning.differs(np.array(differences)).word == word


def test_copies_are_told_from_others() -> None:
    still = np.arange(16.0).reshape(4, 4)
    assert learning._moved(still, np.roll(still, 1, 1), (0, 2), 8) == "= moved"
    assert learning._moved(still, still, (0, 2), 8) == "no copy"
    assert learning._moved(still, np.roll(still, 1, 1), (0, 1), 8) == "no copy"
    assert learning._same(still, still) == "= equal"
    assert learning._same(still, still + 1) == "differs"


# --- training ---


@pytest.mark.slow
def test_training_learns(audit) -> None:
    maps = audit.trained.maps
    assert set(maps) == set(training.KINDS)
    for found in maps.values():
        assert found.shape == (2, 9, 9)
    middle = training.MIDDLE
    assert maps["dense net"][:, middle, middle].min() > 0.3  # ten classes: 0.1 by chance


def test_no_digit_is_in_both_parts() -> None:
    part = training.sample(0, train=1000, test=500)
    seen = {image.tobytes() for image in part.train}
    images = data.digits(small=True).images
    assert len({image.tobytes() for image in images}) == len(images)
    assert not seen & {image.tobytes() for image in part.test}


# --- lemmas ---


@pytest.mark.parametrize("solver", lemmas.SOLVERS)
@pytest.mark.parametrize("lemma", lemmas.LEMMAS, ids=lambda lemma: lemma.name)
def test_lemmas_are_proved(lemma, solver) -> None:
    pytest.importorskip(lemmas.SOLVERS[solver])
    assert lemmas.prove(lemma, solver).status == "proved"


def posed(hypotheses, goal) -> lemmas.Lemma:
    return lemmas.Lemma("l", "it is so", lambda s: lemmas.Posed(hypotheses(s), goal(s)))


@pytest.mark.parametrize("solver", lemmas.SOLVERS)
@pytest.mark.parametrize(
    ("lemma", "detail"),
    [
        (posed(lambda s: (s.Int("a") > 0,), lambda s: s.Int("a") > 1), "the goal follows"),
        (posed(lambda s: (s.Int("a") > 0, s.Int("a") < 0), lambda s: s.Int("a") > 1), "can be met"),
        (
            posed(lambda s: (s.Int("a") > 1, s.Int("a") > 0), lambda s: s.Int("a") > 0),
            "last hypothesis",
        ),
    ],
    ids=["false", "vacuous", "idle"],
)
def test_lemmas_that_say_nothing_fail(lemma, detail, solver) -> None:
    pytest.importorskip(lemmas.SOLVERS[solver])
    found = lemmas.prove(lemma, solver)
    assert found.status == "failed"
    assert detail in found.detail


def test_a_missing_solver_proves_nothing(monkeypatch) -> None:
    monkeypatch.setitem(lemmas.SOLVERS, "z3", "no_such_solver")
    found = lemmas.prove(lemmas.LEMMAS[0], "z3")
    assert found.status == "not run"
    assert "pip install" in found.detail


def test_an_unanswered_question_is_a_failure(monkeypatch) -> None:
    monkeypatch.setattr(lemmas, "_ask", lambda module, formulas: "unknown")
    assert lemmas.prove(lemmas.LEMMAS[0], "z3").status == "failed"
