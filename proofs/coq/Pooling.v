(** * How often max pooling does not notice a shift

    Windows of k cells, k apart, on a torus of N = m k cells, and images that are one bright cell. The count is of
    positions of the bright cell for which the pooled image is the same before and after the shift. *)

From Coq Require Import ZArith Znumtheory List Lia Bool.
From Shifts Require Import Signals Windows Sums Planes.
Import ListNotations.
Open Scope Z_scope.

(** One bright cell at p, on a torus of N cells; max pooling of signals that are nowhere negative. *)
Definition bright (N p : Z) : Z -> Z := fun u => spike N (u - p).
Definition pool (k : nat) (S : Z -> Z) : Z -> Z := window (fold_right Z.max 0) k 1 0 (Z.of_nat k) S.

(** Whether pooling gives the same before and after the shift: both are computed, and compared at every place. *)
Definition unnoticed (k m : nat) (D p : Z) : bool :=
  let N := Z.of_nat (m * k) in
  forallb (fun q => pool k (shift D (bright N p)) q =? pool k (bright N p) q) (cells m).

Lemma spike_bit N u : spike N u = 0 \/ spike N u = 1.
Proof. unfold spike. destruct (_ =? _); auto. Qed.

Lemma max_of_bits l : (forall v, In v l -> v = 0 \/ v = 1) ->
  (fold_right Z.max 0 l = 0 \/ fold_right Z.max 0 l = 1) /\ (fold_right Z.max 0 l = 1 <-> In 1 l).
Proof.
  induction l as [|v l IH]; intro H; simpl; [intuition lia|].
  destruct IH as [B I]; [intros; apply H; simpl; tauto|]. pose proof (H v (or_introl eq_refl)).
  split; [lia|]. rewrite <- I. lia.
Qed.

Lemma pool_bright k m p q : (0 < k)%nat -> (0 < m)%nat ->
  pool k (bright (Z.of_nat (m * k)) p) q = spike (Z.of_nat m) (q - p / Z.of_nat k).
Proof.
  intros Hk Hm. set (N := Z.of_nat (m * k)). assert (HN : N = Z.of_nat m * Z.of_nat k) by lia.
  unfold pool, window.
  destruct (max_of_bits (map (fun j => bright N p (0 + Z.of_nat k * q + 1 * j)) (cells k))) as [B I].
  { intros v V. apply in_map_iff in V. destruct V as (j & <- & _). apply spike_bit. }
  assert (E : In 1 (map (fun j => bright N p (0 + Z.of_nat k * q + 1 * j)) (cells k)) <->
              spike (Z.of_nat m) (q - p / Z.of_nat k) = 1).
  { rewrite in_map_iff, spike_iff by lia.
    pose proof (Z.div_mod p (Z.of_nat k) ltac:(lia)) as Q. pose proof (Z.mod_pos_bound p (Z.of_nat k) ltac:(lia)) as R.
    set (c := p / Z.of_nat k) in *. set (e := p mod Z.of_nat k) in *. split.
    - intros (j & J & Hj). apply cells_in in Hj. apply spike_iff in J; [|lia]. destruct J as [t T].
      rewrite HN in T. exists t. assert (Z.of_nat k * (q - c - t * Z.of_nat m) = e - j) by lia.
      assert (q - c - t * Z.of_nat m = 0) by nia. lia.
    - intros [t T]. exists e. split; [|apply cells_in; lia]. apply spike_iff; [lia|]. exists t.
      rewrite HN. replace q with (c + t * Z.of_nat m) by lia. lia. }
  pose proof (spike_bit (Z.of_nat m) (q - p / Z.of_nat k)). rewrite E in I. lia.
Qed.

Lemma unnoticed_iff k m D p : (0 < k)%nat -> (0 < m)%nat ->
  unnoticed k m D p = true <-> (Z.of_nat m | (p + D) / Z.of_nat k - p / Z.of_nat k).
Proof.
  intros Hk Hm. unfold unnoticed. set (N := Z.of_nat (m * k)).
  set (a := (p + D) / Z.of_nat k). set (b := p / Z.of_nat k).
  assert (V : forall q, (pool k (shift D (bright N p)) q =? pool k (bright N p) q) = true <->
                        spike (Z.of_nat m) (q - a) = spike (Z.of_nat m) (q - b)).
  { intro q. rewrite Z.eqb_eq. unfold N, a, b. rewrite <- !pool_bright by trivial. fold N.
    replace (pool k (shift D (bright N p)) q) with (pool k (bright N (p + D)) q); [reflexivity|].
    apply window_ext. intro u; unfold shift, bright; f_equal; lia. }
  rewrite forallb_forall. split.
  - intro H. pose proof (Z.mod_pos_bound b (Z.of_nat m) ltac:(lia)) as R.
    specialize (H (b mod Z.of_nat m) (proj2 (cells_in _ _) R)). apply V in H.
    pose proof (Z.div_mod b (Z.of_nat m) ltac:(lia)) as Q.
    assert (One : spike (Z.of_nat m) (b mod Z.of_nat m - b) = 1).
    { apply spike_iff; [lia|]. exists (- (b / Z.of_nat m)); lia. }
    rewrite One in H. apply spike_iff in H; [|lia]. destruct H as [t T]. exists (- (b / Z.of_nat m) - t). lia.
  - intros [t T] q _. apply V. apply (periodic_congruent _ (Z.of_nat m)); [apply spike_periodic; lia|].
    exists (- t); lia.
Qed.

Definition count (P : Z -> bool) (l : list Z) : Z := Z.of_nat (length (filter P l)).

Lemma count_app P l l' : count P (l ++ l') = count P l + count P l'.
Proof. unfold count. rewrite filter_app, app_length. lia. Qed.

Lemma count_ext P Q l : (forall i, In i l -> P i = Q i) -> count P l = count Q l.
Proof. intro H. unfold count. now rewrite (filter_ext_in P Q l H). Qed.

Lemma count_between lo hi n :
  count (fun j => (lo <=? j) && (j <? hi)) (cells n) = Z.max 0 (Z.min hi (Z.of_nat n) - Z.max lo 0).
Proof.
  induction n as [|n IH]; [unfold count; simpl; lia|].
  rewrite cells_S, count_app, IH. unfold count; simpl filter.
  destruct (Z.leb_spec lo (Z.of_nat n)); destruct (Z.ltb_spec (Z.of_nat n) hi); simpl; lia.
Qed.

Lemma cells_add n k : cells (n + k) = cells n ++ map (fun j => j + Z.of_nat n) (cells k).
Proof.
  induction k as [|k IH]; [now rewrite Nat.add_0_r, app_nil_r|].
  rewrite Nat.add_succ_r, !cells_S, IH, map_app, app_assoc. simpl.
  now rewrite Nat2Z.inj_add, (Z.add_comm (Z.of_nat n)).
Qed.

Lemma count_periodic P k m : (forall p, P (p + Z.of_nat k) = P p) ->
  count P (cells (m * k)) = Z.of_nat m * count P (cells k).
Proof.
  intro H. assert (W : forall c p, P (p + Z.of_nat (c * k)) = P p).
  { induction c as [|c IH]; intro p.
    - f_equal; lia.
    - replace (p + Z.of_nat (S c * k)) with (p + Z.of_nat (c * k) + Z.of_nat k) by lia. now rewrite H. }
  induction m as [|m IH]; [reflexivity|].
  replace (S m * k)%nat with (m * k + k)%nat by lia. rewrite cells_add, count_app, IH.
  assert (E : count P (map (fun j => j + Z.of_nat (m * k)) (cells k)) = count P (cells k)).
  { unfold count. generalize (cells k). intro l; induction l as [|j l IHl]; [reflexivity|].
    cbn [map filter]. rewrite W. destruct (P j); cbn [length]; lia. }
  rewrite E. lia.
Qed.

(** Of the m k positions of a bright cell, exactly m max(0, k - |D|) give the same pooled signal after a shift by D: the
    share max(0, 1 - |D| / k). For every shift that does not come around: |D| <= (m - 1) k. *)
Theorem share_of_unnoticed_shifts : forall k m D, (0 < k)%nat -> (0 < m)%nat ->
  Z.abs D <= Z.of_nat (m * k) - Z.of_nat k ->
  count (unnoticed k m D) (cells (m * k)) = Z.of_nat m * Z.max 0 (Z.of_nat k - Z.abs D).
Proof.
  intros k m D Hk Hm HD. rewrite Nat2Z.inj_mul in HD.
  set (K := Z.of_nat k) in *. set (n := Z.of_nat m) in *.
  rewrite count_periodic.
  - f_equal. rewrite (count_ext _ (fun j => (- D <=? j) && (j <? K - D))).
    + rewrite count_between. fold K. lia.
    + intros j Hj. apply cells_in in Hj. fold K in Hj. apply eq_true_iff_eq.
      rewrite unnoticed_iff, andb_true_iff, Z.leb_le, Z.ltb_lt by trivial. fold K n.
      rewrite (Z.div_small j) by lia. rewrite Z.sub_0_r.
      pose proof (Z.div_mod (j + D) K ltac:(lia)) as Q. pose proof (Z.mod_pos_bound (j + D) K ltac:(lia)) as R.
      set (c := (j + D) / K) in *. set (e := (j + D) mod K) in *.
      assert (- n < c < n) by nia. split.
      * intros [t T]. assert (t = 0) by nia. assert (c = 0) by lia. lia.
      * intro I. exists 0. nia.
  - intro p. apply eq_true_iff_eq. rewrite !unnoticed_iff by trivial. fold K n.
    replace (p + K + D) with (p + D + 1 * K) by lia. replace (p + K) with (p + 1 * K) by lia.
    rewrite !Z.div_add by lia. now replace ((p + D) / K + 1 - (p / K + 1)) with ((p + D) / K - p / K) by lia.
Qed.

(** ** Images of one bright cell *)

Definition bright_image (N N' p p' : Z) : Z -> Z -> Z := fun u v => bright N p u * bright N' p' v.
Definition pool_image (k k' : nat) (X : Z -> Z -> Z) : Z -> Z -> Z :=
  image_window (fun seen => fold_right Z.max 0 (concat seen)) k k' 1 1 0 0 (Z.of_nat k) (Z.of_nat k') X.

Definition unnoticed_image (k m k' m' : nat) (D D' p p' : Z) : bool :=
  let X := bright_image (Z.of_nat (m * k)) (Z.of_nat (m' * k')) p p' in
  forallb (fun q => forallb (fun q' => pool_image k k' (shift_image D D' X) q q' =? pool_image k k' X q q') (cells m'))
    (cells m).

Lemma max_of_product (x y : Z -> Z) (l l' : list Z) :
  (forall i, x i = 0 \/ x i = 1) -> (forall j, y j = 0 \/ y j = 1) ->
  fold_right Z.max 0 (concat (map (fun i => map (fun j => x i * y j) l') l)) =
  fold_right Z.max 0 (map x l) * fold_right Z.max 0 (map y l').
Proof.
  intros X Y.
  destruct (max_of_bits (map x l)) as [Bx Ix]; [intros v V; apply in_map_iff in V; destruct V as (? & <- & _); auto|].
  destruct (max_of_bits (map y l')) as [By Iy]; [intros v V; apply in_map_iff in V; destruct V as (? & <- & _); auto|].
  destruct (max_of_bits (concat (map (fun i => map (fun j => x i * y j) l') l))) as [B I].
  { intros v V. apply in_concat in V. destruct V as (s & S & V). apply in_map_iff in S. destruct S as (i & <- & _).
    apply in_map_iff in V. destruct V as (j & <- & _). destruct (X i) as [->| ->]; destruct (Y j) as [->| ->]; auto. }
  assert (E : In 1 (concat (map (fun i => map (fun j => x i * y j) l') l)) <-> In 1 (map x l) /\ In 1 (map y l')).
  { rewrite in_concat, !in_map_iff. split.
    - intros (s & S & V). apply in_map_iff in S. destruct S as (i & <- & Hi). apply in_map_iff in V.
      destruct V as (j & E & Hj). destruct (X i) as [A|A]; destruct (Y j) as [C|C]; rewrite A, C in E; try discriminate.
      split; eauto.
    - intros [(i & A & Hi) (j & C & Hj)]. eexists. split; [apply in_map_iff; exists i; split; [reflexivity | trivial]|].
      apply in_map_iff. exists j. now rewrite A, C. }
  rewrite E, <- Ix, <- Iy in I.
  destruct Bx as [Ex|Ex]; destruct By as [Ey|Ey]; rewrite Ex, Ey in *; lia.
Qed.

Lemma pool_product k k' N N' p p' a b q q' :
  pool_image k k' (fun u v => bright N p (u - a) * bright N' p' (v - b)) q q' =
  pool k (shift a (bright N p)) q * pool k' (shift b (bright N' p')) q'.
Proof.
  unfold pool_image, image_window, pool, window, shift.
  apply (max_of_product (fun i => bright N p (0 + Z.of_nat k * q + 1 * i - a))
    (fun j => bright N' p' (0 + Z.of_nat k' * q' + 1 * j - b))); intro; apply spike_bit.
Qed.

Lemma shift_bright k N p D q : pool k (shift D (bright N p)) q = pool k (bright N (p + D)) q.
Proof. apply window_ext. intro u; unfold shift, bright; f_equal; lia. Qed.

Lemma unnoticed_product k m k' m' D D' p p' : (0 < k)%nat -> (0 < m)%nat -> (0 < k')%nat -> (0 < m')%nat ->
  unnoticed_image k m k' m' D D' p p' = unnoticed k m D p && unnoticed k' m' D' p'.
Proof.
  intros Hk Hm Hk' Hm'. apply eq_true_iff_eq. unfold unnoticed_image, unnoticed.
  set (N := Z.of_nat (m * k)). set (N' := Z.of_nat (m' * k')).
  assert (V : forall q q', (pool_image k k' (shift_image D D' (bright_image N N' p p')) q q' =?
      pool_image k k' (bright_image N N' p p') q q') = true <->
    pool k (shift D (bright N p)) q * pool k' (shift D' (bright N' p')) q' =
    pool k (bright N p) q * pool k' (bright N' p') q').
  { intros q q'. rewrite Z.eqb_eq. rewrite <- pool_product.
    replace (pool k (bright N p) q) with (pool k (shift 0 (bright N p)) q)
      by (rewrite shift_bright; f_equal; f_equal; lia).
    replace (pool k' (bright N' p') q') with (pool k' (shift 0 (bright N' p')) q')
      by (rewrite shift_bright; f_equal; f_equal; lia).
    rewrite <- (pool_product k k' N N' p p' 0 0).
    assert (Z0 : pool_image k k' (bright_image N N' p p') q q' =
                 pool_image k k' (fun u v => bright N p (u - 0) * bright N' p' (v - 0)) q q').
    { unfold pool_image, image_window, bright_image. do 2 f_equal. apply map_ext; intro i. apply map_ext; intro j.
      now rewrite !Z.sub_0_r. }
    rewrite Z0. reflexivity. }
  assert (One : forall c n r, (0 < c)%nat -> (0 < n)%nat -> exists q, In q (cells n) /\
                pool c (bright (Z.of_nat (n * c)) r) q = 1).
  { intros c n r Hc Hn. exists ((r / Z.of_nat c) mod Z.of_nat n). split.
    - apply cells_in, Z.mod_pos_bound; lia.
    - rewrite pool_bright by trivial. apply spike_iff; [lia|].
      pose proof (Z.div_mod (r / Z.of_nat c) (Z.of_nat n) ltac:(lia)).
      exists (- (r / Z.of_nat c / Z.of_nat n)). lia. }
  assert (Bit : forall c n r q, (0 < c)%nat -> (0 < n)%nat -> pool c (bright (Z.of_nat (n * c)) r) q = 0 \/
                pool c (bright (Z.of_nat (n * c)) r) q = 1).
  { intros. rewrite pool_bright by trivial. apply spike_bit. }
  rewrite andb_true_iff, !forallb_forall. split.
  - intro H.
    assert (K : forall q q', In q (cells m) -> In q' (cells m') ->
      pool k (shift D (bright N p)) q * pool k' (shift D' (bright N' p')) q' =
      pool k (bright N p) q * pool k' (bright N' p') q').
    { intros q q' Hq Hq'. apply V. specialize (H q Hq). rewrite forallb_forall in H. now apply H. }
    destruct (One k m p Hk Hm) as (q0 & Q0 & E0). destruct (One k' m' p' Hk' Hm') as (q0' & Q0' & E0').
    fold N in E0. fold N' in E0'.
    assert (B : forall q, pool k (shift D (bright N p)) q = 0 \/ pool k (shift D (bright N p)) q = 1)
      by (intro; rewrite shift_bright; now apply Bit).
    assert (B' : forall q, pool k' (shift D' (bright N' p')) q = 0 \/ pool k' (shift D' (bright N' p')) q = 1)
      by (intro; rewrite shift_bright; now apply Bit).
    pose proof (K q0 q0' Q0 Q0') as K0. rewrite E0, E0' in K0.
    assert (pool k (shift D (bright N p)) q0 = 1 /\ pool k' (shift D' (bright N' p')) q0' = 1) as [F F']
      by (destruct (B q0) as [b|b]; destruct (B' q0') as [b'|b']; rewrite b, b' in K0; lia).
    split; intros q Hq; apply Z.eqb_eq.
    + specialize (K q q0' Hq Q0'). rewrite F', E0' in K. lia.
    + specialize (K q0 q Q0 Hq). rewrite F, E0 in K. lia.
  - intros [H H'] q Hq. apply forallb_forall. intros q' Hq'. apply V.
    specialize (H q Hq); specialize (H' q' Hq'). apply Z.eqb_eq in H, H'. now rewrite H, H'.
Qed.

Lemma count_product (P Q : Z -> bool) l l' :
  Z.of_nat (length (filter (fun u => P (fst u) && Q (snd u)) (list_prod l l'))) = count P l * count Q l'.
Proof.
  induction l as [|p l IH]; [reflexivity|]. cbn [list_prod]. rewrite filter_app, app_length, Nat2Z.inj_add, IH.
  assert (R : Z.of_nat (length (filter (fun u => P (fst u) && Q (snd u)) (map (fun y => (p, y)) l'))) =
              (if P p then 1 else 0) * count Q l').
  { clear. unfold count. induction l' as [|q l' IH]; simpl; [lia|].
    destruct (P p); [destruct (Q q)|]; cbn [andb length] in *; rewrite ?Nat2Z.inj_succ, IH; ring. }
  assert (C : count P (p :: l) = (if P p then 1 else 0) + count P l)
    by (unfold count; simpl; destruct (P p); simpl length; lia).
  rewrite R, C. ring.
Qed.

(** On images, with windows of k x k' cells on a torus of m k x m' k': the counts multiply, so that the share of
    positions at which a shift by (D, D') is not noticed is max(0, 1 - |D| / k) max(0, 1 - |D'| / k'). *)
Theorem share_of_unnoticed_image_shifts : forall k m k' m' D D',
  (0 < k)%nat -> (0 < m)%nat -> (0 < k')%nat -> (0 < m')%nat ->
  Z.abs D <= Z.of_nat (m * k) - Z.of_nat k -> Z.abs D' <= Z.of_nat (m' * k') - Z.of_nat k' ->
  Z.of_nat (length (filter (fun p => unnoticed_image k m k' m' D D' (fst p) (snd p))
    (list_prod (cells (m * k)) (cells (m' * k'))))) =
  Z.of_nat (m * m') * (Z.max 0 (Z.of_nat k - Z.abs D) * Z.max 0 (Z.of_nat k' - Z.abs D')).
Proof.
  intros k m k' m' D D' Hk Hm Hk' Hm' HD HD'.
  rewrite (filter_ext _ (fun p => unnoticed k m D (fst p) && unnoticed k' m' D' (snd p)))
    by (intro p; now apply unnoticed_product).
  rewrite count_product, !share_of_unnoticed_shifts by trivial. rewrite Nat2Z.inj_mul. ring.
Qed.
