(** * What is known of a node that is turned is right

    The rules of spectra and transforms, and of slices that are glued together again, of any model: of the image and its
    shifted copies, cells of one label have one value once they are turned back. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Rolls Orders Views Picks Mixtures Sums Folds Laps.
From Shifts Require Import Additions Turns Spectra Fourier Slices Checker Nodes.
Import ListNotations.
Open Scope Z_scope.

Section Turned.
Context {V : Type}.
Variable numbers : arithmetic V.
Variable p : program.
Variable m : model V.
Hypothesis M : is_model numbers p m.
Context {index : Type}.
Variables (turn : index -> Z) (copy : index -> images V).
Coercion turn : index >-> Z.
Notation right := (right turn (fun t => t)).
Notation premise := (premise turn (fun t => t)).
Notation made := (made m copy).
Notation read := (read numbers turn).
Notation in_order := (in_order numbers p).
Notation coherent := (coherent numbers m turn copy).

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
  extent e = shape_of p j /\ premise (fact e) (unwound_operand numbers turn (turns_of e) (shape_of p j, made j)) /\
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
  right G (shape v) (read (Turned W) (shape v) (made k)).
Proof.
  intros N O C F A SG SW DW H. destruct (proj2 (proj1 M) A) as [Law Turning].
  pose proof (proj2 M k v N) as Me. unfold operands_of in Me. unfold spectrum_rule in H.
  destruct (no_sums es) eqn:No; [|discriminate H]. cbn [read].
  assert (One : forall e, es = [e] -> exists j, inputs v = [j] /\ extent e = shape_of p j /\
    premise (fact e) (unwound_operand numbers turn (turns_of e) (shape_of p j, made j)) /\
    sane_phases (shape_of p j) (turns_of e) = true /\ cycles_divide (full numbers) (turns_of e)).
  { intros e ->. inversion F as [|? j ? js Nj F' Es Ks]. inversion F'. subst. exists j. split; trivial.
    now apply (turned_back_right env). }
  set (us := combine es (inputs v)).
  set (ops := map (fun u => (fact (fst u), unwound_operand numbers turn (turns_of (fst u))
                                             (shape_of p (snd u), made (snd u)))) us).
  assert (Len : length es = length (inputs v)) by (clear - F; induction F; simpl; congruence).
  assert (Each : forall e j, In (e, j) us -> In e es /\ extent e = shape_of p j /\
    premise (fact e) (unwound_operand numbers turn (turns_of e) (shape_of p j, made j)) /\
    sane_phases (shape_of p j) (turns_of e) = true /\ cycles_divide (full numbers) (turns_of e)).
  { intros e j I. split; [now apply in_combine_l in I|]. apply (turned_back_right env); trivial.
    - unfold us in I. clear - F I. induction F as [|e0 j0 es ks N F IH]; [easy|]. destruct I as [I|I]; [|now apply IH].
      now injection I as -> ->.
    - apply no_sums_in with es; trivial. now apply in_combine_l in I. }
  assert (Us : inputs v = map snd us) by (unfold us; clear - Len; revert Len; generalize (inputs v);
    induction es as [|e es IH]; intros [|j js] L; simpl in *; try easy; f_equal; apply IH; congruence).
  assert (Ue : es = map fst us) by (unfold us; clear - Len; revert Len; generalize (inputs v);
    induction es as [|e es IH]; intros [|j js] L; simpl in *; try easy; f_equal; apply IH; congruence).
  assert (Pr : forall F0 one, In (F0, one) ops -> premise F0 one).
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
    apply (reshape_turns_right numbers (shape v)); trivial;
      [apply cell_at_inside with (fact e) | apply (place_cell_at (fact e))]; trivial; simpl; lia.
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
    inversion F as [|? j ? js Nj F' Es Ks]. inversion F' as [|? j' ? js' Nj' F'' Es' Ks']. inversion F''. subst.
    clear F'' F'.
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
    apply (unwound_equal numbers Turning turn W (turns_of e) (fun t _ => m (copy t) j (repeated (shape_of p j) c)));
      trivial.
    apply (sum_turns_right numbers (shape v)) with (axes := axes); trivial. intros b Lb Nb.
    apply in_product_seq in K as [_ K]. specialize (K b Lb). cbn [Nat.add] in K.
    unfold mixed in K. rewrite Nb in K. now destruct K as [K|[]].
  - (* Fourier *)
    destruct es as [|e [|? ?]]; try discriminate H. destruct (One e eq_refl) as (j & Ks & X & P & Ss & DS).
    rewrite Ks in Me. rewrite X in H. destruct (Me _ _ eq_refl) as (D & f & Lin & Me').
    apply (fourier_right V numbers Law Turning index turn a inverse half (shape v) G W (fact e) (turns_of e)
      (shape_of p j, made j) f); trivial. intros t i I. now apply Me'.
Qed.

(** The same of slices of one array that are glued together again. *)
Lemma glued_cells_right v G env : nth_error (nodes p) (length env) = Some v -> in_order env -> coherent env ->
  fits G (shape v) = true -> glue_rule p env v G [] true = Yes -> right G (shape v) (made (length env)).
Proof.
  intros N O C SG H. unfold glue_rule in H. destruct (op v) as [| | | | | | | | | | |a| | | | | |]; try discriminate H.
  pose proof (origin_right p a numbers m M DEPTH (length env)) as [_ S].
  destruct (origin p a DEPTH (length env)) as [k l]. cbn [fst snd] in S.
  destruct (nth_error env k) as [[e|]|] eqn:Ne; try discriminate H. destruct (are_cells [e]) eqn:Ce; [|discriminate H].
  apply both_yes in H as [H _]. destruct (O k e Ne) as (Fe & X & _). rewrite X in H, Fe.
  apply (pick_right turn (fun t => t) a l (shape v) G (fact e) (shape_of p k, made k) _ SG); trivial.
  - split; [exact Fe|]. intros t i t' i' I I' L. specialize (C k e k e Ne Ne eq_refl t i t' i'). rewrite X in C.
    specialize (C I I' L). unfold value, are_cells in *. simpl in Ce. now destruct (read_as e).
  - intros t i I. apply S. unfold shape_of. now rewrite N.
Qed.

Lemma glued_spectra_right v G W env : nth_error (nodes p) (length env) = Some v -> in_order env -> coherent env ->
  has_spectra p = true -> fits G (shape v) = true -> cycles_divide (full numbers) W ->
  glue_rule p env v G W false = Yes ->
  right G (shape v) (read (Turned W) (shape v) (made (length env))).
Proof.
  intros N O C A SG DW H. destruct (proj2 (proj1 M) A) as [_ Turning]. unfold glue_rule in H.
  destruct (op v) as [| | | | | | | | | | |a| | | | | |]; try discriminate H.
  pose proof (origin_right p a numbers m M DEPTH (length env)) as [_ S].
  destruct (origin p a DEPTH (length env)) as [k l]. cbn [fst snd] in S.
  destruct (nth_error env k) as [[e|]|] eqn:Ne; try discriminate H. destruct (no_sums [e]) eqn:Ns; [|discriminate H].
  destruct (turned_back_right env e k O C A Ne Ns) as (X & P & Ss & DS).
  apply both_yes in H as [H Tu]. apply ask_yes in Tu. rewrite X in H.
  apply (pick_right turn (fun t => t) a l (shape v) G (fact e) _ _ SG P H). intros t i I. cbn [read].
  apply (unwound_equal numbers Turning turn); [apply S; unfold shape_of; now rewrite N|].
  now apply (pick_turns_right numbers).
Qed.

End Turned.
