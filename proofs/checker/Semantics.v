(** * Programs, and what they mean

    A program is a list of nodes, each the result of one operation on earlier nodes. An operation names a class of
    functions: [Map] is any function applied position by position, [Window] any function of what a window shows. A
    *model* of a program gives every node an array for every input, by members of these classes, whichever they are. So
    what holds for all models holds for all weights, activation functions and kernels.

    Values are of any type; it has an element 0, an addition and so on, of which nothing is demanded but where an
    operation says that it is a sum, a product or a Fourier transform. An array is a function of lists of integers; only
    cells inside of its shape count. *)

From Coq Require Import ZArith List Lia Bool Permutation.
Import ListNotations.
Open Scope Z_scope.

(** ** Indices *)

(** Cell [i] lies inside of shape [s]: one coordinate for each axis, from 0 to below its size. *)
Definition inside (s i : list Z) : Prop :=
  length i = length s /\ forall a, (a < length s)%nat -> 0 <= nth a i 0 < nth a s 0.

(** A list of so many coordinates, each by its axis; and the integers from 0 to below n. *)
Definition build (rank : nat) (h : nat -> Z) : list Z := map h (seq 0 rank).
Definition range (n : Z) : list Z := map Z.of_nat (seq 0 (Z.to_nat n)).

(** Another coordinate along one axis; and the coordinate 0 along axes of length 1, so that their cell is repeated. *)
Definition put (axis : nat) (v : Z) (i : list Z) : list Z :=
  build (length i) (fun a => if (a =? axis)%nat then v else nth a i 0).
Definition repeated (s i : list Z) : list Z :=
  build (length s) (fun a => if nth a s 0 =? 1 then 0 else nth a i 0).

(** The cell that comes to cell [i] when all axes are rolled around their ends, so many times. *)
Definition rolled (s roll : list Z) (times_ : Z) (i : list Z) : list Z :=
  build (length s) (fun a => (nth a i 0 - times_ * nth a roll 0) mod nth a s 1).

(** Number q of a list. *)
Definition picked (places : list Z) (q : Z) : Z := nth (Z.to_nat q) places 0.

(** The number of cells; the place of a cell in row-major order; and the cell at a place. *)
Fixpoint count (s : list Z) : Z := match s with [] => 1 | n :: rest => n * count rest end.
Fixpoint place (s i : list Z) : Z :=
  match s, i with n :: s', j :: i' => j * count s' + place s' i' | _, _ => 0 end.
Fixpoint cell_at (s : list Z) (w : Z) : list Z :=
  match s with [] => [] | n :: rest => w / count rest :: cell_at rest (w mod count rest) end.

(** Where in a list an axis stands first (its length, where nowhere), and whether it does. *)
Fixpoint position (a : nat) (l : list nat) : nat :=
  match l with [] => O | b :: l' => if (a =? b)%nat then O else S (position a l') end.
Definition listed (a : nat) (l : list nat) : bool := existsb (Nat.eqb a) l.

(** All lists that take one member of each list. *)
Fixpoint product {A} (ls : list (list A)) : list (list A) :=
  match ls with [] => [[]] | l :: rest => flat_map (fun v => map (cons v) (product rest)) l end.

(** The cells of an axis of n cells after they were pulled [base] apart, with [low] before them: which one stands at w, or
    none, where the padding does. *)
Definition stands (n low base w : Z) : option Z :=
  let j := (w - low) / base in
  if ((w - low) mod base =? 0) && (0 <=? j) && (j <? n) then Some j else None.

(** ** Programs *)

(** How a window runs along [axis], which makes the axis [out]: its cells are pulled [base] apart, with [low] and [high]
    of one value around (or, negative, cut); [width] of them, [dilation] apart, are seen at every [stride]. *)
Record dim := Dim { axis : nat; out : nat; width : Z; stride : Z; low : Z; high : Z; base : Z; dilation : Z }.

(** The operations of the kernel, under its names. [Other] stands for what is not covered. *)
Inductive operation :=
  | Input (grid : list nat)
  | Weight
  | Constant (periods : list Z) (rolls : list (list Z))
  | Map
  | Combine (linear : bool)
  | Multiply (exact : bool) (conjugated : list nat)
  | Broadcast (axes : list nat)
  | Reshape
  | Transpose (order : list nat)
  | Take (along : nat) (start by_ : Z)
  | Pick (along : nat) (places : list Z)
  | Concat (along : nat)
  | Pad (along : nat) (before behind inner : Z) (zero : bool)
  | Window (dims : list dim) (kept : list (nat * nat)) (symmetric linear : bool)
  | Mix (axes outs : list nat) (symmetric sum : bool)
  | Fourier (along : nat) (inverse half : bool)
  | Whole (kept : list (nat * nat))
  | Other.

Record node := Node { op : operation; inputs : list nat; shape : list Z }.
Record program := Program { nodes : list node; output : nat }.

Definition shape_of (p : program) (k : nat) : list Z :=
  match nth_error (nodes p) k with Some v => shape v | None => [] end.

(** Whether an operation is a sum, by what it says; and whether one of a program is. *)
Definition adds (o : operation) : bool :=
  match o with Window _ _ _ linear => linear | Mix _ _ _ sum => sum | _ => false end.
Definition has_sums (p : program) : bool := existsb (fun v => adds (op v)) (nodes p).

(** Whether it is about spectra, which a shift turns; and whether one of a program is. *)
Definition spins (o : operation) : bool :=
  match o with Combine linear => linear | Multiply exact _ => exact | Fourier _ _ _ => true | _ => false end.
Definition has_spectra (p : program) : bool := existsb (fun v => spins (op v)) (nodes p).

(** ** What the operations mean *)

(** What stands for 0, for the sum and the product of two values, and for the conjugate of one; and a root of unity: how
    many times it makes a full turn, and a value multiplied by it, so often. *)
Record arithmetic (V : Type) := Arithmetic
  { nought : V; add : V -> V -> V; multiply : V -> V -> V; conjugate : V -> V; full : Z; spin : Z -> V -> V }.
Arguments nought {V}. Arguments add {V}. Arguments multiply {V}. Arguments conjugate {V}. Arguments full {V}.
Arguments spin {V}.

(** The addition is a commutative one. *)
Definition lawful {V} (numbers : arithmetic V) : Prop :=
  (forall a, add numbers (nought numbers) a = a) /\ (forall a b, add numbers a b = add numbers b a) /\
  (forall a b c, add numbers a (add numbers b c) = add numbers (add numbers a b) c).
Definition total {V} (numbers : arithmetic V) (l : list V) : V := fold_right (add numbers) (nought numbers) l.

(** The root of unity is one, and is multiplied as numbers are: the numbers of Gauss have such a root of order 4,
    complex numbers one of each order. *)
Definition turning {V} (numbers : arithmetic V) : Prop :=
  1 <= full numbers /\
  (forall v, spin numbers 0 v = v) /\ (forall v, spin numbers (full numbers) v = v) /\
  (forall a b v, spin numbers a (spin numbers b v) = spin numbers (a + b) v) /\
  (forall a, spin numbers a (nought numbers) = nought numbers) /\
  (forall a v w, spin numbers a (add numbers v w) = add numbers (spin numbers a v) (spin numbers a w)) /\
  (forall a v w, multiply numbers (spin numbers a v) w = spin numbers a (multiply numbers v w)) /\
  (forall a v w, multiply numbers v (spin numbers a w) = spin numbers a (multiply numbers v w)) /\
  (forall a v, conjugate numbers (spin numbers a v) = spin numbers (- a) (conjugate numbers v)).

(** Multiplication by a constant, or what else is turned where its operand is. *)
Definition scales {V} (numbers : arithmetic V) (h : V -> V) : Prop :=
  forall a v, h (spin numbers a v) = spin numbers a (h v).

(** An array; one for all images, or whatever else it is computed from; and one with its shape. *)
Definition array (V : Type) := list Z -> V.
Definition family (V X : Type) := X -> array V.
Definition operand (V X : Type) := (list Z * family V X)%type.

Section Reading.
Context {V X : Type}.
Notation array := (array V).
Notation family := (family V X).
Notation operand := (operand V X).

Definition only (operands : list operand) (P : list Z -> family -> Prop) : Prop :=
  forall s A, operands = [(s, A)] -> P s A.

(** All cells of an operand, in order. *)
Definition whole (x : X) (one : operand) : list V :=
  map (snd one x) (product (map range (fst one))).

(** Along axis [a] of its operand a window shows, at cell [i] of its result: along an axis of [dims] the cells (or the
    padding) at [stride q], [stride q + dilation], ...; of an axis that is kept the cell of the same number; of any other
    axis all cells. *)
Definition shown (dims : list dim) (kept : list (nat * nat)) (s i : list Z) (a : nat) : list (option Z) :=
  match find (fun d => (axis d =? a)%nat) dims with
  | Some d => map (fun k => stands (nth a s 0) (low d) (base d) (stride d * nth (out d) i 0 + dilation d * k))
                  (range (width d))
  | None =>
      match find (fun names => (fst names =? a)%nat) kept with
      | Some names => [Some (nth (snd names) i 0)]
      | None => map Some (range (nth a s 0))
      end
  end.

(** The value of a cell, and none where one of its coordinates is padding. *)
Fixpoint all_there (l : list (option Z)) : option (list Z) :=
  match l with
  | [] => Some []
  | Some v :: rest => option_map (cons v) (all_there rest)
  | None :: _ => None
  end.
Definition view (dims : list dim) (kept : list (nat * nat)) (s i : list Z) (A : array) : list (option V) :=
  map (fun c => option_map A (all_there c)) (product (map (shown dims kept s i) (seq 0 (length s)))).

(** The axes of a result that a function makes: those that are not named. *)
Definition unnamed (outs : list nat) (rank : nat) : list nat := filter (fun a => negb (listed a outs)) (seq 0 rank).
Definition coordinates_of (axes : list nat) (i : list Z) : list Z := map (fun a => nth a i 0) axes.

Definition first_rank (operands : list operand) : nat :=
  match operands with one :: _ => length (fst one) | [] => O end.

(** The longest of the operands along an axis; and what a mixture along [axes] sees along axis [a] at cell [i]: all of
    it, or, where it is not mixed, the cell of the same number along the axis that it becomes. *)
Definition longest (operands : list operand) (a : nat) : Z :=
  fold_right Z.max 1 (map (fun one => nth a (fst one) 0) operands).
Definition becomes (axes outs : list nat) (rank rank' a : nat) : nat :=
  nth (position a (unnamed axes rank)) (unnamed outs rank') O.
Definition mixed (axes outs : list nat) (n : nat -> Z) (rank rank' : nat) (i : list Z) (a : nat) : list Z :=
  if listed a axes then range (n a) else [nth (becomes axes outs rank rank' a) i 0].

End Reading.

Section Meaning.
Context {V : Type}.
Variable numbers : arithmetic V.

(** The images, by the number of the input's node. *)
Definition images := nat -> array V.
Notation array := (array V).
Notation family := (family V images).
Notation operand := (operand V images).

(** A weighted sum of what is seen, padding being 0: any weights that take 0 to 0, one for each place. *)
Definition weighted (f : list Z -> list (option V) -> list (list V) -> V) : Prop :=
  exists weight : list Z -> list (list V) -> nat -> V -> V,
    (forall key rest k, weight key rest k (nought numbers) = nought numbers) /\
    forall key seen rest, f key seen rest = total numbers
      (map (fun k => weight key rest k (match nth k seen None with Some v => v | None => nought numbers end))
           (seq 0 (length seen))).

(** A weighted sum of values: any weights that are numbers, one for each. And their product, some conjugated first. *)
Definition combines (f : list V -> V) : Prop :=
  exists weight : nat -> V -> V, (forall k, scales numbers (weight k)) /\
    forall l, f l = total numbers (map (fun k => weight k (nth k l (nought numbers))) (seq 0 (length l))).
Definition product_of (conjugated : list nat) (l : list V) : V :=
  match map (fun k => let v := nth k l (nought numbers) in if listed k conjugated then conjugate numbers v else v)
            (seq 0 (length l)) with
  | [] => nought numbers
  | v :: rest => fold_left (multiply numbers) rest v
  end.

(** What node [k], of this operation and shape, is of its operands: for some function of the class, and all images x. *)
Definition means (k : nat) (o : operation) (sh : list Z) (operands : list operand) (R : family) : Prop :=
  match o with
  | Input _ =>
      (* the image *)
      forall x i, inside sh i -> R x i = x k i
  | Weight =>
      (* any array that does not depend on the image *)
      exists W : array, forall x i, inside sh i -> R x i = W i
  | Constant periods rolls =>
      (* such an array, whose values repeat along each axis; and which some rolls leave as it is *)
      exists W : array,
        (forall roll, In roll rolls -> forall i, inside sh i -> W i = W (rolled sh roll 1 i)) /\
        (forall i i', inside sh i -> inside sh i' ->
           (forall a, (a < length sh)%nat -> (nth a periods 1 | nth a i 0 - nth a i' 0)) -> W i = W i') /\
        forall x i, inside sh i -> R x i = W i
  | Map =>
      (* R(x)[i] = f(A(x)[i], B(x)[i], ...); axes of length 1 are repeated *)
      exists f : list V -> V, forall x i, inside sh i ->
        R x i = f (map (fun one => snd one x (repeated (fst one) i)) operands)
  | Combine linear =>
      (* the same; f may be said to be a weighted sum *)
      exists f : list V -> V, (linear = true -> combines f) /\ forall x i, inside sh i ->
        R x i = f (map (fun one => snd one x (repeated (fst one) i)) operands)
  | Multiply exact conjugated =>
      (* the same; f may be said to be the product *)
      exists f : list V -> V, (exact = true -> forall l, f l = product_of conjugated l) /\ forall x i, inside sh i ->
        R x i = f (map (fun one => snd one x (repeated (fst one) i)) operands)
  | Broadcast axes =>
      (* R(x)[i] = A(x)[i[axes[0]], i[axes[1]], ...] *)
      only operands (fun s A => forall x i, inside sh i ->
        R x i = A x (repeated s (coordinates_of axes i)))
  | Reshape =>
      (* the same cells in row-major order *)
      only operands (fun s A => forall x i, inside sh i -> R x i = A x (cell_at s (place sh i)))
  | Transpose order =>
      (* axis a of the operand is the axis where [order] names it *)
      only operands (fun s A => forall x i, inside sh i ->
        R x i = A x (build (length s) (fun a => nth (position a order) i 0)))
  | Take a start by_ =>
      (* R(x)[.., q, ..] = A(x)[.., start + by q, ..] *)
      only operands (fun s A => forall x i, inside sh i -> R x i = A x (put a (start + by_ * nth a i 0) i))
  | Pick a places =>
      (* R(x)[.., q, ..] = A(x)[.., places[q], ..] *)
      only operands (fun s A => forall x i, inside sh i -> R x i = A x (put a (picked places (nth a i 0)) i))
  | Concat a =>
      (* the operands side by side: the cells of each follow those of the ones before it *)
      forall before s A behind, operands = before ++ (s, A) :: behind ->
        let start := fold_right Z.add 0 (map (fun one => nth a (fst one) 0) before) in
        forall x i, inside sh i -> start <= nth a i 0 < start + nth a s 0 ->
          R x i = A x (put a (nth a i 0 - start) i)
  | Pad a before behind inner zero =>
      (* the cells pulled apart, or else the one value of the second operand, which may be said to be 0 *)
      forall s A t v, operands = [(s, A); (t, v)] ->
        (zero = true -> forall x, v x [] = nought numbers) /\
        forall x i, inside sh i ->
          R x i = match stands (nth a s 0) before (inner + 1) (nth a i 0) with
                  | Some j => A x (put a j i)
                  | None => v x []
                  end
  | Window dims kept symmetric linear =>
      (* f of what the window shows of the first operand, and of all cells of the others; a linear one sums the former *)
      forall s A others, operands = (s, A) :: others ->
        exists f : list Z -> list (option V) -> list (list V) -> V,
        (symmetric = true -> forall key l l' rest, Permutation l l' -> f key l rest = f key l' rest) /\
        (linear = true -> weighted f) /\
        forall x i, inside sh i ->
          R x i = f (coordinates_of (unnamed (map out dims ++ map snd kept) (length sh)) i)
                    (view dims kept s i (A x)) (map (whole x) others)
  | Mix axes outs symmetric sum =>
      (* f of all cells along some axes, of all operands; a symmetric one takes them in any order; or it is their sum *)
      exists f : list Z -> list (list V) -> V,
        (symmetric = true -> forall key l l', Permutation l l' -> f key l = f key l') /\
        (sum = true -> forall key l, f key l = total numbers (concat l)) /\
        forall x i, inside sh i ->
          let rank := first_rank operands in
          R x i = f (coordinates_of outs i)
            (map (fun c => map (fun one => snd one x (repeated (fst one) c)) operands)
               (product (map (mixed axes outs (longest operands) rank (length sh) i) (seq 0 rank))))
  | Fourier a inverse half =>
      (* of a signal of n cells along an axis, R(x)[.., k, ..] = c sum_j e(j k) A(x)[.., j, ..], where e turns a value
         by so many parts of n; the inverse turns back, and is of n cells itself. Of half an inverse it is only said
         that it is some function of what is turned back: the real parts of this are weighted and added up *)
      only operands (fun s A =>
        let n := if inverse then nth a sh 0 else nth a s 0 in
        (n | full numbers) /\
        exists f : list V -> V,
        (inverse && half = false -> exists h, scales numbers h /\ forall l, f l = h (total numbers l)) /\
        forall x i, inside sh i ->
          R x i = f (map (fun j => spin numbers ((if inverse then -1 else 1) * (j * nth a i 0 * (full numbers / n)))
                                     (A x (put a j i))) (range (nth a s 0))))
  | Whole kept =>
      (* f of all operands, alike at every position of the axes that are kept of the first *)
      forall s A others, operands = (s, A) :: others ->
        exists f : list Z -> list (option V) -> list (list V) -> V, forall x i, inside sh i ->
          R x i = f (coordinates_of (unnamed (map snd kept) (length sh)) i)
                    (view [] kept s i (A x)) (map (whole x) others)
  | Other => True
  end.

(** A model of a program: an array for every node, as its operation means, and for all images. Where the program has sums,
    the addition is commutative; where it has spectra, the values have a root of unity, too. *)
Definition model := images -> nat -> array.
Definition operands_of (p : program) (m : model) (v : node) : list operand :=
  map (fun j => (shape_of p j, fun x => m x j)) (inputs v).
Definition is_model (p : program) (m : model) : Prop :=
  ((has_sums p = true -> lawful numbers) /\ (has_spectra p = true -> lawful numbers /\ turning numbers)) /\
  forall k v, nth_error (nodes p) k = Some v ->
    means k (op v) (shape v) (operands_of p m v) (fun x => m x k).

(** ** Shifts and statements *)

(** The cell that a shift by [r] along [axes] of a torus of this shape moves to cell [i]. *)
Definition back (axes : list nat) (r s i : list Z) : list Z :=
  build (length s) (fun a =>
    if listed a axes then (nth a i 0 - nth (position a axes) r 0) mod nth a s 1 else nth a i 0).

(** [y] is the image [x], or all images, shifted by [r]: (T x)[i] = x[i - r], modulo the sizes of the grid. *)
Definition shifted (p : program) (r : list Z) (x y : images) : Prop :=
  forall k v axes, nth_error (nodes p) k = Some v -> op v = Input axes ->
    forall i, inside (shape v) i -> y k i = x k (back axes r (shape v) i).

(** The same without ends. *)
Definition back_on (axes : list nat) (r i : list Z) : list Z :=
  build (length i) (fun a => nth a i 0 - if listed a axes then nth (position a axes) r 0 else 0).

(** [x] and [y] are views of one scene, before and after it was shifted by [r]: an array without ends, of which they show
    the cells of their shape. So the shift brings in cells that [x] does not show. *)
Definition views (p : program) (r : list Z) (x y : images) : Prop :=
  exists X : images, forall k v axes, nth_error (nodes p) k = Some v -> op v = Input axes ->
    forall i, inside (shape v) i -> x k i = X k i /\ y k i = X k (back_on axes r i).

(** What is stated of an output: it does not change; or it moves along some axes, by a shift of its own, or by the
    shift of the image. Of a scene only of cells in a box: along each of the axes, from where to below where. *)
Inductive property :=
  | Invariance
  | Equivariance (axes : list nat) (same : bool)
  | OfScene (axes : list nat) (same : bool) (box : list (Z * Z)).

Definition rank_of (what : property) : nat :=
  match what with Invariance => O | Equivariance axes _ | OfScene axes _ _ => length axes end.

Definition in_box (axes : list nat) (box : list (Z * Z)) (i : list Z) : Prop :=
  forall k, (k < length axes)%nat -> fst (nth k box (0, 0)) <= nth (nth k axes O) i 0 < snd (nth k box (0, 0)).

(** Sums and differences of listed shifts of the image, with the same of the output; so also 0, and all multiples. *)
Definition plus (n : nat) (r s : list Z) : list Z := build n (fun a => nth a r 0 + nth a s 0).
Definition minus (n : nat) (r s : list Z) : list Z := build n (fun a => nth a r 0 - nth a s 0).
Inductive generated (n n' : nat) (generators : list (list Z * list Z)) : list Z -> list Z -> Prop :=
  | listed_itself g g' : In (g, g') generators -> generated n n' generators g g'
  | onwards r r' g g' : In (g, g') generators -> generated n n' generators r r' ->
      generated n n' generators (plus n r g) (plus n' r' g')
  | backwards r r' g g' : In (g, g') generators -> generated n n' generators r r' ->
      generated n n' generators (minus n r g) (minus n' r' g').

(** The output of a model answers a shift of the image by [r] as the property says, the output shift being [r']. *)
Definition answers (p : program) (m : model) (what : property) (r r' : list Z) : Prop :=
  let f x := m x (output p) in let s := shape_of p (output p) in
  match what with
  | Invariance => forall x y, shifted p r x y -> forall i, inside s i -> f y i = f x i
  | Equivariance axes same => forall x y, shifted p r x y -> forall i, inside s i ->
      f y i = f x (back axes r' s i) /\ (same = true -> f y i = f x (back axes r s i))
  | OfScene axes same box =>
      (same = true -> r' = r) /\
      forall x y, views p r x y -> forall i, inside s i -> in_box axes box i -> in_box axes box (back_on axes r' i) ->
        f y i = f x (back_on axes r' i)
  end.

End Meaning.
Arguments images : clear implicits.
Arguments model : clear implicits.
