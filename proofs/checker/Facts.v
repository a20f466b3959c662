(** * Facts: what a shift does to an axis

    An image x and its shifted copies are computed side by side: copy number t, of all integers, is x shifted t times,
    and copy 0 is x itself. A *factor* says of the cells of an axis that they are cells of a periodic signal: cell d of
    copy t is the cell number [offset + d - t * step] of the signal, modulo its period. What stays has the step 0. The
    period 0 is that of a signal without end, as of a scene, whose cells are all different.

    So a factor gives every cell of all copies a *coordinate*, and says no more than this: cells of one coordinate have
    one value. An axis, or each of its parts (see [Parts]), has a list of factors, from major to minor, whose sizes
    multiply to its length: its cells have a list of coordinates. An array has one such list for each axis: the *label*
    of a cell. Facts are therefore compared without any signal: one fact follows from another where its labels tell more
    cells apart.

    Conventions: a [Theorem] is a result, told in words by the comment before it; a [Lemma] is a step on the way. *)

From Coq Require Import ZArith Znumtheory List Lia Bool.
Import ListNotations.
Open Scope Z_scope.

(** ** Verdicts of three values *)

(** A check says yes, or no, or that it does not know the case. *)
Inductive verdict := Yes | No | Unknown.

Definition ask (condition : bool) : verdict := if condition then Yes else No.

Definition both (v w : verdict) : verdict :=
  match v with
  | Yes => w
  | No => No
  | Unknown => match w with No => No | _ => Unknown end
  end.

Definition all_of (vs : list verdict) : verdict := fold_right both Yes vs.

Lemma ask_yes b : ask b = Yes -> b = true.
Proof. now destruct b. Qed.

Lemma both_yes v w : both v w = Yes -> v = Yes /\ w = Yes.
Proof. destruct v, w; simpl; intuition discriminate. Qed.

Lemma all_yes vs v : all_of vs = Yes -> In v vs -> v = Yes.
Proof.
  induction vs as [|w vs IH]; simpl; intros H I; [easy|]. apply both_yes in H.
  destruct I as [->|I]; intuition.
Qed.

(** ** Factors *)

(** [cells] of an axis that show a signal of this period, from this offset on, which the shift moves by this step. *)
Record factor := Factor { cells : Z; period : Z; offset : Z; step : Z }.

(** Two factors of the kernel. *)
Definition Still (n p : Z) : factor := Factor n p 0 0.
Definition Moving (n p o s : Z) : factor := Factor n p o s.

(** Of which cell of the signal cell d shows the value. A number modulo 0 is that number. *)
Definition coordinate (f : factor) (t : Z) (d : Z) : Z := (offset f + d - t * step f) mod period f.

(** The number of cells of an axis, and the coordinates of cell i of it, major to minor. *)
Fixpoint size (fs : list factor) : Z :=
  match fs with [] => 1 | f :: rest => cells f * size rest end.
Fixpoint coordinates (fs : list factor) (t : Z) (i : Z) : list Z :=
  match fs with
  | [] => []
  | f :: rest => coordinate f t (i / size rest) :: coordinates rest t (i mod size rest)
  end.

Definition sane1 (f : factor) : bool := (1 <=? cells f) && (0 <=? period f).
Definition sane (fs : list factor) : bool := forallb sane1 fs.

(** The shift does not touch a factor, or an axis. *)
Definition still1 (f : factor) : bool := step f mod period f =? 0.
Definition still (fs : list factor) : bool := forallb still1 fs.

(** A factor that says nothing: all its cells, of all copies, are different. *)
Definition Nothing (n : Z) : factor := Factor n 0 0 n.
Definition silent1 (f : factor) : bool := (period f =? 0) && (cells f <=? Z.abs (step f)).

(** A cell is known by its coordinate. *)
Definition single1 (f : factor) : bool := (step f =? 0) && (cells f <=? period f) || silent1 f.
Definition single (fs : list factor) : bool := forallb single1 fs.

(** ** Arithmetic *)

Lemma divides p a : (a mod p =? 0) = true -> (p | a).
Proof.
  intro H; apply Z.eqb_eq in H. destruct (Z.eq_dec p 0) as [->|P].
  - rewrite Zmod_0_r in H. rewrite H. apply Z.divide_0_r.
  - now apply Z.mod_divide.
Qed.

Lemma equal_mod p a b : a mod p = b mod p <-> (p | a - b).
Proof.
  destruct (Z.eq_dec p 0) as [->|P].
  - rewrite !Zmod_0_r. split; intro H; [exists 0; lia | destruct H; lia].
  - split; intro H.
    + apply Z.mod_divide; trivial. rewrite Zminus_mod, H, Z.sub_diag. now apply Z.mod_0_l.
    + destruct H as [k K]. replace a with (b + k * p) by lia. apply Z_mod_plus_full.
Qed.

Lemma small_multiple p a : (p | a) -> - p < a < p -> a = 0.
Proof. intros [k ->] H. assert (k = 0) by nia. subst; lia. Qed.

Lemma digit_major n b i : 0 < b -> 0 <= i < n * b -> 0 <= i / b < n.
Proof. intros B I; split; [apply Z.div_pos; lia | apply Z.div_lt_upper_bound; lia]. Qed.

Lemma digit_minor b i : 0 < b -> 0 <= i mod b < b.
Proof. intro B; apply Z.mod_pos_bound; lia. Qed.

Lemma digits b i : 0 < b -> i = (i / b) * b + i mod b.
Proof. intro B; pose proof (Z.div_mod i b); lia. Qed.

Lemma digits_unique b u v : 0 < b -> 0 <= v < b -> (u * b + v) / b = u /\ (u * b + v) mod b = v.
Proof.
  intros B V; split.
  - rewrite Z.div_add_l, Z.div_small by lia; lia.
  - rewrite Z.add_comm, Z_mod_plus_full. apply Z.mod_small; lia.
Qed.

Lemma digits_twice b m i : 0 < b -> 0 < m ->
  i / (b * m) = (i / m) / b /\ (i mod (b * m)) / m = (i / m) mod b /\ (i mod (b * m)) mod m = i mod m.
Proof.
  intros B M.
  assert (E : i = ((i / m) / b) * (b * m) + ((i / m) mod b * m + i mod m)).
  { pose proof (digits m i M). pose proof (digits b (i / m) B). nia. }
  pose proof (digit_minor b (i / m) B). pose proof (digit_minor m i M).
  assert (R : 0 <= (i / m) mod b * m + i mod m < b * m) by nia.
  destruct (digits_unique (b * m) ((i / m) / b) ((i / m) mod b * m + i mod m)) as [D N]; [nia | lia |].
  rewrite <- E in D, N. split; [lia|]. rewrite N. now apply digits_unique.
Qed.

(** ** Cells of one coordinate *)

Lemma sane1_positive f : sane1 f = true -> 1 <= cells f /\ 0 <= period f.
Proof. unfold sane1; rewrite andb_true_iff, !Z.leb_le; lia. Qed.

Lemma sane_cons f fs : sane (f :: fs) = true -> sane1 f = true /\ sane fs = true.
Proof. unfold sane; simpl. now rewrite andb_true_iff. Qed.

Lemma size_positive fs : sane fs = true -> 1 <= size fs.
Proof.
  induction fs as [|f fs IH]; simpl; intro H; [lia|]. apply sane_cons in H as [F H].
  apply sane1_positive in F. specialize (IH H). nia.
Qed.

(** Two cells of a factor, of one copy or of two, have one coordinate where they are a step apart, modulo the period. *)
Definition alike1 (f : factor) (t : Z) (d : Z) (t' : Z) (d' : Z) : Prop :=
  (period f | (d - d') - (t - t') * step f).

Lemma coordinate_alike f t d t' d' :
  (coordinate f t d = coordinate f t' d' <-> alike1 f t d t' d').
Proof.
  unfold coordinate, alike1. rewrite equal_mod.
  now replace (offset f + d - t * step f - (offset f + d' - t' * step f))
    with ((d - d') - (t - t') * step f) by ring.
Qed.

(** Two cells of an axis have one list of coordinates. *)
Definition alike (fs : list factor) (t : Z) (i : Z) (t' : Z) (i' : Z) : Prop :=
  coordinates fs t i = coordinates fs t' i'.

Lemma alike_cons f fs t i t' i' : sane (f :: fs) = true ->
  (alike (f :: fs) t i t' i' <->
   alike1 f t (i / size fs) t' (i' / size fs) /\ alike fs t (i mod size fs) t' (i' mod size fs)).
Proof.
  intro S; apply sane_cons in S as [F S]. apply sane1_positive in F. unfold alike; simpl.
  rewrite <- coordinate_alike. split; [intro E; injection E; auto | intros [-> ->]; trivial].
Qed.

(** A factor that says nothing tells even the copies apart. *)
Lemma silent1_tells f t d t' d' : silent1 f = true -> 0 <= d < cells f -> 0 <= d' < cells f ->
  alike1 f t d t' d' -> t = t' /\ d = d'.
Proof.
  intros S D D' [k K]. unfold silent1 in S. apply andb_true_iff in S as [P N]. apply Z.eqb_eq in P.
  apply Z.leb_le in N. rewrite P, Z.mul_0_r in K. assert (t = t') by nia. subst t'. split; [trivial | lia].
Qed.

Lemma single1_tells f t d t' d' : single1 f = true -> 0 <= d < cells f -> 0 <= d' < cells f ->
  alike1 f t d t' d' -> d = d'.
Proof.
  intros S D D' E. unfold single1 in S. apply orb_true_iff in S as [S|S]; [|now apply (silent1_tells f t d t' d' S)].
  apply andb_true_iff in S as [Z0 L]. apply Z.eqb_eq in Z0. apply Z.leb_le in L. unfold alike1 in E.
  rewrite Z0, Z.mul_0_r, Z.sub_0_r in E. apply small_multiple in E; lia.
Qed.

Lemma single_tells fs t i t' i' : sane fs = true -> single fs = true ->
  0 <= i < size fs -> 0 <= i' < size fs -> alike fs t i t' i' -> i = i'.
Proof.
  revert i i'; induction fs as [|f fs IH]; intros i i' S U I I' E; [simpl in *; lia|].
  apply alike_cons in E as [D E]; trivial. apply sane_cons in S as [F S]. apply sane1_positive in F.
  pose proof (size_positive fs S). unfold single in U; simpl in U, I, I'. apply andb_true_iff in U as [U1 U].
  assert (Q : i / size fs = i' / size fs)
    by (apply (single1_tells f t _ t' _ U1); trivial; apply digit_major; lia).
  pose proof (IH _ _ S U (digit_minor (size fs) i ltac:(lia)) (digit_minor (size fs) i' ltac:(lia)) E).
  rewrite (digits (size fs) i), (digits (size fs) i') by lia. lia.
Qed.

Lemma still_stays fs t t' i : sane fs = true -> still fs = true -> alike fs t i t' i.
Proof.
  revert i; induction fs as [|f fs IH]; intros i S U; [reflexivity|].
  apply alike_cons; trivial. apply sane_cons in S as [F S]. apply sane1_positive in F.
  unfold still in U; simpl in U. apply andb_true_iff in U as [U1 U]. split; [|now apply IH].
  unfold alike1. rewrite Z.sub_diag, Z.sub_0_l. apply Z.divide_opp_r, Z.divide_mul_r, divides, U1.
Qed.

Lemma sane_app fs gs : sane (fs ++ gs) = sane fs && sane gs.
Proof. apply forallb_app. Qed.

Lemma size_app fs gs : size (fs ++ gs) = size fs * size gs.
Proof. induction fs as [|f fs IH]; cbn [size app]; [ring|]. rewrite IH; ring. Qed.

Lemma alike_app fs gs t i t' i' : sane (fs ++ gs) = true -> 0 <= i < size (fs ++ gs) -> 0 <= i' < size (fs ++ gs) ->
  (alike (fs ++ gs) t i t' i' <->
   alike fs t (i / size gs) t' (i' / size gs) /\ alike gs t (i mod size gs) t' (i' mod size gs)).
Proof.
  revert i i'; induction fs as [|f fs IH]; intros i i' S I I'; simpl app in *.
  - rewrite !Z.mod_small by trivial. unfold alike at 2; simpl. intuition.
  - pose proof S as S0. apply sane_cons in S0 as [S1 S2].
    pose proof S2 as S3. rewrite sane_app, andb_true_iff in S3. destruct S3 as [S3 S4].
    pose proof (size_positive fs S3). pose proof (size_positive gs S4).
    rewrite (alike_cons f (fs ++ gs)), (alike_cons f fs) by (trivial; unfold sane in *; simpl; now rewrite S1, S3).
    rewrite size_app.
    destruct (digits_twice (size fs) (size gs) i ltac:(lia) ltac:(lia)) as (A1 & A2 & A3).
    destruct (digits_twice (size fs) (size gs) i' ltac:(lia) ltac:(lia)) as (B1 & B2 & B3).
    rewrite IH; trivial; rewrite ?size_app; try (apply digit_minor; nia).
    rewrite A1, A2, A3, B1, B2, B3. tauto.
Qed.

(** ** One fact follows from another

    [gs] is what a certificate lists, [fs] what is known; the list is right where cells that it calls alike are alike. *)

(** Factors of one size: the period and step of the known one suffice, as [moves_alike] and [holds_still] of the kernel
    say; or every cell is told apart, and the known one stays. *)
Definition follows1 (g f : factor) : bool :=
  (period g mod period f =? 0) && ((step g - step f) mod period f =? 0) || single1 g && still1 f.

(** A factor as a major and a minor one of [b] cells: whole blocks that move, or whole periods within a block, as [split]
    of the kernel says; or cells that are told apart ([listed]), or that stay ([known]). *)
Definition blocks (f : factor) (b : Z) : option (factor * factor) :=
  let n := cells f in let p := period f in let s := step f in
  if b mod p =? 0 then Some (Still (n / b) 1, Moving b p 0 s)
  else if (p mod b =? 0) && (s mod b =? 0) then Some (Moving (n / b) (p / b) 0 (s / b), Still b b)
  else None.
Definition apart (f : factor) (b : Z) : factor * factor := (Still (cells f / b) (cells f / b), Still b b).
Definition split_listed (g : factor) (b : Z) : option (factor * factor) :=
  match blocks g b with
  | Some parts => Some parts
  | None => if single1 g then Some (apart g b) else None
  end.
Definition split_known (f : factor) (b : Z) : option (factor * factor) :=
  match blocks f b with
  | Some parts => Some parts
  | None => if still1 f then Some (apart f b) else None
  end.

(** Axes are compared from their major factors on, splitting the larger of two. *)
Fixpoint follows (fuel : nat) (gs fs : list factor) : verdict :=
  if single gs && still fs then Yes else
  match fuel, gs, fs with
  | O, _, _ => Unknown
  | _, _, [] => Yes
  | _, [], _ :: _ => No
  | S fuel, g :: gs', f :: fs' =>
      let m := cells g in let n := cells f in
      if m =? n then both (ask (follows1 g f)) (follows fuel gs' fs')
      else if m =? 1 then follows fuel gs' fs
      else if n =? 1 then both (ask (still1 f)) (follows fuel gs fs')
      else if m mod n =? 0 then
        match split_listed g (m / n) with
        | Some (g1, g2) => both (ask (follows1 g1 f)) (follows fuel (g2 :: gs') fs')
        | None => Unknown
        end
      else if n mod m =? 0 then
        match split_known f (n / m) with
        | Some (f1, f2) => both (ask (follows1 g f1)) (follows fuel gs' (f2 :: fs'))
        | None => Unknown
        end
      else Unknown
  end.

Lemma follows1_right g f t d t' d' : sane1 g = true -> sane1 f = true ->
  0 <= d < cells g -> 0 <= d' < cells g -> follows1 g f = true -> alike1 g t d t' d' -> alike1 f t d t' d'.
Proof.
  intros G F D D' H E; apply sane1_positive in G, F. unfold follows1 in H; apply orb_true_iff in H.
  unfold alike1 in *; destruct H as [H|H]; apply andb_true_iff in H as [H K].
  - apply divides in H, K. apply (Z.divide_trans _ _ _ H) in E.
    replace (d - d' - (t - t') * step f)
      with ((d - d' - (t - t') * step g) + (t - t') * (step g - step f)) by ring.
    apply Z.divide_add_r; trivial. now apply Z.divide_mul_r.
  - apply single1_tells in E; trivial. replace (d - d' - (t - t') * step f) with (- (t - t') * step f) by lia.
    apply Z.divide_mul_r, divides, K.
Qed.

Definition splits (f f1 f2 : factor) (b : Z) : Prop :=
  sane1 f1 = true /\ sane1 f2 = true /\ cells f1 = cells f / b /\ cells f2 = b.

Lemma blocks_right f b f1 f2 : sane1 f = true -> 1 <= b -> (b | cells f) -> blocks f b = Some (f1, f2) ->
  splits f f1 f2 b /\ forall t d t' d', alike1 f t d t' d' <->
    alike1 f1 t (d / b) t' (d' / b) /\ alike1 f2 t (d mod b) t' (d' mod b).
Proof.
  intros S B M H; apply sane1_positive in S. destruct M as [k K].
  assert (Q : cells f / b = k) by (rewrite K; apply Z.div_mul; lia).
  assert (k >= 1) by nia. unfold blocks in H.
  destruct (b mod period f =? 0) eqn:E1; [|destruct ((period f mod b =? 0) && (step f mod b =? 0)) eqn:E2; [|easy]];
    injection H as <- <-; unfold splits, sane1, alike1; cbn [cells period offset step Still Moving].
  - apply divides in E1. destruct E1 as [c C]. split.
    + rewrite !andb_true_iff, !Z.leb_le; lia.
    + intros t d t' d'. pose proof (digits b d ltac:(lia)). pose proof (digits b d' ltac:(lia)).
      replace (d - d' - (t - t') * step f) with
        ((d mod b - d' mod b - (t - t') * step f) + (d / b - d' / b) * c * period f) by nia.
      split; intro X.
      * split; [apply Z.divide_1_l|].
        replace (d mod b - d' mod b - (t - t') * step f) with
          ((d mod b - d' mod b - (t - t') * step f + (d / b - d' / b) * c * period f)
           - (d / b - d' / b) * c * period f) by ring.
        apply Z.divide_sub_r; trivial. apply Z.divide_factor_r.
      * apply Z.divide_add_r; [apply X | apply Z.divide_factor_r].
  - apply andb_true_iff in E2 as [P R]. apply divides in P, R. destruct P as [p P], R as [r R].
    rewrite P, R, !Z.div_mul by lia. split.
    + rewrite !andb_true_iff, !Z.leb_le; nia.
    + intros t d t' d'. pose proof (digits b d ltac:(lia)). pose proof (digits b d' ltac:(lia)).
      pose proof (digit_minor b d ltac:(lia)). pose proof (digit_minor b d' ltac:(lia)).
      replace (d - d' - (t - t') * (r * b)) with
        ((d / b - d' / b - (t - t') * r) * b + (d mod b - d' mod b)) by nia.
      rewrite Z.mul_0_r, Z.sub_0_r. split; intro X.
      * assert (Y : (b | d mod b - d' mod b)).
        { replace (d mod b - d' mod b) with
            (((d / b - d' / b - (t - t') * r) * b + (d mod b - d' mod b))
             - (d / b - d' / b - (t - t') * r) * b) by ring.
          apply Z.divide_sub_r; [apply Z.divide_trans with (p * b); trivial|]; apply Z.divide_factor_r. }
        split; trivial. apply small_multiple in Y; [|lia]. rewrite Y, Z.add_0_r in X.
        apply Z.mul_divide_cancel_r in X; [trivial | lia].
      * destruct X as [X Y]. apply small_multiple in Y; [|lia]. rewrite Y, Z.add_0_r.
        now apply Z.mul_divide_mono_r.
Qed.

Lemma apart_splits f b : sane1 f = true -> 1 <= b -> (b | cells f) -> splits f (fst (apart f b)) (snd (apart f b)) b.
Proof.
  intros S B [k K]; apply sane1_positive in S. unfold splits, apart, sane1; simpl.
  rewrite K, Z.div_mul by lia. rewrite !andb_true_iff, !Z.leb_le. nia.
Qed.

Lemma still_alike1 n t d t' d' : alike1 (Still n n) t d t' d' <-> (n | d - d').
Proof. unfold alike1; simpl. now rewrite Z.mul_0_r, Z.sub_0_r. Qed.

Lemma split_listed_right g b g1 g2 : sane1 g = true -> 1 <= b -> (b | cells g) -> split_listed g b = Some (g1, g2) ->
  splits g g1 g2 b /\ forall t d t' d', 0 <= d < cells g -> 0 <= d' < cells g -> alike1 g t d t' d' ->
    alike1 g1 t (d / b) t' (d' / b) /\ alike1 g2 t (d mod b) t' (d' mod b).
Proof.
  intros S B M H; unfold split_listed in H. destruct (blocks g b) as [[u v]|] eqn:E.
  - injection H as <- <-. destruct (blocks_right g b u v S B M E) as [P Q]. split; trivial. intros; now apply Q.
  - destruct (single1 g) eqn:U; [|easy]. injection H as <- <-. split; [now apply apart_splits|].
    intros t d t' d' D D' X. apply single1_tells in X as ->; trivial.
    rewrite !still_alike1, !Z.sub_diag. split; apply Z.divide_0_r.
Qed.

Lemma split_known_right f b f1 f2 : sane1 f = true -> 1 <= b -> (b | cells f) -> split_known f b = Some (f1, f2) ->
  splits f f1 f2 b /\ forall t d t' d', 0 <= d < cells f -> 0 <= d' < cells f ->
    alike1 f1 t (d / b) t' (d' / b) -> alike1 f2 t (d mod b) t' (d' mod b) -> alike1 f t d t' d'.
Proof.
  intros S B M H; unfold split_known in H. destruct (blocks f b) as [[u v]|] eqn:E.
  - injection H as <- <-. destruct (blocks_right f b u v S B M E) as [P Q]. split; trivial. intros; now apply Q.
  - destruct (still1 f) eqn:U; [|easy]. injection H as <- <-. split; [now apply apart_splits|].
    intros t d t' d' D D' X Y; apply sane1_positive in S. destruct M as [k K].
    rewrite still_alike1, K, Z.div_mul in X by lia. rewrite still_alike1 in Y.
    pose proof (digit_major k b d ltac:(lia) ltac:(lia)). pose proof (digit_major k b d' ltac:(lia) ltac:(lia)).
    pose proof (digit_minor b d ltac:(lia)). pose proof (digit_minor b d' ltac:(lia)).
    apply small_multiple in X, Y; try lia.
    pose proof (digits b d ltac:(lia)). pose proof (digits b d' ltac:(lia)).
    assert (d = d') by nia. subst d'. unfold alike1. rewrite Z.sub_diag, Z.sub_0_l.
    apply Z.divide_opp_r, Z.divide_mul_r, divides, U.
Qed.

(** Merging a split factor: its two digits are those of the one. *)
Lemma alike_split f f1 f2 b rest t i t' i' : sane1 f = true -> sane rest = true -> 1 <= b -> (b | cells f) ->
  splits f f1 f2 b ->
  (alike (f1 :: f2 :: rest) t i t' i' <->
   alike1 f1 t (i / size rest / b) t' (i' / size rest / b) /\
   alike1 f2 t ((i / size rest) mod b) t' ((i' / size rest) mod b) /\
   alike rest t (i mod size rest) t' (i' mod size rest)).
Proof.
  intros S R B M (S1 & S2 & C1 & C2). pose proof (size_positive rest R).
  rewrite !alike_cons by (unfold sane in *; simpl; now rewrite ?S1, ?S2, ?R). simpl size. rewrite C2.
  destruct (digits_twice b (size rest) i ltac:(lia) ltac:(lia)) as (-> & -> & ->).
  destruct (digits_twice b (size rest) i' ltac:(lia) ltac:(lia)) as (-> & -> & ->). reflexivity.
Qed.

Lemma divide_back m n : 1 <= n -> (n | m) -> n * (m / n) = m /\ (m / n | m).
Proof. intros N [k ->]. rewrite Z.div_mul by lia. split; [ring | now exists n; ring]. Qed.

(** What is listed follows from what is known: cells that are alike in it are alike in what is known. *)
Theorem follows_right : forall fuel gs fs, sane gs = true -> sane fs = true -> size gs = size fs ->
  follows fuel gs fs = Yes -> forall t i t' i', 0 <= i < size gs -> 0 <= i' < size gs ->
  alike gs t i t' i' -> alike fs t i t' i'.
Proof.
  induction fuel as [|fuel IH]; intros gs fs SG SF Z H t i t' i' I I' E; cbn [follows] in H;
    destruct (single gs && still fs) eqn:U; try easy;
    try (apply andb_true_iff in U as [U1 U2]; rewrite <- (single_tells gs t i t' i' SG U1 I I' E);
         now apply still_stays).
  clear U. destruct fs as [|f fs']; [reflexivity|]. destruct gs as [|g gs']; [easy|].
  pose proof SG as SG0; pose proof SF as SF0.
  apply sane_cons in SG0 as [S1 SG']. apply sane_cons in SF0 as [S2 SF'].
  pose proof (sane1_positive g S1) as PG. pose proof (sane1_positive f S2) as PF.
  pose proof (size_positive gs' SG') as MG. pose proof (size_positive fs' SF') as MF.
  cbv zeta in H.
  destruct (cells g =? cells f) eqn:C0; [|destruct (cells g =? 1) eqn:C1; [|destruct (cells f =? 1) eqn:C2;
    [|destruct (cells g mod cells f =? 0) eqn:C3; [|destruct (cells f mod cells g =? 0) eqn:C4; [|easy]]]]];
    rewrite ?Z.eqb_eq, ?Z.eqb_neq in *.
  - (* of one size *)
    apply both_yes in H as [H K]. apply ask_yes in H. simpl in Z. assert (size gs' = size fs') by nia.
    apply alike_cons in E as [E1 E2]; trivial. apply alike_cons; trivial. rewrite <- H0. simpl in I, I'. split.
    + apply follows1_right with g; trivial; apply digit_major; lia.
    + apply (IH gs' fs'); trivial; apply digit_minor; lia.
  - (* the listed one has one cell *)
    apply alike_cons in E as [_ E]; trivial. simpl in I, I', Z. rewrite C1, Z.mul_1_l in I, I', Z.
    rewrite !Z.mod_small in E by lia. apply (IH gs' (f :: fs')); trivial.
  - (* the known one has one cell *)
    apply both_yes in H as [H K]. apply ask_yes in H. apply alike_cons; trivial.
    simpl in Z. assert (N : size (g :: gs') = size fs') by (simpl; lia). rewrite <- N.
    rewrite !(Z.div_small _ (size (g :: gs'))), !(Z.mod_small _ (size (g :: gs'))) by lia. split.
    + unfold alike1. rewrite Z.sub_diag, Z.sub_0_l. apply Z.divide_opp_r, Z.divide_mul_r, divides, H.
    + apply (IH (g :: gs') fs'); trivial.
  - (* the listed one is split *)
    assert (D : (cells f | cells g)) by (apply Z.mod_divide; lia).
    destruct (divide_back (cells g) (cells f) ltac:(lia) D) as [B0 B1].
    destruct (split_listed g (cells g / cells f)) as [[g1 g2]|] eqn:P; [|easy].
    apply both_yes in H as [H K]. apply ask_yes in H.
    apply split_listed_right in P as [P Q]; trivial; [|nia]. pose proof P as (T1 & T2 & D1 & D2).
    assert (D3 : cells g1 = cells f).
    { rewrite D1. rewrite <- B0 at 1. apply Z.div_mul. nia. }
    assert (N : size (g2 :: gs') = size fs') by (simpl in *; nia).
    assert (G : alike (g1 :: g2 :: gs') t i t' i').
    { apply alike_split with (f := g) (b := cells g / cells f); trivial; [nia|]. rewrite <- and_assoc.
      apply alike_cons in E as [E1 E2]; trivial. split; trivial. simpl in I, I'.
      apply Q; trivial; apply digit_major; lia. }
    assert (T3 : sane (g2 :: gs') = true) by (unfold sane in *; simpl; now rewrite T2, SG').
    assert (T4 : sane (g1 :: g2 :: gs') = true) by (unfold sane in *; simpl in *; now rewrite T1, T3).
    apply alike_cons in G as [G1 G2]; trivial. rewrite N in G1, G2. simpl in I, I', Z. apply alike_cons; trivial. split.
    + apply follows1_right with g1; trivial; rewrite ?D3; apply digit_major; nia.
    + apply (IH (g2 :: gs') fs'); trivial; rewrite N; apply digit_minor; lia.
  - (* the known one is split *)
    assert (D : (cells g | cells f)) by (apply Z.mod_divide; lia).
    destruct (divide_back (cells f) (cells g) ltac:(lia) D) as [B0 B1].
    destruct (split_known f (cells f / cells g)) as [[f1 f2]|] eqn:P; [|easy].
    apply both_yes in H as [H K]. apply ask_yes in H.
    apply split_known_right in P as [P Q]; trivial; [|nia]. pose proof P as (T1 & T2 & D1 & D2).
    assert (D3 : cells f1 = cells g).
    { rewrite D1. rewrite <- B0 at 1. apply Z.div_mul. nia. }
    assert (N : size (f2 :: fs') = size gs') by (simpl in *; nia).
    assert (T3 : sane (f2 :: fs') = true) by (unfold sane in *; simpl; now rewrite T2, SF').
    assert (T4 : sane (f1 :: f2 :: fs') = true) by (unfold sane in *; simpl in *; now rewrite T1, T3).
    simpl in I, I', Z.
    assert (G : alike (f1 :: f2 :: fs') t i t' i').
    { apply alike_cons in E as [E1 E2]; trivial. apply alike_cons; trivial. rewrite N. split.
      - apply follows1_right with g; trivial; apply digit_major; lia.
      - apply (IH gs' (f2 :: fs')); trivial; [lia | |]; apply digit_minor; lia. }
    apply alike_split with (f := f) (b := cells f / cells g) in G as (G1 & G2 & G3); trivial; [|nia].
    apply alike_cons; trivial. split; trivial. apply Q; trivial; apply digit_major; nia.
Qed.

(** ** Cells at a stride *)

(** How often factors may be split while two axes are compared. *)
Definition FUEL : nat := 64.

(** An axis as one factor, a guess: what follows from what is checked wherever it is used. *)
Definition merge (major minor : factor) : option factor :=
  if (period major =? 1) && (step major =? 0) && (cells minor mod period minor =? 0)
  then Some (Factor (cells major * cells minor) (period minor) (offset minor) (step minor))
  else if step minor =? 0
  then Some (Factor (cells major * cells minor) (period major * cells minor) (offset major * cells minor)
                    (step major * cells minor))
  else None.
Fixpoint merge_all (f : factor) (fs : list factor) : option factor :=
  match fs with
  | [] => Some f
  | g :: rest => match merge f g with Some h => merge_all h rest | None => None end
  end.
Definition merged (fs : list factor) : option factor :=
  match fs with [] => Some (Still 1 1) | f :: rest => merge_all f rest end.

(** Cell q of the result is read from cell [c + by q] of the operand, of a signal whose cells are [base] apart: by the
    step s of the operand and the step r of the result, [by r = base s] modulo the period, as [strides] and [stretch] of
    the kernel say. *)
Definition strided1 (by_ base : Z) (g f : factor) : bool :=
  (by_ * period g mod (period f * base) =? 0) && ((by_ * step g - base * step f) mod (period f * base) =? 0).
Definition strided (by_ base : Z) (gs fs : list factor) : verdict :=
  match merged gs, merged fs with
  | Some g, Some f =>
      both (ask (sane1 g && sane1 f && (cells g =? size gs) && (cells f =? size fs)))
        (both (ask (strided1 by_ base g f)) (both (follows FUEL gs [g]) (follows FUEL [f] fs)))
  | _, _ => Unknown
  end.

Lemma alike_one f t j t' j' : sane1 f = true -> (alike [f] t j t' j' <-> alike1 f t j t' j').
Proof.
  intro S. rewrite alike_cons by (unfold sane; simpl; now rewrite S). simpl size. rewrite !Z.div_1_r.
  split; [easy|]. intro H; split; [trivial | reflexivity].
Qed.

Lemma strided_right by_ base gs fs t q t' q' : strided by_ base gs fs = Yes -> 0 < base ->
  sane gs = true -> sane fs = true -> 0 <= q < size gs -> 0 <= q' < size gs -> alike gs t q t' q' ->
  (base | by_ * (q - q')) /\
  forall j j', 0 <= j < size fs -> 0 <= j' < size fs -> base * (j - j') = by_ * (q - q') -> alike fs t j t' j'.
Proof.
  intros H B SG SF Q Q' E. unfold strided in H.
  destruct (merged gs) as [g|]; [|easy]. destruct (merged fs) as [f|]; [|easy].
  apply both_yes in H as [H1 H]. apply both_yes in H as [H2 H]. apply both_yes in H as [H3 H4].
  apply ask_yes in H1, H2. rewrite !andb_true_iff, !Z.eqb_eq in H1. destruct H1 as [[[S1 S2] Z1] Z2].
  assert (SG1 : sane [g] = true) by (unfold sane; simpl; now rewrite S1).
  assert (SF1 : sane [f] = true) by (unfold sane; simpl; now rewrite S2).
  assert (A : alike1 g t q t' q').
  { apply alike_one; trivial. apply (follows_right FUEL gs [g]); trivial. simpl; lia. }
  apply sane1_positive in S1 as P1. apply sane1_positive in S2 as P2.
  unfold strided1 in H2; apply andb_true_iff in H2 as [C D]. apply divides in C, D.
  assert (X : (period f * base | by_ * (q - q') - (t - t') * (base * step f))).
  { destruct A as [k K]. replace (by_ * (q - q') - (t - t') * (base * step f))
      with (k * (by_ * period g) + (t - t') * (by_ * step g - base * step f)) by nia.
    apply Z.divide_add_r; now apply Z.divide_mul_r. }
  split.
  - replace (by_ * (q - q')) with ((by_ * (q - q') - (t - t') * (base * step f))
      + base * ((t - t') * step f)) by ring.
    apply Z.divide_add_r; [|apply Z.divide_factor_l].
    apply Z.divide_trans with (period f * base); trivial. apply Z.divide_factor_r.
  - intros j j' J J' W. apply (follows_right FUEL [f] fs); trivial; try (simpl; lia).
    apply alike_one; trivial. unfold alike1.
    rewrite <- W in X. replace (base * (j - j') - (t - t') * (base * step f))
      with ((j - j' - (t - t') * step f) * base) in X by ring.
    apply Z.mul_divide_cancel_r in X; [trivial | lia].
Qed.
