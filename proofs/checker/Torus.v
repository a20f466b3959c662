(** * Tori: what follows for the output, and for all shifts that the generators reach *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders Views Checker Nodes.
Import ListNotations.
Open Scope Z_scope.

(** ** What follows for the output *)

Lemma back_inside axes r s i : inside s i -> inside s (back axes r s i).
Proof.
  intros [L I]. apply build_inside. intros a A. specialize (I a A). rewrite (nth_indep s 1 0) by trivial.
  destruct (listed a axes); [apply Z.mod_pos_bound; lia | trivial].
Qed.

(** [m] at [y] is [m] at [x], moved by [r'] along some axes of its output. *)
Definition acts {V} (p : program) (m : model V) (axes : list nat) (r r' : list Z) : Prop :=
  forall x y, shifted p r x y -> forall i, inside (shape_of p (output p)) i ->
    m y (output p) i = m x (output p) (back axes r' (shape_of p (output p)) i).

Lemma moves_along_right n r fs j : moves_along n r fs = Yes -> sane_axis fs = true -> size_axis fs = n -> 0 <= j < n ->
  alike_axis fs 1 j 0 ((j - r) mod n).
Proof.
  intros H S Z J. unfold moves_along in H. pose proof (Z.mod_pos_bound (j - r) n ltac:(lia)) as B.
  destruct (still_axis fs && (r mod n =? 0)) eqn:U.
  - apply andb_true_iff in U as [U R]. apply divides in R.
    replace ((j - r) mod n) with j; [apply still_axis_stays; trivial; lia|].
    rewrite <- (Z.mod_small j n) at 1 by lia. apply equal_mod.
    now replace (j - (j - r)) with r by ring.
  - clear U. destruct fs as [|p [|? ?]]; try discriminate H. destruct (merged p) as [f|]; [|discriminate H].
    apply both_yes in H as [C H]. apply ask_yes in C.
    rewrite !andb_true_iff, Z.eqb_eq in C. destruct C as [[[S1 Q] P] R].
    rewrite sane_one_axis in S. simpl in Z. apply divides in P, R.
    apply alike_one_part; try lia. apply (follows_right FUEL [f] p); trivial; try (simpl; lia).
    + unfold sane; simpl. now rewrite S1.
    + apply alike_one; trivial. unfold alike1.
      replace (j - (j - r) mod n - (1 - 0) * step f) with ((j - r - (j - r) mod n) - (step f - r)) by ring.
      apply Z.divide_sub_r; trivial. apply Z.divide_trans with n; trivial.
      apply Z.mod_divide; [lia|]. rewrite Zminus_mod, Zmod_mod, Z.sub_diag. apply Z.mod_0_l; lia.
Qed.

(** On a torus there are two copies: the image, and that shifted once. *)
Definition once (t : bool) : Z := if t then 1 else 0.
Definition either {V} (x y : images V) (t : bool) : images V := if t then y else x.

Lemma moves_right {V} (x y : images V) (m : model V) k s axes r e :
  premise once (either x y) (fact e) (s, fun z => m z k) ->
  extent e = s -> moves axes r e = Yes -> forall i, inside s i -> m y k i = m x k (back axes r s i).
Proof.
  intros P X H i I. pose proof (back_inside axes r s i I) as B.
  refine (premise_cell once (either x y) (fact e) (s, fun z => m z k) true i false _ P I B _).
  intros a A. simpl in A. pose proof (fits_right _ _ (proj1 P)) as [_ W]. simpl in W. destruct (W a A) as [S Z].
  unfold moves in H. rewrite X in H. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact A]].
  unfold back. rewrite nth_build, (nth_indep s 1 0) by trivial. pose proof (proj2 I a A).
  destruct (listed a axes); [now apply moves_along_right|]. apply still_axis_stays; trivial; [now apply ask_yes | lia].
Qed.

Lemma one_signal_around {V} p r (x y : images V) : shifted p r x y ->
  forall k v axes, nth_error (nodes p) k = Some v -> op v = Input axes ->
    one_signal once true axes r (shape v) (fun t => either x y t k).
Proof.
  intros T k v axes N Op. set (s := shape v).
  exists (fun u => x k (build (length s) (fun a => nth a u 0 mod nth a s 1))). split.
  - intros u u' L L' D. f_equal. apply map_seq_equal. intros a A. rewrite (nth_indep s 1 0) by trivial.
    now apply equal_mod, D.
  - intros t i [L I]. assert (W : forall a, (a < length s)%nat -> nth a i 0 mod nth a s 1 = nth a i 0).
    { intros a A. rewrite (nth_indep s 1 0) by trivial. now apply Z.mod_small, I. }
    destruct t; cbn [either once].
    + rewrite (T k v axes N Op i) by now split. f_equal. apply map_seq_equal. intros a A. fold s.
      rewrite nth_build by trivial. unfold step_along. destruct (listed a axes); [now rewrite Z.mul_1_l|].
      now rewrite Z.mul_0_r, Z.sub_0_r, W.
    + f_equal. apply equal_lists; [now rewrite build_length|]. rewrite L. intros a A. rewrite !nth_build by trivial.
      now rewrite Z.mul_0_l, Z.sub_0_r, W.
Qed.

(** The images shifted by r, cell by cell. *)
Definition shift_images {V} (p : program) (r : list Z) (x : images V) : images V :=
  fun k i => match nth_error (nodes p) k with
             | Some v => match op v with Input axes => x k (back axes r (shape v) i) | _ => x k i end
             | None => x k i
             end.

Lemma shift_images_right {V} p r (x : images V) : shifted p r x (shift_images p r x).
Proof. intros k v axes N Op i I. unfold shift_images. now rewrite N, Op. Qed.

(** ** All shifts that the generators reach *)

Lemma back_nth axes r s i a : (a < length s)%nat -> nth a (back axes r s i) 0 =
  if listed a axes then (nth a i 0 - nth (position a axes) r 0) mod nth a s 1 else nth a i 0.
Proof. apply nth_build. Qed.

Lemma back_twice axes n r g s i : (length axes <= n)%nat -> inside s i ->
  back axes r s (back axes g s i) = back axes (plus n r g) s i.
Proof.
  intros L I. apply map_seq_equal. intros a A. rewrite !back_nth by trivial.
  destruct (listed a axes) eqn:E; trivial. apply listed_in, position_in in E as [E _].
  unfold plus. rewrite nth_build by lia. rewrite Zminus_mod_idemp_l. f_equal; ring.
Qed.

Lemma back_plus_minus axes n r g s i : (length axes <= n)%nat -> inside s i ->
  back axes (minus n r g) s (back axes g s i) = back axes r s i.
Proof.
  intros L I. apply map_seq_equal. intros a A. rewrite !back_nth by trivial.
  destruct (listed a axes) eqn:E; trivial. apply listed_in, position_in in E as [E _].
  unfold minus. rewrite nth_build by lia. rewrite Zminus_mod_idemp_l. f_equal; ring.
Qed.

Lemma back_and_forth axes n g s i : (length axes <= n)%nat -> inside s i ->
  back axes g s (back axes (build n (fun a => - nth a g 0)) s i) = i.
Proof.
  intros L [N I]. unfold back at 1. apply equal_lists; [now rewrite build_length|].
  rewrite build_length. intros a A. rewrite nth_build, !back_nth by trivial. specialize (I a A).
  destruct (listed a axes) eqn:E; trivial. apply listed_in, position_in in E as [E _].
  rewrite nth_build by lia. rewrite Zminus_mod_idemp_l, (nth_indep s 1 0) by trivial.
  replace (nth a i 0 - - nth (position a axes) g 0 - nth (position a axes) g 0) with (nth a i 0) by ring.
  now apply Z.mod_small.
Qed.

Lemma back_minus axes n r g s i : (length axes <= n)%nat -> inside s i ->
  back axes r s (back axes (build n (fun a => - nth a g 0)) s i) = back axes (minus n r g) s i.
Proof.
  intros L I. apply map_seq_equal. intros a A. rewrite !back_nth by trivial.
  destruct (listed a axes) eqn:E; trivial. apply listed_in, position_in in E as [E _].
  unfold minus. rewrite !nth_build by lia. rewrite Zminus_mod_idemp_l. f_equal; ring.
Qed.

Definition axes_fit (p : program) (n : nat) : Prop :=
  forall k v axes, nth_error (nodes p) k = Some v -> op v = Input axes -> (length axes <= n)%nat.

Lemma acts_plus {V} p (m : model V) axes n n' r r' g g' : axes_fit p n -> (length axes <= n')%nat ->
  acts p m axes r r' -> acts p m axes g g' -> acts p m axes (plus n r g) (plus n' r' g').
Proof.
  intros F L R G x y T i I. set (z := shift_images p r x).
  assert (T1 : shifted p r x z) by apply shift_images_right.
  assert (T2 : shifted p g z y).
  { intros k v ax N Op j J. rewrite (T k v ax N Op j J). rewrite (T1 k v ax N Op) by now apply back_inside.
    f_equal. symmetry. apply back_twice; trivial. now apply (F k v). }
  rewrite (G z y T2 i I), (R x z T1) by now apply back_inside. f_equal. now apply back_twice.
Qed.

Lemma acts_minus {V} p (m : model V) axes n n' r r' g g' : axes_fit p n -> (length axes <= n')%nat ->
  acts p m axes r r' -> acts p m axes g g' -> acts p m axes (minus n r g) (minus n' r' g').
Proof.
  intros F L R G x y T i I. set (z := shift_images p g y).
  assert (T1 : shifted p g y z) by apply shift_images_right.
  assert (T2 : shifted p r x z).
  { intros k v ax N Op j J. rewrite (T1 k v ax N Op j J). rewrite (T k v ax N Op) by now apply back_inside.
    f_equal. apply back_plus_minus; trivial. now apply (F k v). }
  set (j := back axes (build n' (fun a => - nth a g' 0)) (shape_of p (output p)) i).
  assert (J : inside (shape_of p (output p)) j) by now apply back_inside.
  pose proof (G y z T1 j J) as E1. pose proof (R x z T2 j J) as E2.
  unfold j in E1 at 2. rewrite (back_and_forth axes n' g' _ i L I) in E1.
  unfold j in E2 at 2. rewrite (back_minus axes n' r' g' _ i L I) in E2. congruence.
Qed.

Lemma back_nothing r s i : inside s i -> back [] r s i = i.
Proof.
  intros [L I]. apply equal_lists; [unfold back; now rewrite build_length|].
  unfold back. rewrite build_length. intros a A. now rewrite nth_build.
Qed.

(** All sums and differences of generators act, where each of them does. *)
Lemma generated_act {V} p (m : model V) axes n n' gens : axes_fit p n -> (length axes <= n')%nat ->
  (forall g g', In (g, g') gens -> acts p m axes g g') ->
  forall r r', generated n n' gens r r' -> acts p m axes r r'.
Proof.
  intros F L Each r r' G. induction G as [g g' I|q s g g' I _ IH|q s g g' I _ IH].
  - now apply Each.
  - apply acts_plus; trivial. now apply Each.
  - apply acts_minus; trivial. now apply Each.
Qed.
