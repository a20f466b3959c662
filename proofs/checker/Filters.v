(** * A filter of frequencies, of which the theorem speaks

    The Fourier transform of a line of four cells, the product with any numbers, and the inverse. Its certificate is
    proved; and refused with one thing changed. It has models whose values are numbers of Gauss, x + i y with integers x
    and y: -i is a root of unity of order 4 among these. So for all weights its output moves as the image does. *)

From Coq Require Import ZArith List Lia Bool Permutation.
From Shifts Require Import Facts Parts Turns Semantics Indices Checker Soundness.
Import ListNotations.
Open Scope Z_scope.

Definition steps (product_ inverse_ : node) : program := Program
  [ Node (Input [0%nat]) [] [4]; Node (Fourier 0 false false) [0%nat] [4]; Node Weight [] [4]; product_; inverse_ ] 4.
Definition product_node : node := Node (Multiply true []) [1; 2]%nat [4].
Definition inverse_node : node := Node (Fourier 0 true false) [3%nat] [4].
Definition filter_ : program := steps product_node inverse_node.

Definition moved (r : Z) : listing := OfCells [[[Moving 4 4 0 r]]].
Definition spectrum (q : phase) : listing := OfTurned [[[Still 4 4]]] [q].
Definition once_around (r : Z) : phase := Phase 0 1 4 4 0 r.
Definition says (p : program) (r : Z) (made product_ result_ : listing) : result :=
  check (Certificate p (Equivariance [0%nat] false) [4] [Generator [1] [r] (map Some
    [ moved 1; made; OfCells [[[Still 4 4]]]; product_; result_ ])]).

Example filter_is_proved : says filter_ 1 (spectrum (once_around 1)) (spectrum (once_around 1)) (moved 1) = Proved.
Proof. vm_compute. reflexivity. Qed.

(** ** Twins *)

(** Frequencies that are turned twice as far, or not at all, or all of them; or by parts of another cycle; or along
    another digit. *)
Definition made_as (q : phase) : result := says filter_ 1 (spectrum q) (spectrum (once_around 1)) (moved 1).
Example other_phases_are_refused :
  map made_as [once_around 2; once_around 0; Phase 0 1 4 4 1 1; Phase 0 1 4 2 0 1; Phase 0 1 4 8 0 2; Phase 0 2 2 4 0 1;
               Phase 1 1 4 4 0 1]
  = repeat (Refused (AtNode 1)) 7.
Proof. vm_compute. reflexivity. Qed.
Example cells_of_a_spectrum_are_refused :
  says filter_ 1 (moved 1) (spectrum (once_around 1)) (moved 1) = Refused (AtNode 1).
Proof. vm_compute. reflexivity. Qed.

(** A product that is turned otherwise, is any function, or one that conjugates a factor. *)
Example other_turns_of_a_product_are_refused :
  says filter_ 1 (spectrum (once_around 1)) (spectrum (once_around 2)) (moved 2) = Refused (AtNode 3).
Proof. vm_compute. reflexivity. Qed.
Example any_function_of_a_spectrum_is_refused :
  says (steps (Node Map [1; 2]%nat [4]) inverse_node) 1 (spectrum (once_around 1)) (spectrum (once_around 1)) (moved 1)
  = Refused (AtNode 3).
Proof. vm_compute. reflexivity. Qed.
Example conjugated_spectrum :
  says (steps (Node (Multiply true [0%nat]) [1; 2]%nat [4]) inverse_node) (-1)
    (spectrum (once_around 1)) (spectrum (once_around (-1))) (moved (-1)) = Proved /\
  says (steps (Node (Multiply true [0%nat]) [1; 2]%nat [4]) inverse_node) 1
    (spectrum (once_around 1)) (spectrum (once_around 1)) (moved 1) = Refused (AtNode 3).
Proof. vm_compute. now split. Qed.

(** The square of a spectrum is turned twice as far; its power is not turned, and its inverse stays. *)
Example square : says (steps (Node (Multiply true []) [1; 1]%nat [4]) inverse_node) 2
  (spectrum (once_around 1)) (spectrum (once_around 2)) (moved 2) = Proved.
Proof. vm_compute. reflexivity. Qed.
Example power : says (steps (Node (Multiply true [1%nat]) [1; 1]%nat [4]) inverse_node) 0
  (spectrum (once_around 1)) (OfCells [[[Still 4 4]]]) (OfCells [[[Still 4 4]]]) = Proved.
Proof. vm_compute. reflexivity. Qed.

(** The transform is no inverse, but goes on; the inverse of all frequencies is not that of half of them. *)
Example twice_forwards :
  says (steps product_node (Node (Fourier 0 false false) [3%nat] [4])) (-1)
    (spectrum (once_around 1)) (spectrum (once_around 1)) (moved (-1)) = Proved /\
  says (steps product_node (Node (Fourier 0 false false) [3%nat] [4])) 1
    (spectrum (once_around 1)) (spectrum (once_around 1)) (moved 1) = Refused (AtNode 4).
Proof. vm_compute. now split. Qed.
Example half_of_all_is_refused :
  says (steps product_node (Node (Fourier 0 true true) [3%nat] [4])) 1
    (spectrum (once_around 1)) (spectrum (once_around 1)) (moved 1) = Refused (AtNode 4).
Proof. vm_compute. reflexivity. Qed.

(** Of an output that is turned nothing follows. *)
Example spectrum_is_no_output :
  says (Program (nodes filter_) 3) 1 (spectrum (once_around 1)) (spectrum (once_around 1)) (moved 1)
  = Refused AtStatement.
Proof. vm_compute. reflexivity. Qed.

(** ** Its models *)

Definition gauss := (Z * Z)%type.
Definition quarter_turn (v : gauss) : gauss := (snd v, - fst v).
Definition numbers_of_gauss : arithmetic gauss := {|
  nought := (0, 0);
  add := fun v w => (fst v + fst w, snd v + snd w);
  multiply := fun v w => (fst v * fst w - snd v * snd w, fst v * snd w + snd v * fst w);
  conjugate := fun v => (fst v, - snd v);
  full := 4;
  spin := fun a v => Nat.iter (Z.to_nat (a mod 4)) quarter_turn v |}.

Lemma quarters a : a mod 4 = 0 \/ a mod 4 = 1 \/ a mod 4 = 2 \/ a mod 4 = 3.
Proof. pose proof (Z.mod_pos_bound a 4). lia. Qed.

Lemma gauss_is_lawful : lawful numbers_of_gauss.
Proof. repeat split; intros; simpl; try destruct a; simpl; f_equal; ring. Qed.

Lemma gauss_turns : turning numbers_of_gauss.
Proof.
  unfold turning, numbers_of_gauss; simpl. split; [lia|]. split; [reflexivity|]. split; [reflexivity|].
  split.
  { intros a b [x y]. rewrite Z.add_mod by lia.
    destruct (quarters a) as [-> | [-> | [-> | ->]]], (quarters b) as [-> | [-> | [-> | ->]]]; simpl;
      unfold quarter_turn; simpl; f_equal; ring. }
  split; [|split; [|split; [|split]]].
  - intro a. now destruct (quarters a) as [-> | [-> | [-> | ->]]].
  - intros a [x y] [x' y']. destruct (quarters a) as [-> | [-> | [-> | ->]]]; simpl; unfold quarter_turn; simpl;
      f_equal; ring.
  - intros a [x y] [x' y']. destruct (quarters a) as [-> | [-> | [-> | ->]]]; simpl; unfold quarter_turn; simpl;
      f_equal; ring.
  - intros a [x y] [x' y']. destruct (quarters a) as [-> | [-> | [-> | ->]]]; simpl; unfold quarter_turn; simpl;
      f_equal; ring.
  - intros a [x y]. assert (N : (- a) mod 4 = (4 - a mod 4) mod 4).
    { rewrite Zminus_mod_idemp_r. replace (4 - a) with (- a + 1 * 4) by ring. now rewrite Z_mod_plus_full. }
    rewrite N. destruct (quarters a) as [-> | [-> | [-> | ->]]]; simpl; unfold quarter_turn; simpl; f_equal; ring.
Qed.

(** What the nodes compute: sums of the image by powers of -i, and of i. *)
Definition transform (sign : Z) (A : array gauss) : array gauss := fun i =>
  total numbers_of_gauss
    (map (fun j => spin numbers_of_gauss (sign * (j * nth 0 i 0 * (4 / 4))) (A (put 0 j i))) (range 4)).
Definition times_weights (A w : array gauss) : array gauss := fun i =>
  multiply numbers_of_gauss (A (repeated [4] i)) (w (repeated [4] i)).
Definition filtered (w : array gauss) : model gauss := fun x k =>
  match k with
  | 0 => x 0 | 1 => transform 1 (x 0) | 2 => w | 3 => times_weights (transform 1 (x 0)) w
  | _ => transform (-1) (times_weights (transform 1 (x 0)) w)
  end%nat.

(** The filter has a model for all weights. *)
Theorem filter_has_models : forall w, is_model numbers_of_gauss filter_ (filtered w).
Proof.
  intro w. split.
  { split; [discriminate|]. intros _. split; [exact gauss_is_lawful | exact gauss_turns]. }
  assert (Sum : exists h, scales numbers_of_gauss h /\
    forall l, total numbers_of_gauss l = h (total numbers_of_gauss l)) by now exists (fun v => v).
  intros k v N. destruct k as [|[|[|[|[|k]]]]]; [| | | | | destruct k; easy]; injection N as <-; cbn [means op shape].
  - reflexivity.
  - intros s A E. injection E as <- <-. split; [now exists 1|]. exists (total numbers_of_gauss). split; [|reflexivity].
    now intros _.
  - exists w. reflexivity.
  - exists (product_of numbers_of_gauss []). split; [reflexivity|]. intros x i I. reflexivity.
  - intros s A E. injection E as <- <-. split; [now exists 1|]. exists (total numbers_of_gauss). split; [|reflexivity].
    now intros _.
Qed.

(** So for all weights and images its output moves by one cell where the image does. *)
Theorem filter_moves : forall w x y i, shifted filter_ [1] x y -> inside [4] i ->
  filtered w y 4%nat i = filtered w x 4%nat (back [0%nat] [1] [4] i).
Proof.
  intros w x y i T I. pose proof (listed_itself 1 1 [([1], [1])] [1] [1] (or_introl eq_refl)) as G.
  exact (proj1 (checked_statements_hold _ filter_is_proved gauss numbers_of_gauss (filtered w) (filter_has_models w)
    [1] [1] G x y T i I)).
Qed.

(** And it computes what it should: with the spectrum of the kernel 2 3 for weights, of the image 1 0 0 5, four times
    what the kernel makes of it around the torus. *)
Example filter_computes :
  let at_ l i := (nth (Z.to_nat (nth 0 i 0)) l 0, 0) in
  map (fun q => filtered (transform 1 (at_ [2; 3; 0; 0])) (fun _ => at_ [1; 0; 0; 5]) 4%nat [q]) (range 4)
  = [(4 * 17, 0); (4 * 3, 0); (0, 0); (4 * 10, 0)].
Proof. vm_compute. reflexivity. Qed.
