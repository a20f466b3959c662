(** * The checker is right

    Read the last theorem first: where [check] says [Proved] of a certificate, the statement holds of every model of its
    program. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Semantics Indices Rules Orders Views Mixtures Checker.
Import ListNotations.
Open Scope Z_scope.

Lemma fold_add_map {A} (n n' : A -> Z) l : (forall v, In v l -> n v = n' v) ->
  fold_right Z.add 0 (map n l) = fold_right Z.add 0 (map n' l).
Proof. intro H. f_equal. now apply map_ext_in. Qed.

(** ** One generator *)

Section Walk.
Context {V : Type}.
Variable p : program.
Variable m : model V.
Hypothesis M : is_model p m.
Variable axes_of_shift : list Z.
Variables x y : images V.
Hypothesis T : shifted p axes_of_shift x y.

Notation copy := (copy x y).

(** The value of a cell of node j, of the one copy or the other. *)
Definition value (j : nat) (t : bool) (i : list Z) : V := m (copy t) j i.

(** What is known of a node fits its shape; and of all cells of one signal, those of one label have one value. *)
Definition in_order (env : list (option known)) : Prop :=
  forall j e, nth_error env j = Some (Some e) ->
    fits (fact e) (extent e) = true /\ extent e = shape_of p j /\ (signal e < length env)%nat.
Definition coherent (env : list (option known)) : Prop :=
  forall j e j' e', nth_error env j = Some (Some e) -> nth_error env j' = Some (Some e') -> signal e = signal e' ->
    forall t i t' i', inside (extent e) i -> inside (extent e') i' -> label (fact e) t i = label (fact e') t' i' ->
      value j t i = value j' t' i'.

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
    destruct (O j e H) as (A & B & D). repeat split; trivial; simpl; lia.
  - intros j e j' e' H H'. apply known_before in H as [H|[_ H]]; [|easy].
    apply known_before in H' as [H'|[_ H']]; [|easy]. now apply C.
Qed.

(** A node with a signal of its own: it is enough that its own cells agree. *)
Lemma signal_born env G : in_order env -> coherent env ->
  fits G (shape_of p (length env)) = true ->
  right x y G (shape_of p (length env)) (fun z => m z (length env)) ->
  let e := Known G (length env) (shape_of p (length env)) in
  in_order (env ++ [Some e]) /\ coherent (env ++ [Some e]).
Proof.
  intros O C S R e. split.
  - intros j e' H. rewrite app_length. apply known_before in H as [H|[-> H]].
    + destruct (O j e' H) as (A & B & D). repeat split; trivial; simpl; lia.
    + injection H as ->. repeat split; trivial; simpl; lia.
  - intros j e1 j' e2 H H' E t i t' i' I I' L.
    apply known_before in H as [H|[-> H]]; apply known_before in H' as [H'|[-> H']].
    + now apply (C j e1 j' e2).
    + injection H' as ->. destruct (O j e1 H) as (_ & _ & D). simpl in E; lia.
    + injection H as ->. destruct (O j' e2 H') as (_ & _ & D). simpl in E; lia.
    + injection H as ->; injection H' as ->. now apply R.
Qed.

(** A node that shows the signal of its operands: each of its cells is a cell of theirs, of the same label. *)
Lemma signal_carried env G s : in_order env -> coherent env ->
  fits G (shape_of p (length env)) = true -> (s < length env)%nat ->
  (forall i, inside (shape_of p (length env)) i -> exists j e i0,
     nth_error env j = Some (Some e) /\ signal e = s /\ inside (extent e) i0 /\
     forall t, label G t i = label (fact e) t i0 /\ value (length env) t i = value j t i0) ->
  let e := Known G s (shape_of p (length env)) in
  in_order (env ++ [Some e]) /\ coherent (env ++ [Some e]).
Proof.
  intros O C S Sg R e. split.
  - intros j e' H. rewrite app_length. apply known_before in H as [H|[-> H]].
    + destruct (O j e' H) as (A & B & D). repeat split; trivial; simpl; lia.
    + injection H as ->. repeat split; trivial; simpl; lia.
  - assert (Back : forall j e' i, nth_error (env ++ [Some e]) j = Some (Some e') -> inside (extent e') i ->
      exists j0 e0 i0, nth_error env j0 = Some (Some e0) /\ signal e0 = signal e' /\ inside (extent e0) i0 /\
        forall t, label (fact e') t i = label (fact e0) t i0 /\ value j t i = value j0 t i0).
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

Definition as_operand (e : known) (j : nat) : list (list factor) * operand V :=
  (fact e, (shape_of p j, fun z => m z j)).
Definition operands (es : list known) (ks : list nat) : list (list (list factor) * operand V) :=
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
  forall F one, In (F, one) (operands es ks) -> premise x y F one.
Proof.
  intros O C H; induction H as [|e j es ks N H IH]; [repeat split; easy|].
  destruct IH as (A & B & D & P). unfold operands, pairs, paired in *. simpl. rewrite A, B, D.
  destruct (O j e N) as (S & X & _). rewrite X. repeat split; trivial.
  - destruct H0 as [H0|H0].
    + unfold as_operand in H0. injection H0 as <- <-. simpl. now rewrite <- X.
    + now apply P.
  - destruct H0 as [H0|H0].
    + unfold as_operand in H0. injection H0 as <- <-. simpl. rewrite <- X. intros t i t' i' I I' L.
      now apply (C j e j e).
    + now apply P.
Qed.

Lemma axis_equal fs gs : equal_axes fs gs = true -> fs = gs.
Proof.
  revert gs; induction fs as [|[a b c d] fs IH]; intros [|[a' b' c' d'] gs] H; simpl in H; try easy.
  unfold equal_factors in H; simpl in H. rewrite !andb_true_iff, !Z.eqb_eq in H.
  destruct H as [[[[-> ->] ->] ->] H]. f_equal; auto.
Qed.

Lemma shows_right c gs fs t i : sane fs = true -> shows c gs fs = true ->
  coordinates gs t i = coordinates fs t (i + c).
Proof.
  intros S H. destruct gs as [|g [|g' gs']], fs as [|f [|f' fs']]; simpl in H; try easy.
  rewrite !andb_true_iff, Z.eqb_eq in H. destruct H as [[P Q] R]. apply sane_cons in S as [S _].
  apply sane1_positive in S. apply divides in Q, R; try lia.
  simpl. rewrite !Z.div_1_r. f_equal. unfold coordinate. rewrite P. apply equal_mod; [lia|].
  replace (offset g + i - turn t * step g - (offset f + (i + c) - turn t * step f))
    with ((offset g - offset f - c) - turn t * (step g - step f)) by ring.
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
    + apply shows_right; trivial. apply W; lia.
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
  fits G (shape v) = true -> rule (op v) axes_of_shift (shape v) G es = Yes ->
  right x y G (shape v) (fun z => m z k).
Proof.
  intros N O C F S H. pose proof (M k v N) as Me. unfold operands_of in Me.
  destruct (operands_right env (inputs v) es O C F) as (E1 & E2 & E3 & P). rewrite <- E1 in Me.
  set (ops := operands es (inputs v)) in *.
  assert (One : forall e, es = [e] -> exists one,
    ops = [(fact e, one)] /\ fst one = extent e /\ premise x y (fact e) one).
  { intros e ->. inversion F as [|? j ? ? Nj F' Es Ks]. inversion F'. subst.
    exists (shape_of p j, fun z => m z j). unfold ops. rewrite <- Ks. split; [reflexivity|].
    destruct (O j e Nj) as (_ & X & _). split; [simpl; now rewrite X|]. apply P. unfold ops. rewrite <- Ks. now left. }
  assert (First : forall e others, es = e :: others -> exists one rest, ops = (fact e, one) :: rest /\
    fst one = extent e /\ map fst rest = map fact others).
  { intros e others ->. inversion F as [|? j ? js Nj F' Es Ks]. subst.
    exists (shape_of p j, fun z => m z j), (operands others js). unfold ops. rewrite <- Ks. split; [reflexivity|].
    destruct (O j e Nj) as (_ & X & _). split; [simpl; now rewrite X|].
    now destruct (operands_right env js others O C F') as (_ & ? & _). }
  destruct (op v) as [axes| |periods| | | |axes| |order|a start by_|a|a before behind inner|dims kept symmetric
                     |axes outs symmetric|kept|] eqn:Op; cbn [means rule] in *.
  - (* Input *)
    destruct es; [|easy]. intros t i t' i' I I' L. rewrite !Me by trivial.
    apply (image_right x y axes axes_of_shift (shape v) G k); trivial. intros j J. now apply (T k v axes).
  - (* Weight *)
    destruct es; [|easy]. destruct Me as [W Me]. intros t i t' i' I I' L. rewrite !Me by trivial.
    apply (constant_right x y (shape v) (shape v) G W S H) with (t := t) (t' := t'); trivial.
    intros j j' J J' Q. f_equal. now apply weight_repeats with (shape v).
  - (* Constant *)
    destruct es; [|easy]. destruct Me as (W & Pe & Me). intros t i t' i' I I' L. rewrite !Me by trivial.
    now apply (constant_right x y periods (shape v) G W S H) with (t := t) (t' := t').
  - (* Map *)
    destruct es as [|e0 es0]; [easy|]. destruct Me as [f Me].
    apply (maps_right x y (shape v) G ops f); trivial. intros F0 one I. split; [now apply P|].
    assert (K : In (F0, fst one) (paired (e0 :: es0))) by (rewrite <- E3; now apply in_pairs).
    unfold paired in K. apply in_map_iff in K as [e [Q K]]. injection Q as <- <-.
    eapply all_yes in H; [exact H|]. now apply in_map with (f := fun e => map_rule (shape v) G (extent e) (fact e)).
  - (* Combine *)
    destruct es as [|e0 es0]; [easy|]. destruct Me as [f Me].
    apply (maps_right x y (shape v) G ops f); trivial. intros F0 one I. split; [now apply P|].
    assert (K : In (F0, fst one) (paired (e0 :: es0))) by (rewrite <- E3; now apply in_pairs).
    unfold paired in K. apply in_map_iff in K as [e [Q K]]. injection Q as <- <-.
    eapply all_yes in H; [exact H|]. now apply in_map with (f := fun e => map_rule (shape v) G (extent e) (fact e)).
  - (* Multiply *)
    destruct es as [|e0 es0]; [easy|]. destruct Me as [f Me].
    apply (maps_right x y (shape v) G ops f); trivial. intros F0 one I. split; [now apply P|].
    assert (K : In (F0, fst one) (paired (e0 :: es0))) by (rewrite <- E3; now apply in_pairs).
    unfold paired in K. apply in_map_iff in K as [e [Q K]]. injection Q as <- <-.
    eapply all_yes in H; [exact H|]. now apply in_map with (f := fun e => map_rule (shape v) G (extent e) (fact e)).
  - (* Broadcast *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (broadcast_right x y axes (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Reshape *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (reshape_right x y (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Transpose *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (transpose_right x y order (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Take *)
    destruct es as [|e [|? ?]]; try easy. destruct (One e eq_refl) as (one & Q & X & Pe). rewrite <- X in H.
    apply (take_right x y a start by_ (shape v) G (fact e) one); trivial.
    intros z i I. rewrite Q in Me. destruct one as [s A]. now apply (Me s A).
  - (* Concat *)
    destruct es as [|e0 es0]; [easy|]. apply both_yes in H as [L H]. apply ask_yes, Nat.ltb_lt in L.
    rewrite <- E3 in H. now apply (concat_right x y a (shape v) G ops).
  - (* Pad *)
    destruct es as [|e [|e' [|? ?]]]; try easy.
    destruct (First e [e'] eq_refl) as (one & rest & Q & X & R).
    destruct rest as [|[F2 two] [|? ?]]; try easy. simpl in R. injection R as ->.
    assert (X' : fst two = extent e').
    { rewrite Q in E3. unfold pairs, paired in E3. simpl in E3. now injection E3. }
    rewrite <- X, <- X' in H. rewrite Q in Me, P.
    apply (pad_right x y a before behind inner (shape v) G (fact e) one (fact e') two); trivial.
    + apply P; now left.
    + apply P; right; now left.
    + intros z i I. destruct one as [s A], two as [s' A']. now apply (Me s A s' A').
  - (* Window *)
    destruct es as [|e others]; [easy|]. destruct (First e others eq_refl) as (one & rest & Q & X & R).
    rewrite <- X, <- R in H. rewrite Q in Me, P. destruct one as [s A]. destruct (Me s A _ eq_refl) as (f & Sy & Me').
    apply (window_right x y symmetric dims kept (shape v) G (fact e) (s, A) rest f); trivial.
    + apply P; now left.
    + intros F' two I. apply P; now right.
  - (* Mix *)
    destruct es as [|e0 es0]; [easy|]. destruct Me as (f & Sy & Me). rewrite <- E3 in H.
    now apply (mix_right x y axes outs symmetric (shape v) G ops f).
  - (* Whole *)
    destruct es as [|e others]; [easy|]. destruct (First e others eq_refl) as (one & rest & Q & X & R).
    rewrite <- X, <- R in H. rewrite Q in Me, P. destruct one as [s A]. destruct (Me s A _ eq_refl) as (f & Me').
    apply (window_right x y false [] kept (shape v) G (fact e) (s, A) rest f); trivial.
    + apply P; now left.
    + intros F' two I. apply P; now right.
    + easy.
  - (* Other *)
    easy.
Qed.

Lemma shape_of_node k v : nth_error (nodes p) k = Some v -> shape_of p k = shape v.
Proof. unfold shape_of. now intros ->. Qed.

Lemma carries_right v G es env s : nth_error (nodes p) (length env) = Some v -> in_order env -> coherent env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es (inputs v) ->
  fits G (shape v) = true -> carries (op v) (shape v) G es = Some s ->
  (s < length env)%nat /\
  forall i, inside (shape v) i -> exists j e i0,
     nth_error env j = Some (Some e) /\ signal e = s /\ inside (extent e) i0 /\
     forall t, label G t i = label (fact e) t i0 /\ value (length env) t i = value j t i0.
Proof.
  intros N O C F S H. pose proof (M _ v N) as Me. unfold operands_of in Me. unfold value.
  destruct (op v) as [axes| |periods| | | |axes| |order|a start by_|a|a before behind inner|dims kept symmetric
                     |axes outs symmetric|kept|] eqn:Op; cbn [means carries] in *; try easy.
  - (* Take *)
    destruct es as [|e [|? ?]]; try easy. inversion F as [|? j ? ? Nj F' Es Ks]. inversion F'. subst.
    destruct ((by_ =? 1) && (0 <=? start) && (start + nth a (shape v) 0 <=? nth a (extent e) 0)
              && carried a start (shape v) G e) eqn:K; [|easy].
    injection H as <-. rewrite !andb_true_iff, Z.eqb_eq, !Z.leb_le in K. destruct K as [[[-> B] B'] K].
    destruct (O j e Nj) as (SE & X & Sg). split; trivial. intros i I.
    assert (L : (a < length (shape v))%nat).
    { unfold carried in K. rewrite !andb_true_iff, Nat.ltb_lt in K. lia. }
    pose proof (proj2 I a L). destruct (carried_right a start (shape v) G e i S SE K I) as [J W]; [lia|].
    exists j, e, (put a (nth a i 0 + start) i).
    split; trivial. split; trivial. split; trivial. intro t. split; [apply W|].
    rewrite <- Ks in Me. rewrite (Me (shape_of p j) (fun z => m z j)); trivial.
    now replace (start + 1 * nth a i 0) with (nth a i 0 + start) by ring.
  - (* Concat *)
    destruct es as [|e0 es0]; [easy|].
    destruct (forallb (fun e' => (signal e' =? signal e0)%nat) (e0 :: es0)
              && continued a 0 (shape v) G (e0 :: es0)) eqn:K; [|easy].
    injection H as <-. apply andb_true_iff in K as [Sg K]. rewrite forallb_forall in Sg.
    assert (L : (a < length (shape v))%nat).
    { cbn [continued] in K. unfold carried in K. rewrite !andb_true_iff, Nat.ltb_lt in K. lia. }
    split.
    + inversion F as [|? j ? ? Nj F' Es Ks]. subst. now destruct (O j e0 Nj) as (_ & _ & ?).
    + intros i I. pose proof (proj2 I a L).
      destruct (continued_right a 0 (shape v) G _ _ env i S O F K I L)
        as (before & j & behind & e & Q & J & Nj & R); [lia|].
      cbv zeta in R. rewrite Z.add_0_l in R. destruct R as (B & J' & W).
      exists j, e, (put a (nth a i 0 - fold_right Z.add 0 (map (fun k => nth a (shape_of p k) 0) before)) i).
      split; trivial. split; [now apply Nat.eqb_eq, Sg|]. split; trivial. intro t. split; [apply W|].
      rewrite Q, map_app in Me. simpl in Me.
      specialize (Me _ _ _ _ eq_refl). cbv zeta in Me. rewrite map_map in Me. simpl in Me. now apply Me.
Qed.

(** ** All nodes *)

Lemma nodes_right : forall vs listings env env', in_order env -> coherent env ->
  (forall k v, nth_error vs k = Some v -> nth_error (nodes p) (length env + k) = Some v) ->
  check_nodes axes_of_shift env vs listings = Derived env' -> in_order env' /\ coherent env'.
Proof.
  induction vs as [|v vs IH]; intros [|l ls] env env' O C N H; cbn [check_nodes] in H; try easy.
  - injection H as <-. now split.
  - assert (N' : forall e, forall k u, nth_error vs k = Some u ->
      nth_error (nodes p) (length (env ++ [e]) + k) = Some u).
    { intros e k u U. rewrite app_length. simpl. replace (length env + 1 + k)%nat with (length env + S k)%nat by lia.
      now apply N. }
    pose proof (N 0%nat v eq_refl) as Nv. rewrite Nat.add_0_r in Nv. pose proof (shape_of_node _ _ Nv) as Sh.
    unfold check_node in H. destruct l as [G|].
    + destruct (fits G (shape v)) eqn:S; [|easy]. destruct (found env (inputs v)) as [es|] eqn:Fd; [|easy].
      apply found_right in Fd. destruct (carries (op v) (shape v) G es) as [s|] eqn:Ca.
      * destruct (carries_right v G es env s Nv O C Fd S Ca) as [Sg R]. rewrite <- Sh in S, R, H.
        destruct (signal_carried env G s O C S Sg R) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
      * destruct (rule (op v) axes_of_shift (shape v) G es) eqn:R; try easy.
        apply (rule_right (length env) v G es env) in R; trivial. rewrite <- Sh in S, R, H.
        destruct (signal_born env G O C S R) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
    + destruct (nothing_known env O C) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
Qed.

Lemma derived_right listings env k e : check_nodes axes_of_shift [] (nodes p) listings = Derived env ->
  nth_error env k = Some (Some e) ->
  extent e = shape_of p k /\ premise x y (fact e) (shape_of p k, fun z => m z k).
Proof.
  intros H K. assert (E : in_order env /\ coherent env).
  { apply (nodes_right (nodes p) listings [] env); trivial.
    - intros j e' N. destruct j; easy.
    - intros j e' ? ? N. destruct j; easy. }
  destruct E as [O C]. destruct (O k e K) as (S & X & _). split; trivial.
  split; simpl; rewrite <- X; trivial. intros t i t' i' I I' L. now apply (C k e k e).
Qed.

End Walk.

(** ** What follows for the output *)

Lemma back_inside axes r s i : inside s i -> inside s (back axes r s i).
Proof.
  intros [L I]. apply build_inside. intros a A. specialize (I a A). rewrite (nth_indep s 1 0) by trivial.
  destruct (listed a axes); [apply Z.mod_pos_bound; lia | trivial].
Qed.

(** [m] at [y] is [m] at [x], moved by [r'] along some axes of its output. *)
Definition acts {V} (p : program) (m : model V) (axes : list nat) (r r' : list Z) : Prop :=
  forall x y, shifted p r x y -> forall i, inside (shape_of p (output p)) i ->
    m y (output p) i = m x (output p) (back axes r' (shape_of p (output p)) i).

Lemma moves_along_right n r fs j : moves_along n r fs = Yes -> sane fs = true -> size fs = n -> 0 <= j < n ->
  alike fs true j false ((j - r) mod n).
Proof.
  intros H S Z J. unfold moves_along in H. pose proof (Z.mod_pos_bound (j - r) n ltac:(lia)) as B.
  destruct (still fs && (r mod n =? 0)) eqn:U.
  - apply andb_true_iff in U as [U R]. apply divides in R; [|lia].
    replace ((j - r) mod n) with j; [now apply still_stays|].
    rewrite <- (Z.mod_small j n) at 1 by lia. apply equal_mod; [lia|].
    now replace (j - (j - r)) with r by ring.
  - clear U. destruct (merged fs) as [f|]; [|easy]. apply both_yes in H as [C H]. apply ask_yes in C.
    rewrite !andb_true_iff, Z.eqb_eq in C. destruct C as [[[S1 Q] P] R].
    pose proof (sane1_positive f S1). apply divides in P, R; try lia.
    apply (follows_right FUEL [f] fs); trivial; try (simpl; lia).
    + unfold sane; simpl. now rewrite S1.
    + apply alike_one; trivial. unfold alike1. simpl turn.
      replace (j - (j - r) mod n - (1 - 0) * step f) with ((j - r - (j - r) mod n) - (step f - r)) by ring.
      apply Z.divide_sub_r; trivial. apply Z.divide_trans with n; trivial.
      apply Z.mod_divide; [lia|]. rewrite Zminus_mod, Zmod_mod, Z.sub_diag. apply Z.mod_0_l; lia.
Qed.

Lemma moves_right {V} (x y : images V) (m : model V) k s axes r e : premise x y (fact e) (s, fun z => m z k) ->
  extent e = s -> moves axes r e = Yes -> forall i, inside s i -> m y k i = m x k (back axes r s i).
Proof.
  intros P X H i I. pose proof (back_inside axes r s i I) as B.
  refine (premise_cell x y (fact e) (s, fun z => m z k) true i false _ P I B _).
  intros a A. simpl in A. pose proof (fits_right _ _ (proj1 P)) as [_ W]. simpl in W. destruct (W a A) as [S Z].
  unfold moves in H. rewrite X in H. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact A]].
  unfold back. rewrite nth_build, (nth_indep s 1 0) by trivial. pose proof (proj2 I a A).
  destruct (listed a axes); [now apply moves_along_right | now apply still_stays; [|apply ask_yes]].
Qed.

Lemma check_generator_right {V} c g (m : model V) : is_model (about c) m -> check_generator c g = Proved ->
  match what c with
  | Invariance => acts (about c) m [] (by_shift g) []
  | Equivariance axes same => acts (about c) m axes (by_shift g) (by_output g) /\
                              (same = true -> acts (about c) m axes (by_shift g) (by_shift g))
  end.
Proof.
  intros M H. unfold check_generator in H.
  destruct (check_nodes (by_shift g) [] (nodes (about c)) (listings g)) as [env|why k] eqn:D; [|destruct why; easy].
  destruct (nth_error env (output (about c))) as [[e|]|] eqn:N; try easy.
  assert (R : concludes (what c) (by_shift g) (by_output g) e = Yes).
  { destruct (concludes (what c) (by_shift g) (by_output g) e); easy. }
  assert (K : forall axes r, moves axes r e = Yes -> acts (about c) m axes (by_shift g) r).
  { intros axes r E x y T i I. destruct (derived_right (about c) m M (by_shift g) x y T _ env _ e D N) as [X P].
    now apply (moves_right x y m _ _ axes r e P). }
  unfold concludes in R. destruct (what c) as [|axes same].
  - now apply K.
  - apply both_yes in R as [R1 R2]. split; [now apply K|]. intros ->. now apply K.
Qed.

(** ** All shifts that the generators reach *)

Lemma back_nth axes r s i a : (a < length s)%nat -> nth a (back axes r s i) 0 =
  if listed a axes then (nth a i 0 - nth (position a axes) r 0) mod nth a s 1 else nth a i 0.
Proof. apply nth_build. Qed.

Lemma back_twice axes n r g s i : (length axes <= n)%nat -> inside s i ->
  back axes r s (back axes g s i) = back axes (plus n r g) s i.
Proof.
  intros L I. apply map_seq_equal. intros a A. rewrite !back_nth by trivial.
  destruct (listed a axes) eqn:E; trivial. apply listed_in, position_in in E as [E _].
  unfold plus. rewrite nth_build by lia. rewrite Zminus_mod_idemp_l. f_equal; ring.
Qed.

Lemma back_plus_minus axes n r g s i : (length axes <= n)%nat -> inside s i ->
  back axes (minus n r g) s (back axes g s i) = back axes r s i.
Proof.
  intros L I. apply map_seq_equal. intros a A. rewrite !back_nth by trivial.
  destruct (listed a axes) eqn:E; trivial. apply listed_in, position_in in E as [E _].
  unfold minus. rewrite nth_build by lia. rewrite Zminus_mod_idemp_l. f_equal; ring.
Qed.

Lemma back_and_forth axes n g s i : (length axes <= n)%nat -> inside s i ->
  back axes g s (back axes (build n (fun a => - nth a g 0)) s i) = i.
Proof.
  intros L [N I]. unfold back at 1. apply equal_lists; [now rewrite build_length|].
  rewrite build_length. intros a A. rewrite nth_build, !back_nth by trivial. specialize (I a A).
  destruct (listed a axes) eqn:E; trivial. apply listed_in, position_in in E as [E _].
  rewrite nth_build by lia. rewrite Zminus_mod_idemp_l, (nth_indep s 1 0) by trivial.
  replace (nth a i 0 - - nth (position a axes) g 0 - nth (position a axes) g 0) with (nth a i 0) by ring.
  now apply Z.mod_small.
Qed.

Lemma back_minus axes n r g s i : (length axes <= n)%nat -> inside s i ->
  back axes r s (back axes (build n (fun a => - nth a g 0)) s i) = back axes (minus n r g) s i.
Proof.
  intros L I. apply map_seq_equal. intros a A. rewrite !back_nth by trivial.
  destruct (listed a axes) eqn:E; trivial. apply listed_in, position_in in E as [E _].
  unfold minus. rewrite !nth_build by lia. rewrite Zminus_mod_idemp_l. f_equal; ring.
Qed.

(** The images shifted by r, cell by cell. *)
Definition shift_images {V} (p : program) (r : list Z) (x : images V) : images V :=
  fun k i => match nth_error (nodes p) k with
             | Some v => match op v with Input axes => x k (back axes r (shape v) i) | _ => x k i end
             | None => x k i
             end.

Lemma shift_images_right {V} p r (x : images V) : shifted p r x (shift_images p r x).
Proof. intros k v axes N Op i I. unfold shift_images. now rewrite N, Op. Qed.

Definition axes_fit (p : program) (n : nat) : Prop :=
  forall k v axes, nth_error (nodes p) k = Some v -> op v = Input axes -> (length axes <= n)%nat.

Lemma acts_plus {V} p (m : model V) axes n n' r r' g g' : axes_fit p n -> (length axes <= n')%nat ->
  acts p m axes r r' -> acts p m axes g g' -> acts p m axes (plus n r g) (plus n' r' g').
Proof.
  intros F L R G x y T i I. set (z := shift_images p r x).
  assert (T1 : shifted p r x z) by apply shift_images_right.
  assert (T2 : shifted p g z y).
  { intros k v ax N Op j J. rewrite (T k v ax N Op j J). rewrite (T1 k v ax N Op) by now apply back_inside.
    f_equal. symmetry. apply back_twice; trivial. now apply (F k v). }
  rewrite (G z y T2 i I), (R x z T1) by now apply back_inside. f_equal. now apply back_twice.
Qed.

Lemma acts_minus {V} p (m : model V) axes n n' r r' g g' : axes_fit p n -> (length axes <= n')%nat ->
  acts p m axes r r' -> acts p m axes g g' -> acts p m axes (minus n r g) (minus n' r' g').
Proof.
  intros F L R G x y T i I. set (z := shift_images p g y).
  assert (T1 : shifted p g y z) by apply shift_images_right.
  assert (T2 : shifted p r x z).
  { intros k v ax N Op j J. rewrite (T1 k v ax N Op j J). rewrite (T k v ax N Op) by now apply back_inside.
    f_equal. apply back_plus_minus; trivial. now apply (F k v). }
  set (j := back axes (build n' (fun a => - nth a g' 0)) (shape_of p (output p)) i).
  assert (J : inside (shape_of p (output p)) j) by now apply back_inside.
  pose proof (G y z T1 j J) as E1. pose proof (R x z T2 j J) as E2.
  unfold j in E1 at 2. rewrite (back_and_forth axes n' g' _ i L I) in E1.
  unfold j in E2 at 2. rewrite (back_minus axes n' r' g' _ i L I) in E2. congruence.
Qed.

Lemma back_nothing r s i : inside s i -> back [] r s i = i.
Proof.
  intros [L I]. apply equal_lists; [unfold back; now rewrite build_length|].
  unfold back. rewrite build_length. intros a A. now rewrite nth_build.
Qed.

Lemma first_not_proved_right results : first_not_proved results = Proved -> forall r, In r results -> r = Proved.
Proof.
  induction results as [|r rs IH]; simpl; intros H u I; [easy|].
  destruct I as [->|I].
  - now destruct u.
  - destruct r; try easy. now apply IH.
Qed.

(** Where the checker says [Proved], the statement holds: for values of any type, for every model of the program (so for
    all functions of the classes that its operations name, and all weights), for every shift [r] that is a sum of
    listed generators and their inverses, [r'] being the same sum of their output shifts, and for all images x and y
    of which y is x shifted by r: the output at y is the output at x, or, of an equivariance, that shifted by r' along
    the axes named (and by r, where the statement says that it moves as the image does). *)
Theorem checked_statements_hold : forall c, check c = Proved ->
  forall (V : Type) (m : model V), is_model (about c) m ->
  forall r r',
    generated (length (grid c)) (rank_of (what c)) (map (fun g => (by_shift g, by_output g)) (generators c)) r r' ->
    answers (about c) m (what c) r r'.
Proof.
  intros c H V m M r r' Ge. unfold check in H. destruct (well_formed c) eqn:W; [|easy].
  assert (A : forall g, In g (generators c) -> check_generator c g = Proved).
  { intros g I. apply (first_not_proved_right _ H). now apply in_map. }
  unfold well_formed in W. rewrite !andb_true_iff in W. destruct W as [[[[_ W1] _] _] W2].
  assert (F : axes_fit (about c) (length (grid c))).
  { intros k v axes N Op. apply nth_error_In in N. rewrite forallb_forall in W1. specialize (W1 v N).
    unfold has_grid in W1. rewrite Op, !andb_true_iff, Nat.eqb_eq in W1. lia. }
  assert (K : forall axes n', (length axes <= n')%nat ->
    forall h : generator -> list Z, (forall g, In g (generators c) -> acts (about c) m axes (by_shift g) (h g)) ->
    forall r s, generated (length (grid c)) n' (map (fun g => (by_shift g, h g)) (generators c)) r s ->
    acts (about c) m axes r s).
  { intros axes n' L h Each q s G. induction G as [g g' I|q s g g' I _ IH|q s g g' I _ IH];
      apply in_map_iff in I as [u [E I]]; injection E as <- <-; [now apply Each | |].
    - apply acts_plus; trivial. now apply Each.
    - apply acts_minus; trivial. now apply Each. }
  assert (Twice : forall n' l r0 s0, generated (length (grid c)) n' l r0 s0 ->
    generated (length (grid c)) (length (grid c)) (map (fun u => (fst u, fst u)) l) r0 r0).
  { intros n' l r0 s0 G. induction G as [g g' I|q s g g' I _ IH|q s g g' I _ IH];
      apply (in_map (fun u => (fst u, fst u))) in I; simpl in I;
      [now apply listed_itself | now apply onwards | now apply backwards]. }
  assert (B : forall g, In g (generators c) -> match what c with
    | Invariance => acts (about c) m [] (by_shift g) []
    | Equivariance axes same => acts (about c) m axes (by_shift g) (by_output g) /\
                                (same = true -> acts (about c) m axes (by_shift g) (by_shift g)) end).
  { intros g I. apply check_generator_right; auto. }
  intros x y T i I. cbv zeta. destruct (what c) as [|axes same]; simpl rank_of in Ge.
  - assert (Z0 : acts (about c) m [] r r').
    { now apply (K [] 0%nat (Nat.le_refl 0) by_output). }
    rewrite (Z0 x y T i I). now rewrite back_nothing.
  - rewrite !andb_true_iff in W2. destruct W2 as [_ W2]. split.
    + apply (K axes (length axes) (Nat.le_refl _) by_output) with (r := r); trivial. intros g J. now apply B.
    + intros ->. simpl in W2. apply Nat.eqb_eq in W2.
      apply (K axes (length (grid c)) ltac:(lia) by_shift) with (r := r); trivial.
      * intros g J. now apply B.
      * apply Twice in Ge. now rewrite map_map in Ge.
Qed.
