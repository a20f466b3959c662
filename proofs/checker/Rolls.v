(** * The rule of constants that are known to be unchanged by some rolls

    A roll moves all axes at once, around their ends. A constant that a roll leaves as it is may be seen as a signal that
    moves by any multiple of it. Which one is chosen is read off the listed fact. *)

From Coq Require Import ZArith Znumtheory List Lia Bool.
From Shifts Require Import Facts Parts Semantics Indices Rules.
Import ListNotations.
Open Scope Z_scope.

(** How far the listed axis a moves, a guess; and the multiple of a roll that moves all axes so far, of the first of so
    many. *)
Definition step_of (ps : parts) : Z :=
  match ps with [p] => match merged p with Some f => step f | None => 0 end | _ => 0 end.
Definition MOST : nat := 4096.
Definition is_multiple (sh roll : list Z) (G : list parts) (k : Z) : bool :=
  forallb (fun a => (k * nth a roll 0 - step_of (nth a G [])) mod nth a sh 0 =? 0) (seq 0 (length sh)).
Fixpoint multiple_from (fuel : nat) (k : Z) (sh roll : list Z) (G : list parts) : option Z :=
  match fuel with
  | O => None
  | S fuel => if is_multiple sh roll G k then Some k else multiple_from fuel (k + 1) sh roll G
  end.
Definition multiple : list Z -> list Z -> list parts -> option Z := multiple_from MOST 0.

Definition rolled_rule (rolls : list (list Z)) (sh : list Z) (G : list parts) : verdict :=
  if existsb (fun roll =>
       match multiple sh roll G with
       | Some k => forallb (fun a => (1 <=? nth a sh 0) &&
           match follows_axis (nth a G []) [[Moving (nth a sh 0) (nth a sh 0) 0 (k * nth a roll 0)]] with
           | Yes => true | _ => false end) (seq 0 (length sh))
       | None => false
       end) rolls
  then Yes else No.

Lemma rolled_any sh roll {V} (W : array V) : (forall a, (a < length sh)%nat -> 1 <= nth a sh 0) ->
  (forall i, inside sh i -> W i = W (rolled sh roll 1 i)) ->
  forall j i, inside sh i -> W i = W (rolled sh roll j i).
Proof.
  intros P H.
  assert (In : forall j i, inside sh (rolled sh roll j i)).
  { intros j i. apply build_inside. intros a L. rewrite (nth_indep sh 1 0) by trivial.
    apply Z.mod_pos_bound. specialize (P a L). lia. }
  assert (Twice : forall j j' i, rolled sh roll j (rolled sh roll j' i) = rolled sh roll (j + j') i).
  { intros j j' i. apply map_seq_equal. intros a L. unfold rolled. rewrite nth_build by trivial.
    rewrite Zminus_mod_idemp_l. f_equal. ring. }
  assert (Zero : forall i, inside sh i -> rolled sh roll 0 i = i).
  { intros i [L I]. apply equal_lists; unfold rolled; rewrite ?build_length; [easy|]. intros a A.
    rewrite nth_build, (nth_indep sh 1 0) by trivial. rewrite Z.mul_0_l, Z.sub_0_r. now apply Z.mod_small, I. }
  assert (Up : forall n i, inside sh i -> W i = W (rolled sh roll (Z.of_nat n) i)).
  { induction n as [|n IH]; intros i I; [now rewrite Zero|]. rewrite (H i I), (IH _ (In 1 i)), Twice.
    do 2 f_equal. lia. }
  intros j i I. destruct (Z_le_gt_dec 0 j) as [L|L]; [rewrite <- (Z2Nat.id j) by lia; now apply Up|].
  rewrite (Up (Z.to_nat (- j)) (rolled sh roll j i)) by apply In. rewrite Twice, Z2Nat.id by lia.
  replace (- j + j) with 0 by ring. now rewrite Zero.
Qed.

Section Claims.
Context {V source index : Type}.
Variables (turn : index -> Z) (copy : index -> source).
Coercion turn : index >-> Z.
Notation right := (right (V := V) turn copy).

(** A constant that a roll leaves as it is is right as a signal that moves by a multiple of the roll. *)
Theorem rolled_right : forall rolls sh G W, fits G sh = true -> rolled_rule rolls sh G = Yes ->
  (forall roll, In roll rolls -> forall i, inside sh i -> W i = W (rolled sh roll 1 i)) ->
  right G sh (fun _ => W).
Proof.
  intros rolls sh G W S H Un t i t' i' I I' E. unfold rolled_rule in H.
  destruct (existsb _ rolls) eqn:X; [|discriminate H]. apply existsb_exists in X as [roll [R X]].
  destruct (multiple sh roll G) as [k|]; [|discriminate X]. rewrite forallb_forall in X.
  assert (Each : forall a, (a < length sh)%nat -> 1 <= nth a sh 0 /\
    (nth a sh 0 | nth a i 0 - nth a i' 0 - (turn t - turn t') * (k * nth a roll 0))).
  { intros a L. specialize (X a ltac:(apply in_seq; lia)). apply andb_true_iff in X as [N X]. apply Z.leb_le in N.
    split; trivial. destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & B & B' & A).
    set (f := Moving (nth a sh 0) (nth a sh 0) 0 (k * nth a roll 0)) in *.
    destruct (follows_axis (nth a G []) [[f]]) eqn:F; try discriminate X.
    assert (Sf : sane1 f = true) by (unfold sane1, f; simpl; rewrite andb_true_iff, !Z.leb_le; lia).
    apply (follows_axis_right _ [[f]]) in A; trivial; try lia.
    - apply alike_axis_one in A; trivial; simpl; lia.
    - rewrite sane_one_axis. unfold sane; simpl. now rewrite Sf.
    - simpl; lia. }
  rewrite (rolled_any sh roll W (fun a L => proj1 (Each a L)) (Un roll R) ((turn t - turn t') * k) i I). f_equal.
  destruct I' as [L' I']. apply equal_lists; [unfold rolled; now rewrite build_length|].
  unfold rolled. rewrite build_length. intros a L. rewrite nth_build, (nth_indep sh 1 0) by trivial.
  destruct (Each a L) as [_ D]. rewrite <- (Z.mod_small (nth a i' 0) (nth a sh 0)) by now apply I'.
  apply equal_mod. eapply eq_ind; [exact D | ring].
Qed.

End Claims.
