(** * Scenes: what follows for the output, and for all shifts that the generators reach

    A shift of a scene brings in cells that were not seen, so it is said of cells in a box only, and only where the place
    from which they came lies in the box as well. One generator after another goes from the one place to the other, each
    along axes of its own. So every place on the way has all of its coordinates from these two, and lies in the box. *)

From Coq Require Import ZArith List Lia Bool.
From Shifts Require Import Facts Parts Semantics Indices Rules Views Checker Nodes.
Import ListNotations.
Open Scope Z_scope.

(** [m] at a view of the shifted scene is [m] at a view of the scene, moved by [r'], where both places lie in the box. *)
Definition acts_in_box {V} (p : program) (m : model V) (axes : list nat) (box : list (Z * Z)) (r r' : list Z) : Prop :=
  forall x y, views p r x y -> forall i, inside (shape_of p (output p)) i -> in_box axes box i ->
    in_box axes box (back_on axes r' i) -> m y (output p) i = m x (output p) (back_on axes r' i).

Definition times (t : Z) (r : list Z) : list Z := map (Z.mul t) r.

Lemma times_nth t r k : nth k (times t r) 0 = t * nth k r 0.
Proof.
  unfold times. pose proof (map_nth (Z.mul t) r 0 k) as E. now rewrite Z.mul_0_r in E.
Qed.

Lemma back_on_nth axes r i a : (a < length i)%nat ->
  nth a (back_on axes r i) 0 = nth a i 0 - if listed a axes then nth (position a axes) r 0 else 0.
Proof. apply nth_build. Qed.

Lemma back_on_length axes r i : length (back_on axes r i) = length i.
Proof. apply build_length. Qed.

(** ** One generator *)

Lemma moves_within_right low high r fs t u t' u' : moves_within low high r fs = Yes -> sane_axis fs = true ->
  0 <= low -> high <= size_axis fs -> low <= u < high -> low <= u' < high -> u - u' = (t - t') * r ->
  alike_axis fs t u t' u'.
Proof.
  intros H S L R U U' D. unfold moves_within in H. destruct ((r =? 0) && still_from 0 low high fs) eqn:E.
  - apply andb_true_iff in E as [E E']. apply Z.eqb_eq in E. rewrite E in D. replace u' with u by lia.
    apply still_from_right with low high; trivial; lia.
  - assert (Sg : sane1 (Factor (high - low) 0 0 r) = true).
    { unfold sane1; simpl. rewrite andb_true_iff, Z.leb_le; lia. }
    apply (follows_part_right fs low [Factor (high - low) 0 0 r]); trivial; cbn [size cells]; try lia.
    + unfold sane; simpl. now rewrite Sg.
    + apply alike_one; trivial. unfold alike1; simpl. exists 0. lia.
Qed.

Section Generators.
Context {V : Type}.
Variable p : program.
Variable m : model V.
Variables (axes : list nat) (box : list (Z * Z)).
Notation s := (shape_of p (output p)).
Hypothesis Distinct : distinct axes = true.
Hypothesis Below : below (length s) axes = true.
Hypothesis Fits : forall k, (k < length axes)%nat ->
  0 <= fst (nth k box (0, 0)) /\ snd (nth k box (0, 0)) <= nth (nth k axes O) s 0.

(** A view of a scene that was shifted by [r]. *)
Definition is_view (X : images V) (r : list Z) (x : images V) : Prop :=
  forall k v ax, nth_error (nodes p) k = Some v -> op v = Input ax ->
    forall i, inside (shape v) i -> x k i = X k (back_on ax r i).

(** All views of one scene that was shifted any number of times, and how many times that is. *)
Definition view_of (X : images V) (g : list Z) : Type := {u : Z * images V | is_view X (times (fst u) g) (snd u)}.
Definition how_often {X g} (u : view_of X g) : Z := fst (proj1_sig u).
Definition seen {X g} (u : view_of X g) : images V := snd (proj1_sig u).

Lemma one_signal_of_scene X g k v ax : nth_error (nodes p) k = Some v -> op v = Input ax ->
  one_signal (@how_often X g) false ax g (shape v) (fun u => seen u k).
Proof.
  intros N Op. exists (X k). split.
  - intros u u' L L' D. f_equal. apply equal_lists; [congruence|]. intros a A. rewrite L in A. specialize (D a A).
    simpl in D. destruct D as [d D]. lia.
  - intros [[t x] W] i I. unfold seen, how_often; simpl in *. rewrite (W k v ax N Op i I). f_equal.
    unfold back_on. destruct I as [L I]. rewrite L. apply map_seq_equal. intros a A. unfold step_along.
    destruct (listed a ax); [now rewrite times_nth | now rewrite Z.mul_0_r].
Qed.

Lemma axis_at k : (k < length axes)%nat -> (nth k axes O < length s)%nat /\ listed (nth k axes O) axes = true /\
  position (nth k axes O) axes = k.
Proof.
  intro K. unfold distinct in Distinct. unfold below in Below. rewrite forallb_forall in Distinct, Below.
  repeat split.
  - apply Nat.ltb_lt, Below, nth_In, K.
  - apply listed_in, nth_In, K.
  - apply Nat.eqb_eq, Distinct, in_seq. lia.
Qed.

Lemma boxed_inside i r : inside s i -> in_box axes box (back_on axes r i) -> inside s (back_on axes r i).
Proof.
  intros [L I] B. split; [now rewrite back_on_length|]. intros a A. destruct (listed a axes) eqn:Li.
  - pose proof Li as Pos. apply listed_in, position_in in Pos as [K E]. specialize (B _ K). rewrite E in B.
    destruct (Fits _ K) as [F F']. rewrite E in F'. lia.
  - rewrite back_on_nth, Li, Z.sub_0_r by lia. now apply I.
Qed.

(** Any number of shifts by a generator moves the output so many times. *)
Lemma generator_acts X g g' e k : premise (@how_often X g) seen (fact e) (s, fun z => m z (output p)) ->
  extent e = s -> moves_in_box axes box g' e = Yes -> k = output p ->
  forall (t t' : view_of X g) i, inside s i -> in_box axes box i ->
    let i' := back_on axes (times (how_often t - how_often t') g') i in in_box axes box i' ->
    m (seen t) k i = m (seen t') k i'.
Proof.
  intros P E H -> t t' i I B i' B'. pose proof (boxed_inside i _ I B') as I'. fold i' in I'.
  refine (premise_cell how_often seen (fact e) (s, fun z => m z (output p)) t i t' i' P I I' _).
  intros a A. simpl in A. pose proof (fits_right _ _ (proj1 P)) as [_ W]. simpl in W. destruct (W a A) as [S Z].
  unfold moves_in_box in H. rewrite E in H. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact A]].
  destruct I as [L I]. specialize (I a A). cbv beta zeta in H.
  assert (Di : nth a i' 0 = nth a i 0 - if listed a axes then
    (how_often t - how_often t') * nth (position a axes) g' 0 else 0).
  { unfold i'. rewrite back_on_nth by lia. now rewrite times_nth. }
  destruct (listed a axes) eqn:Li.
  - pose proof Li as Pos. apply listed_in, position_in in Pos as [K Ax].
    specialize (B _ K). specialize (B' _ K). rewrite Ax in B, B'. destruct (Fits _ K) as [F F']. rewrite Ax in F'.
    destruct (nth (position a axes) box (0, 0)) as [low high]. cbn [fst snd] in *.
    apply (moves_within_right low high (nth (position a axes) g' 0)); trivial; lia.
  - rewrite Di, Z.sub_0_r. apply still_axis_stays; trivial; [now apply ask_yes | lia].
Qed.

(** ** All generators *)

Lemma acts_equal q q' r r' : (forall k, nth k q 0 = nth k r 0) -> (forall k, nth k q' 0 = nth k r' 0) ->
  acts_in_box p m axes box q q' -> acts_in_box p m axes box r r'.
Proof.
  intros Q Q' A x y [X T]. assert (Same : forall ax i l l', (forall k, nth k l 0 = nth k l' 0) ->
    back_on ax l i = back_on ax l' i).
  { intros ax i l l' E. apply map_seq_equal. intros a _. now rewrite E. }
  intros i I B B'. rewrite <- (Same axes i q' r' Q') in *. apply A; trivial. exists X. intros k v ax N Op j J.
  rewrite (Same ax j q r Q). now apply (T k v).
Qed.

(** Multiples of shifts, added up. *)
Fixpoint sum_at (k : nat) (cs : list Z) (rs : list (list Z)) : Z :=
  match cs, rs with c :: cs', r :: rs' => c * nth k r 0 + sum_at k cs' rs' | _, _ => 0 end.
Definition combined (n : nat) (cs : list Z) (rs : list (list Z)) : list Z := build n (fun k => sum_at k cs rs).

Lemma back_on_sum n ax c cs r rs i : (length ax <= n)%nat ->
  back_on ax (combined n (c :: cs) (r :: rs)) i = back_on ax (combined n cs rs) (back_on ax (times c r) i).
Proof.
  intro L. apply equal_lists; rewrite !back_on_length; trivial. intros a A.
  rewrite !back_on_nth by (rewrite ?back_on_length; trivial). destruct (listed a ax) eqn:Li; [|ring].
  apply listed_in, position_in in Li as [K _]. unfold combined. rewrite !nth_build, times_nth by lia. simpl. ring.
Qed.

Lemma disjoint_sum n r rs k cs : forallb (disjoint n r) rs = true -> (k < n)%nat -> nth k r 0 <> 0 ->
  sum_at k cs rs = 0.
Proof.
  intros D K R. revert cs; induction rs as [|q rs IH]; intros [|c cs]; simpl in *; trivial.
  apply andb_true_iff in D as [D D']. rewrite (IH D' cs). unfold disjoint in D. rewrite forallb_forall in D.
  specialize (D k ltac:(apply in_seq; lia)). apply orb_true_iff in D as [D|D]; apply Z.eqb_eq in D; [easy|].
  rewrite D. ring.
Qed.

Variable n : nat.
Hypothesis Grid : forall k v ax, nth_error (nodes p) k = Some v -> op v = Input ax -> (length ax <= n)%nat.

(** A sum of multiples moves the output by the same sum, where the generators move axes of their own. *)
Lemma sums_act gens : acts_in_box p m axes box [] [] ->
  (forall g g' t, In (g, g') gens -> acts_in_box p m axes box (times t g) (times t g')) ->
  all_disjoint (length axes) (map snd gens) = true -> forall cs,
  acts_in_box p m axes box (combined n cs (map fst gens)) (combined (length axes) cs (map snd gens)).
Proof.
  intro Zero.
  assert (Nothing : forall cs rs rs', (forall k, sum_at k cs rs = 0) -> (forall k, sum_at k cs rs' = 0) ->
    acts_in_box p m axes box (combined n cs rs) (combined (length axes) cs rs')).
  { assert (B : forall w cs rs k, (forall k, sum_at k cs rs = 0) -> nth k (combined w cs rs) 0 = 0).
    { intros w cs rs k E. destruct (Nat.lt_ge_cases k w) as [K|K]; unfold combined.
      - now rewrite nth_build, E.
      - apply nth_overflow. now rewrite build_length. }
    intros cs rs rs' E E'. apply (acts_equal [] []); trivial; intro k; rewrite B by trivial; now destruct k. }
  induction gens as [|[g g'] gens IH]; intros Each D cs.
  - apply Nothing; intro k; now destruct cs.
  - destruct cs as [|c cs]; [now apply Nothing|]. cbn [map fst snd] in *. simpl in D. apply andb_true_iff in D as [D D'].
    specialize (IH (fun q q' t I => Each q q' t (or_intror I)) D' cs).
    intros x y [X T] i I B B'. rewrite back_on_sum in B' |- * by trivial.
    set (rest := combined n cs (map fst gens)) in *. set (rest' := combined (length axes) cs (map snd gens)) in *.
    set (i1 := back_on axes (times c g') i) in *.
    set (Y := fun k u => match nth_error (nodes p) k with
      | Some v => match op v with Input ax => X k (back_on ax rest u) | _ => X k u end | None => X k u end).
    assert (B1 : in_box axes box i1).
    { intros k K. destruct (axis_at k K) as (A & Li & Po). specialize (B k K). specialize (B' k K).
      destruct I as [L _]. unfold i1 in *.
      rewrite back_on_nth, Li, Po, back_on_nth, Li, Po, times_nth in B' by (rewrite ?back_on_length; lia).
      rewrite back_on_nth, Li, Po, times_nth by lia.
      destruct (Z.eq_dec (nth k g' 0) 0) as [E|E]; [rewrite E, Z.mul_0_r, Z.sub_0_r; exact B|].
      unfold rest', combined in B'. rewrite nth_build in B' by trivial.
      rewrite (disjoint_sum (length axes) g' (map snd gens) k cs D K E), Z.sub_0_r in B'. exact B'. }
    rewrite (Each g g' c (or_introl eq_refl) Y y) with (i := i); trivial.
    + apply (IH x Y); trivial; [|now apply boxed_inside]. exists X. intros k v ax N Op j J. unfold Y. rewrite N, Op.
      split; trivial. now apply (T k v ax).
    + exists Y. intros k v ax N Op j J. split; trivial. unfold Y. rewrite N, Op.
      destruct (T k v ax N Op j J) as [_ ->]. now rewrite back_on_sum by now apply (Grid k v).
Qed.

(** Every sum and difference of generators is such a sum. *)
Lemma generated_combined n' gens r r' : (forall g g', In (g, g') gens -> length g = n /\ length g' = n') ->
  generated n n' gens r r' -> exists cs, r = combined n cs (map fst gens) /\ r' = combined n' cs (map snd gens).
Proof.
  intros L.
  assert (More : forall c g g', In (g, g') gens -> forall cs, length cs = length gens -> exists cs',
    length cs' = length gens /\ forall k, sum_at k cs' (map fst gens) = sum_at k cs (map fst gens) + c * nth k g 0 /\
                                          sum_at k cs' (map snd gens) = sum_at k cs (map snd gens) + c * nth k g' 0).
  { clear. intros c g g' I. induction gens as [|[h h'] gens IH]; [easy|]. intros [|d cs] E; [easy|].
    destruct I as [I|I].
    - injection I as -> ->. exists ((d + c) :: cs). split; [exact E|]. intro k. simpl. split; ring.
    - destruct (IH I cs) as (cs' & E' & S); [now injection E|]. exists (d :: cs'). split; [simpl; now rewrite E'|].
      intro k. simpl. destruct (S k) as [-> ->]. split; ring. }
  assert (None : forall k rs, sum_at k (map (fun _ => 0) gens) rs = 0).
  { clear. intros k rs. revert rs; induction gens as [|h gens IH]; intros [|q rs]; simpl; trivial. }
  intro G. assert (H : exists cs, length cs = length gens /\ r = combined n cs (map fst gens) /\
                                  r' = combined n' cs (map snd gens)).
  { induction G as [g g' I|r r' g g' I _ IH|r r' g g' I _ IH].
    - destruct (More 1 g g' I (map (fun _ => 0) gens)) as (cs & E & S); [now rewrite map_length|].
      exists cs. split; trivial. destruct (L g g' I) as [E1 E2].
      split; (apply equal_lists; [unfold combined; now rewrite build_length|]); intros k K; unfold combined;
        rewrite nth_build by lia; destruct (S k) as [S1 S2]; rewrite ?S1, ?S2, None; ring.
    - destruct IH as (cs & E & -> & ->). destruct (More 1 g g' I cs E) as (cs' & E' & S).
      exists cs'. split; trivial. unfold plus, combined. split; apply map_seq_equal; intros k K;
        rewrite nth_build by trivial; destruct (S k) as [S1 S2]; rewrite ?S1, ?S2; ring.
    - destruct IH as (cs & E & -> & ->). destruct (More (-1) g g' I cs E) as (cs' & E' & S).
      exists cs'. split; trivial. unfold minus, combined. split; apply map_seq_equal; intros k K;
        rewrite nth_build by trivial; destruct (S k) as [S1 S2]; rewrite ?S1, ?S2; ring. }
  destruct H as (cs & _ & H). now exists cs.
Qed.

End Generators.
