(** * The rule that makes folds: a weighted sum over windows that run over the ends of one period

    Padded by zeros on both sides, a window meets each cell of a period with each of its weights. So the sum of its
    places modulo the period is what the window makes of the cells around the torus. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders Views Sums.
Import ListNotations.
Open Scope Z_scope.

(** ** What windows show around a torus *)

(** The cell that stands at w around a torus of n cells that were pulled [base] apart; none where padding stands. *)
Definition around (n low base w : Z) : option Z :=
  let v := (w - low) mod (n * base) in if v mod base =? 0 then Some (v / base) else None.

(** What windows show, as [shown] says, number by number; around the torus where the axis of the result is a fold. *)
Definition spot (fold : nat -> bool) (dims : list dim) (kept : list (nat * nat)) (s i : list Z) (a : nat) (k : Z)
  : option Z :=
  match find (fun d => (axis d =? a)%nat) dims with
  | Some d => (if fold (out d) then around else stands)
                (nth a s 0) (low d) (base d) (stride d * nth (out d) i 0 + dilation d * k)
  | None => match find (fun names => (fst names =? a)%nat) kept with
            | Some names => Some (nth (snd names) i 0)
            | None => Some k
            end
  end.
Definition spots (dims : list dim) (kept : list (nat * nat)) (s : list Z) (a : nat) : list Z :=
  match find (fun d => (axis d =? a)%nat) dims with
  | Some d => range (width d)
  | None => match find (fun names => (fst names =? a)%nat) kept with
            | Some names => [0]
            | None => range (nth a s 0)
            end
  end.
Definition around_shown (fold : nat -> bool) (dims : list dim) (kept : list (nat * nat)) (s i : list Z) (a : nat)
  : list (option Z) := map (spot fold dims kept s i a) (spots dims kept s a).
Definition around_view {V} (fold : nat -> bool) (dims : list dim) (kept : list (nat * nat)) (s i : list Z) (A : array V)
  : list (option V) :=
  map (fun c => option_map A (all_there c)) (product (map (around_shown fold dims kept s i) (seq 0 (length s)))).

Lemma shown_spots dims kept s i a : shown dims kept s i a = around_shown (fun _ => false) dims kept s i a.
Proof.
  unfold shown, around_shown, spot, spots. destruct (find _ dims) as [d|]; trivial. now destruct (find _ kept).
Qed.

(** ** The rule *)

(** Along axis d of the operand, one period of n cells: every weight of the window meets every cell of it, as [folds] of
    the kernel says. The sums of the result modulo the period move by the step, times [base]. *)
Definition makes_laps (d : dim) (n m : Z) (gs us fs : parts) : verdict :=
  both (ask (fits_window d n m && (stride d =? 1) && (dilation d * (width d - 1) <=? low d)
             && (dilation d * (width d - 1) <=? high d)))
    match us, gs, fs with
    | [[u]], [[g]], [p] =>
        match merged p with
        | Some f =>
            both (ask (sane1 f && (cells f =? size p) && (period u =? n * base d) && (n mod period f =? 0)
                       && strided1 1 (base d) g f))
              (follows FUEL [f] p)
        | None => Unknown
        end
    | _, _, _ => Unknown
    end.

(** An axis of the result of which sums are listed. *)
Definition is_fold (U : list parts) (o : nat) : bool := negb (single_axis (nth o U [])).

Definition laps_axis (dims : list dim) (kept : list (nat * nat)) (sh : list Z) (G U : list parts) (s : list Z)
  (F : list parts) (a : nat) : verdict :=
  match find (fun d => (axis d =? a)%nat) dims with
  | Some d =>
      if is_fold U (out d) then
        both (ask (out d <? length sh)%nat)
          (makes_laps d (nth a s 0) (nth (out d) sh 0) (nth (out d) G []) (nth (out d) U []) (nth a F []))
      else seen_axis false dims kept sh G s F a
  | None => seen_axis false dims kept sh G s F a
  end.

Definition laps_rule (dims : list dim) (kept : list (nat * nat)) (sh : list Z) (G U : list parts) (s : list Z)
  (F : list parts) (others : list (list parts)) : verdict :=
  let axes := map axis dims ++ map fst kept in
  let outs := map out dims ++ map snd kept in
  both (ask (distinct axes && below (length s) axes && distinct outs && below (length sh) outs
             && forallb (fun o => negb (is_fold U o) || listed o (map out dims)) (seq 0 (length sh))
             && forallb (fun names => negb (is_fold U (snd names))) kept
             && forallb (fun o => single_axis (nth o G []) && single_axis (nth o U [])) (unnamed outs (length sh))
             && forallb stays others))
    (all_of (map (laps_axis dims kept sh G U s F) (seq 0 (length s)))).

(** ** Lists *)

Lemma product_of_maps {A B} (g : nat -> A -> B) (r : nat -> list A) l :
  product (map (fun a => map (g a) (r a)) l) =
  map (fun ks => map (fun u => g (fst u) (snd u)) (combine l ks)) (product (map r l)).
Proof.
  induction l as [|a l IH]; simpl; trivial. rewrite IH. induction (r a) as [|k ks IHk]; simpl; trivial.
  now rewrite map_app, IHk, !map_map.
Qed.

Lemma all_there_some l c : all_there l = Some c <-> l = map Some c.
Proof.
  revert c; induction l as [|[v|] l IH]; intro c; simpl.
  - split; [intro E; now injection E as <- | now destruct c].
  - destruct (all_there l) as [c'|]; simpl.
    + split; intro E.
      * injection E as <-. simpl. f_equal. now apply IH.
      * destruct c as [|w c]; simpl in E; [easy|]. injection E as -> E. do 2 f_equal. apply IH in E. now injection E.
    + split; intro E; [easy|]. destruct c as [|w c]; simpl in E; [easy|]. injection E as _ E. apply IH in E. easy.
  - split; intro E; [easy | now destruct c].
Qed.

Lemma in_product_seq (h : nat -> list Z) rank b c : In c (product (map h (seq b rank))) <->
  length c = rank /\ forall a, (a < rank)%nat -> In (nth a c 0) (h (b + a)%nat).
Proof.
  revert b c; induction rank as [|rank IH]; intros b c; simpl.
  - split; [intros [<-|[]]; split; trivial; lia | intros [L _]; left; now destruct c].
  - rewrite in_flat_map. split.
    + intros [v [I K]]. apply in_map_iff in K as [c' [<- K]]. apply IH in K as [L K]. split; [simpl; lia|].
      intros [|a] Q; [now rewrite Nat.add_0_r | rewrite <- Nat.add_succ_comm; apply K; lia].
    + intros [L K]. destruct c as [|v c]; [easy|]. exists v. split.
      * specialize (K O ltac:(lia)). now rewrite Nat.add_0_r in K.
      * apply in_map, IH. split; [simpl in L; lia|]. intros a Q. rewrite Nat.add_succ_comm. apply (K (S a)); lia.
Qed.

Lemma named_once {A} (name : A -> nat) l more u v : distinct (map name l ++ more) = true -> In u l -> In v l ->
  name u = name v -> u = v.
Proof.
  intros D U W E. unfold distinct in D. rewrite forallb_forall in D.
  apply In_nth with (d := u) in U as (k & K & U). apply In_nth with (d := u) in W as (k' & K' & W).
  assert (P : forall k, (k < length l)%nat -> position (name (nth k l u)) (map name l ++ more) = k).
  { intros q Q. specialize (D q ltac:(apply in_seq; rewrite app_length, map_length; lia)).
    rewrite app_nth1 in D by (rewrite map_length; lia). rewrite (nth_indep _ O (name u)) in D
      by (rewrite map_length; lia). rewrite map_nth in D. now apply Nat.eqb_eq in D. }
  pose proof (P k K) as Q. pose proof (P k' K') as Q'. rewrite U in Q. rewrite W, <- E in Q'. congruence.
Qed.

Lemma find_named {A} (name : A -> nat) l more u : distinct (map name l ++ more) = true -> In u l ->
  find (fun v => (name v =? name u)%nat) l = Some u.
Proof.
  intros D U. destruct (find (fun v => (name v =? name u)%nat) l) as [v|] eqn:F.
  - apply find_some in F as [F E]. apply Nat.eqb_eq in E. f_equal. now apply (named_once name l more).
  - pose proof (find_none _ _ F u U) as E. simpl in E. now rewrite Nat.eqb_refl in E.
Qed.

(** ** Sums over the laps *)

Section Laps.
Context {V : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Notation zero := (nought numbers).
Variables (fold : nat -> bool) (dims : list dim) (kept : list (nat * nat)) (s sh : list Z) (U : list parts).

(** How the windows run, and which places are summed. *)
Record laps : Prop := Laps
  { fitting : fits U sh = true;
    apart_else : forall o, (o < length sh)%nat -> fold o = false -> single_axis (nth o U []) = true;
    run_along : forall o, (o < length sh)%nat -> fold o = true -> exists d, In d dims /\ out d = o;
    by_axis : forall d, In d dims -> find (fun e => (axis e =? axis d)%nat) dims = Some d;
    by_out : forall d, In d dims -> find (fun e => (out e =? out d)%nat) dims = Some d;
    is_axis : forall d, In d dims -> (axis d < length s)%nat;
    is_out : forall d, In d dims -> (out d < length sh)%nat;
    kept_apart : forall names, In names kept -> (snd names < length sh)%nat /\ fold (snd names) = false;
    padded : forall d, In d dims -> fold (out d) = true ->
      let n := nth (axis d) s 0 in let reach := dilation d * (width d - 1) in
      1 <= n /\ 1 <= base d /\ 1 <= dilation d /\ stride d = 1 /\ reach <= low d /\ reach <= high d /\
      nth (out d) sh 0 = (n - 1) * base d + 1 + low d + high d - reach /\
      forall q q', 0 <= q < nth (out d) sh 0 -> 0 <= q' < nth (out d) sh 0 ->
        (alike_axis (nth (out d) U []) 0 q 0 q' <-> (n * base d | q - q')) }.
Hypothesis Run : laps.

Definition read (around_ : nat -> bool) (i ks : list Z) : option (list Z) :=
  all_there (map (fun u => spot around_ dims kept s i (fst u) (snd u)) (combine (seq 0 (length s)) ks)).
Definition all_spots : list (list Z) := product (map (spots dims kept s) (seq 0 (length s))).
Notation flat := (fun _ : nat => false).

Lemma view_spots f i (A : array V) :
  around_view f dims kept s i A = map (fun ks => option_map A (read f i ks)) all_spots.
Proof. unfold around_view, around_shown. now rewrite product_of_maps, map_map. Qed.

Lemma read_some f i ks c : length ks = length s -> (read f i ks = Some c <->
  length c = length s /\ forall a, (a < length s)%nat -> spot f dims kept s i a (nth a ks 0) = Some (nth a c 0)).
Proof.
  intro L. unfold read. rewrite all_there_some. set (l := map _ _).
  assert (N : length l = length s) by (unfold l; rewrite map_length, combine_length, seq_length; lia).
  assert (K : forall a, (a < length s)%nat -> nth a l None = spot f dims kept s i a (nth a ks 0)).
  { intros a I. unfold l. rewrite (nth_indep _ None (spot f dims kept s i (fst (O, 0)) (snd (O, 0))))
      by (fold l; lia). rewrite (map_nth (fun u => spot f dims kept s i (fst u) (snd u))), combine_nth
      by (rewrite seq_length; lia). simpl. now rewrite seq_nth by lia. }
  assert (K' : forall a, (a < length c)%nat -> nth a (map Some c) None = Some (nth a c 0)).
  { intros a I. rewrite (nth_indep _ None (Some 0)) by (rewrite map_length; lia). apply (map_nth Some). }
  split.
  - intro E. assert (C : length c = length s) by (rewrite <- N, E; now rewrite map_length). split; trivial.
    intros a I. rewrite <- K, E by trivial. apply K'; lia.
  - intros [C H]. apply nth_ext with None None; [rewrite map_length; lia|]. intros a I.
    rewrite K, K' by lia. apply H; lia.
Qed.

Lemma classmates i j : inside sh i -> In j (class U sh i) -> inside sh j /\
  (forall o, (o < length sh)%nat -> fold o = false -> nth o j 0 = nth o i 0) /\
  (forall d, In d dims -> fold (out d) = true -> (nth (axis d) s 0 * base d | nth (out d) i 0 - nth (out d) j 0)).
Proof.
  intros I J. apply in_class in J as [J B]. rewrite (beside_alike U sh) in B by apply Run. split; trivial. split.
  - intros o O F. pose proof (fits_right U sh (fitting Run)) as [_ W]. destruct (W o O) as [SU ZU]. symmetry.
    apply (single_axis_tells (nth o U []) 0 _ 0 _); trivial; [now apply Run | rewrite ZU; now apply I |
      rewrite ZU; now apply J | now apply B].
  - intros d D F. pose proof (is_out Run d D). apply (padded Run d D F); [now apply I | now apply J | now apply B].
Qed.

(** What a place sees of the cells is what is seen around the torus. *)
Lemma seen_around i j a k v : inside sh i -> In j (class U sh i) -> (a < length s)%nat ->
  spot flat dims kept s j a k = Some v -> spot fold dims kept s i a k = Some v.
Proof.
  intros I J L E. destruct (classmates i j I J) as (IJ & Same & Mod). unfold spot in *.
  destruct (find _ dims) as [d|] eqn:Fd.
  - apply find_some in Fd as [D Q]. apply Nat.eqb_eq in Q. subst a. destruct (fold (out d)) eqn:Fo.
    + destruct (padded Run d D Fo) as (N & B & _ & St & _). specialize (Mod d D Fo).
      pose proof (stands_cases (nth (axis d) s 0) (low d) (base d) (stride d * nth (out d) j 0 + dilation d * k)
        ltac:(lia)) as C. rewrite E, St, Z.mul_1_l in C. unfold around. rewrite St, Z.mul_1_l.
      replace ((nth (out d) i 0 + dilation d * k - low d) mod (nth (axis d) s 0 * base d)) with (v * base d).
      * now rewrite Z.mod_mul, Z.div_mul by lia.
      * rewrite <- (Z.mod_small (v * base d) (nth (axis d) s 0 * base d)) by nia. apply equal_mod.
        replace (v * base d - (nth (out d) i 0 + dilation d * k - low d)) with (- (nth (out d) i 0 - nth (out d) j 0))
          by lia. now apply Z.divide_opp_r.
    + rewrite <- (Same (out d)) by (trivial; now apply Run). exact E.
  - destruct (find _ kept) as [names|] eqn:Fk; trivial. apply find_some in Fk as [K _].
    destruct (kept_apart Run names K). now rewrite <- (Same (snd names)).
Qed.

(** Where cells are seen around the torus there is one place that sees them. *)
Definition sees (i ks c : list Z) : list Z :=
  build (length sh) (fun o =>
    if fold o then match find (fun d => (out d =? o)%nat) dims with
                   | Some d => nth (axis d) c 0 * base d + low d - dilation d * nth (axis d) ks 0
                   | None => 0
                   end
    else nth o i 0).

Lemma sees_right i ks c : inside sh i -> In ks all_spots -> read fold i ks = Some c ->
  In (sees i ks c) (class U sh i) /\ read flat (sees i ks c) ks = Some c.
Proof.
  intros I K R. unfold all_spots in K. apply in_product_seq in K as [LK K]. apply read_some in R as [LC R]; trivial.
  assert (At : forall d, In d dims -> fold (out d) = true -> let n := nth (axis d) s 0 in let v := nth (axis d) c 0 in
    nth (out d) (sees i ks c) 0 = v * base d + low d - dilation d * nth (axis d) ks 0 /\
    0 <= v < n /\ 0 <= nth (axis d) ks 0 < width d /\
    (n * base d | nth (out d) i 0 - nth (out d) (sees i ks c) 0)).
  { intros d D Fo n v. destruct (padded Run d D Fo) as (N & B & _ & St & _). fold n in N.
    assert (E : nth (out d) (sees i ks c) 0 = v * base d + low d - dilation d * nth (axis d) ks 0).
    { unfold sees. rewrite nth_build by now apply Run. now rewrite Fo, (by_out Run d D). }
    split; trivial. specialize (R (axis d) (is_axis Run d D)). specialize (K (axis d) (is_axis Run d D)).
    unfold spot in R. unfold spots in K. simpl in K. rewrite (by_axis Run d D) in R, K. rewrite Fo in R.
    apply in_range in K. rewrite St, Z.mul_1_l in R. unfold around in R. fold n v in R.
    set (w := (nth (out d) i 0 + dilation d * nth (axis d) ks 0 - low d)) in *.
    pose proof (Z.mod_pos_bound w (n * base d) ltac:(nia)) as M.
    destruct (w mod (n * base d) mod base d =? 0) eqn:Z0; [|easy]. injection R as R. apply Z.eqb_eq in Z0.
    pose proof (digits (base d) (w mod (n * base d)) ltac:(lia)) as Q. rewrite R, Z0, Z.add_0_r in Q.
    split; [nia|]. split; trivial. rewrite E.
    replace (nth (out d) i 0 - (v * base d + low d - dilation d * nth (axis d) ks 0)) with (w - w mod (n * base d))
      by (rewrite Q; unfold w; ring).
    rewrite Z.mod_eq by nia. exists (w / (n * base d)). ring. }
  assert (Else : forall o, (o < length sh)%nat -> fold o = false -> nth o (sees i ks c) 0 = nth o i 0).
  { intros o O F. unfold sees. rewrite nth_build by trivial. now rewrite F. }
  assert (There : inside sh (sees i ks c)).
  { split; [apply build_length|]. intros o O. destruct (fold o) eqn:Fo.
    - destruct (run_along Run o O Fo) as (d & D & <-). destruct (At d D Fo) as (-> & Bv & Bk & _).
      destruct (padded Run d D Fo) as (N & B & Di & St & Lo & Hi & -> & _). split; nia.
    - rewrite Else by trivial. now apply I. }
  split.
  - apply in_class. split; trivial. rewrite (beside_alike U sh) by apply Run. intros o O. destruct (fold o) eqn:Fo.
    + destruct (run_along Run o O Fo) as (d & D & <-). destruct (At d D Fo) as (_ & _ & _ & M).
      apply (padded Run d D Fo); trivial; [now apply I | now apply There].
    + rewrite Else by trivial. reflexivity.
  - apply read_some; trivial. split; trivial. intros a L. specialize (R a L). unfold spot in *.
    destruct (find _ dims) as [d|] eqn:Fd.
    + apply find_some in Fd as [D Q]. apply Nat.eqb_eq in Q. subst a. destruct (fold (out d)) eqn:Fo.
      * destruct (At d D Fo) as (-> & Bv & _). destruct (padded Run d D Fo) as (N & B & _ & St & _). rewrite St.
        pose proof (stands_cases (nth (axis d) s 0) (low d) (base d)
          (1 * (nth (axis d) c 0 * base d + low d - dilation d * nth (axis d) ks 0) + dilation d * nth (axis d) ks 0)
          ltac:(lia)) as C.
        destruct (stands _ _ _ _) as [v|]; [f_equal; nia | exfalso; apply (C _ Bv); lia].
      * now rewrite Else by (trivial; now apply Run).
    + destruct (find _ kept) as [names|] eqn:Fk; trivial. apply find_some in Fk as [Q _].
      destruct (kept_apart Run names Q). now rewrite Else.
Qed.

Lemma seen_once i j ks c : inside sh i -> In ks all_spots -> In j (class U sh i) -> read flat j ks = Some c ->
  read fold i ks = Some c /\ j = sees i ks c.
Proof.
  intros I K J R. pose proof K as K'. unfold all_spots in K'. apply in_product_seq in K' as [LK _].
  assert (R' : read fold i ks = Some c).
  { apply read_some in R as [LC R]; trivial. apply read_some; trivial. split; trivial. intros a L.
    apply (seen_around i j); auto. }
  split; trivial. destruct (classmates i j I J) as (IJ & Same & _). apply read_some in R as [_ R]; trivial.
  apply equal_lists; [unfold sees; rewrite build_length; apply IJ|]. intros o O. rewrite (proj1 IJ) in O.
  unfold sees. rewrite nth_build by trivial. destruct (fold o) eqn:Fo; [|now apply Same].
  destruct (run_along Run o O Fo) as (d & D & <-). rewrite (by_out Run d D). specialize (R (axis d) (is_axis Run d D)).
  unfold spot in R. rewrite (by_axis Run d D) in R. destruct (padded Run d D Fo) as (N & B & _ & St & _).
  pose proof (stands_cases (nth (axis d) s 0) (low d) (base d)
    (stride d * nth (out d) j 0 + dilation d * nth (axis d) ks 0) ltac:(lia)) as C. rewrite R, St in C. lia.
Qed.

(** The sum of a weighted sum over all places that agree modulo the period is that of what is seen around the torus. *)
Theorem laps_meet : forall (w : nat -> V -> V) (A : array V) i, (forall k, w k zero = zero) -> inside sh i ->
  let value seen k := w k (match nth k seen None with Some v => v | None => zero end) in
  let all seen := total numbers (map (value seen) (seq 0 (length seen))) in
  total numbers (map (fun j => all (view dims kept s j A)) (class U sh i)) = all (around_view fold dims kept s i A).
Proof.
  intros w A i W I. cbv zeta.
  assert (Q : forall j, view dims kept s j A = map (fun ks => option_map A (read flat j ks)) all_spots).
  { intro j. rewrite <- view_spots. unfold view, around_view. do 2 f_equal. apply map_ext. intro a. apply shown_spots. }
  rewrite view_spots, map_length. erewrite map_ext by (intro j; rewrite Q, map_length; reflexivity).
  rewrite (total_swap numbers Law). f_equal. apply map_ext_in. intros k K. apply in_seq in K.
  assert (At : forall f j, nth k (map (fun ks => option_map A (read f j ks)) all_spots) None =
                           option_map A (read f j (nth k all_spots []))).
  { intros f j. rewrite (nth_indep _ None (option_map A (read f j []))) by (rewrite map_length; lia).
    apply (map_nth (fun ks => option_map A (read f j ks))). }
  rewrite At. erewrite map_ext by (intro j; rewrite At; reflexivity).
  set (ks := nth k all_spots []). assert (S : In ks all_spots) by (apply nth_In; lia).
  destruct (read fold i ks) as [c|] eqn:R.
  - destruct (sees_right i ks c I S R) as [In1 R1].
    rewrite (total_single numbers Law _ _ (sees i ks c)); trivial; [now rewrite R1 | apply class_no_duplicates |].
    intros j J N. destruct (read flat j ks) as [c'|] eqn:R'; simpl; [|apply W]. exfalso. apply N.
    destruct (seen_once i j ks c' I S J R') as [E ->]. congruence.
  - simpl. rewrite W. apply (total_zero numbers Law). intros j J.
    destruct (read flat j ks) as [c|] eqn:R'; simpl; [|apply W].
    destruct (seen_once i j ks c I S J R') as [E _]. congruence.
Qed.

End Laps.

(** ** The rule is right *)

Section Claims.
Context {V source : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Context {index : Type}.
Variables (turn : index -> Z) (copy : index -> source).
Coercion turn : index >-> Z.
Notation right := (right (V := V) turn copy).
Notation premise := (premise (V := V) turn copy).

Lemma rule_laps dims kept sh G U s F others : fits U sh = true -> laps_rule dims kept sh G U s F others = Yes ->
  laps (is_fold U) dims kept s sh U.
Proof.
  intros FU H. apply both_yes in H as [H E]. apply ask_yes in H. rewrite !andb_true_iff in H.
  destruct H as [[[[[[[D1 B1] D2] B2] Fo] Ke] _] _]. unfold below in B1, B2. rewrite forallb_forall in B1, B2, Fo, Ke.
  assert (Ax : forall d, In d dims -> (axis d < length s)%nat).
  { intros d D. apply Nat.ltb_lt, B1, in_or_app. left. now apply in_map. }
  assert (Ou : forall d, In d dims -> (out d < length sh)%nat).
  { intros d D. apply Nat.ltb_lt, B2, in_or_app. left. now apply in_map. }
  assert (By : forall d, In d dims -> find (fun e => (axis e =? axis d)%nat) dims = Some d).
  { intros d D. now apply find_named with (map fst kept). }
  constructor; trivial.
  - intros o O Q. unfold is_fold in Q. now apply negb_false_iff.
  - intros o O Q. specialize (Fo o ltac:(apply in_seq; lia)). rewrite Q in Fo. simpl in Fo. apply listed_in in Fo.
    apply in_map_iff in Fo as [d [E' D]]. now exists d.
  - intros d D. now apply find_named with (map snd kept).
  - intros names K. split; [apply Nat.ltb_lt, B2, in_or_app; right; now apply in_map | now apply negb_true_iff, Ke].
  - intros d D Q. eapply all_yes in E; [|apply in_map, in_seq; split; [lia | exact (Ax d D)]].
    unfold laps_axis in E. rewrite (By d D), Q in E. apply both_yes in E as [_ E]. apply both_yes in E as [W E].
    apply ask_yes in W. unfold fits_window in W. rewrite !andb_true_iff, !Z.leb_le, !Z.eqb_eq in W.
    destruct W as [[[[[[[[[N M] W1] W2] W3] W4] W5] St] Lo] Hi]. rewrite St, Z.div_1_r in W5. cbv zeta.
    repeat (split; [lia|]). pose proof (fits_right U sh FU) as [_ W]. destruct (W (out d) (Ou d D)) as [SU _].
    destruct (W (out d) (Ou d D)) as [_ ZU].
    destruct (nth (out d) U []) as [|[|u [|? ?]] [|? ?]]; try discriminate E.
    destruct (nth (out d) G []) as [|[|g [|? ?]] [|? ?]]; try discriminate E.
    destruct (nth (axis d) F []) as [|p [|? ?]]; try discriminate E. destruct (merged p) as [f|]; [|discriminate E].
    apply both_yes in E as [E _]. apply ask_yes in E. rewrite !andb_true_iff, !Z.eqb_eq in E.
    destruct E as [[[_ Pu] _] _]. rewrite sane_one_axis in SU. apply sane_cons in SU as [SU _]. intros q q' B B'.
    cbn [size_axis size] in ZU. rewrite alike_axis_one by (trivial; lia).
    unfold alike1. now rewrite Pu, Z.sub_diag, Z.mul_0_l, Z.sub_0_r.
Qed.

Lemma makes_laps_right d n m gs us fs t q t' q' k : makes_laps d n m gs us fs = Yes ->
  sane_axis gs = true -> sane_axis fs = true -> size_axis gs = m -> size_axis fs = n -> 0 <= q < m -> 0 <= q' < m ->
  alike_axis gs t q t' q' ->
  read_alike n fs t t' (around n (low d) (base d) (stride d * q + dilation d * k))
                       (around n (low d) (base d) (stride d * q' + dilation d * k)).
Proof.
  intros H SG SF ZG ZF Q Q' E. apply both_yes in H as [W H]. apply ask_yes in W. unfold fits_window in W.
  rewrite !andb_true_iff, !Z.leb_le, !Z.eqb_eq in W. destruct W as [[[[[[[[[N M] W1] W2] W3] W4] W5] St] Lo] Hi].
  destruct us as [|[|u [|? ?]] [|? ?]]; try discriminate H. destruct gs as [|[|g [|? ?]] [|? ?]]; try discriminate H.
  destruct fs as [|p [|? ?]]; try discriminate H. destruct (merged p) as [f|]; [|discriminate H].
  apply both_yes in H as [C H]. apply ask_yes in C. rewrite !andb_true_iff, !Z.eqb_eq in C.
  destruct C as [[[[S1 Z1] Pu] Pf] St1]. rewrite sane_one_axis in SG, SF. apply sane_cons in SG as [SG _].
  cbn [size_axis size] in ZG, ZF. apply alike_axis_one in E; trivial; try lia.
  pose proof (sane1_positive f S1) as [_ P1]. unfold strided1 in St1. apply andb_true_iff in St1 as [C D].
  apply divides in C, D.
  apply Z.eqb_eq, divides in Pf. rewrite St, !Z.mul_1_l in *. unfold around.
  set (v := (q + dilation d * k - low d) mod (n * base d)). set (v' := (q' + dilation d * k - low d) mod (n * base d)).
  assert (X : (period f * base d | v - v' - (t - t') * (base d * step f))).
  { assert (Y : exists c, v - v' = q - q' + c * (n * base d)).
    { exists ((q' + dilation d * k - low d) / (n * base d) - (q + dilation d * k - low d) / (n * base d)).
      unfold v, v'. rewrite !Z.mod_eq by nia. ring. }
    destruct Y as [c ->]. destruct E as [e E]. destruct Pf as [z Pf].
    replace (q - q' + c * (n * base d) - (t - t') * (base d * step f)) with
      ((q - q' - (t - t') * step g) + c * z * (period f * base d)
       + (t - t') * (step g - base d * step f)) by (rewrite Pf; ring).
    apply Z.divide_add_r; [apply Z.divide_add_r|]; [rewrite E | apply Z.divide_factor_r |]; now apply Z.divide_mul_r. }
  assert (Y : (base d | v - v')).
  { replace (v - v') with ((v - v' - (t - t') * (base d * step f)) + base d * ((t - t') * step f))
      by ring.
    apply Z.divide_add_r; [|apply Z.divide_factor_l]. apply Z.divide_trans with (period f * base d); trivial.
    apply Z.divide_factor_r. }
  pose proof (Z.mod_pos_bound (q + dilation d * k - low d) (n * base d) ltac:(nia)) as B. fold v in B.
  pose proof (Z.mod_pos_bound (q' + dilation d * k - low d) (n * base d) ltac:(nia)) as B'. fold v' in B'.
  apply equal_mod in Y. rewrite Y. destruct (v' mod base d =? 0) eqn:Z0; simpl; trivial.
  apply Z.eqb_eq in Z0. rewrite Z0 in Y. pose proof (digits (base d) v ltac:(lia)) as Dv.
  pose proof (digits (base d) v' ltac:(lia)) as Dv'. rewrite Y in Dv. rewrite Z0 in Dv'.
  set (j := v / base d) in *. set (j' := v' / base d) in *. assert (0 <= j < n) by nia. assert (0 <= j' < n) by nia.
  split; trivial. split; trivial. apply alike_one_part; try lia. apply (follows_right FUEL [f] p); trivial;
    try (simpl; lia).
  { unfold sane; simpl. now rewrite S1. }
  apply alike_one; trivial. unfold alike1. apply (Z.mul_divide_cancel_r _ _ (base d)); [lia|].
  eapply eq_ind; [exact X | rewrite Dv, Dv'; ring].
Qed.

(** A weighted sum over windows that run over the ends of one period, its padding being 0, is right as a fold: of its
    sums modulo the period the fact says what it says of cells around the torus. *)
Theorem laps_right : forall dims kept sh G U F one (others : list (list parts * operand V source)) f R,
  fits G sh = true -> fits U sh = true -> premise F one -> (forall F' two, In (F', two) others -> premise F' two) ->
  laps_rule dims kept sh G U (fst one) F (map fst others) = Yes -> weighted numbers f ->
  (forall z i, inside sh i ->
     R z i = f (coordinates_of (unnamed (map out dims ++ map snd kept) (length sh)) i)
               (view dims kept (fst one) i (snd one z)) (map (whole z) (map snd others))) ->
  right G sh (fun z => sums numbers U sh (R z)).
Proof.
  intros dims kept sh G U F one others f R S FU P PO H Wf M t i t' i' I I' E.
  pose proof (rule_laps _ _ _ _ _ _ _ _ FU H) as Run. apply both_yes in H as [C H]. apply ask_yes in C.
  rewrite !andb_true_iff in C. destruct C as [[_ Key] O]. rewrite forallb_forall in Key, O.
  assert (Sum : forall z j, inside sh j -> sums numbers U sh (R z) j =
    f (coordinates_of (unnamed (map out dims ++ map snd kept) (length sh)) j)
      (around_view (is_fold U) dims kept (fst one) j (snd one z)) (map (whole z) (map snd others))).
  { intros z j J. destruct Wf as (weight & W0 & Wf). rewrite Wf. unfold sums.
    rewrite <- (laps_meet numbers Law (is_fold U) dims kept (fst one) sh U Run) by trivial. f_equal. apply map_ext_in.
    intros k K. apply in_class in K as [K B]. rewrite M, Wf by trivial. f_equal. apply map_ext. intro n.
    f_equal. unfold coordinates_of. apply map_ext_in. intros a A. pose proof A as A'.
    apply Key, andb_true_iff in A as [_ A].
    apply unnamed_in in A' as [A' _]. rewrite (beside_alike U sh) in B by trivial.
    pose proof (fits_right U sh FU) as [_ Q]. destruct (Q a A') as [SU ZU]. symmetry.
    apply (single_axis_tells (nth a U []) 0 _ 0 _); trivial; rewrite ?ZU; auto; [now apply J | now apply K]. }
  rewrite !Sum by trivial. rewrite (key_right _ sh G t i t' i' S I I' E)
    by (intros a A; split; [now apply unnamed_in in A | now apply Key, andb_true_iff in A]).
  replace (map (whole (copy t)) (map snd others)) with (map (whole (copy t')) (map snd others)).
  - f_equal. unfold around_view.
    destruct (views_alike turn copy false F one t t' (around_shown (is_fold U) dims kept (fst one) i)
      (around_shown (is_fold U) dims kept (fst one) i') P) as [Q | [Q _]]; [|exact Q | easy].
    intros a L. eapply all_yes in H; [|apply in_map, in_seq; split; [lia | exact L]].
    assert (Plain : seen_axis false dims kept sh G (fst one) F a = Yes ->
      (forall d, find (fun d => (axis d =? a)%nat) dims = Some d -> is_fold U (out d) = false) ->
      exists l, (l = around_shown (is_fold U) dims kept (fst one) i' a \/ false = true) /\
        Permutation (around_shown (is_fold U) dims kept (fst one) i' a) l /\
        Forall2 (read_alike (nth a (fst one) 0) (nth a F []) t t') (around_shown (is_fold U) dims kept (fst one) i a) l).
    { intros Sa No.
      assert (Q : forall j, around_shown (is_fold U) dims kept (fst one) j a = shown dims kept (fst one) j a).
      { intro j. rewrite shown_spots. unfold around_shown. apply map_ext. intro k. unfold spot.
        destruct (find (fun d => (axis d =? a)%nat) dims) as [d|]; trivial. now rewrite (No d eq_refl). }
      rewrite !Q. now apply (seen_axis_right turn copy false) with sh G. }
    unfold laps_axis in H. destruct (find (fun d => (axis d =? a)%nat) dims) as [d|] eqn:Fd; [|now apply Plain].
    destruct (is_fold U (out d)) eqn:Fo; [|apply Plain; trivial; now intros e Q; injection Q as <-].
    apply both_yes in H as [L' H]. apply ask_yes, Nat.ltb_lt in L'.
    destruct (result_axes G sh t i t' i' S I I' E _ L') as (SG & ZG & X & X' & Y).
    pose proof (fits_right F _ (proj1 P)) as [_ Q]. destruct (Q a L) as [SF ZF].
    eexists. split; [left; reflexivity|]. split; [apply Permutation_refl|].
    unfold around_shown, spot, spots. rewrite Fd, Fo. apply Forall2_map, Forall2_same. intros k _.
    now apply makes_laps_right with (nth (out d) sh 0) (nth (out d) G []) (nth (out d) U []).
  - rewrite !map_map. apply map_ext_in. intros [F' two] K. apply whole_right with turn F'; [now apply (PO F' two)|].
    apply O, in_map_iff. now exists (F', two).
Qed.

End Claims.
