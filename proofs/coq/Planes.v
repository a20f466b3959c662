(** * Blocks, and two dimensions

    An image is a signal of signals: [X u v] is row u, column v. Splitting an axis into blocks makes an image of a
    signal; everything about one axis lifts to two by acting along rows, and then along columns. *)

From Coq Require Import ZArith Znumtheory List Lia Permutation.
From Shifts Require Import Signals Windows Sums.
Import ListNotations.
Open Scope Z_scope.

(** ** Splitting an axis into blocks of m cells, and merging them *)

Definition split {A} (m : Z) (S : Z -> A) : Z -> Z -> A := fun u j => S (u * m + j).
Definition merge {A} (m : Z) (B : Z -> Z -> A) : Z -> A := fun u => B (u / m) (u mod m).

(** Blocks of m cells: where m divides the period and the step, both are divided by m. *)
Theorem splitting_divides : forall A m, 0 < m ->
  (forall (S : Z -> A) r u j, split m (shift (m * r) S) u j = split m S (u - r) j) /\
  (forall (S : Z -> A) N u j, periodic (m * N) S -> split m S (u + N) j = split m S u j).
Proof.
  intros A m H; split; intros; unfold split, shift.
  - f_equal; lia.
  - replace ((u + N) * m + j) with (u * m + j + m * N) by lia. apply H0.
Qed.

(** Blocks of m cells: on a torus that m divides, the shift by r moves the blocks by some step exactly if m
    divides r. *)
Theorem splitting_needs_whole_blocks : forall m N r, 0 < m -> (m | N) ->
  (exists r', forall S : Z -> Z, periodic N S -> forall u j, 0 <= j < m ->
    split m (shift r S) u j = split m S (u - r') j) <-> (m | r).
Proof.
  intros m N r H [k K]; split.
  - intros [r' E]. specialize (E (spike m)). unfold split, shift in E.
    assert (P : periodic N (spike m)).
    { intro u. apply (periodic_congruent _ m); [now apply spike_periodic | exists k; lia]. }
    specialize (E P 0 0 ltac:(lia)).
    assert (D : (m | 0 * m + 0 - r)).
    { apply spike_iff; trivial. rewrite E. apply spike_iff; trivial. exists (- r'); lia. }
    destruct D as [t T]. exists (- t); lia.
  - intros [t ->]. exists t; intros S _ u j _. rewrite (Z.mul_comm t m). now apply splitting_divides.
Qed.

(** Merging blocks of m cells multiplies step and period by m; splitting and merging undo each other. *)
Theorem merging_multiplies : forall A m, 0 < m ->
  (forall (B : Z -> Z -> A) r, merge m (fun u j => B (u - r) j) == shift (m * r) (merge m B)) /\
  (forall (B : Z -> Z -> A) N, (forall u j, B (u + N) j = B u j) -> periodic (m * N) (merge m B)) /\
  (forall S : Z -> A, merge m (split m S) == S) /\
  (forall (B : Z -> Z -> A) u j, 0 <= j < m -> split m (merge m B) u j = B u j).
Proof.
  intros A m H; split; [| split; [| split]].
  - intros B r u; unfold merge, shift. replace (u - m * r) with (u + (- r) * m) by lia.
    rewrite Z_mod_plus_full, Z_div_plus_full by lia. f_equal.
  - intros B N P u; unfold merge. replace (u + m * N) with (u + N * m) by lia.
    rewrite Z_mod_plus_full, Z_div_plus_full by lia. apply P.
  - intros S u; unfold merge, split. f_equal. pose proof (Z.div_mod u m ltac:(lia)). lia.
  - intros B u j Hj; unfold merge, split. rewrite Z.add_comm, Z_mod_plus_full, Z_div_plus_full by lia.
    now rewrite Z.div_small, Z.mod_small by lia.
Qed.

(** ** Images *)

Definition same_image {A} (X Y : Z -> Z -> A) : Prop := forall u v, X u v = Y u v.
Infix "===" := same_image (at level 70, no associativity).

Definition shift_image {A} (D E : Z) (X : Z -> Z -> A) : Z -> Z -> A := fun u v => X (u - D) (v - E).
Definition periodic_image {A} (N N' : Z) (X : Z -> Z -> A) : Prop :=
  (forall v, periodic N (fun u => X u v)) /\ (forall u, periodic N' (X u)).
Definition image_moves {A B} (P : (Z -> Z -> A) -> Prop) (f : (Z -> Z -> A) -> Z -> Z -> B) (D E D' E' : Z) : Prop :=
  forall X, P X -> f (shift_image D E X) === shift_image D' E' (f X).

(** An operation on signals, along every row, or along every column. *)
Definition along_rows {A B} (f : (Z -> A) -> Z -> B) : (Z -> Z -> A) -> Z -> Z -> B := fun X u => f (X u).
Definition along_columns {A B} (f : (Z -> A) -> Z -> B) : (Z -> Z -> A) -> Z -> Z -> B :=
  fun X u v => f (fun w => X w v) u.

(** Every law of an operation on signals lifts to images, along either axis, beside any shift along the other; and an
    operation along rows, followed by one along columns, has the product of their laws. *)
Theorem laws_lift_to_images : forall A B C (P : (Z -> A) -> Prop) (Q : (Z -> B) -> Prop)
  (f : (Z -> A) -> Z -> B) (g : (Z -> B) -> Z -> C) D D' E E',
  extensional g -> moves P f E E' -> moves Q g D D' ->
  (forall T, image_moves (fun X => forall u, P (X u)) (along_rows f) T E T E') /\
  (forall T, image_moves (fun X => forall v, Q (fun u => X u v)) (along_columns g) D T D' T) /\
  image_moves (fun X => (forall u, P (X u)) /\ (forall v, Q (fun u => along_rows f X u v)))
    (fun X => along_columns g (along_rows f X)) D E D' E'.
Proof.
  intros A B C P Q f g D D' E E' X F G.
  assert (R : forall T, image_moves (fun X => forall u, P (X u)) (along_rows f) T E T E').
  { intros T x Hx u v. exact (F _ (Hx (u - T)) v). }
  split; [| split]; trivial.
  - intros T x Hx u v. exact (G _ (Hx (v - T)) u).
  - intros x [Hx Hy] u v. unfold along_columns.
    rewrite (X _ (shift D (fun w => along_rows f x w (v - E')))).
    + exact (G _ (Hy (v - E')) u).
    + intro w. exact (R D x Hx w v).
Qed.

(** A window of K x L cells, dilated, with strides s and t and any function of what it sees, row by row. *)
Definition image_window {A B} (F : list (list A) -> B) (K L : nat) (d e a b s t : Z) (X : Z -> Z -> A) : Z -> Z -> B :=
  fun q p => F (map (fun k => map (fun l => X (a + s * q + d * k) (b + t * p + e * l)) (cells L)) (cells K)).

(** A window on an image is a window along rows that keeps what it sees, followed by the function along columns: any
    function, separable or not. *)
Theorem image_windows_are_products : forall A B (F : list (list A) -> B) K L d e a b s t X,
  image_window F K L d e a b s t X ===
  along_columns (window F K d a s) (along_rows (window (fun seen => seen) L e b t) X).
Proof. intros; intros q p; reflexivity. Qed.

(** Two-dimensional windows, on any torus N x N': if gcd(N, s) divides D and gcd(N', t) divides E, the shift by (D, E)
    comes out as a shift; the multiples of the strides, on any image, as (D / s, E / t). *)
Theorem image_windows_move : forall A B (F : list (list A) -> B) K L d e a b s t,
  (forall r q, image_moves (fun _ => True) (image_window F K L d e a b s t) (s * r) (t * q) r q) /\
  (forall N N' D E, 0 < N -> 0 < N' -> (Z.gcd N s | D) -> (Z.gcd N' t | E) ->
    exists D' E', image_moves (periodic_image N N') (image_window F K L d e a b s t) D E D' E').
Proof.
  intros A B F K L d e a b s t; split.
  - intros r q X _. destruct (laws_lift_to_images A _ B any any (window (fun seen => seen) L e b t)
      (window F K d a s) (s * r) r (t * q) q) as (_ & _ & M); try apply windows_move; try apply window_ext.
    intros u v. now apply M.
  - intros N N' D E H H' HD HE.
    destruct (strides_on_any_torus _ _ F K d a s N H) as [[i I] M].
    destruct (strides_on_any_torus A _ (fun seen => seen) L e b t N' H') as [[j J] M'].
    eexists; eexists; intros X [PX PX'] u v.
    destruct (laws_lift_to_images A _ B (periodic N') (periodic N) (window (fun seen => seen) L e b t)
      (window F K d a s) D _ E _ (window_ext _ _ _ _ _) (M' E j HE J) (M D i HD I)) as (_ & _ & W).
    apply W. split; trivial. intros w x. unfold along_rows, window.
    apply map_ext; intro l. apply PX.
Qed.

(** No other shift of an image: for the window that keeps what it sees, (D, E) has a law exactly if gcd(N, s) divides D
    and gcd(N', t) divides E; where the strides divide the sizes, exactly on the lattice s Z x t Z. *)
Theorem image_strides_need_multiples : forall N N' K L d e a b s t D E,
  0 < N -> 0 < N' -> (0 < K)%nat -> (0 < L)%nat ->
  (exists D' E', image_moves (periodic_image N N')
    (image_window (fun seen : list (list Z) => seen) K L d e a b s t) D E D' E') <->
  (Z.gcd N s | D) /\ (Z.gcd N' t | E).
Proof.
  intros N N' K L d e a b s t D E H H' HK HL; split.
  - destruct (cells_head K HK) as [ks Ks]. destruct (cells_head L HL) as [ls Ls].
    intros (D' & E' & M). split.
    + apply (strides_need_multiples N K d a s D H HK). exists D'. intros S P q.
      specialize (M (fun u _ => S u) (conj (fun _ => P) (fun _ _ => eq_refl)) q 0).
      unfold image_window, shift_image in M. apply (f_equal (map (hd 0))) in M. rewrite !map_map in M.
      rewrite Ls in M; simpl in M. exact M.
    + apply (strides_need_multiples N' L e b t E H' HL). exists E'. intros S P p.
      specialize (M (fun _ v => S v) (conj (fun _ _ => eq_refl) (fun _ => P)) 0 p).
      unfold image_window, shift_image in M. apply (f_equal (hd [])) in M. rewrite Ks in M; simpl in M. exact M.
  - intros [HD HE]. now apply image_windows_move.
Qed.

Lemma permutation_concat {A} (l l' : list (list A)) : Permutation l l' -> Permutation (concat l) (concat l').
Proof.
  induction 1; simpl; [reflexivity | now apply Permutation_app_head | | now transitivity (concat l')].
  rewrite !app_assoc. apply Permutation_app_tail, Permutation_app_comm.
Qed.

(** Any function of whole periods along both axes that does not depend on the order, such as a sum or a maximum over all
    positions, is invariant under every shift. *)
Theorem image_reductions_are_invariant : forall A B (F : list A -> B) N N' n n' o o' D E X,
  symmetric F -> periodic_image N N' X -> (N | Z.of_nat n) -> (N' | Z.of_nat n') ->
  F (concat (map (fun u => map (shift_image D E X u) (range o' n')) (range o n))) =
  F (concat (map (fun u => map (X u) (range o' n')) (range o n))).
Proof.
  intros A B F N N' n n' o o' D E X HF [P P'] Hn Hn'. apply HF.
  transitivity (concat (map (shift D (fun u => map (X u) (range o' n'))) (range o n))).
  - generalize (range o n). intro l; induction l as [|u l IH]; simpl; trivial.
    apply Permutation_app; trivial. apply (whole_periods_are_permuted A (X (u - D)) N'); trivial.
  - apply permutation_concat, whole_periods_are_permuted with N; trivial.
    intro u. apply map_ext; intro v. apply P.
Qed.
