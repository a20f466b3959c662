(** * Linear maps that commute with shifts

    The converse theorem: sharing weights over all positions is no choice among many, it is what commuting with
    shifts means.

    Entries and values lie in any commutative monoid with a product of which only [a * one = a] and [a * zero =
    zero] are used: the integers, the reals, any ring; also the maxima and sums of max-plus algebra. *)

From Coq Require Import ZArith Znumtheory List Lia Permutation.
From Shifts Require Import Signals Windows Sums.
Import ListNotations.
Open Scope Z_scope.

Lemma nodup_map {I J} (h : I -> J) l :
  (forall a b, In a l -> In b l -> h a = h b -> a = b) -> NoDup l -> NoDup (map h l).
Proof.
  induction 2 as [|a l Ha Hl IH]; simpl; constructor.
  - intro E. apply in_map_iff in E. destruct E as (b & E & Hb). apply H in E; simpl; auto. congruence.
  - apply IH. intros; apply H; simpl; auto.
Qed.

Lemma nodup_prod {I J} (l : list I) (l' : list J) : NoDup l -> NoDup l' -> NoDup (list_prod l l').
Proof.
  intros H H'. induction H as [|a l Ha Hl IH]; simpl; [constructor|].
  assert (Q : NoDup (map (fun y => (a, y)) l')) by (apply nodup_map; trivial; congruence).
  assert (D : forall u, In u (map (fun y => (a, y)) l') -> ~ In u (list_prod l l')).
  { intros [b c] U V. apply in_map_iff in U. destruct U as (y & E & _). injection E as -> ->.
    apply in_prod_iff in V. tauto. }
  induction Q as [|q r Hq Hr IHr]; simpl; trivial. constructor.
  - rewrite in_app_iff. intros [E|E]; [easy|]. apply (D q); simpl; auto.
  - apply IHr. intros u Hu. apply D; simpl; auto.
Qed.

Section Matrices.
  Context {M : Type} (m : monoid M) (mul : M -> M -> M) (one : M).
  Hypothesis mul_one : forall a, mul a one = a.
  Hypothesis mul_zero : forall a, mul a (zero m) = zero m.

  (** The map of a matrix with rows and columns indexed by a list of places. *)
  Definition linear {I} (places : list I) (A : I -> I -> M) (x : I -> M) : I -> M :=
    fun i => total m (fun j => mul (A i j) (x j)) places.

  (** A linear map commutes with a permutation [to] of its places (whose inverse is [back]) if and only if its matrix is
      unchanged when rows and columns are permuted by it. Nothing is asked of the places: any number of axes, with
      or without channels. *)
  Theorem commuting_is_invariance_of_matrix :
    forall I (same_place : forall i j : I, {i = j} + {i <> j}) places (to back : I -> I) A,
    NoDup places ->
    (forall i, In i places -> In (to i) places /\ In (back i) places /\ to (back i) = i /\ back (to i) = i) ->
    (forall x i, In i places -> linear places A (fun j => x (back j)) i = linear places A x (back i)) <->
    (forall i j, In i places -> In j places -> A (to i) (to j) = A i j).
  Proof.
    intros I same_place places to back A N B; split.
    - intros H i j Hi Hj.
      pose (x := fun k => if same_place k j then one else zero m).
      destruct (B i Hi) as (Ti & _ & _ & Bi). destruct (B j Hj) as (Tj & _ & _ & Bj).
      specialize (H x (to i) Ti). rewrite Bi in H. unfold linear in H.
      rewrite total_single with (i := to j) in H; trivial.
      + rewrite total_single with (i := j) in H; trivial.
        * unfold x in H. rewrite Bj in H. destruct (same_place j j); [|easy]. now rewrite !mul_one in H.
        * intros k _ Hk. unfold x. destruct (same_place k j); [easy | apply mul_zero].
      + intros k Hk K. unfold x. destruct (same_place (back k) j) as [E|E]; [|apply mul_zero].
        destruct (B k Hk) as (_ & _ & Tk & _). congruence.
    - intros H x i Hi. unfold linear. destruct (B i Hi) as (_ & Bi & Ti & _).
      transitivity (total m (fun j => mul (A i j) (x (back j))) (map to places)).
      + apply total_permutation. apply Permutation_sym, NoDup_Permutation_bis.
        * apply nodup_map; trivial.
          intros a b Ha Hb E. destruct (B a Ha) as (_ & _ & _ & <-). destruct (B b Hb) as (_ & _ & _ & <-). congruence.
        * now rewrite map_length.
        * intros j Hj. apply in_map_iff in Hj. destruct Hj as (k & <- & Hk). now apply B.
      + rewrite total_map. apply total_ext; intros j Hj. destruct (B j Hj) as (_ & _ & _ & ->).
        f_equal. rewrite <- Ti at 1. now apply H.
  Qed.

  (** ** One axis *)

  Definition commutes (N : nat) (A : Z -> Z -> M) (g : Z) : Prop :=
    forall x i, 0 <= i < Z.of_nat N ->
    linear (cells N) A (fun j => x ((j - g) mod Z.of_nat N)) i = linear (cells N) A x ((i - g) mod Z.of_nat N).

  (** On one axis: commuting with the shift by g is invariance of the matrix along its diagonals, g at a time. *)
  Theorem commuting_along_diagonals : forall N A g,
    commutes N A g <->
    (forall i j, 0 <= i < Z.of_nat N -> 0 <= j < Z.of_nat N ->
      A ((i + g) mod Z.of_nat N) ((j + g) mod Z.of_nat N) = A i j).
  Proof.
    intros N A g. set (n := Z.of_nat N).
    pose proof (commuting_is_invariance_of_matrix Z Z.eq_dec (cells N)
      (fun i => (i + g) mod n) (fun i => (i - g) mod n) A (cells_nodup N)) as H.
    destruct H as [F G].
    { intros i Hi. apply cells_in in Hi. fold n in Hi. rewrite !cells_in. fold n.
      pose proof (Z.mod_pos_bound (i + g) n ltac:(lia)). pose proof (Z.mod_pos_bound (i - g) n ltac:(lia)).
      rewrite Zplus_mod_idemp_l, Zminus_mod_idemp_l.
      replace (i - g + g) with i by lia. replace (i + g - g) with i by lia. rewrite (Z.mod_small i n) by lia. auto. }
    split.
    - intros C i j Hi Hj. apply F; try (apply cells_in; lia). intros x k Hk. apply cells_in in Hk. now apply C.
    - intros D x i Hi. apply (G ltac:(intros k j Hk Hj; apply cells_in in Hk, Hj; now apply D)). now apply cells_in.
  Qed.

  Lemma wrapped_difference n a b g : ((a + g) mod n - (b + g) mod n) mod n = (a - b) mod n.
  Proof. rewrite <- Zminus_mod. f_equal; lia. Qed.

  (** A linear map on a torus commutes with all shifts if and only if it is circular convolution: its entries depend on
      i - j only. *)
  Theorem commuting_with_all_shifts_is_convolution : forall N A,
    (forall g, commutes N A g) <->
    (exists c, forall i j, 0 <= i < Z.of_nat N -> 0 <= j < Z.of_nat N -> A i j = c ((i - j) mod Z.of_nat N)).
  Proof.
    intros N A; split.
    - intro C. exists (fun u => A u 0). intros i j Hi Hj.
      pose proof (proj1 (commuting_along_diagonals N A (- j)) (C (- j)) i j Hi Hj) as H.
      rewrite <- H. replace (j + - j) with 0 by lia. now rewrite Z.mod_0_l by lia.
    - intros [c E] g. apply commuting_along_diagonals. intros i j Hi Hj.
      assert (B : forall u, 0 <= u mod Z.of_nat N < Z.of_nat N) by (intro; apply Z.mod_pos_bound; lia).
      rewrite !E; trivial. now rewrite wrapped_difference.
  Qed.

  (** Commuting with the shift by s is commuting with all its multiples. *)
  Theorem commuting_with_multiples : forall N A s, commutes N A s -> forall k, 0 <= k -> commutes N A (k * s).
  Proof.
    intros N A s C. apply natlike_ind.
    - apply commuting_along_diagonals. intros i j Hi Hj. rewrite !Z.add_0_r, !Z.mod_small by lia. reflexivity.
    - intros k Hk IH. rewrite commuting_along_diagonals in *. intros i j Hi Hj.
      assert (B : forall u, 0 <= u mod Z.of_nat N < Z.of_nat N) by (intro; apply Z.mod_pos_bound; lia).
      rewrite <- (IH i j Hi Hj), <- (C ((i + k * s) mod _) ((j + k * s) mod _)); trivial.
      rewrite !Zplus_mod_idemp_l. f_equal; f_equal; lia.
  Qed.

  (** How many linear maps commute with the shift by s: where s divides N, such a map is known by the first s rows of
      its matrix, and these are free: s N numbers of N^2. For s = 1, the N weights of a convolution. *)
  Theorem first_rows_decide : forall N s, 0 < s -> (s | Z.of_nat N) ->
    (forall A B, commutes N A s -> commutes N B s ->
      (forall i j, 0 <= i < s -> 0 <= j < Z.of_nat N -> A i j = B i j) ->
      forall i j, 0 <= i < Z.of_nat N -> 0 <= j < Z.of_nat N -> A i j = B i j) /\
    (forall R : Z -> Z -> M, exists A, commutes N A s /\
      forall i j, 0 <= i < s -> 0 <= j < Z.of_nat N -> A i j = R i j).
  Proof.
    intros N s Hs D; set (n := Z.of_nat N); split.
    - intros A B CA CB E i j Hi Hj.
      pose proof (Z.div_mod i s ltac:(lia)) as Q. pose proof (Z.mod_pos_bound i s Hs) as R.
      pose proof (Z.div_pos i s ltac:(lia) Hs) as P.
      assert (Le : s <= n) by (apply Z.divide_pos_le; trivial; lia).
      apply commuting_with_multiples with (k := i / s) in CA, CB; trivial.
      rewrite commuting_along_diagonals in CA, CB.
      pose proof (Z.mod_pos_bound (j - i / s * s) n ltac:(lia)) as Bj.
      specialize (CA (i mod s) ((j - i / s * s) mod n) ltac:(lia) Bj).
      specialize (CB (i mod s) ((j - i / s * s) mod n) ltac:(lia) Bj). fold n in CA, CB.
      rewrite Zplus_mod_idemp_l in CA, CB.
      replace (i mod s + i / s * s) with i in CA, CB by lia.
      replace (j - i / s * s + i / s * s) with j in CA, CB by lia.
      rewrite !Z.mod_small in CA, CB by lia. rewrite CA, CB. now apply E.
    - intro R. exists (fun i j => R (i mod s) ((j - (i - i mod s)) mod n)). split.
      + apply commuting_along_diagonals. fold n. intros i j Hi Hj.
        assert (E : ((i + s) mod n) mod s = i mod s).
        { rewrite <- Zmod_div_mod by (trivial; lia). replace (i + s) with (i + 1 * s) by lia. apply Z_mod_plus_full. }
        rewrite E. f_equal.
        replace ((j + s) mod n - ((i + s) mod n - i mod s)) with ((j + s) mod n - (i + s) mod n + i mod s) by lia.
        rewrite <- Zplus_mod_idemp_l, wrapped_difference, Zplus_mod_idemp_l. f_equal; lia.
      + intros i j Hi Hj. rewrite (Z.mod_small i s) by lia. f_equal. rewrite Z.mod_small; lia.
  Qed.

  (** ** Two axes *)

  Definition wrapped (n g u : Z * Z) : Z * Z := ((fst u + fst g) mod fst n, (snd u + snd g) mod snd n).
  Definition opposite (g : Z * Z) : Z * Z := (- fst g, - snd g).
  Definition plane_cells (N N' : nat) : list (Z * Z) := list_prod (cells N) (cells N').

  Lemma plane_cells_in N N' u :
    In u (plane_cells N N') <-> 0 <= fst u < Z.of_nat N /\ 0 <= snd u < Z.of_nat N'.
  Proof. destruct u as [i j]; unfold plane_cells. now rewrite in_prod_iff, !cells_in. Qed.

  Lemma place_eq_dec (u v : Z * Z) : {u = v} + {u <> v}.
  Proof. decide equality; apply Z.eq_dec. Qed.

  (** On two axes too: a linear map on an N x N' torus commutes with all shifts if and only if it is a circular
      convolution. *)
  Theorem plane_commuting_is_convolution : forall N N' (A : Z * Z -> Z * Z -> M),
    let n := (Z.of_nat N, Z.of_nat N') in let places := plane_cells N N' in
    (forall g x i, In i places ->
      linear places A (fun j => x (wrapped n (opposite g) j)) i = linear places A x (wrapped n (opposite g) i)) <->
    (exists c, forall i j, In i places -> In j places -> A i j = c (wrapped n (opposite j) i)).
  Proof.
    intros N N' A n places.
    assert (B : forall g i, In i places -> In (wrapped n g i) places /\ wrapped n (opposite g) (wrapped n g i) = i).
    { intros g [i i'] H. unfold places in *. rewrite plane_cells_in in *. simpl in *.
      unfold wrapped; simpl. rewrite !Zplus_mod_idemp_l. split.
      - split; apply Z.mod_pos_bound; lia.
      - f_equal; [replace (i + fst g + - fst g) with i by lia | replace (i' + snd g + - snd g) with i' by lia];
          apply Z.mod_small; lia. }
    assert (O : forall g, opposite (opposite g) = g) by (intros [g g']; unfold opposite; simpl; f_equal; lia).
    assert (T : forall g, (forall x i, In i places ->
        linear places A (fun j => x (wrapped n (opposite g) j)) i = linear places A x (wrapped n (opposite g) i)) <->
        (forall i j, In i places -> In j places -> A (wrapped n g i) (wrapped n g j) = A i j)).
    { intro g. apply commuting_is_invariance_of_matrix.
      - apply place_eq_dec.
      - apply nodup_prod; apply cells_nodup.
      - intros i Hi. destruct (B g i Hi). destruct (B (opposite g) i Hi) as [U V]. rewrite O in V. auto. }
    split.
    - intro C. exists (fun u => A u (0, 0)). intros i j Hi Hj.
      rewrite <- (proj1 (T (opposite j)) (C (opposite j)) i j Hi Hj). f_equal.
      apply plane_cells_in in Hj. unfold wrapped, opposite; destruct j as [j j']; simpl in *.
      rewrite !Z.add_opp_diag_r, !Z.mod_0_l by lia. reflexivity.
    - intros [c E] g. apply T. intros i j Hi Hj. destruct (B g i Hi). destruct (B g j Hj).
      rewrite !E; trivial. f_equal. unfold wrapped, opposite; simpl. f_equal; apply wrapped_difference.
  Qed.
End Matrices.
