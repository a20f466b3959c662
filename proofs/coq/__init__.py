"""The Coq development, run: a theorem counts as proved if it compiles, is on the list, and assumes no axiom.

The files are read in the order of `THEOREMS`; each is a short text with its proofs. What a theorem says in words is the
comment before it, so that words and formula stand together. Everything is compiled in a temporary directory.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from proofs.outcome import Outcome, Status

SOURCES = Path(__file__).parent
INSTALL = "apt-get install coq"
SECONDS = 120
"""That one file may take; ten times what it does."""

THEOREMS: Mapping[str, tuple[str, ...]] = {
    "Signals": (
        "shifts_act_as_group",
        "torus_of_shifts",
        "frames_lose_content",
        "frames_act_while_inside",
        "laws_compose",
        "laws_are_linear",
        "invariant_after_equivariant",
        "equivariance_and_invariance_differ",
    ),
    "Windows": (
        "windows_move",
        "windows_are_periodic",
        "strides_on_any_torus",
        "strides_need_multiples",
        "pooling_moves_by_multiples_only",
        "stride_that_does_not_divide",
        "strides_multiply",
        "maps_move",
        "stretching_multiplies",
        "padding_between_and_around",
    ),
    "Arrays": (
        "wrap_padding_is_slices",
        "wrapped_window_is_periodic_window",
        "size_is_whole_iff",
        "circular_windows_move",
    ),
    "Sums": (
        "whole_periods_are_permuted",
        "symmetric_functions_are_invariant",
        "windows_over_whole_periods_are_flat",
        "full_reductions_are_invariant",
        "full_convolution_ends",
        "fold_is_circular_convolution",
        "fold_moves",
        "fold_of_integers",
    ),
    "Linear": (
        "commuting_is_invariance_of_matrix",
        "commuting_along_diagonals",
        "commuting_with_all_shifts_is_convolution",
        "commuting_with_multiples",
        "first_rows_decide",
        "plane_commuting_is_convolution",
    ),
    "Groups": (
        "generators_prove_the_group",
        "refuted_multiple_refutes",
        "multiples_of_prime_order",
        "refuting_minimal_overgroups_refutes_the_rest",
        "kept_shifts_form_subgroups",
        "lattice_on_one_axis",
        "lattice_on_two_axes",
    ),
    "Planes": (
        "splitting_divides",
        "splitting_needs_whole_blocks",
        "merging_multiplies",
        "laws_lift_to_images",
        "image_windows_are_products",
        "image_windows_move",
        "image_strides_need_multiples",
        "image_reductions_are_invariant",
    ),
    "Pooling": ("share_of_unnoticed_shifts", "share_of_unnoticed_image_shifts"),
    "Scenes": (
        "scenes_move_by_multiples",
        "views_agree_inside",
        "windows_read_the_interior",
        "interiors_of_generators_compose",
    ),
    "Polyphase": (
        "greatest_words_keep_every_shift",
        "pools_behind_greatest_words_are_invariant",
        "some_word_wins",
        "lexicographic_is_antisymmetric",
        "lexicographic_is_ordered",
        "polyphase_images_keep_every_shift",
    ),
}
"""The theorems of each file; a file may use those before it."""

SECOND = "compiled_files_check_again"
CLOSED = "Closed under the global context"
UNSOUND = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Conjectures?|Parameters?|Unset|bypass_check|LoadPath|ML)\b"
)
THEOREM = re.compile(r"^ *Theorem\s+(\w+)", re.MULTILINE)
STATEMENT = re.compile(r"\(\*\*(?P<words>(?:(?!\*\)).)*)\*\)\s*Theorem\s+(?P<name>\w+)", re.DOTALL)


def run(
    progress: Callable[[str], None] | None = None,
    *,
    sources: Path = SOURCES,
    theorems: Mapping[str, tuple[str, ...]] | None = None,
    directory: Path | None = None,
) -> list[Outcome]:
    """One outcome for every theorem of the list and of the files, and one for a second reading by `coqchk`.

    Args:
        progress: is told which file is being compiled.
        sources: the directory of the files.
        theorems: the list of another development than this one.
        directory: where the compiled files stay; a temporary one where None.
    """
    tell, theorems = progress or (lambda _: None), THEOREMS if theorems is None else theorems
    texts = {file: _text(sources, file) for file in theorems}
    if shutil.which("coqc") is None:
        detail = f"coqc is missing: {INSTALL}"
        return [
            *_outcomes(texts, theorems, lambda file, name: ("not run", detail)),
            _second("not run", detail),
        ]
    with tempfile.TemporaryDirectory() as name:
        directory = directory or Path(name)
        wrong, seconds = compile_all(directory, sources=sources, theorems=theorems, progress=tell)
        tell("coq: Print Assumptions")
        said = assumptions(directory, [file for file in texts if not wrong[file]], texts)

        def judge(file: str, name: str) -> tuple[Status, str]:
            if problem := wrong[file] or _unlisted(file, theorems[file], name, texts[file]):
                return "failed", problem
            answer = said.get(name, "Coq gives no answer about its assumptions")
            return ("proved", "") if answer == CLOSED else ("failed", answer)

        outcomes = list(_outcomes(texts, theorems, judge, seconds))
        tell("coq: coqchk")
        return [*outcomes, check_again(directory, wrong)]


def compile_all(
    directory: Path,
    *,
    sources: Path = SOURCES,
    theorems: Iterable[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, str], dict[str, float]]:
    """Compile every file into a directory: what is wrong with each (nothing, or a text), and the seconds it took."""
    wrong: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for file in THEOREMS if theorems is None else theorems:
        progress(f"coq: {file}.v")
        start, text = time.perf_counter(), _text(sources, file)
        broken = next((other for other, problem in wrong.items() if problem), None)
        if unsound := UNSOUND.search(without_comments(text)):
            wrong[file] = f"{file}.v says {unsound.group()}"
        elif broken:
            wrong[file] = f"not compiled, since {broken}.v before it fails"
        else:
            (directory / f"{file}.v").write_text(text, encoding="utf-8")
            wrong[file] = coqc(directory, file)
        seconds[file] = time.perf_counter() - start
    return wrong, seconds


def coqc(directory: Path, file: str) -> str:
    """Compile one file of a directory; what Coq says against it, or nothing."""
    return _call(directory, "coqc", "-q", "-Q", ".", "Shifts", f"{file}.v")


def assumptions(directory: Path, files: Sequence[str], texts: Mapping[str, str]) -> dict[str, str]:
    """What each theorem of compiled files rests on, in the words of Coq: `CLOSED`, or its axioms.

    First all are asked about as one term, which rests on what any of them does; only if that is not closed, each alone.
    """
    names = {name: f"Shifts.{file}.{name}" for file in files for name in _theorems(texts[file])}
    needed = [f"From Shifts Require {file}." for file in files]
    tuple_of_all = f"Definition all := ({', '.join(f'@{path}' for path in names.values())})."
    said = _asked(directory, [*needed, tuple_of_all], {"all": "all"})
    if said.get("all") == CLOSED:
        return dict.fromkeys(names, CLOSED)
    return _asked(directory, needed, names)


def answers(directory: Path, before: Sequence[str], commands: Mapping[str, str]) -> dict[str, str]:
    """What Coq says to each command, as far as it comes, after some lines of text."""
    lines = [f'Redirect "{name}" {command}.' for name, command in commands.items()]
    for answer in directory.glob("*.out"):
        answer.unlink()
    (directory / "Asked.v").write_text("\n".join([*before, *lines, ""]), encoding="utf-8")
    coqc(directory, "Asked")
    return {answer.stem: answer.read_text().strip() for answer in directory.glob("*.out")}


def _asked(directory: Path, before: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """The answers to `Print Assumptions`; what has none is not proved."""
    commands = {name: f"Print Assumptions {path}" for name, path in names.items()}
    return answers(directory, before, commands)


def check_again(directory: Path, wrong: Mapping[str, str]) -> Outcome:
    """The compiled files, read by Coq's independent checker."""
    if any(wrong.values()):
        return _second("failed", next(problem for problem in wrong.values() if problem))
    if shutil.which("coqchk") is None:
        return _second("not run", f"coqchk is missing: {INSTALL}")
    start = time.perf_counter()
    modules = [word for file in wrong or THEOREMS for word in ("-norec", f"Shifts.{file}")]
    problem = _call(directory, "coqchk", "-silent", "-Q", ".", "Shifts", *modules)
    return _second("failed" if problem else "proved", problem, time.perf_counter() - start)


def without_comments(text: str) -> str:
    """The text of a file without its comments, which may nest."""
    depth, kept = 0, []
    for piece in re.split(r"(\(\*|\*\))", text):
        depth += {"(*": 1, "*)": -1}.get(piece, 0)
        if depth == 0 and piece != "*)":
            kept.append(piece)
    return "".join(kept)


def statements(text: str) -> dict[str, str]:
    """What the theorems of a file say in words, by name."""
    return {match["name"]: " ".join(match["words"].split()) for match in STATEMENT.finditer(text)}


def _theorems(text: str) -> list[str]:
    return THEOREM.findall(without_comments(text))


def _unlisted(file: str, names: Iterable[str], name: str, text: str) -> str:
    """What is wrong with the list, or with the words of a theorem; or nothing."""
    if name not in names:
        return f"a theorem of {file}.v that is not on the list"
    if name not in _theorems(text):
        return f"{file}.v has no theorem of this name"
    return "" if name in statements(text) else "no comment before it says what it means"


def _outcomes(
    texts: Mapping[str, str],
    theorems: Mapping[str, tuple[str, ...]],
    judge: Callable[[str, str], tuple[Status, str]],
    seconds: Mapping[str, float] | None = None,
) -> Iterator[Outcome]:
    """One for each theorem of the list or of the files; the time of a file is shared among its theorems."""
    for file, text in texts.items():
        words, names = statements(text), dict.fromkeys([*theorems[file], *_theorems(text)])
        share = (seconds or {}).get(file, 0.0) / max(len(names), 1)
        for name in names:
            status, detail = judge(file, name)
            yield Outcome(name, "coq", words.get(name, ""), status, detail, share)


def _second(status: Status, detail: str, seconds: float = 0.0) -> Outcome:
    words = "Coq's independent checker reads the compiled files and accepts every proof in them."
    return Outcome(SECOND, "coqchk", words, status, detail, seconds)


def _text(sources: Path, file: str) -> str:
    path = sources / f"{file}.v"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _call(directory: Path, *command: str) -> str:
    """Run a command in a directory; nothing if it succeeds, else why not."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COQ")}
    try:
        done = subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} took more than {SECONDS} s"
    if done.returncode == 0:
        return ""
    return " ".join((done.stderr + done.stdout).split()) or f"{command[0]} fails without a word"
