(** * Cells in another order

    A function that takes cells in any order does not see a shift of whole periods: cell by cell, what it reads of one
    copy is what it reads of the other, in another order. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules.
Import ListNotations.
Open Scope Z_scope.

(** ** Whole periods *)

(** The cell of the other copy that is alike: further by the step, modulo the length of a factor that moves. *)
Fixpoint partner (fs : list factor) (t t' : Z) (i : Z) : Z :=
  match fs with
  | [] => 0
  | f :: rest =>
      let d := i / size rest in
      (if still1 f then d else (d + (t' - t) * step f) mod cells f) * size rest
      + partner rest t t' (i mod size rest)
  end.

(** Every factor of an axis stays, or shows whole periods. *)
Definition whole_periods (fs : list factor) : bool :=
  forallb (fun f => still1 f || (cells f mod period f =? 0)) fs.

Lemma partner_right fs t t' i : sane fs = true -> whole_periods fs = true -> 0 <= i < size fs ->
  0 <= partner fs t t' i < size fs /\ alike fs t i t' (partner fs t t' i) /\
  partner fs t' t (partner fs t t' i) = i.
Proof.
  revert i; induction fs as [|f fs IH]; intros i S W I; [simpl in *; repeat split; lia|].
  pose proof S as S0. apply sane_cons in S0 as [F S0]. apply sane1_positive in F. pose proof (size_positive fs S0).
  unfold whole_periods in W; simpl in W, I. apply andb_true_iff in W as [W1 W].
  pose proof (digit_major (cells f) (size fs) i ltac:(lia) ltac:(lia)) as D.
  destruct (IH _ S0 W (digit_minor (size fs) i ltac:(lia))) as (B & A & P).
  simpl partner. set (d := i / size fs) in *. set (r := partner fs t t' (i mod size fs)) in *.
  set (e := if still1 f then d else (d + (t' - t) * step f) mod cells f).
  assert (E : 0 <= e < cells f).
  { unfold e. destruct (still1 f); [trivial | apply Z.mod_pos_bound; lia]. }
  destruct (digits_unique (size fs) e r) as [DE DR]; [lia | lia |]. rewrite DE, DR.
  assert (K : alike1 f t d t' e /\ (if still1 f then e else (e + (t - t') * step f) mod cells f) = d).
  { unfold e, alike1. destruct (still1 f) eqn:T; simpl in W1.
    - unfold still1 in T. split; trivial. rewrite Z.sub_diag, Z.sub_0_l.
      apply Z.divide_opp_r, Z.divide_mul_r, divides, T.
    - apply divides in W1. split.
      + apply Z.divide_trans with (cells f); trivial.
        replace (d - (d + (t' - t) * step f) mod cells f - (t - t') * step f)
          with ((d + (t' - t) * step f) - (d + (t' - t) * step f) mod cells f) by ring.
        apply Z.mod_divide; [lia|]. rewrite Zminus_mod, Zmod_mod, Z.sub_diag. apply Z.mod_0_l; lia.
      + rewrite Zplus_mod_idemp_l. rewrite <- (Z.mod_small d (cells f)) at 2 by trivial. f_equal; ring. }
  destruct K as [K1 K2]. repeat split; try (simpl; nia).
  - apply alike_cons; trivial. fold d. now rewrite DE, DR.
  - rewrite K2, P. unfold d. symmetry. apply digits; lia.
Qed.

(** The same of an axis, part by part. *)
Fixpoint partner_axis (ps : parts) (t t' i : Z) : Z :=
  match ps with
  | [] => 0
  | p :: rest => if i <? size p then partner p t t' i else size p + partner_axis rest t t' (i - size p)
  end.
Definition whole_axis (ps : parts) : bool := forallb whole_periods ps.

Lemma partner_axis_right ps t t' i : forallb sane ps = true -> whole_axis ps = true -> 0 <= i < size_axis ps ->
  0 <= partner_axis ps t t' i < size_axis ps /\ alike_axis ps t i t' (partner_axis ps t t' i) /\
  partner_axis ps t' t (partner_axis ps t t' i) = i.
Proof.
  revert i; induction ps as [|p ps IH]; intros i S W I; simpl in *; [lia|].
  apply andb_true_iff in S as [S1 S], W as [W1 W]. pose proof (sizes_positive ps S). pose proof (size_positive p S1).
  destruct (Z.ltb_spec i (size p)) as [L|L].
  - destruct (partner_right p t t' i S1 W1) as (B & A & P); [lia|]. split; [lia|].
    rewrite (proj2 (Z.ltb_lt (partner p t t' i) (size p))) by lia. split; trivial.
    apply (part_alike [] p ps); simpl; trivial; try lia. now rewrite !Z.sub_0_r.
  - destruct (IH (i - size p) S W) as (B & A & P); [lia|].
    set (j := partner_axis ps t t' (i - size p)) in *. split; [lia|].
    rewrite (proj2 (Z.ltb_ge (size p + j) (size p))) by lia.
    replace (size p + j - size p) with j by ring. rewrite P. split; [|lia]. unfold alike_axis in *; simpl.
    rewrite (proj2 (Z.ltb_ge i (size p))), (proj2 (Z.ltb_ge (size p + j) (size p))) by lia.
    replace (size p + j - size p) with j by ring. now rewrite A.
Qed.

Lemma partners_permute ps t t' : forallb sane ps = true -> whole_axis ps = true ->
  Permutation (range (size_axis ps)) (map (partner_axis ps t t') (range (size_axis ps))).
Proof.
  intros S W. apply Permutation_sym, NoDup_Permutation_bis.
  - apply NoDup_nth with (d := 0). rewrite map_length. intros a b A B E.
    rewrite (nth_indep _ 0 (partner_axis ps t t' 0)), (nth_indep _ 0 (partner_axis ps t t' 0)) in E
      by (rewrite map_length; trivial).
    rewrite !map_nth in E. apply (f_equal (partner_axis ps t' t)) in E.
    assert (R : forall c, (c < length (range (size_axis ps)))%nat ->
      partner_axis ps t' t (partner_axis ps t t' (nth c (range (size_axis ps)) 0)) = nth c (range (size_axis ps)) 0).
    { intros c C. apply partner_axis_right; trivial. apply in_range, nth_In; trivial. }
    rewrite !R in E by trivial. apply (proj1 (NoDup_nth (range (size_axis ps)) 0)); trivial.
    apply range_no_duplicates.
  - now rewrite map_length.
  - intros v I. apply in_map_iff in I as [u [<- I]]. apply in_range in I. apply in_range.
    now apply partner_axis_right.
Qed.

(** Turning so many cells by any number of places permutes them. *)
Lemma turns_permute n by_ : 1 <= n -> Permutation (range n) (map (fun k => (k + by_) mod n) (range n)).
Proof.
  intro N. assert (S : forallb sane [[Moving n n 0 by_]] = true).
  { unfold sane, sane1; simpl. rewrite !andb_true_iff, !Z.leb_le; lia. }
  assert (W : whole_axis [[Moving n n 0 by_]] = true).
  { unfold whole_axis, whole_periods; simpl. now rewrite Z_mod_same_full, orb_true_r. }
  pose proof (partners_permute _ 0 1 S W) as P. simpl size_axis in P. rewrite Z.mul_1_r, Z.add_0_r in P.
  eapply Permutation_trans; [exact P|]. erewrite map_ext_in; [apply Permutation_refl|]. intros k K.
  apply in_range in K. cbn [partner_axis partner size cells Moving]. rewrite Z.mul_1_r, Z.div_1_r, Z.mul_1_r, Z.add_0_r.
  rewrite (proj2 (Z.ltb_lt k n)) by lia. unfold still1. cbn [step period Moving].
  destruct (by_ mod n =? 0) eqn:E.
  - apply divides in E. rewrite <- (Z.mod_small k n) at 1 by trivial. apply equal_mod.
    replace (k - (k + by_)) with (- by_) by ring. now apply Z.divide_opp_r.
  - now rewrite Z.sub_0_r, Z.mul_1_l.
Qed.

(** What is there for each of some numbers is there for all of them at once. *)
Lemma chosen {A} (P : nat -> A -> Prop) (z : A) n : (forall a, (a < n)%nat -> exists v, P a v) ->
  exists h, forall a, (a < n)%nat -> P a (h a).
Proof.
  induction n as [|n IH]; intro H.
  - exists (fun _ => z). intros a L; lia.
  - destruct IH as [h IH]; [intros; apply H; lia|]. destruct (H n) as [v V]; [lia|].
    exists (fun a => if (a =? n)%nat then v else h a). intros a L. destruct (Nat.eqb_spec a n) as [->|N]; [trivial|].
    apply IH; lia.
Qed.
