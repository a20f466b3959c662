(** * Signals and shifts

    A signal is a function on the integers, with values of any type; an array of N cells, seen as a
    torus, is a signal of period N. Taking all of Z for the domain makes "modulo" vanish from nearly every proof:
    [shift D S] is [fun u => S (u - D)], and that is all there is to it.

    Equality of signals is pointwise, written [==], so that no axiom of extensionality is needed.

    Conventions of the whole development: a [Theorem] is a result, told in words by the comment before it;
    a [Lemma] is a step on the way. *)

From Coq Require Import ZArith List Lia Bool.
Import ListNotations.
Open Scope Z_scope.

Definition same {I A} (S T : I -> A) : Prop := forall u, S u = T u.
Infix "==" := same (at level 70, no associativity).

Definition shift {A} (D : Z) (S : Z -> A) : Z -> A := fun u => S (u - D).

Definition periodic {A} (N : Z) (S : Z -> A) : Prop := forall u, S (u + N) = S u.

Lemma same_refl {I A} (S : I -> A) : S == S.
Proof. intro u; reflexivity. Qed.

Lemma same_sym {I A} (S T : I -> A) : S == T -> T == S.
Proof. intros H u; symmetry; apply H. Qed.

Lemma same_trans {I A} (S T U : I -> A) : S == T -> T == U -> S == U.
Proof. intros H K u; rewrite H; apply K. Qed.

(** ** A group action *)

(** Shifts act as a group: T_0 is the identity, T_a after T_b is T_(a+b), and T_(-a) undoes T_a. *)
Theorem shifts_act_as_group : forall A (S : Z -> A) a b,
  shift 0 S == S /\ shift a (shift b S) == shift (a + b) S /\ shift (- a) (shift a S) == S.
Proof. intros; repeat split; intro u; unfold shift; f_equal; lia. Qed.

Lemma shift_ext {A} (S T : Z -> A) D : S == T -> shift D S == shift D T.
Proof. intros H u; apply H. Qed.

Lemma shift_add {A} (S : Z -> A) a b : shift a (shift b S) == shift (a + b) S.
Proof. intro u; unfold shift; f_equal; lia. Qed.

Lemma periodic_nat {A} (S : Z -> A) N : periodic N S -> forall k u, S (u + Z.of_nat k * N) = S u.
Proof.
  intros H; induction k as [|k IH]; intro u.
  - f_equal; lia.
  - replace (u + Z.of_nat (Datatypes.S k) * N) with (u + Z.of_nat k * N + N) by lia. now rewrite H.
Qed.

Lemma periodic_multiple {A} (S : Z -> A) N k u : periodic N S -> S (u + k * N) = S u.
Proof.
  intros H; destruct (Z_le_gt_dec 0 k).
  - rewrite <- (Z2Nat.id k) by lia. now apply periodic_nat.
  - rewrite <- (periodic_nat S N H (Z.to_nat (- k)) (u + k * N)). f_equal; lia.
Qed.

Lemma periodic_congruent {A} (S : Z -> A) N u v : periodic N S -> (N | u - v) -> S u = S v.
Proof.
  intros H [k E]. replace u with (v + k * N) by lia. now apply periodic_multiple.
Qed.

Lemma periodic_mod {A} (S : Z -> A) N u : periodic N S -> 0 < N -> S (u mod N) = S u.
Proof.
  intros H P. apply (periodic_congruent S N); trivial. exists (- (u / N)).
  pose proof (Z.div_mod u N); lia.
Qed.

(** On a torus of N cells: signals of period N keep it under every shift, and only the shift modulo N counts, so
    that there are N shifts. *)
Theorem torus_of_shifts : forall A (S : Z -> A) N D E,
  periodic N S -> periodic N (shift D S) /\ ((N | D - E) -> shift D S == shift E S).
Proof.
  intros A S N D E H; split.
  - intro u; unfold shift. replace (u + N - D) with (u - D + N) by lia. apply H.
  - intros [k K] u; unfold shift. apply (periodic_congruent S N); trivial. exists (- k); lia.
Qed.

(** ** Frames filled with zeros do not form a group *)

Definition inside (n u : Z) : bool := (0 <=? u) && (u <? n).

(** A frame of n cells, and what a shift leaves in it when the places that fall free are filled with zeros. *)
Definition frame (n : Z) (x : Z -> Z) : Prop := forall u, inside n u = false -> x u = 0.
Definition fill (n D : Z) (x : Z -> Z) : Z -> Z := fun u => if inside n u then shift D x u else 0.

Lemma inside_iff n u : inside n u = true <-> 0 <= u < n.
Proof. unfold inside; rewrite andb_true_iff, Z.leb_le, Z.ltb_lt; tauto. Qed.

Lemma outside_iff n u : inside n u = false <-> ~ 0 <= u < n.
Proof. rewrite <- inside_iff. destruct (inside n u); intuition congruence. Qed.

(** On a zero-filled frame, of any size, every shift but 0 loses content, and no later shift brings it back:
    so shifts are no group action there. *)
Theorem frames_lose_content : forall n D, 0 < n -> D <> 0 ->
  exists x, frame n x /\ forall E, ~ (fill n E (fill n D x) == x).
Proof.
  intros n D Hn HD. pose (p := if 0 <? D then n - 1 else 0).
  assert (P : 0 <= p < n /\ ~ 0 <= p + D < n)
    by (unfold p; destruct (Z.ltb_spec 0 D); lia).
  exists (fun u => if u =? p then 1 else 0); split.
  - intros u U; apply outside_iff in U. destruct (Z.eqb_spec u p); lia.
  - intros E H; specialize (H p); unfold fill, shift in H.
    replace (inside n p) with true in H by (symmetry; apply inside_iff; lia).
    rewrite Z.eqb_refl in H. destruct (inside n (p - E)) eqn:I; try discriminate.
    apply inside_iff in I. destruct (Z.eqb_spec (p - E - D) p); lia.
Qed.

(** While the content stays inside, zero-filled shifts do compose as on the line. *)
Theorem frames_act_while_inside : forall n a b x,
  (forall u, x u <> 0 -> 0 <= u + b < n) -> fill n a (fill n b x) == fill n (a + b) x.
Proof.
  intros n a b x H u; unfold fill, shift. destruct (inside n u); trivial.
  replace (u - (a + b)) with (u - a - b) by lia.
  destruct (inside n (u - a)) eqn:I; trivial. apply outside_iff in I.
  destruct (Z.eq_dec (x (u - a - b)) 0) as [Z|Z]; [easy|]. specialize (H _ Z); lia.
Qed.

(** ** Equivariance, invariance, and how they compose *)

(** [moves P f D D']: f takes a shift by D of its input to a shift by D' of its output, for every signal of class P.
    [stays P f D]: f does not see a shift by D. *)
Definition moves {A B} (P : (Z -> A) -> Prop) (f : (Z -> A) -> Z -> B) (D D' : Z) : Prop :=
  forall S, P S -> f (shift D S) == shift D' (f S).
Definition stays {A B} (P : (Z -> A) -> Prop) (f : (Z -> A) -> B) (D : Z) : Prop :=
  forall S, P S -> f (shift D S) = f S.

(** What every operation respects: equal signals, and the class of its signals under shifts. *)
Definition extensional {A B} (f : (Z -> A) -> Z -> B) : Prop := forall S T, S == T -> f S == f T.
Definition closed {A} (P : (Z -> A) -> Prop) : Prop := forall S D, P S -> P (shift D S).

(** The laws of two operations, one after the other, compose. *)
Theorem laws_compose : forall A B C (P : (Z -> A) -> Prop) (Q : (Z -> B) -> Prop)
  (f : (Z -> A) -> Z -> B) (g : (Z -> B) -> Z -> C) D D' D'',
  extensional g -> (forall S, P S -> Q (f S)) ->
  moves P f D D' -> moves Q g D' D'' -> moves P (fun S => g (f S)) D D''.
Proof.
  intros A B C P Q f g D D' D'' X H F G S HS.
  apply same_trans with (g (shift D' (f S))); auto.
Qed.

(** The law is linear: 0 goes to 0, sums go to sums, and opposites to opposites. *)
Theorem laws_are_linear : forall A B (P : (Z -> A) -> Prop) (f : (Z -> A) -> Z -> B) D D' E E',
  extensional f -> closed P -> moves P f D D' -> moves P f E E' ->
  moves P f 0 0 /\ moves P f (D + E) (D' + E') /\ moves P f (- D) (- D').
Proof.
  intros A B P f D D' E E' X C F G; repeat split; intros S HS.
  - apply same_trans with (f S); [apply X|]; intro u; unfold shift; f_equal; lia.
  - apply same_trans with (f (shift D (shift E S))); [apply X, same_sym, shift_add|].
    apply same_trans with (shift D' (f (shift E S))); [now apply F, C|].
    apply same_trans with (shift D' (shift E' (f S))); [now apply shift_ext, G | apply shift_add].
  - assert (K : f S == shift D' (f (shift (- D) S))).
    { apply same_trans with (f (shift D (shift (- D) S))); [apply X | now apply F, C].
      intro u; unfold shift; f_equal; lia. }
    intro u; unfold shift at 2. rewrite (K (u - - D')); unfold shift; f_equal; lia.
Qed.

(** What is invariant, applied to what is equivariant, is invariant: pooling an equivariant map over all positions does
    not see shifts. *)
Theorem invariant_after_equivariant : forall A B C (P : (Z -> A) -> Prop) (Q : (Z -> B) -> Prop)
  (f : (Z -> A) -> Z -> B) (g : (Z -> B) -> C) D D',
  (forall S T, S == T -> g S = g T) -> (forall S, P S -> Q (f S)) ->
  moves P f D D' -> stays Q g D' -> stays P (fun S => g (f S)) D.
Proof.
  intros A B C P Q f g D D' X H F G S HS. rewrite (X _ (shift D' (f S))); auto.
Qed.

Definition spike (N : Z) : Z -> Z := fun u => if u mod N =? 0 then 1 else 0.

Lemma spike_periodic N : 0 < N -> periodic N (spike N).
Proof. intros H u; unfold spike. now replace (u + N) with (u + 1 * N) by lia; rewrite Z_mod_plus_full. Qed.

Lemma spike_iff N u : 0 < N -> spike N u = 1 <-> (N | u).
Proof.
  intro H; unfold spike; rewrite <- Z.mod_divide by lia. destruct (Z.eqb_spec (u mod N) 0); lia.
Qed.

(** Neither property implies the other, where the output is to move by the same shift: the identity moves with every
    shift and is invariant under none but 0 (modulo N); an output that is one fixed spike is invariant under all,
    and moves with none but 0. *)
Theorem equivariance_and_invariance_differ : forall N D, 0 < N -> ~ (N | D) ->
  (moves (periodic N) (fun S : Z -> Z => S) D D /\ ~ (forall S : Z -> Z, periodic N S -> shift D S == S)) /\
  (stays (periodic N) (fun _ : Z -> Z => spike N) D /\ ~ moves (periodic N) (fun _ : Z -> Z => spike N) D D).
Proof.
  intros N D H ND.
  assert (K : ~ (shift D (spike N) == spike N)).
  { intro E; specialize (E D); unfold shift in E. apply ND, spike_iff; trivial. rewrite <- E.
    apply spike_iff; trivial. exists 0; lia. }
  split; split.
  - intros S _; apply same_refl.
  - intro E; apply K, E, spike_periodic, H.
  - intros S _; reflexivity.
  - intro M; apply K, same_sym. apply (M (fun _ => 0)). easy.
Qed.
