(** * Scenes

    An image may be a view of a scene that has no end. Shifts of the scene act on it, T k is k of them; what is computed
    from the view is right, that is a part of a signal which the whole scene determines, in an interior only. *)

From Coq Require Import ZArith List Lia.
From Shifts Require Import Signals Windows.
Import ListNotations.
Open Scope Z_scope.

(** A signal that one shift moves by r is moved by k r by k shifts, forwards or back. *)
Theorem scenes_move_by_multiples : forall X A (T : Z -> X -> X) (S : X -> Z -> A) r,
  (forall x, T 0 x = x) -> (forall j k x, T (j + k) x = T j (T k x)) ->
  (forall x u, S (T 1 x) u = S x (u - r)) -> forall k x u, S (T k x) u = S x (u - k * r).
Proof.
  intros X A T S r T0 TA M.
  assert (N : forall k : nat, forall x u, S (T (Z.of_nat k) x) u = S x (u - Z.of_nat k * r)).
  { induction k as [|k IH]; intros x u.
    - simpl Z.of_nat. rewrite T0. f_equal; lia.
    - replace (Z.of_nat (Datatypes.S k)) with (1 + Z.of_nat k) by lia.
      rewrite TA, M, IH. f_equal; lia. }
  intros k x u. destruct (Z_le_gt_dec 0 k) as [H | H].
  - rewrite <- (Z2Nat.id k) by lia. apply N.
  - pose proof (N (Z.to_nat (- k)) (T k x) (u - k * r)) as E. rewrite Z2Nat.id in E by lia.
    rewrite <- TA in E. replace (- k + k) with 0 in E by lia. rewrite T0 in E. rewrite E. f_equal; lia.
Qed.

(** Where a place and the shifted place both lie in the interior, the views of a scene and of the shifted scene agree. *)
Theorem views_agree_inside : forall X A (T : Z -> X -> X) (S a : X -> Z -> A) o low high r,
  (forall k x u, S (T k x) u = S x (u - k * r)) ->
  (forall x i, low <= i < high -> a x i = S x (o + i)) ->
  forall k x i, low <= i < high -> low <= i - k * r < high -> a (T k x) i = a x (i - k * r).
Proof.
  intros X A T S a o low high r M V k x i H H'. rewrite (V _ i H), (V _ _ H'), M. f_equal; lia.
Qed.

(** Windows that read the interior alone show what the same windows of the signal show. *)
Theorem windows_read_the_interior : forall A B (F : list A -> B) K d p s (S a : Z -> A) o low high q, 0 <= d ->
  (forall i, low <= i < high -> a i = S (o + i)) ->
  low <= p + s * q -> p + s * q + d * (Z.of_nat K - 1) < high ->
  window F K d p s a q = window F K d (o + p) s S q.
Proof.
  intros A B F K d p s S a o low high q Hd V L H; unfold window, cells. f_equal.
  rewrite !map_map. apply map_ext_in; intros k Hk. apply in_seq in Hk.
  rewrite V; [f_equal; lia|]. nia.
Qed.

(** Two generators that move different axes of the output: their multiples, one after another, move a cell of the
    interiors to a cell of the interiors, along a way that stays within. *)
Theorem interiors_of_generators_compose : forall X A (T T' : Z -> X -> X) (a : X -> Z -> Z -> A) r r' (I J : Z -> Prop),
  (forall k x u v, I u -> I (u - k * r) -> J v -> a (T k x) u v = a x (u - k * r) v) ->
  (forall k x u v, I u -> J v -> J (v - k * r') -> a (T' k x) u v = a x u (v - k * r')) ->
  forall j k x u v, I u -> I (u - j * r) -> J v -> J (v - k * r') ->
  a (T j (T' k x)) u v = a x (u - j * r) (v - k * r').
Proof. intros X A T T' a r r' I J M M' j k x u v Hu Hu' Hv Hv'. now rewrite M, M'. Qed.
