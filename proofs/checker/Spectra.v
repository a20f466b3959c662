(** * Rules of spectra: what is turned, and cells that are moved, added up or multiplied

    Of an array that a shift turns a fact says what it says of any array once each copy is turned back: of t shifts by t
    times the angle of each cell. Where an operation is turned as its operands are, the array that is turned back is
    made of those of the operands by the same operation. So the rules of these arrays are those of any other. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders Views Mixtures Sums Turns.
Import ListNotations.
Open Scope Z_scope.

(** ** Turned values *)

Section Values.
Context {V : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Hypothesis Turning : turning numbers.
Notation turned := (spin numbers).
Notation n := (full numbers).

Lemma spin_nothing v : turned 0 v = v.
Proof. apply Turning. Qed.
Lemma spin_twice a b v : turned a (turned b v) = turned (a + b) v.
Proof. apply Turning. Qed.
Lemma spin_nought a : turned a (nought numbers) = nought numbers.
Proof. apply Turning. Qed.

Lemma spin_whole_turns c v : turned (c * n) v = v.
Proof.
  destruct Turning as (_ & Z & F & T & _).
  assert (Up : forall k v, turned (Z.of_nat k * n) v = v).
  { induction k as [|k IH]; intro w; [apply Z|]. replace (Z.of_nat (S k) * n) with (n + Z.of_nat k * n) by lia.
    now rewrite <- T, F. }
  destruct (Z_le_gt_dec 0 c) as [C|C].
  - rewrite <- (Z2Nat.id c) by trivial. apply Up.
  - rewrite <- (Up (Z.to_nat (- c)) v) at 1. rewrite Z2Nat.id by lia.
    rewrite T. replace (c * n + - c * n) with 0 by ring. apply Z.
Qed.

(** Angles that differ by whole turns are one. *)
Lemma spin_equal a b v : (n | a - b) -> turned a v = turned b v.
Proof.
  intros [c C]. replace a with (b + c * n) by lia. rewrite <- spin_twice. now rewrite spin_whole_turns.
Qed.

Lemma spin_total a l : turned a (total numbers l) = total numbers (map (turned a) l).
Proof.
  induction l as [|v l IH]; simpl; [apply spin_nought|]. rewrite <- IH. now apply Turning.
Qed.

(** A weighted sum of values that are turned alike is turned as they are. *)
Lemma combines_spin f a l : combines numbers f -> f (map (turned a) l) = turned a (f l).
Proof.
  intros (weight & Sc & F). rewrite !F, map_length, spin_total, map_map. f_equal. apply map_ext. intro k.
  rewrite <- Sc. f_equal. rewrite <- (spin_nought a) at 1. apply map_nth.
Qed.

(** A product is turned by the sum of all turns. *)
Definition sum_first (l : list (Z * V)) : Z := fold_right Z.add 0 (map fst l).
Lemma multiplied_spin l b v : fold_left (multiply numbers) (map (fun p => turned (fst p) (snd p)) l) (turned b v) =
  turned (b + sum_first l) (fold_left (multiply numbers) (map snd l) v).
Proof.
  destruct Turning as (_ & _ & _ & T & _ & _ & M1 & M2 & _).
  revert b v; induction l as [|[a w] l IH]; intros b v; unfold sum_first in *; simpl; [now rewrite Z.add_0_r|].
  rewrite M1, M2, T, IH, Z.add_assoc. reflexivity.
Qed.

Lemma product_spin conjugated (h : nat -> Z) l : l <> [] ->
  product_of numbers conjugated (map (fun k => turned (h k) (nth k l (nought numbers))) (seq 0 (length l))) =
  turned (fold_right Z.add 0 (map (fun k => if listed k conjugated then - h k else h k) (seq 0 (length l))))
         (product_of numbers conjugated l).
Proof.
  intro N. unfold product_of. rewrite map_length, seq_length.
  set (c := fun k v => if listed k conjugated then conjugate numbers v else v).
  set (ps := map (fun k => (if listed k conjugated then - h k else h k, c k (nth k l (nought numbers))))
                 (seq 0 (length l))).
  assert (E : map (fun k => c k (nth k (map (fun k => turned (h k) (nth k l (nought numbers))) (seq 0 (length l)))
                                       (nought numbers))) (seq 0 (length l)) =
              map (fun p => turned (fst p) (snd p)) ps).
  { unfold ps. rewrite map_map. apply map_ext_in. intros k K. apply in_seq in K. cbn [fst snd].
    rewrite nth_map_seq by lia. unfold c. destruct (listed k conjugated); trivial.
    destruct Turning as (_ & _ & _ & _ & _ & _ & _ & _ & C). apply C. }
  assert (E1 : map (fun k => c k (nth k l (nought numbers))) (seq 0 (length l)) = map snd ps).
  { unfold ps. now rewrite map_map. }
  assert (E2 : map (fun k => if listed k conjugated then - h k else h k) (seq 0 (length l)) = map fst ps).
  { unfold ps. now rewrite map_map. }
  unfold c in E, E1. rewrite E, E1, E2. clear E E1 E2.
  assert (L : length ps = length l) by (unfold ps; now rewrite map_length, seq_length).
  destruct ps as [|[a v] ps]; [destruct l; easy|]. apply multiplied_spin.
Qed.

(** ** Arrays that are turned back *)

Context {index : Type}.
Variable turn : index -> Z.
Coercion turn : index >-> Z.

(** Each copy turned back, so often as it was shifted. *)
Definition unwound (W : list phase) (A : family V index) : family V index :=
  fun t i => turned (- (t * angle n W i)) (A t i).

(** An operand that is turned, and the same turned back. *)
Definition unwound_operand (W : list phase) (one : operand V index) : operand V index :=
  (fst one, unwound W (snd one)).

Lemma wound W A (t : index) i : turned (t * angle n W i) (unwound W A t i) = A t i.
Proof.
  unfold unwound. rewrite spin_twice. replace (t * angle n W i + - (t * angle n W i)) with 0 by ring.
  apply spin_nothing.
Qed.

Lemma unwound_nothing A (t : index) i : unwound [] A t i = A t i.
Proof. unfold unwound, angle; simpl. rewrite Z.mul_0_r. apply spin_nothing. Qed.

(** Where angles are the same, cells that are the same are so when turned back. *)
Lemma unwound_equal W S (A B : family V index) (t : index) i j : A t i = B t j -> (n | angle n W i - angle n S j) ->
  unwound W A t i = unwound S B t j.
Proof.
  intros E [c C]. unfold unwound. rewrite E. apply spin_equal. exists (- t * c).
  replace (- (t * angle n W i) - - (t * angle n S j)) with (- t * (angle n W i - angle n S j)) by ring.
  rewrite C. ring.
Qed.

(** ** Checks of angles, for each operation whose cells are cells of its operand *)

Definition same_length (h : nat -> nat) (sh s : list Z) (S : list phase) : bool :=
  forallb (fun q => nth (h (along q)) sh 0 =? nth (along q) s 0) S.

Lemma repeated_nth s i a : (a < length s)%nat -> nth a (repeated s i) 0 = if nth a s 0 =? 1 then 0 else nth a i 0.
Proof. intro L. unfold repeated. now rewrite nth_build. Qed.

(** An axis of length 1 that is turned is repeated nowhere. *)
Lemma angle_repeated h sh s S i j : inside sh i -> sane_phases s S = true -> same_length h sh s S = true ->
  (forall q, In q S -> (h (along q) < length sh)%nat /\ nth (along q) j 0 = nth (h (along q)) i 0) ->
  angle n (carried_over h S) i = angle n S (repeated s j).
Proof.
  intros [_ I] Sa Le E. apply angle_carried. intros q Q.
  destruct (sane_phase_right s q (sane_phases_in s S q Sa Q)) as (L & _).
  unfold same_length in Le. rewrite forallb_forall in Le. specialize (Le q Q). apply Z.eqb_eq in Le.
  destruct (E q Q) as [B Ej]. rewrite repeated_nth, Ej by trivial.
  destruct (Z.eqb_spec (nth (along q) s 0) 1) as [O|O]; trivial.
  specialize (I _ B). lia.
Qed.

Lemma angle_repeated_same sh s S i : inside sh i -> length s = length sh -> sane_phases s S = true ->
  same_length (fun a => a) sh s S = true -> angle n S (repeated s i) = angle n S i.
Proof.
  intros [_ I] L Sa Le. unfold angle. f_equal. apply map_ext_in. intros q Q.
  destruct (sane_phase_right s q (sane_phases_in s S q Sa Q)) as (B & _).
  unfold same_length in Le. rewrite forallb_forall in Le. specialize (Le q Q). apply Z.eqb_eq in Le.
  unfold angle1, digit. rewrite repeated_nth by trivial. destruct (Z.eqb_spec (nth (along q) s 0) 1) as [O|O]; trivial.
  specialize (I (along q) ltac:(lia)). now replace (nth (along q) i 0) with 0 by lia.
Qed.

Definition map_turns (sh : list Z) (W : list phase) (s : list Z) (S : list phase) : bool :=
  (length s =? length sh)%nat && same_length (fun a => a) sh s S && turned_as W S.

Definition broadcast_turns (axes : list nat) (sh : list Z) (W : list phase) (s : list Z) (S : list phase) : bool :=
  let h a := nth a axes O in
  same_length h sh s S && forallb (fun q => (along q <? length axes)%nat && (h (along q) <? length sh)%nat) S
  && turned_as W (carried_over h S).

Definition transpose_turns (order : list nat) (W : list phase) (S : list phase) : bool :=
  turned_as W (carried_over (fun a => position a order) S).

Definition reshape_turns (sh : list Z) (W : list phase) (s : list Z) (S : list phase) : bool :=
  (count sh =? count s) && turned_as (of_places sh W) (of_places s S).

Definition take_turns (a : nat) (start by_ : Z) (sh : list Z) (W : list phase) (s : list Z) (S : list phase) : bool :=
  counts_cells a (nth a s 0) S && turned_as W (taken a start by_ (nth a sh 0) S).

Definition pick_turns (a : nat) (W : list phase) (S : list phase) : bool := none_along a S && turned_as W S.

Definition pad_turns (a : nat) (before inner : Z) (sh : list Z) (W : list phase) (s : list Z) (S : list phase) : bool :=
  (none_along a S || (inner =? 0)) && take_turns a (- before) 1 sh W s S.

(** Of the sum over axes that are not turned. *)
(** Side by side, each operand is turned as the cells that it becomes. *)
Fixpoint concat_turns (a : nat) (start : Z) (sh : list Z) (W : list phase) (es : list (list Z * list phase)) : bool :=
  match es with
  | [] => true
  | (s, T) :: rest => counts_cells a (nth a sh 0) W && turned_as (taken a start 1 (nth a s 0) W) T
                      && concat_turns a (start + nth a s 0) sh W rest
  end.

(** The turns of a product: those of the factors together, of a conjugated one the other way. *)
Definition product_turns (conjugated : list nat) (sh : list Z) (W : list phase) (es : list (list Z * list phase))
  : bool :=
  forallb (fun e => (length (fst e) =? length sh)%nat && same_length (fun a => a) sh (fst e) (snd e)) es
  && turned_as W (flat_map (fun k => let S := snd (nth k es ([], [])) in
                                     if listed k conjugated then map opposite S else S) (seq 0 (length es))).

Definition sum_turns (axes : list nat) (sh : list Z) (W : list phase) (s : list Z) (S : list phase) : bool :=
  let h := becomes axes [] (length s) (length sh) in
  same_length h sh s S && forallb (fun q => negb (listed (along q) axes) && (h (along q) <? length sh)%nat) S
  && turned_as W (carried_over h S).

Section Angles.
Variables (sh s : list Z) (W S : list phase).
Hypothesis Sh : sane_phases sh W = true.
Hypothesis Ss : sane_phases s S = true.
Hypothesis DW : cycles_divide n W.
Hypothesis DS : cycles_divide n S.

Lemma map_turns_right i : inside sh i -> map_turns sh W s S = true ->
  (n | angle n W i - angle n S (repeated s i)).
Proof.
  intros I H. unfold map_turns in H. rewrite !andb_true_iff, Nat.eqb_eq in H. destruct H as [[L E] H].
  rewrite (angle_repeated_same sh) by trivial. now apply turned_as_right.
Qed.

Lemma broadcast_turns_right axes i : inside sh i -> broadcast_turns axes sh W s S = true ->
  (n | angle n W i - angle n S (repeated s (coordinates_of axes i))).
Proof.
  intros I H. unfold broadcast_turns in H. rewrite !andb_true_iff, forallb_forall in H. destruct H as [[E B] H].
  rewrite <- (angle_repeated (fun a => nth a axes O) sh s S i); trivial.
  - apply turned_as_right; trivial. now apply cycles_carried.
  - intros q Q. specialize (B q Q). rewrite andb_true_iff, !Nat.ltb_lt in B. destruct B as [B1 B2]. split; trivial.
    unfold coordinates_of. rewrite nth_indep with (d' := nth 0 i 0) by (now rewrite map_length).
    apply (map_nth (fun b => nth b i 0)).
Qed.

Lemma transpose_turns_right order i : transpose_turns order W S = true ->
  (n | angle n W i - angle n S (build (length s) (fun a => nth (position a order) i 0))).
Proof.
  intro H. rewrite <- (angle_carried n (fun a => position a order) S i).
  - apply turned_as_right; trivial. now apply cycles_carried.
  - intros q Q. symmetry. apply nth_build. now apply (sane_phase_right s q), (sane_phases_in s S).
Qed.

Lemma reshape_turns_right i : inside sh i -> inside s (cell_at s (place sh i)) ->
  place s (cell_at s (place sh i)) = place sh i -> reshape_turns sh W s S = true ->
  (n | angle n W i - angle n S (cell_at s (place sh i))).
Proof.
  intros I J E H. unfold reshape_turns in H. apply andb_true_iff in H as [_ H].
  rewrite <- (angle_of_places n sh W i), <- (angle_of_places n s S), E by trivial.
  apply turned_as_right; trivial; now apply cycles_of_places.
Qed.

Lemma take_turns_right a start by_ i : inside sh i -> (a < length sh)%nat ->
  0 <= start + by_ * nth a i 0 < nth a s 0 -> take_turns a start by_ sh W s S = true ->
  (n | angle n W i - angle n S (put a (start + by_ * nth a i 0) i)).
Proof.
  intros I A J H. unfold take_turns in H. apply andb_true_iff in H as [C H]. pose proof I as [L I'].
  rewrite <- (angle_taken n a start by_ (nth a sh 0) (nth a s 0)); trivial; [|lia | now apply I'].
  apply turned_as_right; trivial. now apply cycles_taken.
Qed.

Lemma pick_turns_right a v i : pick_turns a W S = true -> (n | angle n W i - angle n S (put a v i)).
Proof.
  intro H. unfold pick_turns in H. apply andb_true_iff in H as [N H]. rewrite angle_put by trivial.
  now apply turned_as_right.
Qed.

Lemma concat_turns_right a start before behind i :
  concat_turns a start sh W (before ++ (s, S) :: behind) = true -> inside sh i -> (a < length sh)%nat ->
  let c := start + fold_right Z.add 0 (map (fun e => nth a (fst e) 0) before) in
  c <= nth a i 0 < c + nth a s 0 -> (n | angle n W i - angle n S (put a (nth a i 0 - c) i)).
Proof.
  revert start; induction before as [|[s0 S0] before IH]; intros start H I A; cbn [app concat_turns] in H;
    rewrite !andb_true_iff in H; destruct H as [[C T] H].
  - intros c B. assert (Ec : c = start) by (unfold c; simpl; ring). clearbody c. subst c.
    set (c := start) in *. set (k := put a (nth a i 0 - c) i). pose proof I as [L I'].
    assert (K : nth a k 0 = nth a i 0 - c).
    { unfold k. rewrite nth_put, Nat.eqb_refl, (proj2 (Nat.ltb_lt a (length i))) by lia. reflexivity. }
    assert (E : put a (start + 1 * nth a k 0) k = i).
    { rewrite K. replace (start + 1 * (nth a i 0 - c)) with (nth a i 0) by (unfold c; ring). apply put_back. }
    replace (angle n W i) with (angle n (taken a start 1 (nth a s 0) W) k).
    + apply turned_as_right; trivial. now apply cycles_taken.
    + specialize (I' a A). rewrite (angle_taken n a start 1 (nth a s 0) (nth a sh 0)), E; trivial; try lia.
      unfold k, put. rewrite build_length. lia.
  - intros c B. cbn [map fold_right fst] in c. unfold c in *. rewrite Z.add_assoc in *. now apply IH.
Qed.

Lemma pad_turns_right a before inner j i : inside sh i -> (a < length sh)%nat ->
  nth a i 0 - before = j * (inner + 1) -> 0 <= j < nth a s 0 -> pad_turns a before inner sh W s S = true ->
  (n | angle n W i - angle n S (put a j i)).
Proof.
  intros I A E J H. unfold pad_turns in H. apply andb_true_iff in H as [N H].
  apply orb_true_iff in N as [N|N].
  - apply pick_turns_right. unfold pick_turns. rewrite N. unfold take_turns in H.
    rewrite taken_none in H by trivial. now apply andb_true_iff in H as [_ H].
  - apply Z.eqb_eq in N. subst inner. replace j with (- before + 1 * nth a i 0) by lia.
    apply take_turns_right; trivial. lia.
Qed.

Lemma sum_turns_right axes i c : inside sh i -> sum_turns axes sh W s S = true ->
  (forall a, (a < length s)%nat -> listed a axes = false ->
     nth a c 0 = nth (becomes axes [] (length s) (length sh) a) i 0) ->
  (n | angle n W i - angle n S (repeated s c)).
Proof.
  intros I H C. unfold sum_turns in H. rewrite !andb_true_iff, forallb_forall in H. destruct H as [[E B] H].
  rewrite <- (angle_repeated (becomes axes [] (length s) (length sh)) sh s S i c); trivial.
  - apply turned_as_right; trivial. now apply cycles_carried.
  - intros q Q. specialize (B q Q). rewrite andb_true_iff, negb_true_iff, Nat.ltb_lt in B. destruct B as [B1 B2].
    split; trivial. apply C; trivial. now apply (sane_phase_right s q), (sane_phases_in s S).
Qed.

End Angles.

Lemma angle_flat_map {A} (h : A -> list phase) l i :
  angle n (flat_map h l) i = fold_right Z.add 0 (map (fun v => angle n (h v) i) l).
Proof. induction l as [|v l IH]; simpl; trivial. now rewrite angle_app, IH. Qed.

Lemma product_turns_right conjugated sh W es i : inside sh i -> cycles_divide n W ->
  (forall e, In e es -> sane_phases (fst e) (snd e) = true /\ cycles_divide n (snd e)) ->
  product_turns conjugated sh W es = true ->
  (n | angle n W i - fold_right Z.add 0 (map (fun k => let e := nth k es ([], []) in
         let a := angle n (snd e) (repeated (fst e) i) in if listed k conjugated then - a else a)
         (seq 0 (length es)))).
Proof.
  intros I DW D H. unfold product_turns in H. apply andb_true_iff in H as [L H]. rewrite forallb_forall in L.
  assert (Each : forall k, In k (seq 0 (length es)) -> let e := nth k es ([], []) in
    angle n (snd e) (repeated (fst e) i) = angle n (snd e) i /\ cycles_divide n (snd e)).
  { intros k K e. apply in_seq in K. assert (E : In e es) by (apply nth_In; lia). destruct (D e E) as [S C].
    specialize (L e E). apply andb_true_iff in L as [L1 L2]. apply Nat.eqb_eq in L1. split; trivial.
    now apply (angle_repeated_same sh). }
  erewrite map_ext_in.
  - rewrite <- angle_flat_map. apply turned_as_right; [exact H | exact DW|]. intros q Q.
    apply in_flat_map in Q as (k & K & Q).
    destruct (Each k K) as [_ C]. cbv zeta in Q. destruct (listed k conjugated); [|now apply C].
    now apply (cycles_opposite n _ C).
  - intros k K. cbv beta zeta. destruct (Each k K) as [-> _]. destruct (listed k conjugated); trivial.
    now rewrite angle_opposite.
Qed.

End Values.
