(** * Windows: convolution, pooling, strides, padding

    A window operation looks at K cells, d apart, from a + s q on, and gives any function F of what it sees:

        T[q] = F (S[a], S[a + d], ..., S[a + d (K - 1)]) at a + s q.

    Convolution, correlation, max and average pooling, strided slices (K = 1) and patches (F = identity) are all of
    this form. Nothing is assumed of F. *)

From Coq Require Import ZArith Znumtheory List Lia Bool.
From Shifts Require Import Signals.
Import ListNotations.
Open Scope Z_scope.

Definition any {A} (S : Z -> A) : Prop := True.

(** The integers 0, ..., n - 1, and o, ..., o + n - 1. *)
Definition cells (n : nat) : list Z := map Z.of_nat (seq 0 n).
Definition range (o : Z) (n : nat) : list Z := map (fun i => o + i) (cells n).

Definition window {A B} (F : list A -> B) (K : nat) (d a s : Z) (S : Z -> A) : Z -> B :=
  fun q => F (map (fun k => S (a + s * q + d * k)) (cells K)).

Lemma cells_in n i : In i (cells n) <-> 0 <= i < Z.of_nat n.
Proof.
  unfold cells; rewrite in_map_iff; split.
  - intros [k [E H]]. apply in_seq in H. lia.
  - intro H. exists (Z.to_nat i). rewrite in_seq. lia.
Qed.

Lemma cells_length n : length (cells n) = n.
Proof. unfold cells. now rewrite map_length, seq_length. Qed.

Lemma cells_nth n i : (i < n)%nat -> nth i (cells n) 0 = Z.of_nat i.
Proof.
  intro H; unfold cells. change 0 with (Z.of_nat 0). rewrite map_nth, seq_nth; trivial.
Qed.

Lemma map_cells_nth {A} (T : Z -> A) z n i : 0 <= i < Z.of_nat n -> nth (Z.to_nat i) (map T (cells n)) z = T i.
Proof.
  intro H. rewrite nth_indep with (d' := T 0) by (rewrite map_length, cells_length; lia).
  rewrite map_nth, cells_nth by lia. f_equal; lia.
Qed.

Lemma window_ext {A B} (F : list A -> B) K d a s : extensional (window F K d a s).
Proof. intros S T H q; unfold window; f_equal. apply map_ext; intro k; apply H. Qed.

(** ** Strides *)

(** A window operation of stride s, dilation d and any function commutes with every shift by a multiple of s,
    of every signal on the line: s r goes in, r comes out. *)
Theorem windows_move : forall A B (F : list A -> B) K d a s r, moves any (window F K d a s) (s * r) r.
Proof.
  intros A B F K d a s r S _ q; unfold window, shift. f_equal. apply map_ext; intro k; f_equal; lia.
Qed.

Lemma gcd_parts N s : 0 < N -> exists N' s', 0 < Z.gcd N s /\
  N = Z.gcd N s * N' /\ s = Z.gcd N s * s' /\ N / Z.gcd N s = N' /\ s / Z.gcd N s = s'.
Proof.
  intro H. assert (P : 0 < Z.gcd N s) by (pose proof (Z.gcd_nonneg N s); pose proof (Z.gcd_eq_0_l N s); lia).
  destruct (Z.gcd_divide_l N s) as [N' E]; destruct (Z.gcd_divide_r N s) as [s' E'].
  exists N', s'. set (g := Z.gcd N s) in *; clearbody g; subst N s.
  rewrite !Z.div_mul by lia; repeat split; lia.
Qed.

(** The output of a window operation has the period N / gcd(N, s); that is N / s where s divides N. *)
Theorem windows_are_periodic : forall A B (F : list A -> B) K d a s N S, 0 < N -> periodic N S ->
  periodic (N / Z.gcd N s) (window F K d a s S) /\
  (0 < s -> (s | N) -> periodic (N / s) (window F K d a s S)).
Proof.
  intros A B F K d a s N S H P.
  assert (G : periodic (N / Z.gcd N s) (window F K d a s S)).
  { destruct (gcd_parts N s H) as (N' & s' & Hg & E & E' & Q & _). rewrite Q.
    intro q; unfold window; f_equal. apply map_ext; intro k.
    apply (periodic_congruent S N); trivial. exists s'. nia. }
  split; trivial. intros Hs D. apply Zdivide_Zdiv_eq in D; trivial.
  assert (E : Z.gcd N s = s); [| now rewrite E in G].
  rewrite Z.gcd_comm, D at 1. apply Z.gcd_mul_diag_l; lia.
Qed.

Lemma inverse_exists N s : 0 < N -> exists i, (N / Z.gcd N s | s / Z.gcd N s * i - 1).
Proof.
  intro H. destruct (gcd_parts N s H) as (N' & s' & Hg & E & E' & -> & ->).
  destruct (Z.gcd_bezout N s _ eq_refl) as (u & v & B). exists v, (- u). nia.
Qed.

(** Windows of stride s on a torus of any period N, whether s divides it or not: a shift by a multiple r of g = gcd(N,
    s) comes out as the shift by (r / g) (s / g)^-1 modulo the new period N / g. The inverse exists. *)
Theorem strides_on_any_torus : forall A B (F : list A -> B) K d a s N, 0 < N ->
  let g := Z.gcd N s in
  (exists i, (N / g | s / g * i - 1)) /\
  (forall r i, (g | r) -> (N / g | s / g * i - 1) ->
    moves (periodic N) (window F K d a s) r ((r / g * i) mod (N / g))).
Proof.
  intros A B F K d a s N H g. split; [now apply inverse_exists|].
  intros r i [t Er] [j J] S P q. unfold g in *.
  destruct (gcd_parts N s H) as (N' & s' & Hg & E & E' & EN & Es). rewrite EN, Es in *.
  set (G := Z.gcd N s) in *; clearbody G. assert (0 < N') by nia.
  subst r. rewrite Z.div_mul by lia.
  pose proof (Z.div_mod (t * i) N' ltac:(lia)) as M. set (m := (t * i) mod N') in *. set (c := t * i / N') in *.
  unfold window, shift; f_equal. apply map_ext; intro k.
  apply (periodic_congruent S N); trivial.
  exists (t * j - s' * c).
  replace (a + s * q + d * k - t * G - (a + s * (q - m) + d * k)) with (s * m - t * G) by ring.
  replace m with (t * i - N' * c) by lia. rewrite E'.
  replace (G * s' * (t * i - N' * c) - t * G) with (G * t * (s' * i - 1) - G * N' * s' * c) by ring.
  rewrite J, E. ring.
Qed.

Lemma cells_head n : (0 < n)%nat -> exists l, cells n = 0 :: l.
Proof. destruct n; [lia|]. intros _; unfold cells; simpl; eauto. Qed.

(** No other shift has a law: for the window that keeps what it sees, the shifts by r that come out as some shift are
    exactly the multiples of gcd(N, s); of s, where s divides N. *)
Theorem strides_need_multiples : forall N K d a s r, 0 < N -> (0 < K)%nat ->
  (exists r', moves (periodic N) (window (fun seen : list Z => seen) K d a s) r r') <-> (Z.gcd N s | r).
Proof.
  intros N K d a s r H HK; split.
  - intros [r' M]. destruct (gcd_parts N s H) as (N' & s' & Hg & E & E' & _).
    set (g := Z.gcd N s) in *; clearbody g.
    pose (S := fun u => spike g (u - a)).
    assert (P : periodic N S).
    { intro u; unfold S. apply (periodic_congruent (spike g) g); [now apply spike_periodic|]. exists N'; lia. }
    specialize (M S P 0). unfold window, shift, S in M.
    destruct (cells_head K HK) as [l L]. rewrite L in M; simpl in M. injection M as M _.
    assert (spike g (a + s * 0 + d * 0 - r - a) = 1).
    { rewrite M. apply spike_iff; trivial. exists (- (s' * r')); nia. }
    apply spike_iff in H0; trivial. destruct H0 as [k Hk]. exists (- k); lia.
  - intro D. destruct (strides_on_any_torus Z _ (fun seen : list Z => seen) K d a s N H) as [[i I] L]. eauto.
Qed.

(** *** The same for pooling: a function of 0s and 1s that is 0 only where it sees nothing else *)

Definition notices_ones (F : list Z -> Z) : Prop :=
  forall l, (forall v, In v l -> v = 0 \/ v = 1) -> (F l = 0 <-> forall v, In v l -> v = 0).

Lemma max_notices_ones : notices_ones (fold_right Z.max 0).
Proof.
  intros l. induction l as [|v l IH]; intro H; simpl; [firstorder|].
  assert (Hl : forall v, In v l -> v = 0 \/ v = 1) by (intros; apply H; simpl; tauto).
  specialize (IH Hl). pose proof (H v (or_introl eq_refl)).
  assert (0 <= fold_right Z.max 0 l) by (clear; induction l; simpl; lia).
  split.
  - intros E w [->|W]; [lia|]. apply IH; trivial. lia.
  - intro E. rewrite (E v) by tauto. destruct IH as [_ IH]. now rewrite IH by (intros; apply E; tauto).
Qed.

Lemma sum_notices_ones : notices_ones (fold_right Z.add 0).
Proof.
  intros l. induction l as [|v l IH]; intro H; simpl; [firstorder|].
  assert (Hl : forall v, In v l -> v = 0 \/ v = 1) by (intros; apply H; simpl; tauto).
  specialize (IH Hl). pose proof (H v (or_introl eq_refl)).
  assert (0 <= fold_right Z.add 0 l).
  { clear - Hl. induction l; simpl; [lia|]. pose proof (Hl a (or_introl eq_refl)).
    assert (0 <= fold_right Z.add 0 l) by (apply IHl; intros; apply Hl; simpl; tauto). lia. }
  split.
  - intros E w [->|W]; [lia|]. apply IH; trivial. lia.
  - intro E. rewrite (E v) by tauto. destruct IH as [_ IH]. now rewrite IH by (intros; apply E; tauto).
Qed.

Lemma pooling_needs_multiples F N K a s r : notices_ones F -> 0 < Z.of_nat K < N ->
  (exists r', moves (periodic N) (window F K 1 a s) r r') <-> (Z.gcd N s | r).
Proof.
  intros HF HK; split.
  - intros [r' M].
    pose (S := fun u => if (u - (a - s * r')) mod N <? Z.of_nat K then 0 else 1).
    assert (P : periodic N S).
    { intro u; unfold S. now replace (u + N - (a - s * r')) with (u - (a - s * r') + 1 * N) by lia;
        rewrite Z_mod_plus_full. }
    assert (B : forall u, S u = 0 \/ S u = 1) by (intro u; unfold S; destruct (_ <? _); auto).
    specialize (M S P 0). unfold window, shift in M.
    assert (E : F (map (fun k => S (a + s * (0 - r') + 1 * k)) (cells K)) = 0).
    { apply HF; intros v V; apply in_map_iff in V; destruct V as (k & <- & V); trivial.
      apply cells_in in V. unfold S. replace (_ - _) with k by lia. rewrite Z.mod_small by lia.
      destruct (Z.ltb_spec k (Z.of_nat K)); lia. }
    rewrite <- M in E. match type of E with F ?seen = 0 => assert (Bits : forall v, In v seen -> v = 0 \/ v = 1) end.
    { intros v V; apply in_map_iff in V; destruct V as (k & <- & _); trivial. }
    pose proof (proj1 (HF _ Bits) E) as Zeros.
    assert (C : forall k, 0 <= k < Z.of_nat K -> (s * r' - r + k) mod N < Z.of_nat K).
    { intros k Hk. assert (Z : S (a + s * 0 + 1 * k - r) = 0).
      { apply Zeros, in_map_iff. exists k; split; trivial. now apply cells_in. }
      unfold S in Z. replace (a + s * 0 + 1 * k - r - (a - s * r')) with (s * r' - r + k) in Z by lia.
      destruct (Z.ltb_spec ((s * r' - r + k) mod N) (Z.of_nat K)); [trivial | discriminate]. }
    pose proof (C 0 ltac:(lia)) as C0. rewrite Z.add_0_r in C0.
    pose proof (Z.mod_pos_bound (s * r' - r) N ltac:(lia)) as Bd.
    pose proof (Z.div_mod (s * r' - r) N ltac:(lia)) as DM.
    set (e := (s * r' - r) mod N) in *. set (c := (s * r' - r) / N) in *.
    destruct (Z.eq_dec e 0) as [e0|e0].
    + replace r with (s * r' - N * c) by lia.
      apply Z.divide_sub_r; apply Z.divide_mul_l; [apply Z.gcd_divide_r | apply Z.gcd_divide_l].
    + specialize (C (Z.of_nat K - e) ltac:(lia)).
      replace (s * r' - r + (Z.of_nat K - e)) with (Z.of_nat K + c * N) in C by lia.
      rewrite Z_mod_plus_full, Z.mod_small in C by lia. lia.
  - intro D. destruct (strides_on_any_torus _ _ F K 1 a s N ltac:(lia)) as [[i I] L]. eauto.
Qed.

(** Max pooling, and average pooling too, with windows smaller than the torus: a shift has a law exactly if gcd(N, s)
    divides it. *)
Theorem pooling_moves_by_multiples_only : forall N K a s r, 0 < Z.of_nat K < N ->
  ((exists r', moves (periodic N) (window (fold_right Z.max 0) K 1 a s) r r') <-> (Z.gcd N s | r)) /\
  ((exists r', moves (periodic N) (window (fold_right Z.add 0) K 1 a s) r r') <-> (Z.gcd N s | r)).
Proof.
  intros; split; apply pooling_needs_multiples; trivial; [apply max_notices_ones | apply sum_notices_ones].
Qed.

(** Where s does not divide N, the M cells that a program keeps, s (M - 1) < N < s M, are no whole period: no shift of
    the input but 0 (modulo N) comes out as a roll of these cells, for the window that keeps what it sees. *)
Theorem stride_that_does_not_divide : forall N M K d a s r r', (0 < K)%nat -> 2 <= M -> s * (M - 1) < N < s * M ->
  (forall S : Z -> Z, periodic N S -> forall q, 0 <= q < M ->
    window (fun seen => seen) K d a s (shift r S) q = window (fun seen => seen) K d a s S ((q - r') mod M)) ->
  (N | r).
Proof.
  intros N M K d a s r r' HK HM B H.
  assert (0 < N) by nia.
  assert (C : forall q, 0 <= q < M -> (N | s * q - r - s * ((q - r') mod M))).
  { intros q Hq. assert (P : periodic N (fun u => u mod N)).
    { intro u. now replace (u + N) with (u + 1 * N) by lia; rewrite Z_mod_plus_full. }
    specialize (H _ P q Hq). unfold window, shift in H.
    destruct (cells_head K HK) as [l L]. rewrite L in H; simpl in H. injection H as H _.
    apply Z.mod_divide; [lia|]. set (w := (q - r') mod M) in *.
    replace (s * q - r - s * w) with ((a + s * q + d * 0 - r) - (a + s * w + d * 0)) by lia.
    rewrite Zminus_mod, H, Z.sub_diag. apply Z.mod_0_l; lia. }
  pose proof (Z.mod_pos_bound r' M ltac:(lia)) as Bd. pose proof (Z.div_mod r' M ltac:(lia)) as DM.
  set (e := r' mod M) in *. set (c := r' / M) in *.
  assert (C0 := C e ltac:(lia)).
  replace (e - r') with (0 + (- c) * M) in C0 by lia. rewrite Z_mod_plus_full, Z.mod_small in C0 by lia.
  destruct (Z.eq_dec e 0) as [e0|e0].
  - destruct C0 as [k Ek]. exists (- k). nia.
  - exfalso. assert (C1 := C (e - 1) ltac:(lia)).
    replace (e - 1 - r') with (M - 1 + (- c - 1) * M) in C1 by lia.
    rewrite Z_mod_plus_full, Z.mod_small in C1 by lia.
    destruct C0 as [k Ek]; destruct C1 as [j Ej].
    assert (E : s * M = (k - j) * N) by lia. assert (1 < k - j < 2) by nia. lia.
Qed.

(** ** Composition *)

(** Strides multiply: one window operation of stride s after another of stride t takes s t r to r. *)
Theorem strides_multiply : forall A B C (F : list A -> B) (G : list B -> C) K L d e a b s t r,
  moves any (fun S => window G L e b t (window F K d a s S)) (s * t * r) r.
Proof.
  intros. apply laws_compose with (Q := any) (D' := t * r); try easy; [apply window_ext | | apply windows_move].
  rewrite <- Z.mul_assoc. apply windows_move.
Qed.

(** Two results that move alike, met position by position, move so too; and so does one that meets a table of positions,
    if the table repeats within the step. *)
Theorem maps_move : forall A B C C' (P : (Z -> A) -> Prop) (f : (Z -> A) -> Z -> B) (h : (Z -> A) -> Z -> C)
  (g : B -> C -> C') (table : Z -> C) m D D',
  moves P f D D' ->
  (moves P h D D' -> moves P (fun S u => g (f S u) (h S u)) D D') /\
  (periodic m table -> (m | D') -> moves P (fun S u => g (f S u) (table u)) D D').
Proof.
  intros A B C C' P f h g table m D D' F; split.
  - intros H S HS u. now rewrite (F S HS u), (H S HS u).
  - intros T [k K] S HS u. rewrite (F S HS u); unfold shift; f_equal.
    apply (periodic_congruent table m); trivial. exists k; lia.
Qed.

(** ** Cells pulled apart (lhs dilation, interior padding) *)

Definition stretch {A} (b : Z) (z : A) (S : Z -> A) : Z -> A := fun u => if u mod b =? 0 then S (u / b) else z.

(** With b - 1 cells of one value between any two, periods and steps are b times as large. *)
Theorem stretching_multiplies : forall A (z : A) b, 0 < b ->
  (forall D, moves any (stretch b z) D (b * D)) /\
  (forall N S, periodic N S -> periodic (b * N) (stretch b z S)).
Proof.
  intros A z b H; split.
  - intros D S _ u; unfold stretch, shift. replace (u - b * D) with (u + (- D) * b) by lia.
    rewrite Z_mod_plus_full, Z_div_plus_full by lia. destruct (u mod b =? 0); trivial; f_equal; lia.
  - intros N S P u; unfold stretch. replace (u + b * N) with (u + N * b) by lia.
    rewrite Z_mod_plus_full, Z_div_plus_full by lia. destruct (u mod b =? 0); trivial.
Qed.

(** Cell i of an array of n cells that are pulled b apart, with [low] cells of the same value before them. *)
Definition padded {A} (b low n : Z) (z : A) (cell : Z -> A) (i : Z) : A :=
  let j := i - low in if (0 <=? j) && (j <=? (n - 1) * b) && (j mod b =? 0) then cell (j / b) else z.

(** Around an array whose cells were pulled b apart, less than b cells may be added, or any taken away, on either side:
    it still shows the stretched signal. *)
Theorem padding_between_and_around : forall A (z : A) (S : Z -> A) b n o low high, 0 < b -> low < b -> high < b ->
  forall i, 0 <= i < (n - 1) * b + 1 + low + high ->
  padded b low n z (fun j => S (o + j)) i = stretch b z S (b * o - low + i).
Proof.
  intros A z S b n o low high Hb Hl Hh i Hi; unfold padded, stretch.
  replace (b * o - low + i) with (i - low + o * b) by lia. rewrite Z_mod_plus_full, Z_div_plus_full by lia.
  destruct (Z.eqb_spec ((i - low) mod b) 0) as [E|E]; [|now rewrite andb_false_r].
  pose proof (Z.div_mod (i - low) b ltac:(lia)). set (t := (i - low) / b) in *.
  assert (0 <= t <= n - 1) by nia. assert (0 <= b * t <= b * (n - 1)) by nia. rewrite E in *.
  destruct (Z.leb_spec 0 (i - low)); [|lia]. destruct (Z.leb_spec (i - low) ((n - 1) * b)); [|lia].
  simpl; f_equal; lia.
Qed.
