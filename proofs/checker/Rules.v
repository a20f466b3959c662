(** * Rules: which facts a result may have, given those of its operands

    For each operation there is a check of a listed fact [G] of its result against the known facts of its operands, and
    a theorem that it is right: cells of the result that [G] calls alike have one value, for every function of the class.
    The argument is always the same: where two cells of the result are alike, what they are computed from is alike,
    cell by cell. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Semantics Indices.
Import ListNotations.
Open Scope Z_scope.

(** ** Axes *)

(** How often factors may be split while two axes are compared. *)
Definition FUEL : nat := 64.

(** Two axes of one length, of the result and of an operand, whose cells correspond. *)
Definition same_axis (n n' : Z) (gs fs : list factor) : verdict :=
  both (ask (n =? n')) (follows FUEL gs fs).

(** The same; or the operand has one cell, which is repeated, and stays. *)
Definition repeated_axis (n n' : Z) (gs fs : list factor) : verdict :=
  if n =? n' then same_axis n n' gs fs else ask ((n' =? 1) && still fs).

(** An axis as one factor, a guess: what follows from what is checked wherever it is used. *)
Definition merge (major minor : factor) : option factor :=
  if (period major =? 1) && (step major =? 0) && (cells minor mod period minor =? 0)
  then Some (Factor (cells major * cells minor) (period minor) (offset minor) (step minor))
  else if step minor =? 0
  then Some (Factor (cells major * cells minor) (period major * cells minor) (offset major * cells minor)
                    (step major * cells minor))
  else None.
Fixpoint merge_all (f : factor) (fs : list factor) : option factor :=
  match fs with
  | [] => Some f
  | g :: rest => match merge f g with Some h => merge_all h rest | None => None end
  end.
Definition merged (fs : list factor) : option factor :=
  match fs with [] => Some (Still 1 1) | f :: rest => merge_all f rest end.

(** Cell q of the result is read from cell [c + by q] of the operand, of a signal whose cells are [base] apart: by the
    step s of the operand and the step r of the result, [by r = base s] modulo the period, as [strides] and [stretch] of
    the kernel say. *)
Definition strided1 (by_ base : Z) (g f : factor) : bool :=
  (by_ * period g mod (period f * base) =? 0) && ((by_ * step g - base * step f) mod (period f * base) =? 0).
Definition strided (by_ base : Z) (gs fs : list factor) : verdict :=
  match merged gs, merged fs with
  | Some g, Some f =>
      both (ask (sane1 g && sane1 f && (cells g =? size gs) && (cells f =? size fs)))
        (both (ask (strided1 by_ base g f)) (both (follows FUEL gs [g]) (follows FUEL [f] fs)))
  | _, _ => Unknown
  end.

(** Along an axis that stays, and whose cells are all told apart in the result, anything may be read. *)
Definition stays_apart (gs fs : list factor) : bool := single gs && still fs.

Lemma same_axis_right n n' gs fs t j t' j' : same_axis n n' gs fs = Yes -> sane gs = true -> sane fs = true ->
  size gs = n -> size fs = n' -> 0 <= j < n -> 0 <= j' < n -> alike gs t j t' j' ->
  n = n' /\ alike fs t j t' j'.
Proof.
  intros H SG SF ZG ZF J J' E. apply both_yes in H as [H K]. apply ask_yes, Z.eqb_eq in H. split; trivial.
  apply (follows_right FUEL gs fs); trivial; lia.
Qed.

Lemma repeated_axis_right n n' gs fs t j t' j' : repeated_axis n n' gs fs = Yes ->
  sane gs = true -> sane fs = true -> size gs = n -> size fs = n' ->
  0 <= j < n -> 0 <= j' < n -> alike gs t j t' j' ->
  let u := if n' =? 1 then 0 else j in let u' := if n' =? 1 then 0 else j' in
  0 <= u < n' /\ 0 <= u' < n' /\ alike fs t u t' u'.
Proof.
  intros H SG SF ZG ZF J J' E u u'. unfold repeated_axis in H. destruct (Z.eqb_spec n n') as [N|N].
  - destruct (same_axis_right n n' gs fs t j t' j') as [_ K]; trivial. subst u u'.
    destruct (Z.eqb_spec n' 1); [|repeat split; lia || trivial].
    replace j with 0 in K by lia. replace j' with 0 in K by lia. repeat split; lia || trivial.
  - apply ask_yes, andb_true_iff in H as [H K]. subst u u'. rewrite H. apply Z.eqb_eq in H.
    repeat split; try lia. now apply still_stays.
Qed.

Lemma alike_one f t j t' j' : sane1 f = true -> (alike [f] t j t' j' <-> alike1 f t j t' j').
Proof.
  intro S. rewrite alike_cons by (unfold sane; simpl; now rewrite S). simpl size. rewrite !Z.div_1_r.
  split; [easy|]. intro H; split; [trivial | reflexivity].
Qed.

Lemma strided_right by_ base gs fs t q t' q' : strided by_ base gs fs = Yes -> 0 < base ->
  sane gs = true -> sane fs = true -> 0 <= q < size gs -> 0 <= q' < size gs -> alike gs t q t' q' ->
  (base | by_ * (q - q')) /\
  forall j j', 0 <= j < size fs -> 0 <= j' < size fs -> base * (j - j') = by_ * (q - q') -> alike fs t j t' j'.
Proof.
  intros H B SG SF Q Q' E. unfold strided in H.
  destruct (merged gs) as [g|]; [|easy]. destruct (merged fs) as [f|]; [|easy].
  apply both_yes in H as [H1 H]. apply both_yes in H as [H2 H]. apply both_yes in H as [H3 H4].
  apply ask_yes in H1, H2. rewrite !andb_true_iff, !Z.eqb_eq in H1. destruct H1 as [[[S1 S2] Z1] Z2].
  assert (SG1 : sane [g] = true) by (unfold sane; simpl; now rewrite S1).
  assert (SF1 : sane [f] = true) by (unfold sane; simpl; now rewrite S2).
  assert (A : alike1 g t q t' q').
  { apply alike_one; trivial. apply (follows_right FUEL gs [g]); trivial. simpl; lia. }
  apply sane1_positive in S1 as P1. apply sane1_positive in S2 as P2.
  unfold strided1 in H2; apply andb_true_iff in H2 as [C D]. apply divides in C, D; try nia.
  assert (X : (period f * base | by_ * (q - q') - (turn t - turn t') * (base * step f))).
  { destruct A as [k K]. replace (by_ * (q - q') - (turn t - turn t') * (base * step f))
      with (k * (by_ * period g) + (turn t - turn t') * (by_ * step g - base * step f)) by nia.
    apply Z.divide_add_r; now apply Z.divide_mul_r. }
  split.
  - replace (by_ * (q - q')) with ((by_ * (q - q') - (turn t - turn t') * (base * step f))
      + base * ((turn t - turn t') * step f)) by ring.
    apply Z.divide_add_r; [|apply Z.divide_factor_l].
    apply Z.divide_trans with (period f * base); trivial. apply Z.divide_factor_r.
  - intros j j' J J' W. apply (follows_right FUEL [f] fs); trivial; try (simpl; lia).
    apply alike_one; trivial. unfold alike1.
    rewrite <- W in X. replace (base * (j - j') - (turn t - turn t') * (base * step f))
      with ((j - j' - (turn t - turn t') * step f) * base) in X by ring.
    apply Z.mul_divide_cancel_r in X; [trivial | lia].
Qed.

(** ** What the rules claim *)

Section Claims.
Context {V : Type}.
Variables x y : images V.

(** The image, and its shifted copy. *)
Definition copy (t : bool) : images V := if t then y else x.

(** An array of both copies is as a fact says: cells of one label have one value. *)
Definition right (F : list (list factor)) (s : list Z) (A : family V) : Prop :=
  forall t i t' i', inside s i -> inside s i' -> label F t i = label F t' i' -> A (copy t) i = A (copy t') i'.

(** What is known of an operand: its shape, and a fact that fits it and is right. *)
Definition premise (F : list (list factor)) (one : operand V) : Prop :=
  fits F (fst one) = true /\ right F (fst one) (snd one).

Lemma premise_cell F one t j t' j' : premise F one -> inside (fst one) j -> inside (fst one) j' ->
  (forall a, (a < length (fst one))%nat -> alike (nth a F []) t (nth a j 0) t' (nth a j' 0)) ->
  snd one (copy t) j = snd one (copy t') j'.
Proof.
  intros [S R] J J' H. apply R; trivial. apply label_alike. apply fits_right in S as [L _]. now rewrite L.
Qed.

(** [G] is a fact of a result of this shape: two of its cells, with what follows where they are alike. *)
Lemma result_axes G sh t i t' i' : fits G sh = true -> inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  forall a, (a < length sh)%nat -> sane (nth a G []) = true /\ size (nth a G []) = nth a sh 0 /\
    0 <= nth a i 0 < nth a sh 0 /\ 0 <= nth a i' 0 < nth a sh 0 /\ alike (nth a G []) t (nth a i 0) t' (nth a i' 0).
Proof.
  intros S [_ I] [_ I'] E a L. apply fits_right in S as [N S]. pose proof (proj1 (label_alike _ _ _ _ _) E) as E'.
  rewrite N in E'. destruct (S a L). repeat split; auto; now apply I || apply I'.
Qed.

(** ** What is given *)

Definition image_axis (axes : list nat) (shift : list Z) (n : Z) (a : nat) : list factor :=
  if listed a axes then [Moving n n 0 (nth (position a axes) shift 0)] else [Still n n].

(** The image: x(T)[i] = x[i - shift]. *)
Definition image_rule (axes : list nat) (shift : list Z) (sh : list Z) (G : list (list factor)) : verdict :=
  all_of (map (fun a => both (ask (1 <=? nth a sh 0))
                             (follows FUEL (nth a G []) (image_axis axes shift (nth a sh 0) a)))
              (seq 0 (length sh))).

Lemma moving_image n r t j t' j' : 1 <= n ->
  alike [Moving n n 0 r] t j t' j' -> (n | j - j' - (turn t - turn t') * r).
Proof.
  intros N H. apply alike_one in H; [exact H|]. unfold sane1; simpl. rewrite andb_true_iff, Z.leb_le; lia.
Qed.

Lemma wraps n i r j : 1 <= n -> 0 <= j < n -> (n | j - (i - r)) -> j = (i - r) mod n.
Proof.
  intros N J H. rewrite <- (Z.mod_small j n) by trivial. now apply equal_mod; [lia|].
Qed.

(** The image is right: its cells, and those of its shifted copy, are one signal that moves by the shift. *)
Theorem image_right : forall axes shift sh G k, fits G sh = true -> image_rule axes shift sh G = Yes ->
  (forall i, inside sh i -> y k i = x k (back axes shift sh i)) ->
  right G sh (fun z => z k).
Proof.
  intros axes shift sh G k S H M t i t' i' I I' E.
  assert (C : forall a, (a < length sh)%nat ->
    (nth a sh 0 | nth a i 0 - nth a i' 0 - (turn t - turn t') *
       (if listed a axes then nth (position a axes) shift 0 else 0)) /\
    0 <= nth a i 0 < nth a sh 0 /\ 0 <= nth a i' 0 < nth a sh 0).
  { intros a L. destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & B & B' & A).
    split; [|now split]. apply all_yes with (v := both (ask (1 <=? nth a sh 0))
      (follows FUEL (nth a G []) (image_axis axes shift (nth a sh 0) a))) in H.
    - apply both_yes in H as [N H]. apply ask_yes, Z.leb_le in N.
      assert (X : sane (image_axis axes shift (nth a sh 0) a) = true /\
                  size (image_axis axes shift (nth a sh 0) a) = nth a sh 0).
      { unfold image_axis, sane, sane1; destruct (listed a axes); simpl;
          (split; [rewrite !andb_true_iff, !Z.leb_le; lia | lia]). }
      apply (follows_right FUEL (nth a G []) (image_axis axes shift (nth a sh 0) a)) in A; try tauto; try lia.
      unfold image_axis in A. destruct (listed a axes); apply moving_image in A; trivial.
    - apply in_map_iff. exists a; split; trivial. apply in_seq; lia. }
  assert (K : forall u u', length u = length sh -> length u' = length sh ->
    (forall a, (a < length sh)%nat -> nth a u 0 = nth a u' 0) -> u = u').
  { intros u u' L L' W. apply equal_lists; [congruence|]. now rewrite L. }
  destruct I as [LI I], I' as [LI' I']. unfold copy. destruct t, t'; cbn [turn] in C.
  - f_equal. apply K; trivial. intros a L. destruct (C a L) as (D & B & B').
    apply Z.sub_move_0_r, small_multiple with (nth a sh 0); [|lia].
    eapply eq_ind; [exact D | ring].
  - rewrite M by (split; trivial). f_equal. apply K; trivial; [apply build_length|]. intros a L. unfold back.
    rewrite nth_build by trivial. destruct (C a L) as (D & B & B').
    rewrite (nth_indep sh 1 0) by trivial.
    destruct (listed a axes).
    + symmetry; apply wraps; try lia. apply Z.divide_opp_r. eapply eq_ind; [exact D | ring].
    + apply Z.sub_move_0_r, small_multiple with (nth a sh 0); [|lia]. eapply eq_ind; [exact D | ring].
  - rewrite M by (split; trivial). f_equal. apply K; trivial; [apply build_length|]. intros a L. unfold back.
    rewrite nth_build by trivial. destruct (C a L) as (D & B & B').
    rewrite (nth_indep sh 1 0) by trivial.
    destruct (listed a axes).
    + apply wraps; try lia. eapply eq_ind; [exact D | ring].
    + apply Z.sub_move_0_r, small_multiple with (nth a sh 0); [|lia]. eapply eq_ind; [exact D | ring].
  - f_equal. apply K; trivial. intros a L. destruct (C a L) as (D & B & B').
    apply Z.sub_move_0_r, small_multiple with (nth a sh 0); [|lia]. eapply eq_ind; [exact D | ring].
Qed.

(** A constant repeats along each axis; a weight is one of which that is not known. *)
Definition constant_rule (periods : list Z) (sh : list Z) (G : list (list factor)) : verdict :=
  both (ask (length periods =? length sh)%nat)
    (all_of (map (fun a => both (ask ((1 <=? nth a sh 0) && (1 <=? nth a periods 1)))
                             (follows FUEL (nth a G []) [Still (nth a sh 0) (nth a periods 1)]))
                 (seq 0 (length sh)))).

(** A constant is right: cells whose coordinates differ by whole periods have one value, in both copies. *)
Theorem constant_right : forall periods sh G W, fits G sh = true -> constant_rule periods sh G = Yes ->
  (forall i i', inside sh i -> inside sh i' ->
     (forall a, (a < length sh)%nat -> (nth a periods 1 | nth a i 0 - nth a i' 0)) -> W i = W i') ->
  right G sh (fun _ => W).
Proof.
  intros periods sh G W S H P t i t' i' I I' E. apply P; trivial. intros a L.
  destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & B & B' & A).
  apply both_yes in H as [_ H]. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]].
  apply both_yes in H as [N H]. apply ask_yes in N. rewrite andb_true_iff, !Z.leb_le in N.
  assert (X : sane1 (Still (nth a sh 0) (nth a periods 1)) = true).
  { unfold sane1; simpl. rewrite andb_true_iff, !Z.leb_le; lia. }
  apply (follows_right FUEL _ [Still (nth a sh 0) (nth a periods 1)]) in A; trivial; try lia.
  - apply alike_one in A; trivial. unfold alike1 in A; simpl in A. now rewrite Z.mul_0_r, Z.sub_0_r in A.
  - unfold sane; simpl. now rewrite X.
  - simpl; lia.
Qed.

(** ** Position by position, and the same cells elsewhere *)

(** One operand of a function that acts position by position. *)
Definition map_rule (sh : list Z) (G : list (list factor)) (s : list Z) (F : list (list factor)) : verdict :=
  both (ask (length s =? length sh)%nat)
    (all_of (map (fun a => repeated_axis (nth a sh 0) (nth a s 0) (nth a G []) (nth a F [])) (seq 0 (length s)))).

Lemma map_operand_right sh G F one t i t' i' : fits G sh = true -> premise F one ->
  map_rule sh G (fst one) F = Yes -> inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  snd one (copy t) (repeated (fst one) i) = snd one (copy t') (repeated (fst one) i').
Proof.
  intros S P H I I' E. apply both_yes in H as [N H]. apply ask_yes, Nat.eqb_eq in N.
  assert (C : forall a, (a < length (fst one))%nat ->
    let u := if nth a (fst one) 0 =? 1 then 0 else nth a i 0 in
    let u' := if nth a (fst one) 0 =? 1 then 0 else nth a i' 0 in
    0 <= u < nth a (fst one) 0 /\ 0 <= u' < nth a (fst one) 0 /\ alike (nth a F []) t u t' u').
  { intros a L. destruct (result_axes G sh t i t' i' S I I' E a) as (SG & ZG & B & B' & A); [lia|].
    eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]].
    destruct P as [P _]. apply fits_right in P as [_ P]. destruct (P a L) as [SF ZF].
    exact (repeated_axis_right _ _ _ _ t _ t' _ H SG SF ZG ZF B B' A). }
  apply premise_cell with F; trivial; try (apply build_inside; intros a L; now destruct (C a L) as (? & ? & ?)).
  intros a L. unfold repeated. rewrite !nth_build by trivial. now destruct (C a L) as (_ & _ & ?).
Qed.

(** What acts position by position is right where each operand is alike at all positions that the listed fact calls
    alike. *)
Theorem maps_right : forall sh G (operands : list (list (list factor) * operand V)) f R, fits G sh = true ->
  (forall F one, In (F, one) operands -> premise F one /\ map_rule sh G (fst one) F = Yes) ->
  (forall z i, inside sh i -> R z i = f (map (fun one => snd one z (repeated (fst one) i)) (map snd operands))) ->
  right G sh R.
Proof.
  intros sh G operands f R S H M t i t' i' I I' E. rewrite !M by trivial. f_equal. rewrite !map_map.
  apply map_ext_in. intros [F one] K. destruct (H F one K) as [P Q]. now apply map_operand_right with sh G F.
Qed.

Fixpoint increasing (l : list nat) : bool :=
  match l with a :: ((b :: _) as rest) => (a <? b)%nat && increasing rest | _ => true end.

Definition broadcast_rule (axes : list nat) (sh : list Z) (G : list (list factor)) (s : list Z)
  (F : list (list factor)) : verdict :=
  both (ask ((length axes =? length s)%nat && increasing axes && forallb (fun a => (a <? length sh)%nat) axes))
    (all_of (map (fun a => let o := nth a axes O in
                           repeated_axis (nth o sh 0) (nth a s 0) (nth o G []) (nth a F [])) (seq 0 (length s)))).

(** A broadcast is right where each axis of its operand says what the listed fact says of the axis that it becomes. *)
Theorem broadcast_right : forall axes sh G F one R, fits G sh = true -> premise F one ->
  broadcast_rule axes sh G (fst one) F = Yes ->
  (forall z i, inside sh i -> R z i = snd one z (repeated (fst one) (coordinates_of axes i))) ->
  right G sh R.
Proof.
  intros axes sh G F one R S P H M t i t' i' I I' E. rewrite !M by trivial.
  apply both_yes in H as [N H]. apply ask_yes in N. rewrite !andb_true_iff, Nat.eqb_eq in N. destruct N as [[N _] O].
  rewrite forallb_forall in O.
  assert (X : forall a j, (a < length (fst one))%nat -> nth a (coordinates_of axes j) 0 = nth (nth a axes 0%nat) j 0).
  { intros a j L. unfold coordinates_of. rewrite nth_indep with (d' := nth 0 j 0) by (rewrite map_length; lia).
    apply (map_nth (fun b => nth b j 0)). }
  assert (C : forall a, (a < length (fst one))%nat ->
    let u := if nth a (fst one) 0 =? 1 then 0 else nth (nth a axes 0%nat) i 0 in
    let u' := if nth a (fst one) 0 =? 1 then 0 else nth (nth a axes 0%nat) i' 0 in
    0 <= u < nth a (fst one) 0 /\ 0 <= u' < nth a (fst one) 0 /\ alike (nth a F []) t u t' u').
  { intros a L. assert (T : (nth a axes 0 < length sh)%nat).
    { apply Nat.ltb_lt, O, nth_In; lia. }
    destruct (result_axes G sh t i t' i' S I I' E _ T) as (SG & ZG & B & B' & A).
    eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]].
    destruct P as [P _]. apply fits_right in P as [_ P]. destruct (P a L) as [SF ZF].
    exact (repeated_axis_right _ _ _ _ t _ t' _ H SG SF ZG ZF B B' A). }
  apply premise_cell with F; trivial;
    try (apply build_inside; intros a L; rewrite X by trivial; now destruct (C a L) as (? & ? & ?)).
  intros a L. unfold repeated. rewrite !nth_build, !X by trivial. now destruct (C a L) as (_ & _ & ?).
Qed.

Definition transpose_rule (order : list nat) (sh : list Z) (G : list (list factor)) (s : list Z)
  (F : list (list factor)) : verdict :=
  both (ask ((length order =? length s)%nat && (length sh =? length s)%nat
             && forallb (fun a => listed a order) (seq 0 (length s))))
    (all_of (map (fun a => let o := position a order in
                           same_axis (nth o sh 0) (nth a s 0) (nth o G []) (nth a F [])) (seq 0 (length s)))).

(** A transposition is right where each axis of its operand says what the listed fact says of the axis that it
    becomes. *)
Theorem transpose_right : forall order sh G F one R, fits G sh = true -> premise F one ->
  transpose_rule order sh G (fst one) F = Yes ->
  (forall z i, inside sh i ->
     R z i = snd one z (build (length (fst one)) (fun a => nth (position a order) i 0))) ->
  right G sh R.
Proof.
  intros order sh G F one R S P H M t i t' i' I I' E. rewrite !M by trivial.
  apply both_yes in H as [N H]. apply ask_yes in N. rewrite !andb_true_iff, !Nat.eqb_eq in N.
  destruct N as [[N O] T]. rewrite forallb_forall in T.
  assert (C : forall a, (a < length (fst one))%nat -> let o := position a order in
    0 <= nth o i 0 < nth a (fst one) 0 /\ 0 <= nth o i' 0 < nth a (fst one) 0 /\
    alike (nth a F []) t (nth o i 0) t' (nth o i' 0)).
  { intros a L o. assert (U : (o < length sh)%nat).
    { assert (W : In a order) by (apply listed_in, T, in_seq; lia). apply position_in in W. subst o; lia. }
    destruct (result_axes G sh t i t' i' S I I' E _ U) as (SG & ZG & B & B' & A).
    eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]].
    destruct P as [P _]. apply fits_right in P as [_ P]. destruct (P a L) as [SF ZF].
    destruct (same_axis_right _ _ _ _ t _ t' _ H SG SF ZG ZF B B' A) as [Q K].
    fold o in Q. rewrite <- Q. intuition. }
  apply premise_cell with F; trivial; try (apply build_inside; intros a L; now destruct (C a L) as (? & ? & ?)).
  intros a L. rewrite !nth_build by trivial. now destruct (C a L) as (_ & _ & ?).
Qed.

Definition reshape_rule (sh : list Z) (G : list (list factor)) (s : list Z) (F : list (list factor)) : verdict :=
  both (ask (count sh =? count s)) (follows FUEL (concat G) (concat F)).

(** A reshape is right where all factors of the operand, in row-major order, say what all listed factors say. *)
Theorem reshape_right : forall sh G F one R, fits G sh = true -> premise F one ->
  reshape_rule sh G (fst one) F = Yes ->
  (forall z i, inside sh i -> R z i = snd one z (cell_at (fst one) (place sh i))) ->
  right G sh R.
Proof.
  intros sh G F one R S P H M t i t' i' I I' E. rewrite !M by trivial.
  apply both_yes in H as [N H]. apply ask_yes, Z.eqb_eq in N.
  pose proof (fits_all G sh S) as AG. destruct (flat_sane G sh AG) as [SG ZG].
  pose proof (fits_all F _ (proj1 P)) as AF. destruct (flat_sane F _ AF) as [SF ZF].
  pose proof (place_bounds sh i I). pose proof (place_bounds sh i' I').
  assert (A : alike (concat G) t (place sh i) t' (place sh i')).
  { apply (flat_alike G sh); trivial. intros a L. rewrite !cell_at_place by trivial.
    now apply label_alike. }
  apply (follows_right FUEL _ (concat F)) in A; trivial; try lia.
  apply premise_cell with F; trivial; try (apply cell_at_inside with F; trivial; lia).
  pose proof (fits_right F _ (proj1 P)) as [L _]. rewrite <- L. apply flat_alike; trivial; lia.
Qed.

End Claims.
