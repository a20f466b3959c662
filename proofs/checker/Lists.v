(** * Positions of which the checker speaks, and others that it refuses

    Of eight cells around a torus, which move by four, every other pair is taken, in one or the other direction, or one
    cell of each pair twice. What is taken moves by two; with one position or number changed it is refused. *)

From Coq Require Import ZArith List.
From Shifts Require Import Facts Parts Semantics Checker.
Import ListNotations.
Open Scope Z_scope.

Definition says (places : list Z) (taken : parts) : result :=
  check (Certificate
    (Program [Node (Input [0%nat]) [] [8]; Node (Pick 0 places) [0%nat] [Z.of_nat (length places)]] 1)
    (Equivariance [0%nat] false) [8]
    [Generator [4] [2] (map (fun ps => Some (OfCells [ps])) [[[Moving 8 8 0 4]]; taken])]).
Definition pairs_move : parts := [[Moving 4 4 0 2]].

Example every_other_pair : says [0; 1; 4; 5] pairs_move = Proved.
Proof. vm_compute. reflexivity. Qed.
Example from_another_one : says [3; 2; 7; 6] pairs_move = Proved.
Proof. vm_compute. reflexivity. Qed.
Example backwards : says [5; 4; 1; 0] pairs_move = Proved.
Proof. vm_compute. reflexivity. Qed.
Example each_twice : says [1; 1; 5; 5] [[Moving 2 2 0 1; Still 2 1]] = Proved.
Proof. vm_compute. reflexivity. Qed.

(** A position that breaks the pattern, or leaves the axis; pairs that are turned, or follow at another distance. *)
Example another_position_is_refused : says [0; 1; 4; 6] pairs_move = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example outside_is_refused : says [0; 1; 4; 13] pairs_move = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example turned_pair_is_refused : says [0; 1; 5; 4] pairs_move = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example another_distance_is_refused : says [0; 1; 3; 4] pairs_move = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.

(** Another step or period; cells that are said to stay; and a pair that is not one cell twice. *)
Example another_step_is_refused : says [0; 1; 4; 5] [[Moving 4 4 0 1]] = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example another_period_is_refused : says [0; 1; 4; 5] [[Moving 4 2 0 2]] = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example what_moves_does_not_stay : says [0; 1; 4; 5] [[Still 4 4]] = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example no_pair_of_one_cell : says [0; 1; 4; 5] [[Moving 2 2 0 1; Still 2 1]] = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.

(** Each cell twice, and the two halves of this in the other order: slices of an axis of two factors, which as one
    factor are windows on one signal. They are glued where they continue one another around its end. *)
Definition halves (start : Z) (turned_ : parts) : result :=
  check (Certificate
    (Program [ Node (Input [0%nat]) [] [4]; Node (Broadcast [0%nat]) [0%nat] [4; 2]; Node Reshape [1%nat] [8];
               Node (Take 0 2 1) [2%nat] [6]; Node (Take 0 start 1) [2%nat] [2]; Node (Concat 0) [3; 4]%nat [8] ] 5)
    (Equivariance [0%nat] false) [4]
    [Generator [1] [2] (map (fun F => Some (OfCells F))
      [ [[[Moving 4 4 0 1]]]; [[[Moving 4 4 0 1]]; [[Still 2 1]]]; [[[Moving 4 4 0 1; Still 2 1]]];
        [[[Moving 6 8 2 2]]]; [[[Moving 2 8 start 2]]]; [turned_] ])]).

Example halves_are_glued : halves 0 [[Moving 8 8 2 2]] = Proved.
Proof. vm_compute. reflexivity. Qed.
Example other_step_of_halves_is_not_proved : halves 0 [[Moving 8 8 2 1]] = NotCovered (AtNode 5).
Proof. vm_compute. reflexivity. Qed.
Example halves_that_do_not_meet_are_refused : halves 1 [[Moving 8 8 2 2]] = Refused (AtNode 5).
Proof. vm_compute. reflexivity. Qed.
