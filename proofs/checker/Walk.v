(** * What is known of every node is right

    One node after another: its fact is checked by the rule that there is for it, or its cells are cells of its operands
    and show the same signal. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Rolls Orders Views Picks Mixtures Sums Folds Laps.
From Shifts Require Import Additions Turns Spectra Fourier Slices Checker Nodes Turned.
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

Notation made := (made m copy).
Notation read := (read numbers turn).
Notation in_order := (in_order numbers p).
Notation coherent := (coherent numbers m turn copy).
Notation value := (value numbers m turn copy).
Notation right := (right turn (fun t => t)).

Lemma cells_rule_right v G es env : nth_error (nodes p) (length env) = Some v -> in_order env -> coherent env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es (inputs v) -> fits G (shape v) = true ->
    are_cells es = true ->
  cells_rule wraps shift p env v G es = Yes -> right G (shape v) (made (length env)).
Proof.
  intros N O C F S Ce H. unfold cells_rule in H.
  destruct (rule wraps (op v) shift (shape v) G es) eqn:R;
    [exact (rule_right numbers p m M wraps shift turn copy T (length env) v G es env N O C F S Ce R)|..];
    (destruct (glue_rule p env v G [] true) eqn:Gl; try discriminate H;
      now apply (glued_cells_right numbers p m M turn copy)).
Qed.

Lemma turned_rule_right v G W es env : nth_error (nodes p) (length env) = Some v -> in_order env -> coherent env ->
  Forall2 (fun e j => nth_error env j = Some (Some e)) es (inputs v) -> has_spectra p = true ->
  fits G (shape v) = true -> sane_phases (shape v) W = true -> cycles_divide (full numbers) W ->
  turned_rule p env v G W es = Yes ->
  right G (shape v) (read (Turned W) (shape v) (made (length env))).
Proof.
  intros N O C F A S SW DW H. unfold turned_rule in H.
  destruct (spectrum_rule (op v) (shape v) G W es) eqn:R;
    [exact (spectrum_right numbers p m M turn copy (length env) v G W es env N O C F A S SW DW R)|..];
    (destruct (glue_rule p env v G W false) eqn:Gl; try discriminate H;
      now apply (glued_spectra_right numbers p m M turn copy)).
Qed.

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
      destruct (continued_right numbers p a 0 (shape v) G _ _ env i S O F K I L)
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
    pose proof (N 0%nat v eq_refl) as Nv. rewrite Nat.add_0_r in Nv. pose proof (shape_of_node p _ _ Nv) as Sh.
    unfold check_node in H. destruct l as [l|].
    + set (G := listed_fact l) in *. destruct (fits G (shape v)) eqn:S; [|easy].
      destruct (found env (inputs v)) as [es|] eqn:Fd.
      2: { destruct l as [F| |]; try discriminate H. destruct (glue_rule p env v G [] true) eqn:R; try discriminate H.
           apply (glued_cells_right numbers p m M turn copy) in R; trivial. rewrite <- Sh in S, R, H.
           destruct (signal_born numbers p m turn copy env G Cells O C S I R) as [O' C'].
           apply (IH ls _ _ O' C' (N' _) H). }
      apply found_right in Fd. destruct l as [F|F U|F W].
      * cbv zeta in H. destruct (are_cells es && negb (is_transform (op v))) eqn:Ce; [|destruct (no_sums es) eqn:Ns].
        -- apply andb_true_iff in Ce as [Ce _]. destruct (carries (op v) (shape v) G es) as [s|] eqn:Ca.
           ++ destruct (carries_right v G es env s Nv O C Fd S Ce Ca) as [Sg R]. rewrite <- Sh in S, R, H.
              destruct (signal_carried numbers p m turn copy env G s O C S Sg R) as [O' C'].
              apply (IH ls _ _ O' C' (N' _) H).
           ++ destruct (cells_rule wraps shift p env v G es) eqn:R; try discriminate H.
              apply (cells_rule_right v G es env) in R; trivial. rewrite <- Sh in S, R, H.
              destruct (signal_born numbers p m turn copy env G Cells O C S I R) as [O' C'].
              apply (IH ls _ _ O' C' (N' _) H).
        -- destruct (both _ _) eqn:R in H; try discriminate H. apply both_yes in R as [A R]. apply ask_yes in A.
           destruct (proj2 (proj1 M) A) as [_ Turning].
           apply (turned_rule_right v G [] es env) in R; trivial; [|now intros q []].
           assert (R' : right G (shape v) (read Cells (shape v) (made (length env)))).
           { intros t i t' i' Ii Ii' L. specialize (R t i t' i' Ii Ii' L). cbn [read] in *.
             now rewrite <- !(unwound_nothing numbers Turning turn (made (length env))). }
           rewrite <- Sh in S, R', H.
           destruct (signal_born numbers p m turn copy env G Cells O C S I R') as [O' C'].
           apply (IH ls _ _ O' C' (N' _) H).
        -- destruct (both _ _) eqn:R in H; try discriminate H. apply both_yes in R as [A R].
           apply ask_yes in A. rewrite !andb_true_iff in A. destruct A as [[A FU] Si].
           apply (folds_right numbers p m M turn copy (length env) v G (alone (shape v)) es env) in R; trivial.
           assert (R' : right G (shape v) (read Cells (shape v) (made (length env)))).
           { intros t i t' i' Ii Ii' L. specialize (R t i t' i' Ii Ii' L). cbv beta in R.
             rewrite !(nothing_summed numbers (proj1 (proj1 M) A)) in R by trivial. exact R. }
           rewrite <- Sh in S, R', H.
           destruct (signal_born numbers p m turn copy env G Cells O C S I R') as [O' C'].
           apply (IH ls _ _ O' C' (N' _) H).
      * destruct (both _ _) eqn:R in H; try discriminate H. apply both_yes in R as [A R].
        apply ask_yes, andb_true_iff in A as [A FU].
        apply (folds_right numbers p m M turn copy (length env) v G U es env) in R; trivial.
        rewrite <- Sh in S, FU, R, H.
        destruct (signal_born numbers p m turn copy env G (Sums U) O C S FU R) as [O' C'].
        apply (IH ls _ _ O' C' (N' _) H).
      * destruct (both _ _) eqn:R in H; try discriminate H. apply both_yes in R as [A R].
        apply ask_yes in A. rewrite !andb_true_iff in A. destruct A as [[A SW] Cy].
        apply (has_cycles_right numbers p m M) in Cy.
        apply (turned_rule_right v G W es env) in R; trivial. rewrite <- Sh in S, SW, R, H.
        destruct (signal_born numbers p m turn copy env G (Turned W) O C S (conj SW Cy) R) as [O' C'].
        apply (IH ls _ _ O' C' (N' _) H).
    + destruct (nothing_known numbers p m turn copy env O C) as [O' C']. apply (IH ls _ _ O' C' (N' _) H).
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
