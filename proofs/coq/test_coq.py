"""The development compiles without axioms; and every hypothesis is needed, since without it Coq proves the negation.

A twin is a statement with a hole for one hypothesis. With the hypothesis it follows from a theorem of the development;
with a weaker one in its place, or with none, a counterexample refutes it.
"""

import dataclasses
import os
import shutil

import pytest

from proofs import coq
from proofs.outcome import Outcome
from tests.amounts import ALL

pytestmark = pytest.mark.xdist_group("coq")  # one worker makes what these tests share

REQUIRED = os.environ.get("SHIFTPROOF_REQUIRE_COQ") == "1"
needs_coq = pytest.mark.skipif(
    shutil.which("coqc") is None and not REQUIRED, reason=f"coqc is missing: {coq.INSTALL}"
)


@dataclasses.dataclass(frozen=True)
class Twin:
    """A statement whose `HOLE` is filled by a hypothesis, or by something weaker.

    `proof` shows it with the hypothesis, `refutation` its negation (as H in the context, the goal False) without.
    """

    statement: str
    hypothesis: str
    proof: str
    refutation: str
    weaker: str = ""


IDENTITY = "(fun seen : list Z => seen)"
ROLLED = """forall (x : list Z) (K : nat) d s lo hi r D, 0 < s -> 0 <= d -> (0 < K)%nat -> x <> nil -> HOLE
  let layer y := valid 0 (fun seen => fold_right Z.add 0 seen) K d s (pad_wrap 0 lo hi y) in
  layer (roll 0 D x) = roll 0 r (layer x)"""
ROLLS = (
    "intros x K d s lo hi r D Hs Hd HK Hx HOLE layer; subst; apply circular_windows_move; trivial."
)
DIVIDES = "(s | size x) ->"
FITS = "1 - s <= lo + hi - d * (Z.of_nat K - 1) <= 0 ->"
MULTIPLE = "D = s * r ->"
FOLDED = """forall N n low high (K L : nat) (w : Z -> Z -> Z) x p, n <= N -> periodic N x -> 0 <= p < N -> HOLE
  laps integers L N (weighted integers w K 1 low (among_zeros 0 n x)) p = weighted integers w K 1 low x p"""
FOLDS = "intros; apply fold_is_circular_convolution with high; simpl zero; trivial; lia."
ZERO_TO_ZERO = "(forall k, w k 0 = 0) ->"
LOW, HIGH = "Z.of_nat K - 1 <= low ->", "Z.of_nat K - 1 <= high ->"
LAPS = "n + low + high - (Z.of_nat K - 1) <= Z.of_nat L * N ->"
GAP = "(forall u, n <= u < N -> x u = 0) ->"
REDUCED = """forall (op : Z -> Z -> Z) N n D, HOLE
  stays (periodic N) (fun S => reduce op (map S (range 0 n))) D"""
REDUCES = "intros; now apply full_reductions_are_invariant."
COMMUTATIVE = "(forall a b, op a b = op b a) ->"
ASSOCIATIVE = "(forall a b c, op a (op b c) = op (op a b) c) ->"
WHOLE = "(N | Z.of_nat n) ->"
MOD = "intro u; replace (u + {0}) with (u + 1 * {0}) by lia; apply Z_mod_plus_full"


def without(hole: str, *hypotheses: str) -> str:
    """A statement with all hypotheses but the one that is to go into the hole, which stands last."""
    return hole.replace("HOLE", " ".join([*hypotheses, "HOLE"]))


READ = """forall (a : Z -> Z) low high q, (forall i, low <= i < high -> a i = i) -> HOLE
  window (fold_right Z.add 0) 2 1 0 1 a q = window (fold_right Z.add 0) 2 1 0 1 (fun u => u) q"""
READS = """intros a low high q V L H.
  refine (windows_read_the_interior Z Z (fold_right Z.add 0) 2 1 0 1 (fun u => u) a 0 low high q _ _ _ _);
  [lia | intros i Hi; rewrite V by trivial; lia | lia | lia]."""
FROM, BELOW = "low <= q ->", "q + 1 < high ->"


def one_cell(q: int) -> str:
    """Numbers against a window of two cells, of an interior of one."""
    return f"""specialize (H (fun i => if i =? 0 then 0 else 9) 0 1 ({q})
      ltac:(intros i Hi; replace i with 0 by lia; reflexivity) ltac:(lia) ltac:(lia)). now vm_compute in H."""


TWINS = {
    "a window that reads behind the interior": Twin(
        without(READ, FROM), BELOW, READS, one_cell(0), weaker="q < high ->"
    ),
    "a window that reads before the interior": Twin(
        without(READ, BELOW),
        FROM,
        "intros a low high q V H L. " + READS.partition(".")[2],
        one_cell(-1),
        weaker="low <= q + 1 ->",
    ),
    "a stride that does not divide the step": Twin(
        f"""forall N s r, 0 < N -> HOLE
        exists r', moves (periodic N) (window {IDENTITY} 1 1 0 s) r r'""",
        "(Z.gcd N s | r) ->",
        "intros; apply strides_need_multiples; trivial; lia.",
        """specialize (H 4 2 1 ltac:(lia)). apply strides_need_multiples in H; [|lia|lia].
        destruct H as [k K]. change (Z.gcd 4 2) with 2 in K. lia.""",
    ),
    "pooling whose window is the torus": Twin(
        """forall N K s r, 0 < Z.of_nat K -> HOLE
        (exists r', moves (periodic N) (window (fold_right Z.max 0) K 1 0 s) r r') -> (Z.gcd N s | r)""",
        "Z.of_nat K < N ->",
        "intros N K s r H H'. apply pooling_moves_by_multiples_only; lia.",
        """assert (D : (Z.gcd 2 2 | 1)).
        { apply (H 2 2%nat 2 1 ltac:(lia)). exists 0. intros S P q. unfold shift.
          apply windows_over_whole_periods_are_flat with 2; trivial; [|now exists 1].
          intros l l' E. induction E; simpl; lia. }
        destruct D as [k K]. change (Z.gcd 2 2) with 2 in K. lia.""",
    ),
    "a stride that divides the size, where the law is that of the cells kept": Twin(
        f"""forall N M s r r', 2 <= M -> s * (M - 1) < N -> HOLE
        (forall S : Z -> Z, periodic N S -> forall q, 0 <= q < M ->
          window {IDENTITY} 1 1 0 s (shift r S) q = window {IDENTITY} 1 1 0 s S ((q - r') mod M)) -> (N | r)""",
        "N < s * M ->",
        "intros N M s r r' HM L U E; apply (stride_that_does_not_divide N M 1 1 0 s r r'); trivial; lia.",
        """assert (D : (4 | 2)); [|destruct D as [k K]; lia].
        apply (H 4 2 2 2 1 ltac:(lia) ltac:(lia)). intros S P q Hq. unfold window, shift; simpl. f_equal.
        assert (Q : q = 0 \\/ q = 1) by lia.
        destruct Q as [-> | ->]; simpl; apply (periodic_congruent S 4); trivial; [exists (-1) | exists 0]; lia.""",
    ),
    "a table that does not repeat within the step": Twin(
        """forall m D (t : Z -> Z), periodic m t -> HOLE
        moves any (fun (S : Z -> Z) u => S u + t u) D D""",
        "(m | D) ->",
        """intros m D t P d. apply (proj2 (maps_move Z Z Z Z any (fun S => S) (fun S => S) Z.add t m D D
          ltac:(intros S _ u; reflexivity)) P d).""",
        f"""specialize (H 2 1 (fun u => u mod 2) ltac:({MOD.format(2)}) (fun _ => 0) I 0). now vm_compute in H.""",
    ),
    "more padding than lies between two cells": Twin(
        """forall (S : Z -> Z) b n low high i, 0 < b -> high < b -> 0 <= i < (n - 1) * b + 1 + low + high -> HOLE
        padded b low n 0 (fun j => S (0 + j)) i = stretch b 0 S (b * 0 - low + i)""",
        "low < b ->",
        "intros S b n low high i Hb Hh Hi Hl. now apply padding_between_and_around with high.",
        "specialize (H (fun _ => 1) 1 1 1 0 0 ltac:(lia) ltac:(lia) ltac:(lia)). now vm_compute in H.",
    ),
    "a size that the stride does not divide": Twin(
        without(ROLLED, FITS, MULTIPLE),
        DIVIDES,
        ROLLS.replace("HOLE", "F M V"),
        """specialize (H [0; 1; 2] 1%nat 1 2 0 0 1 2 ltac:(lia) ltac:(lia) ltac:(lia) ltac:(easy)
          ltac:(simpl; lia) eq_refl).
        now vm_compute in H.""",
    ),
    "too much padding": Twin(
        without(ROLLED, DIVIDES, MULTIPLE),
        FITS,
        ROLLS.replace("HOLE", "V M F"),
        """specialize (H [0; 1] 1%nat 1 1 0 1 1 1 ltac:(lia) ltac:(lia) ltac:(lia) ltac:(easy)
          (Z.divide_1_l _) eq_refl).
        now vm_compute in H.""",
    ),
    "too little padding": Twin(
        without(ROLLED, DIVIDES, MULTIPLE, "lo + hi - d * (Z.of_nat K - 1) <= 0 ->"),
        "1 - s <= lo + hi - d * (Z.of_nat K - 1) ->",
        ROLLS.replace("HOLE", "V M F G").replace("trivial", "trivial; lia"),
        """specialize (H [0; 1; 3] 2%nat 1 1 0 0 1 1 ltac:(lia) ltac:(lia) ltac:(lia) ltac:(easy)
          (Z.divide_1_l _) eq_refl
          ltac:(simpl; lia)).
        now vm_compute in H.""",
    ),
    "a shift of an array that is no multiple of the stride": Twin(
        without(ROLLED, DIVIDES, FITS),
        MULTIPLE,
        ROLLS.replace("HOLE", "V F M"),
        """specialize (H [0; 1] 1%nat 1 2 0 0 0 1 ltac:(lia) ltac:(lia) ltac:(lia) ltac:(easy)
          ltac:(now exists 1) ltac:(simpl; lia)).
        now vm_compute in H.""",
    ),
    "an output that is not whole": Twin(
        "forall n e s, 0 < s -> HOLE s * places (n + e + 0) 0 s = n",
        "(s | n) /\\ 1 - s <= e <= 0 ->",
        """intros n e s Hs W. apply (size_is_whole_iff n e 0 0 1 s Hs). rewrite Z.add_0_r, Z.sub_0_r; trivial.""",
        "specialize (H 3 0 2 ltac:(lia)). now vm_compute in H.",
    ),
    "a part of a period is summed": Twin(
        without(REDUCED, COMMUTATIVE, ASSOCIATIVE),
        WHOLE,
        REDUCES,
        f"""specialize (H Z.add 2 1%nat 1 ltac:(lia) ltac:(lia)
          (fun u => u mod 2) ltac:({MOD.format(2)})). now vm_compute in H.""",
    ),
    "an operation that does not commute": Twin(
        without(REDUCED, ASSOCIATIVE, WHOLE),
        COMMUTATIVE,
        REDUCES,
        f"""specialize (H (fun a _ => a) 2 2%nat 1 ltac:(trivial) ltac:(now exists 1)
          (fun u => u mod 2) ltac:({MOD.format(2)})).
        now vm_compute in H.""",
    ),
    "an operation that is not associative": Twin(
        without(REDUCED, COMMUTATIVE, WHOLE),
        ASSOCIATIVE,
        REDUCES,
        """specialize (H (fun a b => (a - b) * (a - b)) 3 3%nat 1 ltac:(intros; ring) ltac:(now exists 1)
          (fun u => u mod 3 * (u mod 3))
          ltac:(intro u; replace (u + 3) with (u + 1 * 3) by lia; now rewrite Z_mod_plus_full)).
        now vm_compute in H.""",
    ),
    "a fold whose weights do not take zero to zero": Twin(
        without(FOLDED, LOW, HIGH, LAPS, GAP),
        ZERO_TO_ZERO,
        FOLDS,
        """specialize (H 1 1 1 1 1%nat 3%nat (fun _ _ => 1) (fun _ => 1) 0 ltac:(lia) ltac:(easy) ltac:(lia)
          ltac:(lia) ltac:(lia) ltac:(lia) ltac:(intros; lia)).
        now vm_compute in H.""",
    ),
    "a fold with too little padding before": Twin(
        without(FOLDED, ZERO_TO_ZERO, HIGH, LAPS, GAP),
        LOW,
        FOLDS,
        """specialize (H 2 2 0 1 2%nat 1%nat (fun _ v => v) (fun _ => 1) 1 ltac:(lia) ltac:(easy) ltac:(lia)
          ltac:(lia) ltac:(lia) ltac:(lia) ltac:(intros; lia)).
        now vm_compute in H.""",
    ),
    "a fold with too little padding behind": Twin(
        without(FOLDED, ZERO_TO_ZERO, LOW, LAPS, GAP),
        HIGH,
        FOLDS,
        """specialize (H 2 2 1 0 2%nat 1%nat (fun _ v => v) (fun _ => 1) 0 ltac:(lia) ltac:(easy) ltac:(lia)
          ltac:(lia) ltac:(lia) ltac:(lia) ltac:(intros; lia)).
        now vm_compute in H.""",
    ),
    "a fold of too few laps": Twin(
        without(FOLDED, ZERO_TO_ZERO, LOW, HIGH, GAP),
        LAPS,
        FOLDS,
        """specialize (H 2 2 1 1 2%nat 1%nat (fun _ v => v) (fun _ => 1) 0 ltac:(lia) ltac:(easy) ltac:(lia)
          ltac:(lia) ltac:(lia) ltac:(lia) ltac:(intros; lia)).
        now vm_compute in H.""",
    ),
    "a fold that leaves away cells that are not zero": Twin(
        without(FOLDED, ZERO_TO_ZERO, LOW, HIGH, LAPS),
        GAP,
        FOLDS,
        """specialize (H 2 1 0 0 1%nat 1%nat (fun _ v => v) (fun _ => 1) 1 ltac:(lia) ltac:(easy) ltac:(lia)
          ltac:(lia) ltac:(lia) ltac:(lia) ltac:(lia)).
        now vm_compute in H.""",
    ),
    "blocks that do not divide the step": Twin(
        """forall m N r, 0 < m -> (m | N) -> HOLE
        exists r', forall S : Z -> Z, periodic N S -> forall u j, 0 <= j < m ->
          split m (shift r S) u j = split m S (u - r') j""",
        "(m | r) ->",
        "intros m N r Hm HN. now apply splitting_needs_whole_blocks.",
        """specialize (H 2 4 1 ltac:(lia) ltac:(now exists 2)).
        apply splitting_needs_whole_blocks in H; [|lia|now exists 2]. destruct H as [k K]. lia.""",
    ),
    "blocks that do not divide the period": Twin(
        """forall m N (S : Z -> Z), 0 < m -> periodic N S -> HOLE
        forall u j, split m S (u + N / m) j = split m S u j""",
        "(m | N) ->",
        """intros m N S Hm P [k ->] u j. rewrite Z.div_mul by lia. apply splitting_divides; trivial.
        now rewrite Z.mul_comm.""",
        f"""specialize (H 2 3 (fun u => u mod 3) ltac:(lia) ltac:({MOD.format(3)}) 0 0). now vm_compute in H.""",
    ),
    "an overgroup that is not refuted": Twin(
        "forall (E : Z -> Prop) s, 0 < s -> subgroup line E -> E s -> HOLE forall a, E a <-> (s | a)",
        "(forall p, prime p -> (p | s) -> ~ E (s / p)) ->",
        "intros E s Hs HE Es R. now apply lattice_on_one_axis.",
        """assert (G : subgroup line (fun _ => True)) by now repeat split.
        destruct (proj1 (H (fun _ => True) 2 ltac:(lia) G I 1) I) as [k K]. lia.""",
    ),
    "kept shifts that form no group": Twin(
        """forall (E : Z -> Prop) s, 0 < s -> HOLE E s ->
        (forall p, prime p -> (p | s) -> ~ E (s / p)) -> forall a, E a <-> (s | a)""",
        "subgroup line E ->",
        "intros E s Hs HE Es R. now apply lattice_on_one_axis.",
        """assert (R : forall p, prime p -> (p | 2) -> ~ ((2 | 2 / p) \\/ 2 / p = 3)).
        { intros p Pp D. pose proof (prime_ge_2 p Pp). apply Z.divide_pos_le in D; [|lia].
          replace p with 2 by lia. change (2 / 2) with 1. intros [[k K]|K]; lia. }
        destruct (proj1 (H (fun a => (2 | a) \\/ a = 3) 2 ltac:(lia) (or_introl (Z.divide_refl 2)) R 3)
          (or_intror eq_refl)) as [k K].
        lia.""",
    ),
    "a matrix that commutes with even shifts only": Twin(
        """forall A, (forall g, HOLE commutes integers Z.mul 4 A g) ->
        exists c, forall i j, 0 <= i < 4 -> 0 <= j < 4 -> A i j = c ((i - j) mod 4)""",
        "True ->",
        """intros A C. refine (proj1 (commuting_with_all_shifts_is_convolution integers Z.mul 1 _ _ 4 A) _); auto;
          simpl; intros; lia.""",
        """destruct (H (fun i j => if i =? j then i mod 2 else 0)) as [c C].
        { intros g [k ->]. apply (commuting_along_diagonals integers Z.mul 1); [simpl; intros; lia .. |].
          change (Z.of_nat 4) with 4. intros i j Hi Hj.
          assert (M : forall u, ((u + k * 2) mod 4) mod 2 = u mod 2).
          { intro u. rewrite <- Zmod_div_mod by (try lia; now exists 2). apply Z_mod_plus_full. }
          rewrite M. destruct (Z.eqb_spec i j) as [->|N]; [now rewrite Z.eqb_refl|].
          destruct (Z.eqb_spec ((i + k * 2) mod 4) ((j + k * 2) mod 4)) as [E|E]; trivial. exfalso.
          pose proof (Z.div_mod (i + k * 2) 4 ltac:(lia)). pose proof (Z.div_mod (j + k * 2) 4 ltac:(lia)). lia. }
        pose proof (C 0 0 ltac:(lia) ltac:(lia)) as C0. pose proof (C 1 1 ltac:(lia) ltac:(lia)) as C1.
        vm_compute in C0, C1. congruence.""",
        weaker="(2 | g) ->",
    ),
    "a product without a one": Twin(
        """forall mul : Z -> Z -> Z, (forall a, mul a 0 = 0) -> HOLE
        forall A, (forall g, commutes integers mul 2 A g) ->
        exists c, forall i j, 0 <= i < 2 -> 0 <= j < 2 -> A i j = c ((i - j) mod 2)""",
        "(forall a, mul a 1 = a) ->",
        """intros mul M0 M1 A C. apply (commuting_with_all_shifts_is_convolution integers mul 1) in C; trivial.""",
        """destruct (H (fun _ _ => 0) ltac:(trivial) (fun i _ => i)) as [c C].
        { intros g x i Hi. reflexivity. }
        pose proof (C 0 0 ltac:(lia) ltac:(lia)) as C0. pose proof (C 1 1 ltac:(lia) ltac:(lia)) as C1.
        vm_compute in C0, C1. congruence.""",
    ),
    "content that leaves the frame": Twin(
        "forall n a b x, frame n x -> HOLE fill n a (fill n b x) == fill n (a + b) x",
        "(forall u, x u <> 0 -> 0 <= u + b < n) ->",
        "intros n a b x _ C. now apply frames_act_while_inside.",
        """destruct (frames_lose_content 2 1 ltac:(lia) ltac:(lia)) as (x & F & L).
        apply (L (-1)). intro u. rewrite (H 2 (-1) 1 x F u). unfold fill, shift. simpl.
        destruct (inside 2 u) eqn:E; [f_equal; lia | symmetry; now apply F].""",
    ),
    "a shift that comes around": Twin(
        """forall (k m : nat) D, (0 < k)%nat -> (0 < m)%nat -> HOLE
        count (unnoticed k m D) (cells (m * k)) = Z.of_nat m * Z.max 0 (Z.of_nat k - Z.abs D)""",
        "Z.abs D <= Z.of_nat (m * k) - Z.of_nat k ->",
        "intros. now apply share_of_unnoticed_shifts.",
        "specialize (H 2%nat 2%nat 4 ltac:(lia) ltac:(lia)). now vm_compute in H.",
    ),
    "a reduction along a part of the second axis": Twin(
        """forall (X : Z -> Z -> Z) N N' (n n' : nat) D E, periodic_image N N' X -> (N | Z.of_nat n) -> HOLE
        fold_right Z.add 0 (concat (map (fun u => map (shift_image D E X u) (range 0 n')) (range 0 n))) =
        fold_right Z.add 0 (concat (map (fun u => map (X u) (range 0 n')) (range 0 n)))""",
        "(N' | Z.of_nat n') ->",
        """intros X N N' n n' D E P Hn Hn'. apply image_reductions_are_invariant with N N'; trivial.
        intros l l' Q. induction Q; simpl; lia.""",
        f"""specialize (H (fun _ v => v mod 2) 1 2 1%nat 1%nat 0 1
          ltac:(split; intros w; [easy | {MOD.format(2)}]) ltac:(now exists 1)).
        now vm_compute in H.""",
    ),
    "ties that are broken by no order": Twin(
        """forall (before : list Z -> list Z -> Prop), HOLE forall (x : Z -> Z) p u p' u' (s : sampling line),
        s = every 2 1 ltac:(lia) ltac:(lia) -> on_torus s x -> wins s (fun _ => tt) (fun _ _ => True) before x p u ->
        wins s (fun _ => tt) (fun _ _ => True) before (@moved line Z 1 x) p' u' ->
        exists t : Z, forall d, component s (@moved line Z 1 x) p' d = component s x p (d - t)""",
        "antisymmetric before ->",
        """intros before O x p u p' u' s _ T W W'.
        now apply (greatest_words_keep_every_shift line Z unit s (fun _ => tt) (fun _ _ => True) before) with u u'.""",
        """destruct (H (fun _ _ => True) (fun u => u mod 2) 0 0 0 0 _ eq_refl) as [t E].
        - intros n u _. change ((u + 2 * n) mod 2 = u mod 2). rewrite Z.mul_comm. apply Z_mod_plus_full.
        - split; [split; [left; reflexivity | intros; exact I] | intros; exact I].
        - split; [split; [left; reflexivity | intros; exact I] | intros; exact I].
        - specialize (E 0). change ((2 * 0 + 0 - 1) mod 2 = (2 * (0 - t) + 0) mod 2) in E.
          rewrite (Z.add_0_r (2 * (0 - t))), (Z.mul_comm 2 (0 - t)), Z_mod_mult in E. vm_compute in E. discriminate.""",
    ),
}


def text_of(twin: Twin, *, refuted: bool = True) -> str:
    """The twin as a file: the statement with its hypothesis, and the negation of it without."""
    full = twin.statement.replace("HOLE", twin.hypothesis)
    bare = twin.statement.replace("HOLE", twin.weaker if refuted else twin.hypothesis)
    return f"""From Coq Require Import ZArith Znumtheory List Lia.
From Shifts Require Import {" ".join(coq.THEOREMS)}.
Import ListNotations.
Open Scope Z_scope.
Theorem needed : {full}.
Proof. {twin.proof} Qed.
Theorem refuted : ~ ({bare}).
Proof. intro H. {twin.refutation} Qed.
Definition all := (@needed, @refuted).
Print Assumptions all.
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A directory with the compiled development."""
    directory = tmp_path_factory.mktemp("coq")
    wrong, _ = coq.compile_all(directory)
    assert not any(wrong.values()), wrong
    return directory


def judged(directory, text: str) -> str:
    (directory / "Twin.v").write_text(text)
    return coq.coqc(directory, "Twin")


@pytest.fixture
def doctored(tmp_path, monkeypatch):
    """The first two files, one of them changed: a function that does so, runs, and gives the outcomes by name."""
    monkeypatch.setattr(
        coq, "THEOREMS", {file: coq.THEOREMS[file] for file in ("Signals", "Windows")}
    )

    def run(file: str, old: str, new: str, *, start: str = "") -> dict[str, Outcome]:
        for other in coq.THEOREMS:
            shutil.copy(coq.SOURCES / f"{other}.v", tmp_path)
        path, opened = tmp_path / f"{file}.v", "Open Scope Z_scope.\n"
        text = path.read_text()
        assert text.count(old) == text.count(opened) == 1
        path.write_text(text.replace(old, new).replace(opened, f"{opened}{start}\n"))
        return {outcome.name: outcome for outcome in coq.run(sources=tmp_path)}

    return run


def failures(found: dict[str, Outcome]) -> set[str]:
    return {name for name, outcome in found.items() if outcome.status != "proved"}


@pytest.mark.slow
@needs_coq
def test_every_theorem_is_proved_and_nothing_is_written_into_the_tree() -> None:
    before = sorted(coq.SOURCES.iterdir())
    told: list[str] = []
    outcomes = coq.run(told.append)
    assert [o for o in outcomes if o.status != "proved"] == []
    names = [name for names in coq.THEOREMS.values() for name in names]
    assert [o.name for o in outcomes] == [*names, coq.SECOND]
    assert sum(o.seconds for o in outcomes) > 0
    assert told[0] == "coq: Signals.v"
    assert sorted(coq.SOURCES.iterdir()) == before


@needs_coq
@pytest.mark.slow
@pytest.mark.parametrize("name", TWINS if ALL else list(TWINS)[::3])
def test_a_hypothesis_is_needed(compiled, name: str) -> None:
    assert judged(compiled, text_of(TWINS[name])) == ""


@needs_coq
@pytest.mark.slow
def test_twins_cannot_refute_what_holds(compiled) -> None:
    twin = TWINS["a part of a period is summed"]
    assert "Error" in judged(compiled, text_of(twin, refuted=False))


@needs_coq
@pytest.mark.slow
def test_a_false_statement_fails_its_file_and_those_after_it(doctored) -> None:
    found = doctored("Signals", "shift a (shift b S) == shift (a + b) S /\\", "shift a S == S /\\")
    assert failures(found) == set(found)
    assert "Signals.v" in found["shifts_act_as_group"].detail
    assert found["windows_move"].detail == "not compiled, since Signals.v before it fails"


@needs_coq
@pytest.mark.slow
@pytest.mark.parametrize("word", ["Admitted.", "Axiom free : 0 = 1.", "Unset Guard Checking."])
def test_words_that_suspend_proof_fail_their_file(doctored, word: str) -> None:
    found = doctored("Windows", "(** ** Composition *)", f"(** ** Composition *)\n{word}")
    assert failures(found) == {*coq.THEOREMS["Windows"], coq.SECOND}
    assert found["windows_move"].detail == f"Windows.v says {word.split()[0].rstrip('.')}"


@needs_coq
@pytest.mark.slow
def test_an_assumption_by_another_name_fails_the_theorem_that_uses_it(doctored) -> None:
    found = doctored(
        "Windows",
        "intros A B F K d a s r S _ q; unfold window, shift. f_equal. apply map_ext; intro k; f_equal; lia.\nQed.",
        "discriminate free.\nQed.",
        start="Hypothesis free : 0 = 1.",
    )
    assert "windows_move" in failures(found)
    assert "windows_are_periodic" not in failures(found)
    assert found["windows_move"].detail.startswith("Axioms:\nWindows.free : ")


@needs_coq
@pytest.mark.slow
def test_a_theorem_that_is_not_on_the_list_fails(doctored) -> None:
    more = "(** More. *)\nTheorem more : True. Proof. exact I. Qed.\n"
    found = doctored("Windows", "(** ** Composition *)", more)
    assert failures(found) == {"more"}
    assert found["more"].detail == "a theorem of Windows.v that is not on the list"


@needs_coq
@pytest.mark.slow
def test_a_theorem_that_is_gone_fails(doctored) -> None:
    found = doctored("Windows", "Theorem windows_move", "Lemma windows_move")
    assert failures(found) == {"windows_move"}
    assert found["windows_move"].detail == "Windows.v has no theorem of this name"


@needs_coq
@pytest.mark.slow
def test_a_theorem_without_words_fails(doctored) -> None:
    before = "Lemma other : True. Proof. exact I. Qed.\n"
    found = doctored("Windows", "Theorem windows_move", f"{before}Theorem windows_move")
    assert failures(found) == {"windows_move"}
    assert found["windows_move"].detail == "no comment before it says what it means"


@needs_coq
def test_time_that_runs_out_proves_nothing(monkeypatch) -> None:
    monkeypatch.setattr(coq, "SECONDS", 0.01)
    outcomes = coq.run()
    assert {o.status for o in outcomes} == {"failed"}
    assert outcomes[0].detail == "coqc took more than 0.01 s"


@needs_coq
def test_a_missing_checker_is_named(monkeypatch, tmp_path) -> None:
    which = shutil.which
    monkeypatch.setattr(coq.shutil, "which", lambda name: None if name == "coqchk" else which(name))
    outcome = coq.check_again(tmp_path, {})
    assert (outcome.status, outcome.detail) == ("not run", "coqchk is missing: apt-get install coq")


@needs_coq
@pytest.mark.slow
def test_a_compiled_file_that_was_tampered_with_is_refused(compiled, tmp_path) -> None:
    copy = shutil.copytree(compiled, tmp_path / "copy")
    assert coq.check_again(copy, {}).status == "proved"
    compiled_file = copy / "Groups.vo"
    data = bytearray(compiled_file.read_bytes())
    data[len(data) // 2] ^= 255
    compiled_file.write_bytes(data)
    assert coq.check_again(copy, {}).status == "failed"


def test_a_missing_coq_is_never_a_pass(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    outcomes = coq.run()
    assert {o.status for o in outcomes} == {"not run"}
    assert {o.detail for o in outcomes} == {"coqc is missing: apt-get install coq"}
    assert len(outcomes) == sum(map(len, coq.THEOREMS.values())) + 1


def test_every_theorem_says_in_words_what_it_means() -> None:
    for file, names in coq.THEOREMS.items():
        words = coq.statements((coq.SOURCES / f"{file}.v").read_text())
        assert set(names) == set(words)
        assert all(20 < len(text) < 500 for text in words.values())


def test_every_file_is_on_the_list() -> None:
    assert {path.stem for path in coq.SOURCES.glob("*.v")} == set(coq.THEOREMS)


def test_comments_are_taken_out_with_those_inside_them() -> None:
    assert coq.without_comments("a (* b (* c *) Axiom *) d") == "a  d"


def test_required_means_required() -> None:
    assert not REQUIRED or shutil.which("coqc")
