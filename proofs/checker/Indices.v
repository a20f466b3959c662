(** * Lemmas about indices, products of lists, and labels of cells *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics.
Import ListNotations.
Open Scope Z_scope.

(** ** Lists by their members *)

Lemma build_length rank h : length (build rank h) = rank.
Proof. unfold build. now rewrite map_length, seq_length. Qed.

Lemma nth_map_seq {A} (h : nat -> A) rank a z : (a < rank)%nat -> nth a (map h (seq 0 rank)) z = h a.
Proof.
  intro L. rewrite nth_indep with (d' := h O) by (rewrite map_length, seq_length; lia).
  now rewrite map_nth, seq_nth.
Qed.

Lemma nth_build rank h a : (a < rank)%nat -> nth a (build rank h) 0 = h a.
Proof. apply nth_map_seq. Qed.

Lemma map_seq_equal {A} (h h' : nat -> A) rank :
  map h (seq 0 rank) = map h' (seq 0 rank) <-> forall a, (a < rank)%nat -> h a = h' a.
Proof.
  split; intro E.
  - intros a L. rewrite <- (nth_map_seq h rank a (h a)) by trivial. now rewrite E, nth_map_seq.
  - apply map_ext_in. intros a I. apply E. apply in_seq in I; lia.
Qed.

Lemma equal_lists (l l' : list Z) : length l = length l' ->
  (forall a, (a < length l)%nat -> nth a l 0 = nth a l' 0) -> l = l'.
Proof. intros L H. apply nth_ext with 0 0; trivial. Qed.

Lemma in_range n j : In j (range n) <-> 0 <= j < n.
Proof.
  unfold range; rewrite in_map_iff; split.
  - intros [k [<- I]]. apply in_seq in I; lia.
  - intro H. exists (Z.to_nat j). rewrite in_seq; lia.
Qed.

Lemma range_length n : length (range n) = Z.to_nat n.
Proof. unfold range. now rewrite map_length, seq_length. Qed.

Lemma range_no_duplicates n : NoDup (range n).
Proof.
  unfold range. apply FinFun.Injective_map_NoDup; [|apply seq_NoDup]. intros a b E; now apply Nat2Z.inj.
Qed.

Lemma listed_in a l : listed a l = true <-> In a l.
Proof.
  unfold listed; rewrite existsb_exists; split.
  - intros [b [I E]]. apply Nat.eqb_eq in E; now subst.
  - intro I. exists a; split; trivial. apply Nat.eqb_refl.
Qed.

Lemma position_in a l : In a l -> (position a l < length l)%nat /\ nth (position a l) l O = a.
Proof.
  induction l as [|b l IH]; simpl; intro I; [easy|]. destruct (Nat.eqb_spec a b) as [->|N].
  - split; [lia | trivial].
  - destruct I as [->|I]; [easy|]. specialize (IH I). split; [lia | apply IH].
Qed.

Lemma unnamed_in a outs rank : In a (unnamed outs rank) <-> (a < rank)%nat /\ listed a outs = false.
Proof. unfold unnamed. rewrite filter_In, in_seq, negb_true_iff. intuition lia. Qed.

(** ** Products of lists *)

(** Two lists, member by member in relation, the relation being that of the place. *)
Fixpoint related {A} (rel : nat -> A -> A -> Prop) (b : nat) (c c' : list A) : Prop :=
  match c, c' with
  | [], [] => True
  | v :: r, v' :: r' => rel b v v' /\ related rel (S b) r r'
  | _, _ => False
  end.

Lemma Forall2_flat_map {A B C D} (P : A -> B -> Prop) (Q : C -> D -> Prop) h h' l l' :
  (forall u v, P u v -> Forall2 Q (h u) (h' v)) -> Forall2 P l l' -> Forall2 Q (flat_map h l) (flat_map h' l').
Proof. intros H E; induction E; simpl; auto using Forall2_app. Qed.

Lemma Forall2_map {A B C D} (Q : C -> D -> Prop) (h : A -> C) (h' : B -> D) l l' :
  Forall2 (fun u v => Q (h u) (h' v)) l l' -> Forall2 Q (map h l) (map h' l').
Proof. intro E; induction E; simpl; auto. Qed.

Lemma products_related {A} (rel : nat -> A -> A -> Prop) (h h' : nat -> list A) n b :
  (forall a, (b <= a < b + n)%nat -> Forall2 (rel a) (h a) (h' a)) ->
  Forall2 (fun c c' => length c = n /\ related rel b c c') (product (map h (seq b n))) (product (map h' (seq b n))).
Proof.
  revert b; induction n as [|n IH]; intros b H; simpl; [repeat constructor|].
  apply Forall2_flat_map with (P := rel b); [|apply H; lia].
  intros u v R. apply Forall2_map. specialize (IH (S b)).
  assert (E : forall a, (S b <= a < S b + n)%nat -> Forall2 (rel a) (h a) (h' a)) by (intros; apply H; lia).
  specialize (IH E). clear - IH R. induction IH as [|c c' l l' [L K] _ IHl]; constructor; auto.
  simpl; auto.
Qed.

Lemma related_nth {A} (rel : nat -> A -> A -> Prop) c c' b z : related rel b c c' ->
  length c' = length c /\ forall a, (a < length c)%nat -> rel (b + a)%nat (nth a c z) (nth a c' z).
Proof.
  revert c' b; induction c as [|v c IH]; intros [|v' c'] b H; simpl in *; try easy.
  destruct H as [R H]. apply IH in H as [L H]. split; [lia|]. intros [|a] I.
  - now rewrite Nat.add_0_r.
  - replace (b + S a)%nat with (S b + a)%nat by lia. apply H; lia.
Qed.

Lemma equal_maps {A B C} (P : A -> B -> Prop) (h : A -> C) (h' : B -> C) l l' :
  (forall u v, P u v -> h u = h' v) -> Forall2 P l l' -> map h l = map h' l'.
Proof. intros H E; induction E; simpl; f_equal; auto. Qed.

Lemma flat_map_permuted {A B} (h h' : A -> list B) l : (forall v, In v l -> Permutation (h v) (h' v)) ->
  Permutation (flat_map h l) (flat_map h' l).
Proof. induction l as [|v l IH]; simpl; intro H; trivial. apply Permutation_app; auto. Qed.

Lemma products_permuted {A} (ls ls' : list (list A)) : Forall2 (@Permutation A) ls ls' ->
  Permutation (product ls) (product ls').
Proof.
  intro E; induction E as [|l l' ls ls' P E IH]; simpl; trivial.
  transitivity (flat_map (fun v => map (cons v) (product ls)) l').
  - now apply Permutation_flat_map.
  - apply flat_map_permuted. intros; now apply Permutation_map.
Qed.

Lemma Forall2_map_seq {A} (P : A -> A -> Prop) h h' n b : (forall a, (b <= a < b + n)%nat -> P (h a) (h' a)) ->
  Forall2 P (map h (seq b n)) (map h' (seq b n)).
Proof.
  revert b; induction n as [|n IH]; intros b H; simpl; constructor; [apply H; lia | apply IH; intros; apply H; lia].
Qed.

Lemma Forall2_same {A} (P : A -> A -> Prop) l : (forall v, In v l -> P v v) -> Forall2 P l l.
Proof. induction l; intro H; constructor; auto using in_eq. apply IHl; auto using in_cons. Qed.

Lemma Forall2_map_right {A B} (P : A -> B -> Prop) (h : A -> B) l : (forall v, In v l -> P v (h v)) ->
  Forall2 P l (map h l).
Proof. induction l; intro H; simpl; constructor; auto using in_eq. apply IHl; auto using in_cons. Qed.

Lemma ranges_inside s c : In c (product (map range s)) -> inside s c.
Proof.
  revert c; induction s as [|n s IH]; intros c I; simpl in I.
  - destruct I as [<-|[]]. split; [trivial | simpl; lia].
  - apply in_flat_map in I as [v [R I]]. apply in_map_iff in I as [c' [<- I]]. apply IH in I as [L I].
    apply in_range in R. split; [simpl; lia|]. intros [|a] H; simpl in *; [trivial | apply I; lia].
Qed.

Lemma build_inside s h : (forall a, (a < length s)%nat -> 0 <= h a < nth a s 0) -> inside s (build (length s) h).
Proof. intro H; split; [apply build_length|]. intros a L. rewrite nth_build by trivial. now apply H. Qed.

(** ** Labels *)

(** The coordinates of a cell along every axis. *)
Definition label (F : list parts) (t : Z) (i : list Z) : list (list Z) :=
  map (fun a => coordinates_axis (nth a F []) t (nth a i 0)) (seq 0 (length F)).

Lemma label_alike F t i t' i' : label F t i = label F t' i' <->
  forall a, (a < length F)%nat -> alike_axis (nth a F []) t (nth a i 0) t' (nth a i' 0).
Proof. apply map_seq_equal. Qed.

(** A fact fits a shape: the parts of each axis are sane, and together as long as it is. *)
Definition fits (F : list parts) (s : list Z) : bool :=
  (length F =? length s)%nat &&
  forallb (fun a => sane_axis (nth a F []) && (size_axis (nth a F []) =? nth a s 0)) (seq 0 (length s)).

Lemma fits_right F s : fits F s = true -> length F = length s /\
  forall a, (a < length s)%nat -> sane_axis (nth a F []) = true /\ size_axis (nth a F []) = nth a s 0.
Proof.
  unfold fits. rewrite andb_true_iff, Nat.eqb_eq, forallb_forall. intros [L H]; split; trivial. intros a I.
  specialize (H a). rewrite in_seq, andb_true_iff, Z.eqb_eq in H. apply H; lia.
Qed.

(** ** Row-major order *)

Fixpoint fit_all (F : list parts) (s : list Z) : Prop :=
  match F, s with
  | [], [] => True
  | ps :: F', n :: s' => (sane_axis ps = true /\ size_axis ps = n) /\ fit_all F' s'
  | _, _ => False
  end.

Lemma fits_all F s : fits F s = true -> fit_all F s.
Proof.
  intro H; apply fits_right in H as [L H]. revert s L H; induction F as [|fs F IH]; intros [|n s] L H; simpl in *;
    try easy. split; [apply (H O); lia|]. apply IH; [lia|]. intros a I. apply (H (S a)); lia.
Qed.

Lemma fit_sizes F s : fit_all F s -> sane_axes F = true /\ sizes F = count s.
Proof.
  revert s; induction F as [|ps F IH]; intros [|n s] H; simpl in *; try easy. destruct H as [[S Z] H].
  apply IH in H as [H K]. unfold sane_axes in *; simpl. now rewrite S, H, K, Z.
Qed.

Lemma place_bounds s i : inside s i -> 0 <= place s i < count s.
Proof.
  revert i; induction s as [|n s IH]; intros [|j i] [L H]; simpl in *; try lia.
  pose proof (H O ltac:(lia)) as H0. simpl in H0. assert (K : inside s i).
  { split; [lia|]. intros a I. apply (H (S a)); lia. }
  apply IH in K. nia.
Qed.

Lemma inside_cons n s j i : inside (n :: s) (j :: i) <-> 0 <= j < n /\ inside s i.
Proof.
  unfold inside; simpl; split.
  - intros [L H]; split; [apply (H O); lia|]. split; [lia|]. intros a I; apply (H (S a)); lia.
  - intros [B [L H]]; split; [lia|]. intros [|a] I; [trivial | apply H; lia].
Qed.

Lemma cell_at_inside F s w : fit_all F s -> 0 <= w < count s -> inside s (cell_at s w).
Proof.
  revert s w; induction F as [|fs F IH]; intros [|n s] w H W; simpl in *; try easy.
  destruct H as [[S Z] H]. pose proof (fit_sizes F s H) as [S' Z']. pose proof (sizes_axes_positive _ S').
  apply inside_cons; split; [apply digit_major; lia | apply IH; trivial; apply digit_minor; lia].
Qed.

Lemma cell_at_place s i : inside s i -> cell_at s (place s i) = i.
Proof.
  revert i; induction s as [|n s IH]; intros [|j i] H; try (destruct H as [L _]; simpl in L; lia); trivial.
  apply inside_cons in H as [B H]. pose proof (place_bounds s i H). simpl.
  destruct (digits_unique (count s) j (place s i)) as [D M]; [lia | lia |]. now rewrite D, M, IH.
Qed.

(** Cells of an array are alike, axis by axis, where their places are. *)
Lemma places_alike F s t w t' w' : fit_all F s -> 0 <= w < count s -> 0 <= w' < count s ->
  (alike_places F t w t' w' <-> forall a, (a < length F)%nat ->
     alike_axis (nth a F []) t (nth a (cell_at s w) 0) t' (nth a (cell_at s w') 0)).
Proof.
  revert s w w'; induction F as [|fs F IH]; intros [|n s] w w' H W W'; simpl in H; try easy.
  destruct H as [[N Z] H]. pose proof (fit_sizes F s H) as [N' Z']. pose proof (sizes_axes_positive _ N').
  simpl. rewrite Z', (IH s); trivial; try (apply digit_minor; lia). split.
  - intros [A B] [|a] I; [trivial | apply B; lia].
  - intro A; split; [apply (A O); lia|]. intros a I. apply (A (S a)); lia.
Qed.
