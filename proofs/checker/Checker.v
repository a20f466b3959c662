(** * The checker

    It goes through the nodes of a program and the facts that a certificate lists for one generator, believes none, and
    checks each against those before it. Then it looks at the fact of the output. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Rolls Orders Views Picks Mixtures Folds Laps Additions.
From Shifts Require Import Turns Spectra Fourier Slices.
Import ListNotations.
Open Scope Z_scope.

(** ** Signals

    Windows on one signal may be glued. Two facts show one signal where their nodes carry the number of the same node, at
    which that signal was made. Then a label means the same cell in both. *)

(** What a fact is about: the cells; or sums of cells, those of one label in another fact, whose factors stay; or cells
    that are turned back, by so much in each copy. *)
Inductive reading := Cells | Sums (U : list parts) | Turned (W : list phase).

(** What is known of a node: a fact and what it is about, the number of its signal, and its shape. *)
Record known := Known
  { fact : list parts; read_as : reading; signal : nat; extent : list Z }.
Definition sums_of (e : known) : option (list parts) := match read_as e with Sums U => Some U | _ => None end.
Definition turns_of (e : known) : list phase := match read_as e with Turned W => W | _ => [] end.

Definition equal_factors (f g : factor) : bool :=
  (cells f =? cells g) && (period f =? period g) && (offset f =? offset g) && (step f =? step g).
Fixpoint same_lists {A} (equal : A -> A -> bool) (l l' : list A) : bool :=
  match l, l' with
  | [], [] => true
  | v :: rest, v' :: rest' => equal v v' && same_lists equal rest rest'
  | _, _ => false
  end.
Definition equal_axes : parts -> parts -> bool := same_lists (same_lists equal_factors).

(** Cell i of the one axis is cell [c + i] of the other. *)
Definition shows (c : Z) (gs fs : parts) : bool :=
  match gs, fs with
  | [[g]], [[f]] => (period g =? period f) && ((offset g - offset f - c) mod period f =? 0)
                && ((step g - step f) mod period f =? 0)
  | _, _ => false
  end.

(** Cell i of the result is the cell of an operand with [c + i] along axis [a], and has its label. *)
Definition carried (a : nat) (c : Z) (sh : list Z) (G : list parts) (e : known) : bool :=
  (length (extent e) =? length sh)%nat && (a <? length sh)%nat &&
  forallb (fun b => if (b =? a)%nat then shows c (nth b G []) (nth b (fact e) [])
                    else equal_axes (nth b G []) (nth b (fact e) []) && (nth b sh 0 =? nth b (extent e) 0))
          (seq 0 (length sh)).

(** Operands that continue one another. *)
Fixpoint continued (a : nat) (start : Z) (sh : list Z) (G : list parts) (es : list known) : bool :=
  match es with
  | [] => nth a sh 0 =? start
  | e :: rest => carried a (- start) sh G e && (0 <=? nth a (extent e) 0)
                 && continued a (start + nth a (extent e) 0) sh G rest
  end.

(** The signal that a result shows because its operands do: of a contiguous slice, and of neighbours glued together. *)
Definition carries (o : operation) (sh : list Z) (G : list parts) (es : list known) : option nat :=
  match o, es with
  | Take a start by_, [e] =>
      if (by_ =? 1) && (0 <=? start) && (start + nth a sh 0 <=? nth a (extent e) 0) && carried a start sh G e
      then Some (signal e) else None
  | Concat a, e :: _ =>
      if forallb (fun e' => (signal e' =? signal e)%nat) es && continued a 0 sh G es
      then Some (signal e) else None
  | _, _ => None
  end.

(** ** One node after another *)

Definition paired (es : list known) : list facts_and_shape := map (fun e => (fact e, extent e)) es.

(** Neighbours that would continue one another if they showed one signal, which they are not known to do: as of slices of
    an axis of several factors, which as one factor is another fact. *)
Fixpoint ends_meet (a : nat) (es : list known) : bool :=
  match es with
  | e :: ((e' :: _) as rest) =>
      match nth a (fact e) [], nth a (fact e') [] with
      | [[f]], [[f']] => (period f =? period f') && ((offset f + cells f - offset f') mod period f =? 0)
      | _, _ => false
      end && ends_meet a rest
  | _ => true
  end.
Definition may_continue (a : nat) (es : list known) : bool :=
  ends_meet a es && negb (forallb (fun e => (signal e =? signal (hd e es))%nat) es).

(** The rule of an operation; [wraps]: the image is that of a torus. What is not covered is not known: so where pieces of
    a scene are glued together again. *)
Definition unless (covered : bool) (v : verdict) : verdict :=
  match v with No => if covered then No else Unknown | _ => v end.
Definition rule (wraps : bool) (o : operation) (shift sh : list Z) (G : list parts) (es : list known) : verdict :=
  match o, es with
  | Input axes, [] => image_rule wraps axes shift sh G
  | Weight, [] => constant_rule sh sh G
  | Constant periods rolls, [] =>
      match constant_rule periods sh G with
      | Yes => Yes
      | why => match rolled_rule rolls sh G with Yes => Yes | _ => why end
      end
  | (Map | Combine _ | Multiply _ _), _ :: _ => all_of (map (fun e => map_rule sh G (extent e) (fact e)) es)
  | Broadcast axes, [e] => broadcast_rule axes sh G (extent e) (fact e)
  | Reshape, [e] => reshape_rule sh G (extent e) (fact e)
  | Transpose order, [e] => transpose_rule order sh G (extent e) (fact e)
  | Take a start by_, [e] => take_rule a start by_ sh G (extent e) (fact e)
  | Pick a places, [e] => pick_rule a places sh G (extent e) (fact e)
  | Concat a, _ :: _ => both (ask (a <? length sh)%nat)
      (unless (wraps && negb (may_continue a es)) (concat_rule a sh G (paired es)))
  | Pad a before behind inner _, [e; e'] => pad_rule a before behind inner sh G (extent e) (fact e) (extent e')
  | Window dims kept symmetric _, e :: others =>
      window_rule symmetric dims kept sh G (extent e) (fact e) (map fact others)
  | Mix axes outs symmetric _, _ :: _ => mix_rule axes outs symmetric sh G (paired es)
  | Whole kept, e :: others => window_rule false [] kept sh G (extent e) (fact e) (map fact others)
  | (Fourier _ _ _ | Other), _ => Unknown
  | _, _ => No
  end.

(** Whether of all operands the cells are known themselves; and whether of none sums of cells are. *)
Definition are_cells (es : list known) : bool :=
  forallb (fun e => match read_as e with Cells => true | _ => false end) es.
Definition no_sums (es : list known) : bool :=
  forallb (fun e => match read_as e with Sums _ => false | _ => true end) es.

(** The rule where sums of cells are known of an operand, or listed of the result. [U] says which cells of the result are
    summed, or that each is alone. A window that takes its cells in any order has other rules too, which are not joined
    with this one. *)
Definition fold_rule (o : operation) (sh : list Z) (G U : list parts) (es : list known) : verdict :=
  match o, es with
  | Window dims kept symmetric true, e :: others =>
      if are_cells es then
        match laps_rule dims kept sh G U (extent e) (fact e) (map fact others) with
        | No => if symmetric then Unknown else No
        | v => v
        end
      else No
  | Pad a before behind inner zero, [e; e'] =>
      match sums_of e, sums_of e' with
      | Some B, None => both (ask (length (extent e') =? 0)%nat)
                             (pad_fold a before behind inner zero sh G U (extent e) (fact e) B)
      | _, _ => No
      end
  | (Concat _ | Pick _ _ | Fourier _ _ _ | Other), _ => Unknown
  | _, [e] =>
      match sums_of e with
      | Some B =>
          match o with
          | Reshape => reshape_fold sh G U (extent e) (fact e) B
          | Transpose order => transpose_fold order sh G U (extent e) (fact e) B
          | Take a start by_ => take_fold a start by_ sh G U (extent e) (fact e) B
          | Mix axes [] _ true => sum_fold axes sh G U (extent e) (fact e) B
          | _ => No
          end
      | None => No
      end
  | _, _ => No
  end.

(** The rule where operands are turned, or [W] is listed of the result, or cells are transformed. Not covered are arrays
    that are turned along another axis than that along which they are neighbours: they may be windows on one signal. *)
Definition spectrum_rule (o : operation) (sh : list Z) (G : list parts) (W : list phase) (es : list known) : verdict :=
  if no_sums es then
    match o, es with
    | Combine true, _ :: _ =>
        all_of (map (fun e => both (map_rule sh G (extent e) (fact e))
                                   (ask (map_turns sh W (extent e) (turns_of e)))) es)
    | Multiply true conjugated, _ :: _ =>
        both (all_of (map (fun e => map_rule sh G (extent e) (fact e)) es))
             (ask (product_turns conjugated sh W (map (fun e => (extent e, turns_of e)) es)))
    | Broadcast axes, [e] => both (broadcast_rule axes sh G (extent e) (fact e))
                                  (ask (broadcast_turns axes sh W (extent e) (turns_of e)))
    | Reshape, [e] => both (reshape_rule sh G (extent e) (fact e)) (ask (reshape_turns sh W (extent e) (turns_of e)))
    | Transpose order, [e] => both (transpose_rule order sh G (extent e) (fact e))
                                   (ask (transpose_turns order W (turns_of e)))
    | Take a start by_, [e] => both (take_rule a start by_ sh G (extent e) (fact e))
                                    (ask (take_turns a start by_ sh W (extent e) (turns_of e)))
    | Pick a places, [e] => both (pick_rule a places sh G (extent e) (fact e)) (ask (pick_turns a W (turns_of e)))
    | Concat a, _ :: _ =>
        both (ask (a <? length sh)%nat)
          (unless (negb (forallb (fun e => none_along a (turns_of e)) es))
             (both (concat_rule a sh G (paired es))
                (ask (concat_turns a 0 sh W (map (fun e => (extent e, turns_of e)) es)))))
    | Pad a before behind inner true, [e; e'] =>
        both (ask (length (extent e') =? 0)%nat)
          (both (pad_rule a before behind inner sh G (extent e) (fact e) [])
             (ask (pad_turns a before inner sh W (extent e) (turns_of e))))
    | Mix axes [] _ true, [e] => both (mix_rule axes [] true sh G (paired es))
                                      (ask (sum_turns axes sh W (extent e) (turns_of e)))
    | Fourier a inverse half, [e] => fourier_rule a inverse half sh G W (extent e) (fact e) (turns_of e)
    | Other, _ => Unknown
    | _, _ => No
    end
  else Unknown.

(** What is listed of a node: a fact of its cells; or of sums of them, and which are summed; or of cells that are turned
    back, and by how much. *)
Inductive listing := OfCells (G : list parts) | OfSums (G U : list parts) | OfTurned (G : list parts) (W : list phase).
Definition listed_fact (l : listing) : list parts := match l with OfCells G | OfSums G _ | OfTurned G _ => G end.
Definition alone (sh : list Z) : list parts := map (fun n => [[Still n n]]) sh.

Fixpoint found (env : list (option known)) (ks : list nat) : option (list known) :=
  match ks with
  | [] => Some []
  | k :: rest =>
      match nth_error env k, found env rest with
      | Some (Some e), Some es => Some (e :: es)
      | _, _ => None
      end
  end.

(** Phases are those of transforms of a program: a cycle divides the cells of one. *)
Definition lengths (p : program) : list Z :=
  flat_map (fun v => match op v, inputs v with
                     | Fourier a inverse _, [k] => [if inverse then nth a (shape v) 0 else nth a (shape_of p k) 0]
                     | _, _ => []
                     end) (nodes p).
Definition has_cycles (p : program) (W : list phase) : bool :=
  forallb (fun q => existsb (fun n => n mod cycle q =? 0) (lengths p)) W.
Definition is_transform (o : operation) : bool := match o with Fourier _ _ _ => true | _ => false end.

(** What is glued together again, as positions of the array whose slices they are; of cells, or of cells turned back.
    How many nodes lie between is bounded. *)
Definition DEPTH : nat := 8.
Definition glue_rule (p : program) (env : list (option known)) (v : node) (G : list parts) (W : list phase)
  (cells_ : bool)
  : verdict :=
  match op v with
  | Concat a =>
      let (k, l) := origin p a DEPTH (length env) in
      match nth_error env k with
      | Some (Some e) =>
          if (if cells_ then are_cells [e] else no_sums [e]) then
            both (pick_rule a l (shape v) G (extent e) (fact e)) (ask (pick_turns a W (turns_of e)))
          else Unknown
      | _ => Unknown
      end
  | _ => Unknown
  end.

(** The rule of an operation, or that of what is glued: of cells, and where there are spectra. *)
Definition cells_rule (wraps : bool) (shift : list Z) (p : program) (env : list (option known)) (v : node)
  (G : list parts) (es : list known) : verdict :=
  match rule wraps (op v) shift (shape v) G es with
  | Yes => Yes
  | why => match glue_rule p env v G [] true with Yes => Yes | _ => why end
  end.
Definition turned_rule (p : program) (env : list (option known)) (v : node) (G : list parts) (W : list phase)
  (es : list known) : verdict :=
  match spectrum_rule (op v) (shape v) G W es with
  | Yes => Yes
  | why => match glue_rule p env v G W false with Yes => Yes | _ => why end
  end.

(** A node without a listed fact is not known, and no claim is made of it. *)
Definition check_node (wraps : bool) (shift : list Z) (p : program) (env : list (option known)) (v : node)
  (listed : option listing) : verdict * option known :=
  match listed with
  | None => (Yes, None)
  | Some l =>
      let G := listed_fact l in
      if fits G (shape v) then
        match found env (inputs v), l with
        | None, OfCells _ =>
            (match glue_rule p env v G [] true with Yes => Yes | _ => Unknown end,
             Some (Known G Cells (length env) (shape v)))
        | None, _ => (Unknown, None)
        | Some es, OfSums _ U =>
            (both (ask (has_sums p && fits U (shape v))) (fold_rule (op v) (shape v) G U es),
             Some (Known G (Sums U) (length env) (shape v)))
        | Some es, OfTurned _ W =>
            (both (ask (has_spectra p && sane_phases (shape v) W && has_cycles p W))
                  (turned_rule p env v G W es),
             Some (Known G (Turned W) (length env) (shape v)))
        | Some es, OfCells _ =>
            let own := Some (Known G Cells (length env) (shape v)) in
            if are_cells es && negb (is_transform (op v)) then
              match carries (op v) (shape v) G es with
              | Some s => (Yes, Some (Known G Cells s (shape v)))
              | None => (cells_rule wraps shift p env v G es, own)
              end
            else if no_sums es then (both (ask (has_spectra p)) (turned_rule p env v G [] es), own)
            else
              let U := alone (shape v) in
              (both (ask (has_sums p && fits U (shape v) && forallb single_axis U)) (fold_rule (op v) (shape v) G U es),
               own)
        end
      else (No, None)
  end.

Inductive outcome := Derived (env : list (option known)) | Stopped (why : verdict) (place : nat).

Fixpoint check_nodes (wraps : bool) (shift : list Z) (p : program) (env : list (option known)) (vs : list node)
  (listings : list (option listing)) : outcome :=
  match vs, listings with
  | [], [] => Derived env
  | v :: vs', l :: ls =>
      match check_node wraps shift p env v l with
      | (Yes, e) => check_nodes wraps shift p (env ++ [e]) vs' ls
      | (why, _) => Stopped why (length env)
      end
  | _, _ => Stopped No (length env)
  end.

(** ** Conclusions *)

(** An axis of n cells moves by r: it shows whole periods of a signal that does, or stays, and r is whole turns. *)
Definition moves_along (n r : Z) (fs : parts) : verdict :=
  if still_axis fs && (r mod n =? 0) then Yes else
  match fs with
  | [p] =>
      match merged p with
      | Some f => both (ask (sane1 f && (cells f =? size p) && (n mod period f =? 0)
                             && ((step f - r) mod period f =? 0)))
                       (follows FUEL [f] p)
      | None => Unknown
      end
  | _ => No
  end.

Definition moves (axes : list nat) (r : list Z) (e : known) : verdict :=
  all_of (map (fun a => if listed a axes
                        then moves_along (nth a (extent e) 0) (nth (position a axes) r 0) (nth a (fact e) [])
                        else ask (still_axis (nth a (fact e) [])))
              (seq 0 (length (extent e)))).

(** Of a scene: what lies in a box along an axis, from [low] to below [high], moves by r; or it stays, and r is 0. *)
Definition moves_within (low high r : Z) (fs : parts) : verdict :=
  if (r =? 0) && still_from 0 low high fs then Yes else follows_part fs low [Factor (high - low) 0 0 r].

Definition moves_in_box (axes : list nat) (box : list (Z * Z)) (r : list Z) (e : known) : verdict :=
  all_of (map (fun a => if listed a axes
                        then let k := position a axes in let (low, high) := nth k box (0, 0) in
                             moves_within low high (nth k r 0) (nth a (fact e) [])
                        else ask (still_axis (nth a (fact e) [])))
              (seq 0 (length (extent e)))).

(** Of an output whose cells are only known in sums, or turned back, nothing follows. *)
Definition concludes (what : property) (r r' : list Z) (e : known) : verdict :=
  match read_as e, what with
  | Cells, Invariance => moves [] [] e
  | Cells, Equivariance axes same => both (moves axes r' e) (if same then moves axes r e else Yes)
  | Cells, OfScene axes same box => both (ask (negb same || same_lists Z.eqb r' r)) (moves_in_box axes box r' e)
  | _, _ => No
  end.

(** ** Certificates *)

(** One generator: a shift of the image, the shift of the output, and the facts listed for the nodes. *)
Record generator := Generator
  { by_shift : list Z; by_output : list Z; listings : list (option listing) }.

Record certificate := Certificate
  { about : program; what : property; grid : list Z; generators : list generator }.

Inductive place := AtNode (k : nat) | AtStatement.
Inductive result := Proved | Refused (where_ : place) | NotCovered (where_ : place).

(** The image has the grid that the statement names; axes are there, once; shifts have as many steps as there are axes. *)
Definition has_grid (sizes : list Z) (v : node) : bool :=
  match op v with
  | Input axes => (length axes =? length sizes)%nat && distinct axes && below (length (shape v)) axes
                  && forallb (fun k => nth (nth k axes O) (shape v) 0 =? nth k sizes 0) (seq 0 (length sizes))
  | _ => true
  end.

(** Each shift of a scene is along one axis of the grid, forwards. Each axis of the output is moved by one of them at
    most, by less than the box is wide; and the box lies in the output. *)
Definition one_axis (r : list Z) : bool :=
  (length (filter (fun s => negb (s =? 0)%Z) r) =? 1)%nat && forallb (Z.leb 0) r.
Definition disjoint (n : nat) (r s : list Z) : bool :=
  forallb (fun k => (nth k r 0 =? 0) || (nth k s 0 =? 0)) (seq 0 n).
Fixpoint all_disjoint (n : nat) (rs : list (list Z)) : bool :=
  match rs with [] => true | r :: rest => forallb (disjoint n r) rest && all_disjoint n rest end.
Definition box_fits (axes : list nat) (box : list (Z * Z)) (s : list Z) (gs : list generator) : bool :=
  forallb (fun g => one_axis (by_shift g)) gs && all_disjoint (length axes) (map by_output gs) &&
  (length box =? length axes)%nat &&
  forallb (fun k => let (low, high) := nth k box (0, 0) in
                    (0 <=? low) && (low <? high) && (high <=? nth (nth k axes O) s 0)
                    && forallb (fun g => Z.abs (nth k (by_output g) 0) <? high - low) gs) (seq 0 (length axes)).

Definition is_image (v : node) : bool := match op v with Input _ => true | _ => false end.
Definition is_scene (what : property) : bool := match what with OfScene _ _ _ => true | _ => false end.
Definition well_formed (c : certificate) : bool :=
  existsb is_image (nodes (about c)) && forallb (has_grid (grid c)) (nodes (about c)) &&
  (1 <=? length (generators c))%nat &&
  forallb (fun g => (length (by_shift g) =? length (grid c))%nat && (length (by_output g) =? rank_of (what c))%nat
                    && (is_scene (what c) ||
                        forallb (fun k => (0 <=? nth k (by_shift g) 0) && (nth k (by_shift g) 0 <? nth k (grid c) 0))
                                (seq 0 (length (grid c))))) (generators c) &&
  match what c with
  | Invariance => true
  | Equivariance axes same | OfScene axes same _ =>
      (1 <=? length axes)%nat && distinct axes && below (length (shape_of (about c) (output (about c)))) axes
      && (negb same || (length axes =? length (grid c))%nat)
  end &&
  match what c with
  | OfScene axes _ box => box_fits axes box (shape_of (about c) (output (about c))) (generators c)
  | _ => true
  end.

Definition answer (v : verdict) (where_ : place) : result :=
  match v with Yes => Proved | No => Refused where_ | Unknown => NotCovered where_ end.

(** One generator: every node, and then the output. *)
Definition check_generator (c : certificate) (g : generator) : result :=
  match check_nodes (negb (is_scene (what c))) (by_shift g) (about c) [] (nodes (about c)) (listings g) with
  | Stopped why k => answer (match why with Yes => No | _ => why end) (AtNode k)
  | Derived env =>
      match nth_error env (output (about c)) with
      | Some (Some e) => answer (concludes (what c) (by_shift g) (by_output g) e) AtStatement
      | _ => NotCovered (AtNode (output (about c)))
      end
  end.

Fixpoint first_not_proved (results : list result) : result :=
  match results with [] => Proved | Proved :: rest => first_not_proved rest | other :: _ => other end.

(** What comes of a certificate. *)
Definition check (c : certificate) : result :=
  if well_formed c then first_not_proved (map (check_generator c) (generators c)) else Refused AtStatement.
