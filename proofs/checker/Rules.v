(** * Rules: which facts a result may have, given those of its operands

    For each operation there is a check of a listed fact [G] of its result against the known facts of its operands, and
    a theorem that it is right: cells of the result that [G] calls alike have one value, for every function of the class.
    The argument is always the same: where two cells of the result are alike, what they are computed from is alike,
    cell by cell. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices.
Import ListNotations.
Open Scope Z_scope.

(** ** Axes *)

(** Two axes of one length, of the result and of an operand, whose cells correspond. *)
Definition same_axis (n n' : Z) (gs fs : parts) : verdict :=
  both (ask (n =? n')) (follows_axis gs fs).

(** The same; or the operand has one cell, which is repeated, and stays. *)
Definition repeated_axis (n n' : Z) (gs fs : parts) : verdict :=
  if n =? n' then same_axis n n' gs fs else ask ((n' =? 1) && still_axis fs).

(** Along an axis that stays, and whose cells are all told apart in the result, anything may be read. *)
Definition stays_apart (gs fs : parts) : bool := single_axis gs && still_axis fs.

Lemma same_axis_right n n' gs fs t j t' j' : same_axis n n' gs fs = Yes -> sane_axis gs = true -> sane_axis fs = true ->
  size_axis gs = n -> size_axis fs = n' -> 0 <= j < n -> 0 <= j' < n -> alike_axis gs t j t' j' ->
  n = n' /\ alike_axis fs t j t' j'.
Proof.
  intros H SG SF ZG ZF J J' E. apply both_yes in H as [H K]. apply ask_yes, Z.eqb_eq in H. split; trivial.
  apply (follows_axis_right gs fs); trivial; lia.
Qed.

Lemma repeated_axis_right n n' gs fs t j t' j' : repeated_axis n n' gs fs = Yes ->
  sane_axis gs = true -> sane_axis fs = true -> size_axis gs = n -> size_axis fs = n' ->
  0 <= j < n -> 0 <= j' < n -> alike_axis gs t j t' j' ->
  let u := if n' =? 1 then 0 else j in let u' := if n' =? 1 then 0 else j' in
  0 <= u < n' /\ 0 <= u' < n' /\ alike_axis fs t u t' u'.
Proof.
  intros H SG SF ZG ZF J J' E u u'. unfold repeated_axis in H. destruct (Z.eqb_spec n n') as [N|N].
  - destruct (same_axis_right n n' gs fs t j t' j') as [_ K]; trivial. subst u u'.
    destruct (Z.eqb_spec n' 1); [|repeat split; lia || trivial].
    replace j with 0 in K by lia. replace j' with 0 in K by lia. repeat split; lia || trivial.
  - apply ask_yes, andb_true_iff in H as [H K]. subst u u'. rewrite H. apply Z.eqb_eq in H.
    repeat split; try lia. apply still_axis_stays; trivial; lia.
Qed.

(** ** What the rules claim *)

Section Claims.
Context {V source : Type}.
(** Copies of what arrays are computed from, such as the images, and how many times each was shifted. *)
Context {index : Type}.
Variables (turn : index -> Z) (copy : index -> source).
Coercion turn : index >-> Z.

(** An array of all copies of the image is as a fact says: cells of one label have one value. *)
Definition right (F : list parts) (s : list Z) (A : family V source) : Prop :=
  forall (t : index) i (t' : index) i',
    inside s i -> inside s i' -> label F t i = label F t' i' -> A (copy t) i = A (copy t') i'.

(** What is known of an operand: its shape, and a fact that fits it and is right. *)
Definition premise (F : list parts) (one : operand V source) : Prop :=
  fits F (fst one) = true /\ right F (fst one) (snd one).

Lemma premise_cell F one (t : index) j (t' : index) j' : premise F one -> inside (fst one) j -> inside (fst one) j' ->
  (forall a, (a < length (fst one))%nat -> alike_axis (nth a F []) t (nth a j 0) t' (nth a j' 0)) ->
  snd one (copy t) j = snd one (copy t') j'.
Proof.
  intros [S R] J J' H. apply R; trivial. apply label_alike. apply fits_right in S as [L _]. now rewrite L.
Qed.

(** [G] is a fact of a result of this shape: two of its cells, with what follows where they are alike. *)
Lemma result_axes G sh t i t' i' : fits G sh = true -> inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  forall a, (a < length sh)%nat -> sane_axis (nth a G []) = true /\ size_axis (nth a G []) = nth a sh 0 /\
    0 <= nth a i 0 < nth a sh 0 /\ 0 <= nth a i' 0 < nth a sh 0 /\ alike_axis (nth a G []) t (nth a i 0) t' (nth a i' 0).
Proof.
  intros S [_ I] [_ I'] E a L. apply fits_right in S as [N S]. pose proof (proj1 (label_alike _ _ _ _ _) E) as E'.
  rewrite N in E'. destruct (S a L). repeat split; auto; now apply I || apply I'.
Qed.

(** ** What is given *)

(** The step of an axis of the image, and the period of its signal: on a torus the axis, and 0 of a scene. *)
Definition step_along (axes : list nat) (shift : list Z) (a : nat) : Z :=
  if listed a axes then nth (position a axes) shift 0 else 0.
Definition image_period (wraps : bool) (n : Z) : Z := if wraps then n else 0.
Definition image_axis (wraps : bool) (axes : list nat) (shift : list Z) (n : Z) (a : nat) : factor :=
  Factor n (image_period wraps n) 0 (step_along axes shift a).

(** The image: copy t of it shows at i what copy 0 has at [i - t shift]. *)
Definition image_rule (wraps : bool) (axes : list nat) (shift : list Z) (sh : list Z) (G : list parts) : verdict :=
  all_of (map (fun a => both (ask (1 <=? nth a sh 0))
                             (follows_axis (nth a G []) [[image_axis wraps axes shift (nth a sh 0) a]]))
              (seq 0 (length sh))).

(** All copies show one array without ends, which is periodic on a torus. *)
Definition one_signal (wraps : bool) (axes : list nat) (shift sh : list Z) (A : index -> array V) : Prop :=
  exists S : array V,
    (forall u u', length u = length sh -> length u' = length sh -> (forall a, (a < length sh)%nat ->
       (image_period wraps (nth a sh 0) | nth a u 0 - nth a u' 0)) -> S u = S u') /\
    forall t i, inside sh i -> A t i = S (build (length sh) (fun a => nth a i 0 - t * step_along axes shift a)).

(** The image is right: its cells, and those of its shifted copies, are one signal that moves by the shift. *)
Theorem image_right : forall wraps axes shift sh G A, fits G sh = true -> image_rule wraps axes shift sh G = Yes ->
  one_signal wraps axes shift sh (fun t => A (copy t)) -> right G sh A.
Proof.
  intros wraps axes shift sh G A0 Fit H (S & Periodic & Shows) t i t' i' I I' E. cbv beta. rewrite !Shows by trivial.
  apply Periodic; rewrite ?build_length; trivial. intros a L. rewrite !nth_build by trivial.
  destruct (result_axes G sh t i t' i' Fit I I' E a L) as (SG & ZG & B & B' & A).
  eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]]. apply both_yes in H as [N H].
  apply ask_yes, Z.leb_le in N. set (f := image_axis wraps axes shift (nth a sh 0) a) in *.
  assert (Sf : sane1 f = true).
  { unfold sane1, f, image_axis, image_period; simpl. rewrite andb_true_iff, !Z.leb_le. destruct wraps; lia. }
  apply (follows_axis_right _ [[f]]) in A; trivial; try lia.
  - apply alike_axis_one in A; trivial; try (simpl; lia). unfold alike1 in A. simpl in A.
    replace (nth a i 0 - t * step_along axes shift a - (nth a i' 0 - t' * step_along axes shift a))
      with (nth a i 0 - nth a i' 0 - (t - t') * step_along axes shift a) by ring. exact A.
  - rewrite sane_one_axis. unfold sane; simpl. now rewrite Sf.
  - simpl; lia.
Qed.

(** A constant repeats along each axis; a weight is one of which that is not known. *)
Definition constant_rule (periods : list Z) (sh : list Z) (G : list parts) : verdict :=
  both (ask (length periods =? length sh)%nat)
    (all_of (map (fun a => both (ask ((1 <=? nth a sh 0) && (1 <=? nth a periods 1)))
                             (follows_axis (nth a G []) [[Still (nth a sh 0) (nth a periods 1)]]))
                 (seq 0 (length sh)))).

(** A constant is right: cells whose coordinates differ by whole periods have one value, in all copies. *)
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
  apply (follows_axis_right _ [[Still (nth a sh 0) (nth a periods 1)]]) in A; trivial; try lia.
  - apply alike_axis_one in A; trivial; try (simpl; lia). unfold alike1 in A; simpl in A.
    now rewrite Z.mul_0_r, Z.sub_0_r in A.
  - rewrite sane_one_axis. unfold sane; simpl. now rewrite X.
  - simpl; lia.
Qed.

(** ** Position by position, and the same cells elsewhere *)

(** One operand of a function that acts position by position. *)
Definition map_rule (sh : list Z) (G : list parts) (s : list Z) (F : list parts) : verdict :=
  both (ask (length s =? length sh)%nat)
    (all_of (map (fun a => repeated_axis (nth a sh 0) (nth a s 0) (nth a G []) (nth a F [])) (seq 0 (length s)))).

Lemma map_operand_right sh G F one (t : index) i (t' : index) i' : fits G sh = true -> premise F one ->
  map_rule sh G (fst one) F = Yes -> inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  snd one (copy t) (repeated (fst one) i) = snd one (copy t') (repeated (fst one) i').
Proof.
  intros S P H I I' E. apply both_yes in H as [N H]. apply ask_yes, Nat.eqb_eq in N.
  assert (C : forall a, (a < length (fst one))%nat ->
    let u := if nth a (fst one) 0 =? 1 then 0 else nth a i 0 in
    let u' := if nth a (fst one) 0 =? 1 then 0 else nth a i' 0 in
    0 <= u < nth a (fst one) 0 /\ 0 <= u' < nth a (fst one) 0 /\ alike_axis (nth a F []) t u t' u').
  { intros a L. destruct (result_axes G sh t i t' i' S I I' E a) as (SG & ZG & B & B' & A); [lia|].
    eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]].
    destruct P as [P _]. apply fits_right in P as [_ P]. destruct (P a L) as [SF ZF].
    exact (repeated_axis_right _ _ _ _ t _ t' _ H SG SF ZG ZF B B' A). }
  apply premise_cell with F; trivial; try (apply build_inside; intros a L; now destruct (C a L) as (? & ? & ?)).
  intros a L. unfold repeated. rewrite !nth_build by trivial. now destruct (C a L) as (_ & _ & ?).
Qed.

(** What acts position by position is right where each operand is alike at all positions that the listed fact calls
    alike. *)
Theorem maps_right : forall sh G (operands : list (list parts * operand V source)) f R, fits G sh = true ->
  (forall F one, In (F, one) operands -> premise F one /\ map_rule sh G (fst one) F = Yes) ->
  (forall z i, inside sh i -> R z i = f (map (fun one => snd one z (repeated (fst one) i)) (map snd operands))) ->
  right G sh R.
Proof.
  intros sh G operands f R S H M t i t' i' I I' E. rewrite !M by trivial. f_equal. rewrite !map_map.
  apply map_ext_in. intros [F one] K. destruct (H F one K) as [P Q]. now apply map_operand_right with sh G F.
Qed.

Fixpoint increasing (l : list nat) : bool :=
  match l with a :: ((b :: _) as rest) => (a <? b)%nat && increasing rest | _ => true end.

Definition broadcast_rule (axes : list nat) (sh : list Z) (G : list parts) (s : list Z)
  (F : list parts) : verdict :=
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
    0 <= u < nth a (fst one) 0 /\ 0 <= u' < nth a (fst one) 0 /\ alike_axis (nth a F []) t u t' u').
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

Definition transpose_rule (order : list nat) (sh : list Z) (G : list parts) (s : list Z)
  (F : list parts) : verdict :=
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
    alike_axis (nth a F []) t (nth o i 0) t' (nth o i' 0)).
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

Definition reshape_rule (sh : list Z) (G : list parts) (s : list Z) (F : list parts) : verdict :=
  both (ask (count sh =? count s)) (follows_places G F).

(** A reshape is right where the axes of the operand, in row-major order, say what all listed axes say. *)
Theorem reshape_right : forall sh G F one R, fits G sh = true -> premise F one ->
  reshape_rule sh G (fst one) F = Yes ->
  (forall z i, inside sh i -> R z i = snd one z (cell_at (fst one) (place sh i))) ->
  right G sh R.
Proof.
  intros sh G F one R S P H M t i t' i' I I' E. rewrite !M by trivial.
  apply both_yes in H as [N H]. apply ask_yes, Z.eqb_eq in N.
  pose proof (fits_all G sh S) as AG. destruct (fit_sizes G sh AG) as [SG ZG].
  pose proof (fits_all F _ (proj1 P)) as AF. destruct (fit_sizes F _ AF) as [SF ZF].
  pose proof (place_bounds sh i I). pose proof (place_bounds sh i' I').
  assert (A : alike_places G t (place sh i) t' (place sh i')).
  { apply (places_alike G sh); trivial. intros a L. rewrite !cell_at_place by trivial. now apply label_alike. }
  apply (follows_places_right _ F) in A; trivial; try lia.
  apply premise_cell with F; trivial; try (apply cell_at_inside with F; trivial; lia).
  pose proof (fits_right F _ (proj1 P)) as [L _]. rewrite <- L. apply places_alike; trivial; lia.
Qed.

End Claims.
