(** * Rules of what reads cells elsewhere: slices, padding, windows, and functions of whole operands *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders.
Import ListNotations.
Open Scope Z_scope.

(** The members of a list are there once. *)
Definition distinct (l : list nat) : bool := forallb (fun k => (position (nth k l O) l =? k)%nat) (seq 0 (length l)).
Definition below (rank : nat) (l : list nat) : bool := forallb (fun a => (a <? rank)%nat) l.

(** ** Cells at some places of an axis *)

(** What a window reads along one axis of n cells, at q and at q', is padding at both, or cells that are alike. *)
Definition read_alike (n : Z) (fs : parts) (t t' : Z) (v v' : option Z) : Prop :=
  match v, v' with
  | Some j, Some j' => 0 <= j < n /\ 0 <= j' < n /\ alike_axis fs t j t' j'
  | None, None => True
  | _, _ => False
  end.

(** How a window of [d] fits on an axis of [n] cells, to give one of [m] cells. *)
Definition fits_window (d : dim) (n m : Z) : bool :=
  (1 <=? n) && (1 <=? m) && (1 <=? width d) && (1 <=? stride d) && (1 <=? base d) && (1 <=? dilation d) &&
  (m =? ((n - 1) * base d + 1 + low d + high d - 1 - dilation d * (width d - 1)) / stride d + 1).

(** A part of the result, from its place [start] on: it says nothing; or the axis stays; or its windows show cells of one
    part, and before the first and behind the last of these no more padding than between two cells. Then the first
    window begins behind cell [first_seen - 1], and the last ends before [end_seen]. Around a torus that is asked of the
    whole padding, whatever of it is seen, as by [pads_inside] of the kernel. *)
Definition endless (p : list factor) : bool := existsb (fun f => period f =? 0) p.
Definition first_seen (d : dim) (start : Z) : Z := (stride d * start - low d - 1) / base d + 1.
Definition end_seen (d : dim) (last : Z) : Z := (stride d * last + dilation d * (width d - 1) - low d) / base d + 1.
Definition slides_part (d : dim) (fs : parts) (start : Z) (g : list factor) : verdict :=
  if silent g || single g && still_axis fs then Yes else
  match part_from 0 (first_seen d start) (end_seen d (start + size g - 1)) fs with
  | Some (_, f) => both (ask (endless f || (low d <? base d) && (high d <? base d))) (strided (stride d) (base d) g f)
  | None => No
  end.
Definition slides (d : dim) (n m : Z) (gs fs : parts) : verdict :=
  both (ask (fits_window d n m)) (each_part (slides_part d fs) 0 gs).

Lemma stands_cases n low base w : 0 < base ->
  match stands n low base w with
  | Some j => w - low = j * base /\ 0 <= j < n
  | None => forall j, 0 <= j < n -> w - low <> j * base
  end.
Proof.
  intro B. unfold stands. destruct ((w - low) mod base =? 0) eqn:M; simpl.
  - apply Z.eqb_eq in M. pose proof (digits base (w - low) B).
    destruct ((0 <=? (w - low) / base) && ((w - low) / base <? n)) eqn:I.
    + rewrite andb_true_iff, Z.leb_le, Z.ltb_lt in I. lia.
    + intros j J E. rewrite E, Z.div_mul in I by lia. apply andb_false_iff in I.
      rewrite Z.leb_gt, Z.ltb_ge in I. lia.
  - intros j J E. rewrite E, Z.mod_mul in M by lia. easy.
Qed.

Lemma read_reflexive n fs t low base w : 0 < base ->
  read_alike n fs t t (stands n low base w) (stands n low base w).
Proof.
  intro B. pose proof (stands_cases n low base w B) as C. destruct (stands n low base w); simpl; trivial.
  repeat split; lia || reflexivity.
Qed.

Lemma slides_right d n m gs fs t q t' q' k : slides d n m gs fs = Yes -> sane_axis gs = true -> sane_axis fs = true ->
  size_axis gs = m -> size_axis fs = n -> 0 <= q < m -> 0 <= q' < m -> alike_axis gs t q t' q' -> 0 <= k < width d ->
  read_alike n fs t t' (stands n (low d) (base d) (stride d * q + dilation d * k))
                       (stands n (low d) (base d) (stride d * q' + dilation d * k)).
Proof.
  intros H SG SF ZG ZF Q Q' E K. apply both_yes in H as [W H]. apply ask_yes in W.
  unfold fits_window in W. rewrite !andb_true_iff, !Z.leb_le, Z.eqb_eq in W.
  destruct W as [[[[[[N M] W1] W2] W3] W4] W5]. rewrite <- ZG in Q, Q'.
  destruct (listed_part _ gs t q t' q' H SG Q Q' E) as (c & g & P & S & C0 & C1 & B & B' & A).
  unfold slides_part in P. destruct (silent g || single g && still_axis fs) eqn:U.
  - apply orb_true_iff in U as [U|U].
    + apply silent_tells in A as [-> A]; trivial; try lia. replace q with q' by lia. apply read_reflexive; lia.
    + apply andb_true_iff in U as [U1 U2]. apply single_tells in A; trivial; try lia. replace q with q' by lia.
      pose proof (stands_cases n (low d) (base d) (stride d * q' + dilation d * k) ltac:(lia)) as C.
      destruct (stands _ _ _ _) as [j|]; simpl; trivial. repeat split; try lia. apply still_axis_stays; trivial; lia.
  - destruct (part_from _ _ _ fs) as [[c' f]|] eqn:F; [|easy].
    apply both_yes in P as [_ P]. destruct (known_part _ _ _ _ _ F SF) as (Sf & C0' & L & R & C1' & Known).
    destruct (strided_right (stride d) (base d) g f t (q - c) t' (q' - c) P) as [D J]; trivial; try lia.
    pose proof (stands_cases n (low d) (base d) (stride d * q + dilation d * k) ltac:(lia)) as C.
    pose proof (stands_cases n (low d) (base d) (stride d * q' + dilation d * k) ltac:(lia)) as C'.
    assert (T : forall p j, c <= p < c + size g -> stride d * p + dilation d * k - low d = j * base d ->
      c' <= j < c' + size f).
    { intros p j I X. unfold first_seen in L. unfold end_seen in R.
      pose proof (Z.mul_succ_div_gt (stride d * c - low d - 1) (base d) ltac:(lia)).
      pose proof (Z.mul_succ_div_gt (stride d * (c + size g - 1) + dilation d * (width d - 1) - low d) (base d)
        ltac:(lia)).
      set (u := (stride d * c - low d - 1) / base d) in *.
      set (v := (stride d * (c + size g - 1) + dilation d * (width d - 1) - low d) / base d) in *.
      assert (stride d * c <= stride d * p) by nia. assert (stride d * p <= stride d * (c + size g - 1)) by nia.
      assert (0 <= dilation d * k <= dilation d * (width d - 1)) by nia.
      pose proof (Z.mul_div_le (stride d * c - low d - 1) (base d) ltac:(lia)) as Lo. fold u in Lo.
      split; [assert (u < j); [|lia] | assert (j < v + 1); [|lia]]; nia. }
    destruct D as [e D]. replace (stride d * (q - c - (q' - c))) with (stride d * (q - q')) in D by ring.
    destruct (stands n (low d) (base d) (stride d * q + dilation d * k)) as [j|];
      destruct (stands n (low d) (base d) (stride d * q' + dilation d * k)) as [j'|]; simpl; trivial.
    + pose proof (T q j B ltac:(lia)). pose proof (T q' j' B' ltac:(lia)).
      split; [lia|]. split; [lia|]. apply Known; trivial. apply J; lia || nia.
    + pose proof (T q j B ltac:(lia)). pose proof (T q' (j - e) B' ltac:(nia)). apply (C' (j - e)); [lia | nia].
    + pose proof (T q' j' B' ltac:(lia)). pose proof (T q (j' + e) B ltac:(nia)). apply (C (j' + e)); [lia | nia].
Qed.

(** A function that takes cells in any order, of windows that show whole periods, does not see where they are. *)
Definition sees_whole_periods (d : dim) (n m : Z) (fs : parts) : verdict :=
  match fs with
  | [p] =>
      match merged p with
      | Some f =>
          both (ask (fits_window d n m && (dilation d =? 1) && (low d <? base d) && (high d <? base d)
                     && sane1 f && (cells f =? size p) && (width d mod (period f * base d) =? 0)))
            (follows FUEL [f] p)
      | None => Unknown
      end
  | _ => No
  end.

(** The cells that a window shows of one copy, in the order in which it shows them of the other. *)
Definition turned (d : dim) (n : Z) (q' by_ : Z) : list (option Z) :=
  map (fun k => stands n (low d) (base d) (stride d * q' + dilation d * ((k + by_) mod width d))) (range (width d)).

Lemma sees_whole_periods_right d n m fs t q t' q' : sees_whole_periods d n m fs = Yes ->
  sane_axis fs = true -> size_axis fs = n -> 0 <= q < m -> 0 <= q' < m -> exists l,
  Permutation (map (fun k => stands n (low d) (base d) (stride d * q' + dilation d * k)) (range (width d))) l /\
  Forall2 (read_alike n fs t t')
    (map (fun k => stands n (low d) (base d) (stride d * q + dilation d * k)) (range (width d))) l.
Proof.
  intros H SF ZF Q Q'. unfold sees_whole_periods in H. destruct fs as [|ps [|? ?]]; try discriminate H.
  destruct (merged ps) as [f|]; [|discriminate H].
  apply both_yes in H as [C H]. apply ask_yes in C.
  rewrite !andb_true_iff, !Z.ltb_lt, !Z.eqb_eq in C. destruct C as [[[[[[W D] Lo] Hi] S1] Z1] Pe].
  unfold fits_window in W. rewrite !andb_true_iff, !Z.leb_le, Z.eqb_eq in W.
  destruct W as [[[[[[N M] W1] W2] W3] W4] W5]. pose proof (sane1_positive f S1).
  apply Z.eqb_eq, divides in Pe. destruct Pe as [e Pe].
  rewrite sane_one_axis in SF. simpl in ZF. rewrite Z.add_0_r in ZF.
  set (by_ := stride d * (q - q') - (t - t') * (base d * step f)).
  exists (turned d n q' by_). unfold turned. split.
  - rewrite <- (map_map (fun k => (k + by_) mod width d)
      (fun k => stands n (low d) (base d) (stride d * q' + dilation d * k))).
    apply Permutation_map, turns_permute; lia.
  - apply Forall2_map, Forall2_same. intros k K. apply in_range in K. rewrite D, !Z.mul_1_l.
    set (k' := (k + by_) mod width d). assert (K' : 0 <= k' < width d) by (apply Z.mod_pos_bound; lia).
    assert (T : exists c, stride d * q + k - (stride d * q' + k') =
      base d * ((t - t') * step f + c * period f)).
    { exists (e * ((k + by_) / width d)). unfold k'. rewrite Z.mod_eq by lia. unfold by_. rewrite Pe. ring_simplify.
      set (u := _ / _). ring. }
    destruct T as [c T].
    set (last := (n - 1) * base d + 1 + low d + high d - 1 - dilation d * (width d - 1)) in *.
    assert (L : forall p v, 0 <= p < m -> 0 <= v < width d ->
      0 <= stride d * p + v <= (n - 1) * base d + low d + high d).
    { intros p v I V. pose proof (Z.mul_div_le last (stride d) ltac:(lia)).
      assert (stride d * p <= last) by nia. unfold last in *; nia. }
    assert (B : forall p v j, 0 <= p < m -> 0 <= v < width d -> stride d * p + v - low d = j * base d -> 0 <= j < n).
    { intros p v j I V X. specialize (L p v I V). split; nia. }
    pose proof (stands_cases n (low d) (base d) (stride d * q + k) ltac:(lia)) as C.
    pose proof (stands_cases n (low d) (base d) (stride d * q' + k') ltac:(lia)) as C'.
    set (g := (t - t') * step f + c * period f) in *.
    destruct (stands n (low d) (base d) (stride d * q + k)) as [j|];
      destruct (stands n (low d) (base d) (stride d * q' + k')) as [j'|]; simpl; trivial.
    + split; [lia|]. split; [lia|]. apply alike_one_part; try lia. apply (follows_right FUEL [f] ps); trivial;
        try (simpl; lia).
      { unfold sane; simpl. now rewrite S1. }
      apply alike_one; trivial. unfold alike1. assert (j - j' = g) by nia.
      replace (j - j' - (t - t') * step f) with (c * period f) by (unfold g in *; lia).
      apply Z.divide_factor_r.
    + apply (C' (j - g)); [apply (B q' k'); [lia | lia | nia] | nia].
    + apply (C (j' + g)); [apply (B q k); [lia | lia | nia] | nia].
Qed.

(** Along its axis a window moves, or shows whole periods to a function that takes them in any order. *)
Definition runs (symmetric : bool) (d : dim) (n m : Z) (gs fs : parts) : verdict :=
  match slides d n m gs fs with
  | Yes => Yes
  | why => if symmetric then match sees_whole_periods d n m fs with Yes => Yes | _ => why end else why
  end.

(** Fixed places of an axis: [start + by q], none of which leaves it. Those of a part of the result lie in one part. *)
Definition takes_part (start by_ : Z) (fs : parts) (first : Z) (g : list factor) : verdict :=
  let one := start + by_ * first in let other := start + by_ * (first + size g - 1) in
  let low := Z.min one other in let high := Z.max one other + 1 in
  if silent g || single g && still_from 0 low high fs then Yes else
  match part_from 0 low high fs with
  | Some (_, f) => strided by_ 1 g f
  | None => No
  end.
Definition takes (start by_ n m : Z) (gs fs : parts) : verdict :=
  both (ask ((0 <=? start) && (start <? n) && (0 <=? start + by_ * (m - 1)) && (start + by_ * (m - 1) <? n)))
    (each_part (takes_part start by_ fs) 0 gs).

Lemma takes_inside start by_ n m q : 0 <= start < n -> 0 <= start + by_ * (m - 1) < n -> 0 <= q < m ->
  0 <= start + by_ * q < n.
Proof. intros A B Q. destruct (Z_le_gt_dec 0 by_); split; nia. Qed.

Lemma takes_right start by_ n m gs fs t q t' q' : takes start by_ n m gs fs = Yes ->
  sane_axis gs = true -> sane_axis fs = true -> size_axis gs = m -> size_axis fs = n ->
  0 <= q < m -> 0 <= q' < m -> alike_axis gs t q t' q' ->
  0 <= start + by_ * q < n /\ 0 <= start + by_ * q' < n /\ alike_axis fs t (start + by_ * q) t' (start + by_ * q').
Proof.
  intros H SG SF ZG ZF Q Q' E. apply both_yes in H as [N H]. apply ask_yes in N.
  rewrite !andb_true_iff, !Z.leb_le, !Z.ltb_lt in N.
  pose proof (takes_inside start by_ n m q ltac:(lia) ltac:(lia) Q).
  pose proof (takes_inside start by_ n m q' ltac:(lia) ltac:(lia) Q'). split; [trivial | split; [trivial|]].
  rewrite <- ZG in Q, Q'. destruct (listed_part _ gs t q t' q' H SG Q Q' E) as (c & g & P & S & C0 & C1 & B & B' & A).
  unfold takes_part in P. set (one := start + by_ * c) in *. set (other := start + by_ * (c + size g - 1)) in *.
  assert (T : forall p, c <= p < c + size g -> Z.min one other <= start + by_ * p < Z.max one other + 1).
  { intros p I. unfold one, other. destruct (Z_le_gt_dec 0 by_).
    - assert (by_ * c <= by_ * p) by nia. assert (by_ * p <= by_ * (c + size g - 1)) by nia. lia.
    - assert (by_ * p <= by_ * c) by nia. assert (by_ * (c + size g - 1) <= by_ * p) by nia. lia. }
  pose proof (T q B) as Tq. pose proof (T q' B') as Tq'.
  destruct (silent g || single g && still_from 0 (Z.min one other) (Z.max one other + 1) fs) eqn:U.
  - apply orb_true_iff in U as [U|U].
    + apply silent_tells in A as [-> A]; trivial; try lia. now replace q with q' by lia.
    + apply andb_true_iff in U as [U1 U2]. apply single_tells in A; trivial; try lia. replace q with q' in * by lia.
      apply still_from_right with (Z.min one other) (Z.max one other + 1); trivial; lia.
  - destruct (part_from _ _ _ fs) as [[c' f]|] eqn:F; [|easy].
    destruct (known_part _ _ _ _ _ F SF) as (Sf & C0' & L & R & C1' & Known).
    destruct (strided_right by_ 1 g f t (q - c) t' (q' - c) P) as [_ J]; trivial; try lia.
    apply Known; try lia. apply J; lia.
Qed.

(** All axes but one correspond. *)
Definition other_axes (a : nat) (sh : list Z) (G : list parts) (s : list Z) (F : list parts)
  : verdict :=
  both (ask ((length s =? length sh)%nat && (a <? length sh)%nat))
    (all_of (map (fun b => if (b =? a)%nat then Yes
                           else same_axis (nth b sh 0) (nth b s 0) (nth b G []) (nth b F [])) (seq 0 (length s)))).

Section Claims.
Context {V source : Type}.
Context {index : Type}.
Variables (turn : index -> Z) (copy : index -> source).
Coercion turn : index >-> Z.
Notation right := (right (V := V) turn copy).
Notation premise := (premise (V := V) turn copy).

Lemma put_nth a v i b : (b < length i)%nat -> nth b (put a v i) 0 = if (b =? a)%nat then v else nth b i 0.
Proof. apply nth_build. Qed.

(** Where all other axes correspond, it is enough to look at what is read along the one. *)
Lemma put_right a sh G F (one : operand V source) (t : index) i (t' : index) i' j j' :
  fits G sh = true -> premise F one ->
  other_axes a sh G (fst one) F = Yes ->
  inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  0 <= j < nth a (fst one) 0 -> 0 <= j' < nth a (fst one) 0 -> alike_axis (nth a F []) t j t' j' ->
  snd one (copy t) (put a j i) = snd one (copy t') (put a j' i').
Proof.
  intros S P H I I' E J J' A. apply both_yes in H as [N H]. apply ask_yes, andb_true_iff in N as [N L].
  apply Nat.eqb_eq in N. pose proof I as [LI _]. pose proof I' as [LI' _].
  assert (C : forall b, (b < length (fst one))%nat -> b <> a ->
    0 <= nth b i 0 < nth b (fst one) 0 /\ 0 <= nth b i' 0 < nth b (fst one) 0 /\
    alike_axis (nth b F []) t (nth b i 0) t' (nth b i' 0)).
  { intros b B D. destruct (result_axes G sh t i t' i' S I I' E b) as (SG & ZG & X & X' & Y); [lia|].
    eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact B]]. cbv beta in H.
    apply Nat.eqb_neq in D. rewrite D in H.
    destruct P as [P _]. apply fits_right in P as [_ P]. destruct (P b B) as [SF ZF].
    destruct (same_axis_right _ _ _ _ t _ t' _ H SG SF ZG ZF X X' Y) as [<- K]. intuition. }
  assert (In1 : forall (u : list Z) v, length u = length sh -> 0 <= v < nth a (fst one) 0 ->
    (forall b, (b < length (fst one))%nat -> b <> a -> 0 <= nth b u 0 < nth b (fst one) 0) ->
    inside (fst one) (put a v u)).
  { intros u v LU BV W. unfold put. rewrite LU, <- N. apply build_inside. intros b B.
    destruct (Nat.eqb_spec b a) as [->|D]; [trivial | now apply W]. }
  apply premise_cell with turn F; trivial.
  - apply In1; trivial. intros b B D. now apply C.
  - apply In1; trivial. intros b B D. now apply C.
  - intros b B. rewrite !put_nth by lia. destruct (Nat.eqb_spec b a) as [->|D]; [trivial | now apply C].
Qed.

Definition take_rule (a : nat) (start by_ : Z) (sh : list Z) (G : list parts) (s : list Z)
  (F : list parts) : verdict :=
  both (other_axes a sh G s F) (takes start by_ (nth a s 0) (nth a sh 0) (nth a G []) (nth a F [])).

(** A slice is right where the places taken of two alike cells are alike: the step times the stride is that of the
    operand. *)
Theorem take_right : forall a start by_ sh G F one R, fits G sh = true -> premise F one ->
  take_rule a start by_ sh G (fst one) F = Yes ->
  (forall z i, inside sh i -> R z i = snd one z (put a (start + by_ * nth a i 0) i)) ->
  right G sh R.
Proof.
  intros a start by_ sh G F one R S P H M t i t' i' I I' E. rewrite !M by trivial.
  apply both_yes in H as [O H]. pose proof O as O'. apply both_yes in O' as [N _].
  apply ask_yes, andb_true_iff in N as [N L]. apply Nat.eqb_eq in N. apply Nat.ltb_lt in L.
  destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & X & X' & Y).
  pose proof (fits_right F _ (proj1 P)) as [_ W]. destruct (W a) as [SF ZF]; [lia|].
  destruct (takes_right _ _ _ _ _ _ t _ t' _ H SG SF ZG ZF X X' Y) as (J & J' & A).
  now apply put_right with sh G F.
Qed.

Definition pad_rule (a : nat) (before behind inner : Z) (sh : list Z) (G : list parts) (s : list Z)
  (F : list parts) (t : list Z) : verdict :=
  both (ask (length t =? 0)%nat)
    (both (other_axes a sh G s F)
      (slides (Dim a a 1 1 before behind (inner + 1) 1) (nth a s 0) (nth a sh 0) (nth a G []) (nth a F []))).

(** A padding is right where two alike cells are both padding, or cells of the operand that are alike. *)
Theorem pad_right : forall a before behind inner sh G F one F' two R, fits G sh = true ->
  premise F one -> premise F' two -> pad_rule a before behind inner sh G (fst one) F (fst two) = Yes ->
  (forall z i, inside sh i ->
     R z i = match stands (nth a (fst one) 0) before (inner + 1) (nth a i 0) with
             | Some j => snd one z (put a j i)
             | None => snd two z []
             end) ->
  right G sh R.
Proof.
  intros a before behind inner sh G F one F' two R S P P' H M t i t' i' I I' E. rewrite !M by trivial.
  apply both_yes in H as [T H]. apply ask_yes, Nat.eqb_eq in T. apply both_yes in H as [O H].
  pose proof O as O'. apply both_yes in O' as [N _].
  apply ask_yes, andb_true_iff in N as [N L]. apply Nat.eqb_eq in N. apply Nat.ltb_lt in L.
  destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & X & X' & Y).
  pose proof (fits_right F _ (proj1 P)) as [_ W]. destruct (W a) as [SF ZF]; [lia|].
  pose proof (slides_right _ _ _ _ _ t _ t' _ 0 H SG SF ZG ZF X X' Y ltac:(simpl; lia)) as A.
  cbn [low high base stride dilation width] in A. rewrite !Z.mul_1_l, !Z.add_0_r in A.
  destruct (stands _ _ _ (nth a i 0)) as [j|]; destruct (stands _ _ _ (nth a i' 0)) as [j'|]; simpl in A; try easy.
  - destruct A as (J & J' & A). now apply put_right with sh G F.
  - apply premise_cell with turn F'; trivial; rewrite ?T; try (split; simpl; [auto | lia]). intros b B; lia.
Qed.

(** ** Windows *)

(** Along one axis of the first operand: a window runs, or the axis is kept, or all of its cells are used. *)
Definition seen_axis (symmetric : bool) (dims : list dim) (kept : list (nat * nat)) (sh : list Z)
  (G : list parts) (s : list Z) (F : list parts) (a : nat) : verdict :=
  match find (fun d => (axis d =? a)%nat) dims with
  | Some d =>
      both (ask (out d <? length sh)%nat)
        (runs symmetric d (nth a s 0) (nth (out d) sh 0) (nth (out d) G []) (nth a F []))
  | None =>
      match find (fun names => (fst names =? a)%nat) kept with
      | Some names =>
          both (ask (snd names <? length sh)%nat)
            (same_axis (nth (snd names) sh 0) (nth a s 0) (nth (snd names) G []) (nth a F []))
      | None => ask (still_axis (nth a F []))
      end
  end.

(** An operand that is used whole stays. *)
Definition stays (F : list parts) : bool := forallb still_axis F.

Definition window_rule (symmetric : bool) (dims : list dim) (kept : list (nat * nat)) (sh : list Z)
  (G : list parts) (s : list Z) (F : list parts) (others : list (list parts)) : verdict :=
  let axes := map axis dims ++ map fst kept in
  let outs := map out dims ++ map snd kept in
  both (ask (distinct axes && below (length s) axes && distinct outs && below (length sh) outs))
    (both (ask (forallb (fun a => single_axis (nth a G [])) (unnamed outs (length sh)) && forallb stays others))
       (all_of (map (seen_axis symmetric dims kept sh G s F) (seq 0 (length s))))).

Lemma stays_axis F s a : fits F s = true -> stays F = true -> (a < length s)%nat -> still_axis (nth a F []) = true.
Proof.
  intros S H L. apply fits_right in S as [N _]. unfold stays in H. rewrite forallb_forall in H.
  apply H, nth_In; lia.
Qed.

Lemma whole_right F one t t' : premise F one -> stays F = true -> whole (copy t) one = whole (copy t') one.
Proof.
  intros P H. unfold whole. apply map_ext_in. intros c I. apply ranges_inside in I.
  apply premise_cell with turn F; trivial. intros a L. pose proof (fits_right F _ (proj1 P)) as [_ W].
  destruct (W a L) as [Sa Z]. apply still_axis_stays; trivial; [apply stays_axis with (fst one); trivial; apply P|].
  rewrite Z. now apply I.
Qed.

Lemma all_there_related rel b c c' : related rel b c c' ->
  (forall a v v', rel a v v' -> match v, v' with Some _, Some _ | None, None => True | _, _ => False end) ->
  match all_there c, all_there c' with
  | Some l, Some l' => length l = length c /\ length l' = length c /\
      forall a, (a < length c)%nat -> rel (b + a)%nat (Some (nth a l 0)) (Some (nth a l' 0))
  | None, None => True
  | _, _ => False
  end.
Proof.
  intros H T. revert c' b H; induction c as [|v c IH]; intros [|v' c'] b H; simpl in *; try easy.
  destruct H as [R H]. pose proof (T b v v' R) as K. destruct v as [j|], v' as [j'|]; try easy.
  specialize (IH c' (Datatypes.S b) H). destruct (all_there c) as [l|], (all_there c') as [l'|]; simpl; try easy.
  destruct IH as (L & L' & IH). repeat split; try lia. intros [|a] B; simpl.
  - now rewrite Nat.add_0_r.
  - replace (b + Datatypes.S a)%nat with (Datatypes.S b + a)%nat by lia. apply IH; lia.
Qed.

Lemma read_cell F one (t t' : index) c c' : premise F one -> length c = length (fst one) ->
  related (fun a => read_alike (nth a (fst one) 0) (nth a F []) t t') 0 c c' ->
  option_map (snd one (copy t)) (all_there c) = option_map (snd one (copy t')) (all_there c').
Proof.
  intros P L H. apply all_there_related in H; [|intros a [v|] [v'|] R; simpl in R; tauto].
  destruct (all_there c) as [l|], (all_there c') as [l'|]; simpl; try easy.
  destruct H as (N & N' & H). f_equal. rewrite L in *.
  apply premise_cell with turn F; trivial; try (split; [trivial|]); intros a B; specialize (H a B); simpl in H; tauto.
Qed.

(** What two windows read of an operand is one list, or the same in another order, where along each axis it is. *)
Lemma views_alike symmetric F one (t t' : index) h h' : premise F one ->
  (forall a, (a < length (fst one))%nat -> exists l, (l = h' a \/ symmetric = true) /\ Permutation (h' a) l /\
     Forall2 (read_alike (nth a (fst one) 0) (nth a F []) t t') (h a) l) ->
  let seen h (t : index) := map (fun c => option_map (snd one (copy t)) (all_there c))
                      (product (map h (seq 0 (length (fst one))))) in
  seen h t = seen h' t' \/ symmetric = true /\ Permutation (seen h t) (seen h' t').
Proof.
  intros P H. cbv zeta. set (rank := length (fst one)).
  destruct (chosen (fun a l => (l = h' a \/ symmetric = true) /\ Permutation (h' a) l /\
    Forall2 (read_alike (nth a (fst one) 0) (nth a F []) t t') (h a) l) [] rank H) as [h'' Each].
  assert (Same : map (fun c => option_map (snd one (copy t)) (all_there c)) (product (map h (seq 0 rank))) =
                 map (fun c => option_map (snd one (copy t')) (all_there c)) (product (map h'' (seq 0 rank)))).
  { apply equal_maps with (P := fun c c' => length c = length (fst one) /\
      related (fun a => read_alike (nth a (fst one) 0) (nth a F []) t t') 0 c c').
    - intros c c' [L R]. now apply read_cell with F.
    - apply products_related. intros a B. apply Each. unfold rank; lia. }
  rewrite Same. destruct symmetric eqn:Sy.
  - right. split; trivial. apply Permutation_map, products_permuted, Forall2_map_seq. intros a B.
    apply Permutation_sym, Each; lia.
  - left. f_equal. f_equal. apply map_seq_equal. intros a B. now destruct (Each a B) as [[U|U] _].
Qed.

Lemma seen_axis_right symmetric dims kept sh G F one t i t' i' a : fits G sh = true -> premise F one ->
  (a < length (fst one))%nat -> seen_axis symmetric dims kept sh G (fst one) F a = Yes ->
  inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  exists l, (l = shown dims kept (fst one) i' a \/ symmetric = true) /\
    Permutation (shown dims kept (fst one) i' a) l /\
    Forall2 (read_alike (nth a (fst one) 0) (nth a F []) t t') (shown dims kept (fst one) i a) l.
Proof.
  intros S P B H I I' E.
  pose proof (fits_right F _ (proj1 P)) as [_ W]. destruct (W a B) as [SF ZF].
  unfold seen_axis in H. unfold shown. destruct (find _ dims) as [d|].
  - apply both_yes in H as [O H]. apply ask_yes, Nat.ltb_lt in O.
    destruct (result_axes G sh t i t' i' S I I' E _ O) as (SG & ZG & X & X' & Y).
    unfold runs in H.
    destruct (slides d (nth a (fst one) 0) (nth (out d) sh 0) (nth (out d) G []) (nth a F [])) eqn:Sl.
    + eexists. split; [left; reflexivity|]. split; [apply Permutation_refl|].
      apply Forall2_map, Forall2_same. intros k K. apply in_range in K.
      exact (slides_right _ _ _ _ _ t _ t' _ k Sl SG SF ZG ZF X X' Y K).
    + destruct symmetric; [|easy].
      destruct (sees_whole_periods d (nth a (fst one) 0) (nth (out d) sh 0) (nth a F [])) eqn:Wh; try easy.
      destruct (sees_whole_periods_right _ _ _ _ t _ t' _ Wh SF ZF X X') as (l & L & L'). exists l. auto.
    + destruct symmetric; [|easy].
      destruct (sees_whole_periods d (nth a (fst one) 0) (nth (out d) sh 0) (nth a F [])) eqn:Wh; try easy.
      destruct (sees_whole_periods_right _ _ _ _ t _ t' _ Wh SF ZF X X') as (l & L & L'). exists l. auto.
  - eexists. split; [left; reflexivity|]. split; [apply Permutation_refl|].
    destruct (find _ kept) as [names|].
    + apply both_yes in H as [O H]. apply ask_yes, Nat.ltb_lt in O.
      destruct (result_axes G sh t i t' i' S I I' E _ O) as (SG & ZG & X & X' & Y).
      destruct (same_axis_right _ _ _ _ t _ t' _ H SG SF ZG ZF X X' Y) as [<- K].
      repeat constructor; simpl; trivial; lia.
    + apply ask_yes in H. apply Forall2_map, Forall2_same. intros k K. apply in_range in K.
      simpl. repeat split; try lia. apply still_axis_stays; trivial; lia.
Qed.

Lemma view_right symmetric dims kept sh G F one (t : index) i (t' : index) i' : fits G sh = true -> premise F one ->
  all_of (map (seen_axis symmetric dims kept sh G (fst one) F) (seq 0 (length (fst one)))) = Yes ->
  inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  let v := view dims kept (fst one) i (snd one (copy t)) in
  let v' := view dims kept (fst one) i' (snd one (copy t')) in
  v = v' \/ symmetric = true /\ Permutation v v'.
Proof.
  intros S P H I I' E. cbv zeta. unfold view. apply (views_alike symmetric F one t t'); trivial. intros a B.
  eapply all_yes in H; [|apply in_map, in_seq; split; [lia | apply B]]. now apply (seen_axis_right symmetric) with sh G.
Qed.

(** Coordinates of the result that a function may use are told apart. *)
Lemma key_right l sh G t i t' i' : fits G sh = true -> inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  (forall a, In a l -> (a < length sh)%nat /\ single_axis (nth a G []) = true) ->
  coordinates_of l i = coordinates_of l i'.
Proof.
  intros S I I' E H. unfold coordinates_of. apply map_ext_in. intros a K. apply H in K as [L U].
  destruct (result_axes G sh t i t' i' S I I' E a L) as (SG & ZG & X & X' & Y).
  apply (single_axis_tells (nth a G []) t _ t' _); trivial; lia.
Qed.

(** Any function of a window is right where what it shows at two alike places is alike, cell by cell, and all else
    stays. *)
Theorem window_right : forall symmetric dims kept sh G F one (others : list (list parts * operand V source)) f R,
  fits G sh = true -> premise F one -> (forall F' two, In (F', two) others -> premise F' two) ->
  window_rule symmetric dims kept sh G (fst one) F (map fst others) = Yes ->
  (symmetric = true -> forall key l l' rest, Permutation l l' -> f key l rest = f key l' rest :> V) ->
  (forall z i, inside sh i ->
     R z i = f (coordinates_of (unnamed (map out dims ++ map snd kept) (length sh)) i)
               (view dims kept (fst one) i (snd one z)) (map (whole z) (map snd others))) ->
  right G sh R.
Proof.
  intros symmetric dims kept sh G F one others f R S P PO H Sy M t i t' i' I I' E. rewrite !M by trivial.
  apply both_yes in H as [_ H]. apply both_yes in H as [N H].
  apply ask_yes, andb_true_iff in N as [N O]. rewrite forallb_forall in N, O.
  rewrite (key_right _ sh G t i t' i' S I I' E)
    by (intros a K; split; [now apply unnamed_in in K | now apply N]).
  replace (map (whole (copy t)) (map snd others)) with (map (whole (copy t')) (map snd others)).
  - destruct (view_right symmetric dims kept sh G F one t i t' i' S P H I I' E) as [-> | [U X]]; [trivial|].
    now apply Sy.
  - rewrite !map_map. apply map_ext_in. intros [F' two] K. apply whole_right with F'; [now apply (PO F' two)|].
    apply O, in_map_iff. now exists (F', two).
Qed.

End Claims.
