(** * Reductions, and the fold of transposed convolution

    Over whole periods, a shift only changes the order of what is met. This is where invariance comes from. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation FinFun.
From Shifts Require Import Signals Windows.
Import ListNotations.
Open Scope Z_scope.

(** ** Any function that does not depend on the order *)

Definition symmetric {A B} (F : list A -> B) : Prop := forall l l', Permutation l l' -> F l = F l'.

Lemma cells_S n : cells (S n) = cells n ++ [Z.of_nat n].
Proof. unfold cells. now rewrite seq_S, map_app. Qed.

Lemma range_S o n : range o (S n) = range o n ++ [o + Z.of_nat n].
Proof. unfold range. now rewrite cells_S, map_app. Qed.

Lemma range_cons o n : range o (S n) = o :: range (o + 1) n.
Proof.
  unfold range, cells; simpl. rewrite <- seq_shift, !map_map. f_equal; [lia|].
  apply map_ext; intro; lia.
Qed.

Lemma range_shift {A} (S : Z -> A) D o n : map (shift D S) (range o n) = map S (range (o - D) n).
Proof. unfold range; rewrite !map_map. apply map_ext; intro i; unfold shift; f_equal; lia. Qed.

Lemma period_next {A} (S : Z -> A) n : periodic (Z.of_nat n) S ->
  forall o, Permutation (map S (range o n)) (map S (range (o + 1) n)).
Proof.
  intros P o. destruct n as [|n]; [constructor|].
  rewrite range_cons, range_S, map_app; simpl.
  replace (S (o + 1 + Z.of_nat n)) with (S o) by (rewrite <- (P o); f_equal; lia).
  apply Permutation_cons_append.
Qed.

Lemma period_anywhere {A} (S : Z -> A) n o o' : periodic (Z.of_nat n) S ->
  Permutation (map S (range o n)) (map S (range o' n)).
Proof.
  intro P. assert (U : forall k o, Permutation (map S (range o n)) (map S (range (o + Z.of_nat k) n))).
  { induction k as [|k IH]; intro p; [replace (p + Z.of_nat 0) with p by lia; reflexivity|].
    etransitivity; [apply IH|]. replace (p + Z.of_nat (Datatypes.S k)) with (p + Z.of_nat k + 1) by lia.
    now apply period_next. }
  destruct (Z_le_gt_dec o o').
  - replace o' with (o + Z.of_nat (Z.to_nat (o' - o))) by lia. apply U.
  - symmetry. replace o with (o' + Z.of_nat (Z.to_nat (o - o'))) by lia. apply U.
Qed.

(** Cells of any number of whole periods, wherever they begin, are those of the shifted signal in another order. *)
Theorem whole_periods_are_permuted : forall A (S : Z -> A) N n o o' D,
  periodic N S -> (N | Z.of_nat n) -> Permutation (map (shift D S) (range o n)) (map S (range o' n)).
Proof.
  intros A S N n o o' D P [k K]. rewrite range_shift. apply period_anywhere.
  intro u. rewrite K. now apply periodic_multiple.
Qed.

(** Any function of whole periods that does not depend on the order is invariant under every shift: sums, maxima,
    sorting. *)
Theorem symmetric_functions_are_invariant : forall A B (F : list A -> B) N n o D,
  symmetric F -> (N | Z.of_nat n) -> stays (periodic N) (fun S => F (map S (range o n))) D.
Proof. intros A B F N n o D H K S P. apply H. now apply whole_periods_are_permuted with N. Qed.

(** A window that holds whole periods gives the same at every place, and does not see shifts. *)
Theorem windows_over_whole_periods_are_flat : forall A B (F : list A -> B) K a s N D S q q',
  symmetric F -> periodic N S -> (N | Z.of_nat K) ->
  window F K 1 a s (shift D S) q = window F K 1 a s S q'.
Proof.
  intros A B F K a s N D S q q' H P HK.
  assert (W : forall T p, window F K 1 a s T p = F (map T (range (a + s * p) K))).
  { intros T p; unfold window, range; f_equal. rewrite map_map. apply map_ext; intro k; f_equal; lia. }
  rewrite !W. apply H. now apply whole_periods_are_permuted with N.
Qed.

(** ** Reductions by an operation *)

(** An operation needs no neutral element (max over Z has none): the empty reduction is [None]. *)
Definition meet {A} (op : A -> A -> A) (a b : option A) : option A :=
  match a, b with Some x, Some y => Some (op x y) | Some x, None => Some x | None, _ => b end.
Definition reduce {A} (op : A -> A -> A) (l : list A) : option A := fold_right (fun v => meet op (Some v)) None l.

Lemma reduce_symmetric {A} (op : A -> A -> A) :
  (forall a b, op a b = op b a) -> (forall a b c, op a (op b c) = op (op a b) c) -> symmetric (reduce op).
Proof.
  intros C As l l' H; induction H; simpl; [reflexivity | now rewrite IHPermutation | | congruence].
  destruct (reduce op l) as [v|]; simpl; f_equal; auto. now rewrite !As, (C y x).
Qed.

(** A reduction over whole periods by an associative and commutative operation is invariant under every shift. *)
Theorem full_reductions_are_invariant : forall A (op : A -> A -> A) N n o D,
  (forall a b, op a b = op b a) -> (forall a b c, op a (op b c) = op (op a b) c) ->
  (N | Z.of_nat n) -> stays (periodic N) (fun S => reduce op (map S (range o n))) D.
Proof. intros. apply symmetric_functions_are_invariant; trivial. now apply reduce_symmetric. Qed.

(** ** Sums over index sets, with values in a commutative monoid *)

Record monoid (M : Type) := {
  zero : M; plus : M -> M -> M;
  plus_zero : forall a, plus zero a = a;
  plus_comm : forall a b, plus a b = plus b a;
  plus_assoc : forall a b c, plus a (plus b c) = plus (plus a b) c }.
Arguments zero {M}. Arguments plus {M}.

Definition integers : monoid Z.
Proof. refine {| zero := 0; plus := Z.add |}; intros; lia. Defined.

Definition total {M I} (m : monoid M) (f : I -> M) (l : list I) : M := fold_right (fun i => plus m (f i)) (zero m) l.

Section Sums.
  Context {M : Type} (m : monoid M).

  Lemma total_ext {I} (f g : I -> M) l : (forall i, In i l -> f i = g i) -> total m f l = total m g l.
  Proof. induction l; simpl; intro H; trivial. f_equal; [apply H | apply IHl; intros; apply H]; tauto. Qed.

  Lemma total_zero {I} (f : I -> M) l : (forall i, In i l -> f i = zero m) -> total m f l = zero m.
  Proof. induction l; simpl; intro H; trivial. rewrite H by tauto. rewrite plus_zero. apply IHl; auto. Qed.

  Lemma total_plus {I} (f g : I -> M) l : total m (fun i => plus m (f i) (g i)) l = plus m (total m f l) (total m g l).
  Proof.
    induction l; simpl; [now rewrite plus_zero|]. rewrite IHl, !plus_assoc. f_equal.
    rewrite <- !plus_assoc. f_equal. apply plus_comm.
  Qed.

  Lemma total_swap {I J} (f : I -> J -> M) l l' :
    total m (fun i => total m (f i) l') l = total m (fun j => total m (fun i => f i j) l) l'.
  Proof.
    induction l; simpl; [symmetry; now apply total_zero|]. now rewrite IHl, <- total_plus.
  Qed.

  Lemma total_permutation {I} (f : I -> M) l l' : Permutation l l' -> total m f l = total m f l'.
  Proof.
    induction 1; simpl; [reflexivity | congruence | | congruence].
    rewrite !plus_assoc. f_equal. apply plus_comm.
  Qed.

  Lemma total_map {I J} (h : I -> J) (f : J -> M) l : total m f (map h l) = total m (fun i => f (h i)) l.
  Proof. induction l; simpl; congruence. Qed.

  Lemma total_single {I} (f : I -> M) l i : NoDup l -> In i l ->
    (forall j, In j l -> j <> i -> f j = zero m) -> total m f l = f i.
  Proof.
    induction l as [|j l IH]; simpl; [easy|]. intros D [->|Hi] Z; inversion D; subst.
    - rewrite total_zero; [rewrite plus_comm; apply plus_zero|]. intros k Hk; apply Z; [tauto | congruence].
    - rewrite Z by (try tauto; congruence). rewrite plus_zero. apply IH; auto.
  Qed.
End Sums.

Lemma cells_nodup n : NoDup (cells n).
Proof. unfold cells. apply Injective_map_NoDup; [intros a b; lia | apply seq_NoDup]. Qed.

(** ** The fold of circular transposed convolution

    A program pads one period by zeros, convolves it in full, and sums the laps: all cells whose places agree modulo
    the period. The weights are any functions that take zero to zero: multiplication by a number, or by a matrix of
    channels. *)

Section Fold.
  Context {A M : Type} (m : monoid M) (z : A) (w : Z -> A -> M) (K : nat) (d low : Z).

  (** The first n cells of a signal among zeros; a weighted sum over a window; the sum of L laps of length N. *)
  Definition among_zeros (n : Z) (S : Z -> A) : Z -> A := fun u => if inside n u then S u else z.
  Definition weighted (S : Z -> A) : Z -> M := fun i => total m (fun k => w k (S (i - low + d * k))) (cells K).
  Definition laps (L : nat) (N : Z) (T : Z -> M) : Z -> M := fun p => total m (fun t => T (p + t * N)) (cells L).

  (** Beyond the n + low + high - d (K - 1) places that a program computes, the full convolution is zero, so that
      padding by zeros to whole laps changes nothing. *)
  Theorem full_convolution_ends : forall n high S i, (forall k, w k z = zero m) ->
    0 <= d -> d * (Z.of_nat K - 1) <= low -> d * (Z.of_nat K - 1) <= high ->
    ~ 0 <= i < n + low + high - d * (Z.of_nat K - 1) -> weighted (among_zeros n S) i = zero m.
  Proof.
    intros n high S i W Hd Hl Hh Hi. unfold weighted. apply total_zero; intros k Hk; apply cells_in in Hk.
    assert (0 <= d * k <= d * (Z.of_nat K - 1)) by nia.
    unfold among_zeros. replace (inside n (i - low + d * k)) with false; trivial.
    symmetry; apply outside_iff; lia.
  Qed.

  (** The laps of the full convolution of one period sum to the circular convolution; also where the last cells of the
      period, which are zero, are left away (as in a signal whose cells were pulled apart). *)
  Theorem fold_is_circular_convolution : forall n N high L S p, (forall k, w k z = zero m) ->
    0 <= d -> d * (Z.of_nat K - 1) <= low -> d * (Z.of_nat K - 1) <= high ->
    n + low + high - d * (Z.of_nat K - 1) <= Z.of_nat L * N ->
    periodic N S -> n <= N -> (forall u, n <= u < N -> S u = z) ->
    0 <= p < N -> laps L N (weighted (among_zeros n S)) p = weighted S p.
  Proof.
    intros n N high L S p W Hd Hl Hh HL P Hn Hz Hp. unfold laps, weighted.
    rewrite total_swap. apply total_ext; intros k Hk; apply cells_in in Hk.
    assert (0 <= d * k <= d * (Z.of_nat K - 1)) by nia.
    set (u := p - low + d * k).
    pose proof (Z.div_mod u N ltac:(lia)) as E. pose proof (Z.mod_pos_bound u N ltac:(lia)) as R.
    pose (t := - (u / N)). assert (T : u mod N = u + t * N) by (unfold t; lia).
    assert (0 <= t) by (unfold t; nia).
    assert (SU : S u = S (u mod N)) by (rewrite T; symmetry; now apply periodic_multiple).
    assert (out : forall j, j <> t -> among_zeros n S (p + j * N - low + d * k) = z).
    { intros j Hj. unfold among_zeros. replace (inside n _) with false; trivial. symmetry; apply outside_iff.
      replace (p + j * N - low + d * k) with (u mod N + (j - t) * N) by lia. nia. }
    destruct (Z_lt_le_dec t (Z.of_nat L)).
    - rewrite total_single with (i := t);
        [| apply cells_nodup | apply cells_in; lia | intros j _ Hj; now rewrite out, W].
      f_equal. unfold among_zeros. replace (p + t * N - low + d * k) with (u mod N) by lia.
      destruct (inside n (u mod N)) eqn:I; [now rewrite SU|]. apply outside_iff in I.
      rewrite SU, Hz; trivial; lia.
    - rewrite total_zero; [| intros j Hj; apply cells_in in Hj; rewrite out by lia; apply W].
      rewrite SU, Hz; [now rewrite W|]. split; [|lia]. rewrite T. unfold u; nia.
  Qed.

  (** A transposed convolution of stride b on a torus, computed by that fold, takes shifts by D to shifts by b D. *)
  Theorem fold_moves : forall b N high L x D p, (forall k, w k z = zero m) ->
    0 <= d -> d * (Z.of_nat K - 1) <= low -> d * (Z.of_nat K - 1) <= high ->
    0 < b -> let n := (N - 1) * b + 1 in
    n + low + high - d * (Z.of_nat K - 1) <= Z.of_nat L * (b * N) ->
    let layer y := laps L (b * N) (weighted (among_zeros n (stretch b z y))) in
    periodic N x -> 0 <= p < b * N ->
    layer (shift D x) p = layer x ((p - b * D) mod (b * N)).
  Proof.
    intros b N high L x D p W Hd Hl Hh Hb n HL layer P Hp. unfold layer.
    destruct (stretching_multiplies A z b Hb) as [Mv Pr].
    assert (F : forall y q, periodic N y -> 0 <= q < b * N -> layer y q = weighted (stretch b z y) q).
    { intros y q Py Hq. unfold layer.
      apply fold_is_circular_convolution with high; trivial; try (unfold n; nia); [now apply Pr|].
      intros v Hv. unfold stretch. destruct (Z.eqb_spec (v mod b) 0) as [E0|E0]; trivial.
      pose proof (Z.div_mod v b ltac:(lia)). unfold n in Hv. exfalso.
      assert (N - 1 < v / b) by nia. nia. }
    pose proof (Z.mod_pos_bound (p - b * D) (b * N) ltac:(lia)) as R.
    pose proof (Z.div_mod (p - b * D) (b * N) ltac:(lia)) as E.
    fold (layer (shift D x)) (layer x). rewrite !F; trivial; [| now apply torus_of_shifts].
    unfold weighted. apply total_ext; intros k _. f_equal. rewrite Mv by easy. unfold shift.
    apply (periodic_congruent (stretch b z x) (b * N)); [now apply Pr|].
    exists ((p - b * D) / (b * N)). lia.
  Qed.
End Fold.

(** The fold in numbers: for weights c and a signal of integers of period N, given as N cells, the laps sum to the
    circular convolution. *)
Theorem fold_of_integers : forall (c : Z -> Z) K d low high L N x p, 0 <= d ->
  d * (Z.of_nat K - 1) <= low -> d * (Z.of_nat K - 1) <= high ->
  N + low + high - d * (Z.of_nat K - 1) <= Z.of_nat L * N -> periodic N x -> 0 <= p < N ->
  laps integers L N (weighted integers (fun k v => c k * v) K d low (among_zeros 0 N x)) p =
  total integers (fun k => c k * x (p - low + d * k)) (cells K).
Proof.
  intros. apply fold_is_circular_convolution with high; trivial; try lia.
  intros; simpl; lia.
Qed.
