(** * Rules of folds: sums of cells that are moved, and padded by zeros

    Where an operation moves cells, it moves the sums of cells as well: the array of the sums of its result is made of
    that of its operand by the same operation. So the rules of these arrays are those of any other. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders Views Sums.
Import ListNotations.
Open Scope Z_scope.

(** Along two axes whose cells correspond the same cells are summed. *)
Definition agree (n n' : Z) (us ss : parts) : verdict := both (same_axis n n' us ss) (follows_axis ss us).

(** The same along all axes but one, along which every cell is told apart. *)
Definition other_sums (a : nat) (sh : list Z) (U : list parts) (s : list Z) (S : list parts)
  (along : verdict) : verdict :=
  both (ask ((length s =? length sh)%nat && (a <? length sh)%nat))
    (all_of (map (fun b => if (b =? a)%nat then along
                           else agree (nth b sh 0) (nth b s 0) (nth b U []) (nth b S [])) (seq 0 (length s)))).
Definition apart_along (a : nat) (U S : list parts) : verdict :=
  ask (single_axis (nth a U []) && single_axis (nth a S [])).

Lemma agree_right n n' us ss : agree n n' us ss = Yes -> sane_axis us = true -> sane_axis ss = true -> size_axis us = n ->
  size_axis ss = n' ->
  n = n' /\ forall j k, 0 <= j < n -> 0 <= k < n -> (alike_axis us 0 j 0 k <-> alike_axis ss 0 j 0 k).
Proof.
  intros H SU SS ZU ZS. apply both_yes in H as [H K]. apply both_yes in H as [N H]. apply ask_yes, Z.eqb_eq in N.
  split; trivial. intros j k J I. split; [apply (follows_axis_right us ss) | apply (follows_axis_right ss us)];
    trivial; lia.
Qed.

Lemma inside_put s i a v : length i = length s -> 0 <= v < nth a s 0 ->
  (forall b, (b < length s)%nat -> b <> a -> 0 <= nth b i 0 < nth b s 0) -> inside s (put a v i).
Proof.
  intros L B W. unfold put. rewrite L. apply build_inside. intros b I. destruct (Nat.eqb_spec b a) as [->|D]; auto.
Qed.

Lemma put_length a v i : length (put a v i) = length i.
Proof. apply build_length. Qed.

(** Two lists of coordinates that differ along one axis only. *)
Lemma put_equal a v i k : length k = length i -> v = nth a k 0 ->
  (forall b, (b < length i)%nat -> b <> a -> nth b i 0 = nth b k 0) -> put a v i = k.
Proof.
  intros L V H. apply equal_lists; rewrite put_length; [easy|]. intros b I. rewrite put_nth by trivial.
  destruct (Nat.eqb_spec b a) as [->|D]; auto.
Qed.

Section Folds.
Context {V : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Notation zero := (nought numbers).
Notation sums := (sums numbers).

(** ** The same cells in another order *)

Definition reshape_sums (sh : list Z) (U : list parts) (s : list Z) (S : list parts) : verdict :=
  both (ask (count sh =? count s)) (both (follows_places U S) (follows_places S U)).

Lemma place_cell_at F s w : fit_all F s -> 0 <= w < count s -> place s (cell_at s w) = w.
Proof.
  revert s w; induction F as [|fs F IH]; intros [|n s] w H W; simpl in *; try easy; [lia|].
  destruct H as [_ H]. destruct (fit_sizes F s H) as [S' Z']. pose proof (sizes_axes_positive _ S').
  rewrite IH; trivial; [symmetry; apply digits; lia | apply digit_minor; lia].
Qed.

Lemma beside_places S s w w' : fits S s = true -> 0 <= w < count s -> 0 <= w' < count s ->
  (beside S (cell_at s w) (cell_at s w') = true <-> alike_places S 0 w 0 w').
Proof.
  intros F W W'. rewrite (beside_alike S s), (places_alike S s) by (trivial; now apply fits_all).
  now rewrite (proj1 (fits_right S s F)).
Qed.

(** The sums of a reshaped array are those of the array, reshaped. *)
Theorem reshape_sums_right : forall sh U s S (R A : array V), fits U sh = true -> fits S s = true ->
  reshape_sums sh U s S = Yes -> (forall i, inside sh i -> R i = A (cell_at s (place sh i))) ->
  forall i, inside sh i -> sums U sh R i = sums S s A (cell_at s (place sh i)).
Proof.
  intros sh U s S R A FU FS H M i I. apply both_yes in H as [N H]. apply ask_yes, Z.eqb_eq in N.
  apply both_yes in H as [H1 H2]. pose proof (fits_all U sh FU) as AU. pose proof (fits_all S s FS) as AS.
  destruct (fit_sizes U sh AU) as [SU ZU]. destruct (fit_sizes S s AS) as [SS ZS].
  assert (Same : forall w w', 0 <= w < count s -> 0 <= w' < count s ->
    (beside U (cell_at sh w) (cell_at sh w') = true <-> beside S (cell_at s w) (cell_at s w') = true)).
  { intros w w' W W'. rewrite !beside_places by (trivial; lia).
    split; [apply (follows_places_right _ S) | apply (follows_places_right _ U)]; trivial; lia. }
  pose proof (place_bounds sh i I) as P.
  apply (sums_meet numbers Law) with (h := fun j => cell_at sh (place s j)).
  - intros j J. apply in_class in J as [J B]. pose proof (place_bounds s j J) as Q. split.
    + apply in_class. split; [apply cell_at_inside with U; trivial; lia|]. rewrite <- (cell_at_place sh i I).
      apply Same; try lia. now rewrite cell_at_place.
    + rewrite M by (apply cell_at_inside with U; trivial; lia). rewrite (place_cell_at U) by (trivial; lia).
      now rewrite cell_at_place.
  - intros j k J K E. apply in_class in J as [J _]. apply in_class in K as [K _].
    pose proof (place_bounds s j J). pose proof (place_bounds s k K).
    rewrite <- (cell_at_place s j J), <- (cell_at_place s k K). f_equal.
    rewrite <- (place_cell_at U sh (place s j)), <- (place_cell_at U sh (place s k)), E by (trivial; lia). reflexivity.
  - intros k K. right. apply in_class in K as [K B]. pose proof (place_bounds sh k K).
    assert (J : inside s (cell_at s (place sh k))) by (apply cell_at_inside with S; trivial; lia).
    exists (cell_at s (place sh k)). split.
    + apply in_class. split; trivial. apply Same; try lia. now rewrite !cell_at_place.
    + rewrite (place_cell_at S) by (trivial; lia). now apply cell_at_place.
Qed.

Definition transpose_sums (order : list nat) (sh : list Z) (U : list parts) (s : list Z)
  (S : list parts) : verdict :=
  both (ask ((length order =? length s)%nat && (length sh =? length s)%nat && distinct order && below (length s) order
             && forallb (fun a => listed a order) (seq 0 (length s))))
    (all_of (map (fun o => agree (nth o sh 0) (nth (nth o order O) s 0) (nth o U []) (nth (nth o order O) S []))
                 (seq 0 (length sh)))).

(** The sums of a transposed array are those of the array, transposed. *)
Theorem transpose_sums_right : forall order sh U s S (R A : array V), fits U sh = true -> fits S s = true ->
  transpose_sums order sh U s S = Yes ->
  (forall i, inside sh i -> R i = A (build (length s) (fun a => nth (position a order) i 0))) ->
  forall i, inside sh i -> sums U sh R i = sums S s A (build (length s) (fun a => nth (position a order) i 0)).
Proof.
  intros order sh U s S R A FU FS H M i I. apply both_yes in H as [N H]. apply ask_yes in N.
  rewrite !andb_true_iff, !Nat.eqb_eq in N. destruct N as [[[[N1 N2] D] B] T]. rewrite forallb_forall in T.
  unfold distinct in D. unfold below in B. rewrite forallb_forall in D, B.
  set (g := fun k => build (length s) (fun a => nth (position a order) k 0)).
  set (h := fun j => build (length sh) (fun o => nth (nth o order O) j 0)).
  assert (To : forall a, (a < length s)%nat -> (position a order < length sh)%nat /\ nth (position a order) order O = a).
  { intros a L. assert (K : In a order) by (apply listed_in, T, in_seq; lia). apply position_in in K. lia. }
  assert (From : forall o, (o < length sh)%nat -> (nth o order O < length s)%nat /\ position (nth o order O) order = o).
  { intros o L. split; [apply Nat.ltb_lt, B, nth_In; lia | apply Nat.eqb_eq, D, in_seq; lia]. }
  assert (GH : forall j, length j = length s -> g (h j) = j).
  { intros j L. apply equal_lists; unfold g; rewrite build_length; [easy|]. intros a K. destruct (To a K) as [K1 K2].
    rewrite nth_build by trivial. unfold h. rewrite nth_build by trivial. now rewrite K2. }
  assert (HG : forall k, length k = length sh -> h (g k) = k).
  { intros k L. apply equal_lists; unfold h; rewrite build_length; [easy|]. intros o K. destruct (From o K) as [K1 K2].
    rewrite nth_build by trivial. unfold g. rewrite nth_build by trivial. now rewrite K2. }
  assert (Ax : forall o, (o < length sh)%nat -> nth o sh 0 = nth (nth o order O) s 0 /\ forall v w,
    0 <= v < nth o sh 0 -> 0 <= w < nth o sh 0 ->
    (alike_axis (nth o U []) 0 v 0 w <-> alike_axis (nth (nth o order O) S []) 0 v 0 w)).
  { intros o L. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]]. destruct (From o L) as [K _].
    pose proof (fits_right U sh FU) as [_ W]. pose proof (fits_right S s FS) as [_ W'].
    destruct (W o L), (W' _ K). now apply (agree_right _ _ _ _ H). }
  assert (GI : forall k, inside sh k -> inside s (g k)).
  { intros k [L K]. apply build_inside. intros a Q. destruct (To a Q) as [Q1 Q2]. destruct (Ax _ Q1) as [E _].
    rewrite Q2 in E. rewrite <- E. now apply K. }
  assert (HI : forall j, inside s j -> inside sh (h j)).
  { intros j [L K]. apply build_inside. intros o Q. destruct (Ax o Q) as [-> _]. apply K, From, Q. }
  assert (Same : forall k k', inside sh k -> inside sh k' -> (beside U k k' = true <-> beside S (g k) (g k') = true)).
  { intros k k' K K'. rewrite (beside_alike U sh), (beside_alike S s) by trivial. unfold g. split; intros E a Q.
    - rewrite !nth_build by trivial. destruct (To a Q) as [Q1 Q2]. destruct (Ax _ Q1) as [_ X]. rewrite Q2 in X.
      apply X; [apply K | apply K' |]; auto.
    - destruct (From a Q) as [Q1 Q2]. destruct (Ax _ Q) as [_ X]. apply X; [now apply K | now apply K'|].
      specialize (E _ Q1). now rewrite !nth_build, Q2 in E by trivial. }
  fold (g i). apply (sums_meet numbers Law) with (h := h).
  - intros j J. apply in_class in J as [J E]. split.
    + apply in_class. split; [auto|]. apply Same; auto. rewrite GH; trivial. apply J.
    + rewrite M by auto. fold (g (h j)). rewrite GH; trivial. apply J.
  - intros j k J K E. apply in_class in J as [J _]. apply in_class in K as [K _].
    rewrite <- (GH j), <- (GH k), E by (apply J || apply K). reflexivity.
  - intros k K. right. apply in_class in K as [K E]. exists (g k). split; [|apply HG, K].
    apply in_class. split; [auto|]. now apply Same.
Qed.

(** ** Along one axis *)

Lemma other_sums_right a sh U s S along : fits U sh = true -> fits S s = true -> other_sums a sh U s S along = Yes ->
  length s = length sh /\ (a < length sh)%nat /\ along = Yes /\
  forall b, (b < length sh)%nat -> b <> a -> nth b sh 0 = nth b s 0 /\ forall j k,
    0 <= j < nth b sh 0 -> 0 <= k < nth b sh 0 ->
    (alike_axis (nth b U []) 0 j 0 k <-> alike_axis (nth b S []) 0 j 0 k).
Proof.
  intros FU FS H. apply both_yes in H as [N H]. apply ask_yes, andb_true_iff in N as [N L].
  apply Nat.eqb_eq in N. apply Nat.ltb_lt in L.
  assert (E : forall b, (b < length sh)%nat -> (if (b =? a)%nat then along
    else agree (nth b sh 0) (nth b s 0) (nth b U []) (nth b S [])) = Yes).
  { intros b I. rewrite <- N in I. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact I]]. exact H. }
  split; trivial. split; trivial. split; [specialize (E a L); now rewrite Nat.eqb_refl in E|]. intros b I D.
  specialize (E b I). apply Nat.eqb_neq in D. rewrite D in E.
  pose proof (fits_right U sh FU) as [_ W]. pose proof (fits_right S s FS) as [_ W'].
  destruct (W b I), (W' b ltac:(lia)). now apply (agree_right _ _ _ _ E).
Qed.

(** Where cells are taken along an axis along which none are summed, or zeros put there, the same is done of the sums. *)
Theorem sums_along : forall a sh U s S (R A : array V) r i, fits U sh = true -> fits S s = true ->
  other_sums a sh U s S (apart_along a U S) = Yes ->
  (forall k, inside sh k -> R k = match r (nth a k 0) with Some v => A (put a v k) | None => zero end) ->
  inside sh i -> (forall v, r (nth a i 0) = Some v -> 0 <= v < nth a s 0) ->
  sums U sh R i = match r (nth a i 0) with Some v => sums S s A (put a v i) | None => zero end.
Proof.
  intros a sh U s S R A r i FU FS H M I B. apply other_sums_right in H as (N & L & T & O); trivial.
  apply ask_yes, andb_true_iff in T as [TU TS].
  pose proof (fits_right U sh FU) as [_ W]. pose proof (fits_right S s FS) as [_ W'].
  destruct (W a L) as [SU ZU]. destruct (W' a ltac:(lia)) as [SS ZS]. pose proof I as [LI II].
  assert (At : forall k, In k (class U sh i) -> nth a k 0 = nth a i 0).
  { intros k K. apply in_class in K as [K E]. rewrite (beside_alike U sh) in E by trivial. specialize (E a L). symmetry.
    apply (single_axis_tells (nth a U []) 0 _ 0 _); trivial; rewrite ZU; [now apply II | now apply K]. }
  destruct (r (nth a i 0)) as [v|] eqn:E.
  - specialize (B v eq_refl).
    assert (At' : forall j, In j (class S s (put a v i)) -> nth a j 0 = v).
    { intros j J. apply in_class in J as [J F]. rewrite (beside_alike S s) in F by trivial. specialize (F a ltac:(lia)).
      rewrite put_nth, Nat.eqb_refl in F by lia. symmetry.
      apply (single_axis_tells (nth a S []) 0 _ 0 _); trivial; rewrite ZS; [trivial | apply J; lia]. }
    apply (sums_meet numbers Law) with (h := put a (nth a i 0)).
    + intros j J. pose proof (At' j J) as V0. apply in_class in J as [J F]. pose proof J as [LJ IJ].
      assert (In' : inside sh (put a (nth a i 0) j)).
      { apply inside_put; [lia | auto |]. intros b Q D. destruct (O b Q D) as [-> _]. apply IJ; lia. }
      split.
      * apply in_class. split; trivial. rewrite (beside_alike U sh) by trivial.
        rewrite (beside_alike S s) in F by trivial. intros b Q. rewrite put_nth by lia.
        destruct (Nat.eqb_spec b a) as [->|D]; [reflexivity|]. destruct (O b Q D) as [X Y].
        apply Y; [now apply II | rewrite X; apply IJ; lia|]. specialize (F b ltac:(lia)).
        rewrite put_nth in F by lia. apply Nat.eqb_neq in D. now rewrite D in F.
      * rewrite M by trivial. rewrite put_nth, Nat.eqb_refl, E by lia. f_equal.
        apply put_equal; rewrite ?put_length; auto. intros b Q D. rewrite put_nth by lia.
        apply Nat.eqb_neq in D. now rewrite D.
    + intros j k J K F. pose proof (At' j J) as VJ. pose proof (At' k K) as VK. apply in_class in J as [[J _] _].
      apply in_class in K as [[K _] _]. apply equal_lists; [congruence|]. intros b Q.
      destruct (Nat.eq_dec b a) as [->|D]; [congruence|]. apply (f_equal (fun l => nth b l 0)) in F.
      rewrite !put_nth in F by congruence. apply Nat.eqb_neq in D. now rewrite D in F.
    + intros k K. right. pose proof (At k K) as V0. apply in_class in K as [K F]. pose proof K as [LK IK].
      exists (put a v k). split.
      * apply in_class. split.
        { apply inside_put; [lia | trivial |]. intros b Q D. destruct (O b ltac:(lia) D) as [<- _]. apply IK; lia. }
        rewrite (beside_alike S s) by trivial. rewrite (beside_alike U sh) in F by trivial. intros b Q.
        rewrite !put_nth by lia. destruct (Nat.eqb_spec b a) as [->|D]; [reflexivity|].
        destruct (O b ltac:(lia) D) as [X Y]. apply Y; [apply II; lia | apply IK; lia | apply F; lia].
      * apply put_equal; rewrite ?put_length; auto. intros b Q D. rewrite put_nth by lia.
        apply Nat.eqb_neq in D. now rewrite D.
  - apply (total_zero numbers Law). intros k K. pose proof (At k K) as V0. apply in_class in K as [K _].
    rewrite M by trivial. now rewrite V0, E.
Qed.

(** Zeros before and behind the cells that are summed modulo a period, of which all sums are there. *)
Definition padded_laps (before behind inner n m : Z) (us ss : parts) : verdict :=
  match us, ss with
  | [[u]], [[w]] => ask ((1 <=? period w) && (inner =? 0) && (0 <=? before) && (0 <=? behind)
                         && (m =? n + before + behind) && (period u =? period w) && (period w <=? n))
  | _, _ => No
  end.

Definition first_factor (ps : parts) : factor := hd (Still 1 1) (hd [] ps).

(** They are then the same sums, counted from another one on. *)
Theorem padded_laps_right : forall a before behind inner sh U s S (R A : array V), fits U sh = true -> fits S s = true ->
  other_sums a sh U s S (padded_laps before behind inner (nth a s 0) (nth a sh 0) (nth a U []) (nth a S [])) = Yes ->
  (forall k, inside sh k ->
     R k = match stands (nth a s 0) before (inner + 1) (nth a k 0) with Some v => A (put a v k) | None => zero end) ->
  forall i, inside sh i -> let q := period (first_factor (nth a S [])) in
    0 <= (nth a i 0 - before) mod q < nth a s 0 /\
    sums U sh R i = sums S s A (put a ((nth a i 0 - before) mod q) i).
Proof.
  intros a before behind inner sh U s S R A FU FS H M i I q. apply other_sums_right in H as (N & L & T & O); trivial.
  pose proof (fits_right U sh FU) as [_ W]. pose proof (fits_right S s FS) as [_ W'].
  destruct (W a L) as [SU ZU]. destruct (W' a ltac:(lia)) as [SS ZS]. pose proof I as [LI II]. subst q.
  destruct (nth a U []) as [|[|u [|? ?]] [|? ?]] eqn:EU; try discriminate T.
  destruct (nth a S []) as [|[|w [|? ?]] [|? ?]] eqn:ES; try discriminate T.
  cbn [first_factor hd]. apply ask_yes in T. rewrite !andb_true_iff, !Z.eqb_eq, !Z.leb_le in T.
  destruct T as [[[[[[Pw ->] B1] B2] Sz] Pe] Ce]. rewrite sane_one_axis in SU, SS.
  apply sane_cons in SU as [SU _]. apply sane_cons in SS as [SS _]. cbn [size_axis size] in ZU, ZS.
  set (p := period w) in *. set (v := (nth a i 0 - before) mod p).
  assert (Bv : 0 <= v < p) by (apply Z.mod_pos_bound; lia). split; [lia|].
  assert (Same : forall j k, 0 <= j < nth a sh 0 -> 0 <= k < nth a sh 0 ->
    (alike_axis [[u]] 0 j 0 k <-> (p | j - k))).
  { intros j k J K. rewrite alike_axis_one by (trivial; lia).
    unfold alike1. now rewrite Pe, Z.sub_diag, Z.mul_0_l, Z.sub_0_r. }
  assert (Same' : forall j k, 0 <= j < nth a s 0 -> 0 <= k < nth a s 0 ->
    (alike_axis [[w]] 0 j 0 k <-> (p | j - k))).
  { intros j k J K. rewrite alike_axis_one by (trivial; lia). unfold alike1.
    now rewrite Z.sub_diag, Z.mul_0_l, Z.sub_0_r. }
  assert (Dv : (p | nth a i 0 - before - v)).
  { unfold v. rewrite Z.mod_eq by lia. exists ((nth a i 0 - before) / p). ring. }
  assert (St : forall j, 0 <= j < nth a s 0 -> stands (nth a s 0) before 1 (j + before) = Some j).
  { intros j J. pose proof (stands_cases (nth a s 0) before 1 (j + before) ltac:(lia)) as C.
    destruct (stands _ _ _ _) as [k|]; [f_equal; lia | now specialize (C j J); lia]. }
  simpl (0 + 1) in M. apply (sums_meet numbers Law) with (h := fun j => put a (nth a j 0 + before) j).
  - intros j J. apply in_class in J as [J F]. pose proof J as [LJ IJ]. pose proof (IJ a ltac:(lia)) as Ja.
    rewrite (beside_alike S s) in F by trivial.
    assert (In' : inside sh (put a (nth a j 0 + before) j)).
    { apply inside_put; [lia | lia |]. intros b Q D. destruct (O b Q D) as [-> _]. apply IJ; lia. }
    split.
    + apply in_class. split; trivial. rewrite (beside_alike U sh) by trivial. intros b Q. rewrite put_nth by lia.
      specialize (F b ltac:(lia)). rewrite put_nth in F by lia. destruct (Nat.eqb_spec b a) as [Eq|D]; [subst b|].
      * rewrite EU. rewrite ES in F. apply Same; [now apply II | lia |]. apply Same' in F; [|lia..].
        replace (nth a i 0 - (nth a j 0 + before)) with ((nth a i 0 - before - v) + (v - nth a j 0)) by ring.
        now apply Z.divide_add_r.
      * destruct (O b Q D) as [X Y]. apply Y; [now apply II | rewrite X; apply IJ; lia | trivial].
    + rewrite M by trivial. rewrite put_nth, Nat.eqb_refl, St by lia. f_equal.
      apply put_equal; rewrite ?put_length; auto. intros b Q D. rewrite put_nth by lia.
      apply Nat.eqb_neq in D. now rewrite D.
  - intros j k J K E. apply in_class in J as [[J _] _]. apply in_class in K as [[K _] _].
    apply equal_lists; [congruence|]. intros b Q. apply (f_equal (fun l => nth b l 0)) in E.
    rewrite !put_nth in E by congruence. destruct (Nat.eqb_spec b a) as [Eq|D]; [subst b; lia | easy].
  - intros k K. apply in_class in K as [K F]. pose proof K as [LK IK]. rewrite M by trivial.
    rewrite (beside_alike U sh) in F by trivial.
    pose proof (stands_cases (nth a s 0) before 1 (nth a k 0) ltac:(lia)) as C.
    destruct (stands _ _ _ _) as [j|]; [right | now left]. exists (put a j k). split.
    + apply in_class. split.
      { apply inside_put; [lia | lia |]. intros b Q D. destruct (O b ltac:(lia) D) as [<- _]. apply IK; lia. }
      rewrite (beside_alike S s) by trivial. intros b Q. rewrite !put_nth by lia. specialize (F b ltac:(lia)).
      destruct (Nat.eqb_spec b a) as [Eq|D]; [subst b|].
      * rewrite ES. rewrite EU in F. apply Same'; [lia | lia |].
        apply Same in F; [|now apply II | apply IK; lia].
        replace (v - j) with ((nth a i 0 - nth a k 0) - (nth a i 0 - before - v)) by lia. now apply Z.divide_sub_r.
      * destruct (O b ltac:(lia) D) as [X Y]. apply Y; [apply II; lia | apply IK; lia | trivial].
    + rewrite put_nth, Nat.eqb_refl by lia. apply put_equal; rewrite ?put_length; [easy | lia |].
      intros b Q D. rewrite put_nth by lia. apply Nat.eqb_neq in D. now rewrite D.
Qed.

End Folds.

(** ** The rules

    [G] and [U] are listed of the result: what its sums are like, and which cells are summed. [F] and [S] are the same of
    the operand. *)

Definition reshape_fold (sh : list Z) (G U : list parts) (s : list Z) (F S : list parts) : verdict :=
  both (reshape_rule sh G s F) (reshape_sums sh U s S).
Definition transpose_fold (order : list nat) (sh : list Z) (G U : list parts) (s : list Z)
  (F S : list parts) : verdict :=
  both (transpose_rule order sh G s F) (transpose_sums order sh U s S).
Definition take_fold (a : nat) (start by_ : Z) (sh : list Z) (G U : list parts) (s : list Z)
  (F S : list parts) : verdict :=
  both (take_rule a start by_ sh G s F) (other_sums a sh U s S (apart_along a U S)).

(** Sums modulo q of which one of one factor is, counted from another cell on. *)
Definition turned_laps (q : Z) (gs fs : parts) : verdict :=
  match gs, fs with
  | [[g]], [[f]] => ask ((1 <=? q) && (q mod period f =? 0) && (period g mod period f =? 0)
                         && ((step g - step f) mod period f =? 0))
  | _, _ => No
  end.
Definition pad_fold (a : nat) (before behind inner : Z) (zero : bool) (sh : list Z) (G U : list parts)
  (s : list Z) (F S : list parts) : verdict :=
  both (ask zero)
    (if single_axis (nth a S []) then
       both (pad_rule a before behind inner sh G s F []) (other_sums a sh U s S (apart_along a U S))
     else
       both (both (other_axes a sh G s F) (turned_laps (period (first_factor (nth a S []))) (nth a G []) (nth a F [])))
         (other_sums a sh U s S
           (padded_laps before behind inner (nth a s 0) (nth a sh 0) (nth a U []) (nth a S [])))).

Section Claims.
Context {V source : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Context {index : Type}.
Variables (turn : index -> Z) (copy : index -> source).
Coercion turn : index >-> Z.
Notation right := (right (V := V) turn copy).
Notation premise := (premise (V := V) turn copy).

(** The array of the sums of an operand. *)
Definition summed (S : list parts) (one : operand V source) : operand V source :=
  (fst one, fun z => sums numbers S (fst one) (snd one z)).

(** A reshape of a fold is right where it is one of the sums. *)
Theorem reshape_fold_right : forall sh G U F S one R, fits G sh = true -> fits U sh = true -> fits S (fst one) = true ->
  premise F (summed S one) -> reshape_fold sh G U (fst one) F S = Yes ->
  (forall z i, inside sh i -> R z i = snd one z (cell_at (fst one) (place sh i))) ->
  right G sh (fun z => sums numbers U sh (R z)).
Proof.
  intros sh G U F S one R SG FU FS P H M. apply both_yes in H as [H H'].
  apply (reshape_right turn copy sh G F (summed S one)); trivial. intros z i I.
  apply (reshape_sums_right numbers Law); auto.
Qed.

(** A transposition of a fold is right where it is one of the sums. *)
Theorem transpose_fold_right : forall order sh G U F S one R, fits G sh = true -> fits U sh = true ->
  fits S (fst one) = true -> premise F (summed S one) -> transpose_fold order sh G U (fst one) F S = Yes ->
  (forall z i, inside sh i ->
     R z i = snd one z (build (length (fst one)) (fun a => nth (position a order) i 0))) ->
  right G sh (fun z => sums numbers U sh (R z)).
Proof.
  intros order sh G U F S one R SG FU FS P H M. apply both_yes in H as [H H'].
  apply (transpose_right turn copy order sh G F (summed S one)); trivial. intros z i I.
  apply (transpose_sums_right numbers Law); auto.
Qed.

Lemma taken_inside start by_ n m gs fs q : takes start by_ n m gs fs = Yes -> 0 <= q < m -> 0 <= start + by_ * q < n.
Proof.
  intros H Q. apply both_yes in H as [N _]. apply ask_yes in N. rewrite !andb_true_iff, !Z.leb_le, !Z.ltb_lt in N.
  apply (takes_inside start by_ n m q); lia.
Qed.

(** A slice of a fold along another axis is right where it is one of the sums. *)
Theorem take_fold_right : forall a start by_ sh G U F S one R, fits G sh = true -> fits U sh = true ->
  fits S (fst one) = true -> premise F (summed S one) -> take_fold a start by_ sh G U (fst one) F S = Yes ->
  (forall z i, inside sh i -> R z i = snd one z (put a (start + by_ * nth a i 0) i)) ->
  right G sh (fun z => sums numbers U sh (R z)).
Proof.
  intros a start by_ sh G U F S one R SG FU FS P H M. apply both_yes in H as [H H'].
  apply (take_right turn copy a start by_ sh G F (summed S one)); trivial. intros z i I.
  pose proof H as T. apply both_yes in T as [_ T].
  pose proof H' as O. apply other_sums_right in O as (N & L & _); trivial.
  apply (sums_along numbers Law a sh U (fst one) S (R z) (snd one z) (fun v => Some (start + by_ * v)) i); trivial.
  - intros k K. now apply M.
  - intros v E. injection E as <-. apply (taken_inside _ _ _ _ _ _ _ T). now apply I.
Qed.

(** Zeros around a fold are right where they are beside the sums, or where all sums are there along their axis. *)
Theorem pad_fold_right : forall a before behind inner sh G U F S one (v : family V source) R, fits G sh = true ->
  fits U sh = true -> fits S (fst one) = true -> premise F (summed S one) ->
  pad_fold a before behind inner true sh G U (fst one) F S = Yes -> (forall z, v z [] = nought numbers) ->
  (forall z i, inside sh i ->
     R z i = match stands (nth a (fst one) 0) before (inner + 1) (nth a i 0) with
             | Some j => snd one z (put a j i)
             | None => v z []
             end) ->
  right G sh (fun z => sums numbers U sh (R z)).
Proof.
  intros a before behind inner sh G U F S one v R SG FU FS P H Z M. apply both_yes in H as [_ H].
  assert (M' : forall z k, inside sh k -> R z k =
    match stands (nth a (fst one) 0) before (inner + 1) (nth a k 0) with
    | Some j => snd one z (put a j k) | None => nought numbers end).
  { intros z k K. rewrite M by trivial. destruct (stands _ _ _ _); [reflexivity | apply Z]. }
  destruct (single_axis (nth a S [])).
  - apply both_yes in H as [H H'].
    apply (pad_right turn copy a before behind inner sh G F (summed S one) [] ([], fun _ _ => nought numbers)); trivial.
    + split; [reflexivity|]. intros t i t' i' _ _ _. reflexivity.
    + intros z i I. pose proof H as T. apply both_yes in T as [_ T]. apply both_yes in T as [_ T].
      apply both_yes in T as [T _]. apply ask_yes in T. unfold fits_window in T. simpl base in T.
      rewrite !andb_true_iff, !Z.leb_le in T.
      apply (sums_along numbers Law a sh U (fst one) S (R z) (snd one z)
        (stands (nth a (fst one) 0) before (inner + 1)) i); trivial; [now intros; apply M'|].
      intros j E. pose proof (stands_cases (nth a (fst one) 0) before (inner + 1) (nth a i 0) ltac:(lia)) as C.
      now rewrite E in C.
  - apply both_yes in H as [H H']. apply both_yes in H as [O T].
    intros t i t' i' I I' E. pose proof H' as N. apply other_sums_right in N as (N & L & _); trivial.
    destruct (padded_laps_right numbers Law a before behind inner sh U (fst one) S (R (copy t))
      (snd one (copy t)) FU FS H' (M' _) i I) as [B ->].
    destruct (padded_laps_right numbers Law a before behind inner sh U (fst one) S (R (copy t'))
      (snd one (copy t')) FU FS H' (M' _) i' I') as [B' ->].
    set (q := period (first_factor (nth a S []))) in *.
    apply (put_right turn copy a sh G F (summed S one) t i t' i'); trivial.
    destruct (result_axes G sh t i t' i' SG I I' E a L) as (SG1 & ZG1 & J & J' & A).
    pose proof (fits_right F _ (proj1 P)) as [_ W]. destruct (W a) as [SF ZF]; [simpl; lia|]. simpl fst in ZF.
    unfold turned_laps in T. destruct (nth a G []) as [|[|g [|? ?]] [|? ?]]; try discriminate T.
    destruct (nth a F []) as [|[|f [|? ?]] [|? ?]]; try discriminate T.
    apply ask_yes in T. rewrite !andb_true_iff, Z.leb_le in T. destruct T as [[[Q1 Q] Pe] St].
    rewrite sane_one_axis in SG1, SF. apply sane_cons in SG1 as [SG1 _]. apply sane_cons in SF as [SF _].
    cbn [size_axis size] in ZG1, ZF. apply divides in Q, Pe, St.
    apply alike_axis_one in A; trivial; try lia. apply alike_axis_one; trivial; try lia. unfold alike1 in *.
    rewrite !Z.mod_eq by lia. set (c := (nth a i 0 - before) / q). set (c' := (nth a i' 0 - before) / q).
    replace (nth a i 0 - before - q * c - (nth a i' 0 - before - q * c') - (t - t') * step f)
      with ((nth a i 0 - nth a i' 0 - (t - t') * step g) + (t - t') * (step g - step f)
            + (c' - c) * q) by ring.
    apply Z.divide_add_r; [apply Z.divide_add_r|]; [|now apply Z.divide_mul_r..].
    now apply Z.divide_trans with (period g).
Qed.

End Claims.
