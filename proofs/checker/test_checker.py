"""The proved checker is proved, and accepts the golden certificates that it covers.

What it says of a changed or a random certificate is compared with what the kernel derives: where it says proved, the
statement follows for the kernel too; and where the kernel proves one, it says so too, or that a rule is not covered.
"""

import collections
import functools
import json
import operator
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax import lax

import shiftproof as sp
from proofs import certificates, checker, coq
from proofs.__main__ import main
from proofs.checker import fuzzing, terms
from proofs.running import PROVED, REFUTED, UNDECIDED, USAGE
from shiftproof_kernel import (
    Fold,
    Joined,
    Moving,
    Refusal,
    Scene,
    decode_program,
    derive,
    make_certificate,
)
from shiftproof_kernel.certificate import Question
from shiftproof_kernel.program import Branch, Input, Node, Program, fields, plain
from tests.amounts import ALL, some

pytestmark = pytest.mark.xdist_group("coq")  # one worker makes what these tests share

REQUIRED = os.environ.get("SHIFTPROOF_REQUIRE_COQ") == "1"
needs_coq = pytest.mark.skipif(
    shutil.which("coqc") is None and not REQUIRED, reason=f"coqc is missing: {coq.INSTALL}"
)
GOLDEN = {path.name: json.loads(path.read_text("utf-8")) for path in certificates.files()}
SELECTED = GOLDEN.pop("polyphase.invariance.json")
"""The golden certificate with selections, which are not covered."""
FOLDED = "conv-transpose3x3-stride2.equivariance.json"
"""The golden certificate with folds."""
CHANGED = (
    "conv1d.equivariance.json",
    "maxpool2x2-stride2.equivariance.json",
    FOLDED,
)
"""Of these every number is changed by one; of the others, a sample."""
SAMPLE = 12


# --- the development ---


@pytest.mark.slow
@needs_coq
def test_the_theorem_assumes_no_axiom(compiled) -> None:
    texts = {file: (checker.SOURCES / f"{file}.v").read_text("utf-8") for file in checker.THEOREMS}
    said = coq.assumptions(compiled, list(texts), texts)
    assert said["checked_statements_hold"] == coq.CLOSED
    assert set(said.values()) == {coq.CLOSED}
    assert set(said) == {name for names in checker.THEOREMS.values() for name in names}


@pytest.mark.slow
@needs_coq
def test_coqchk_reads_it_again(compiled) -> None:
    second = coq.check_again(compiled, dict.fromkeys(checker.THEOREMS, ""))
    assert (second.status, second.detail) == ("proved", "")


@needs_coq
@pytest.mark.slow
def test_every_theorem_counts_as_proved_by_the_rules_of_the_other_development() -> None:
    outcomes = coq.run(sources=checker.SOURCES, theorems=checker.THEOREMS)
    assert [outcome for outcome in outcomes if outcome.status != "proved"] == []


def test_every_file_is_on_the_list_and_no_word_suspends_proof() -> None:
    assert {path.stem for path in checker.SOURCES.glob("*.v")} == set(checker.THEOREMS)
    for file, names in checker.THEOREMS.items():
        text = (checker.SOURCES / f"{file}.v").read_text("utf-8")
        assert not coq.UNSOUND.search(coq.without_comments(text))
        assert set(coq.statements(text)) == set(names)


def test_a_missing_coq_is_never_a_pass(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    outcomes = coq.run(sources=checker.SOURCES, theorems=checker.THEOREMS)
    assert {outcome.status for outcome in outcomes} == {"not run"}


def test_required_means_required() -> None:
    assert not REQUIRED or shutil.which("coqc")


# --- golden certificates ---


@pytest.mark.slow
@needs_coq
def test_golden_certificates(compiled) -> None:
    verdicts = dict(zip(GOLDEN, checker.judge(compiled, list(GOLDEN.values())), strict=True))
    assert verdicts == dict.fromkeys(GOLDEN, checker.PROVED)
    assert {"resnet18.invariance.json", "vit.invariance.json", FOLDED} < set(GOLDEN)


def test_a_selection_is_not_covered(tmp_path) -> None:
    """It is said before Coq is asked."""
    (said,) = checker.judge(tmp_path, [SELECTED])
    assert re.fullmatch(r"not covered: select \(node \d+\)", said)
    rows = terms.rows(SELECTED["generators"][0])
    listed = SELECTED["generators"][0]["facts"]
    wandering = [n for n, row in enumerate(listed) if isinstance(row, dict)]
    assert wandering
    assert all(rows[n] is None for n in wandering)


@pytest.mark.slow
@needs_coq
def test_what_is_no_certificate_is_refused(compiled) -> None:
    text = json.dumps(GOLDEN["conv1d.equivariance.json"])
    texts = ["{", "[]", '{"schema": "other"}', text, text.replace('"generators"', '"generator"')]
    said = checker.judge_texts(compiled, texts)
    assert [one.partition(":")[0] for one in said] == [*["refused"] * 3, checker.PROVED, "refused"]


@needs_coq
@pytest.mark.slow
def test_the_command_says_what_is_proved(compiled, tmp_path, capsys, monkeypatch) -> None:
    names = ("maxpool2x2-stride2.equivariance.json", "lenet-global.invariance.json")
    broken, branch = tmp_path / "broken.json", tmp_path / "branch.json"
    broken.write_text("{}")
    place, value = NOT_COVERED["branch (node 5)"]
    branch.write_text(json.dumps(changed(GOLDEN["conv1d.equivariance.json"], place, value)))
    paths = [certificates.HERE / name for name in names]
    assert main(["checker", str(paths[0]), str(paths[1])]) == PROVED
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"the checker itself: {sum(map(len, checker.THEOREMS.values())) + 1} proved"
    more = "equivariance along axes [1, 2], under all sums of [2, 0] -> [1, 0], [0, 2] -> [0, 1]"
    assert said[1] == f"{paths[0]}: {checker.PROVED}: {more}"
    assert said[2] == f"{paths[1]}: {checker.PROVED}: invariance, under all sums of [4, 0], [0, 4]"

    coqc = coq.coqc

    def taken(directory: Path, file: str) -> str:
        if file not in checker.THEOREMS:
            return coqc(directory, file)
        for made in compiled.glob(f"{file}.*"):
            shutil.copy(made, directory)
        return ""

    monkeypatch.setattr(coq, "coqc", taken)  # once is enough
    assert main(["checker", str(branch)]) == UNDECIDED
    assert main(["checker", str(broken)]) == REFUTED
    assert main(["checker", str(tmp_path / "missing.json")]) == USAGE


BODY = Program((Node(Input(()), (), (8, 2)),), (0,))
NOT_COVERED = {
    "branch (node 5)": (("program", "nodes", 5, "op"), plain(Branch((BODY,), 0))),
    "take of a joined (node 3)": (
        ("generators", 0, "facts", 2, 1),
        [{"kind": "still", "n": 2, "period": 2}, {"kind": "joined", "parts": []}],
    ),
}
"""What makes the certificate of `conv1d` one that is not covered."""


@pytest.mark.slow
@needs_coq
def test_what_is_not_covered_is_named(compiled) -> None:
    data = GOLDEN["conv1d.equivariance.json"]
    cases = [changed(data, place, value) for place, value in NOT_COVERED.values()]
    said = checker.judge(compiled, cases)
    assert said == [f"not covered: {name}" for name in NOT_COVERED]


# --- changes ---

Place = tuple[str | int, ...]
READ = ("program.nodes", "program.outputs", "generators", "statement.grid", "statement.axes")
"""The parts of a file that the checker reads; the others are digests, labels, and counts."""


def changed(data: Any, place: tuple, value: Any) -> Any:
    """The data with another value at a place; only what lies on the way is copied."""
    if not place:
        return value
    copy: Any = dict(data) if isinstance(data, dict) else list(data)
    copy[place[0]] = changed(copy[place[0]], place[1:], value)
    return copy


def numbers(data: Any, place: Place = ()) -> list[tuple[Place, int]]:
    """Every number, and where it stands."""
    if isinstance(data, dict):
        return [one for key, value in data.items() for one in numbers(value, (*place, key))]
    if isinstance(data, list):
        return [one for key, value in enumerate(data) for one in numbers(value, (*place, key))]
    return [(place, data)] if type(data) is int else []


def is_read(place: Place) -> bool:
    return ".".join(map(str, place)).startswith(READ) and "choices" not in place


@pytest.mark.slow
@needs_coq
@pytest.mark.parametrize("name", CHANGED)
def test_a_number_that_is_changed_by_one_proves_nothing_that_the_kernel_does_not(
    compiled, name: str
) -> None:
    refused, accepted = judged_changes(compiled, GOLDEN[name], most=10_000)
    assert len(refused) > 4 * len(accepted)
    listed = [place for place in accepted if place[0] == "generators"]
    assert {place[-1] for place in listed if not is_doubled(GOLDEN[name], place)} <= {
        "period",
        "offset",
    }


def is_doubled(data: Any, place: Place) -> bool:
    """Whether a number of a fold is one that is not read: a tag, or what stands of laps beside their cells too."""
    factor = functools.reduce(operator.getitem, place[:-1], data)
    tag = isinstance(factor, dict) and factor["kind"] == "fold" and place[-1] == "tag"
    return tag or (isinstance(factor, dict) and factor.get("part") == "laps" and place[-1] != "n")


@needs_coq
@pytest.mark.slow
def test_the_same_of_a_sample_of_every_golden_certificate(compiled) -> None:
    for name in some(sorted(set(GOLDEN) - set(CHANGED)), every=4):
        refused, _ = judged_changes(compiled, GOLDEN[name], most=SAMPLE)
        assert refused


def judged_changes(compiled: Path, data: Any, most: int) -> tuple[list[Place], list[Place]]:
    """Places that were changed by one, with the change refused or accepted; what is accepted the kernel proves too."""
    places = [one for one in numbers(data) if is_read(one[0])]
    places = places[:: max(1, len(places) // most)]
    cases = [
        (place, changed(data, place, value + way)) for place, value in places for way in (1, -1)
    ]
    refused, accepted = [], []
    for (place, case), said in zip(
        cases, checker.judge(compiled, [c for _, c in cases]), strict=True
    ):
        if said != checker.PROVED:
            refused.append(place)
            continue
        accepted.append(place)
        assert fuzzing.kernel_proves(case), (place, case)
    return refused, accepted


@pytest.mark.slow
@needs_coq
def test_the_output_shift_and_the_axes_are_no_labels(compiled) -> None:
    data = GOLDEN["maxpool2x2-stride2.equivariance.json"]
    cases = [
        changed(data, ("generators", 0, "output_shift"), [2, 0]),
        changed(data, ("generators", 0, "shift"), [1, 0]),
        changed(data, ("statement", "axes"), [2, 1]),
        changed(data, ("statement", "law"), "same"),
        changed(changed(data, ("statement", "property"), "invariance"), ("statement", "axes"), []),
        changed(data, ("generators",), []),
        changed(data, ("generators", 0, "facts"), data["generators"][1]["facts"]),
    ]
    assert all(said.startswith("refused") for said in checker.judge(compiled, cases))


# --- random programs ---


@pytest.mark.slow
@needs_coq
def test_the_kernel_and_the_checker_agree_on_random_programs(compiled) -> None:
    agree(compiled, range(200))


@needs_coq
@pytest.mark.slow
def test_the_kernel_and_the_checker_agree_on_more_random_programs(compiled) -> None:
    for first in range(1000, 11_000 if ALL else 1600, 300):
        agree(compiled, range(first, first + 300))


@pytest.mark.slow
@needs_coq
def test_they_agree_on_random_programs_with_folds(compiled) -> None:
    found = agree(compiled, range(300), first="fold")
    folds = [claim.data for claim in found if claim.true and terms.reads_sums(claim.data)]
    assert len(folds) > 20
    assert set(checker.judge(compiled, folds)) == {checker.PROVED}


@pytest.mark.slow
@needs_coq
def test_a_number_that_is_changed_in_a_program_with_folds_proves_nothing_that_the_kernel_does_not(
    compiled,
) -> None:
    claims = [claim for seed in range(500, 700) for claim in fuzzing.claims(seed, first="fold")]
    folds = [claim.data for claim in claims if claim.true and terms.reads_sums(claim.data)]
    assert len(folds) > 15
    for data in folds[: 100 if ALL else 15]:
        refused, accepted = judged_changes(compiled, data, most=SAMPLE)
        assert len(refused) > len(accepted)


@pytest.mark.slow
@needs_coq
def test_they_agree_on_random_programs_with_parts(compiled) -> None:
    found = agree(compiled, range(300), first="tokens")
    joined = [claim.data for claim in found if claim.true and has_parts(claim.data)]
    assert len(joined) > 40
    assert set(checker.judge(compiled, joined)) == {checker.PROVED}


@pytest.mark.slow
@needs_coq
def test_a_number_that_is_changed_in_a_program_with_parts_proves_nothing_that_the_kernel_does_not(
    compiled,
) -> None:
    claims = [claim for seed in range(500, 640) for claim in fuzzing.claims(seed, first="tokens")]
    joined = [claim.data for claim in claims if claim.true and has_parts(claim.data)]
    assert len(joined) > 15
    for data in joined[: 100 if ALL else 15]:
        refused, accepted = judged_changes(compiled, data, most=SAMPLE)
        assert len(refused) > len(accepted)


# --- spectra ---


@pytest.mark.slow
@needs_coq
def test_they_agree_on_random_programs_with_spectra(compiled) -> None:
    found = agree(compiled, range(300), first="spectrum")
    spectra = [claim.data for claim in found if claim.true and terms.reads_spectra(claim.data)]
    assert len(spectra) > 60
    assert set(checker.judge(compiled, spectra)) == {checker.PROVED}
    made = {node["op"]["kind"] for data in spectra for node in data["program"]["nodes"]}
    assert {"fourier", "combine", "multiply", "take", "pad", "concat", "reshape"} < made


@pytest.mark.slow
@needs_coq
def test_a_number_that_is_changed_in_a_program_with_spectra_proves_nothing_that_the_kernel_does_not(
    compiled,
) -> None:
    claims = [claim for seed in range(500, 600) for claim in fuzzing.claims(seed, first="spectrum")]
    spectra = [claim.data for claim in claims if claim.true and terms.reads_spectra(claim.data)]
    assert len(spectra) > 15
    for data in spectra[: 100 if ALL else 20]:
        refused, accepted = judged_changes(compiled, data, most=2 * SAMPLE)
        assert len(refused) > len(accepted)


class Layer(linen.Module):
    """A Fourier layer: of each channel and frequency a weight."""

    @linen.compact
    def __call__(self, x):
        spectrum = jnp.fft.rfft2(x, axes=(1, 2))
        init = linen.initializers.normal(1.0)
        weight = lax.complex(
            self.param("re", init, spectrum.shape[1:]), self.param("im", init, spectrum.shape[1:])
        )
        return jnp.fft.irfft2(spectrum * weight, s=x.shape[1:3], axes=(1, 2))


SPECTRA = {
    "layer.equivariance": (Layer(), (4, 6, 2)),
    "all frequencies.equivariance": (
        lambda x: jnp.fft.ifft2(jnp.fft.fft2(x, axes=(1, 2)) * TABLE, axes=(1, 2)).real,
        (4, 6, 2),
    ),
    "power.invariance": (lambda x: jnp.abs(jnp.fft.fft2(x, axes=(1, 2))), (4, 4, 1)),
    "correlation.invariance": (
        lambda x: jnp.fft.irfft(
            (lambda y: y[..., 0] * y[..., 1].conj())(jnp.fft.rfft(x, axis=1)), n=6
        ),
        (6, 2),
    ),
    "twice the cells.equivariance": (
        lambda x: jnp.fft.irfft(jnp.fft.rfft(x, axis=1), n=8, axis=1),
        (4, 2),
    ),
    "channels.equivariance": (lambda x: jnp.abs(jnp.fft.fft(x, axis=2)), (4, 3)),
}
"""Models with Fourier transforms, and the property that is proved of each."""
TABLE = np.arange(1.0, 49.0).reshape(4, 6, 2)


@functools.cache
def spectral(name: str) -> Any:
    model, shape = SPECTRA[name]
    if isinstance(model, linen.Module):
        model = model, model.init(jax.random.key(0), jnp.zeros((1, *shape)))
    return sp.verify(model, shape).certificates[f"output.{name.partition('.')[2]}"]


@pytest.mark.slow
@needs_coq
def test_models_with_fourier_transforms(compiled) -> None:
    data = {name: spectral(name) for name in SPECTRA}
    assert set(checker.judge(compiled, list(data.values()))) == {checker.PROVED}
    assert {name for name in data if not terms.reads_spectra(data[name])} == {
        "channels.equivariance"
    }
    words = checker.stated(json.dumps(data["layer.equivariance"]))
    assert ", where sums, products and Fourier transforms are exact, under all sums of" in words


@pytest.mark.slow
@needs_coq
@pytest.mark.parametrize("name", ["layer.equivariance", "power.invariance"])
def test_a_number_that_is_changed_in_a_model_with_transforms_proves_nothing_that_the_kernel_does_not(
    compiled, name: str
) -> None:
    refused, accepted = judged_changes(compiled, spectral(name), most=10_000)
    assert len(refused) > 4 * len(accepted)


TURNS = {
    ("inverse", False): True,
    ("half", True): False,
    ("axis", 2): 1,
}
"""What a transform of the layer says, and what it may not say instead."""


@pytest.mark.slow
@needs_coq
def test_what_a_transform_is_said_to_be_is_read(compiled) -> None:
    data = spectral("layer.equivariance")
    nodes = data["program"]["nodes"]
    cases = [
        changed(data, ("program", "nodes", number, "op", name), other)
        for number, node in enumerate(nodes)
        if node["op"]["kind"] == "fourier"
        for (name, value), other in TURNS.items()
        if node["op"][name] == value
    ]
    products = [n for n, node in enumerate(nodes) if node["op"]["kind"] == "multiply"]
    cases += [
        changed(data, ("program", "nodes", number, "op", "conjugated"), [0]) for number in products
    ]
    assert len(cases) > 5
    assert all(said.startswith("refused") for said in checker.judge(compiled, cases))


# --- rolls and lists ---


@pytest.mark.slow
@needs_coq
def test_they_agree_on_random_programs_with_rolls_that_are_chosen(compiled) -> None:
    found = agree(compiled, range(300), first="mask")
    chosen = [claim.data for claim in found if claim.true and has_roll(claim.data)]
    assert len(chosen) > 20
    assert set(checker.judge(compiled, chosen)) == {checker.PROVED}
    for data in chosen[: 100 if ALL else 10]:
        refused, accepted = judged_changes(compiled, data, most=SAMPLE)
        assert len(refused) > len(accepted)


def has_roll(data: Any) -> bool:
    """Whether a constant is seen as what moves."""
    entry = data["generators"][0]
    axes = [axis for number, *_ in entry["choices"] for axis in terms.rows(entry)[number] or ()]
    return any(isinstance(factor, Moving) for axis in axes for factor in axis)


@pytest.mark.slow
@needs_coq
def test_a_number_that_is_changed_in_a_program_with_a_list_proves_nothing_that_the_kernel_does_not(
    compiled,
) -> None:
    claims = [claim for seed in range(500, 700) for claim in fuzzing.claims(seed, first="pick")]
    judged(compiled, claims)
    lists = [claim.data for claim in claims if claim.true and has_list(claim.data)]
    assert len(lists) > 15
    for data in lists[: 100 if ALL else 15]:
        refused, accepted = judged_changes(compiled, data, most=SAMPLE)
        assert len(refused) > len(accepted)


def has_list(data: Any) -> bool:
    """Whether positions are taken from a list along an axis that moves."""
    nodes, rows = data["program"]["nodes"], terms.rows(data["generators"][0])
    taken = [node for node in nodes if isinstance(node["op"].get("index"), list)]
    along = [(rows[node["inputs"][0]] or ())[node["op"]["axis"]] for node in taken]
    return any(isinstance(factor, Moving) for axis in along for factor in axis)


# --- scenes ---


@pytest.mark.slow
@needs_coq
def test_they_agree_on_random_programs_of_scenes(compiled) -> None:
    claims = [claim for seed in range(250) for claim in fuzzing.scene_claims(seed)]
    counts, borders = judged(compiled, claims), [c for c in claims if c.true and has_border(c.data)]
    assert counts[True, checker.PROVED] > 20 * counts[True, "not covered"]
    assert counts[False, "refused"] > 20 * counts[False, "not covered"]
    assert len(borders) > 40
    assert len([claim for claim in borders if len(claim.data["generators"]) > 1]) > 5


def has_border(data: Any) -> bool:
    rows = [row for entry in data["generators"] for row in terms.rows(entry)]
    factors = [f for row in rows for axis in row or () for f in axis if isinstance(f, Scene)]
    return any(f.low > 0 or f.high < f.n for f in factors)


@pytest.mark.slow
@needs_coq
def test_a_number_that_is_changed_in_a_program_of_a_scene_proves_nothing_that_the_kernel_does_not(
    compiled,
) -> None:
    claims = [claim for seed in range(500, 560) for claim in fuzzing.scene_claims(seed)]
    scenes = [claim.data for claim in claims if claim.true and has_border(claim.data)]
    assert len(scenes) > 15
    for data in scenes[: 100 if ALL else 15]:
        refused, accepted = judged_changes(compiled, data, most=SAMPLE)
        assert len(refused) > len(accepted)


@pytest.mark.slow
@needs_coq
def test_golden_programs_on_a_scene(compiled) -> None:
    names = {name for name in GOLDEN if GOLDEN[name]["statement"]["property"] == "equivariance"}
    scenes = [scene_of(name) for name in sorted(names - {FOLDED})]  # there are no laps of a scene
    assert len(scenes) > 15
    assert set(checker.judge(compiled, scenes)) == {checker.PROVED}


@pytest.mark.slow
@needs_coq
def test_the_box_and_the_generators_of_a_scene_are_no_labels(compiled) -> None:
    data = scene_of("conv3x3-stride2.equivariance.json")
    assert data["statement"]["interior"] == [[1, 4], [1, 4]]
    words = (
        "equivariance along axes [1, 2] of a scene, of cells in [[1, 4], [1, 4]], under all sums"
    )
    assert checker.stated(json.dumps(data)).startswith(words)
    cases = [
        changed(data, ("statement", "interior", 0, 0), 0),
        changed(data, ("statement", "interior", 1, 1), 5),
        changed(data, ("generators", 0, "output_shift"), [2, 0]),
        changed(data, ("generators", 0, "shift"), [2, 2]),
        changed(data, ("generators", 1), data["generators"][0]),
        changed(data, ("statement", "boundary"), "torus"),
        changed(data, ("statement", "law"), "same"),
    ]
    assert all(said.startswith("refused") for said in checker.judge(compiled, cases))


def scene_of(name: str) -> Any:
    """The certificate of a golden program as it sees a scene, with the same generators."""
    said = GOLDEN[name]["statement"] | {"boundary": "scene"}
    question = {field: said[field] for field in fields(Question)}
    program = decode_program(GOLDEN[name]["program"])
    shifts = [(tuple(entry["shift"]), {}) for entry in GOLDEN[name]["generators"]]
    return make_certificate(program, question, shifts, "a test")


# --- further kinds ---


def has_parts(data: Any) -> bool:
    rows = [row for entry in data["generators"] for row in terms.rows(entry)]
    return any(isinstance(f, Joined) for row in rows for axis in row or () for f in axis)


@pytest.mark.slow
@needs_coq
def test_folds_along_two_axes_at_once(compiled) -> None:
    data = GOLDEN[FOLDED]
    facts = [one.fact.axes for one in derive(decode_program(data["program"]), (1, 1))]
    assert [
        len([f for axis in row for f in axis if isinstance(f, Fold)]) for row in facts[3:11]
    ] == [2, 0, 2, 2, 3, 1, 2, 0]
    entry = {"shift": [1, 1], "output_shift": [2, 2], "choices": [], "facts": plain(facts)}
    case = changed(data, ("generators",), [entry])
    assert checker.judge(compiled, [case]) == [checker.PROVED]
    wrong = changed(case, ("generators", 0, "output_shift"), [2, 0])
    assert checker.judge(compiled, [wrong]) == ["refused: the statement does not follow"]


FLAGS = (3, "linear"), (5, "zero"), (6, "zero"), (8, "sum"), (10, "sum")
"""What the certificate with folds says of its operations."""


@pytest.mark.slow
@needs_coq
def test_what_is_no_sum_makes_and_ends_no_fold(compiled) -> None:
    cases = [
        changed(GOLDEN[FOLDED], ("program", "nodes", node, "op", flag), False)
        for node, flag in FLAGS
    ]
    said = checker.judge(compiled, cases)
    assert said == [f"refused: node {node}" for node, _ in FLAGS]


def test_only_beside_folds_it_is_read_that_an_operation_is_a_sum() -> None:
    texts = {name: terms.certificate(data, "c") for name, data in GOLDEN.items()}
    assert {name for name, text in texts.items() if "OfSums" in text} == {FOLDED}
    for name, text in texts.items():
        windows = re.findall(r"Node \((?:Window|Mix|Pad) .* (true|false)\) ", text)
        assert ("true" in windows) == (name == FOLDED)
        words = checker.stated(json.dumps(GOLDEN[name]))
        assert ("where sums are exact" in words) == (name == FOLDED)


REFUSED = {"": 3, "fold": 4, "tokens": 12, "mask": 12, "spectrum": 4}
"""One of so many random programs, by what it begins with, has a claim that is refused, and not for want of a fact."""


def agree(compiled: Path, seeds: range, *, first: str = "") -> list[fuzzing.Claim]:
    """Of true claims most are proved, and none is refused; of false ones none is proved."""
    claims = [claim for seed in seeds for claim in fuzzing.claims(seed, first=first)]
    counts = judged(compiled, claims)
    assert counts[True, checker.PROVED] > 3 * counts[True, "not covered"]
    assert counts[False, "refused"] > len(seeds) / REFUSED[first]
    return claims


def judged(compiled: Path, claims: Sequence[fuzzing.Claim]) -> collections.Counter:
    """How many true and false claims have which verdict; of true ones none is refused, of false ones none proved."""
    counts = collections.Counter()
    said = checker.judge(compiled, [claim.data for claim in claims])
    for claim, verdict in zip(claims, said, strict=True):
        word = verdict.partition(":")[0]
        counts[claim.true, word] += 1
        allowed = (checker.PROVED, "not covered") if claim.true else ("refused", "not covered")
        assert word in allowed, (verdict, claim.true, claim.data)
    return counts


def test_a_number_too_large_for_an_axis_is_no_term() -> None:
    data = GOLDEN["conv1d.equivariance.json"]
    case = changed(data, ("program", "nodes", 2, "op", "grid"), [2**40])
    with pytest.raises(Refusal):
        terms.certificate(case, "c")
