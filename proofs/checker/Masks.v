(** * Constants that a roll leaves as they are, and others that are refused

    A table of four by four that does not change when both axes are rolled by one, as a mask of pairs of windows: it may
    be seen as a signal that moves by any multiple of that roll, and meet what moves so. *)

From Coq Require Import ZArith List.
From Shifts Require Import Facts Parts Semantics Checker.
Import ListNotations.
Open Scope Z_scope.

Definition masked (rolls : list (list Z)) : program := Program
  [ Node (Input [0; 1]%nat) [] [4; 4]; Node (Constant [4; 4] rolls) [] [4; 4]; Node Map [0; 1]%nat [4; 4] ] 2.
Definition moving (r s : Z) : list parts := [[[Moving 4 4 0 r]]; [[Moving 4 4 0 s]]].
Definition says (rolls : list (list Z)) (r s : Z) (mask : list parts) : result :=
  check (Certificate (masked rolls) (Equivariance [0; 1]%nat true) [4; 4]
    [Generator [r; s] [r; s] (map (fun F => Some (OfCells F)) [moving r s; mask; moving r s])]).

Example the_roll_itself : says [[1; 1]] 1 1 (moving 1 1) = Proved.
Proof. vm_compute. reflexivity. Qed.
Example a_multiple : says [[1; 1]] 3 3 (moving 3 3) = Proved.
Proof. vm_compute. reflexivity. Qed.
Example one_of_two_rolls : says [[2; 0]; [1; 3]] 1 3 (moving 1 3) = Proved.
Proof. vm_compute. reflexivity. Qed.
Example an_axis_that_stays : says [[2; 0]] 2 0 [[[Moving 4 4 0 2]]; [[Still 4 4]]] = Proved.
Proof. vm_compute. reflexivity. Qed.

(** No roll, no multiple of one, or one of another axis or direction; and a table that is said to stay. *)
Example no_roll_is_refused : says [] 1 1 (moving 1 1) = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example no_multiple_is_refused : says [[2; 2]] 1 1 (moving 1 1) = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example one_axis_alone_is_refused : says [[1; 1]] 1 0 (moving 1 0) = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example another_direction_is_refused : says [[1; 3]] 1 1 (moving 1 1) = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example what_rolls_is_not_flat : says [[1; 1]] 1 1 [[[Still 4 1]]; [[Still 4 1]]] = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.
Example what_stays_does_not_meet_what_moves : says [[1; 1]] 1 1 [[[Still 4 4]]; [[Still 4 4]]] = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
