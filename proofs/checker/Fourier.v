(** * The rule of Fourier transforms

    Of a signal that moves, the sum over all cells of a period begins elsewhere: so each frequency is turned. And where
    frequencies are turned in proportion to their number, what is made of them when they are turned back moves. *)

From Coq Require Import ZArith Znumtheory List Lia Bool Permutation.
From Shifts Require Import Facts Parts Semantics Indices Rules Orders Views Mixtures Sums Turns Spectra.
Import ListNotations.
Open Scope Z_scope.

Definition runs_along (a : nat) (q : phase) : bool := (along q =? a)%nat.
Definition along_axis (a : nat) (W : list phase) : list phase := filter (runs_along a) W.
Definition beside_axis (a : nat) (W : list phase) : list phase := filter (fun q => negb (runs_along a q)) W.
Definition no_phase (W : list phase) : bool := match W with [] => true | _ => false end.

(** Along its axis a transform of n cells finds a signal that stays; or whole periods of one that moves; or frequencies
    of which number k is turned by k times a shift of the n cells. A *sign* says which way the transform turns. *)
Definition of_signal (a : nat) (sign n : Z) (real : bool) (sh : list Z) (G : list parts) (W : list phase) (fs : parts)
  : verdict :=
  if still_axis fs then ask (single_axis (nth a G []) && no_phase (along_axis a W)) else
  match fs with
  | [p] =>
      match merged p with
      | Some f =>
          both (ask (negb real && single_axis (nth a G []) && sane1 f && (cells f =? size p) && (n mod period f =? 0)
                     && (size p =? n)
                     && turned_as (along_axis a W) [Phase a 1 (nth a sh 0) n 0 (sign * step f)]))
            (follows FUEL [f] p)
      | None => Unknown
      end
  | _ => No
  end.
Definition of_spectrum (a : nat) (sign n : Z) (sh : list Z) (G : list parts) (W : list phase) (s : list Z) (fs : parts)
  (q : phase) : verdict :=
  both (ask (still_axis fs && no_phase (along_axis a W) && (minor q =? 1) && (many q =? nth a s 0) && (nth a sh 0 =? n)
             && (initial q mod cycle q =? 0) && (rate q * n mod cycle q =? 0)))
    (follows_axis (nth a G []) [[Moving n n 0 (- sign * (rate q * n / cycle q))]]).

(** Along other axes a transform is a sum of what it finds, but for half an inverse. *)
Definition fourier_rule (a : nat) (inverse half : bool) (sh : list Z) (G : list parts) (W : list phase) (s : list Z)
  (F : list parts) (S : list phase) : verdict :=
  let n := if inverse then nth a sh 0 else nth a s 0 in
  let sign := if inverse then -1 else 1 in
  let real := inverse && half in
  both (ask ((1 <=? n) && ((if inverse then nth a s 0 else nth a sh 0) =? (if half then n / 2 + 1 else n))
             && turned_as (beside_axis a W) (beside_axis a S)
             && (negb real || no_phase W && no_phase (beside_axis a S))))
    (both (other_axes a sh G s F)
      match along_axis a S with
      | [] => of_signal a sign n real sh G W (nth a F [])
      | [q] => if inverse || negb half then of_spectrum a sign n sh G W s (nth a F []) q else No
      | _ => No
      end).

Lemma no_phase_right W : no_phase W = true -> W = [].
Proof. now destruct W. Qed.

Lemma none_beside a W : none_along a (beside_axis a W) = true.
Proof.
  unfold none_along, beside_axis. apply forallb_forall. intros q Q. apply filter_In in Q as [_ Q]. exact Q.
Qed.

Lemma cycles_filter n p W : cycles_divide n W -> cycles_divide n (filter p W).
Proof. intros D q Q. apply filter_In in Q as [Q _]. now apply D. Qed.

Section Transforms.
Context {V : Type}.
Variable numbers : arithmetic V.
Hypothesis Law : lawful numbers.
Hypothesis Turning : turning numbers.
Notation turned := (spin numbers).
Notation N := (full numbers).
Context {index : Type}.
Variable turn : index -> Z.
Coercion turn : index >-> Z.
Notation right := (right (V := V) turn (fun t => t)).
Notation premise := (premise (V := V) turn (fun t => t)).
Notation unwound := (unwound numbers turn).

Variables (a : nat) (sign n : Z) (real : bool).
Variables (sh : list Z) (G : list parts) (W : list phase) (s : list Z) (F : list parts) (S : list phase).
Variables (A R : family V index) (f : list V -> V).
Hypothesis FG : fits G sh = true.
Hypothesis SS : sane_phases s S = true.
Hypothesis DW : cycles_divide N W.
Hypothesis DS : cycles_divide N S.
Hypothesis P : premise F (s, unwound S A).
Hypothesis O : other_axes a sh G s F = Yes.
Hypothesis Order : 1 <= n.
Hypothesis Divides : (n | N).
Hypothesis Sign : sign * sign = 1.
Hypothesis Beside : turned_as (beside_axis a W) (beside_axis a S) = true.
Hypothesis Real : real = true -> W = [] /\ beside_axis a S = [].
Hypothesis Linear : real = false -> exists h, scales numbers h /\ forall l, f l = h (total numbers l).
Notation u := (N / n).
Hypothesis Meaning : forall t i, inside sh i ->
  R t i = f (map (fun j => turned (sign * (j * nth a i 0 * u)) (A t (put a j i))) (range (nth a s 0))).

Lemma order_times : n * u = N.
Proof. destruct Divides as [c C]. rewrite C, Z.div_mul by lia. ring. Qed.

Lemma axis_there : (a < length sh)%nat /\ length s = length sh.
Proof.
  pose proof O as H. apply both_yes in H as [H _]. apply ask_yes, andb_true_iff in H as [H L].
  apply Nat.eqb_eq in H. now apply Nat.ltb_lt in L.
Qed.

(** A cell of the result that is turned back is made of cells that are turned back, and turned by what is left. *)
Lemma row (t : index) i : inside sh i -> unwound W R t i =
  f (map (fun j => turned (sign * (j * nth a i 0 * u) - t * angle N (along_axis a W) i
                           + t * angle N (along_axis a S) (put a j i))
                     (unwound S A t (put a j i))) (range (nth a s 0))).
Proof.
  intro I. transitivity (f (map (fun j => turned (- (t * angle N W i))
    (turned (sign * (j * nth a i 0 * u)) (A t (put a j i)))) (range (nth a s 0)))).
  - unfold Spectra.unwound. rewrite Meaning by trivial. destruct real eqn:E.
    + destruct (Real eq_refl) as [-> _]. unfold angle; simpl. rewrite Z.mul_0_r, (spin_nothing numbers Turning).
      f_equal.
      apply map_ext. intro j. now rewrite (spin_nothing numbers Turning).
    + destruct (Linear eq_refl) as (h & Sc & L). rewrite !L, <- Sc, (spin_total numbers Turning), map_map. reflexivity.
  - f_equal. apply map_ext. intro j. rewrite <- (wound numbers Turning turn S A t (put a j i)) at 1.
    rewrite !(spin_twice numbers Turning). apply (spin_equal numbers Turning).
    rewrite (angle_partition N (runs_along a) W), (angle_partition N (runs_along a) S (put a j i)).
    fold (along_axis a W) (along_axis a S) (beside_axis a W) (beside_axis a S).
    rewrite (angle_put N a j i (beside_axis a S)) by apply none_beside.
    destruct (turned_as_right N (beside_axis a W) (beside_axis a S) i Beside) as [c C]; try now apply cycles_filter.
    exists (- t * c). replace (- t * c * N) with (- t * (c * N)) by ring. rewrite <- C. ring.
Qed.

(** Cells with coordinates that are alike, along this axis and the others. *)
Lemma rows_alike (t : index) i (t' : index) i' j j' : inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  0 <= j < nth a s 0 -> 0 <= j' < nth a s 0 -> alike_axis (nth a F []) t j t' j' ->
  unwound S A t (put a j i) = unwound S A t' (put a j' i').
Proof. intros I I' E J J' L. now apply (put_right turn (fun t => t) a sh G F (s, unwound S A) t i t' i' j j'). Qed.

Lemma along_sane : sane_axis (nth a F []) = true /\ size_axis (nth a F []) = nth a s 0.
Proof. destruct axis_there as [L E]. pose proof (fits_right F s (proj1 P)) as [_ X]. apply X. simpl. lia. Qed.

Lemma told_apart (t : index) i (t' : index) i' : inside sh i -> inside sh i' -> label G t i = label G t' i' ->
  single_axis (nth a G []) = true -> nth a i 0 = nth a i' 0.
Proof.
  intros I I' E T. destruct axis_there as [L _].
  destruct (result_axes G sh t i t' i' FG I I' E a L) as (SG & ZG & X & X' & Y).
  apply (single_axis_tells (nth a G []) t _ t' _); trivial; lia.
Qed.

(** Where the signal stays, so does the transform. *)
Lemma of_still_right : along_axis a S = [] -> along_axis a W = [] -> still_axis (nth a F []) = true ->
  single_axis (nth a G []) = true -> right G sh (unwound W R).
Proof.
  intros ES EW St T t i t' i' I I' E. cbv beta. rewrite !row by trivial. f_equal. apply map_ext_in.
  intros j J. apply in_range in J. rewrite ES, EW. unfold angle; simpl. destruct along_sane as [SF ZF].
  rewrite (told_apart t i t' i' I I' E T), !Z.mul_0_r. f_equal.
  apply rows_alike; trivial. apply still_axis_stays; trivial; lia.
Qed.

(** Where it moves, the transform is turned: the sum of all cells begins at another one. *)
Lemma of_moving_right p g : along_axis a S = [] -> real = false -> nth a F [] = [p] -> sane1 g = true ->
  cells g = size p -> size p = n -> (period g | n) -> single_axis (nth a G []) = true -> follows FUEL [g] p = Yes ->
  turned_as (along_axis a W) [Phase a 1 (nth a sh 0) n 0 (sign * step g)] = true -> right G sh (unwound W R).
Proof.
  intros ES NR EF Sg Cg Sz Pg T Fo Tu t i t' i' I I' E. cbv beta. rewrite !row by trivial. rewrite ES.
  pose proof (told_apart t i t' i' I I' E T) as K. destruct along_sane as [SF ZF]. rewrite EF in SF, ZF.
  rewrite sane_one_axis in SF. simpl in ZF. rewrite Z.add_0_r in ZF. rewrite <- ZF, Sz.
  destruct (Linear NR) as (h & _ & L). rewrite !L. f_equal. destruct axis_there as [La _].
  set (k := nth a i' 0) in K.
  assert (Turns : forall z, inside sh z -> nth a z 0 = k ->
    (N | angle N (along_axis a W) z - sign * k * step g * u)).
  { intros z Iz Kz. replace (sign * k * step g * u) with (angle N [Phase a 1 (nth a sh 0) n 0 (sign * step g)] z).
    - apply turned_as_right; trivial; [now apply cycles_filter|]. intros q [<-|[]]. exact Divides.
    - unfold angle, angle1, digit; simpl. rewrite Kz, Z.div_1_r, Z.mod_small; [ring|]. rewrite <- Kz. now apply Iz. }
  set (value := fun (t : index) z j => turned (sign * k * u * (j - t * step g)) (unwound S A t (put a j z))).
  assert (Each : forall (t : index) z, inside sh z -> nth a z 0 = k ->
    map (fun j => turned (sign * (j * nth a z 0 * u) - t * angle N (along_axis a W) z + t * angle N [] (put a j z))
                    (unwound S A t (put a j z))) (range n) = map (value t z) (range n)).
  { intros w z Iz Kz. apply map_ext. intro j. apply (spin_equal numbers Turning). rewrite Kz. unfold angle at 2; simpl.
    destruct (Turns z Iz Kz) as [c C]. exists (- w * c).
    replace (- w * c * N) with (- w * (c * N)) by ring. rewrite <- C. ring. }
  rewrite (Each t i I K), (Each t' i' I' eq_refl).
  set (on := fun j => (j + (- (turn t - turn t') * step g)) mod n).
  rewrite (total_permuted numbers Law (map (value t' i') (range n)) (map (value t' i') (map on (range n)))).
  2: { apply Permutation_map, turns_permute; lia. }
  rewrite map_map. f_equal. apply map_ext_in. intros j J. apply in_range in J.
  assert (B : 0 <= on j < n) by (apply Z.mod_pos_bound; lia).
  assert (D : exists c, j - on j - (turn t - turn t') * step g = c * n).
  { exists ((j + (- (turn t - turn t') * step g)) / n). unfold on. rewrite Z.mod_eq by lia. ring. }
  destruct D as [c D]. unfold value.
  rewrite (rows_alike t i t' i' j (on j)); trivial; try lia.
  - apply (spin_equal numbers Turning). exists (sign * k * c).
    replace (sign * k * c * N) with (sign * k * c * (n * u)) by (now rewrite order_times).
    replace (sign * k * u * (j - turn t * step g) - sign * k * u * (on j - turn t' * step g))
      with (sign * k * u * (j - on j - (turn t - turn t') * step g)) by ring.
    rewrite D. ring.
  - rewrite EF. apply alike_one_part; try lia. apply (follows_right FUEL [g] p); trivial; try (simpl; lia).
    { unfold sane; simpl. now rewrite Sg. }
    apply alike_one; trivial. unfold alike1. rewrite D. now apply Z.divide_mul_r.
Qed.

(** Where frequencies are turned in proportion to their number, what is made of them moves. *)
Lemma of_phase_right q : along_axis a S = [q] -> of_spectrum a sign n sh G W s (nth a F []) q = Yes ->
  right G sh (unwound W R).
Proof.
  intros ES H t i t' i' I I' E. cbv beta. apply both_yes in H as [C H]. apply ask_yes in C.
  rewrite !andb_true_iff, !Z.eqb_eq in C. destruct C as [[[[[[St EW] Mi] Ma] Nn] In0] Ra].
  apply no_phase_right in EW. rewrite !row, ES, EW by trivial. f_equal. apply map_ext_in. intros j J.
  apply in_range in J. destruct along_sane as [SF ZF]. destruct axis_there as [La _].
  assert (Q : In q S /\ along q = a).
  { assert (In q (along_axis a S)) as Q by (rewrite ES; now left). apply filter_In in Q as [Q Q']. split; trivial.
    now apply Nat.eqb_eq. }
  destruct Q as [Q Qa]. destruct (sane_phase_right s q (sane_phases_in s S q SS Q)) as (_ & _ & _ & Cy & _).
  set (c := rate q * n / cycle q) in *.
  assert (Rc : rate q * n = c * cycle q).
  { unfold c. pose proof (Z.div_mod (rate q * n) (cycle q)). lia. }
  assert (Turns : forall z, inside sh z -> (N | angle N [q] (put a j z) - c * j * u)).
  { intros z [Lz _]. destruct (DS q Q) as [e Ce]. apply Z.mod_divide in In0 as [d Cd]; [|lia].
    assert (Qu : N / cycle q = e) by (rewrite Ce; apply Z.div_mul; lia).
    unfold angle, angle1, digit; simpl. rewrite Qa, nth_put, Nat.eqb_refl, (proj2 (Nat.ltb_lt a (length z))) by lia.
    simpl.
    rewrite Mi, Ma, Z.div_1_r, Z.mod_small, Qu by lia. exists d.
    replace (d * N) with (d * (e * cycle q)) by (now rewrite <- Ce). rewrite Cd.
    assert (K : rate q * e = c * u).
    { assert (n * (rate q * e) = n * (c * u)); [|nia]. pose proof order_times as Ot. rewrite Ce in Ot at 2.
      replace (n * (rate q * e)) with (rate q * n * e) by ring. replace (n * (c * u)) with (c * (n * u)) by ring.
      rewrite Ot, Rc. ring. }
    replace ((d * cycle q + j * rate q) * e + 0) with (d * (e * cycle q) + j * (rate q * e)) by ring. rewrite K. ring. }
  rewrite (rows_alike t i t' i' j j); trivial; [|apply still_axis_stays; trivial; lia].
  apply (spin_equal numbers Turning). unfold angle at 1 3; simpl.
  destruct (result_axes G sh t i t' i' FG I I' E a La) as (SG & ZG & X & X' & Y).
  assert (Sm : sane1 (Moving n n 0 (- sign * c)) = true).
  { unfold sane1; simpl. rewrite andb_true_iff, !Z.leb_le; lia. }
  apply (follows_axis_right _ [[Moving n n 0 (- sign * c)]]) in Y; trivial; try lia.
  2: { rewrite sane_one_axis. unfold sane; simpl. unfold sane1 in *; simpl in *. now rewrite Sm. }
  2: { simpl; lia. }
  apply alike_axis_one in Y; trivial; try (simpl; lia). unfold alike1 in Y; simpl in Y. destruct Y as [e Y].
  destruct (Turns i I) as [d D], (Turns i' I') as [d' D'].
  set (x := angle N [q] (put a j i)) in *. set (x' := angle N [q] (put a j i')) in *.
  exists (sign * j * e + turn t * d - turn t' * d').
  replace ((sign * j * e + turn t * d - turn t' * d') * N)
    with (sign * j * e * (n * u) + turn t * (d * N) - turn t' * (d' * N)) by (rewrite order_times; ring).
  replace (sign * j * e * (n * u)) with (sign * j * (e * n) * u) by ring.
  rewrite <- D, <- D', <- Y.
  replace (sign * j * (nth a i 0 - nth a i' 0 - (turn t - turn t') * (- sign * c)) * u)
    with (sign * j * (nth a i 0 - nth a i' 0) * u + (sign * sign) * (j * (turn t - turn t') * c * u)) by ring.
  rewrite Sign. ring.
Qed.

End Transforms.

(** A transform is right where the signal stays, or moves and its frequencies are turned, or the other way round. *)
Theorem fourier_right : forall V (numbers : arithmetic V), lawful numbers -> turning numbers ->
  forall (index : Type) (turn : index -> Z) a inverse half sh G W F S (one : operand V index) f R,
  fits G sh = true -> sane_phases (fst one) S = true ->
  cycles_divide (full numbers) W -> cycles_divide (full numbers) S ->
  premise turn (fun t => t) F (unwound_operand numbers turn S one) ->
  fourier_rule a inverse half sh G W (fst one) F S = Yes ->
  let n := if inverse then nth a sh 0 else nth a (fst one) 0 in
  (n | full numbers) ->
  (inverse && half = false -> exists h, scales numbers h /\ forall l, f l = h (total numbers l)) ->
  (forall t i, inside sh i ->
     R t i = f (map (fun j => spin numbers ((if inverse then -1 else 1) * (j * nth a i 0 * (full numbers / n)))
                                (snd one t (put a j i))) (range (nth a (fst one) 0)))) ->
  right turn (fun t => t) G sh (unwound numbers turn W R).
Proof.
  intros V numbers Law Turning index turn a inverse half sh G W F S one f R FG SS DW DS P H n D Lin M.
  unfold fourier_rule in H. cbv zeta in H. fold n in H. apply both_yes in H as [C H]. apply ask_yes in C.
  rewrite !andb_true_iff, Z.leb_le in C. destruct C as [[[N1 _] Be] Re]. apply both_yes in H as [O H].
  assert (Sg : (if inverse then -1 else 1) * (if inverse then -1 else 1) = 1) by now destruct inverse.
  assert (Real : inverse && half = true -> W = [] /\ beside_axis a S = []).
  { intro E. rewrite E in Re. simpl in Re. apply andb_true_iff in Re as [R1 R2]. split; now apply no_phase_right. }
  set (s := fst one) in *.
  destruct (along_axis a S) as [|q [|? ?]] eqn:ES; [| |discriminate H].
  - unfold of_signal in H. destruct (still_axis (nth a F [])) eqn:St.
    + apply ask_yes, andb_true_iff in H as [T EW]. apply no_phase_right in EW.
      now apply (of_still_right numbers Turning turn a (if inverse then -1 else 1) n (inverse && half) sh G W s F S
        (snd one) R f FG DW DS P O Be Real Lin M).
    + destruct (nth a F []) as [|p [|? ?]] eqn:EF; try discriminate H. destruct (merged p) as [g|]; [|discriminate H].
      apply both_yes in H as [C Fo]. apply ask_yes in C. rewrite !andb_true_iff, !Z.eqb_eq in C.
      destruct C as [[[[[[NR T] Sg1] Cg] Pg] Sz] Tu]. apply Z.eqb_eq, divides in Pg. apply negb_true_iff in NR.
      now apply (of_moving_right numbers Law Turning turn a (if inverse then -1 else 1) n (inverse && half) sh G W s F S
        (snd one) R f FG DW DS P O N1 D Be Real Lin M p g).
  - destruct (inverse || negb half); [|discriminate H].
    now apply (of_phase_right numbers Turning turn a (if inverse then -1 else 1) n (inverse && half) sh G W s F S
      (snd one) R f FG SS DW DS P O N1 D Sg Be Real Lin M q).
Qed.
