(** * Axes of several parts

    An axis is a list of *parts*, side by side, each with its own factors; mostly it is one part. What a fact says with a
    part in the place of the whole is true of the cells of that part. The coordinate of a cell begins with the number of
    its part, so cells of different parts are never alike. A part may say nothing at all. *)

From Coq Require Import ZArith List Lia Bool.
From Shifts Require Import Facts.
Import ListNotations.
Open Scope Z_scope.

Notation parts := (list (list factor)).

(** The number of cells, and the coordinates of cell i: how many parts are before its own, in unary, and then those in
    its part. *)
Fixpoint size_axis (ps : parts) : Z := match ps with [] => 0 | p :: rest => size p + size_axis rest end.
Fixpoint coordinates_axis (ps : parts) (t i : Z) : list Z :=
  match ps with
  | [] => []
  | p :: rest => if i <? size p then 0 :: coordinates p t i else 1 :: coordinates_axis rest t (i - size p)
  end.

(** There is a part, and all are sane; the shift touches none; every cell is told apart. *)
Definition sane_axis (ps : parts) : bool := negb (length ps =? 0)%nat && forallb sane ps.
Definition still_axis (ps : parts) : bool := forallb still ps.
Definition single_axis (ps : parts) : bool := forallb single ps.

(** A part of which nothing is said: its cells are told apart, and so are the copies. *)
Definition silent (p : list factor) : bool := single p && existsb silent1 p.

(** Two cells of an axis have one list of coordinates. *)
Definition alike_axis (ps : parts) (t i t' i' : Z) : Prop := coordinates_axis ps t i = coordinates_axis ps t' i'.

(** ** Cells of one part *)

Lemma sane_parts ps p : sane_axis ps = true -> In p ps -> sane p = true.
Proof. unfold sane_axis. rewrite andb_true_iff, forallb_forall. intros [_ H]. apply H. Qed.

Lemma sizes_positive ps : forallb sane ps = true -> 0 <= size_axis ps.
Proof.
  induction ps as [|p ps IH]; simpl; intro S; [lia|]. apply andb_true_iff in S as [S S'].
  pose proof (size_positive p S). specialize (IH S'). lia.
Qed.

Lemma size_axis_positive ps : sane_axis ps = true -> 1 <= size_axis ps.
Proof.
  unfold sane_axis. destruct ps as [|p ps]; simpl; [easy|]. intro S. apply andb_true_iff in S as [S S'].
  pose proof (size_positive p S). pose proof (sizes_positive ps S'). lia.
Qed.

Lemma size_axis_app ps qs : size_axis (ps ++ qs) = size_axis ps + size_axis qs.
Proof. induction ps as [|p ps IH]; simpl; lia. Qed.

Lemma alike_one_part p t i t' i' : i < size p -> i' < size p -> (alike_axis [p] t i t' i' <-> alike p t i t' i').
Proof.
  intros I I'. unfold alike_axis, alike; simpl. apply Z.ltb_lt in I, I'. rewrite I, I'.
  split; [intro E; now injection E | now intros ->].
Qed.

Lemma sane_one_axis fs : sane_axis [fs] = sane fs.
Proof. unfold sane_axis; simpl. apply andb_true_r. Qed.

Lemma alike_axis_one f t i t' i' : sane1 f = true -> i < cells f -> i' < cells f ->
  (alike_axis [[f]] t i t' i' <-> alike1 f t i t' i').
Proof. intros S I I'. rewrite alike_one_part by (simpl; lia). now apply alike_one. Qed.

(** Cells that are alike lie in one part, and are alike there. *)
Lemma alike_in_part ps t i t' i' : forallb sane ps = true -> alike_axis ps t i t' i' -> 0 <= i < size_axis ps ->
  0 <= i' < size_axis ps -> exists before p behind, ps = before ++ p :: behind /\ let c := size_axis before in
    c <= i < c + size p /\ c <= i' < c + size p /\ alike p t (i - c) t' (i' - c).
Proof.
  revert i i'; induction ps as [|p ps IH]; intros i i' S E I I'; simpl in *; [lia|].
  apply andb_true_iff in S as [S1 S]. unfold alike_axis in E; simpl in E.
  destruct (Z.ltb_spec i (size p)) as [L|L], (Z.ltb_spec i' (size p)) as [L'|L']; try discriminate E; injection E as E.
  - exists [], p, ps. simpl. rewrite !Z.sub_0_r. repeat split; trivial; lia.
  - destruct (IH (i - size p) (i' - size p) S E) as (before & q & behind & -> & A & B & C); try lia.
    exists (p :: before), q, behind. simpl in *. split; trivial. split; [lia|]. split; [lia|].
    now rewrite !Z.sub_add_distr.
Qed.

Lemma part_alike before p behind t i t' i' : forallb sane before = true -> let c := size_axis before in
  c <= i < c + size p -> c <= i' < c + size p -> alike p t (i - c) t' (i' - c) ->
  alike_axis (before ++ p :: behind) t i t' i'.
Proof.
  revert i i'; induction before as [|q before IH]; intros i i' S c I I' E; unfold c in *; simpl in *.
  - rewrite !Z.sub_0_r in E. unfold alike_axis; simpl. destruct I as [_ I], I' as [_ I'].
    apply Z.ltb_lt in I, I'. rewrite I, I'. now rewrite E.
  - apply andb_true_iff in S as [S1 S]. pose proof (sizes_positive before S).
    unfold alike_axis; simpl. rewrite (proj2 (Z.ltb_ge i (size q))), (proj2 (Z.ltb_ge i' (size q))) by lia.
    f_equal. apply IH; trivial; try lia. now rewrite !Z.sub_add_distr in E.
Qed.

Lemma sane_split before p behind : forallb sane (before ++ p :: behind) = true ->
  forallb sane before = true /\ sane p = true /\ forallb sane behind = true.
Proof. rewrite forallb_app; simpl. now rewrite !andb_true_iff. Qed.

Lemma sane_axis_all ps : sane_axis ps = true -> forallb sane ps = true.
Proof. unfold sane_axis. now rewrite andb_true_iff. Qed.

(** Side by side lie cells of the parts before, or of those behind. *)
Lemma alike_axis_app ps qs t i t' i' : forallb sane ps = true -> alike_axis (ps ++ qs) t i t' i' ->
  i < size_axis ps /\ i' < size_axis ps /\ alike_axis ps t i t' i' \/
  size_axis ps <= i /\ size_axis ps <= i' /\ alike_axis qs t (i - size_axis ps) t' (i' - size_axis ps) \/
  (i < 0 \/ i' < 0).
Proof.
  revert i i'; induction ps as [|p ps IH]; intros i i' S E; simpl in *.
  - rewrite !Z.sub_0_r. destruct (Z_lt_ge_dec i 0); [tauto|]. destruct (Z_lt_ge_dec i' 0); [tauto|].
    right; left. repeat split; trivial; lia.
  - apply andb_true_iff in S as [S1 S]. pose proof (sizes_positive ps S). pose proof (size_positive p S1).
    unfold alike_axis in E; simpl in E.
    destruct (Z.ltb_spec i (size p)) as [L|L], (Z.ltb_spec i' (size p)) as [L'|L']; try discriminate E; injection E as E.
    + left. repeat split; try lia. unfold alike_axis; simpl. apply Z.ltb_lt in L, L'. rewrite L, L'. now rewrite E.
    + rewrite !Z.sub_add_distr. destruct (IH (i - size p) (i' - size p) S E) as [(A & A' & K) | [(A & A' & K) | K]].
      * left. repeat split; try lia. unfold alike_axis; simpl. apply Z.ltb_ge in L, L'. rewrite L, L'. now rewrite K.
      * right; left. repeat split; trivial; lia.
      * lia.
Qed.

(** Every cell lies in a part. *)
Lemma some_part ps i : 0 <= i < size_axis ps -> exists before p behind, ps = before ++ p :: behind /\
  size_axis before <= i < size_axis before + size p.
Proof.
  revert i; induction ps as [|p ps IH]; intros i I; simpl in *; [lia|].
  destruct (Z_lt_ge_dec i (size p)) as [L|L].
  - exists [], p, ps. simpl. split; [trivial | lia].
  - destruct (IH (i - size p)) as (before & q & behind & -> & B); [lia|]. exists (p :: before), q, behind.
    simpl. split; [trivial | lia].
Qed.

Lemma still_axis_stays ps t t' i : sane_axis ps = true -> still_axis ps = true -> 0 <= i < size_axis ps ->
  alike_axis ps t i t' i.
Proof.
  intros S U I. destruct (some_part ps i I) as (before & p & behind & -> & B). apply sane_axis_all in S.
  apply sane_split in S as (S1 & S2 & _). apply part_alike; trivial; try lia. apply still_stays; trivial.
  unfold still_axis in U. rewrite forallb_forall in U. apply U, in_elt.
Qed.

Lemma single_axis_tells ps t i t' i' : sane_axis ps = true -> single_axis ps = true -> 0 <= i < size_axis ps ->
  0 <= i' < size_axis ps -> alike_axis ps t i t' i' -> i = i'.
Proof.
  intros S U I I' E. apply sane_axis_all in S.
  destruct (alike_in_part ps t i t' i' S E I I') as (before & p & behind & -> & B & B' & A).
  apply sane_split in S as (_ & S & _). unfold single_axis in U. rewrite forallb_forall in U.
  apply single_tells in A; trivial; try lia. apply U, in_elt.
Qed.

Lemma silent_tells p t i t' i' : silent p = true -> sane p = true -> 0 <= i < size p -> 0 <= i' < size p ->
  alike p t i t' i' -> t = t' /\ i = i'.
Proof.
  intros H S I I' E. apply andb_true_iff in H as [U H]. split; [|now apply single_tells in E].
  revert i i' I I' E; induction p as [|f p IH]; intros i i' I I' E; [easy|].
  apply alike_cons in E as [E1 E2]; trivial. apply sane_cons in S as [F S]. pose proof (size_positive p S).
  simpl in I, I'. unfold single in U; simpl in U, H. apply andb_true_iff in U as [_ U].
  destruct (silent1 f) eqn:Q; simpl in H.
  - apply silent1_tells in E1; trivial; [easy | apply digit_major; lia..].
  - apply (IH U H S (i mod size p) (i' mod size p)); trivial; apply digit_minor; lia.
Qed.

Lemma sane_side_by_side {A} (h : A -> parts) l : (forall u, In u l -> sane_axis (h u) = true) ->
  1 <= size_axis (flat_map h l) -> sane_axis (flat_map h l) = true.
Proof.
  intros S P. unfold sane_axis. apply andb_true_iff. split.
  - destruct (flat_map h l); [simpl in P; lia | reflexivity].
  - apply forallb_forall. intros p I. apply in_flat_map in I as (u & K & I). now apply (sane_parts (h u) p); [apply S|].
Qed.

(** ** Part by part *)

(** A check of every part, which is told where the part begins. *)
Fixpoint each_part (check : Z -> list factor -> verdict) (start : Z) (ps : parts) : verdict :=
  match ps with [] => Yes | p :: rest => both (check start p) (each_part check (start + size p) rest) end.

(** The part that has all cells from [low] to below [high], and where it begins; parts are counted from [start] on. *)
Fixpoint part_from (start low high : Z) (ps : parts) : option (Z * list factor) :=
  match ps with
  | [] => None
  | p :: rest => if (start <=? low) && (high <=? start + size p) then Some (start, p)
                 else part_from (start + size p) low high rest
  end.

(** What has cells from [low] to below [high] stays. *)
Fixpoint still_from (start low high : Z) (ps : parts) : bool :=
  match ps with
  | [] => true
  | p :: rest => (still p || (start + size p <=? low) || (high <=? start))
                 && still_from (start + size p) low high rest
  end.

Lemma each_part_right check start before p behind : each_part check start (before ++ p :: behind) = Yes ->
  check (start + size_axis before) p = Yes.
Proof.
  revert start; induction before as [|q before IH]; intros start H; simpl in *; apply both_yes in H as [H K].
  - now rewrite Z.add_0_r.
  - rewrite Z.add_assoc. now apply IH.
Qed.

(** Cells that a listed fact calls alike lie in one of its parts, which was checked. *)
Lemma listed_part check gs t i t' i' : each_part check 0 gs = Yes -> sane_axis gs = true ->
  0 <= i < size_axis gs -> 0 <= i' < size_axis gs -> alike_axis gs t i t' i' ->
  exists c g, check c g = Yes /\ sane g = true /\ 0 <= c /\ c + size g <= size_axis gs /\
    c <= i < c + size g /\ c <= i' < c + size g /\ alike g t (i - c) t' (i' - c).
Proof.
  intros H S I I' E. apply sane_axis_all in S.
  destruct (alike_in_part gs t i t' i' S E I I') as (before & g & behind & -> & B & B' & A).
  apply each_part_right in H. apply sane_split in S as (S1 & S2 & S3). exists (size_axis before), g.
  rewrite size_axis_app; simpl. pose proof (sizes_positive _ S1). pose proof (sizes_positive _ S3).
  repeat split; trivial; lia.
Qed.

(** What is alike in a known part is alike. *)
Lemma known_part low high fs c f : part_from 0 low high fs = Some (c, f) -> sane_axis fs = true ->
  sane f = true /\ 0 <= c /\ c <= low /\ high <= c + size f /\ c + size f <= size_axis fs /\
  forall t j t' j', c <= j < c + size f -> c <= j' < c + size f -> alike f t (j - c) t' (j' - c) ->
    alike_axis fs t j t' j'.
Proof.
  assert (G : forall start, part_from start low high fs = Some (c, f) -> exists before behind,
    fs = before ++ f :: behind /\ c = start + size_axis before /\ c <= low /\ high <= c + size f).
  { induction fs as [|p fs IH]; intros start H; simpl in H; [easy|].
    destruct ((start <=? low) && (high <=? start + size p)) eqn:B.
    - injection H as <- <-. rewrite andb_true_iff, !Z.leb_le in B. exists [], fs. simpl. repeat split; trivial; lia.
    - destruct (IH _ H) as (before & behind & -> & -> & K). exists (p :: before), behind. simpl.
      repeat split; trivial; lia. }
  intros H S. apply G in H as (before & behind & -> & -> & L & R). simpl in *. apply sane_axis_all in S.
  apply sane_split in S as (S1 & S2 & S3). pose proof (sizes_positive _ S1). pose proof (sizes_positive _ S3).
  rewrite size_axis_app; simpl. repeat split; trivial; try lia. intros. now apply part_alike.
Qed.

Lemma still_from_right low high fs t t' i : still_from 0 low high fs = true -> sane_axis fs = true ->
  low <= i < high -> 0 <= i < size_axis fs -> alike_axis fs t i t' i.
Proof.
  intros H S B I. destruct (some_part fs i I) as (before & p & behind & -> & K). apply sane_axis_all in S.
  apply sane_split in S as (S1 & S2 & _). apply part_alike; trivial; try lia. apply still_stays; trivial.
  assert (G : forall start, still_from start low high (before ++ p :: behind) = true ->
    still p || (start + size_axis before + size p <=? low) || (high <=? start + size_axis before) = true).
  { clear. induction before as [|q before IH]; intros start H; simpl in *; apply andb_true_iff in H as [H K].
    - now rewrite Z.add_0_r.
    - rewrite Z.add_assoc. now apply IH. }
  apply G in H. rewrite !orb_true_iff, !Z.leb_le in H. destruct H as [[H|H]|H]; [trivial | lia | lia].
Qed.

(** ** One fact follows from another *)

(** What is listed of a part, which begins at [start], against all that is known of the axis. *)
Definition follows_part (fs : parts) (start : Z) (g : list factor) : verdict :=
  if silent g || single g && still_from 0 start (start + size g) fs then Yes else
  match part_from 0 start (start + size g) fs with
  | Some (_, f) => if size g =? size f then follows FUEL g f else strided 1 1 g f
  | None => No
  end.
Definition follows_axis (gs fs : parts) : verdict := each_part (follows_part fs) 0 gs.

Lemma follows_part_right fs c g t i t' i' : follows_part fs c g = Yes -> sane g = true -> sane_axis fs = true ->
  0 <= c -> c + size g <= size_axis fs -> c <= i < c + size g -> c <= i' < c + size g ->
  alike g t (i - c) t' (i' - c) -> alike_axis fs t i t' i'.
Proof.
  intros K S SF C D B B' A. unfold follows_part in K.
  destruct (silent g || single g && still_from 0 c (c + size g) fs) eqn:U.
  - apply orb_true_iff in U as [U|U].
    + apply silent_tells in A as [-> A]; trivial; try lia. now replace i with i' by lia.
    + apply andb_true_iff in U as [U1 U2]. apply single_tells in A; trivial; try lia. replace i with i' by lia.
      apply still_from_right with c (c + size g); trivial; lia.
  - destruct (part_from 0 c (c + size g) fs) as [[c' f]|] eqn:P; [|easy].
    destruct (known_part _ _ _ _ _ P SF) as (SF1 & C' & L & R & Q & Known).
    destruct (Z.eqb_spec (size g) (size f)) as [Z0|Z0].
    + assert (c' = c) by lia. subst c'. apply Known; try lia. apply (follows_right FUEL g f); trivial; lia.
    + destruct (strided_right 1 1 g f t (i - c) t' (i' - c) K) as [_ J]; trivial; try lia. apply Known; try lia.
      apply J; lia.
Qed.

(** What is listed of an axis follows from what is known: cells that are alike in it are alike in what is known. *)
Theorem follows_axis_right : forall gs fs t i t' i', follows_axis gs fs = Yes ->
  sane_axis gs = true -> sane_axis fs = true -> size_axis gs = size_axis fs ->
  0 <= i < size_axis gs -> 0 <= i' < size_axis gs -> alike_axis gs t i t' i' -> alike_axis fs t i t' i'.
Proof.
  intros gs fs t i t' i' H SG SF N I I' E.
  destruct (listed_part _ gs t i t' i' H SG I I' E) as (c & g & K & S & C & D & B & B' & A).
  apply (follows_part_right fs c g); trivial; lia.
Qed.

(** ** Row-major order

    The axes of an array are the digits of a place. Neighbours of one part are one list of factors; what is minor to an
    axis of several parts is minor to each of them. *)

Fixpoint sizes (F : list parts) : Z := match F with [] => 1 | ps :: rest => size_axis ps * sizes rest end.
Fixpoint alike_places (F : list parts) (t w t' w' : Z) : Prop :=
  match F with
  | [] => True
  | ps :: rest => alike_axis ps t (w / sizes rest) t' (w' / sizes rest) /\
                  alike_places rest t (w mod sizes rest) t' (w' mod sizes rest)
  end.

Fixpoint regrouped (F : list parts) : list parts :=
  match F with
  | [] => [[[]]]
  | [fs] :: rest => match regrouped rest with [gs] :: more => [fs ++ gs] :: more | more => [fs] :: more end
  | ps :: rest => match regrouped rest with
                  | [gs] :: more => [[]] :: map (fun p => p ++ gs) ps :: more
                  | more => [[]] :: ps :: more
                  end
  end.

Fixpoint all_follow (G F : list parts) : verdict :=
  match G, F with
  | [], [] => Yes
  | gs :: G', fs :: F' =>
      if size_axis gs =? size_axis fs then both (follows_axis gs fs) (all_follow G' F') else Unknown
  | _, _ => Unknown
  end.
Definition follows_places (G F : list parts) : verdict := all_follow (regrouped G) (regrouped F).

Definition sane_axes (F : list parts) : bool := forallb sane_axis F.

Lemma sane_axes_cons ps F : sane_axes (ps :: F) = true -> sane_axis ps = true /\ sane_axes F = true.
Proof. unfold sane_axes; simpl. now rewrite andb_true_iff. Qed.

Lemma sizes_axes_positive F : sane_axes F = true -> 1 <= sizes F.
Proof.
  induction F as [|ps F IH]; intro S; [simpl; lia|]. apply sane_axes_cons in S as [S S'].
  apply size_axis_positive in S. specialize (IH S'). simpl. nia.
Qed.

Lemma alike_digit ps F t w t' w' : alike_places (ps :: F) t w t' w' <->
  alike_axis ps t (w / sizes F) t' (w' / sizes F) /\ alike_places F t (w mod sizes F) t' (w' mod sizes F).
Proof. reflexivity. Qed.

Lemma nothing_alike t t' i i' : i = 0 -> i' = 0 -> alike_axis [[]] t i t' i'.
Proof. intros -> ->. reflexivity. Qed.

(** Two neighbours of one part, as one list of factors. *)
Lemma alike_joined fs gs F t w t' w' : sane fs = true -> sane gs = true -> sane_axes F = true ->
  0 <= w < sizes ([fs] :: [gs] :: F) -> 0 <= w' < sizes ([fs] :: [gs] :: F) ->
  (alike_places ([fs ++ gs] :: F) t w t' w' <-> alike_places ([fs] :: [gs] :: F) t w t' w').
Proof.
  intros S S' SF W W'. rewrite !alike_digit. cbn [sizes size_axis] in *. rewrite !Z.add_0_r in *.
  pose proof (size_positive fs S). pose proof (size_positive gs S'). pose proof (sizes_axes_positive F SF).
  set (m := sizes F) in *. set (n := size gs) in *.
  destruct (digits_twice n m w ltac:(lia) ltac:(lia)) as (A1 & A2 & A3).
  destruct (digits_twice n m w' ltac:(lia) ltac:(lia)) as (B1 & B2 & B3). rewrite A1, A2, A3, B1, B2, B3.
  assert (D : forall v, 0 <= v < size fs * (n * m) -> 0 <= v / m < size fs * n /\ 0 <= v / m / n < size fs).
  { intros v V. pose proof (digit_major (size fs * n) m v ltac:(lia) ltac:(lia)). split; trivial.
    apply digit_major; lia. }
  pose proof (D w W). pose proof (D w' W').
  pose proof (digit_minor n (w / m) ltac:(lia)). pose proof (digit_minor n (w' / m) ltac:(lia)).
  rewrite !alike_one_part by (rewrite ?size_app; unfold n in *; lia).
  rewrite alike_app by (rewrite ?sane_app, ?size_app, ?S, ?S'; unfold n in *; trivial; lia). tauto.
Qed.

(** What is minor to parts is minor to each of them. *)
Lemma size_axis_times ps gs : size_axis (map (fun p => p ++ gs) ps) = size_axis ps * size gs.
Proof. induction ps as [|p ps IH]; simpl; trivial. rewrite size_app, IH. ring. Qed.

Lemma sane_axis_times ps gs : sane_axis ps = true -> sane gs = true -> sane_axis (map (fun p => p ++ gs) ps) = true.
Proof.
  unfold sane_axis. rewrite map_length, !andb_true_iff. intros [N S] SG. split; trivial. rewrite forallb_forall in *.
  intros q I. apply in_map_iff in I as [p [<- I]]. now rewrite sane_app, (S p I), SG.
Qed.

Lemma alike_axis_times ps gs t w t' w' : forallb sane ps = true -> sane gs = true ->
  0 <= w < size_axis ps * size gs -> 0 <= w' < size_axis ps * size gs ->
  (alike_axis (map (fun p => p ++ gs) ps) t w t' w' <->
   alike_axis ps t (w / size gs) t' (w' / size gs) /\ alike gs t (w mod size gs) t' (w' mod size gs)).
Proof.
  intros S SG. pose proof (size_positive gs SG) as G. set (n := size gs) in *.
  revert w w' S; induction ps as [|p ps IH]; intros w w' S W W'; simpl in *; [lia|].
  apply andb_true_iff in S as [S1 S]. pose proof (size_positive p S1) as P. pose proof (sizes_positive ps S).
  assert (Less : forall v, (v <? size (p ++ gs)) = (v / n <? size p)).
  { intro v. rewrite size_app. fold n. pose proof (digits n v ltac:(lia)). pose proof (digit_minor n v ltac:(lia)).
    destruct (Z.ltb_spec (v / n) (size p)); [apply Z.ltb_lt | apply Z.ltb_ge]; nia. }
  assert (Rest : forall v, (v - size (p ++ gs)) / n = v / n - size p /\ (v - size (p ++ gs)) mod n = v mod n).
  { intro v. rewrite size_app. fold n. replace (v - size p * n) with (v + (- size p) * n) by ring.
    rewrite Z_div_plus_full, Z_mod_plus_full by lia. split; [ring | reflexivity]. }
  unfold alike_axis in *; simpl. rewrite !Less.
  destruct (Z.ltb_spec (w / n) (size p)) as [L|L], (Z.ltb_spec (w' / n) (size p)) as [L'|L'].
  - pose proof (digits n w ltac:(lia)). pose proof (digit_minor n w ltac:(lia)).
    pose proof (digits n w' ltac:(lia)). pose proof (digit_minor n w' ltac:(lia)).
    assert (A : alike (p ++ gs) t w t' w' <-> alike p t (w / n) t' (w' / n) /\ alike gs t (w mod n) t' (w' mod n)).
    { apply alike_app; rewrite ?sane_app, ?size_app, ?S1, ?SG; trivial; fold n; nia. }
    unfold alike in A. split.
    + intro E. injection E as E. apply A in E as [-> E]. now split.
    + intros [E E']. injection E as E. f_equal. apply A. now split.
  - split; [intro E; discriminate E | intros [E _]; discriminate E].
  - split; [intro E; discriminate E | intros [E _]; discriminate E].
  - destruct (Rest w) as [R1 R2], (Rest w') as [R1' R2'].
    assert (B : forall v, size p <= v / n -> 0 <= v < (size p + size_axis ps) * n ->
      0 <= v - size (p ++ gs) < size_axis ps * n).
    { intros v Lv V. rewrite size_app. fold n. pose proof (digits n v ltac:(lia)).
      pose proof (digit_minor n v ltac:(lia)). nia. }
    pose proof (IH (w - size (p ++ gs)) (w' - size (p ++ gs)) S (B w L W) (B w' L' W')) as K.
    rewrite R1, R2, R1', R2' in K. split.
    + intro E. injection E as E. apply K in E as [-> E]. now split.
    + intros [E E']. injection E as E. f_equal. apply K. now split.
Qed.

Lemma regrouped_right F : sane_axes F = true -> sane_axes (regrouped F) = true /\ sizes (regrouped F) = sizes F /\
  forall t w t' w', 0 <= w < sizes F -> 0 <= w' < sizes F ->
    (alike_places (regrouped F) t w t' w' <-> alike_places F t w t' w').
Proof.
  induction F as [|ps F IH]; intro S.
  - split; [reflexivity|]. split; [reflexivity|]. intros t w t' w' W W'. simpl in *. split; trivial. intros _.
    split; trivial. apply nothing_alike; rewrite Z.div_1_r; lia.
  - apply sane_axes_cons in S as [S SF]. destruct (IH SF) as (SR & Z & E). pose proof (sizes_axes_positive F SF).
    pose proof (size_axis_positive ps S) as Pos.
    assert (Alone : forall R, regrouped F = R -> sane_axes (ps :: R) = true /\ sizes (ps :: R) = sizes (ps :: F) /\
      forall t w t' w', 0 <= w < sizes (ps :: F) -> 0 <= w' < sizes (ps :: F) ->
        (alike_places (ps :: R) t w t' w' <-> alike_places (ps :: F) t w t' w')).
    { intros R <-. unfold sane_axes in *; cbn [forallb]. rewrite S, SR. cbn [sizes]. rewrite Z. split; trivial.
      split; trivial. intros t w t' w' W W'. rewrite !alike_digit, Z, E; [reflexivity | apply digit_minor; lia..]. }
    assert (First : forall R, sane_axes R = true /\ sizes R = sizes (ps :: F) /\
      (forall t w t' w', 0 <= w < sizes (ps :: F) -> 0 <= w' < sizes (ps :: F) ->
        (alike_places R t w t' w' <-> alike_places (ps :: F) t w t' w')) ->
      sane_axes ([[]] :: R) = true /\ sizes ([[]] :: R) = sizes (ps :: F) /\
      forall t w t' w', 0 <= w < sizes (ps :: F) -> 0 <= w' < sizes (ps :: F) ->
        (alike_places ([[]] :: R) t w t' w' <-> alike_places (ps :: F) t w t' w')).
    { intros R (A & B & C). split; [exact A|]. split; [rewrite <- B; cbn [sizes size_axis size]; lia|].
      intros t w t' w' W W'. rewrite (alike_digit [[]]), B, !Z.div_small, !Z.mod_small by trivial.
      rewrite (C t w t' w' W W'). split; [tauto|]. split; trivial. now apply nothing_alike. }
    assert (Apart : regrouped (ps :: F) = match regrouped F with
        | [gs] :: more => [[]] :: map (fun p => p ++ gs) ps :: more | more => [[]] :: ps :: more end ->
      sane_axes (regrouped (ps :: F)) = true /\ sizes (regrouped (ps :: F)) = sizes (ps :: F) /\
      forall t w t' w', 0 <= w < sizes (ps :: F) -> 0 <= w' < sizes (ps :: F) ->
        (alike_places (regrouped (ps :: F)) t w t' w' <-> alike_places (ps :: F) t w t' w')).
    { intros ->. destruct (regrouped F) as [|[|gs [|gs' more]] R] eqn:Rg; try (apply First, (Alone _ eq_refl)).
      destruct (Alone _ eq_refl) as (A & B & C). apply sane_axes_cons in A as [_ A].
      apply sane_axes_cons in A as [Sg A]. rewrite sane_one_axis in Sg.
      pose proof (size_positive gs Sg). pose proof (sizes_axes_positive R A).
      assert (B' : sizes (map (fun p => p ++ gs) ps :: R) = sizes (ps :: F)).
      { etransitivity; [|exact B]. cbn [sizes size_axis]. rewrite size_axis_times. ring. }
      apply First. split; [|split; trivial].
      - unfold sane_axes in *; cbn [forallb]. now rewrite A, sane_axis_times.
      - intros t w t' w' W W'. rewrite <- (C t w t' w' W W'). clear C. rewrite <- B in W, W'.
        cbn [sizes size_axis] in W, W'. rewrite Z.add_0_r in W, W'. set (m := sizes R) in *. set (n := size gs) in *.
        rewrite !alike_digit. cbn [sizes size_axis]. rewrite !Z.add_0_r. fold m n.
        destruct (digits_twice n m w ltac:(lia) ltac:(lia)) as (A1 & A2 & A3).
        destruct (digits_twice n m w' ltac:(lia) ltac:(lia)) as (B1 & B2 & B3). rewrite A1, A2, A3, B1, B2, B3.
        pose proof (digit_minor n (w / m) ltac:(lia)). pose proof (digit_minor n (w' / m) ltac:(lia)).
        rewrite alike_one_part by (fold n; lia).
        rewrite alike_axis_times by (trivial; try (now apply sane_axis_all); fold n; apply digit_major; lia).
        fold n. tauto. }
    destruct ps as [|fs [|fs' more]]; [now apply Apart | | now apply Apart]. cbn [regrouped].
    destruct (regrouped F) as [|[|gs [|gs' more]] R] eqn:Rg; try exact (Alone _ eq_refl).
    destruct (Alone _ eq_refl) as (A & B & C). apply sane_axes_cons in A as [_ A].
    apply sane_axes_cons in A as [Sg A]. rewrite sane_one_axis in S, Sg.
    assert (B' : sizes ([fs ++ gs] :: R) = sizes ([fs] :: F)).
    { etransitivity; [|exact B]. cbn [sizes size_axis]. rewrite size_app. lia. }
    split; [|split; trivial].
    + unfold sane_axes in *; cbn [forallb]. now rewrite A, sane_one_axis, sane_app, S, Sg.
    + intros t w t' w' W W'. rewrite <- (C t w t' w' W W'). now apply alike_joined; trivial; rewrite B.
Qed.

Lemma all_follow_right G : forall F t w t' w', all_follow G F = Yes -> sane_axes G = true -> sane_axes F = true ->
  0 <= w < sizes G -> 0 <= w' < sizes G -> alike_places G t w t' w' -> alike_places F t w t' w' /\ sizes G = sizes F.
Proof.
  induction G as [|gs G IH]; intros [|fs F] t w t' w' H SG SF W W' E; cbn [all_follow] in H; try easy.
  destruct (Z.eqb_spec (size_axis gs) (size_axis fs)) as [N|N]; [|easy]. apply both_yes in H as [H K].
  apply sane_axes_cons in SG as [SG SG'], SF as [SF SF'].
  pose proof (sizes_axes_positive G SG'). destruct E as [E E'].
  destruct (IH F t (w mod sizes G) t' (w' mod sizes G)) as [A Z]; trivial; try (apply digit_minor; lia).
  simpl. rewrite N, <- Z. split; trivial. split; trivial.
  simpl in W, W'. apply (follows_axis_right gs fs); trivial; apply digit_major; lia.
Qed.

(** The same of two arrays with the same cells in row-major order, whatever their axes. *)
Theorem follows_places_right : forall G F t w t' w', follows_places G F = Yes ->
  sane_axes G = true -> sane_axes F = true -> sizes G = sizes F -> 0 <= w < sizes G -> 0 <= w' < sizes G ->
  alike_places G t w t' w' -> alike_places F t w t' w'.
Proof.
  intros G F t w t' w' H SG SF N W W' E. destruct (regrouped_right G SG) as (SG' & ZG & EG).
  destruct (regrouped_right F SF) as (SF' & ZF & EF). apply EF; [lia..|].
  apply (all_follow_right (regrouped G)); trivial; try lia. now apply EG.
Qed.
