(** * What is known of a node is right

    The checker goes through the nodes, and knows of each what it has checked. All of it is true of any model: of the
    image and its shifted copies, cells of one label have one value, or sums of cells have, or cells that are turned
    back. Here are the rules of cells, and of sums of them. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Rolls Orders Views Picks Mixtures Sums Folds Laps.
From Shifts Require Import Additions Turns Spectra Fourier Slices Checker.
Import ListNotations.
Open Scope Z_scope.

Section Known.
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

(** The arrays that a model gives a node, by the copy; of these the cells, or their sums, or the cells turned back; and
    of what is known of node j the value, of any copy. *)
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
  intros N O C F A SG SU H. pose proof (proj1 (proj1 M) A) as Law. pose proof (proj2 M k v N) as Me.
  unfold operands_of in Me.
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

Lemma shape_of_node k v : nth_error (nodes p) k = Some v -> shape_of p k = shape v.
Proof. unfold shape_of. now intros ->. Qed.

End Known.
