(** * A network of which the theorem speaks

    A circular convolution of four cells by a kernel of two, as programs write it (the last cell is put before the first,
    then the window runs without padding), and the sum of all cells. Its certificate is proved; it has models, one for
    each kernel; and so, for each kernel, its output does not change under any shift. Without the cell that is put before,
    the same facts are refused. *)

From Coq Require Import ZArith List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Checker Soundness.
Import ListNotations.
Open Scope Z_scope.

Definition run_window : list dim := [Dim 0 0 2 1 0 0 1 1].
Definition network : program := Program
  [ Node (Input [0%nat]) [] [4];
    Node Weight [] [2];
    Node (Take 0 3 1) [0%nat] [1];
    Node (Concat 0) [2; 0]%nat [5];
    Node (Window run_window [] false false) [3; 1]%nat [4];
    Node (Mix [0%nat] [] true false) [4%nat] [] ] 5.

Definition fact_list : list (option listing) := map (fun G => Some (OfCells G))
  [ [[[Moving 4 4 0 1]]]; [[[Still 2 2]]]; [[[Moving 1 4 3 1]]]; [[[Moving 5 4 3 1]]]; [[[Moving 4 4 0 1]]]; [] ].
Definition claim : certificate := Certificate network Invariance [4] [Generator [1] [] fact_list].

Example claim_is_proved : check claim = Proved.
Proof. vm_compute. reflexivity. Qed.

(** The facts are not believed: with another period, or step, or without the padding, the same is refused. The offset
    names cells of a signal that others show; what is glued of slices of one array also has a signal of its own. *)
Definition with_fact (k : nat) (F : list parts) : certificate :=
  Certificate network Invariance [4]
    [Generator [1] [] (firstn k fact_list ++ Some (OfCells F) :: skipn (S k) fact_list)].

Example another_offset_is_another_name : check (with_fact 3 [[[Moving 5 4 2 1]]]) = Proved.
Proof. vm_compute. reflexivity. Qed.
Example another_period_is_refused : check (with_fact 3 [[[Moving 5 5 3 1]]]) = Refused (AtNode 3).
Proof. vm_compute. reflexivity. Qed.
Example another_step_is_refused : check (with_fact 4 [[[Moving 4 4 0 2]]]) = Refused (AtNode 4).
Proof. vm_compute. reflexivity. Qed.
Example no_padding_is_refused :
  check (Certificate (Program
    [ Node (Input [0%nat]) [] [4]; Node Weight [] [2];
      Node (Window [Dim 0 0 2 1 1 0 1 1] [] false false) [0; 1]%nat [4];
      Node (Mix [0%nat] [] true false) [2%nat] [] ] 3)
    Invariance [4]
    [Generator [1] [] (map (fun G => Some (OfCells G))
      [ [[[Moving 4 4 0 1]]]; [[[Still 2 2]]]; [[[Moving 4 4 0 1]]]; [] ])])
  = Refused (AtNode 2).
Proof. vm_compute. reflexivity. Qed.

(** ** Its models *)

Definition integers : arithmetic Z := Arithmetic Z 0 Z.add Z.mul (fun v => v) 1 (fun _ v => v).
Definition sum (l : list Z) : Z := fold_right Z.add 0 l.

(** What the window and the mixture compute here: a weighted sum, and a sum. *)
Definition convolve (seen : list (option Z)) (kernels : list (list Z)) : Z :=
  sum (map (fun u => match fst u with Some v => v * snd u | None => 0 end) (combine seen (hd [] kernels))).
Definition add_up (cells : list (list Z)) : Z := sum (map (fun c => hd 0 c) cells).

Definition node_0 (x : images Z) : array Z := x 0%nat.
Definition node_2 (x : images Z) : array Z := fun i => node_0 x (put 0 (3 + 1 * nth 0 i 0) i).
Definition node_3 (x : images Z) : array Z := fun i =>
  if nth 0 i 0 <? 1 then node_2 x (put 0 (nth 0 i 0 - 0) i) else node_0 x (put 0 (nth 0 i 0 - 1) i).
Definition node_4 (w : array Z) (x : images Z) : array Z := fun i =>
  convolve (view run_window [] [5] i (node_3 x)) [whole x ([2], fun _ => w)].
Definition node_5 (w : array Z) (x : images Z) : array Z := fun i =>
  add_up (map (fun c => [node_4 w x (repeated [4] c)]) (product [range 4])).

Definition computed (w : array Z) : model Z := fun x k =>
  match k with
  | 0 => node_0 x | 1 => w | 2 => node_2 x | 3 => node_3 x | 4 => node_4 w x | _ => node_5 w x
  end%nat.

Lemma sums_permute l l' : Permutation l l' -> sum l = sum l'.
Proof. intro P; induction P; unfold sum in *; simpl; lia. Qed.

(** The network has a model for every kernel: the predicate is not empty, and the theorem not void. *)
Theorem network_has_models : forall w, is_model integers network (computed w).
Proof.
  intro w. split; [split; discriminate|]. intros k v N.
  destruct k as [|[|[|[|[|[|k]]]]]]; [| | | | | | destruct k; easy];
    injection N as <-; cbn [means op shape].
  - reflexivity.
  - exists w. reflexivity.
  - intros s A E x i I. injection E as <- <-. reflexivity.
  - intros before s A behind E x i I B.
    destruct before as [|b1 [|b2 [|b3 before]]]; cbn in E; try easy.
    + injection E as <- <- _. simpl in B |- *. cbn [computed]. unfold node_3.
      destruct (Z.ltb_spec (nth 0 i 0) 1); [reflexivity | lia].
    + injection E as <- <- <- _. simpl in B |- *. cbn [computed]. unfold node_3.
      destruct (Z.ltb_spec (nth 0 i 0) 1); [lia | reflexivity].
  - intros s A others E. injection E as <- <- <-. exists (fun _ seen kernels => convolve seen kernels).
    split; [easy|]. split; [easy | reflexivity].
  - exists (fun _ cells => add_up cells). split; [|split; [easy | reflexivity]].
    intros _ _ l l' P. now apply sums_permute, Permutation_map.
Qed.

(** So its output stays, for every kernel, every image and every shift. *)
Theorem network_is_invariant : forall w x y r, shifted network [r] x y ->
  computed w y 5%nat [] = computed w x 5%nat [].
Proof.
  assert (Up : forall n, generated 1 0 [([1], [])] [Z.of_nat n] []).
  { induction n as [|n IH].
    - refine (backwards _ _ _ [1] [] [1] [] _ (listed_itself _ _ _ [1] [] _)); now left.
    - replace [Z.of_nat (S n)] with (plus 1 [Z.of_nat n] [1]).
      + refine (onwards _ _ _ [Z.of_nat n] [] [1] [] _ IH); now left.
      + unfold plus, build; simpl. f_equal; lia. }
  assert (Down : forall n, generated 1 0 [([1], [])] [- Z.of_nat n] []).
  { induction n as [|n IH]; [apply (Up 0%nat)|].
    replace [- Z.of_nat (S n)] with (minus 1 [- Z.of_nat n] [1]).
    - refine (backwards _ _ _ [- Z.of_nat n] [] [1] [] _ IH); now left.
    - unfold minus, build; simpl. f_equal; lia. }
  intros w x y r T.
  assert (G : generated 1 0 [([1], [])] [r] []).
  { destruct (Z_le_gt_dec 0 r); [rewrite <- (Z2Nat.id r) by lia; apply Up|].
    replace r with (- Z.of_nat (Z.to_nat (- r))) by lia. apply Down. }
  refine (checked_statements_hold claim claim_is_proved Z integers (computed w) (network_has_models w)
    [r] [] G x y T [] _).
  split; [reflexivity | simpl; lia].
Qed.

(** And it computes what it should: of the image 1 0 0 5 by the kernel 2 3, five times the sum of all cells. *)
Example network_computes :
  let at_ l i := nth (Z.to_nat (nth 0 i 0)) l 0 in computed (at_ [2; 3]) (fun _ => at_ [1; 0; 0; 5]) 5%nat [] = 30.
Proof. vm_compute. reflexivity. Qed.
