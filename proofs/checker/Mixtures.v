(** * Rules of what mixes cells: reductions, and arrays side by side

    A function that takes cells in any order does not see a shift of whole periods: cell by cell, what it reads of one
    copy is what it reads of the other, in another order. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Semantics Indices Rules Orders Views.
Import ListNotations.
Open Scope Z_scope.

(** ** Mixtures *)

Definition facts_and_shape := (list (list factor) * list Z)%type.

Definition longest_of (a : nat) (ps : list facts_and_shape) : Z :=
  fold_right Z.max 1 (map (fun p => nth a (snd p) 0) ps).

(** Whether all operands stay along an axis; and if not, the factors of the first that moves, by which all are judged. *)
Definition all_stay (a : nat) (ps : list facts_and_shape) : bool := forallb (fun p => still (nth a (fst p) [])) ps.
Definition leader (a : nat) (ps : list facts_and_shape) : list factor :=
  match find (fun p => negb (still (nth a (fst p) []))) ps with Some p => nth a (fst p) [] | None => [] end.

(** An axis that is mixed: its cells stay, or are whole periods whose order is of no account. *)
Definition mixed_axis (symmetric : bool) (ps : list facts_and_shape) (a : nat) : verdict :=
  let n := longest_of a ps in
  let hs := leader a ps in
  both (ask (forallb (fun p => (nth a (snd p) 0 =? n) || (nth a (snd p) 0 =? 1)) ps))
    (if all_stay a ps then Yes
     else both (ask (symmetric && sane hs && (size hs =? n) && whole_periods hs))
            (all_of (map (fun p => if nth a (snd p) 0 =? n then
                                     match follows FUEL hs (nth a (fst p) []) with Yes => Yes | _ => Unknown end
                                   else ask (still (nth a (fst p) []))) ps))).

(** An axis that is not mixed becomes one of the result. *)
Definition unmixed_axis (axes outs : list nat) (sh : list Z) (G : list (list factor)) (rank : nat)
  (ps : list facts_and_shape) (a : nat) : verdict :=
  let o := becomes axes outs rank (length sh) a in
  both (ask (o <? length sh)%nat)
    (all_of (map (fun p => repeated_axis (nth o sh 0) (nth a (snd p) 0) (nth o G []) (nth a (fst p) [])) ps)).

Definition mix_rule (axes outs : list nat) (symmetric : bool) (sh : list Z) (G : list (list factor))
  (ps : list facts_and_shape) : verdict :=
  let rank := match ps with p :: _ => length (snd p) | [] => O end in
  both (ask ((1 <=? length ps)%nat && forallb (fun p => (length (snd p) =? rank)%nat) ps
             && distinct axes && below rank axes && distinct outs && below (length sh) outs
             && (length (unnamed axes rank) =? length (unnamed outs (length sh)))%nat
             && forallb (fun o => single (nth o G [])) outs))
    (all_of (map (fun a => if listed a axes then mixed_axis symmetric ps a
                           else unmixed_axis axes outs sh G rank ps a) (seq 0 rank))).

Section Claims.
Context {V : Type}.
Variables x y : images V.
Notation copy := (copy x y).
Notation right := (right x y).
Notation premise := (premise x y).

Definition pairs (operands : list (list (list factor) * operand V)) : list facts_and_shape :=
  map (fun p => (fst p, fst (snd p))) operands.

Lemma in_pairs operands F one : In (F, one) operands -> In (F, fst one) (pairs operands).
Proof. exact (in_map (fun p => (fst p, fst (snd p))) operands (F, one)). Qed.

Lemma longest_pairs operands a : longest (map snd operands) a = longest_of a (pairs operands).
Proof. unfold longest, longest_of, pairs. now rewrite !map_map. Qed.

(** Of all operands, the cells j of the one copy and j' of the other are alike along an axis. *)
Definition all_alike (operands : list (list (list factor) * operand V)) (t t' : bool) (a : nat) (j j' : Z) : Prop :=
  forall F one, In (F, one) operands ->
    let n := nth a (fst one) 0 in
    let u := if n =? 1 then 0 else j in let u' := if n =? 1 then 0 else j' in
    0 <= u < n /\ 0 <= u' < n /\ alike (nth a F []) t u t' u'.

(** What a mixture reads of the other copy, in the order in which the first copy has it. *)
Definition reordered (axes outs : list nat) (ps : list facts_and_shape) (rank rank' : nat) (t t' : bool) (i' : list Z)
  (a : nat) : list Z :=
  if listed a axes then
    if all_stay a ps then range (longest_of a ps) else map (partner (leader a ps) t t') (range (longest_of a ps))
  else [nth (becomes axes outs rank rank' a) i' 0].

Lemma mixed_axis_right symmetric operands a t t' :
  (forall F one, In (F, one) operands -> premise F one /\ (a < length (fst one))%nat) ->
  mixed_axis symmetric (pairs operands) a = Yes ->
  let n := longest_of a (pairs operands) in
  let back := if all_stay a (pairs operands) then range n
              else map (partner (leader a (pairs operands)) t t') (range n) in
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
    assert (U : still (nth a F []) = true).
    { apply (T (F, fst one)). now apply in_pairs. }
    destruct (M F one K) as [E|E]; destruct (Z.eqb_spec (nth a (fst one) 0) 1); repeat split; try lia;
      now apply still_stays.
  - apply both_yes in H as [C H]. apply ask_yes in C. rewrite !andb_true_iff, Z.eqb_eq in C.
    destruct C as [[[Sy Sa] Z] W]. set (hs := leader a (pairs operands)) in *. split; [now right|]. split.
    + rewrite <- Z. now apply partners_permute.
    + apply Forall2_map_right. intros v I. apply in_range in I. rewrite <- Z in I.
      destruct (partner_right hs t t' v Sa W I) as (B & A & _). intros F one K. cbv zeta.
      destruct (P F one K) as [Q L]. pose proof (fits_right F _ (proj1 Q)) as [_ X]. destruct (X a L) as [SF ZF].
      eapply all_yes in H; [|apply in_map, in_pairs, K].
      cbn [fst snd] in H. destruct (Z.eqb_spec (nth a (fst one) 0) n) as [E|E].
      * assert (Y : follows FUEL hs (nth a F []) = Yes).
        { destruct (follows FUEL hs (nth a F [])); easy. }
        apply (follows_right FUEL hs (nth a F [])) in A; trivial; try lia.
        destruct (Z.eqb_spec (nth a (fst one) 0) 1) as [E1|E1]; repeat split; try lia; trivial.
        replace v with 0 in A by lia. replace (partner hs t t' 0) with 0 in A; trivial.
        replace v with 0 in B by lia. lia.
      * apply ask_yes in H. destruct (M F one K) as [E'|E']; [easy|]. rewrite E'. simpl.
        repeat split; try lia. now apply still_stays.
Qed.

Lemma mixed_cell operands rank t t' c c' :
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
    0 <= u < nth a (fst one) 0 /\ 0 <= u' < nth a (fst one) 0 /\ alike (nth a F []) t u t' u').
  { intros a B. apply (R a ltac:(lia) F one K). }
  apply premise_cell with F; trivial; try (apply build_inside; intros a B; now destruct (C a B) as (? & ? & ?)).
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
    - apply both_yes in H as [O H]. apply ask_yes, Nat.ltb_lt in O.
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

(** Along an axis that stays anything may be joined; of the other axes each must say what the result says. *)
Definition concat_rule (a : nat) (sh : list Z) (G : list (list factor)) (ps : list facts_and_shape) : verdict :=
  both (ask (single (nth a G [])
             && (nth a sh 0 =? fold_right Z.add 0 (map (fun p => nth a (snd p) 0) ps))))
    (all_of (map (fun p => both (ask (still (nth a (fst p) []) && (0 <=? nth a (snd p) 0)))
                                (other_axes a sh G (snd p) (fst p))) ps)).

(** The operand in which the cell at v of the joined axis lies: what is before it, and it itself. *)
Lemma located {A} (n : A -> Z) l v : (forall u, In u l -> 0 <= n u) -> 0 <= v < fold_right Z.add 0 (map n l) ->
  exists before u behind, l = before ++ u :: behind /\
    let start := fold_right Z.add 0 (map n before) in start <= v < start + n u.
Proof.
  revert v; induction l as [|w l IH]; intros v P H; simpl in H; [lia|].
  destruct (Z_lt_ge_dec v (n w)) as [L|L].
  - exists [], w, l. simpl. split; [trivial | lia].
  - destruct (IH (v - n w)) as (before & u & behind & -> & K); [intros; apply P; now right | lia |].
    exists (w :: before), u, behind. simpl in *. split; [trivial | lia].
Qed.

(** Arrays side by side are right along an axis that stays, where each says what the listed fact says of the other
    axes. *)
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
  apply both_yes in H as [N H]. apply ask_yes, andb_true_iff in N as [U N]. apply Z.eqb_eq in N.
  destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & B & B' & A).
  assert (Q : nth a i 0 = nth a i' 0) by (apply (single_tells (nth a G []) t _ t' _); trivial; lia).
  assert (Each : forall F one, In (F, one) operands -> 
    still (nth a F []) = true /\ 0 <= nth a (fst one) 0 /\ other_axes a sh G (fst one) F = Yes).
  { intros F one K. eapply all_yes in H; [|apply in_map, in_pairs, K].
    apply both_yes in H as [C H]. apply ask_yes, andb_true_iff in C as [C C']. apply Z.leb_le in C'. simpl in *. auto. }
  unfold pairs in N. rewrite map_map in N. simpl in N. rewrite N in B, B'.
  destruct (located (fun p => nth a (fst (snd p)) 0) operands (nth a i 0)) as (before & [F one] & behind & Op & W).
  { intros [F one] K. now apply Each in K as (_ & K & _). }
  { trivial. }
  cbv zeta in W. simpl in W.
  assert (K : In (F, one) operands) by (rewrite Op; apply in_or_app; right; left; trivial).
  destruct (Each F one K) as (St & _ & Ot). destruct one as [s C]. simpl in *.
  assert (Op' : map snd operands = map snd before ++ (s, C) :: map snd behind) by (rewrite Op, map_app; trivial).
  specialize (M _ _ _ _ Op'). cbv zeta in M. rewrite map_map in M.
  rewrite !M; trivial; [|lia]. rewrite <- Q.
  pose proof (P F (s, C) K) as Pr. pose proof (fits_right F _ (proj1 Pr)) as [_ X].
  apply both_yes in Ot as Ot'. destruct Ot' as [Nl _]. apply ask_yes, andb_true_iff in Nl as [Nl _].
  apply Nat.eqb_eq in Nl. simpl in Nl. destruct (X a) as [SF ZF]; [simpl; lia|].
  apply (put_right x y a sh G F (s, C) t i t' i'); trivial; simpl; try lia. now apply still_stays.
Qed.

End Claims.
