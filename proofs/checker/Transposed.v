(** * A transposed convolution of which the theorem speaks

    A kernel of two cells around a torus of four, as programs compute it: with one zero on both sides it runs in full, to
    five places; zeros make these eight; and the two laps of four are summed. Its certificate is proved, it has models,
    and each of its steps with one thing changed is refused. *)

From Coq Require Import ZArith List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Sums Folds Additions Checker Soundness Examples.
Import ListNotations.
Open Scope Z_scope.

Definition full (low : Z) : list dim := [Dim 0 0 2 1 low 1 1 1].
Definition steps (window pad reshape_ sum : node) : program := Program
  [ Node (Input [0%nat]) [] [4]; Node Weight [] [2]; window; Node (Constant [] []) [] []; pad; reshape_; sum ] 6.
Definition window := Node (Window (full 1) [] false true) [0; 1]%nat [5].
Definition pad := Node (Pad 0 0 3 0 true) [2; 3]%nat [8].
Definition reshaped := Node Reshape [4%nat] [2; 4].
Definition summed := Node (Mix [0%nat] [] true true) [5%nat] [4].
Definition layer : program := steps window pad reshaped summed.

(** Sums of cells that agree modulo four move as the image does; then they are cells. *)
Definition laps_of (n : Z) : listing := OfSums [[[Moving n 4 0 1]]] [[[Still n 4]]].
Definition cut_laps : listing := OfSums [[[Still 2 1]]; [[Moving 4 4 0 1]]] [[[Still 2 1]]; [[Still 4 4]]].
Definition around_torus : listing := OfCells [[[Moving 4 4 0 1]]].
Definition says (p : program) (window pad reshape_ sum : listing) : result :=
  check (Certificate p (Equivariance [0%nat] true) [4] [Generator [1] [1] (map Some
    [ OfCells [[[Moving 4 4 0 1]]]; OfCells [[[Still 2 2]]]; window; OfCells []; pad; reshape_; sum ])]).

Example layer_is_proved : says layer (laps_of 5) (laps_of 8) cut_laps around_torus = Proved.
Proof. vm_compute. reflexivity. Qed.

(** ** Twins *)

(** A window that is no weighted sum, or that does not run over both ends; sums modulo another period; another step. *)
Example any_function_is_refused :
  says (steps (Node (Window (full 1) [] false false) [0; 1]%nat [5]) pad reshaped summed)
    (laps_of 5) (laps_of 8) cut_laps around_torus = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example one_end_is_refused :
  says (steps (Node (Window (full 0) [] false true) [0; 1]%nat [4]) (Node (Pad 0 0 4 0 true) [2; 3]%nat [8])
          reshaped summed)
    (laps_of 4) (laps_of 8) cut_laps around_torus = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example another_period_is_refused :
  says layer (OfSums [[[Moving 5 4 0 1]]] [[[Still 5 2]]]) (laps_of 8) cut_laps around_torus = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example another_step_of_sums_is_refused :
  says layer (OfSums [[[Moving 5 4 0 2]]] [[[Still 5 4]]]) (laps_of 8) cut_laps around_torus = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.

(** The cells themselves do not move. *)
Example cells_of_laps_are_refused :
  says layer (OfCells [[[Moving 5 4 0 1]]]) (laps_of 8) cut_laps around_torus = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.

(** Padding that is not 0, or that lies between the cells, or that cuts some away. *)
Example other_padding_is_refused :
  says (steps window (Node (Pad 0 0 3 0 false) [2; 3]%nat [8]) reshaped summed)
    (laps_of 5) (laps_of 8) cut_laps around_torus = Refused (AtNode 4).
Proof. vm_compute. reflexivity. Qed.
Example padding_between_is_refused :
  says (steps window (Node (Pad 0 0 (-1) 1 true) [2; 3]%nat [8]) reshaped summed)
    (laps_of 5) (laps_of 8) cut_laps around_torus = Refused (AtNode 4).
Proof. vm_compute. reflexivity. Qed.
Example cutting_is_refused :
  says (steps window (Node (Pad 0 (-1) 4 0 true) [2; 3]%nat [8]) reshaped summed)
    (laps_of 5) (laps_of 8) cut_laps around_torus = Refused (AtNode 4).
Proof. vm_compute. reflexivity. Qed.

(** Laps of another length than the period; and laps that are said to be the cells. *)
Example other_laps_are_refused :
  says (steps window pad (Node Reshape [4%nat] [4; 2]) (Node (Mix [0%nat] [] true true) [5%nat] [2]))
    (laps_of 5) (laps_of 8) (OfSums [[[Still 4 1]]; [[Moving 2 2 0 1]]] [[[Still 4 1]]; [[Still 2 2]]])
    (OfCells [[[Moving 2 2 0 1]]]) = Refused (AtNode 5).
Proof. vm_compute. reflexivity. Qed.
Example cells_for_laps_are_refused :
  says layer (laps_of 5) (laps_of 8) (OfSums [[[Still 2 1]]; [[Moving 4 4 0 1]]] [[[Still 2 2]]; [[Still 4 1]]])
    around_torus
  = Refused (AtNode 5).
Proof. vm_compute. reflexivity. Qed.

(** Laps in which another function than the sum ends; and cells of laps that are summed. *)
Example another_function_of_laps_is_refused :
  says (steps window pad reshaped (Node (Mix [0%nat] [] true false) [5%nat] [4]))
    (laps_of 5) (laps_of 8) cut_laps around_torus = Refused (AtNode 6).
Proof. vm_compute. reflexivity. Qed.
Example sums_of_other_cells_are_refused :
  says (steps window pad reshaped (Node (Mix [1%nat] [] true true) [5%nat] [2]))
    (laps_of 5) (laps_of 8) cut_laps (OfCells [[[Still 2 1]]]) = Refused (AtNode 6).
Proof. vm_compute. reflexivity. Qed.

(** Laps in another order of axes, of which each is said to be the other; and laps of which some are taken. *)
Example axes_that_are_exchanged_are_refused :
  says (steps window pad reshaped (Node (Transpose [1; 0]%nat) [5%nat] [4; 2]))
    (laps_of 5) (laps_of 8) cut_laps (OfSums [[[Still 4 1]]; [[Moving 2 2 0 1]]] [[[Still 4 1]]; [[Still 2 2]]])
  = Refused (AtNode 6).
Proof. vm_compute. reflexivity. Qed.
Example a_lap_that_is_taken_is_refused :
  says (steps window pad reshaped (Node (Take 0 0 1) [5%nat] [1; 4]))
    (laps_of 5) (laps_of 8) cut_laps (OfCells [[[Still 1 1]]; [[Moving 4 4 0 1]]]) = Refused (AtNode 6).
Proof. vm_compute. reflexivity. Qed.

(** Of an output of laps that were not summed nothing follows. *)
Example laps_are_no_output :
  says (steps window pad reshaped (Node (Transpose [1; 0]%nat) [5%nat] [4; 2]))
    (laps_of 5) (laps_of 8) cut_laps (OfSums [[[Moving 4 4 0 1]]; [[Still 2 1]]] [[[Still 4 4]]; [[Still 2 1]]])
  = Refused AtStatement.
Proof. vm_compute. reflexivity. Qed.

(** Of laps along one axis of two: what may be done along the other one; and the same along this one, or wrongly. *)
Definition sums_beside (n : Z) : list parts := [[[Moving 5 4 0 1]]; [[Still n n]]].
Definition laps_beside (n : Z) : list parts := [[[Still 5 4]]; [[Still n n]]].

Example slices_beside_laps :
  take_fold 1 0 2 [5; 2] (sums_beside 2) (laps_beside 2) [5; 3] (sums_beside 3) (laps_beside 3) = Yes /\
  take_fold 0 0 1 [4; 3] [[[Moving 4 4 0 1]]; [[Still 3 3]]] [[[Still 4 4]]; [[Still 3 3]]]
    [5; 3] (sums_beside 3) (laps_beside 3) = No.
Proof. vm_compute. now split. Qed.
Example zeros_beside_laps :
  pad_fold 1 1 1 0 true [5; 5] (sums_beside 5) (laps_beside 5) [5; 3] (sums_beside 3) (laps_beside 3) = Yes /\
  pad_fold 1 1 1 0 false [5; 5] (sums_beside 5) (laps_beside 5) [5; 3] (sums_beside 3) (laps_beside 3) = No.
Proof. vm_compute. now split. Qed.
Example sums_beside_laps :
  sum_fold [1%nat] [5] [[[Moving 5 4 0 1]]] [[[Still 5 4]]] [5; 3] (sums_beside 3) (laps_beside 3) = Yes /\
  sum_fold [0%nat] [3] [[[Still 3 3]]] [[[Still 3 3]]] [5; 3] (sums_beside 3) (laps_beside 3) = No.
Proof. vm_compute. now split. Qed.
Example order_of_laps :
  transpose_fold [1; 0]%nat [3; 5] (rev (sums_beside 3)) (rev (laps_beside 3))
    [5; 3] (sums_beside 3) (laps_beside 3) = Yes /\
  transpose_fold [1; 0]%nat [3; 5] (rev (sums_beside 3)) [[[Still 3 1]]; [[Still 5 4]]]
    [5; 3] (sums_beside 3) (laps_beside 3) = No.
Proof. vm_compute. now split. Qed.

(** ** Its models *)

Definition cell_of (v : option Z) : Z := match v with Some a => a | None => 0 end.
Definition weigh (key : list Z) (seen : list (option Z)) (kernels : list (list Z)) : Z :=
  total integers (map (fun k => nth k (hd [] kernels) 0 * cell_of (nth k seen None)) (seq 0 (length seen))).

Definition in_full (w : array Z) (x : images Z) : array Z := fun i =>
  weigh [] (view (full 1) [] [4] i (x 0%nat)) [whole x ([2], fun _ => w)].
Definition in_eight (w : array Z) (x : images Z) : array Z := fun i =>
  match stands 5 0 1 (nth 0 i 0) with Some j => in_full w x (put 0 j i) | None => 0 end.
Definition in_laps (w : array Z) (x : images Z) : array Z := fun i =>
  in_eight w x (cell_at [8] (Semantics.place [2; 4] i)).
Definition in_sum (w : array Z) (x : images Z) : array Z := fun i =>
  total integers (concat (map (fun c => [in_laps w x (repeated [2; 4] c)])
    (product (map (mixed [0%nat] [] (fun a => Z.max (nth a [2; 4] 0) 1) 2 1 i) (seq 0 2))))).
Definition layer_of (w : array Z) : model Z := fun x k =>
  match k with
  | 0 => x 0 | 1 => w | 2 => in_full w x | 3 => fun _ => 0%Z | 4 => in_eight w x | 5 => in_laps w x | _ => in_sum w x
  end%nat.

Lemma integers_are_lawful : lawful integers.
Proof. repeat split; intros; simpl; lia. Qed.

(** The layer has a model for every kernel, whose values are integers. *)
Theorem layer_has_models : forall w, is_model integers layer (layer_of w).
Proof.
  intro w. split; [split; [intros _; exact integers_are_lawful | discriminate]|]. intros k v N.
  destruct k as [|[|[|[|[|[|[|k]]]]]]]; [| | | | | | | destruct k; easy]; injection N as <-; cbn [means op shape].
  - reflexivity.
  - exists w. reflexivity.
  - intros s A others E. injection E as <- <- <-. exists weigh. split; [easy|]. split; [|reflexivity]. intros _.
    exists (fun _ kernels k a => nth k (hd [] kernels) 0 * a). split; [intros; simpl; ring | reflexivity].
  - exists (fun _ => 0). split; [easy|]. split; reflexivity.
  - intros s A t v E. injection E as <- <- <- <-. split; reflexivity.
  - intros s A E. injection E as <- <-. reflexivity.
  - exists (fun _ cells => total integers (concat cells)). split; [|split; reflexivity].
    intros _ _ l l' P. now apply (total_permuted integers integers_are_lawful), concat_permuted.
Qed.

(** So for every kernel and image its output moves by one cell where the image does. *)
Theorem layer_moves : forall w x y i, shifted layer [1] x y -> inside [4] i ->
  layer_of w y 6%nat i = layer_of w x 6%nat (back [0%nat] [1] [4] i).
Proof.
  intros w x y i T I. pose proof (listed_itself 1 1 [([1], [1])] [1] [1] (or_introl eq_refl)) as G.
  exact (proj1 (checked_statements_hold _ layer_is_proved Z integers (layer_of w) (layer_has_models w)
    [1] [1] G x y T i I)).
Qed.

(** And it computes what it should: of the image 1 0 0 5 by the kernel 2 3, at each cell twice the one before it and
    three times its own. *)
Example layer_computes :
  let at_ l i := nth (Z.to_nat (nth 0 i 0)) l 0 in
  map (fun q => layer_of (at_ [2; 3]) (fun _ => at_ [1; 0; 0; 5]) 6%nat [q]) (range 4) = [13; 2; 0; 15].
Proof. vm_compute. reflexivity. Qed.
