(** * A network of which the theorem speaks on scenes

    A convolution of six cells by a kernel of three, padded by one value on both sides, as it sees a frame of a scene that
    moves. Its outer cells see the padding; of the four between them the certificate is proved, there are models, and it
    is refused with one thing changed. *)

From Coq Require Import ZArith List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Checker Soundness Examples.
Import ListNotations.
Open Scope Z_scope.

Definition run (width_ stride_ pad_ : Z) : list dim := [Dim 0 0 width_ stride_ pad_ pad_ 1 1].
Definition seen_by (dims : list dim) (size_ : Z) : program := Program
  [ Node (Input [0%nat]) [] [6]; Node Weight [] [3]; Node (Window dims [] false false) [0; 1]%nat [size_] ] 2.
Definition frame : program := seen_by (run 3 1 1) 6.

Definition whole_image : parts := [[Factor 6 0 0 1]].
Definition inner : parts := [[Nothing 1]; [Factor 4 0 1 1]; [Nothing 1]].
Definition one (r : Z) (image made : parts) : generator :=
  Generator [1] [r] (map (fun ps => Some (OfCells [ps])) [image; [[Still 3 3]]; made]).
Definition says (p : program) (box : Z * Z) (gs : list generator) : result :=
  check (Certificate p (OfScene [0%nat] true [box]) [6] gs).

Definition claim : certificate := Certificate frame (OfScene [0%nat] true [(1, 5)]) [6] [one 1 whole_image inner].
Example frame_is_proved : check claim = Proved.
Proof. vm_compute. reflexivity. Qed.

(** Of the border nothing follows, nor from it. *)
Example larger_box_is_refused : says frame (0, 5) [one 1 whole_image inner] = Refused AtStatement.
Proof. vm_compute. reflexivity. Qed.
Example border_is_refused : says frame (0, 6) [one 1 whole_image [[Factor 6 0 0 1]]] = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example one_end_is_refused :
  says frame (1, 6) [one 1 whole_image [[Nothing 1]; [Factor 5 0 1 1]]] = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example wider_window_is_refused : says (seen_by (run 5 1 2) 6) (1, 5) [one 1 whole_image inner] = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.

(** Other steps, of the cells or of the output; a stride that does not divide the step. *)
Example other_step_is_refused :
  says frame (1, 5) [one 1 whole_image [[Nothing 1]; [Factor 4 0 1 2]; [Nothing 1]]] = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example other_shift_is_refused : says frame (1, 5) [one 2 whole_image inner] = Refused AtStatement.
Proof. vm_compute. reflexivity. Qed.
Example stride_is_refused :
  says (seen_by (run 3 2 1) 3) (1, 3) [one 1 whole_image [[Nothing 1]; [Factor 2 0 0 1]]] = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.

(** A scene is no torus, nor does it stay; and two generators do not move one axis. *)
Example torus_is_refused : says frame (1, 5) [one 1 [[Moving 6 6 0 1]] inner] = Refused (AtNode 0).
Proof. vm_compute. reflexivity. Qed.
Example still_image_is_refused : says frame (1, 5) [one 1 [[Still 6 6]] inner] = Refused (AtNode 0).
Proof. vm_compute. reflexivity. Qed.
Example two_generators_are_refused :
  says frame (1, 5) [one 1 whole_image inner; one 1 whole_image inner] = Refused AtStatement.
Proof. vm_compute. reflexivity. Qed.

(** ** Its models *)

Definition node_2 (w : array Z) (x : images Z) : array Z := fun i =>
  convolve (view (run 3 1 1) [] [6] i (x 0%nat)) [whole x ([3], fun _ => w)].
Definition computed (w : array Z) : model Z := fun x k =>
  match k with 0%nat => x 0%nat | 1%nat => w | _ => node_2 w x end.

(** There is a model for every kernel. *)
Theorem frame_has_models : forall w, is_model integers frame (computed w).
Proof.
  intro w. split; [split; discriminate|]. intros k v N. destruct k as [|[|[|k]]]; [| | | destruct k; easy];
    injection N as <-; cbn [means op shape].
  - reflexivity.
  - exists w. reflexivity.
  - intros s A others E. injection E as <- <- <-. exists (fun _ seen kernels => convolve seen kernels).
    split; [easy|]. split; [easy | reflexivity].
Qed.

(** So the four cells move as the scene does, by any number of steps, wherever both of two places are among them. *)
Theorem frame_moves : forall w x y r, views frame [r] x y -> forall i, 1 <= i < 5 -> 1 <= i - r < 5 ->
  computed w y 2%nat [i] = computed w x 2%nat [i - r].
Proof.
  assert (Up : forall n, generated 1 1 [([1], [1])] [Z.of_nat n] [Z.of_nat n]).
  { induction n as [|n IH].
    - refine (backwards _ _ _ [1] [1] [1] [1] _ (listed_itself _ _ _ [1] [1] _)); now left.
    - replace [Z.of_nat (S n)] with (plus 1 [Z.of_nat n] [1]).
      + refine (onwards _ _ _ [Z.of_nat n] [Z.of_nat n] [1] [1] _ IH); now left.
      + unfold plus, build; simpl. f_equal; lia. }
  assert (Down : forall n, generated 1 1 [([1], [1])] [- Z.of_nat n] [- Z.of_nat n]).
  { induction n as [|n IH]; [apply (Up 0%nat)|].
    replace [- Z.of_nat (S n)] with (minus 1 [- Z.of_nat n] [1]).
    - refine (backwards _ _ _ [- Z.of_nat n] [- Z.of_nat n] [1] [1] _ IH); now left.
    - unfold minus, build; simpl. f_equal; lia. }
  intros w x y r T i I I'.
  assert (G : generated 1 1 [([1], [1])] [r] [r]).
  { destruct (Z_le_gt_dec 0 r); [rewrite <- (Z2Nat.id r) by lia; apply Up|].
    replace r with (- Z.of_nat (Z.to_nat (- r))) by lia. apply Down. }
  destruct (checked_statements_hold claim frame_is_proved Z integers (computed w) (frame_has_models w) [r] [r] G)
    as [_ Moves].
  apply (Moves x y T [i]).
  - split; [reflexivity|]. intros a L. destruct a; simpl in *; lia.
  - intros k K. destruct k; simpl in *; lia.
  - intros k K. destruct k; simpl in *; lia.
Qed.
