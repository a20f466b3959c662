(** * Rules of what mixes cells: reductions, and arrays side by side

    A function that takes cells in any order does not see a shift of whole periods: cell by cell, what it reads of one
    copy is what it reads of the other, in another order. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders Views.
Import ListNotations.
Open Scope Z_scope.

(** ** Mixtures *)

Definition facts_and_shape := (list parts * list Z)%type.

Definition longest_of (a : nat) (ps : list facts_and_shape) : Z :=
  fold_right Z.max 1 (map (fun p => nth a (snd p) 0) ps).

(** Whether all operands stay along an axis; and if not, the factors of the first that moves, by which all are judged. *)
Definition all_stay (a : nat) (ps : list facts_and_shape) : bool := forallb (fun p => still_axis (nth a (fst p) [])) ps.
Definition leader (a : nat) (ps : list facts_and_shape) : parts :=
  match find (fun p => negb (still_axis (nth a (fst p) []))) ps with Some p => nth a (fst p) [] | None => [] end.

(** An axis that is mixed: its cells stay, or are whole periods whose order is of no account. *)
Definition mixed_axis (symmetric : bool) (ps : list facts_and_shape) (a : nat) : verdict :=
  let n := longest_of a ps in
  let hs := leader a ps in
  both (ask (forallb (fun p => (nth a (snd p) 0 =? n) || (nth a (snd p) 0 =? 1)) ps))
    (if all_stay a ps then Yes
     else both (ask (symmetric && sane_axis hs && (size_axis hs =? n) && whole_axis hs))
            (all_of (map (fun p => if nth a (snd p) 0 =? n then
                                     match follows_axis hs (nth a (fst p) []) with Yes => Yes | _ => Unknown end
                                   else ask (still_axis (nth a (fst p) []))) ps))).

(** An axis that is not mixed becomes one of the result, of its length: that it is repeated there is not covered. *)
Definition unmixed_axis (axes outs : list nat) (sh : list Z) (G : list parts) (rank : nat)
  (ps : list facts_and_shape) (a : nat) : verdict :=
  let o := becomes axes outs rank (length sh) a in
  if negb (nth o sh 0 =? longest_of a ps) then Unknown else
  both (ask (o <? length sh)%nat)
    (all_of (map (fun p => repeated_axis (nth o sh 0) (nth a (snd p) 0) (nth o G []) (nth a (fst p) [])) ps)).

Definition mix_rule (axes outs : list nat) (symmetric : bool) (sh : list Z) (G : list parts)
  (ps : list facts_and_shape) : verdict :=
  let rank := match ps with p :: _ => length (snd p) | [] => O end in
  both (ask ((1 <=? length ps)%nat && forallb (fun p => (length (snd p) =? rank)%nat) ps
             && distinct axes && below rank axes && distinct outs && below (length sh) outs
             && (length (unnamed axes rank) =? length (unnamed outs (length sh)))%nat
             && forallb (fun o => single_axis (nth o G [])) outs))
    (all_of (map (fun a => if listed a axes then mixed_axis symmetric ps a
                           else unmixed_axis axes outs sh G rank ps a) (seq 0 rank))).

Section Claims.
Context {V source : Type}.
Context {index : Type}.
Variables (turn : index -> Z) (copy : index -> source).
Coercion turn : index >-> Z.
Notation right := (right (V := V) turn copy).
Notation premise := (premise (V := V) turn copy).

Definition pairs (operands : list (list parts * operand V source)) : list facts_and_shape :=
  map (fun p => (fst p, fst (snd p))) operands.

Lemma in_pairs operands F one : In (F, one) operands -> In (F, fst one) (pairs operands).
Proof. exact (in_map (fun p => (fst p, fst (snd p))) operands (F, one)). Qed.

Lemma longest_pairs operands a : longest (map snd operands) a = longest_of a (pairs operands).
Proof. unfold longest, longest_of, pairs. now rewrite !map_map. Qed.

(** Of all operands, the cells j of the one copy and j' of the other are alike along an axis. *)
Definition all_alike (operands : list (list parts * operand V source)) (t t' : Z) (a : nat) (j j' : Z) : Prop :=
  forall F one, In (F, one) operands ->
    let n := nth a (fst one) 0 in
    let u := if n =? 1 then 0 else j in let u' := if n =? 1 then 0 else j' in
    0 <= u < n /\ 0 <= u' < n /\ alike_axis (nth a F []) t u t' u'.

(** What a mixture reads of the other copy, in the order in which the first copy has it. *)
Definition reordered (axes outs : list nat) (ps : list facts_and_shape) (rank rank' : nat) (t t' : Z) (i' : list Z)
  (a : nat) : list Z :=
  if listed a axes then
    if all_stay a ps then range (longest_of a ps) else map (partner_axis (leader a ps) t t') (range (longest_of a ps))
  else [nth (becomes axes outs rank rank' a) i' 0].

Lemma mixed_axis_right symmetric operands a t t' :
  (forall F one, In (F, one) operands -> premise F one /\ (a < length (fst one))%nat) ->
  mixed_axis symmetric (pairs operands) a = Yes ->
  let n := longest_of a (pairs operands) in
  let back := if all_stay a (pairs operands) then range n
              else map (partner_axis (leader a (pairs operands)) t t') (range n) in
  (back = range n \/ symmetric = true) /\ Permutation (range n) back /\
  Forall2 (all_alike operands t t' a) (range n) back.
Proof.
  intros P H n back. apply both_yes in H as [N H]. apply ask_yes in N. rewrite forallb_forall in N. fold n in N, H.
  assert (M : forall F one, In (F, one) operands -> nth a (fst one) 0 = n \/ nth a (fst one) 0 = 1).
  { intros F one I. specialize (N (F, fst one)). simpl in N. rewrite orb_true_iff, !Z.eqb_eq in N. apply N.
    now apply in_pairs. }
  subst back. destruct (all_stay a (pairs operands)) eqn:T.
  - split; [now left|]. split; trivial. apply Forall2_same. intros v I. apply in_range in I.
    intros F one K. cbv zeta. destruct (P F one K) as [Q L]. pose proof (fits_right F _ (proj1 Q)) as [_ W].
    destruct (W a L) as [SF ZF]. unfold all_stay in T. rewrite forallb_forall in T.
    assert (U : still_axis (nth a F []) = true).
    { apply (T (F, fst one)). now apply in_pairs. }
    destruct (M F one K) as [E|E]; destruct (Z.eqb_spec (nth a (fst one) 0) 1); repeat split; try lia;
      apply still_axis_stays; trivial; lia.
  - apply both_yes in H as [C H]. apply ask_yes in C. rewrite !andb_true_iff, Z.eqb_eq in C.
    destruct C as [[[Sy Sa] Z] W]. set (hs := leader a (pairs operands)) in *. split; [now right|]. split.
    + rewrite <- Z. apply partners_permute; trivial. now apply sane_axis_all.
    + apply Forall2_map_right. intros v I. apply in_range in I. rewrite <- Z in I.
      destruct (partner_axis_right hs t t' v (sane_axis_all _ Sa) W I) as (B & A & _). intros F one K. cbv zeta.
      destruct (P F one K) as [Q L]. pose proof (fits_right F _ (proj1 Q)) as [_ X]. destruct (X a L) as [SF ZF].
      eapply all_yes in H; [|apply in_map, in_pairs, K].
      cbn [fst snd] in H. destruct (Z.eqb_spec (nth a (fst one) 0) n) as [E|E].
      * assert (Y : follows_axis hs (nth a F []) = Yes).
        { destruct (follows_axis hs (nth a F [])) eqn:Ef; [reflexivity | discriminate H..]. }
        apply (follows_axis_right hs (nth a F [])) in A; trivial; try lia.
        destruct (Z.eqb_spec (nth a (fst one) 0) 1) as [E1|E1]; repeat split; try lia; trivial.
        replace v with 0 in A by lia. replace (partner_axis hs t t' 0) with 0 in A; trivial.
        replace v with 0 in B by lia. lia.
      * apply ask_yes in H. destruct (M F one K) as [E'|E']; [easy|]. rewrite E'. simpl.
        repeat split; try lia. apply still_axis_stays; trivial; lia.
Qed.

Lemma mixed_cell operands rank (t t' : index) c c' :
  (forall F one, In (F, one) operands -> premise F one /\ length (fst one) = rank) ->
  length c = rank -> related (all_alike operands t t') 0 c c' ->
  map (fun one => snd one (copy t) (repeated (fst one) c)) (map snd operands) =
  map (fun one => snd one (copy t') (repeated (fst one) c')) (map snd operands).
Proof.
  intros P L R. apply related_nth with (z := 0) in R as [L' R]. rewrite !map_map. apply map_ext_in.
  intros [F one] K. destruct (P F one K) as [Q N]. simpl.
  assert (C : forall a, (a < length (fst one))%nat -> 
    let u := if nth a (fst one) 0 =? 1 then 0 else nth a c 0 in
    let u' := if nth a (fst one) 0 =? 1 then 0 else nth a c' 0 in
    0 <= u < nth a (fst one) 0 /\ 0 <= u' < nth a (fst one) 0 /\ alike_axis (nth a F []) t u t' u').
  { intros a B. apply (R a ltac:(lia) F one K). }
  apply premise_cell with turn F; trivial; try (apply build_inside; intros a B; now destruct (C a B) as (? & ? & ?)).
  intros a B. unfold repeated. rewrite !nth_build by trivial. now destruct (C a B) as (_ & _ & ?).
Qed.

(** A mixture is right where cells that it mixes stay, or are whole periods and it takes them in any order. *)
Theorem mix_right : forall axes outs symmetric sh G operands f R, fits G sh = true ->
  (forall F one, In (F, one) operands -> premise F one) ->
  mix_rule axes outs symmetric sh G (pairs operands) = Yes ->
  (symmetric = true -> forall key (l l' : list (list V)), Permutation l l' -> f key l = f key l' :> V) ->
  (forall z i, inside sh i ->
     let rank := first_rank (map snd operands) in
     R z i = f (coordinates_of outs i)
       (map (fun c => map (fun one => snd one z (repeated (fst one) c)) (map snd operands))
          (product (map (mixed axes outs (longest (map snd operands)) rank (length sh) i) (seq 0 rank))))) ->
  right G sh R.
Proof.
  intros axes outs symmetric sh G operands f R S P H Sy M t i t' i' I I' E. rewrite !M by trivial. cbv zeta.
  unfold mix_rule in H. cbv zeta in H. apply both_yes in H as [N H]. apply ask_yes in N. rewrite !andb_true_iff in N.
  destruct N as [[[[[[[N1 N2] _] _] _] N3] _] N4].
  set (rank := match pairs operands with p :: _ => length (snd p) | [] => O end) in *.
  assert (Rk : first_rank (map snd operands) = rank) by (unfold rank, pairs; destruct operands; reflexivity).
  rewrite !Rk. assert (Pr : forall F one, In (F, one) operands -> premise F one /\ length (fst one) = rank).
  { intros F one K. split; [now apply P|]. rewrite forallb_forall in N2. apply Nat.eqb_eq.
    apply (N2 (F, fst one)). now apply in_pairs. }
  assert (Key : coordinates_of outs i = coordinates_of outs i').
  { apply (key_right outs sh G t i t' i'); trivial. intros a K. rewrite forallb_forall in N4. split; [|now apply N4].
    unfold below in N3. rewrite forallb_forall in N3. now apply Nat.ltb_lt, N3. }
  rewrite Key.
  set (h := mixed axes outs (longest (map snd operands)) rank (length sh) i).
  set (h' := mixed axes outs (longest (map snd operands)) rank (length sh) i').
  set (h'' := reordered axes outs (pairs operands) rank (length sh) t t' i').
  assert (Each : forall a, (a < rank)%nat ->
    (h'' a = h' a \/ symmetric = true) /\ Permutation (h' a) (h'' a) /\
    Forall2 (all_alike operands t t' a) (h a) (h'' a)).
  { intros a L. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]]. cbv beta in H.
    unfold h, h', h'', mixed, reordered. destruct (listed a axes).
    - rewrite longest_pairs. apply mixed_axis_right; trivial. intros F one K. destruct (Pr F one K).
      split; trivial; lia.
    - unfold unmixed_axis in H. cbv zeta in H. destruct (negb _) in H; [discriminate H|].
      apply both_yes in H as [O H]. apply ask_yes, Nat.ltb_lt in O.
      split; [now left|]. split; trivial. constructor; [|constructor]. intros F one K. cbv zeta.
      destruct (Pr F one K) as [Q T]. pose proof (fits_right F _ (proj1 Q)) as [_ X].
      destruct (X a) as [SF ZF]; [lia|].
      destruct (result_axes G sh t i t' i' S I I' E _ O) as (SG & ZG & B & B' & A).
      eapply all_yes in H; [|apply in_map, in_pairs, K].
      exact (repeated_axis_right _ _ _ _ t _ t' _ H SG SF ZG ZF B B' A). }
  assert (Same : map (fun c => map (fun one => snd one (copy t) (repeated (fst one) c)) (map snd operands))
                   (product (map h (seq 0 rank))) =
                 map (fun c => map (fun one => snd one (copy t') (repeated (fst one) c)) (map snd operands))
                   (product (map h'' (seq 0 rank)))).
  { apply equal_maps with (P := fun c c' => length c = rank /\ related (all_alike operands t t') 0 c c').
    - intros c c' [L R']. now apply mixed_cell with rank.
    - apply products_related. intros a L. apply Each; lia. }
  rewrite Same. destruct symmetric eqn:Symm.
  - apply Sy; trivial. apply Permutation_map, products_permuted, Forall2_map_seq. intros a L.
    apply Permutation_sym, Each; lia.
  - replace (map h'' (seq 0 rank)) with (map h' (seq 0 rank)); trivial.
    apply map_seq_equal. intros a L. destruct (Each a L) as [[U|U] _]; [now symmetry | easy].
Qed.

(** ** Side by side *)

(** Along the axis all parts of all operands stand side by side; of the other axes each operand must say what the result
    says. *)
Definition all_parts (a : nat) (ps : list facts_and_shape) : parts := flat_map (fun p => nth a (fst p) []) ps.
Definition concat_rule (a : nat) (sh : list Z) (G : list parts) (ps : list facts_and_shape) : verdict :=
  both (ask (nth a sh 0 =? fold_right Z.add 0 (map (fun p => nth a (snd p) 0) ps)))
    (both (follows_axis (nth a G []) (all_parts a ps))
       (all_of (map (fun p => other_axes a sh G (snd p) (fst p)) ps))).

(** Cells that are alike side by side lie in one operand, and are alike there. *)
Lemma alike_in_operand {A} (h : A -> parts) l t i t' i' : (forall u, In u l -> sane_axis (h u) = true) ->
  0 <= i < size_axis (flat_map h l) -> 0 <= i' < size_axis (flat_map h l) -> alike_axis (flat_map h l) t i t' i' ->
  exists before u behind, l = before ++ u :: behind /\
    let c := fold_right Z.add 0 (map (fun v => size_axis (h v)) before) in
    c <= i < c + size_axis (h u) /\ c <= i' < c + size_axis (h u) /\ alike_axis (h u) t (i - c) t' (i' - c).
Proof.
  revert i i'; induction l as [|u l IH]; intros i i' S I I' E; simpl in *; [lia|].
  rewrite size_axis_app in I, I'. apply alike_axis_app in E; [|apply sane_axis_all; auto].
  destruct E as [(B & B' & E) | [(B & B' & E) | B]]; [| |lia].
  - exists [], u, l. simpl. rewrite !Z.sub_0_r. repeat split; trivial; lia.
  - destruct (IH (i - size_axis (h u)) (i' - size_axis (h u))) as (before & v & behind & -> & C & C' & K); auto; try lia.
    exists (u :: before), v, behind. simpl in *. rewrite !Z.sub_add_distr. repeat split; trivial; lia.
Qed.

(** Arrays side by side are right where the listed parts follow from those of the operands, side by side. *)
Theorem concat_right : forall a sh G operands R, fits G sh = true ->
  (forall F one, In (F, one) operands -> premise F one) ->
  concat_rule a sh G (pairs operands) = Yes -> (a < length sh)%nat ->
  (forall before s A behind, map snd operands = before ++ (s, A) :: behind ->
     let start := fold_right Z.add 0 (map (fun one => nth a (fst one) 0) before) in
     forall z i, inside sh i -> start <= nth a i 0 < start + nth a s 0 ->
       R z i = A z (put a (nth a i 0 - start) i)) ->
  right G sh R.
Proof.
  intros a sh G operands R S P H L M t i t' i' I I' E.
  apply both_yes in H as [N H]. apply ask_yes, Z.eqb_eq in N. apply both_yes in H as [H O].
  destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & B & B' & A).
  set (h := fun p : list parts * operand V source => nth a (fst p) []).
  assert (Each : forall p, In p operands -> sane_axis (h p) = true /\ size_axis (h p) = nth a (fst (snd p)) 0 /\
    other_axes a sh G (fst (snd p)) (fst p) = Yes).
  { intros [F one] K. eapply all_yes in O; [|apply in_map, in_pairs, K]. cbn [fst snd] in *.
    pose proof O as O'. apply both_yes in O' as [Nl _]. apply ask_yes, andb_true_iff in Nl as [Nl _].
    apply Nat.eqb_eq in Nl. pose proof (fits_right F _ (proj1 (P F one K))) as [_ X]. destruct (X a); [lia|]. auto. }
  assert (Flat : all_parts a (pairs operands) = flat_map h operands).
  { unfold all_parts, pairs, h. now rewrite !flat_map_concat_map, map_map. }
  assert (Sum : forall l, (forall p, In p l -> In p operands) -> fold_right Z.add 0 (map (fun p => size_axis (h p)) l) =
    fold_right Z.add 0 (map (fun one => nth a (fst one) 0) (map snd l))).
  { induction l as [|p l IH]; intro K; simpl; trivial. rewrite IH by (intros; apply K; now right). f_equal.
    apply Each, K. now left. }
  assert (Size : size_axis (flat_map h operands) = nth a sh 0).
  { rewrite N. unfold pairs. rewrite map_map. simpl. rewrite <- map_map with (f := snd)
      (g := fun one : operand V source => nth a (fst one) 0), <- Sum by trivial.
    clear. induction operands as [|p l IH]; simpl; trivial. rewrite size_axis_app. lia. }
  rewrite Flat in H. apply (follows_axis_right _ _ t _ t' _ H) in A; trivial; try lia.
  2: { apply sane_side_by_side; [|lia]. intros p K. now apply Each. }
  destruct (alike_in_operand h operands t (nth a i 0) t' (nth a i' 0) (fun p K => proj1 (Each p K)) ltac:(lia)
    ltac:(lia) A)
    as (before & u & behind & Op & W & W' & A').
  assert (K : In u operands) by (rewrite Op; apply in_elt).
  destruct (Each u K) as (_ & Z & Ot). cbv zeta in W, W', A'. rewrite Z in W, W'.
  rewrite (Sum before) in W, W', A' by (intros p J; rewrite Op; apply in_or_app; now left).
  destruct u as [F [s C]]. unfold h in A'. cbn [fst snd] in *.
  rewrite !(M (map snd before) s C (map snd behind)); trivial; try (rewrite Op, map_app; reflexivity).
  apply (put_right turn copy a sh G F (s, C) t i t' i'); trivial; simpl; try lia. now apply P.
Qed.

End Claims.
