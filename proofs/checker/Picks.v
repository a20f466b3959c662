(** * The rule of positions that are taken from a list

    Of a signal the positions must follow a pattern: in blocks of one width, each block the one before it, some cells
    further on. Then each place within the blocks shows a signal at a stride. *)

From Coq Require Import ZArith List Lia Bool.
From Shifts Require Import Facts Parts Semantics Indices Rules Views.
Import ListNotations.
Open Scope Z_scope.

(** ** Patterns *)

(** Position k of a part that begins at [start]. *)
Definition from_ (places : list Z) (start k : Z) : Z := picked places (start + k).

(** Modulo the period, position [k + width] is further on than k by [leap]; and the positions of a block are one. *)
Definition repeats (p : Z) (l : Z -> Z) (m width_ leap : Z) : bool :=
  forallb (fun k => (l (k + width_) - l k - leap) mod p =? 0) (range (m - width_)).
Definition one_place (p : Z) (l : Z -> Z) (width_ : Z) : bool :=
  forallb (fun k => (l k - l 0) mod p =? 0) (range width_).

(** The factors of a part, as one of blocks and one of cells in a block. *)
Definition blocks_of (g : list factor) (width_ : Z) : option (factor * factor) :=
  match g with
  | [g1; g2] => if cells g2 =? width_ then Some (g1, g2) else None
  | [g1] => if width_ =? 1 then Some (g1, Still 1 1) else split_listed g1 width_
  | _ => None
  end.

Definition follows_pattern (l : Z -> Z) (g : list factor) (h : factor) : verdict :=
  let m := size g in
  match find (fun w => (m mod w =? 0) && repeats (period h) l m w (l w - l 0)) (map (Z.add 1) (range (m - 1))) with
  | Some w =>
      match blocks_of g w with
      | Some (g1, g2) => ask (strided1 (l w - l 0) 1 g1 h && (single1 g2 || one_place (period h) l w))
      | None => match g with [_] => No | _ => Unknown end
      end
  | None => No
  end.

Definition picks_part (places : list Z) (fs : parts) (start : Z) (g : list factor) : verdict :=
  let l := map (from_ places start) (range (size g)) in
  let low := fold_right Z.min (hd 0 l) l in let high := fold_right Z.max (hd 0 l) l + 1 in
  both (ask (forallb (fun v => (low <=? v) && (v <? high)) l))
    (if silent g || single g && still_from 0 low high fs then Yes else
     match part_from 0 low high fs with
     | Some (_, f) =>
         match merged f with
         | Some h => both (ask (sane1 h && (cells h =? size f)))
                       (both (follows FUEL [h] f) (follows_pattern (from_ places start) g h))
         | None => Unknown
         end
     | None => No
     end).
Definition picks (places : list Z) (n m : Z) (gs fs : parts) : verdict :=
  both (ask ((Z.of_nat (length places) =? m) && forallb (fun v => (0 <=? v) && (v <? n)) places))
    (each_part (picks_part places fs) 0 gs).

Lemma repeats_right p l m w s u v : repeats p l m w s = true -> 0 < w -> 0 <= v < w -> (Z.of_nat u) * w + v < m ->
  (p | l (Z.of_nat u * w + v) - l v - s * Z.of_nat u).
Proof.
  intros H W V. unfold repeats in H. rewrite forallb_forall in H. induction u as [|u IH]; intro M.
  - exists 0. simpl. ring.
  - rewrite Nat2Z.inj_succ in *. assert (K : Z.of_nat u * w + v < m - w) by lia.
    specialize (H (Z.of_nat u * w + v) ltac:(apply in_range; lia)). apply divides in H. specialize (IH ltac:(lia)).
    replace (Z.succ (Z.of_nat u) * w + v) with (Z.of_nat u * w + v + w) by lia.
    replace (l (Z.of_nat u * w + v + w) - l v - s * Z.succ (Z.of_nat u))
      with ((l (Z.of_nat u * w + v + w) - l (Z.of_nat u * w + v) - s) + (l (Z.of_nat u * w + v) - l v - s * Z.of_nat u))
      by lia.
    now apply Z.divide_add_r.
Qed.

Lemma blocks_of_right g w g1 g2 : blocks_of g w = Some (g1, g2) -> sane g = true -> 1 <= w -> (w | size g) ->
  cells g2 = w /\ forall t d t' d', 0 <= d < size g -> 0 <= d' < size g -> alike g t d t' d' ->
    alike1 g1 t (d / w) t' (d' / w) /\ alike1 g2 t (d mod w) t' (d' mod w).
Proof.
  intros H S W D. destruct g as [|h1 [|h2 [|? ?]]]; try discriminate H.
  - simpl in H. pose proof S as S1. apply sane_cons in S1 as [S1 _]. destruct (Z.eqb_spec w 1) as [->|N].
    + injection H as <- <-. split; trivial. intros t d t' d' _ _ E. apply alike_one in E; trivial.
      rewrite !Z.div_1_r, !Z.mod_1_r. split; trivial. exists 0. simpl. ring.
    + simpl in D. rewrite Z.mul_1_r in D. destruct (split_listed_right h1 w g1 g2 S1 W D H) as [(_ & _ & _ & C) A].
      split; trivial. intros t d t' d' B B' E. simpl in B, B'. apply alike_one in E; trivial. apply A; trivial; lia.
  - simpl in H. destruct (Z.eqb_spec (cells h2) w) as [C|]; [|discriminate H]. injection H as <- <-.
    split; trivial. intros t d t' d' B B' E. apply alike_cons in E as [E1 E2]; trivial.
    apply sane_cons in S as [_ S]. apply sane_cons in S as [S2 _].
    cbn [size] in E1, E2. rewrite Z.mul_1_r, C in E1, E2. apply alike_one in E2; trivial. now split.
Qed.

Lemma follows_pattern_right l g h t d t' d' : follows_pattern l g h = Yes -> sane g = true ->
  0 <= d < size g -> 0 <= d' < size g -> alike g t d t' d' -> (period h | l d - l d' - (t - t') * step h).
Proof.
  intros H S B B' E. unfold follows_pattern in H. destruct (find _ _) as [w|] eqn:F; [|discriminate H].
  apply find_some in F as [W F]. apply in_map_iff in W as [k [<- W]]. apply in_range in W. set (w := 1 + k) in *.
  apply andb_true_iff in F as [M R]. apply divides in M.
  destruct (blocks_of g w) as [[g1 g2]|] eqn:Bl; [|destruct g as [|? [|? ?]]; discriminate H].
  apply ask_yes, andb_true_iff in H as [St Pl].
  destruct (blocks_of_right g w g1 g2 Bl S ltac:(lia) M) as [C A]. destruct (A t d t' d' B B' E) as [E1 E2].
  set (s := l w - l 0) in *. unfold strided1 in St. apply andb_true_iff in St as [P Q]. apply divides in P, Q.
  rewrite ?Z.mul_1_r, ?Z.mul_1_l in P; rewrite ?Z.mul_1_r, ?Z.mul_1_l in Q.
  assert (In : forall e, 0 <= e < size g -> (period h | l e - l (e mod w) - s * (e / w))).
  { intros e I. pose proof (digits w e ltac:(lia)). pose proof (digit_minor w e ltac:(lia)).
    assert (0 <= e / w) by (apply Z.div_pos; lia).
    pose proof (repeats_right (period h) l (size g) w s (Z.to_nat (e / w)) (e mod w) R) as K.
    rewrite Z2Nat.id in K by lia. replace (e / w * w + e mod w) with e in K by lia. apply K; lia. }
  assert (Same : (period h | l (d mod w) - l (d' mod w))).
  { pose proof (digit_minor w d ltac:(lia)). pose proof (digit_minor w d' ltac:(lia)).
    apply orb_true_iff in Pl as [U|U].
    - apply single1_tells in E2; trivial; try lia. rewrite E2, Z.sub_diag. apply Z.divide_0_r.
    - unfold one_place in U. rewrite forallb_forall in U.
      pose proof (divides _ _ (U (d mod w) ltac:(apply in_range; lia))) as D1.
      pose proof (divides _ _ (U (d' mod w) ltac:(apply in_range; lia))) as D2.
      replace (l (d mod w) - l (d' mod w)) with ((l (d mod w) - l 0) - (l (d' mod w) - l 0)) by ring.
      now apply Z.divide_sub_r. }
  assert (Stride : (period h | s * (d / w - d' / w) - (t - t') * step h)).
  { destruct E1 as [e E1]. replace (s * (d / w - d' / w) - (t - t') * step h)
      with (e * (s * period g1) + (t - t') * (s * step g1 - step h)) by nia.
    apply Z.divide_add_r; now apply Z.divide_mul_r. }
  replace (l d - l d' - (t - t') * step h) with
    ((l d - l (d mod w) - s * (d / w)) - (l d' - l (d' mod w) - s * (d' / w)) + (l (d mod w) - l (d' mod w))
     + (s * (d / w - d' / w) - (t - t') * step h)) by ring.
  apply Z.divide_add_r; [apply Z.divide_add_r|]; [|exact Same | exact Stride]. apply Z.divide_sub_r; now apply In.
Qed.

Lemma picks_right places n m gs fs t q t' q' : picks places n m gs fs = Yes ->
  sane_axis gs = true -> sane_axis fs = true -> size_axis gs = m -> size_axis fs = n ->
  0 <= q < m -> 0 <= q' < m -> alike_axis gs t q t' q' ->
  0 <= picked places q < n /\ 0 <= picked places q' < n /\ alike_axis fs t (picked places q) t' (picked places q').
Proof.
  intros H SG SF ZG ZF Q Q' E. apply both_yes in H as [N H]. apply ask_yes, andb_true_iff in N as [L N].
  apply Z.eqb_eq in L. rewrite forallb_forall in N.
  assert (There : forall k, 0 <= k < m -> 0 <= picked places k < n).
  { intros k K. specialize (N (picked places k)). rewrite andb_true_iff, Z.leb_le, Z.ltb_lt in N. apply N.
    unfold picked. apply nth_In. lia. }
  split; [auto | split; [auto|]]. rewrite <- ZG in Q, Q'.
  destruct (listed_part _ gs t q t' q' H SG Q Q' E) as (c & g & P & S & C0 & C1 & B & B' & A).
  apply both_yes in P as [I P]. apply ask_yes in I. rewrite forallb_forall in I.
  set (l := map (from_ places c) (range (size g))) in *. set (low := fold_right Z.min (hd 0 l) l) in *.
  set (high := fold_right Z.max (hd 0 l) l + 1) in *.
  assert (T : forall k, c <= k < c + size g -> low <= picked places k < high).
  { intros k K. specialize (I (picked places k)). rewrite andb_true_iff, Z.leb_le, Z.ltb_lt in I. apply I.
    unfold l. apply in_map_iff. exists (k - c). split; [unfold from_; f_equal; lia | apply in_range; lia]. }
  pose proof (T q B) as Tq. pose proof (T q' B') as Tq'.
  pose proof (There q ltac:(lia)). pose proof (There q' ltac:(lia)).
  destruct (silent g || single g && still_from 0 low high fs) eqn:U.
  - apply orb_true_iff in U as [U|U].
    + apply silent_tells in A as [-> A]; trivial; try lia. now replace q with q' by lia.
    + apply andb_true_iff in U as [U1 U2]. apply single_tells in A; trivial; try lia. replace q with q' in * by lia.
      apply still_from_right with low high; trivial; lia.
  - destruct (part_from 0 low high fs) as [[c' f]|] eqn:F; [|discriminate P].
    destruct (known_part _ _ _ _ _ F SF) as (Sf & C0' & Lo & Hi & C1' & Known).
    destruct (merged f) as [h|]; [|discriminate P]. apply both_yes in P as [V P]. apply ask_yes, andb_true_iff in V.
    destruct V as [Sh Zh]. apply Z.eqb_eq in Zh. apply both_yes in P as [Fo P].
    pose proof (follows_pattern_right _ g h t (q - c) t' (q' - c) P S ltac:(lia) ltac:(lia) A) as D.
    unfold from_ in D. replace (c + (q - c)) with q in D by ring. replace (c + (q' - c)) with q' in D by ring.
    apply Known; try lia. apply (follows_right FUEL [h] f); trivial; try (simpl; lia).
    + unfold sane; simpl. now rewrite Sh.
    + apply alike_one; trivial. unfold alike1.
      now replace (picked places q - c' - (picked places q' - c')) with (picked places q - picked places q') by ring.
Qed.

(** ** The rule *)

Section Claims.
Context {V source index : Type}.
Variables (turn : index -> Z) (copy : index -> source).
Coercion turn : index >-> Z.
Notation right := (right (V := V) turn copy).
Notation premise := (premise (V := V) turn copy).

Definition pick_rule (a : nat) (places : list Z) (sh : list Z) (G : list parts) (s : list Z) (F : list parts) : verdict :=
  both (other_axes a sh G s F) (picks places (nth a s 0) (nth a sh 0) (nth a G []) (nth a F [])).

(** What is taken from a list of positions is right where the positions of two alike cells are alike. *)
Theorem pick_right : forall a places sh G F one R, fits G sh = true -> premise F one ->
  pick_rule a places sh G (fst one) F = Yes ->
  (forall z i, inside sh i -> R z i = snd one z (put a (picked places (nth a i 0)) i)) ->
  right G sh R.
Proof.
  intros a places sh G F one R S P H M t i t' i' I I' E. rewrite !M by trivial.
  apply both_yes in H as [O H]. pose proof O as O'. apply both_yes in O' as [N _].
  apply ask_yes, andb_true_iff in N as [N L]. apply Nat.eqb_eq in N. apply Nat.ltb_lt in L.
  destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & X & X' & Y).
  pose proof (fits_right F _ (proj1 P)) as [_ W]. destruct (W a) as [SF ZF]; [lia|].
  destruct (picks_right _ _ _ _ _ t _ t' _ H SG SF ZG ZF X X' Y) as (J & J' & A).
  now apply (put_right turn copy a sh G F one t i t' i').
Qed.

End Claims.
