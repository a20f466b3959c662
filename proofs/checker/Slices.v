(** * Slices of one array that are glued together again

    What slices of an array, side by side, or slices of these, show is cells of that array: a list of positions of one
    of its axes. So the rule of positions from a list tells when they continue one another, as where an array is padded
    by its own ends. *)

From Coq Require Import ZArith List Lia Bool.
From Shifts Require Import Facts Semantics Indices Turns.
Import ListNotations.
Open Scope Z_scope.

(** Two shapes that differ along one axis only. *)
Definition alike_beside (a : nat) (s s' : list Z) : bool :=
  (length s' =? length s)%nat && (a <? length s)%nat &&
  forallb (fun b => (b =? a)%nat || (nth b s' 0 =? nth b s 0)) (seq 0 (length s)).

Section Origins.
Variable p : program.
Variable a : nat.
Notation long k := (nth a (shape_of p k) 0).

(** The node whose cells another one shows along an axis, and which ones; every node shows its own. *)
Definition itself (k : nat) : nat * list Z := (k, range (long k)).
Definition is_slice (k j : nat) (start : Z) : bool :=
  alike_beside a (shape_of p k) (shape_of p j) && (0 <=? start) && (start + long k <=? long j).
Definition are_beside (k : nat) (js : list nat) : bool :=
  (a <? length (shape_of p k))%nat &&
  forallb (fun j => alike_beside a (shape_of p k) (shape_of p j) && (0 <=? long j)) js
  && (long k =? fold_right Z.add 0 (map (fun j => long j) js)).
Fixpoint origin (fuel k : nat) : nat * list Z :=
  match fuel, nth_error (nodes p) k with
  | S fuel', Some v =>
      match op v, inputs v with
      | Take b start 1, [j] =>
          if (b =? a)%nat && is_slice k j start then
            let (j0, l) := origin fuel' j in (j0, map (fun q => picked l (start + q)) (range (long k)))
          else itself k
      | Concat b, js =>
          let found := map (origin fuel') js in
          let j0 := match found with (j0, _) :: _ => j0 | [] => k end in
          if (b =? a)%nat && are_beside k js && forallb (fun u => (fst u =? j0)%nat) found
          then (j0, flat_map snd found) else itself k
      | _, _ => itself k
      end
  | _, _ => itself k
  end.

Lemma put_put v w i : put a v (put a w i) = put a v i.
Proof.
  unfold put. rewrite build_length. apply map_seq_equal. intros b L. rewrite nth_build by trivial.
  now destruct (b =? a)%nat.
Qed.

Lemma put_own i : put a (nth a i 0) i = i.
Proof.
  unfold put. apply equal_lists; rewrite build_length; trivial. intros b L. rewrite nth_build by trivial.
  destruct (Nat.eqb_spec b a) as [E|]; [now rewrite E | trivial].
Qed.

Lemma picked_map (h : Z -> Z) n q : 0 <= q < n -> picked (map h (range n)) q = h q.
Proof.
  intro Q. unfold picked, range. rewrite map_map, nth_map_seq by lia. f_equal. lia.
Qed.

Lemma alike_beside_inside s s' v i : alike_beside a s s' = true -> inside s i -> 0 <= v < nth a s' 0 ->
  inside s' (put a v i).
Proof.
  intros H [L I] V. unfold alike_beside in H. rewrite !andb_true_iff, Nat.eqb_eq, Nat.ltb_lt, forallb_forall in H.
  destruct H as [[N A] H]. unfold put. rewrite L, <- N. apply build_inside. intros b B. rewrite N in B.
  specialize (H b ltac:(apply in_seq; lia)). destruct (Nat.eqb_spec b a) as [E|D]; [now rewrite E|]. simpl in H.
  apply Z.eqb_eq in H. rewrite H. now apply I.
Qed.

Context {V : Type}.
Variable numbers : arithmetic V.
Variable m : model V.
Hypothesis M : is_model numbers p m.

(** [k] shows these cells of [j0]. *)
Definition shows_cells (k j0 : nat) (l : list Z) : Prop :=
  length l = Z.to_nat (long k) /\
  forall x i, inside (shape_of p k) i -> m x k i = m x j0 (put a (picked l (nth a i 0)) i).

Lemma itself_right k : shows_cells k k (range (long k)).
Proof.
  split; [apply range_length|]. intros x i [L I]. destruct (Nat.lt_ge_cases a (length i)) as [A|A].
  - rewrite <- (map_id (range _)), picked_map by (apply I; lia). now rewrite put_own.
  - f_equal. unfold put. symmetry. apply equal_lists; rewrite build_length; trivial. intros b B.
    rewrite nth_build by trivial. destruct (Nat.eqb_spec b a); [lia | trivial].
Qed.

Lemma side_by_side k j0 found js x i c : Forall2 (fun j u => fst u = j0 /\ shows_cells j (fst u) (snd u)) js found ->
  forallb (fun j => alike_beside a (shape_of p k) (shape_of p j) && (0 <=? long j)) js = true ->
    inside (shape_of p k) i ->
  c <= nth a i 0 < c + fold_right Z.add 0 (map (fun j => long j) js) ->
  exists before j behind, js = before ++ j :: behind /\
    let start := c + fold_right Z.add 0 (map (fun j => long j) before) in
    start <= nth a i 0 < start + long j /\
    m x j (put a (nth a i 0 - start) i) = m x j0 (put a (picked (flat_map snd found) (nth a i 0 - c)) i).
Proof.
  intro F. revert c; induction F as [|j [j1 l] js found [E [L S]] F IH]; intros c B I Q; simpl in Q; [lia|].
  simpl in E, L, S, B. subst j1. rewrite !andb_true_iff, Z.leb_le in B.
  destruct B as [[B Pos] B'].
  destruct (Z_lt_ge_dec (nth a i 0) (c + long j)) as [Lt|Ge].
  - exists [], j, js. cbn [map fold_right app]. rewrite Z.add_0_r. split; trivial. split; [lia|].
    rewrite S by (apply (alike_beside_inside (shape_of p k)); trivial; lia). rewrite put_put.
    assert (A : (a < length i)%nat).
    { unfold alike_beside in B. rewrite !andb_true_iff, Nat.ltb_lt in B. destruct I. lia. }
    rewrite nth_put, Nat.eqb_refl, (proj2 (Nat.ltb_lt a (length i)) A). simpl. do 2 f_equal. unfold picked.
    now rewrite app_nth1 by lia.
  - destruct (IH (c + long j) B' I ltac:(lia)) as (before & j' & behind & -> & R & T).
    exists (j :: before), j', behind. split; trivial. cbv zeta in *. cbn [map fold_right]. rewrite Z.add_assoc.
    split; trivial. rewrite T. do 2 f_equal. simpl. unfold picked. rewrite app_nth2 by lia. f_equal. lia.
Qed.

(** The cells of a node are those of its origin. *)
Theorem origin_right : forall fuel k, shows_cells k (fst (origin fuel k)) (snd (origin fuel k)).
Proof.
  induction fuel as [|fuel IH]; intro k; [apply itself_right|]. cbn [origin].
  destruct (nth_error (nodes p) k) as [v|] eqn:N; [|apply itself_right].
  pose proof (proj2 M k v N) as Me. unfold operands_of in Me.
  assert (Sh : shape v = shape_of p k) by (unfold shape_of; now rewrite N). rewrite Sh in Me.
  destruct (op v) as [| | | | | | | | |b start by_| |b| | | | | |] eqn:Op; try apply itself_right; cbn [means] in Me.
  - destruct by_ as [|[by_|by_|]|by_]; try apply itself_right.
    destruct (inputs v) as [|j [|? ?]]; try apply itself_right.
    destruct ((b =? a)%nat && is_slice k j start) eqn:C; [|apply itself_right].
    apply andb_true_iff in C as [E C]. apply Nat.eqb_eq in E. subst b. unfold is_slice in C.
    rewrite !andb_true_iff, !Z.leb_le in C. destruct C as [[B C1] C2].
    destruct (IH j) as [L S]. destruct (origin fuel j) as [j0 l]. cbn [fst snd] in *.
    split; [now rewrite map_length, range_length|]. intros x i I.
    assert (A : (a < length i)%nat /\ 0 <= nth a i 0 < long k).
    { unfold alike_beside in B. rewrite !andb_true_iff, Nat.ltb_lt in B. destruct I as [Li Ii]. split; [lia|].
      apply Ii; lia. }
    rewrite (Me _ _ eq_refl x i I), Z.mul_1_l, S by (apply (alike_beside_inside (shape_of p k)); trivial; lia).
    rewrite put_put, nth_put, Nat.eqb_refl, (proj2 (Nat.ltb_lt a (length i)) (proj1 A)). simpl.
    now rewrite picked_map.
  - set (found := map (origin fuel) (inputs v)). set (j0 := match found with (j0, _) :: _ => j0 | [] => k end).
    destruct ((b =? a)%nat && are_beside k (inputs v) && forallb (fun u => (fst u =? j0)%nat) found) eqn:C;
      [|apply itself_right].
    rewrite !andb_true_iff in C. destruct C as [[E C] Same]. apply Nat.eqb_eq in E. subst b.
    unfold are_beside in C. rewrite !andb_true_iff, Z.eqb_eq, Nat.ltb_lt in C. destruct C as [[A B] Sum].
    rewrite forallb_forall in Same.
    assert (F : Forall2 (fun j u => fst u = j0 /\ shows_cells j (fst u) (snd u)) (inputs v) found).
    { clearbody j0. unfold found in *. clear - IH Same. induction (inputs v) as [|j js IHj]; simpl; constructor.
      - split; [|apply IH]. apply Nat.eqb_eq, Same. now left.
      - apply IHj. intros u U. apply Same. now right. }
    clearbody j0 found. split; cbn [fst snd].
    + rewrite Sum. clear - F B. induction F as [|j [j1 l] js found [_ [L _]] F IHF]; [reflexivity|].
      cbn [forallb] in B. rewrite !andb_true_iff, Z.leb_le in B. destruct B as [[_ Pos] B]. cbn [fst snd] in L.
      cbn [map flat_map fold_right snd]. rewrite app_length, L, IHF by trivial.
      assert (0 <= fold_right Z.add 0 (map (fun j => long j) js)); [|lia].
      clear - B. induction js as [|j js IHjs]; simpl in *; [lia|].
      rewrite !andb_true_iff, Z.leb_le in B. destruct B as [[_ Pos] B]. specialize (IHjs B). lia.
    + intros x i I. destruct (side_by_side k j0 found (inputs v) x i 0 F B I) as (before & j & behind & E & R & T).
      { rewrite <- Sum, Z.add_0_l. now apply I. }
      cbv zeta in R, T. rewrite Z.add_0_l in R, T. rewrite E, map_app in Me. cbn [map] in Me.
      specialize (Me _ _ _ _ eq_refl x i I). rewrite map_map in Me. cbn [fst] in Me. rewrite (Me R), T.
      now rewrite Z.sub_0_r.
Qed.

End Origins.
