(** * What is known of every node is right

    The checker goes through the nodes, and knows of each what it has checked. All of it is true of any model: of the
    image and its shifted copies, cells of one label have one value, or sums of cells have, or cells that are turned
    back. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Rolls Orders Views Picks Mixtures Sums Folds Laps.
From Shifts Require Import Additions Turns Spectra Fourier Checker.
Import ListNotations.
Open Scope Z_scope.

Section Walk.
Context {V : Type}.
Variable numbers : arithmetic V.
Variable p : program.
Variable m : model V.
Hypothesis M : is_model numbers p m.
Variable wraps : bool.
Variable shift : list Z.
Context {index : Type}.
Variables (turn : index -> Z) (copy : index -> images V).
Coercion turn : index >-> Z.

(** All copies of each image show one signal, which was shifted so many times. *)
Hypothesis T : forall k v axes, nth_error (nodes p) k = Some v -> op v = Input axes ->
  one_signal turn wraps axes shift (shape v) (fun t => copy t k).

(** The arrays that a model gives a node, by the copy; of these the cells, or their sums, or the cells turned back; and of
    what is known of node j the value, of any copy. *)
Definition made (j : nat) : family V index := fun t => m (copy t) j.
Definition read (r : reading) (s : list Z) (A : family V index) : family V index :=
  match r with Cells => A | Sums U => fun t => sums numbers U s (A t) | Turned W => unwound numbers turn W A end.
Definition value (e : known) (j : nat) (t : index) (i : list Z) : V := read (read_as e) (extent e) (made j) t i.
Definition reading_fits (r : reading) (s : list Z) : Prop :=
  match r with
  | Cells => True
  | Sums U => fits U s = true
  | Turned W => sane_phases s W = true /\ cycles_divide (full numbers) W
  end.

(** What is known of a node fits its shape; and of all cells of one signal, those of one label have one value. *)
Definition in_order (env : list (option known)) : Prop :=
  forall j e, nth_error env j = Some (Some e) ->
    fits (fact e) (extent e) = true /\ extent e = shape_of p j /\ (signal e < length env)%nat /\
    reading_fits (read_as e) (extent e).
Definition coherent (env : list (option known)) : Prop :=
  forall j e j' e', nth_error env j = Some (Some e) -> nth_error env j' = Some (Some e') -> signal e = signal e' ->
    forall (t : index) i (t' : index) i', inside (extent e) i -> inside (extent e') i' ->
      label (fact e) t i = label (fact e') t' i' ->
      value e j t i = value e' j' t' i'.

Lemma known_before env (e : option known) j v : nth_error (env ++ [e]) j = Some v ->
  nth_error env j = Some v \/ j = length env /\ v = e.
Proof.
  intro H. destruct (Nat.lt_ge_cases j (length env)) as [L|L].
  - rewrite nth_error_app1 in H by trivial. now left.
  - rewrite nth_error_app2 in H by trivial. right. destruct (j - length env)%nat as [|n] eqn:E; simpl in H.
    + split; [lia | congruence].
    + destruct n; easy.
Qed.

Lemma nothing_known env : in_order env -> coherent env -> in_order (env ++ [None]) /\ coherent (env ++ [None]).
Proof.
  intros O C; split.
  - intros j e H. rewrite app_length. apply known_before in H as [H|[_ H]]; [|easy].
    destruct (O j e H) as (A & B & D & K). repeat split; trivial; simpl; lia.
  - intros j e j' e' H H'. apply known_before in H as [H|[_ H]]; [|easy].
    apply known_before in H' as [H'|[_ H']]; [|easy]. now apply C.
Qed.

(** A node with a signal of its own: it is enough that its own cells agree. *)
Lemma signal_born env G r : in_order env -> coherent env ->
  fits G (shape_of p (length env)) = true -> reading_fits r (shape_of p (length env)) ->
  right turn (fun t => t) G (shape_of p (length env)) (read r (shape_of p (length env)) (made (length env))) ->
  let e := Known G r (length env) (shape_of p (length env)) in
  in_order (env ++ [Some e]) /\ coherent (env ++ [Some e]).
Proof.
  intros O C S SU R e. split.
  - intros j e' H. rewrite app_length. apply known_before in H as [H|[-> H]].
    + destruct (O j e' H) as (A & B & D & K). repeat split; trivial; simpl; lia.
    + injection H as ->. repeat split; trivial; simpl; lia.
  - intros j e1 j' e2 H H' E t i t' i' I I' L.
    apply known_before in H as [H|[-> H]]; apply known_before in H' as [H'|[-> H']].
    + now apply (C j e1 j' e2).
    + injection H' as ->. destruct (O j e1 H) as (_ & _ & D & _). simpl in E; lia.
    + injection H as ->. destruct (O j' e2 H') as (_ & _ & D & _). simpl in E; lia.
    + injection H as ->; injection H' as ->. now apply R.
Qed.

(** A node that shows the signal of its operands: each of its cells is a cell of theirs, of the same label. *)
Lemma signal_carried env G s : in_order env -> coherent env ->
  fits G (shape_of p (length env)) = true -> (s < length env)%nat ->
  (forall i, inside (shape_of p (length env)) i -> exists j e i0,
     nth_error env j = Some (Some e) /\ signal e = s /\ inside (extent e) i0 /\
     forall t : index, label G t i = label (fact e) t i0 /\ m (copy t) (length env) i = value e j t i0) ->
  let e := Known G Cells s (shape_of p (length env)) in
  in_order (env ++ [Some e]) /\ coherent (env ++ [Some e]).
Proof.
  intros O C S Sg R e. split.
  - intros j e' H. rewrite app_length. apply known_before in H as [H|[-> H]].
    + destruct (O j e' H) as (A & B & D & K). repeat split; trivial; simpl; lia.
    + injection H as ->. repeat split; trivial; simpl; lia.
  - assert (Back : forall j e' i, nth_error (env ++ [Some e]) j = Some (Some e') -> inside (extent e') i ->
      exists j0 e0 i0, nth_error env j0 = Some (Some e0) /\ signal e0 = signal e' /\ inside (extent e0) i0 /\
        forall t : index, label (fact e') t i = label (fact e0) t i0 /\ value e' j t i = value e0 j0 t i0).
    { intros j e' i H I. apply known_before in H as [H|[-> H]].
      - exists j, e', i. auto.
      - injection H as ->. now apply R. }
    intros j e1 j' e2 H H' E t i t' i' I I' L.
    destruct (Back j e1 i H I) as (j0 & e0 & i0 & N & Q & J & W).
    destruct (Back j' e2 i' H' I') as (j0' & e0' & i0' & N' & Q' & J' & W').
    destruct (W t) as [W1 ->]. destruct (W' t') as [W1' ->].
    apply (C j0 e0 j0' e0'); trivial; congruence.
Qed.

(** ** The operands of a node *)

Definition as_operand (e : known) (j : nat) : list parts * operand V (images V) :=
  (fact e, (shape_of p j, fun z => m z j)).
Definition operands (es : list known) (ks : list nat) : list (list parts * operand V (images V)) :=
  map (fun u => as_operand (fst u) (snd u)) (combine es ks).

Lemma found_right env ks es : found env ks = Some es ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es ks.
Proof.
  revert es; induction ks as [|k ks IH]; simpl; intros es H; [injection H as <-; constructor|].
  destruct (nth_error env k) as [[e|]|] eqn:N; try easy. destruct (found env ks) as [es'|]; [|easy].
  injection H as <-. constructor; auto.
Qed.

Lemma operands_right env ks es : in_order env -> coherent env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es ks ->
  map snd (operands es ks) = map (fun j => (shape_of p j, fun z => m z j)) ks /\
  map fst (operands es ks) = map fact es /\ pairs (operands es ks) = paired es /\
  (are_cells es = true -> forall F one, In (F, one) (operands es ks) -> premise turn copy F one).
Proof.
  intros O C H; induction H as [|e j es ks N H IH]; [repeat split; easy|].
  destruct IH as (A & B & D & P). unfold operands, pairs, paired in *. simpl. rewrite A, B, D.
  destruct (O j e N) as (S & X & _). rewrite X. split; [trivial | split; [trivial | split; [trivial|]]].
  intros Ce F one [H0|H0]; apply andb_true_iff in Ce as [Ce Ces]; [|now apply P].
  unfold as_operand in H0. injection H0 as <- <-. rewrite <- X. split; [exact S|]. intros t i t' i' I I' L.
  specialize (C j e j e N N eq_refl t i t' i' I I' L). unfold value in C. now destruct (read_as e).
Qed.

Lemma same_lists_right {A} (equal : A -> A -> bool) (E : forall v w, equal v w = true -> v = w) l l' :
  same_lists equal l l' = true -> l = l'.
Proof.
  revert l'; induction l as [|v l IH]; intros [|v' l'] H; simpl in H; try easy.
  apply andb_true_iff in H as [H K]. f_equal; auto.
Qed.

Lemma axis_equal fs gs : equal_axes fs gs = true -> fs = gs.
Proof.
  apply same_lists_right. apply same_lists_right. intros [a b c d] [a' b' c' d'] H.
  unfold equal_factors in H; simpl in H. rewrite !andb_true_iff, !Z.eqb_eq in H.
  now destruct H as [[[-> ->] ->] ->].
Qed.

Lemma shows_right c gs fs t i : shows c gs fs = true -> i < size_axis gs -> i + c < size_axis fs ->
  coordinates_axis gs t i = coordinates_axis fs t (i + c).
Proof.
  intros H I J. destruct gs as [|[|g [|? ?]] [|? ?]]; try discriminate H.
  destruct fs as [|[|f [|? ?]] [|? ?]]; try discriminate H.
  cbn [shows] in H. rewrite !andb_true_iff, Z.eqb_eq in H. destruct H as [[P Q] R]. apply divides in Q, R.
  cbn [coordinates_axis coordinates size_axis size] in *.
  rewrite (proj2 (Z.ltb_lt i _)), (proj2 (Z.ltb_lt (i + c) _)) by lia.
  rewrite !Z.div_1_r. do 2 f_equal. unfold coordinate. rewrite P. apply equal_mod.
  replace (offset g + i - t * step g - (offset f + (i + c) - t * step f))
    with ((offset g - offset f - c) - t * (step g - step f)) by ring.
  apply Z.divide_sub_r; trivial. now apply Z.divide_mul_r.
Qed.

(** A cell of the result, as a cell of an operand that it shows. *)
Lemma carried_right a c sh G e i : fits G sh = true -> fits (fact e) (extent e) = true ->
  carried a c sh G e = true -> inside sh i -> 0 <= nth a i 0 + c < nth a (extent e) 0 ->
  inside (extent e) (put a (nth a i 0 + c) i) /\
  forall t, label G t i = label (fact e) t (put a (nth a i 0 + c) i).
Proof.
  intros S SE H [LI I] B. unfold carried in H. rewrite !andb_true_iff, Nat.eqb_eq, Nat.ltb_lt, forallb_forall in H.
  destruct H as [[L A] H]. pose proof (fits_right _ _ S) as [LG _]. pose proof (fits_right _ _ SE) as [LE W]. split.
  - unfold put. rewrite LI, <- L. apply build_inside. intros b J. destruct (Nat.eqb_spec b a) as [->|D]; [exact B|].
    specialize (H b ltac:(apply in_seq; lia)). apply Nat.eqb_neq in D. rewrite D, andb_true_iff, Z.eqb_eq in H.
    destruct H as [_ <-]. apply I; lia.
  - intro t. unfold label. rewrite LG, LE, L. apply map_seq_equal. intros b J. rewrite put_nth by lia.
    specialize (H b ltac:(apply in_seq; lia)). destruct (Nat.eqb_spec b a) as [D|D]; [subst b|].
    + pose proof (fits_right _ _ S) as [_ W']. destruct (W' a) as [_ Z]; [lia|]. destruct (W a) as [_ Z']; [lia|].
      pose proof (I a). apply shows_right; lia || trivial.
    + apply andb_true_iff in H as [H _]. apply axis_equal in H. now rewrite H.
Qed.

Lemma continued_right a start sh G es ks env i : fits G sh = true -> in_order env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es ks ->
  continued a start sh G es = true -> inside sh i -> (a < length sh)%nat -> start <= nth a i 0 ->
  exists before j behind e, ks = before ++ j :: behind /\ In e es /\ nth_error env j = Some (Some e) /\
    let s := start + fold_right Z.add 0 (map (fun k => nth a (shape_of p k) 0) before) in
    s <= nth a i 0 < s + nth a (shape_of p j) 0 /\
    inside (extent e) (put a (nth a i 0 - s) i) /\
    forall t, label G t i = label (fact e) t (put a (nth a i 0 - s) i).
Proof.
  intros S O F. revert start; induction F as [|e j es ks N F IH]; intros start H I L B; simpl in H.
  - apply Z.eqb_eq in H. destruct I as [_ I]. specialize (I a L). lia.
  - rewrite !andb_true_iff in H. destruct H as [[H H'] K]. apply Z.leb_le in H'.
    destruct (O j e N) as (SE & X & _).
    destruct (Z_lt_ge_dec (nth a i 0) (start + nth a (extent e) 0)) as [Q|Q].
    + exists [], j, ks, e. cbn [map fold_right app]. rewrite Z.add_0_r. split; trivial. split; [now left|].
      split; trivial. cbv zeta. rewrite <- X. split; [lia|].
      destruct (carried_right a (- start) sh G e i S SE H I) as [J W]; [lia|]. now split.
    + destruct (IH (start + nth a (extent e) 0) K I L ltac:(lia)) as (before & j' & behind & e' & -> & J & N' & R).
      exists (j :: before), j', behind, e'. split; trivial. split; [now right|]. split; trivial.
      cbv zeta in *. cbn [map fold_right]. rewrite <- X, Z.add_assoc. exact R.
Qed.

(** ** One node *)

Lemma weight_repeats sh i i' : inside sh i -> inside sh i' ->
  (forall a, (a < length sh)%nat -> (nth a sh 1 | nth a i 0 - nth a i' 0)) -> i = i'.
Proof.
  intros [L I] [L' I'] H. apply equal_lists; [congruence|]. intros a A. rewrite L in A.
  specialize (H a A). specialize (I a A). specialize (I' a A). rewrite (nth_indep sh 1 0) in H by trivial.
  apply Z.sub_move_0_r, small_multiple with (nth a sh 0); trivial; lia.
Qed.

Lemma rule_right k v G es env : nth_error (nodes p) k = Some v -> in_order env -> coherent env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es (inputs v) ->
  fits G (shape v) = true -> are_cells es = true -> rule wraps (op v) shift (shape v) G es = Yes ->
  right turn copy G (shape v) (fun z => m z k).
Proof.
  intros N O C F S Ce H. pose proof (proj2 M k v N) as Me. unfold operands_of in Me.
  destruct (operands_right env (inputs v) es O C F) as (E1 & E2 & E3 & P). specialize (P Ce). rewrite <- E1 in Me.
  set (ops := operands es (inputs v)) in *.
  assert (One : forall e, es = [e] -> exists one,
    ops = [(fact e, one)] /\ fst one = extent e /\ premise turn copy (fact e) one).
  { intros e ->. inversion F as [|? j ? ? Nj F' Es Ks]. inversion F'. subst.
    exists (snd (as_operand e j)). unfold ops. rewrite <- Ks. split; [reflexivity|].
    destruct (O j e Nj) as (_ & X & _). split; [simpl; now rewrite X|]. apply P. unfold ops. rewrite <- Ks. now left. }
  assert (First : forall e others, es = e :: others -> exists one rest, ops = (fact e, one) :: rest /\
    fst one = extent e /\ map fst rest = map fact others).
  { intros e others ->. inversion F as [|? j ? js Nj F' Es Ks]. subst.
    exists (snd (as_operand e j)), (operands others js). unfold ops. rewrite <- Ks. split; [reflexivity|].
    destruct (O j e Nj) as (_ & X & _). split; [simpl; now rewrite X|].
    now destruct (operands_right env js others O C F') as (_ & ? & _). }
  destruct (op v) as [axes| |periods rolls| |linear|exact conjugated|axes| |order|a start by_|a places|a
                     |a before behind inner zero|dims kept symmetric linear|axes outs symmetric sum|a inverse half
                     |kept|] eqn:Op; cbn [means rule] in *.
  - (* Input *)
    destruct es; [|easy]. intros t i t' i' I I' L. rewrite !Me by trivial.
    apply (image_right turn copy wraps axes shift (shape v) G (fun z => z k)); trivial. now apply (T k v axes).
  - (* Weight *)
    destruct es; [|easy]. destruct Me as [W Me]. intros t i t' i' I I' L. rewrite !Me by trivial.
    apply (constant_right turn copy (shape v) (shape v) G W S H) with (t := t) (t' := t'); trivial.
    intros j j' J J' Q. f_equal. now apply weight_repeats with (shape v).
  - (* Constant *)
    destruct es; [|easy]. destruct Me as (W & Un & Pe & Me).
    assert (Rt : right turn copy G (shape v) (fun _ => W)).
    { destruct (constant_rule periods (shape v) G) eqn:Cr; [now apply (constant_right turn copy periods)|..];
        (destruct (rolled_rule rolls (shape v) G) eqn:Rr; try discriminate H; now apply (rolled_right turn copy rolls)). }
    intros t i t' i' I I' L. rewrite !Me by trivial. exact (Rt t i t' i' I I' L).
  - (* Map *)
    destruct es as [|e0 es0]; [easy|]. destruct Me as [f Me].
    apply (maps_right turn copy (shape v) G ops f); trivial. intros F0 one I. split; [now apply P|].
    assert (K : In (F0, fst one) (paired (e0 :: es0))) by (rewrite <- E3; now apply in_pairs).
    unfold paired in K. apply in_map_iff in K as [e [Q K]]. injection Q as <- <-.
    eapply all_yes in H; [exact H|]. now apply in_map with (f := fun e => map_rule (shape v) G (extent e) (fact e)).
  - (* Combine *)
    destruct es as [|e0 es0]; [easy|]. destruct Me as (f & _ & Me).
    apply (maps_right turn copy (shape v) G ops f); trivial. intros F0 one I. split; [now apply P|].
    assert (K : In (F0, fst one) (paired (e0 :: es0))) by (rewrite <- E3; now apply in_pairs).
    unfold paired in K. apply in_map_iff in K as [e [Q K]]. injection Q as <- <-.
    eapply all_yes in H; [exact H|]. now apply in_map with (f := fun e => map_rule (shape v) G (extent e) (fact e)).
  - (* Multiply *)
    destruct es as [|e0 es0]; [easy|]. destruct Me as (f & _ & Me).
    apply (maps_right turn copy (shape v) G ops f); trivial. intros F0 one I. split; [now apply P|].
    assert (K : In (F0, fst one) (paired (e0 :: es0))) by (rewrite <- E3; now apply in_pairs).
    unfold paired in K. apply in_map_iff in K as [e [Q K]]. injection Q as <- <-.
    eapply all_yes in H; [exact H|]. now apply in_map with (f := fun e => map_rule (shape v) G (extent e) (fact e)).
  - (* Broadcast *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (broadcast_right turn copy axes (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Reshape *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (reshape_right turn copy (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Transpose *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (transpose_right turn copy order (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Take *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (take_right turn copy a start by_ (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Pick *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (pick_right turn copy a places (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Concat *)
    destruct es as [|e0 es0]; [easy|]. apply both_yes in H as [L H]. apply ask_yes, Nat.ltb_lt in L.
    rewrite <- E3 in H. unfold unless in H.
    destruct (concat_rule _ _ _ _) eqn:C'; [|destruct (wraps && _); discriminate H|easy].
    now apply (concat_right turn copy a (shape v) G ops).
  - (* Pad *)
    destruct es as [|e [|e' [|? ?]]]; try easy.
    destruct (First e [e'] eq_refl) as (one & rest & Q & X & R).
    destruct rest as [|[F2 two] [|? ?]]; try easy. simpl in R. injection R as ->.
    assert (X' : fst two = extent e').
    { rewrite Q in E3. unfold pairs, paired in E3. simpl in E3. now injection E3. }
    rewrite <- X, <- X' in H. rewrite Q in Me, P.
    apply (pad_right turn copy a before behind inner (shape v) G (fact e) one (fact e') two); trivial.
    + apply P; now left.
    + apply P; right; now left.
    + intros z i I. destruct one as [s A], two as [s' A']. now apply (proj2 (Me s A s' A' eq_refl)).
  - (* Window *)
    destruct es as [|e others]; [easy|]. destruct (First e others eq_refl) as (one & rest & Q & X & R).
    rewrite <- X, <- R in H. rewrite Q in Me, P. destruct one as [s A].
    destruct (Me s A _ eq_refl) as (f & Sy & _ & Me').
    apply (window_right turn copy symmetric dims kept (shape v) G (fact e) (s, A) rest f); trivial.
    + apply P; now left.
    + intros F' two I. apply P; now right.
  - (* Mix *)
    destruct es as [|e0 es0]; [easy|]. destruct Me as (f & Sy & _ & Me). rewrite <- E3 in H.
    now apply (mix_right turn copy axes outs symmetric (shape v) G ops f).
  - (* Fourier *)
    easy.
  - (* Whole *)
    destruct es as [|e others]; [easy|]. destruct (First e others eq_refl) as (one & rest & Q & X & R).
    rewrite <- X, <- R in H. rewrite Q in Me, P. destruct one as [s A]. destruct (Me s A _ eq_refl) as (f & Me').
    apply (window_right turn copy false [] kept (shape v) G (fact e) (s, A) rest f); trivial.
    + apply P; now left.
    + intros F' two I. apply P; now right.
    + easy.
  - (* Other *)
    easy.
Qed.

Lemma sums_of_right e U : sums_of e = Some U -> read_as e = Sums U.
Proof. unfold sums_of. destruct (read_as e); [discriminate | now intro E; injection E as -> | discriminate]. Qed.

(** The same where sums are known of operands, or listed of the result. *)
Lemma folds_right k v G U es env : nth_error (nodes p) k = Some v -> in_order env -> coherent env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es (inputs v) -> has_sums p = true ->
  fits G (shape v) = true -> fits U (shape v) = true -> fold_rule (op v) (shape v) G U es = Yes ->
  right turn copy G (shape v) (fun z => sums numbers U (shape v) (m z k)).
Proof.
  intros N O C F A SG SU H. pose proof (proj1 (proj1 M) A) as Law. pose proof (proj2 M k v N) as Me. unfold operands_of in Me.
  set (ops := map (fun j => (shape_of p j, fun z => m z j)) (inputs v)) in *.
  assert (First : forall e others B, es = e :: others -> sums_of e = Some B -> exists one rest, ops = one :: rest /\
    length rest = length others /\ fst one = extent e /\ fits B (fst one) = true /\
    premise turn copy (fact e) (summed numbers B one)).
  { intros e others B -> E. inversion F as [|? j ? js Nj F' Es Ks]. unfold ops. rewrite <- Ks.
    destruct (O j e Nj) as (S & X & _ & Sf).
    apply sums_of_right in E. rewrite E in Sf.
    exists (shape_of p j, fun z => m z j), (map (fun j => (shape_of p j, fun z => m z j)) js).
    split; [reflexivity|]. split; [rewrite map_length; clear - F'; induction F'; simpl; congruence|]. simpl. rewrite <- X.
    repeat split; trivial. intros t i t' i' I I' L. specialize (C j e j e Nj Nj eq_refl t i t' i' I I' L).
    unfold value in C. now rewrite E in C. }
  assert (One : forall e B, es = [e] -> sums_of e = Some B -> exists one, ops = [one] /\ fst one = extent e /\
    fits B (fst one) = true /\ premise turn copy (fact e) (summed numbers B one)).
  { intros e B Q E. destruct (First e [] B Q E) as (one & [|? ?] & K & L & R); [now exists one | discriminate L]. }
  unfold fold_rule in H.
  destruct (op v) as [axes| |periods rolls| |linear|exact conjugated|axes| |order|a start by_|a places|a
                     |a before behind inner zero|dims kept symmetric linear|axes outs symmetric sum|a inverse half
                     |kept|] eqn:Op; cbn [means] in Me;
    try (destruct es as [|? [|? ?]]; try discriminate H; destruct (sums_of _); discriminate H); try discriminate H.
  - (* Reshape *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (sums_of e) as [B|] eqn:E; [|discriminate H].
    destruct (One e B eq_refl E) as ([s A0] & Q & X & SB & P). rewrite <- X in H. rewrite Q in Me.
    apply (reshape_fold_right numbers Law turn copy (shape v) G U (fact e) B _ _ SG SU SB P H). exact (Me _ _ eq_refl).
  - (* Transpose *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (sums_of e) as [B|] eqn:E; [|discriminate H].
    destruct (One e B eq_refl E) as ([s A0] & Q & X & SB & P). rewrite <- X in H. rewrite Q in Me.
    apply (transpose_fold_right numbers Law turn copy order (shape v) G U (fact e) B _ _ SG SU SB P H).
    exact (Me _ _ eq_refl).
  - (* Take *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (sums_of e) as [B|] eqn:E; [|discriminate H].
    destruct (One e B eq_refl E) as ([s A0] & Q & X & SB & P). rewrite <- X in H. rewrite Q in Me.
    apply (take_fold_right numbers Law turn copy a start by_ (shape v) G U (fact e) B _ _ SG SU SB P H).
    exact (Me _ _ eq_refl).
  - (* Pad *)
    destruct es as [|e [|e' [|? ?]]]; try discriminate H; [destruct (sums_of e); discriminate H|].
    destruct (sums_of e) as [B|] eqn:E; [|discriminate H]. destruct (sums_of e'); [discriminate H|].
    apply both_yes in H as [_ H]. destruct zero; [|discriminate H].
    destruct (First e [e'] B eq_refl E) as ([s A0] & [|[s' v0] [|? ?]] & Q & L & X & SB & P); try discriminate L.
    rewrite <- X in H. rewrite Q in Me. destruct (Me _ _ _ _ eq_refl) as [Z Me'].
    apply (pad_fold_right numbers Law turn copy a before behind inner (shape v) G U (fact e) B _ v0 _ SG SU SB P H);
      [now apply Z | exact Me'].
  - (* Window *)
    destruct linear; [|destruct es as [|? [|? ?]]; try discriminate H; destruct (sums_of _); discriminate H].
    destruct es as [|e others]; [discriminate H|]. destruct (are_cells (e :: others)) eqn:Ce; [|discriminate H].
    destruct (operands_right env (inputs v) _ O C F) as (E1 & E2 & _ & P). specialize (P Ce).
    unfold ops in Me. rewrite <- E1 in Me. clear First One. inversion F as [|? j ? js Nj F' Es Ks].
    rewrite <- Ks in Me, E2, P. unfold operands in Me, E2, P. simpl in Me, E2, P.
    set (one := snd (as_operand e j)) in *.
    set (rest := map (fun u => as_operand (fst u) (snd u)) (combine others js)) in *. injection E2 as E2.
    destruct (O j e Nj) as (_ & X & _). rewrite X, <- E2 in H. change (shape_of p j) with (fst one) in H.
    destruct (Me _ _ _ eq_refl) as (f & _ & Wf & Me').
    apply (laps_right numbers Law turn copy dims kept (shape v) G U (fact e) one rest f); trivial.
    + apply P. now left.
    + intros F0 two I. apply P. now right.
    + destruct (laps_rule _ _ _ _ _ _ _ _); [easy | destruct symmetric; discriminate H | discriminate H].
    + now apply Wf.
  - (* Mix *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (sums_of e) as [B|] eqn:E; [|discriminate H].
    destruct outs; [|discriminate H]. destruct sum; [|discriminate H].
    destruct (One e B eq_refl E) as (one & Q & X & SB & P). rewrite <- X in H. rewrite Q in Me.
    destruct Me as (f & _ & Sum & Me).
    now apply (sum_fold_right numbers Law turn copy axes (shape v) G U (fact e) B one f _ SG SU SB P H (Sum eq_refl)).
Qed.

(** The same where operands are turned, or what is listed of the result is; or where cells are transformed. *)
Lemma lengths_right n : In n (lengths p) -> (n | full numbers).
Proof.
  intro I. unfold lengths in I. apply in_flat_map in I as (v & K & I). apply In_nth_error in K as [k K].
  pose proof (proj2 M k v K) as Me. unfold operands_of in Me. destruct (op v); try easy.
  destruct (inputs v) as [|j [|? ?]]; try easy. destruct I as [<-|[]]. now destruct (Me _ _ eq_refl).
Qed.

Lemma has_cycles_right W : has_cycles p W = true -> cycles_divide (full numbers) W.
Proof.
  intros H q Q. unfold has_cycles in H. rewrite forallb_forall in H. specialize (H q Q).
  apply existsb_exists in H as (n & I & D). apply divides in D. now apply Z.divide_trans with n; [|apply lengths_right].
Qed.

Lemma turned_back_right env e j : in_order env -> coherent env -> has_spectra p = true ->
  nth_error env j = Some (Some e) -> no_sums [e] = true ->
  extent e = shape_of p j /\ premise turn (fun t => t) (fact e) (unwound_operand numbers turn (turns_of e) (shape_of p j, made j)) /\
  sane_phases (shape_of p j) (turns_of e) = true /\ cycles_divide (full numbers) (turns_of e).
Proof.
  intros O C A N No. destruct (O j e N) as (S & X & _ & Fi). destruct (proj2 (proj1 M) A) as [_ Turning].
  split; trivial. rewrite <- X. unfold no_sums in No. simpl in No. split.
  - split; [exact S|]. intros t i t' i' I I' L.
    specialize (C j e j e N N eq_refl t i t' i' I I' L). unfold value, turns_of in *. simpl in *.
    destruct (read_as e); [|discriminate No|exact C]. now rewrite !(unwound_nothing numbers Turning turn).
  - unfold turns_of. destruct (read_as e); [|discriminate No|exact Fi]. split; [reflexivity | now intros q []].
Qed.

Lemma no_sums_in es e : no_sums es = true -> In e es -> no_sums [e] = true.
Proof. unfold no_sums. rewrite forallb_forall. intros H I. simpl. now rewrite (H e I). Qed.

Lemma map_by_number {A B C} (f : A -> C) (h : A -> B) (g : nat -> B -> C) d l :
  (forall k u, nth_error l k = Some u -> f u = g k (h u)) ->
  map f l = map (fun k => g k (nth k (map h l) d)) (seq 0 (length l)).
Proof.
  revert g; induction l as [|u l IH]; intros g H; simpl; trivial. rewrite (H O u eq_refl). f_equal.
  rewrite <- seq_shift, map_map. apply (IH (fun k => g (S k))). intros k w. apply (H (S k)).
Qed.

Lemma signed_times t (s : nat -> bool) (h : nat -> Z) l :
  fold_right Z.add 0 (map (fun k => if s k then - (t * h k) else t * h k) l) =
  t * fold_right Z.add 0 (map (fun k => if s k then - h k else h k) l).
Proof. induction l as [|k l IH]; simpl; [ring|]. rewrite IH. destruct (s k); ring. Qed.

Lemma spectrum_right k v G W es env : nth_error (nodes p) k = Some v -> in_order env -> coherent env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es (inputs v) -> has_spectra p = true ->
  fits G (shape v) = true -> sane_phases (shape v) W = true -> cycles_divide (full numbers) W ->
  spectrum_rule (op v) (shape v) G W es = Yes ->
  right turn (fun t => t) G (shape v) (read (Turned W) (shape v) (made k)).
Proof.
  intros N O C F A SG SW DW H. destruct (proj2 (proj1 M) A) as [Law Turning].
  pose proof (proj2 M k v N) as Me. unfold operands_of in Me. unfold spectrum_rule in H.
  destruct (no_sums es) eqn:No; [|discriminate H]. cbn [read].
  assert (One : forall e, es = [e] -> exists j, inputs v = [j] /\ extent e = shape_of p j /\
    premise turn (fun t => t) (fact e) (unwound_operand numbers turn (turns_of e) (shape_of p j, made j)) /\
    sane_phases (shape_of p j) (turns_of e) = true /\ cycles_divide (full numbers) (turns_of e)).
  { intros e ->. inversion F as [|? j ? js Nj F' Es Ks]. inversion F'. subst. exists j. split; trivial.
    now apply (turned_back_right env). }
  set (us := combine es (inputs v)).
  set (ops := map (fun u => (fact (fst u), unwound_operand numbers turn (turns_of (fst u))
                                             (shape_of p (snd u), made (snd u)))) us).
  assert (Len : length es = length (inputs v)) by (clear - F; induction F; simpl; congruence).
  assert (Each : forall e j, In (e, j) us -> In e es /\ extent e = shape_of p j /\
    premise turn (fun t => t) (fact e) (unwound_operand numbers turn (turns_of e) (shape_of p j, made j)) /\
    sane_phases (shape_of p j) (turns_of e) = true /\ cycles_divide (full numbers) (turns_of e)).
  { intros e j I. split; [now apply in_combine_l in I|]. apply (turned_back_right env); trivial.
    - unfold us in I. clear - F I. induction F as [|e0 j0 es ks N F IH]; [easy|]. destruct I as [I|I]; [|now apply IH].
      now injection I as -> ->.
    - apply no_sums_in with es; trivial. now apply in_combine_l in I. }
  assert (Us : inputs v = map snd us) by (unfold us; clear - Len; revert Len; generalize (inputs v);
    induction es as [|e es IH]; intros [|j js] L; simpl in *; try easy; f_equal; apply IH; congruence).
  assert (Ue : es = map fst us) by (unfold us; clear - Len; revert Len; generalize (inputs v);
    induction es as [|e es IH]; intros [|j js] L; simpl in *; try easy; f_equal; apply IH; congruence).
  assert (Pr : forall F0 one, In (F0, one) ops -> premise turn (fun t => t) F0 one).
  { intros F0 one I. apply in_map_iff in I as [[e j] [E I]]. injection E as <- <-. now apply Each. }
  assert (Pa : pairs ops = paired es).
  { unfold pairs, paired, ops. rewrite Ue, !map_map. apply map_ext_in. intros [e j] I. simpl.
    destruct (Each e j I) as (_ & -> & _). reflexivity. }
  destruct (op v) as [axes| |periods rolls| |linear|exact conjugated|axes| |order|a start by_|a places|a
                     |a before behind inner zero|dims kept symmetric linear|axes outs symmetric sum|a inverse half
                     |kept|] eqn:Op; cbn [means] in Me; try discriminate H.
  - (* Combine *)
    destruct linear; [|discriminate H]. destruct es as [|e0 es0]; [discriminate H|]. destruct Me as (f & Lin & Me).
    apply (maps_right turn (fun t => t) (shape v) G ops f _ SG).
    + intros F0 one I. split; [now apply Pr|]. apply in_map_iff in I as [[e j] [E I]]. injection E as <- <-.
      destruct (Each e j I) as (K & X & _). eapply all_yes in H; [|apply in_map, K]. apply both_yes in H as [H _].
      now rewrite X in H.
    + intros t i I. unfold unwound. unfold made. rewrite Me, <- (combines_spin numbers Turning f) by auto.
      unfold ops. rewrite Us, !map_map. f_equal. apply map_ext_in. intros [e j] K. cbn [fst snd unwound_operand].
      destruct (Each e j K) as (Ke & X & _ & Ss & DS). eapply all_yes in H; [|apply in_map, Ke].
      apply both_yes in H as [_ Tu]. apply ask_yes in Tu. rewrite X in Tu.
      apply (unwound_equal numbers Turning turn W (turns_of e) (fun t _ => m (copy t) j (repeated (shape_of p j) i)));
        trivial. now apply (map_turns_right numbers (shape v)).
  - (* Multiply *)
    destruct exact; [|discriminate H]. destruct es as [|e0 es0]; [discriminate H|]. destruct Me as (f & Pro & Me).
    specialize (Pro eq_refl). apply both_yes in H as [H Tu]. apply ask_yes in Tu.
    apply (maps_right turn (fun t => t) (shape v) G ops f _ SG).
    + intros F0 one I. split; [now apply Pr|]. apply in_map_iff in I as [[e j] [E I]]. injection E as <- <-.
      destruct (Each e j I) as (K & X & _). eapply all_yes in H; [|apply in_map, K]. now rewrite X in H.
    + intros t i I. set (es := map (fun u => (extent (fst u), turns_of (fst u))) us).
      rewrite Ue, map_map in Tu. fold es in Tu.
      set (l := map (fun one => snd one t (repeated (fst one) i)) (map snd ops)).
      set (h := fun k => t * angle (full numbers) (snd (nth k es ([], []))) (repeated (fst (nth k es ([], []))) i)).
      assert (E : map (fun one => snd one (copy t) (repeated (fst one) i))
                    (map (fun j => (shape_of p j, fun z => m z j)) (inputs v)) =
                  map (fun k => spin numbers (h k) (nth k l (nought numbers))) (seq 0 (length l))).
      { set (back := fun u => unwound numbers turn (turns_of (fst u)) (made (snd u)) t
          (repeated (shape_of p (snd u)) i)).
        assert (El : l = map back us) by (unfold l, ops; now rewrite !map_map).
        rewrite Us, !map_map, El, map_length.
        apply (map_by_number _ back (fun k w => spin numbers (h k) w)). intros q [e j] K. cbn [fst snd unwound_operand].
        destruct (Each e j ltac:(now apply nth_error_In in K)) as (_ & X & _).
        assert (Q : nth q es ([], []) = (extent e, turns_of e)).
        { apply nth_error_nth. unfold es. now rewrite (map_nth_error _ _ _ K). }
        unfold h. rewrite Q. cbn [fst snd]. rewrite X.
        exact (eq_sym (wound numbers Turning turn (turns_of e) (made j) t (repeated (shape_of p j) i))). }
      unfold unwound at 1, made. rewrite Me, !Pro, E by trivial.
      rewrite (product_spin numbers Turning), (spin_twice numbers Turning).
      * rewrite (spin_equal numbers Turning _ 0); [apply (spin_nothing numbers Turning)|].
        destruct (product_turns_right numbers conjugated (shape v) W es i I DW) as [c Cc]; trivial.
        { intros [s S] K. apply in_map_iff in K as [[e j] [Q K]]. injection Q as <- <-.
          destruct (Each e j K) as (_ & X & _ & SD). cbn [fst snd]. now rewrite X. }
        replace (length l) with (length es) by (unfold l, ops, es; now rewrite !map_length).
        exists (- t * c). replace (- t * c * full numbers) with (- t * (c * full numbers)) by ring. rewrite <- Cc.
        unfold h. rewrite signed_times. ring.
      * unfold l, ops. rewrite !map_map. intro Q. apply map_eq_nil in Q. rewrite Q in Ue. discriminate Ue.
  - (* Broadcast *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (One e eq_refl) as (j & Ks & X & P & Ss & DS).
    rewrite Ks in Me. rewrite X in H. apply both_yes in H as [H Tu]. apply ask_yes in Tu.
    apply (broadcast_right turn (fun t => t) axes (shape v) G (fact e) _ _ SG P H). intros t i I.
    apply (unwound_equal numbers Turning turn); [now apply (Me _ _ eq_refl)|].
    now apply (broadcast_turns_right numbers (shape v)).
  - (* Reshape *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (One e eq_refl) as (j & Ks & X & P & Ss & DS).
    rewrite Ks in Me. rewrite X in H. apply both_yes in H as [H Tu]. apply ask_yes in Tu.
    apply (reshape_right turn (fun t => t) (shape v) G (fact e) _ _ SG P H). intros t i I.
    apply (unwound_equal numbers Turning turn); [now apply (Me _ _ eq_refl)|].
    pose proof (fits_all _ _ (proj1 P)) as Fa. pose proof (place_bounds _ i I) as B.
    pose proof Tu as Tu'. unfold reshape_turns in Tu'. apply andb_true_iff in Tu' as [Co _]. apply Z.eqb_eq in Co.
    apply (reshape_turns_right numbers (shape v)); trivial; [apply cell_at_inside with (fact e) | apply (place_cell_at (fact e))];
      trivial; simpl; lia.
  - (* Transpose *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (One e eq_refl) as (j & Ks & X & P & Ss & DS).
    rewrite Ks in Me. rewrite X in H. apply both_yes in H as [H Tu]. apply ask_yes in Tu.
    apply (transpose_right turn (fun t => t) order (shape v) G (fact e) _ _ SG P H). intros t i I.
    apply (unwound_equal numbers Turning turn); [now apply (Me _ _ eq_refl)|].
    now apply (transpose_turns_right numbers (shape_of p j)).
  - (* Take *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (One e eq_refl) as (j & Ks & X & P & Ss & DS).
    rewrite Ks in Me. rewrite X in H. apply both_yes in H as [H Tu]. apply ask_yes in Tu.
    apply (take_right turn (fun t => t) a start by_ (shape v) G (fact e) _ _ SG P H). intros t i I.
    apply (unwound_equal numbers Turning turn); [now apply (Me _ _ eq_refl)|].
    apply both_yes in H as [Oa Ta]. apply both_yes in Oa as [Oa _]. apply ask_yes, andb_true_iff in Oa as [_ L].
    apply Nat.ltb_lt in L. apply (take_turns_right numbers (shape v) (shape_of p j)); trivial.
    apply (taken_inside _ _ _ _ _ _ _ Ta). now apply I.
  - (* Pick *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (One e eq_refl) as (j & Ks & X & P & Ss & DS).
    rewrite Ks in Me. rewrite X in H. apply both_yes in H as [H Tu]. apply ask_yes in Tu.
    apply (pick_right turn (fun t => t) a places (shape v) G (fact e) _ _ SG P H). intros t i I.
    apply (unwound_equal numbers Turning turn); [now apply (Me _ _ eq_refl)|].
    now apply (pick_turns_right numbers).
  - (* Concat *)
    destruct es as [|e0 es0]; [discriminate H|]. apply both_yes in H as [L H]. apply ask_yes, Nat.ltb_lt in L.
    unfold unless in H. destruct (both _ _) eqn:B; [|destruct (negb _); discriminate H | discriminate H].
    apply both_yes in B as [R Tu]. apply ask_yes in Tu. rewrite <- Pa in R.
    apply (concat_right turn (fun t => t) a (shape v) G ops _ SG Pr R L). intros before s B behind E start t i I Bo.
    unfold ops in E. rewrite map_map in E. apply map_eq_app in E as (u1 & u2 & Eu & <- & E).
    destruct u2 as [|[e j] u2]; [discriminate E|]. cbn [map fst snd] in E. injection E as Es EB Eh. subst s B.
    destruct (Each e j ltac:(rewrite Eu; apply in_elt)) as (_ & X & _ & Ss & DS).
    rewrite Us, Eu, map_app, map_app in Me. cbn [map snd] in Me. specialize (Me _ _ _ _ eq_refl).
    cbv zeta in Me. rewrite !map_map in Me. apply (unwound_equal numbers Turning turn).
    { unfold start in *. rewrite map_map in *. now apply (Me (copy t) i). }
    assert (St : start = 0 + fold_right Z.add 0 (map (fun s => nth a (fst s) 0)
      (map (fun u => (extent (fst u), turns_of (fst u))) u1))).
    { unfold start. rewrite Z.add_0_l, !map_map. f_equal. apply map_ext_in. intros [e' j'] K. cbn [fst snd].
      destruct (Each e' j' ltac:(rewrite Eu; apply in_or_app; now left)) as (_ & -> & _). reflexivity. }
    rewrite St in Bo |- *. rewrite Ue, Eu, map_map, map_app in Tu. cbn [map fst] in Tu. rewrite X in Tu.
    now apply (concat_turns_right numbers (shape v)) with (1 := DW) (2 := DS) (3 := Tu).
  - (* Pad *)
    destruct zero; [|discriminate H]. destruct es as [|e [|e' [|? ?]]]; try discriminate H.
    apply both_yes in H as [_ H]. apply both_yes in H as [H Tu]. apply ask_yes in Tu.
    inversion F as [|? j ? js Nj F' Es Ks]. inversion F' as [|? j' ? js' Nj' F'' Es' Ks']. inversion F''. subst. clear F'' F'.
    assert (In (e, j) us) as K by (unfold us; rewrite <- Ks; now left).
    destruct (Each e j K) as (_ & X & P & Ss & DS). rewrite X in *. rewrite <- Ks in Me.
    destruct (Me _ _ _ _ eq_refl) as [Ze Me']. specialize (Ze eq_refl).
    apply (pad_right turn (fun t => t) a before behind inner (shape v) G (fact e) _ [] ([], fun _ _ => nought numbers)
      _ SG P); trivial.
    { split; [reflexivity|]. intros t i t' i' _ _ _. reflexivity. }
    intros t i I. cbn [fst snd unwound_operand]. specialize (Me' (copy t) i I).
    apply both_yes in H as [_ H]. apply both_yes in H as [Oa Ta]. apply both_yes in Oa as [Oa _].
    apply ask_yes, andb_true_iff in Oa as [_ L]. apply Nat.ltb_lt in L.
    apply both_yes in Ta as [Ta _]. apply ask_yes in Ta. unfold fits_window in Ta. simpl base in Ta.
    rewrite !andb_true_iff, !Z.leb_le in Ta.
    pose proof (stands_cases (nth a (shape_of p j) 0) before (inner + 1) (nth a i 0) ltac:(lia)) as St.
    destruct (stands _ _ _ _) as [w|].
    + apply (unwound_equal numbers Turning turn); [exact Me'|]. destruct St as [St Bo].
      now apply (pad_turns_right numbers (shape v) (shape_of p j) W (turns_of e) DW DS a before inner w i).
    + unfold unwound, made. rewrite Me', Ze. apply (spin_nought numbers Turning).
  - (* Mix *)
    destruct outs; [|discriminate H]. destruct sum; [|discriminate H].
    destruct es as [|e [|? ?]]; try discriminate H. destruct (One e eq_refl) as (j & Ks & X & P & Ss & DS).
    rewrite Ks in Me. rewrite X in H. apply both_yes in H as [H Tu]. apply ask_yes in Tu.
    destruct Me as (f & Sy & Sum & Me). specialize (Sum eq_refl).
    set (one := (shape_of p j, made j) : operand V index) in *.
    apply (mix_right turn (fun t => t) axes [] true (shape v) G
      [(fact e, unwound_operand numbers turn (turns_of e) one)] f _ SG); trivial.
    { intros F0 two [E|[]]. now injection E as <- <-. }
    { unfold paired in H. simpl in H. now rewrite X in H. }
    { intros _ key l l' Pe. rewrite !Sum. now apply (total_permuted numbers Law), concat_permuted. }
    intros t i I. cbv zeta. unfold unwound, made. rewrite Me, !Sum by trivial. cbv zeta.
    rewrite (spin_total numbers Turning), concat_map, map_map. do 2 f_equal. apply map_ext_in. intros c K.
    cbn [map fst snd unwound_operand]. f_equal.
    apply (unwound_equal numbers Turning turn W (turns_of e) (fun t _ => m (copy t) j (repeated (shape_of p j) c))); trivial.
    apply (sum_turns_right numbers (shape v)) with (axes := axes); trivial. intros b Lb Nb.
    apply in_product_seq in K as [_ K]. specialize (K b Lb). cbn [Nat.add] in K.
    unfold mixed in K. rewrite Nb in K. now destruct K as [K|[]].
  - (* Fourier *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (One e eq_refl) as (j & Ks & X & P & Ss & DS).
    rewrite Ks in Me. rewrite X in H. destruct (Me _ _ eq_refl) as (D & f & Lin & Me').
    apply (fourier_right V numbers Law Turning index turn a inverse half (shape v) G W (fact e) (turns_of e)
      (shape_of p j, made j) f); trivial. intros t i I. now apply Me'.
Qed.

Lemma shape_of_node k v : nth_error (nodes p) k = Some v -> shape_of p k = shape v.
Proof. unfold shape_of. now intros ->. Qed.

Lemma carries_right v G es env s : nth_error (nodes p) (length env) = Some v -> in_order env -> coherent env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es (inputs v) ->
  fits G (shape v) = true -> are_cells es = true -> carries (op v) (shape v) G es = Some s ->
  (s < length env)%nat /\
  forall i, inside (shape v) i -> exists j e i0,
     nth_error env j = Some (Some e) /\ signal e = s /\ inside (extent e) i0 /\
     forall t : index, label G t i = label (fact e) t i0 /\ m (copy t) (length env) i = value e j t i0.
Proof.
  intros N O C F S Ce H. pose proof (proj2 M _ v N) as Me. unfold operands_of in Me.
  assert (Value : forall e j t i, In e es -> value e j t i = m (copy t) j i).
  { intros e j t i I. unfold are_cells in Ce. rewrite forallb_forall in Ce. specialize (Ce e I). unfold value.
    now destruct (read_as e). }
  destruct (op v) as [axes| |periods rolls| |linear|exact conjugated|axes| |order|a start by_|a places|a
                     |a before behind inner zero|dims kept symmetric linear|axes outs symmetric sum|a inverse half
                     |kept|] eqn:Op;
    cbn [means carries] in *; try easy.
  - (* Take *)
    destruct es as [|e [|? ?]]; try easy. inversion F as [|? j ? ? Nj F' Es Ks]. inversion F'. subst.
    destruct ((by_ =? 1) && (0 <=? start) && (start + nth a (shape v) 0 <=? nth a (extent e) 0)
              && carried a start (shape v) G e) eqn:K; [|easy].
    injection H as <-. rewrite !andb_true_iff, Z.eqb_eq, !Z.leb_le in K. destruct K as [[[-> B] B'] K].
    destruct (O j e Nj) as (SE & X & Sg & _). split; trivial. intros i I.
    assert (L : (a < length (shape v))%nat).
    { unfold carried in K. rewrite !andb_true_iff, Nat.ltb_lt in K. lia. }
    pose proof (proj2 I a L). destruct (carried_right a start (shape v) G e i S SE K I) as [J W]; [lia|].
    exists j, e, (put a (nth a i 0 + start) i).
    split; trivial. split; trivial. split; trivial. intro t. split; [apply W|].
    rewrite Value by now left. rewrite <- Ks in Me. rewrite (Me (shape_of p j) (fun z => m z j)); trivial.
    now replace (start + 1 * nth a i 0) with (nth a i 0 + start) by ring.
  - (* Concat *)
    destruct es as [|e0 es0]; [easy|].
    destruct (forallb (fun e' => (signal e' =? signal e0)%nat) (e0 :: es0)
              && continued a 0 (shape v) G (e0 :: es0)) eqn:K; [|easy].
    injection H as <-. apply andb_true_iff in K as [Sg K]. rewrite forallb_forall in Sg.
    assert (L : (a < length (shape v))%nat).
    { cbn [continued] in K. unfold carried in K. rewrite !andb_true_iff, Nat.ltb_lt in K. lia. }
    split.
    + inversion F as [|? j ? ? Nj F' Es Ks]. subst. now destruct (O j e0 Nj) as (_ & _ & ? & _).
    + intros i I. pose proof (proj2 I a L).
      destruct (continued_right a 0 (shape v) G _ _ env i S O F K I L)
        as (before & j & behind & e & Q & J & Nj & R); [lia|].
      cbv zeta in R. rewrite Z.add_0_l in R. destruct R as (B & J' & W).
      exists j, e, (put a (nth a i 0 - fold_right Z.add 0 (map (fun k => nth a (shape_of p k) 0) before)) i).
      split; trivial. split; [now apply Nat.eqb_eq, Sg|]. split; trivial. intro t. split; [apply W|].
      rewrite Value by trivial. rewrite Q, map_app in Me. simpl in Me.
      specialize (Me _ _ _ _ eq_refl). cbv zeta in Me. rewrite map_map in Me. simpl in Me. now apply Me.
Qed.

(** ** All nodes *)

Lemma nodes_right : forall vs listings env env', in_order env -> coherent env ->
  (forall k v, nth_error vs k = Some v -> nth_error (nodes p) (length env + k) = Some v) ->
  check_nodes wraps shift p env vs listings = Derived env' -> in_order env' /\ coherent env'.
Proof.
  induction vs as [|v vs IH]; intros [|l ls] env env' O C N H; cbn [check_nodes] in H; try easy.
  - injection H as <-. now split.
  - assert (N' : forall e, forall k u, nth_error vs k = Some u ->
      nth_error (nodes p) (length (env ++ [e]) + k) = Some u).
    { intros e k u U. rewrite app_length. simpl. replace (length env + 1 + k)%nat with (length env + S k)%nat by lia.
      now apply N. }
    pose proof (N 0%nat v eq_refl) as Nv. rewrite Nat.add_0_r in Nv. pose proof (shape_of_node _ _ Nv) as Sh.
    unfold check_node in H. destruct l as [l|].
    + set (G := listed_fact l) in *. destruct (fits G (shape v)) eqn:S; [|easy].
      destruct (found env (inputs v)) as [es|] eqn:Fd; [|easy].
      apply found_right in Fd. destruct l as [F|F U|F W].
      * cbv zeta in H. destruct (are_cells es && negb (is_transform (op v))) eqn:Ce; [|destruct (no_sums es) eqn:Ns].
        -- apply andb_true_iff in Ce as [Ce _]. destruct (carries (op v) (shape v) G es) as [s|] eqn:Ca.
           ++ destruct (carries_right v G es env s Nv O C Fd S Ce Ca) as [Sg R]. rewrite <- Sh in S, R, H.
              destruct (signal_carried env G s O C S Sg R) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
           ++ destruct (rule wraps (op v) shift (shape v) G es) eqn:R; try easy.
              apply (rule_right (length env) v G es env) in R; trivial. rewrite <- Sh in S, R, H.
              destruct (signal_born env G Cells O C S I R) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
        -- destruct (both _ _) eqn:R in H; try discriminate H. apply both_yes in R as [A R]. apply ask_yes in A.
           destruct (proj2 (proj1 M) A) as [_ Turning].
           apply (spectrum_right (length env) v G [] es env) in R; trivial; [|now intros q []].
           assert (R' : right turn (fun t => t) G (shape v) (read Cells (shape v) (made (length env)))).
           { intros t i t' i' Ii Ii' L. specialize (R t i t' i' Ii Ii' L). cbn [read] in *.
             now rewrite <- !(unwound_nothing numbers Turning turn (made (length env))). }
           rewrite <- Sh in S, R', H.
           destruct (signal_born env G Cells O C S I R') as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
        -- destruct (both _ _) eqn:R in H; try discriminate H. apply both_yes in R as [A R].
           apply ask_yes in A. rewrite !andb_true_iff in A. destruct A as [[A FU] Si].
           apply (folds_right (length env) v G (alone (shape v)) es env) in R; trivial.
           assert (R' : right turn (fun t => t) G (shape v) (read Cells (shape v) (made (length env)))).
           { intros t i t' i' Ii Ii' L. specialize (R t i t' i' Ii Ii' L). cbv beta in R.
             rewrite !(nothing_summed numbers (proj1 (proj1 M) A)) in R by trivial. exact R. }
           rewrite <- Sh in S, R', H.
           destruct (signal_born env G Cells O C S I R') as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
      * destruct (both _ _) eqn:R in H; try discriminate H. apply both_yes in R as [A R].
        apply ask_yes, andb_true_iff in A as [A FU].
        apply (folds_right (length env) v G U es env) in R; trivial. rewrite <- Sh in S, FU, R, H.
        destruct (signal_born env G (Sums U) O C S FU R) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
      * destruct (both _ _) eqn:R in H; try discriminate H. apply both_yes in R as [A R].
        apply ask_yes in A. rewrite !andb_true_iff in A. destruct A as [[A SW] Cy]. apply has_cycles_right in Cy.
        apply (spectrum_right (length env) v G W es env) in R; trivial. rewrite <- Sh in S, SW, R, H.
        destruct (signal_born env G (Turned W) O C S (conj SW Cy) R) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
    + destruct (nothing_known env O C) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
Qed.

(** Of a node whose cells are known themselves, they are as its fact says. *)
Theorem derived_right : forall listings env k e,
  check_nodes wraps shift p [] (nodes p) listings = Derived env ->
  nth_error env k = Some (Some e) -> read_as e = Cells ->
  extent e = shape_of p k /\ premise turn copy (fact e) (shape_of p k, fun z => m z k).
Proof.
  intros listings env k e H K U. assert (E : in_order env /\ coherent env).
  { apply (nodes_right (nodes p) listings [] env); trivial.
    - intros j e' N. destruct j; easy.
    - intros j e' ? ? N. destruct j; easy. }
  destruct E as [O C]. destruct (O k e K) as (S & X & _). split; trivial.
  split; simpl; rewrite <- X; trivial. intros t i t' i' I I' L.
  specialize (C k e k e K K eq_refl t i t' i' I I' L). unfold value in C. now rewrite U in C.
Qed.

End Walk.
