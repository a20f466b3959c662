(** * The checker is right

    Read the last theorem first: where [check] says [Proved] of a certificate, the statement holds of every model of its
    program. *)

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

Lemma moves_right {V} (copy : Z -> images V) (m : model V) k s axes r e : premise copy (fact e) (s, fun z => m z k) ->
  extent e = s -> moves axes r e = Yes -> forall i, inside s i -> m (copy 1) k i = m (copy 0) k (back axes r s i).
Proof.
  intros P X H i I. pose proof (back_inside axes r s i I) as B.
  refine (premise_cell copy (fact e) (s, fun z => m z k) 1 i 0 _ P I B _).
  intros a A. simpl in A. pose proof (fits_right _ _ (proj1 P)) as [_ W]. simpl in W. destruct (W a A) as [S Z].
  unfold moves in H. rewrite X in H. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact A]].
  unfold back. rewrite nth_build, (nth_indep s 1 0) by trivial. pose proof (proj2 I a A).
  destruct (listed a axes); [now apply moves_along_right|]. apply still_axis_stays; trivial; [now apply ask_yes | lia].
Qed.

(** The images shifted by r, cell by cell. *)
Definition shift_images {V} (p : program) (r : list Z) (x : images V) : images V :=
  fun k i => match nth_error (nodes p) k with
             | Some v => match op v with Input axes => x k (back axes r (shape v) i) | _ => x k i end
             | None => x k i
             end.

Lemma shift_images_right {V} p r (x : images V) : shifted p r x (shift_images p r x).
Proof. intros k v axes N Op i I. unfold shift_images. now rewrite N, Op. Qed.

(** On a torus the image, and that shifted once, are two of all copies; each is shifted so many times. *)
Definition copies {V} (p : program) (r : list Z) (x y : images V) (t : Z) : images V :=
  if t =? 0 then x else if t =? 1 then y else shift_images p (map (Z.mul t) r) x.

Lemma copies_right {V} p r (x y : images V) : shifted p r x y ->
  forall k v axes, nth_error (nodes p) k = Some v -> op v = Input axes ->
    one_signal true axes r (shape v) (fun t => copies p r x y t k).
Proof.
  intros T k v axes N Op. exists (fun u => x k (build (length (shape v)) (fun a => nth a u 0 mod nth a (shape v) 1))).
  split.
  - intros u u' L L' D. f_equal. apply map_seq_equal. intros a A. rewrite (nth_indep (shape v) 1 0) by trivial.
    now apply equal_mod, D.
  - intros t i I. assert (Back : x k (build (length (shape v)) (fun a =>
      nth a (build (length (shape v)) (fun b => nth b i 0 - t * step_along axes r b)) 0 mod nth a (shape v) 1)) =
      x k (back axes (map (Z.mul t) r) (shape v) i)).
    { f_equal. apply map_seq_equal. intros a A. rewrite nth_build by trivial. unfold step_along.
      replace (nth (position a axes) (map (Z.mul t) r) 0) with (t * nth (position a axes) r 0)
        by (rewrite <- (map_nth (Z.mul t)), Z.mul_0_r; reflexivity).
      destruct (listed a axes); trivial. rewrite Z.mul_0_r, Z.sub_0_r, (nth_indep (shape v) 1 0) by trivial.
      apply Z.mod_small, I, A. }
    rewrite Back. unfold copies. destruct (Z.eqb_spec t 0) as [->|Z0]; [|destruct (Z.eqb_spec t 1) as [->|Z1]].
    + f_equal. apply equal_lists; destruct I as [L I]; [unfold back; now rewrite build_length|]. rewrite L. intros a A.
      unfold back. rewrite nth_build by trivial.
      pose proof (map_nth (Z.mul 0) r 0 (position a axes)) as Q. rewrite !Z.mul_0_l in Q. rewrite Q.
      rewrite Z.sub_0_r, (nth_indep (shape v) 1 0) by trivial. destruct (listed a axes); trivial.
      symmetry. now apply Z.mod_small, I.
    + rewrite (T k v axes N Op i I). f_equal. f_equal. clear. induction r as [|s r IH]; simpl; trivial.
      f_equal; [now destruct s | exact IH].
    + now rewrite (shift_images_right p (map (Z.mul t) r) x k v axes N Op i I).
Qed.

Lemma check_generator_right {V} (numbers : addition V) c g (m : model V) :
  is_model numbers (about c) m -> check_generator c g = Proved ->
  match what c with
  | Invariance => acts (about c) m [] (by_shift g) []
  | Equivariance axes same => acts (about c) m axes (by_shift g) (by_output g) /\
                              (same = true -> acts (about c) m axes (by_shift g) (by_shift g))
  end.
Proof.
  intros M H. unfold check_generator in H.
  destruct (check_nodes (by_shift g) (has_sums (about c)) [] (nodes (about c)) (listings g)) as [env|why k] eqn:D;
    [|destruct why; easy].
  destruct (nth_error env (output (about c))) as [[e|]|] eqn:N; try easy.
  assert (R : concludes (what c) (by_shift g) (by_output g) e = Yes).
  { destruct (concludes (what c) (by_shift g) (by_output g) e); easy. }
  unfold concludes in R. destruct (sums_of e) eqn:U; [discriminate R|].
  assert (K : forall axes r, moves axes r e = Yes -> acts (about c) m axes (by_shift g) r).
  { intros axes r E x y T i I.
    destruct (derived_right numbers (about c) m M (by_shift g) _ (copies_right _ _ x y T) _ env _ e D N U) as [X P].
    now apply (moves_right _ m _ _ axes r e P X E). }
  destruct (what c) as [|axes same].
  - now apply K.
  - apply both_yes in R as [R1 R2]. split; [now apply K|]. intros ->. now apply K.
Qed.

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

Lemma first_not_proved_right results : first_not_proved results = Proved -> forall r, In r results -> r = Proved.
Proof.
  induction results as [|r rs IH]; simpl; intros H u I; [easy|].
  destruct I as [->|I].
  - now destruct u.
  - destruct r; try easy. now apply IH.
Qed.

(** Where the checker says [Proved], the statement holds: for values of any type, for every model of the program (so for
    all functions of the classes that its operations name, and all weights; where some of these are sums, of values whose
    addition is commutative, whichever it is), for every shift [r] that is a sum of
    listed generators and their inverses, [r'] being the same sum of their output shifts, and for all images x and y
    of which y is x shifted by r: the output at y is the output at x, or, of an equivariance, that shifted by r' along
    the axes named (and by r, where the statement says that it moves as the image does). *)
Theorem checked_statements_hold : forall c, check c = Proved ->
  forall (V : Type) (numbers : addition V) (m : model V), is_model numbers (about c) m ->
  forall r r',
    generated (length (grid c)) (rank_of (what c)) (map (fun g => (by_shift g, by_output g)) (generators c)) r r' ->
    answers (about c) m (what c) r r'.
Proof.
  intros c H V numbers m M r r' Ge. unfold check in H. destruct (well_formed c) eqn:W; [|easy].
  assert (A : forall g, In g (generators c) -> check_generator c g = Proved).
  { intros g I. apply (first_not_proved_right _ H). now apply in_map. }
  unfold well_formed in W. rewrite !andb_true_iff in W. destruct W as [[[[_ W1] _] _] W2].
  assert (F : axes_fit (about c) (length (grid c))).
  { intros k v axes N Op. apply nth_error_In in N. rewrite forallb_forall in W1. specialize (W1 v N).
    unfold has_grid in W1. rewrite Op, !andb_true_iff, Nat.eqb_eq in W1. lia. }
  assert (K : forall axes n', (length axes <= n')%nat ->
    forall h : generator -> list Z, (forall g, In g (generators c) -> acts (about c) m axes (by_shift g) (h g)) ->
    forall r s, generated (length (grid c)) n' (map (fun g => (by_shift g, h g)) (generators c)) r s ->
    acts (about c) m axes r s).
  { intros axes n' L h Each q s G. induction G as [g g' I|q s g g' I _ IH|q s g g' I _ IH];
      apply in_map_iff in I as [u [E I]]; injection E as <- <-; [now apply Each | |].
    - apply acts_plus; trivial. now apply Each.
    - apply acts_minus; trivial. now apply Each. }
  assert (Twice : forall n' l r0 s0, generated (length (grid c)) n' l r0 s0 ->
    generated (length (grid c)) (length (grid c)) (map (fun u => (fst u, fst u)) l) r0 r0).
  { intros n' l r0 s0 G. induction G as [g g' I|q s g g' I _ IH|q s g g' I _ IH];
      apply (in_map (fun u => (fst u, fst u))) in I; simpl in I;
      [now apply listed_itself | now apply onwards | now apply backwards]. }
  assert (B : forall g, In g (generators c) -> match what c with
    | Invariance => acts (about c) m [] (by_shift g) []
    | Equivariance axes same => acts (about c) m axes (by_shift g) (by_output g) /\
                                (same = true -> acts (about c) m axes (by_shift g) (by_shift g)) end).
  { intros g I. apply check_generator_right with numbers; auto. }
  intros x y T i I. cbv zeta. destruct (what c) as [|axes same]; simpl rank_of in Ge.
  - assert (Z0 : acts (about c) m [] r r').
    { now apply (K [] 0%nat (Nat.le_refl 0) by_output). }
    rewrite (Z0 x y T i I). now rewrite back_nothing.
  - rewrite !andb_true_iff in W2. destruct W2 as [_ W2]. split.
    + apply (K axes (length axes) (Nat.le_refl _) by_output) with (r := r); trivial. intros g J. now apply B.
    + intros ->. simpl in W2. apply Nat.eqb_eq in W2.
      apply (K axes (length (grid c)) ltac:(lia) by_shift) with (r := r); trivial.
      * intros g J. now apply B.
      * apply Twice in Ge. now rewrite map_map in Ge.
Qed.
