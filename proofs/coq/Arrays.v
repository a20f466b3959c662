(** * Finite arrays

    What a program holds are finite arrays. Wrap padding followed by a window without padding ("VALID") is the bridge
    to periodic signals; this file shows that it carries, and exactly when its result is one whole period.

    An array is a list; reading outside of it gives a default z, which never shows in a result. *)

From Coq Require Import ZArith Znumtheory List Lia Bool.
From Shifts Require Import Signals Windows.
Import ListNotations.
Open Scope Z_scope.

Definition size {A} (x : list A) : Z := Z.of_nat (length x).

(** The periodic signal of which an array is one period, and [jnp.roll]. *)
Definition unroll {A} (z : A) (x : list A) : Z -> A := fun u => nth (Z.to_nat (u mod size x)) x z.
Definition roll {A} (z : A) (D : Z) (x : list A) : list A := map (fun i => unroll z x (i - D)) (cells (length x)).

(** Wrap padding, of any width, by lo cells before and hi behind (fewer, where negative). *)
Definition pad_wrap {A} (z : A) (lo hi : Z) (x : list A) : list A :=
  map (unroll z x) (range (- lo) (Z.to_nat (size x + lo + hi))).

(** The number of places where a window that reaches from its first cell to [reach] fits; and the window at all these
    places. *)
Definition places (n reach s : Z) : Z := (n - 1 - reach) / s + 1.
Definition valid {A B} (z : A) (F : list A -> B) (K : nat) (d s : Z) (x : list A) : list B :=
  map (fun q => F (map (fun k => nth (Z.to_nat (s * q + d * k)) x z) (cells K)))
      (cells (Z.to_nat (places (size x) (d * (Z.of_nat K - 1)) s))).

(** ** Lemmas about lists *)

Lemma nth_skip {A} (z : A) n x i : nth i (skipn n x) z = nth (n + i) x z.
Proof. revert x; induction n as [|n IH]; intros [|v x]; simpl; trivial; destruct i; trivial. Qed.

Lemma nth_first {A} (z : A) n x i : (i < n)%nat -> nth i (firstn n x) z = nth i x z.
Proof. revert x i; induction n as [|n IH]; intros [|v x] [|i] H; simpl; trivial; try lia. apply IH; lia. Qed.

Lemma nth_range {A} (T : Z -> A) z o n i : (i < n)%nat -> nth i (map T (range o n)) z = T (o + Z.of_nat i).
Proof.
  intro H; unfold range; rewrite map_map.
  rewrite <- (Nat2Z.id i) at 1. rewrite map_cells_nth by lia. reflexivity.
Qed.

Lemma range_length o n : length (range o n) = n.
Proof. unfold range. now rewrite map_length, cells_length. Qed.

Lemma size_positive {A} (x : list A) : x <> [] -> 0 < size x.
Proof. unfold size. destruct x; [easy|]. simpl; lia. Qed.

Lemma unroll_periodic {A} (z : A) x : periodic (size x) (unroll z x).
Proof. intro u; unfold unroll. now replace (u + size x) with (u + 1 * size x) by lia; rewrite Z_mod_plus_full. Qed.

Lemma unroll_cells {A} (z : A) T n u : 0 < n -> periodic n T -> unroll z (map T (cells (Z.to_nat n))) u = T u.
Proof.
  intros H P; unfold unroll, size. rewrite map_length, cells_length, Z2Nat.id by lia.
  pose proof (Z.mod_pos_bound u n H). rewrite map_cells_nth by lia. now apply periodic_mod.
Qed.

Lemma unroll_roll {A} (z : A) D x : x <> [] -> unroll z (roll z D x) == shift D (unroll z x).
Proof.
  intros H u. unfold roll. replace (length x) with (Z.to_nat (size x)) by (unfold size; lia).
  rewrite unroll_cells with (T := shift D (unroll z x)).
  - reflexivity.
  - now apply size_positive.
  - apply (torus_of_shifts A _ _ D D), unroll_periodic.
Qed.

Lemma roll_not_empty {A} (z : A) D x : x <> [] -> roll z D x <> [].
Proof. intros H E. apply H. apply length_zero_iff_nil. apply (f_equal (@length A)) in E. unfold roll in E.
  now rewrite map_length, cells_length in E. Qed.

Lemma size_roll {A} (z : A) D x : size (roll z D x) = size x.
Proof. unfold size, roll. now rewrite map_length, cells_length. Qed.

(** ** Wrap padding *)

(** Wrap padding by no more than the array is what programs do with slices: the end of the array, the array, its
    beginning. *)
Theorem wrap_padding_is_slices : forall A (z : A) x lo hi,
  (lo <= length x)%nat -> (hi <= length x)%nat ->
  pad_wrap z (Z.of_nat lo) (Z.of_nat hi) x = skipn (length x - lo) x ++ x ++ firstn hi x.
Proof.
  intros A z x lo hi Hl Hh.
  assert (L : Z.to_nat (size x + Z.of_nat lo + Z.of_nat hi) = (lo + length x + hi)%nat) by (unfold size; lia).
  unfold pad_wrap; rewrite L. apply nth_ext with (d := z) (d' := z).
  - rewrite map_length, range_length, !app_length, skipn_length, firstn_length. lia.
  - rewrite map_length, range_length. intros i Hi. rewrite nth_range by lia.
    assert (U : forall j k, (j < length x)%nat -> - Z.of_nat lo + Z.of_nat i = Z.of_nat j + k * size x ->
                unroll z x (- Z.of_nat lo + Z.of_nat i) = nth j x z).
    { intros j k Hj E; unfold unroll. rewrite E, Z_mod_plus_full, Z.mod_small by (unfold size; lia). f_equal; lia. }
    destruct (Nat.lt_ge_cases i lo) as [I|I].
    + rewrite app_nth1 by (rewrite skipn_length; lia). rewrite nth_skip. apply U with (k := -1); unfold size; lia.
    + rewrite app_nth2 by (rewrite skipn_length; lia). rewrite skipn_length.
      destruct (Nat.lt_ge_cases i (lo + length x)) as [J|J].
      * rewrite app_nth1 by lia. apply U with (k := 0); unfold size; lia.
      * rewrite app_nth2, nth_first by lia. apply U with (k := 1); unfold size; lia.
Qed.

(** A window without padding over the wrap-padded array sees what the window operation on the periodic signal sees,
    at every place; even or odd windows, padding to one side, padding wider than the array: all the same. *)
Theorem wrapped_window_is_periodic_window : forall A B (z : A) (F : list A -> B) K d s lo hi x,
  0 < s -> 0 <= d -> 0 <= size x + lo + hi ->
  valid z F K d s (pad_wrap z lo hi x) =
  map (window F K d (- lo) s (unroll z x)) (cells (Z.to_nat (places (size x + lo + hi) (d * (Z.of_nat K - 1)) s))).
Proof.
  intros A B z F K d s lo hi x Hs Hd Hn.
  assert (L : size (pad_wrap z lo hi x) = size x + lo + hi).
  { unfold pad_wrap; unfold size at 1. rewrite map_length, range_length. lia. }
  unfold valid; rewrite L. apply map_ext_in; intros q Hq. apply cells_in in Hq.
  unfold window; f_equal. apply map_ext_in; intros k Hk. apply cells_in in Hk.
  unfold places in Hq. set (n := size x + lo + hi) in *.
  pose proof (Z.mul_div_le (n - 1 - d * (Z.of_nat K - 1)) s Hs).
  set (c := (n - 1 - d * (Z.of_nat K - 1)) / s) in *.
  assert (0 <= s * q <= s * c) by nia. assert (0 <= d * k <= d * (Z.of_nat K - 1)) by nia.
  unfold pad_wrap; fold n. rewrite nth_range by lia. f_equal; lia.
Qed.

(** The result of a window of K cells, d apart, with stride s, over an array wrap-padded by lo and hi is exactly one
    period of its signal, s times as short as the input, if and only if s divides the size and 1 - s <= lo + hi - d
    (K - 1) <= 0. *)
Theorem size_is_whole_iff : forall n lo hi d k s, 0 < s ->
  s * places (n + lo + hi) (d * (k - 1)) s = n <-> (s | n) /\ 1 - s <= lo + hi - d * (k - 1) <= 0.
Proof.
  intros n lo hi d k s H. unfold places. set (e := lo + hi - d * (k - 1)).
  replace (n + lo + hi - 1 - d * (k - 1)) with (n + e - 1) by (unfold e; ring). clearbody e.
  pose proof (Z.div_mod (n + e - 1) s ltac:(lia)) as E. pose proof (Z.mod_pos_bound (n + e - 1) s H) as R.
  set (c := (n + e - 1) / s) in *. set (m := (n + e - 1) mod s) in *. split.
  - intro W. split; [exists (c + 1)|]; lia.
  - intros [[t T] I]. assert (c + 1 = t) by nia. nia.
Qed.

(** The theorem about programs: on arrays of a size that the stride divides, padded by wrapping so that the size comes
    out right, rolling the input by s r rolls the output by r. For every size, window, function, dilation and
    stride. *)
Theorem circular_windows_move : forall A B (z : A) (z' : B) (F : list A -> B) K d s lo hi x r,
  let layer y := valid z F K d s (pad_wrap z lo hi y) in
  0 < s -> 0 <= d -> (0 < K)%nat -> x <> [] ->
  (s | size x) -> 1 - s <= lo + hi - d * (Z.of_nat K - 1) <= 0 ->
  s * size (layer x) = size x /\ layer (roll z (s * r) x) = roll z' r (layer x).
Proof.
  intros A B z z' F K d s lo hi x r layer Hs Hd HK Hx D I.
  pose proof (size_positive x Hx) as Hp. pose proof (Z.divide_pos_le _ _ Hp D).
  assert (0 <= d * (Z.of_nat K - 1)) by nia. assert (Hn : 0 <= size x + lo + hi) by lia.
  assert (M : s * places (size x + lo + hi) (d * (Z.of_nat K - 1)) s = size x).
  { apply size_is_whole_iff; auto. }
  assert (Q : places (size x + lo + hi) (d * (Z.of_nat K - 1)) s = size x / s).
  { apply Z.div_unique_exact; lia. }
  assert (P : 0 < size x / s) by nia.
  unfold layer. rewrite !wrapped_window_is_periodic_window by (rewrite ?size_roll; trivial).
  rewrite size_roll, Q. split.
  - unfold size at 1. rewrite map_length, cells_length. nia.
  - unfold roll at 2. rewrite map_length, cells_length. apply map_ext; intro q.
    rewrite unroll_cells; trivial; [| apply windows_are_periodic; trivial; apply unroll_periodic].
    transitivity (window F K d (- lo) s (shift (s * r) (unroll z x)) q).
    + now apply window_ext, unroll_roll.
    + now apply windows_move.
Qed.
