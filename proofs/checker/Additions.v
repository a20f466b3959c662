(** * The rule that sums cells along axes: laps, or others beside them

    Once all laps are summed, the sums are cells. Where other cells are summed first, each sum of the result is the sum
    of sums of the operand. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders Views Mixtures Sums Folds Laps.
Import ListNotations.
Open Scope Z_scope.

(** Along an axis that is not summed away the same cells are summed as of the operand. *)
Definition sum_axes (axes : list nat) (sh : list Z) (U : list parts) (s : list Z) (S : list parts)
  (along : nat -> verdict) : verdict :=
  both (ask (length (unnamed axes (length s)) =? length sh)%nat)
    (all_of (map (fun a => if listed a axes then along a
                           else let o := becomes axes [] (length s) (length sh) a in
                                agree (nth o sh 0) (nth a s 0) (nth o U []) (nth a S [])) (seq 0 (length s)))).

(** All cells of an axis are laps of one sum; or each is told apart. *)
Definition all_laps (s : list Z) (S : list parts) (a : nat) : verdict :=
  follows_axis [[Still (nth a s 0) 1]] (nth a S []).
Definition all_apart (S : list parts) (a : nat) : verdict := ask (single_axis (nth a S [])).

(** The sum over one or more axes of a fold, to which the result has listed facts as in [Folds]. *)
Definition sum_fold (axes : list nat) (sh : list Z) (G U : list parts) (s : list Z) (F S : list parts)
  : verdict :=
  if forallb (fun a => single_axis (nth a S [])) axes then
    both (mix_rule axes [] true sh G [(F, s)]) (sum_axes axes sh U s S (all_apart S))
  else
    both (all_of (map (fun a => if listed a axes then ask (still_axis (nth a F []))
                                else let o := becomes axes [] (length s) (length sh) a in
                                     both (ask (o <? length sh)%nat)
                                       (same_axis (nth o sh 0) (nth a s 0) (nth o G []) (nth a F [])))
                      (seq 0 (length s))))
      (sum_axes axes sh U s S (all_laps s S)).

(** ** The axes that stay *)

Lemma position_nth l k : NoDup l -> (k < length l)%nat -> position (nth k l O) l = k.
Proof.
  intro N. revert k; induction N as [|a l A N IH]; intros k L; simpl in L; [lia|]. destruct k as [|k]; simpl.
  - now rewrite Nat.eqb_refl.
  - destruct (Nat.eqb_spec (nth k l O) a) as [E|E]; [|now rewrite IH by lia].
    exfalso. apply A. rewrite <- E. apply nth_In; lia.
Qed.

Lemma unnamed_none rank o : (o < rank)%nat -> nth o (unnamed [] rank) O = o.
Proof.
  intro L. unfold unnamed. replace (filter (fun a => negb (listed a [])) (seq 0 rank)) with (seq 0 rank).
  - now rewrite seq_nth.
  - symmetry. generalize (seq 0 rank). induction l as [|a l IH]; trivial. simpl. f_equal. exact IH.
Qed.

Section Axes.
Variables (axes : list nat) (rank rank' : nat).
Hypothesis N : length (unnamed axes rank) = rank'.
Notation at_ := (becomes axes [] rank rank').
Definition from (o : nat) : nat := nth o (unnamed axes rank) O.

Lemma at_right a : (a < rank)%nat -> listed a axes = false -> (at_ a < rank')%nat /\ from (at_ a) = a.
Proof.
  intros L A. assert (I : In a (unnamed axes rank)) by (now apply unnamed_in). apply position_in in I as [P Q].
  unfold becomes. rewrite unnamed_none by lia. split; [lia | exact Q].
Qed.

Lemma from_right o : (o < rank')%nat -> (from o < rank)%nat /\ listed (from o) axes = false /\ at_ (from o) = o.
Proof.
  intro L. assert (I : In (from o) (unnamed axes rank)) by (apply nth_In; lia). apply unnamed_in in I as [I A].
  repeat split; trivial. unfold becomes, from. rewrite position_nth; [now apply unnamed_none | | lia].
  apply NoDup_filter, seq_NoDup.
Qed.

(** The cell of the result in whose sum a cell of the operand is. *)
Definition restrict (c : list Z) : list Z := build rank' (fun o => nth (from o) c 0).

Lemma restrict_nth c a : (a < rank)%nat -> listed a axes = false -> nth (at_ a) (restrict c) 0 = nth a c 0.
Proof. intros L A. destruct (at_right a L A) as [B E]. unfold restrict. rewrite nth_build, E; trivial. Qed.

End Axes.

Section Additions.
Context {V : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Notation sums := (sums numbers).
Variables (axes : list nat) (sh s : list Z) (U S : list parts).
Hypothesis FU : fits U sh = true.
Hypothesis FS : fits S s = true.
Hypothesis N : length (unnamed axes (length s)) = length sh.
Notation at_ := (becomes axes [] (length s) (length sh)).
Notation restrict := (restrict axes (length s) (length sh)).
Hypothesis Ax : forall a, (a < length s)%nat -> listed a axes = false ->
  nth (at_ a) sh 0 = nth a s 0 /\ forall v w, 0 <= v < nth a s 0 -> 0 <= w < nth a s 0 ->
    (alike_axis (nth (at_ a) U []) 0 v 0 w <-> alike_axis (nth a S []) 0 v 0 w).

(** The cells that a cell of the result is the sum of; and those of which its sum is. *)
Definition summands (i : list Z) : list (list Z) :=
  product (map (mixed axes [] (fun a => nth a s 0) (length s) (length sh) i) (seq 0 (length s))).
Definition mates (i : list Z) : list (list Z) := filter (fun c => beside U i (restrict c)) (cells_of s).

Lemma restrict_inside c : inside s c -> inside sh (restrict c).
Proof.
  intros [L C]. apply build_inside. intros o O. destruct (from_right axes _ _ N o O) as (A & B & E).
  destruct (Ax _ A B) as [Q _]. rewrite E in Q. rewrite Q. now apply C.
Qed.

Lemma in_summands i c : inside sh i -> (In c (summands i) <-> inside s c /\ restrict c = i).
Proof.
  intros [LI I]. unfold summands. rewrite in_product_seq. simpl. unfold mixed. split.
  - intros [L C].
    assert (K : forall a, (a < length s)%nat -> 0 <= nth a c 0 < nth a s 0 /\
      (listed a axes = false -> nth a c 0 = nth (at_ a) i 0)).
    { intros a A. specialize (C a A). destruct (listed a axes) eqn:E.
      - apply in_range in C. now split.
      - destruct C as [C|[]]. destruct (Ax a A E) as [Q _]. rewrite <- C, <- Q. split; trivial.
        apply I. now destruct (at_right axes _ _ N a A E). }
    split; [split; [trivial | intros a A; now apply K]|].
    apply equal_lists; unfold Additions.restrict; rewrite build_length; [easy|]. intros o O.
    destruct (from_right axes _ _ N o O) as (A & B & E). rewrite nth_build by trivial.
    destruct (K _ A) as [_ Q]. now rewrite Q, E.
  - intros [[L C] E]. split; trivial. intros a A. destruct (listed a axes) eqn:B; [now apply in_range, C|].
    left. rewrite <- E. now apply restrict_nth.
Qed.

Lemma summands_no_duplicates i : NoDup (summands i).
Proof.
  apply product_no_duplicates. intros l L. apply in_map_iff in L as [a [<- _]]. unfold mixed.
  destruct (listed a axes); [apply range_no_duplicates | repeat constructor; easy].
Qed.

Lemma beside_restrict i c : inside sh i -> inside s c -> (beside U i (restrict c) = true <->
  forall a, (a < length s)%nat -> listed a axes = false ->
    alike_axis (nth a S []) 0 (nth (at_ a) i 0) 0 (nth a c 0)).
Proof.
  intros [LI I] [L C]. rewrite (beside_alike U sh) by trivial. split.
  - intros H a A B. destruct (at_right axes _ _ N a A B) as [O E]. destruct (Ax a A B) as [Q X]. specialize (H _ O).
    rewrite restrict_nth in H by trivial. apply X; trivial; [rewrite <- Q; now apply I | now apply C].
  - intros H o O. destruct (from_right axes _ _ N o O) as (A & B & E). destruct (Ax _ A B) as [Q X].
    specialize (H _ A B). rewrite E in *. rewrite <- E at 3. rewrite restrict_nth by trivial.
    apply X; trivial; [rewrite <- Q; now apply I | now apply C].
Qed.

Lemma in_mates i c : In c (mates i) <-> inside s c /\ beside U i (restrict c) = true.
Proof. unfold mates. now rewrite filter_In, in_cells. Qed.

Lemma sum_of_summands (A : array V) i : inside sh i ->
  sums U sh (fun k => total numbers (map A (summands k))) i = total numbers (map A (mates i)).
Proof.
  intro I. unfold Sums.sums. rewrite <- (total_flat_map numbers Law).
  apply (total_permuted numbers Law), Permutation_map.
  apply NoDup_Permutation.
  - apply NoDup_flat_map; [apply class_no_duplicates | intros; apply summands_no_duplicates|].
    intros v w c Hv Hw Cv Cw. apply in_class in Hv as [Hv _]. apply in_class in Hw as [Hw _].
    apply in_summands in Cv as [_ <-]; trivial. now apply in_summands in Cw as [_ <-].
  - apply NoDup_filter, cells_no_duplicates.
  - intro c. rewrite in_flat_map, in_mates. split.
    + intros (k & K & C). apply in_class in K as [K B]. apply in_summands in C as [C E]; trivial. now subst.
    + intros [C B]. pose proof (restrict_inside c C). exists (restrict c). now rewrite in_class, in_summands.
Qed.

(** Where each cell along the summed axes is told apart, the sum of the result is that of the sums. *)
Lemma sums_apart (A : array V) i : inside sh i -> (forall a, In a axes -> single_axis (nth a S []) = true) ->
  total numbers (map A (mates i)) = total numbers (map (sums S s A) (summands i)).
Proof.
  intros I T. unfold Sums.sums. rewrite <- (total_flat_map numbers Law).
  apply (total_permuted numbers Law), Permutation_map.
  pose proof (fits_right S s FS) as [_ W].
  assert (At : forall c d a, In c (summands i) -> In d (class S s c) -> (a < length s)%nat ->
    nth a c 0 = if listed a axes then nth a d 0 else nth (at_ a) i 0).
  { intros c d a C D L. apply in_summands in C as [C E]; trivial. apply in_class in D as [D B].
    rewrite (beside_alike S s) in B by trivial. destruct (listed a axes) eqn:K.
    - destruct (W a L) as [SS ZS]. apply (single_axis_tells (nth a S []) 0 _ 0 _); trivial.
      + now apply T, listed_in.
      + rewrite ZS. now apply C.
      + rewrite ZS. now apply D.
      + now apply B.
    - rewrite <- E. symmetry. now apply restrict_nth. }
  apply NoDup_Permutation.
  - apply NoDup_filter, cells_no_duplicates.
  - apply NoDup_flat_map; [apply summands_no_duplicates | intros; apply class_no_duplicates|].
    intros v w u Hv Hw Cv Cw. pose proof Hv as Kv. pose proof Hw as Kw. apply in_summands in Kv as [[Kv _] _]; trivial.
    apply in_summands in Kw as [[Kw _] _]; trivial. apply equal_lists; [congruence|]. intros a L.
    rewrite (At v u a), (At w u a) by (trivial; congruence). reflexivity.
  - intro d. rewrite in_mates, in_flat_map. split.
    + intros [D B]. rewrite beside_restrict in B by trivial.
      set (c := build (length s) (fun a => if listed a axes then nth a d 0 else nth (at_ a) i 0)).
      assert (C : In c (summands i)).
      { unfold summands. apply in_product_seq. unfold c. rewrite build_length. split; trivial. intros a L.
        rewrite nth_build by trivial. unfold mixed. simpl.
        destruct (listed a axes); [now apply in_range, D | now left]. }
      exists c. split; trivial. apply in_class. split; trivial. rewrite (beside_alike S s) by trivial. intros a L.
      unfold c. rewrite nth_build by trivial. destruct (listed a axes) eqn:E; [reflexivity | now apply B].
    + intros (c & C & D). pose proof D as D'. apply in_class in D as [D B]. split; trivial.
      rewrite beside_restrict by trivial. intros a L E. rewrite (beside_alike S s) in B by trivial. specialize (B a L).
      rewrite (At c d a C D' L), E in B. exact B.
Qed.

(** Where all cells along the summed axes are laps, the sum of the result is one of the sums. *)
Definition first_lap (i : list Z) : list Z :=
  build (length s) (fun a => if listed a axes then 0 else nth (at_ a) i 0).

Lemma first_lap_inside i : inside sh i -> inside s (first_lap i).
Proof.
  intros [LI I]. apply build_inside. intros a L. pose proof (fits_right S s FS) as [_ W]. destruct (W a L) as [SS ZS].
  pose proof (size_axis_positive _ SS). destruct (listed a axes) eqn:E; [lia|]. destruct (Ax a L E) as [<- _].
  apply I. now destruct (at_right axes _ _ N a L E).
Qed.

Lemma sums_of_laps (A : array V) i : inside sh i ->
  (forall a j k, In a axes -> (a < length s)%nat -> 0 <= j < nth a s 0 -> 0 <= k < nth a s 0 ->
     alike_axis (nth a S []) 0 j 0 k) ->
  total numbers (map A (mates i)) = sums S s A (first_lap i).
Proof.
  intros I T. unfold Sums.sums, mates, class. f_equal. f_equal. apply filter_ext_in. intros c C. apply in_cells in C.
  apply eq_true_iff_eq. rewrite beside_restrict, (beside_alike S s) by trivial.
  pose proof (first_lap_inside i I) as [_ J].
  assert (E : forall a, (a < length s)%nat -> nth a (first_lap i) 0 = if listed a axes then 0 else nth (at_ a) i 0).
  { intros a L. unfold first_lap. now rewrite nth_build. }
  split; intros H a L.
  - specialize (J a L). rewrite E in * by trivial. destruct (listed a axes) eqn:Q; [|now apply H].
    apply T; trivial; [now apply listed_in | now apply C].
  - intro Q. specialize (H a L). now rewrite E, Q in H.
Qed.

End Additions.

(** Terms are compared here without running this. *)
Local Opaque follows_axis.

Section Claims.
Context {V source : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Context {index : Type}.
Variables (turn : index -> Z) (copy : index -> source).
Coercion turn : index >-> Z.
Notation right := (right (V := V) turn copy).
Notation premise := (premise (V := V) turn copy).

Lemma sum_axes_right axes sh U s S along : fits U sh = true -> fits S s = true -> sum_axes axes sh U s S along = Yes ->
  length (unnamed axes (length s)) = length sh /\
  (forall a, (a < length s)%nat -> listed a axes = true -> along a = Yes) /\
  forall a, (a < length s)%nat -> listed a axes = false -> let o := becomes axes [] (length s) (length sh) a in
    nth o sh 0 = nth a s 0 /\ forall v w, 0 <= v < nth a s 0 -> 0 <= w < nth a s 0 ->
      (alike_axis (nth o U []) 0 v 0 w <-> alike_axis (nth a S []) 0 v 0 w).
Proof.
  intros FU FS H. apply both_yes in H as [N H]. apply ask_yes, Nat.eqb_eq in N. split; trivial.
  assert (E : forall a, (a < length s)%nat -> (if listed a axes then along a
    else let o := becomes axes [] (length s) (length sh) a in
         agree (nth o sh 0) (nth a s 0) (nth o U []) (nth a S [])) = Yes).
  { intros a L. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]]. exact H. }
  split; intros a L Q; specialize (E a L); rewrite Q in E; trivial. cbv zeta in *.
  destruct (at_right axes _ _ N a L Q) as [O _].
  pose proof (fits_right U sh FU) as [_ W]. pose proof (fits_right S s FS) as [_ W']. destruct (W _ O), (W' a L).
  destruct (agree_right _ _ _ _ E) as [<- X]; auto.
Qed.

(** What a sum over axes of one operand is, cell by cell. *)
Lemma summed_cells axes sh F one (z : source) i : fits F (fst one) = true ->
  length (unnamed axes (length (fst one))) = length sh -> inside sh i ->
  (forall a, (a < length (fst one))%nat -> listed a axes = false ->
     nth (becomes axes [] (length (fst one)) (length sh) a) sh 0 = nth a (fst one) 0) ->
  total numbers (concat (map (fun c => map (fun two : operand V source => snd two z (repeated (fst two) c)) [one])
    (product (map (mixed axes [] (longest [one]) (first_rank [one]) (length sh) i) (seq 0 (first_rank [one])))))) =
  total numbers (map (snd one z) (summands axes sh (fst one) i)).
Proof.
  intros FF N I Eq. simpl first_rank. pose proof (fits_right F _ FF) as [_ W].
  assert (P : forall a, (a < length (fst one))%nat -> 1 <= nth a (fst one) 0).
  { intros a L. destruct (W a L) as [SS ZS]. pose proof (size_axis_positive _ SS). lia. }
  replace (product (map (mixed axes [] (longest [one]) (length (fst one)) (length sh) i) (seq 0 (length (fst one)))))
    with (summands axes sh (fst one) i).
  - assert (K : forall c, In c (summands axes sh (fst one) i) -> repeated (fst one) c = c).
    { intros c C. unfold summands in C. apply in_product_seq in C as [L C]. simpl in C.
      apply equal_lists; unfold repeated; rewrite build_length; [easy|]. intros a A. rewrite nth_build by trivial.
      destruct (Z.eqb_spec (nth a (fst one) 0) 1) as [E|E]; trivial. specialize (C a A). unfold mixed in C.
      destruct (listed a axes) eqn:Q; [apply in_range in C; lia|]. destruct C as [<-|[]].
      destruct (at_right axes _ _ N a A Q) as [O _]. destruct I as [_ I]. specialize (I _ O). rewrite Eq in I by trivial.
      lia. }
    revert K. generalize (summands axes sh (fst one) i). intros l K. f_equal.
    induction l as [|c l IH]; trivial. simpl. rewrite K by now left. f_equal. apply IH. intros d D. apply K. now right.
  - unfold summands. f_equal. apply map_seq_equal. intros a L. unfold mixed. destruct (listed a axes); trivial.
    f_equal. unfold longest. simpl. rewrite Z.max_l; trivial. now apply P.
Qed.

Lemma concat_permuted {A} (l l' : list (list A)) : Permutation l l' -> Permutation (concat l) (concat l').
Proof.
  intro P. induction P; simpl; trivial.
  - now apply Permutation_app_head.
  - rewrite !app_assoc. apply Permutation_app_tail, Permutation_app_comm.
  - now transitivity (concat l').
Qed.

(** A sum over axes of a fold is right where it is one of all laps, or of cells beside which there are laps. *)
Theorem sum_fold_right : forall axes sh G U F S one f R, fits G sh = true -> fits U sh = true ->
  fits S (fst one) = true -> premise F (summed numbers S one) -> sum_fold axes sh G U (fst one) F S = Yes ->
  (forall key l, f key l = total numbers (concat l)) ->
  (forall z i, inside sh i -> let rank := first_rank [one] in
     R z i = f (coordinates_of [] i)
       (map (fun c => map (fun two : operand V source => snd two z (repeated (fst two) c)) [one])
          (product (map (mixed axes [] (longest [one]) rank (length sh) i) (seq 0 rank))))) ->
  right G sh (fun z => sums numbers U sh (R z)).
Proof.
  intros axes sh G U F S one f R SG FU FS P H Sum M. set (s := fst one) in *.
  assert (Cells : forall along, sum_axes axes sh U s S along = Yes -> forall z i, inside sh i ->
    sums numbers U sh (R z) i = total numbers (map (snd one z) (mates axes sh s U i))).
  { intros along O z i I. apply sum_axes_right in O as (N & _ & Ax); trivial.
    rewrite <- (sum_of_summands numbers Law axes sh s U S) by trivial. unfold sums. f_equal. apply map_ext_in.
    intros k K. apply in_class in K as [K _]. rewrite M, Sum by trivial.
    apply (summed_cells axes sh S one); trivial. intros a L Q. now apply Ax. }
  unfold sum_fold in H. destruct (forallb (fun a => single_axis (nth a S [])) axes) eqn:T.
  - rewrite forallb_forall in T. apply both_yes in H as [H O]. pose proof O as O'.
    apply sum_axes_right in O' as (N & _ & Ax); trivial.
    apply (mix_right turn copy axes [] true sh G [(F, summed numbers S one)] (fun _ l => total numbers (concat l)));
      trivial.
    + intros F' two [Q|[]]. now injection Q as <- <-.
    + intros _ _ l l' Q. now apply (total_permuted numbers Law), concat_permuted.
    + intros z i I. rewrite (Cells _ O z i I), (sums_apart numbers Law axes sh s U S) by trivial. symmetry.
      apply (summed_cells axes sh S (summed numbers S one)); trivial. intros a L Q. now apply Ax.
  - apply both_yes in H as [H O]. pose proof O as O'. apply sum_axes_right in O' as (N & Al & Ax); trivial.
    intros t i t' i' I I' E.
    assert (Laps : forall a j k, In a axes -> (a < length s)%nat -> 0 <= j < nth a s 0 -> 0 <= k < nth a s 0 ->
      alike_axis (nth a S []) 0 j 0 k).
    { intros a j k A L J K. specialize (Al a L ltac:(now apply listed_in)). unfold all_laps in Al.
      pose proof (fits_right S s FS) as [_ W]. destruct (W a L) as [SS ZS].
      assert (One : sane1 (Still (nth a s 0) 1) = true).
      { unfold sane1; simpl; rewrite andb_true_iff, !Z.leb_le; lia. }
      apply (follows_axis_right [[Still (nth a s 0) 1]]); trivial; cbn [size_axis size Still cells]; try lia.
      - rewrite sane_one_axis. unfold sane; simpl. now rewrite One.
      - apply alike_axis_one; trivial; try (simpl; lia). apply Z.divide_1_l. }
    rewrite !(Cells _ O) by trivial. rewrite !(sums_of_laps numbers axes sh s U S) by trivial.
    apply (premise_cell turn copy F (summed numbers S one)); trivial;
      [now apply (first_lap_inside axes sh s U S)..|].
    intros a L. change (fst (summed numbers S one)) with s in L. unfold first_lap. rewrite !nth_build by trivial.
    eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]]. cbv beta zeta in H.
    pose proof (fits_right F s (proj1 P)) as [_ W]. destruct (W a L) as [SF ZF].
    pose proof (size_axis_positive _ SF).
    destruct (listed a axes) eqn:Q; [apply still_axis_stays; trivial; [now apply ask_yes | lia]|].
    apply both_yes in H as [B H]. apply ask_yes, Nat.ltb_lt in B.
    destruct (result_axes G sh t i t' i' SG I I' E _ B) as (SG1 & ZG1 & X & X' & Y).
    exact (proj2 (same_axis_right _ _ _ _ t _ t' _ H SG1 SF ZG1 ZF X X' Y)).
Qed.

End Claims.
