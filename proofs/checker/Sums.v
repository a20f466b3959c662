(** * Sums of cells

    A *fold* says of an array nothing but of sums of its cells. Which cells are summed another fact says, whose factors
    all stay: those of one label in it. The array of these sums, at each cell the sum of all cells that are summed with
    it, is then one of which a fact says what it says of any array. *)

From Coq Require Import ZArith List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices.
Import ListNotations.
Open Scope Z_scope.

(** ** Cells of a shape *)

Definition cells_of (s : list Z) : list (list Z) := product (map range s).

Lemma in_cells s c : In c (cells_of s) <-> inside s c.
Proof.
  split; [apply ranges_inside|]. unfold cells_of. revert c; induction s as [|n s IH]; intros [|j c] [L I]; simpl in *;
    try lia; [now left|].
  assert (K : inside (n :: s) (j :: c)) by (split; simpl; [lia | exact I]). apply inside_cons in K as [B K].
  apply in_flat_map. exists j. split; [now apply in_range | now apply in_map, IH].
Qed.

Lemma NoDup_flat_map {A B} (h : A -> list B) l : NoDup l -> (forall v, In v l -> NoDup (h v)) ->
  (forall v w u, In v l -> In w l -> In u (h v) -> In u (h w) -> v = w) -> NoDup (flat_map h l).
Proof.
  induction l as [|v l IH]; simpl; intros N D E; [constructor|]. inversion N as [|? ? F N']. subst.
  assert (K : NoDup (flat_map h l)).
  { apply IH; trivial; [now intros; apply D; right|]. intros w w' u I I' U U'. now apply (E w w' u); try right. }
  assert (Dis : forall u, In u (h v) -> ~ In u (flat_map h l)).
  { intros u U W. apply in_flat_map in W as [w [I W]]. apply F. rewrite (E v w u); auto. }
  specialize (D v (or_introl eq_refl)). clear - D K Dis. induction D as [|u l' U D IH]; simpl; trivial. constructor.
  - rewrite in_app_iff. intros [I|I]; [easy|]. apply (Dis u); [now left | trivial].
  - apply IH. intros w W. apply Dis. now right.
Qed.

Lemma product_no_duplicates {A} (ls : list (list A)) : (forall l, In l ls -> NoDup l) -> NoDup (product ls).
Proof.
  induction ls as [|l ls IH]; simpl; intro H; [repeat constructor; easy|].
  assert (K : NoDup (product ls)) by (apply IH; auto). apply NoDup_flat_map; [now apply H; left| |].
  - intros v _. apply FinFun.Injective_map_NoDup; trivial. intros c c' E; now injection E.
  - intros v w u _ _ V W. apply in_map_iff in V as [c [<- _]]. apply in_map_iff in W as [c' [E _]]. now injection E.
Qed.

Lemma cells_no_duplicates s : NoDup (cells_of s).
Proof.
  apply product_no_duplicates. intros l I. apply in_map_iff in I as [n [<- _]]. apply range_no_duplicates.
Qed.

(** ** Totals *)

Section Totals.
Context {V : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Notation zero := (nought numbers).
Notation total := (total numbers).

Lemma zero_add a : add numbers zero a = a.
Proof. apply Law. Qed.
Lemma add_zero a : add numbers a zero = a.
Proof. destruct Law as (Z & C & _). now rewrite C. Qed.

Lemma total_permuted l l' : Permutation l l' -> total l = total l'.
Proof.
  destruct Law as (_ & C & A). induction 1; simpl; trivial; [congruence | | congruence].
  rewrite !A. f_equal. apply C.
Qed.

Lemma total_app l l' : total (l ++ l') = add numbers (total l) (total l').
Proof. induction l as [|a l IH]; simpl; [now rewrite zero_add|]. rewrite IH. now apply Law. Qed.

Lemma total_zero {I} (h : I -> V) l : (forall i, In i l -> h i = zero) -> total (map h l) = zero.
Proof. induction l; simpl; intro H; trivial. rewrite H by auto. rewrite zero_add. auto. Qed.

Lemma total_one a : total [a] = a.
Proof. simpl. apply add_zero. Qed.

Lemma total_swap {I J} (h : I -> J -> V) l l' :
  total (map (fun i => total (map (h i) l')) l) = total (map (fun j => total (map (fun i => h i j) l)) l').
Proof.
  destruct Law as (_ & C & A). induction l as [|i l IH]; simpl.
  - symmetry. now apply total_zero.
  - rewrite IH. clear IH. induction l' as [|j l' IH]; simpl; [apply zero_add|]. rewrite <- IH, !A. f_equal.
    rewrite <- !A. f_equal. apply C.
Qed.

Lemma total_flat_map {I J} (h : J -> V) (g : I -> list J) l :
  total (map h (flat_map g l)) = total (map (fun i => total (map h (g i))) l).
Proof. induction l; simpl; trivial. rewrite map_app, total_app. congruence. Qed.

Lemma total_single {I} (h : I -> V) l i : NoDup l -> In i l -> (forall j, In j l -> j <> i -> h j = zero) ->
  total (map h l) = h i.
Proof.
  intros N K Z. apply in_split in K as (l1 & l2 & ->). apply NoDup_remove_2 in N.
  rewrite map_app, total_app. simpl. rewrite !total_zero, zero_add, add_zero; trivial;
    intros j J; (apply Z; [apply in_or_app; simpl; tauto|]); intros ->; apply N, in_or_app; tauto.
Qed.

(** ** Arrays of sums *)

(** Whether two cells are summed, and the array of the sums. *)
Definition beside (S : list parts) (i j : list Z) : bool :=
  if list_eq_dec (list_eq_dec Z.eq_dec) (label S 0 i) (label S 0 j) then true else false.
Definition class (S : list parts) (s i : list Z) : list (list Z) := filter (beside S i) (cells_of s).
Definition sums (S : list parts) (s : list Z) (A : array V) : array V := fun i => total (map A (class S s i)).

Lemma beside_alike S s i j : fits S s = true -> (beside S i j = true <->
  forall a, (a < length s)%nat -> alike_axis (nth a S []) 0 (nth a i 0) 0 (nth a j 0)).
Proof.
  intro F. apply fits_right in F as [L _]. rewrite <- L, <- label_alike. unfold beside.
  destruct (list_eq_dec _ _ _); easy.
Qed.

Lemma in_class S s i j : In j (class S s i) <-> inside s j /\ beside S i j = true.
Proof. unfold class. now rewrite filter_In, in_cells. Qed.

Lemma class_no_duplicates S s i : NoDup (class S s i).
Proof. apply NoDup_filter, cells_no_duplicates. Qed.

(** Where every cell is told apart, nothing is summed. *)
Lemma nothing_summed S s A i : fits S s = true -> forallb single_axis S = true -> inside s i -> sums S s A i = A i.
Proof.
  intros F U I. unfold sums. rewrite (total_single A _ i); trivial; [apply class_no_duplicates | |].
  - apply in_class. split; trivial. unfold beside. now destruct (list_eq_dec _ _ _).
  - intros j J N. apply in_class in J as [J B]. rewrite (beside_alike S s) in B by trivial. exfalso. apply N. symmetry.
    destruct I as [LI I], J as [LJ J]. apply equal_lists; [congruence|]. rewrite LI. intros a L. specialize (B a L).
    pose proof (fits_right S s F) as [LS W]. destruct (W a L) as [SS ZS]. rewrite forallb_forall in U.
    apply (single_axis_tells (nth a S []) 0 _ 0 _); trivial; rewrite ?ZS; auto. apply U, nth_In; lia.
Qed.

(** Two sums are one where the cells of the one are cells of the other, and else there are zeros. *)
Lemma sums_meet S s (A : array V) i S' s' (A' : array V) i' (h : list Z -> list Z) :
  (forall j, In j (class S s i) -> In (h j) (class S' s' i') /\ A' (h j) = A j) ->
  (forall j k, In j (class S s i) -> In k (class S s i) -> h j = h k -> j = k) ->
  (forall k, In k (class S' s' i') -> A' k = zero \/ exists j, In j (class S s i) /\ h j = k) ->
  sums S' s' A' i' = sums S s A i.
Proof.
  intros H Inj Sur. unfold sums. set (l := class S s i) in *. set (l' := class S' s' i') in *.
  set (p := fun k => if in_dec (list_eq_dec Z.eq_dec) k (map h l) then true else false).
  assert (N : NoDup (map h l)).
  { pose proof (class_no_duplicates S s i) as N. fold l in N. clear - N Inj.
    induction N as [|j l J N IH]; simpl; constructor; [|apply IH; intros; apply Inj; simpl; auto].
    intro K. apply in_map_iff in K as [k [E K]]. apply J. rewrite (Inj j k); simpl; auto. }
  assert (P : Permutation (filter p l') (map h l)).
  { apply NoDup_Permutation; trivial; [apply NoDup_filter, class_no_duplicates|]. intro k. rewrite filter_In. unfold p.
    destruct (in_dec _ k (map h l)) as [K|K]; [|easy]. split; [easy|]. intros _. split; trivial.
    apply in_map_iff in K as [j [<- J]]. now apply H. }
  transitivity (total (map A' (filter p l'))).
  - assert (Z : forall k, In k l' -> p k = false -> A' k = zero).
    { intros k K F. destruct (Sur k K) as [|[j [J <-]]]; trivial. unfold p in F.
      destruct (in_dec _ (h j) (map h l)) as [|X]; [easy|]. exfalso. now apply X, in_map. }
    clear - Z Law. induction l' as [|k l' IH]; simpl; trivial. destruct (p k) eqn:E; simpl.
    + rewrite IH; trivial. intros; apply Z; simpl; auto.
    + rewrite Z by (simpl; auto). rewrite zero_add. apply IH. intros; apply Z; simpl; auto.
  - rewrite (total_permuted _ _ (Permutation_map A' P)), map_map. f_equal. apply map_ext_in. intros j J. now apply H.
Qed.

End Totals.
