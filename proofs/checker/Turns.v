(** * Turns: by how much a shift turns the cells of a spectrum

    A shift of a signal turns each frequency of its spectrum, by an angle that is an affine function of the frequency,
    and twice the shift turns it twice as far. A *phase* is such a function of one digit of a coordinate; angles are
    added where an array has several. They are counted in parts of a full turn, as many as the order of the root of
    unity. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices.
Import ListNotations.
Open Scope Z_scope.

(** Of a coordinate along an axis the digit [(i / minor) mod many], times [rate], plus [initial]: parts of a cycle. *)
Record phase := Phase { along : nat; minor : Z; many : Z; cycle : Z; initial : Z; rate : Z }.

(** What [n] parts of a full turn a cell is turned by. *)
Definition digit (q : phase) (i : list Z) : Z := (nth (along q) i 0 / minor q) mod many q.
Definition angle1 (n : Z) (q : phase) (i : list Z) : Z := (initial q + digit q i * rate q) * (n / cycle q).
Definition angle (n : Z) (W : list phase) (i : list Z) : Z := fold_right Z.add 0 (map (fun q => angle1 n q i) W).

Definition opposite (q : phase) : phase := Phase (along q) (minor q) (many q) (cycle q) (- initial q) (- rate q).

(** A phase is one of an array of this shape; and phases divide a full turn. *)
Definition sane_phase (s : list Z) (q : phase) : bool :=
  (along q <? length s)%nat && (1 <=? minor q) && (1 <=? many q) && (1 <=? cycle q)
  && (nth (along q) s 0 mod (minor q * many q) =? 0).
Definition sane_phases (s : list Z) (W : list phase) : bool := forallb (sane_phase s) W.
Definition cycles_divide (n : Z) (W : list phase) : Prop := forall q, In q W -> (cycle q | n).

Lemma angle_app n W S i : angle n (W ++ S) i = angle n W i + angle n S i.
Proof. unfold angle. induction W as [|q W IH]; simpl; lia. Qed.

Lemma angle_opposite n W i : angle n (map opposite W) i = - angle n W i.
Proof.
  unfold angle. induction W as [|q W IH]; simpl; [trivial|]. rewrite IH. unfold angle1, digit, opposite; simpl. ring.
Qed.

Lemma sane_phase_right s q : sane_phase s q = true -> (along q < length s)%nat /\ 1 <= minor q /\ 1 <= many q /\
  1 <= cycle q /\ (minor q * many q | nth (along q) s 0).
Proof.
  unfold sane_phase. rewrite !andb_true_iff, Nat.ltb_lt, !Z.leb_le. intros [[[[A B] C] D] E]. apply divides in E. tauto.
Qed.

Lemma sane_phases_in s W q : sane_phases s W = true -> In q W -> sane_phase s q = true.
Proof. unfold sane_phases. rewrite forallb_forall. auto. Qed.

Lemma angle_equal n (W : list phase) (h : phase -> phase) i j :
  (forall q, In q W -> angle1 n (h q) i = angle1 n q j) -> angle n (map h W) i = angle n W j.
Proof.
  intro H. unfold angle. rewrite map_map. induction W as [|q W IH]; simpl; trivial.
  rewrite H by now left. now rewrite IH by (intros; apply H; now right).
Qed.

(** ** Angles that are the same *)

(** Phases of one digit and cycle, whose sums are whole cycles. A digit that is always 0 has no rate. *)
Definition of_one_digit (q r : phase) : bool :=
  (along q =? along r)%nat && (minor q =? minor r) && (many q =? many r) && (cycle q =? cycle r).
Definition sum_of (h : phase -> Z) (W : list phase) : Z := fold_right Z.add 0 (map h W).
Definition cancels (W : list phase) : bool :=
  forallb (fun q => let same := filter (of_one_digit q) W in
                    (sum_of initial same mod cycle q =? 0) &&
                    ((many q =? 1) || (sum_of rate same mod cycle q =? 0))) W.
Definition turned_as (W S : list phase) : bool := cancels (W ++ map opposite S).

Lemma of_one_digit_right q r : of_one_digit q r = true ->
  along q = along r /\ minor q = minor r /\ many q = many r /\ cycle q = cycle r.
Proof. unfold of_one_digit. rewrite !andb_true_iff, Nat.eqb_eq, !Z.eqb_eq. tauto. Qed.

Lemma of_one_digit_same q r u : of_one_digit q r = true -> of_one_digit q u = of_one_digit r u.
Proof. intro H. apply of_one_digit_right in H as (A & B & C & D). unfold of_one_digit. now rewrite A, B, C, D. Qed.

Lemma of_one_digit_symmetric q r : of_one_digit q r = of_one_digit r q.
Proof.
  unfold of_one_digit. now rewrite Nat.eqb_sym, (Z.eqb_sym (minor q)), (Z.eqb_sym (many q)), (Z.eqb_sym (cycle q)).
Qed.

Lemma angle_of_one_digit n q W i : (forall r, In r W -> of_one_digit q r = true) ->
  angle n W i = (sum_of initial W + digit q i * sum_of rate W) * (n / cycle q).
Proof.
  intro H. unfold angle, sum_of. induction W as [|r W IH]; simpl; [ring|].
  rewrite IH by (intros; apply H; now right).
  destruct (of_one_digit_right q r (H r (or_introl eq_refl))) as (A & B & C & D).
  unfold angle1, digit. rewrite A, B, C, D. ring.
Qed.

Lemma angle_partition n (p : phase -> bool) W i :
  angle n W i = angle n (filter p W) i + angle n (filter (fun q => negb (p q)) W) i.
Proof.
  induction W as [|q W IH]; [reflexivity|]. cbn [filter]. destruct (p q); cbn [negb]; unfold angle in *; simpl; lia.
Qed.

Lemma filter_filter {A} (p q : A -> bool) l : (forall v, p v = true -> q v = true) ->
  filter p (filter q l) = filter p l.
Proof.
  intro H. induction l as [|v l IH]; simpl; trivial. destruct (q v) eqn:Q; simpl; rewrite IH; trivial.
  destruct (p v) eqn:P; trivial. rewrite (H v P) in Q. discriminate Q.
Qed.

Lemma filter_shorter {A} (p : A -> bool) l : (length (filter p l) <= length l)%nat.
Proof. induction l as [|v l IH]; simpl; [lia|]. destruct (p v); simpl; lia. Qed.

(** What cancels is no turn, or whole ones. *)
Theorem cancels_right : forall n W i, cancels W = true -> cycles_divide n W -> (n | angle n W i).
Proof.
  intros n W i. remember (length W) as k eqn:L. assert (K : (length W <= k)%nat) by lia. clear L. revert W K.
  induction k as [|k IH]; intros W K H D.
  - destruct W; [apply Z.divide_0_r | simpl in K; lia].
  - destruct W as [|q W]; [apply Z.divide_0_r|]. set (p := of_one_digit q). pose proof H as H0.
    unfold cancels in H0. rewrite forallb_forall in H0.
    assert (P : p q = true) by (unfold p, of_one_digit; now rewrite Nat.eqb_refl, !Z.eqb_refl).
    rewrite (angle_partition n p). apply Z.divide_add_r.
    + rewrite (angle_of_one_digit n q) by (intros r R; now apply filter_In in R).
      specialize (H0 q (or_introl eq_refl)). cbv zeta in H0. apply andb_true_iff in H0 as [A B]. apply divides in A.
      assert (B' : (cycle q | digit q i * sum_of rate (filter p (q :: W)))).
      { apply orb_true_iff in B as [B|B]; [|now apply Z.divide_mul_r, divides].
        apply Z.eqb_eq in B. unfold digit. rewrite B, Z.mod_1_r. apply Z.divide_0_r. }
      destruct (D q (or_introl eq_refl)) as [c C].
      destruct (Z.eq_dec (cycle q) 0) as [Z0|Z0].
      { rewrite Z0, Z.mul_0_r in C. rewrite C, Z0. simpl. rewrite Z.mul_0_r. apply Z.divide_0_r. }
      assert (Q : n / cycle q = c) by (rewrite C; now apply Z.div_mul). rewrite Q, C, (Z.mul_comm c).
      apply Z.mul_divide_mono_r. now apply Z.divide_add_r.
    + apply IH.
      * simpl. rewrite P. simpl. pose proof (filter_shorter (fun r => negb (p r)) W). simpl in K. lia.
      * unfold cancels. apply forallb_forall. intros r R. apply filter_In in R as [R R0].
        apply negb_true_iff in R0. unfold p in R0.
        specialize (H0 r R). cbv zeta in *. rewrite filter_filter; [exact H0|].
        intros u U. apply negb_true_iff. destruct (p u) eqn:E; trivial. unfold p in E.
        rewrite (of_one_digit_same q u r E), of_one_digit_symmetric in R0. congruence.
      * intros r R. apply filter_In in R as [R _]. now apply D.
Qed.

Lemma turned_as_right n W S i : turned_as W S = true -> cycles_divide n W -> cycles_divide n S ->
  (n | angle n W i - angle n S i).
Proof.
  intros H D E. replace (angle n W i - angle n S i) with (angle n (W ++ map opposite S) i)
    by (rewrite angle_app, angle_opposite; ring).
  apply cancels_right; trivial. intros q Q. apply in_app_or in Q as [Q|Q]; [now apply D|].
  apply in_map_iff in Q as [r [<- R]]. now apply (E r).
Qed.

(** ** Other axes, and other cells of an axis *)

(** Phases of axes that have become others. *)
Definition carried_over (h : nat -> nat) (S : list phase) : list phase :=
  map (fun q => Phase (h (along q)) (minor q) (many q) (cycle q) (initial q) (rate q)) S.

Lemma angle_carried n h S i j : (forall q, In q S -> nth (h (along q)) i 0 = nth (along q) j 0) ->
  angle n (carried_over h S) i = angle n S j.
Proof. intro H. apply angle_equal. intros q Q. unfold angle1, digit; simpl. now rewrite H. Qed.

(** No phase runs along an axis; or each one that does counts all of its cells. *)
Definition none_along (a : nat) (S : list phase) : bool := forallb (fun q => negb (along q =? a)%nat) S.
Definition counts_cells (a : nat) (n : Z) (S : list phase) : bool :=
  forallb (fun q => negb (along q =? a)%nat || (minor q =? 1) && (many q =? n)) S.

(** Of such an axis [m] cells are taken, from [start] on, at a distance. *)
Definition taken (a : nat) (start by_ m : Z) (S : list phase) : list phase :=
  map (fun q => if (along q =? a)%nat
                then Phase a 1 m (cycle q) (initial q + start * rate q) (by_ * rate q) else q) S.

Lemma nth_put a v i b : nth b (put a v i) 0 = if (b <? length i)%nat && (b =? a)%nat then v else nth b i 0.
Proof.
  unfold put. destruct (Nat.ltb_spec b (length i)) as [L|L]; simpl; [now apply nth_build|].
  rewrite !nth_overflow; trivial. now rewrite build_length.
Qed.

Lemma put_back a v i : put a (nth a i 0) (put a v i) = i.
Proof.
  assert (L : length (put a v i) = length i) by apply build_length.
  assert (L2 : length (put a (nth a i 0) (put a v i)) = length i) by (rewrite <- L; apply build_length).
  apply equal_lists; trivial. rewrite L2. intros b B. rewrite !nth_put, L, (proj2 (Nat.ltb_lt b (length i)) B). simpl.
  now destruct (Nat.eqb_spec b a) as [->|D].
Qed.

Lemma angle_put n a v i S : none_along a S = true -> angle n S (put a v i) = angle n S i.
Proof.
  intro H. unfold angle. f_equal. apply map_ext_in. intros q Q. unfold none_along in H. rewrite forallb_forall in H.
  specialize (H q Q). apply negb_true_iff in H. unfold angle1, digit. rewrite nth_put, H. now rewrite andb_false_r.
Qed.

Lemma angle_taken n a start by_ m k i S : counts_cells a k S = true -> (a < length i)%nat -> 0 <= nth a i 0 < m ->
  0 <= start + by_ * nth a i 0 < k ->
  angle n (taken a start by_ m S) i = angle n S (put a (start + by_ * nth a i 0) i).
Proof.
  intros H L I J. apply angle_equal. intros q Q. unfold counts_cells in H. rewrite forallb_forall in H.
  specialize (H q Q). destruct (Nat.eqb_spec (along q) a) as [E|E]; simpl in H.
  - apply andb_true_iff in H as [H1 H2]. apply Z.eqb_eq in H1, H2. unfold angle1, digit; simpl.
    rewrite E, H1, H2, nth_put, Nat.eqb_refl, (proj2 (Nat.ltb_lt a (length i)) L). simpl.
    rewrite !Z.div_1_r, !Z.mod_small by lia. ring.
  - unfold angle1, digit. rewrite nth_put. apply Nat.eqb_neq in E. now rewrite E, andb_false_r.
Qed.

Lemma taken_none a start by_ m S : none_along a S = true -> taken a start by_ m S = S.
Proof.
  intro H. unfold taken. rewrite <- (map_id S) at 2. apply map_ext_in. intros q Q. unfold none_along in H.
  rewrite forallb_forall in H. specialize (H q Q). apply negb_true_iff in H. now rewrite H.
Qed.

Lemma cycles_taken n a start by_ m S : cycles_divide n S -> cycles_divide n (taken a start by_ m S).
Proof.
  intros D q Q. apply in_map_iff in Q as [r [<- R]]. specialize (D r R). now destruct (along r =? a)%nat.
Qed.

Lemma cycles_carried n h S : cycles_divide n S -> cycles_divide n (carried_over h S).
Proof. intros D q Q. apply in_map_iff in Q as [r [<- R]]. now apply (D r). Qed.

Lemma cycles_opposite n S : cycles_divide n S -> cycles_divide n (map opposite S).
Proof. intros D q Q. apply in_map_iff in Q as [r [<- R]]. now apply (D r). Qed.

(** ** Row-major order: phases of the places of cells *)

Definition below_axis (s : list Z) (a : nat) : Z := count (skipn (S a) s).
Definition of_places (s : list Z) (W : list phase) : list phase :=
  map (fun q => Phase 0 (minor q * below_axis s (along q)) (many q) (cycle q) (initial q) (rate q)) W.

Lemma place_digit s i a : inside s i -> (a < length s)%nat -> 0 < below_axis s a /\
  exists c, place s i / below_axis s a = c * nth a s 0 + nth a i 0.
Proof.
  revert i a; induction s as [|n s IH]; intros [|j i] a I L; simpl in L; try lia;
    try (destruct I as [I _]; simpl in I; lia).
  apply inside_cons in I as [J I]. pose proof (place_bounds s i I) as B. destruct a as [|a].
  - unfold below_axis; simpl. split; [lia|]. exists 0. destruct (digits_unique (count s) j (place s i)); lia.
  - destruct (IH i a I ltac:(lia)) as [P [c C]]. unfold below_axis in *.
    change (skipn (Datatypes.S (Datatypes.S a)) (n :: s)) with (skipn (Datatypes.S a) s).
    split; trivial. simpl nth. simpl place.
    assert (D : exists e, count s = e * (nth a s 0 * count (skipn (Datatypes.S a) s))).
    { clear - L. revert a L; induction s as [|n s IH]; intros a L; simpl in L; [lia|]. destruct a as [|a].
      - exists 1. change (n * count s = 1 * (n * count s)). ring.
      - destruct (IH a ltac:(lia)) as [e E]. exists (n * e).
        change (n * count s = n * e * (nth a s 0 * count (skipn (Datatypes.S a) s))). rewrite E. ring. }
    destruct D as [e E]. exists (j * e + c). rewrite E.
    replace (j * (e * (nth a s 0 * count (skipn (Datatypes.S a) s))))
      with (j * e * nth a s 0 * count (skipn (Datatypes.S a) s)) by ring.
    rewrite Z.div_add_l, C by lia. ring.
Qed.

Lemma angle_of_places n s W i : inside s i -> sane_phases s W = true ->
  angle n (of_places s W) [place s i] = angle n W i.
Proof.
  intros I H. apply angle_equal. intros q Q.
  destruct (sane_phase_right s q (sane_phases_in s W q H Q)) as (L & M & N & _ & [e D]).
  destruct (place_digit s i (along q) I L) as [P [c C]]. unfold angle1, digit; simpl. do 3 f_equal.
  rewrite Z.mul_comm, <- Z.div_div, C, D by lia.
  replace (c * (e * (minor q * many q)) + nth (along q) i 0)
    with (nth (along q) i 0 + c * e * many q * minor q) by ring.
  rewrite Z.div_add by lia. apply Z_mod_plus_full.
Qed.

Lemma cycles_of_places n s S : cycles_divide n S -> cycles_divide n (of_places s S).
Proof. intros D q Q. apply in_map_iff in Q as [r [<- R]]. now apply (D r). Qed.
