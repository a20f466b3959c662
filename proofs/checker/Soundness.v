(** * The checker is right

    Read the last theorem first: where [check] says [Proved] of a certificate, the statement holds of every model of its
    program. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders Views Checker Nodes Walk Torus Scenes.
Import ListNotations.
Open Scope Z_scope.

(** ** One generator *)

Lemma check_generator_right {V} (numbers : arithmetic V) c g (m : model V) : is_model numbers (about c) m ->
  check_generator c g = Proved -> exists e,
  concludes (what c) (by_shift g) (by_output g) e = Yes /\ extent e = shape_of (about c) (output (about c)) /\
  forall (index : Type) (turn : index -> Z) (copy : index -> images V),
    (forall k v axes, nth_error (nodes (about c)) k = Some v -> op v = Input axes ->
       one_signal turn (negb (is_scene (what c))) axes (by_shift g) (shape v) (fun t => copy t k)) ->
    premise turn copy (fact e) (shape_of (about c) (output (about c)), fun z => m z (output (about c))).
Proof.
  intros M H. unfold check_generator in H.
  destruct (check_nodes (negb (is_scene (what c))) (by_shift g) (about c) [] (nodes (about c)) (listings g))
    as [env|why k] eqn:D; [|destruct why; easy].
  destruct (nth_error env (output (about c))) as [[e|]|] eqn:N; try easy. exists e.
  assert (R : concludes (what c) (by_shift g) (by_output g) e = Yes).
  { destruct (concludes (what c) (by_shift g) (by_output g) e); easy. }
  assert (U : read_as e = Cells).
  { unfold concludes in R. destruct (read_as e); [reflexivity | discriminate R..]. }
  split; trivial. split.
  - destruct (derived_right numbers (about c) m M (negb (is_scene (what c))) (by_shift g) (index := Empty_set)
      (fun t => match t with end) (fun t => match t with end)) with (2 := D) (3 := N) as [X _]; trivial.
    intros k v axes _ _. exists (fun _ => nought numbers). split; trivial. intros [].
  - intros index turn copy T.
    now apply (derived_right numbers (about c) m M (negb (is_scene (what c))) (by_shift g) turn copy T _ env _ e D N U).
Qed.

Lemma first_not_proved_right results : first_not_proved results = Proved -> forall r, In r results -> r = Proved.
Proof.
  induction results as [|r rs IH]; simpl; intros H u I; [easy|].
  destruct I as [->|I].
  - now destruct u.
  - destruct r; try easy. now apply IH.
Qed.

Lemma moves_nothing r e : moves [] r e = moves [] [] e.
Proof. reflexivity. Qed.

(** The shifts of the image that are reached, as shifts of an output that moves as the image does. *)
Lemma same_generated n n' gens r s : generated n n' gens r s -> generated n n (map (fun u => (fst u, fst u)) gens) r r.
Proof.
  intro G. induction G as [g g' I|q s g g' I _ IH|q s g g' I _ IH];
    apply (in_map (fun u => (fst u, fst u))) in I; simpl in I;
    [now apply listed_itself | now apply onwards | now apply backwards].
Qed.

Lemma equal_generated n gens r r' : (forall g g', In (g, g') gens -> g' = g) -> generated n n gens r r' -> r' = r.
Proof.
  intros E G. induction G as [g g' I|q s g g' I _ IH|q s g g' I _ IH]; rewrite (E g g' I); trivial; now rewrite IH.
Qed.

(** ** All generators *)

Lemma torus_right {V} (numbers : arithmetic V) c (m : model V) axes (h : generator -> list Z) r r' :
  is_model numbers (about c) m -> is_scene (what c) = false -> axes_fit (about c) (length (grid c)) ->
  (forall g, In g (generators c) -> check_generator c g = Proved) ->
  (forall g e, In g (generators c) -> concludes (what c) (by_shift g) (by_output g) e = Yes ->
     moves axes (h g) e = Yes) ->
  forall n', (length axes <= n')%nat ->
    generated (length (grid c)) n' (map (fun g => (by_shift g, h g)) (generators c)) r r' ->
    acts (about c) m axes r r'.
Proof.
  intros M Sc F A H n' L. apply generated_act; trivial. intros q q' I. apply in_map_iff in I as [g [E I]].
  injection E as <- <-. destruct (check_generator_right numbers c g m M (A g I)) as (e & R & X & P).
  intros x y T i J. apply (moves_right x y m _ _ axes (h g) e); trivial; [|now apply H].
  apply P. rewrite Sc. now apply one_signal_around.
Qed.

Lemma scene_right {V} (numbers : arithmetic V) c (m : model V) axes same box r r' :
  is_model numbers (about c) m -> what c = OfScene axes same box -> axes_fit (about c) (length (grid c)) ->
  (forall g, In g (generators c) -> check_generator c g = Proved) ->
  (forall g, In g (generators c) -> length (by_shift g) = length (grid c) /\ length (by_output g) = length axes) ->
  (1 <= length (generators c))%nat ->
  let s := shape_of (about c) (output (about c)) in
  distinct axes = true -> below (length s) axes = true -> box_fits axes box s (generators c) = true ->
  generated (length (grid c)) (length axes) (map (fun g => (by_shift g, by_output g)) (generators c)) r r' ->
  acts_in_box (about c) m axes box r r'.
Proof.
  intros M Wh F A Len One s Di Be Fit G. unfold box_fits in Fit. rewrite !andb_true_iff in Fit.
  destruct Fit as [[[_ Dis] _] Box]. rewrite forallb_forall in Box.
  assert (Fits : forall k, (k < length axes)%nat ->
    0 <= fst (nth k box (0, 0)) /\ snd (nth k box (0, 0)) <= nth (nth k axes O) s 0).
  { intros k K. specialize (Box k ltac:(apply in_seq; lia)). destruct (nth k box (0, 0)) as [low high].
    rewrite !andb_true_iff, !Z.leb_le in Box. simpl. lia. }
  assert (Each : forall g, In g (generators c) -> forall t,
    acts_in_box (about c) m axes box (times t (by_shift g)) (times t (by_output g))).
  { intros g I t x y [X T] i J B B'. destruct (check_generator_right numbers c g m M (A g I)) as (e & R & E & P).
    unfold concludes in R. rewrite Wh in R. destruct (read_as e); [|discriminate R..].
    apply both_yes in R as [_ R].
    assert (Start : is_view (about c) X (times 0 (by_shift g)) x).
    { intros k v ax N Op j Ij. destruct (T k v ax N Op j Ij) as [-> _]. f_equal.
      apply equal_lists; [now rewrite back_on_length|]. intros a La. rewrite back_on_nth, times_nth by trivial.
      destruct (listed a ax); ring. }
    assert (End : is_view (about c) X (times t (by_shift g)) y).
    { intros k v ax N Op j Ij. now destruct (T k v ax N Op j Ij) as [_ ->]. }
    set (from_ := exist (fun u => is_view (about c) X (times (fst u) (by_shift g)) (snd u)) (0, x) Start).
    set (to := exist (fun u => is_view (about c) X (times (fst u) (by_shift g)) (snd u)) (t, y) End).
    pose proof (generator_acts (about c) m axes box Fits X (by_shift g) (by_output g) e (output (about c))) as Act.
    assert (Pr : premise (how_often (about c) (X := X) (g := by_shift g)) (seen (about c)) (fact e)
      (s, fun z => m z (output (about c)))).
    { apply P. rewrite Wh. intros k v ax N Op. now apply one_signal_of_scene. }
    specialize (Act Pr E R eq_refl to from_ i J B).
    cbv zeta in Act. unfold how_often, seen in Act. simpl in Act. rewrite Z.sub_0_r in Act. now apply Act. }
  apply generated_combined in G as (cs & -> & ->).
  2: { intros q q' I. apply in_map_iff in I as [g [E I]]. injection E as <- <-. now apply Len. }
  apply sums_act; trivial.
  - destruct (generators c) as [|g rest] eqn:Gs; [simpl in One; lia|].
    apply (acts_equal (about c) m axes box (times 0 (by_shift g)) (times 0 (by_output g)));
      [intro k; rewrite times_nth; now destruct k.. | apply Each; now left].
  - intros q q' t I. apply in_map_iff in I as [g [E I]]. injection E as <- <-. now apply Each.
  - rewrite map_map. exact Dis.
Qed.

(** Where the checker says [Proved], the statement holds: for values of any type, for every model of the program (so for
    all functions of the classes that its operations name, and all weights; where some of these are sums, of values whose
    addition is commutative, whichever it is; and where some are of spectra, of values that have a root of unity whose
    order all transformed lengths divide), for every shift [r] that is a sum of listed generators and their inverses,
    [r'] being the same sum of their output shifts, and for all images x and y of which y is x shifted by r: the output at
    y is the output at x, or, of an equivariance, that shifted by r' along the axes named (and by r, where the statement
    says that it moves as the image does). Of a scene, x and y are views of it before and after that shift, and it is said
    of each place of the output that lies in the box with the place that is shifted to it. *)
Theorem checked_statements_hold : forall c, check c = Proved ->
  forall (V : Type) (numbers : arithmetic V) (m : model V), is_model numbers (about c) m ->
  forall r r',
    generated (length (grid c)) (rank_of (what c)) (map (fun g => (by_shift g, by_output g)) (generators c)) r r' ->
    answers (about c) m (what c) r r'.
Proof.
  intros c H V numbers m M r r' Ge. unfold check in H. destruct (well_formed c) eqn:W; [|easy].
  assert (A : forall g, In g (generators c) -> check_generator c g = Proved).
  { intros g I. apply (first_not_proved_right _ H). now apply in_map. }
  unfold well_formed in W. rewrite !andb_true_iff in W. destruct W as [[[[[_ W1] One] Len] W2] W3].
  assert (F : axes_fit (about c) (length (grid c))).
  { intros k v axes N Op. apply nth_error_In in N. rewrite forallb_forall in W1. specialize (W1 v N).
    unfold has_grid in W1. rewrite Op, !andb_true_iff, Nat.eqb_eq in W1. lia. }
  unfold answers. cbv zeta. destruct (what c) as [|axes same|axes same box] eqn:Wh; simpl rank_of in Ge.
  - intros x y T i I. rewrite <- (back_nothing r' _ i I) at 2.
    apply (torus_right numbers c m [] by_output r r' M) with (n' := 0%nat); rewrite ?Wh; trivial.
    intros g e _ R. unfold concludes in R. destruct (read_as e); [|discriminate R..].
    now rewrite <- (moves_nothing (by_output g)) in R.
  - rewrite !andb_true_iff in W2. destruct W2 as [_ W2]. intros x y T i I. split.
    + apply (torus_right numbers c m axes by_output r r' M) with (n' := length axes); rewrite ?Wh; trivial.
      intros g e _ R. unfold concludes in R. destruct (read_as e); [|discriminate R..].
      now apply both_yes in R.
    + intros ->. simpl in W2. apply Nat.eqb_eq in W2.
      apply (torus_right numbers c m axes by_shift r r M) with (n' := length (grid c)); rewrite ?Wh; trivial; [|lia|].
      * intros g e _ R. unfold concludes in R. destruct (read_as e); [|discriminate R..].
        now apply both_yes in R.
      * apply same_generated in Ge. now rewrite map_map in Ge.
  - rewrite !andb_true_iff in W2. destruct W2 as [[[_ Di] Be] Same]. split.
    + intros ->. simpl in Same. apply Nat.eqb_eq in Same. rewrite Same in Ge. revert Ge. apply equal_generated.
      intros q q' I. apply in_map_iff in I as [g [E I]]. injection E as <- <-.
      destruct (check_generator_right numbers c g m M (A g I)) as (e & R & _). unfold concludes in R. rewrite Wh in R.
      destruct (read_as e); [|discriminate R..]. apply both_yes in R as [R _]. apply ask_yes in R. simpl in R.
      apply same_lists_right in R; trivial. intros v w. apply Z.eqb_eq.
    + apply (scene_right numbers c m axes same box r r' M); trivial; [|now apply Nat.leb_le].
      intros g I. rewrite forallb_forall in Len. specialize (Len g I).
      rewrite !andb_true_iff, !Nat.eqb_eq in Len. tauto.
Qed.
