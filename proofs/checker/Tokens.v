(** * Tokens of which the theorem speaks

    One cell that does not depend on the image stands before the four cells of the image, as a class token does; any
    function acts on each of the five; then the four are taken, or all are summed up. The certificates are proved, there
    are models, and each step with one thing changed is refused. *)

From Coq Require Import ZArith List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Checker Soundness Examples.
Import ListNotations.
Open Scope Z_scope.

Definition tokens (start : Z) (size_ : Z) : program := Program
  [ Node (Input [0%nat]) [] [4]; Node Weight [] [1]; Node (Concat 0) [1; 0]%nat [5]; Node Map [2%nat] [5];
    Node (Take 0 start 1) [3%nat] [size_] ] 4.

Definition moving : parts := [[Moving 4 4 0 1]].
Definition beside : parts := [[Still 1 1]; [Moving 4 4 0 1]].
Definition says (p : program) (what : property) (r : list Z) (joined mapped taken : parts) : result :=
  check (Certificate p what [4] [Generator [1] r (map (fun ps => Some (OfCells ps))
    [ [moving]; [[[Still 1 1]]]; [joined]; [mapped]; match what with Invariance => [] | _ => [taken] end ])]).
Definition moves_by_one (joined mapped taken : parts) : result :=
  says (tokens 1 4) (Equivariance [0%nat] true) [1] joined mapped taken.

Example tokens_are_proved : moves_by_one beside beside moving = Proved.
Proof. vm_compute. reflexivity. Qed.

(** The image does not stay, nor do token and image move as one; parts stand where they are. *)
Example still_part_is_refused : moves_by_one [[Still 1 1]; [Still 4 4]] beside moving = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example one_part_is_refused : moves_by_one [[Moving 5 4 0 1]] beside moving = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example other_order_is_refused : moves_by_one [[Moving 4 4 0 1]; [Still 1 1]] beside moving = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example other_step_is_refused : moves_by_one [[Still 1 1]; [Moving 4 4 0 2]] beside moving = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.
Example still_image_is_refused : moves_by_one beside [[Still 5 5]] moving = Refused (AtNode 3).
Proof. vm_compute. reflexivity. Qed.
Example other_border_is_refused : moves_by_one beside [[Still 2 2]; [Moving 3 4 0 1]] moving = Refused (AtNode 3).
Proof. vm_compute. reflexivity. Qed.

(** What is taken across parts neither moves nor stays. *)
Example across_parts_is_refused :
  says (tokens 0 4) (Equivariance [0%nat] true) [1] beside beside moving = Refused (AtNode 4).
Proof. vm_compute. reflexivity. Qed.
Example five_cells_do_not_move :
  says (tokens 0 5) (Equivariance [0%nat] true) [1] beside beside beside = Refused AtStatement.
Proof. vm_compute. reflexivity. Qed.

(** All cells together, in any order, or not; and of another part than a whole period. *)
Definition summed (symmetric : bool) (from_ : Z) (size_ : Z) : program := Program
  [ Node (Input [0%nat]) [] [4]; Node Weight [] [1]; Node (Take 0 from_ 1) [0%nat] [size_];
    Node (Concat 0) [1; 2]%nat [size_ + 1]; Node (Mix [0%nat] [] symmetric false) [3%nat] [] ] 4.
Definition stays (p : program) (n : Z) : result :=
  check (Certificate p Invariance [4] [Generator [1] [] (map (fun G => Some (OfCells G))
    [ [moving]; [[[Still 1 1]]]; [[[Moving n 4 0 1]]]; [[[Still 1 1]; [Moving n 4 0 1]]]; [] ])]).
Example all_tokens_stay : stays (summed true 0 4) 4 = Proved.
Proof. vm_compute. reflexivity. Qed.
Example ordered_tokens_are_refused : stays (summed false 0 4) 4 = Refused (AtNode 4).
Proof. vm_compute. reflexivity. Qed.
Example some_tokens_are_refused : stays (summed true 0 3) 3 = Refused (AtNode 4).
Proof. vm_compute. reflexivity. Qed.

(** ** Its models *)

Definition node_2 (w : Z) (x : images Z) : array Z := fun i =>
  if nth 0 i 0 <? 1 then w else x 0%nat (put 0 (nth 0 i 0 - 1) i).
Definition node_3 (w : Z) (g : Z -> Z) (x : images Z) : array Z := fun i => g (node_2 w x (repeated [5] i)).
Definition computed (w : Z) (g : Z -> Z) : model Z := fun x k =>
  match k with
  | 0 => x 0%nat | 1 => fun _ => w | 2 => node_2 w x | 3 => node_3 w g x
  | _ => fun i => node_3 w g x (put 0 (1 + 1 * nth 0 i 0)%Z i)
  end%nat.

(** There is a model for every token and every function of the cells. *)
Theorem tokens_have_models : forall w g, is_model integers (tokens 1 4) (computed w g).
Proof.
  intros w g. split; [split; discriminate|]. intros k v N. destruct k as [|[|[|[|[|k]]]]]; [| | | | | destruct k; easy];
    injection N as <-; cbn [means op shape].
  - reflexivity.
  - exists (fun _ => w). reflexivity.
  - intros before s A behind E x i I B. destruct before as [|b1 [|b2 [|b3 before]]]; cbn in E; try easy.
    + injection E as <- <- _. simpl in B |- *. cbn [computed]. unfold node_2.
      destruct (Z.ltb_spec (nth 0 i 0) 1); [reflexivity | lia].
    + injection E as <- <- <- _. simpl in B |- *. cbn [computed]. unfold node_2.
      destruct (Z.ltb_spec (nth 0 i 0) 1); [lia | reflexivity].
  - exists (fun l => g (hd 0 l)). reflexivity.
  - intros s A E x i I. injection E as <- <-. reflexivity.
Qed.

(** So what is taken of the tokens moves as the image does, whatever stands before it. *)
Theorem tokens_move : forall w g x y, shifted (tokens 1 4) [1] x y -> forall i, 0 <= i < 4 ->
  computed w g y 4%nat [i] = computed w g x 4%nat [(i - 1) mod 4].
Proof.
  intros w g x y T i I.
  assert (G : generated 1 1 [([1], [1])] [1] [1]) by (apply listed_itself; now left).
  destruct (checked_statements_hold _ tokens_are_proved Z integers (computed w g) (tokens_have_models w g)
    [1] [1] G x y T [i]) as [E _]; [|exact E].
  split; [reflexivity|]. intros a L. destruct a; simpl in *; lia.
Qed.
