(** * The subgroup argument

    The shifts that a property survives form a subgroup. So a proof for generators is a proof for all they generate,
    and if every minimal subgroup above a proved one is refuted, everything outside it is.

    The group is any commutative group in which some multiple of every element is proved: Z^d with the shifts by
    whole periods proved, which is to say a finite grid Z_n1 x ... x Z_nd. *)

From Coq Require Import ZArith Znumtheory List Lia.
From Shifts Require Import Signals.
Import ListNotations.
Open Scope Z_scope.

Record group (G : Type) := {
  unit : G; add : G -> G -> G; opp : G -> G;
  add_unit : forall a, add unit a = a;
  add_opp : forall a, add (opp a) a = unit;
  add_comm : forall a b, add a b = add b a;
  add_assoc : forall a b c, add a (add b c) = add (add a b) c }.
Arguments unit {G}. Arguments add {G}. Arguments opp {G}.

Definition line : group Z.
Proof. refine {| unit := 0; add := Z.add; opp := Z.opp |}; intros; lia. Defined.

(** The product of two groups; [product line line] is the plane, and so on for any number of axes. *)
Definition product {G H} (g : group G) (h : group H) : group (G * H).
Proof.
  refine {| unit := (unit g, unit h);
            add := fun a b => (add g (fst a) (fst b), add h (snd a) (snd b));
            opp := fun a => (opp g (fst a), opp h (snd a)) |};
  intros; simpl; rewrite ?add_unit, ?add_opp, ?add_assoc; trivial.
  - now destruct a.
  - f_equal; apply add_comm.
Defined.
Definition plane : group (Z * Z) := product line line.

Section Subgroups.
  Context {G : Type} (g : group G).

  Definition subgroup (E : G -> Prop) : Prop :=
    E (unit g) /\ (forall a b, E a -> E b -> E (add g a b)) /\ (forall a, E a -> E (opp g a)).

  Fixpoint times (k : nat) (a : G) : G := match k with O => unit g | S k => add g a (times k a) end.

  Lemma add_unit_r a : add g a (unit g) = a.
  Proof. rewrite add_comm; apply add_unit. Qed.

  Lemma times_add k l a : times (k + l) a = add g (times k a) (times l a).
  Proof. induction k; simpl; [now rewrite add_unit | rewrite IHk; apply add_assoc]. Qed.

  Lemma times_mul k l a : times (k * l) a = times k (times l a).
  Proof. induction k; simpl; trivial. now rewrite times_add, IHk. Qed.

  Lemma subgroup_times E k a : subgroup E -> E a -> E (times k a).
  Proof. intros (U & P & _) Ha. induction k; simpl; auto. Qed.

  Lemma subgroup_cancel E a b : subgroup E -> E (add g a b) -> E b -> E a.
  Proof.
    intros (_ & P & O) Hab Hb. replace a with (add g (add g a b) (opp g b)); auto.
    rewrite <- add_assoc, (add_comm _ _ b), add_opp. apply add_unit_r.
  Qed.

  (** The elements made from some by sums and opposites. *)
  Inductive generated (P : G -> Prop) : G -> Prop :=
    | generator a : P a -> generated P a
    | generated_unit : generated P (unit g)
    | generated_add a b : generated P a -> generated P b -> generated P (add g a b)
    | generated_opp a : generated P a -> generated P (opp g a).

  (** What holds for generators holds for the group that they generate. *)
  Theorem generators_prove_the_group : forall (E P : G -> Prop), subgroup E ->
    (forall a, P a -> E a) -> forall a, generated P a -> E a.
  Proof. intros E P (U & A & O) H a K. induction K; auto. Qed.

  (** The evidence that a shift a is refuted: some multiple of it, plus something proved, is refuted. *)
  Theorem refuted_multiple_refutes : forall (E L : G -> Prop) k a l, subgroup E ->
    (forall b, L b -> E b) -> L l -> ~ E (add g (times k a) l) -> ~ E a.
  Proof.
    intros E L k a l HE HL Hl N Ha. apply N, (proj1 (proj2 HE)); [now apply subgroup_times | now apply HL].
  Qed.

  Lemma prime_divisor n : (1 < n)%nat -> exists p q, prime (Z.of_nat p) /\ n = (p * q)%nat /\ (0 < q < n)%nat.
  Proof.
    induction n as [n IH] using (well_founded_induction lt_wf); intro H.
    destruct (prime_dec (Z.of_nat n)) as [P|P].
    - exists n, 1%nat. split; [trivial | lia].
    - apply not_prime_divide in P; [|lia]. destruct P as (d & Hd & [c E]).
      destruct (IH (Z.to_nat d)) as (p & q & Pp & Ed & Hq); try lia.
      assert (0 < c) by nia. exists p, (q * Z.to_nat c)%nat. split; [trivial | split].
      + apply Nat2Z.inj. rewrite E. rewrite !Nat2Z.inj_mul, Z2Nat.id by lia.
        replace d with (Z.of_nat (p * q)) by (rewrite <- Ed; lia). rewrite Nat2Z.inj_mul. ring.
      + apply prime_ge_2 in Pp. assert (Z.of_nat n = c * (Z.of_nat p * Z.of_nat q)) by lia. nia.
  Qed.

  (** An element outside of a subgroup, some multiple of which lies within, has a multiple k a that is still outside
      while p k a lies within, for a prime p. *)
  Theorem multiples_of_prime_order : forall (L : G -> Prop), (forall a, {L a} + {~ L a}) ->
    forall e a, (0 < e)%nat -> L (times e a) -> ~ L a ->
    exists k p, prime (Z.of_nat p) /\ ~ L (times k a) /\ L (times p (times k a)).
  Proof.
    intros L dec e. induction e as [e IH] using (well_founded_induction lt_wf); intros a He H N.
    destruct (Nat.eq_dec e 1) as [->|E1]; [simpl in H; rewrite add_unit_r in H; easy|].
    destruct (prime_divisor e) as (p & q & Pp & E & Hq); [lia|].
    destruct (dec (times q a)) as [Y|Y].
    - apply (IH q); trivial; lia.
    - exists q, p. split; [trivial | split; trivial]. rewrite <- times_mul, <- E. trivial.
  Qed.

  (** Let a subgroup L be proved, and let every element of prime order over it be refuted by way of some element r = k a
      + l, where l is in L. Then exactly L holds. (One r serves all the elements of which it is such a sum: one
      counterexample for each minimal subgroup above L.) *)
  Theorem refuting_minimal_overgroups_refutes_the_rest : forall (E L : G -> Prop),
    subgroup E -> (forall a, {L a} + {~ L a}) -> (forall a, L a -> E a) ->
    (forall a, exists e, (0 < e)%nat /\ L (times e a)) ->
    (forall a p, ~ L a -> prime (Z.of_nat p) -> L (times p a) -> exists k l, L l /\ ~ E (add g (times k a) l)) ->
    forall a, E a <-> L a.
  Proof.
    intros E L HE dec HL T R a; split; auto. intro Ha. destruct (dec a) as [|N]; trivial. exfalso.
    destruct (T a) as (e & He & Le). destruct (multiples_of_prime_order L dec e a He Le N) as (k & p & Pp & Nk & Lk).
    destruct (R _ p Nk Pp Lk) as (j & l & Hl & Hr).
    apply (refuted_multiple_refutes E L j (times k a) l); trivial. now apply subgroup_times.
  Qed.
End Subgroups.

(** ** The shifts that a function survives are a subgroup *)

(** On any group: (T_a x)(u) = x(u - a). *)
Definition translate {G A} (g : group G) (a : G) (x : G -> A) : G -> A := fun u => x (add g u (opp g a)).

Section Kept.
  Context {G H A B : Type} (g : group G) (h : group H) (P : (G -> A) -> Prop) (f : (G -> A) -> H -> B).
  Hypothesis f_ext : forall x y, x == y -> f x == f y.
  Hypothesis P_closed : forall x a, P x -> P (translate g a x).

  Lemma opp_unique {K} (k : group K) a b : add k a b = unit k -> a = opp k b.
  Proof.
    intro E. rewrite <- (add_unit _ k (opp k b)), <- E, <- add_assoc, (add_comm _ _ b), add_opp.
    symmetry; apply add_unit_r.
  Qed.

  Lemma translate_unit {K C} (k : group K) (x : K -> C) : translate k (unit k) x == x.
  Proof.
    intro u; unfold translate. rewrite <- (opp_unique k (unit k) (unit k)) by apply add_unit. now rewrite add_unit_r.
  Qed.

  Lemma translate_add {K C} (k : group K) a b (x : K -> C) :
    translate k a (translate k b x) == translate k (add k a b) x.
  Proof.
    intro u; unfold translate. rewrite <- add_assoc. do 2 f_equal. apply opp_unique.
    rewrite (add_comm _ k (opp k a)), <- add_assoc, (add_assoc _ k (opp k a)), add_opp, add_unit. apply add_opp.
  Qed.

  Lemma translate_ext {K C} (k : group K) a (x y : K -> C) : x == y -> translate k a x == translate k a y.
  Proof. intros E u; apply E. Qed.

  Lemma translate_back {K C} (k : group K) a (x : K -> C) : translate k a (translate k (opp k a) x) == x.
  Proof.
    intro u. rewrite translate_add, add_comm, add_opp. apply translate_unit.
  Qed.

  (** The shifts that come out as some shift (equivariance), and those that are not seen (invariance), form subgroups;
      every grid, any class of inputs that is closed under shifts, any function. *)
  Theorem kept_shifts_form_subgroups :
    subgroup g (fun a => exists b, forall x, P x -> f (translate g a x) == translate h b (f x)) /\
    subgroup g (fun a => forall x, P x -> f (translate g a x) == f x).
  Proof.
    split; split; [| split | | split].
    - exists (unit h); intros x Hx.
      apply same_trans with (f x); [apply f_ext, translate_unit | apply same_sym, translate_unit].
    - intros a b [a' Ha] [b' Hb]. exists (add h a' b'); intros x Hx.
      apply same_trans with (f (translate g a (translate g b x))); [apply f_ext, same_sym, translate_add|].
      apply same_trans with (translate h a' (f (translate g b x))); auto.
      apply same_trans with (translate h a' (translate h b' (f x))); [auto using translate_ext | apply translate_add].
    - intros a [a' Ha]. exists (opp h a'); intros x Hx.
      assert (K : f x == translate h a' (f (translate g (opp g a) x))).
      { apply same_trans with (f (translate g a (translate g (opp g a) x))); auto.
        apply f_ext, same_sym, translate_back. }
      apply same_sym. apply same_trans with (translate h (opp h a') (translate h a' (f (translate g (opp g a) x)))).
      + now apply translate_ext.
      + intro u. rewrite translate_add, add_opp. apply translate_unit.
    - intros x Hx. apply f_ext, translate_unit.
    - intros a b Ha Hb x Hx.
      apply same_trans with (f (translate g a (translate g b x))); [apply f_ext, same_sym, translate_add|].
      apply same_trans with (f (translate g b x)); auto.
    - intros a Ha x Hx. apply same_sym.
      apply same_trans with (f (translate g a (translate g (opp g a) x))); auto.
      apply f_ext, same_sym, translate_back.
  Qed.
End Kept.

(** ** One axis, and two *)

Lemma times_line k a : times line k a = Z.of_nat k * a.
Proof. induction k; [reflexivity|]. simpl times. rewrite IHk. simpl add. lia. Qed.

Lemma times_plane k a : times plane k a = (Z.of_nat k * fst a, Z.of_nat k * snd a).
Proof.
  induction k; [reflexivity|]. change (times plane (S k) a) with (add plane a (times plane k a)).
  rewrite IHk, Nat2Z.inj_succ. cbn [plane product line add fst snd]. f_equal; ring.
Qed.

(** What is outside s Z, and taken into it by a prime p: p divides s, and some multiple is s / p modulo s. *)
Lemma prime_order s p a : 0 < s -> prime p -> (s | p * a) -> ~ (s | a) ->
  (p | s) /\ exists k t, k * a = s / p + s * t.
Proof.
  intros Hs Pp [c E] N. assert (Hp := prime_ge_2 p Pp).
  assert (D : (p | s)).
  { destruct (prime_mult p Pp c s) as [D|D]; trivial; [exists a; lia|].
    destruct D as [c' ->]. exfalso; apply N. exists c'. nia. }
  split; trivial. destruct D as [r ->]. rewrite Z.div_mul by lia.
  assert (a = c * r) by nia. subst a.
  assert (R : rel_prime p c).
  { apply prime_rel_prime; trivial. intros [c' ->]. apply N. exists c'. ring. }
  apply rel_prime_bezout in R. destruct R as [u v B]. exists v, (- u). nia.
Qed.

Lemma natural_multiple s k : 0 < s -> exists k' t, Z.of_nat k' = k + s * t.
Proof.
  intro H. exists (Z.to_nat (k mod s)), (- (k / s)). pose proof (Z.mod_pos_bound k s H).
  pose proof (Z.div_mod k s ltac:(lia)). lia.
Qed.

(** One axis: if the shift by s > 0 holds, and that by s / p fails for every prime p that divides s, exactly the
    multiples of s hold. *)
Theorem lattice_on_one_axis : forall (E : Z -> Prop) s, 0 < s -> subgroup line E -> E s ->
  (forall p, prime p -> (p | s) -> ~ E (s / p)) -> forall a, E a <-> (s | a).
Proof.
  intros E s Hs HE Es R.
  assert (M : forall k, E (k * s)).
  { intro k. destruct (Z_le_gt_dec 0 k).
    - replace (k * s) with (times line (Z.to_nat k) s) by (rewrite times_line; lia). now apply subgroup_times.
    - replace (k * s) with (opp line (times line (Z.to_nat (- k)) s)) by (rewrite times_line; simpl; lia).
      apply HE. now apply subgroup_times. }
  apply (refuting_minimal_overgroups_refutes_the_rest line E (fun a => (s | a))); trivial.
  - intro a. destruct (Zdivide_dec s a); auto.
  - intros a [k ->]; apply M.
  - intro a. exists (Z.to_nat s). rewrite times_line, Z2Nat.id by lia. split; [lia|]. exists a; lia.
  - intros a p N Pp D. rewrite times_line in D.
    destruct (prime_order s (Z.of_nat p) a Hs Pp D N) as [Dp (k & t & K)].
    destruct (natural_multiple s k Hs) as (k' & t' & K').
    exists k', (- (t + t' * a) * s). split; [eexists; reflexivity|].
    rewrite times_line. simpl. replace (_ + _) with (s / Z.of_nat p); [now apply R|].
    rewrite K'. lia.
Qed.

(** Two axes: if (s, 0) and (0, t) hold, and for every prime p these fail: (0, t / p) where p divides t; (s / p, 0)
    where p divides s; (s / p, c t / p), 0 < c < p, where p divides both (p + 1 counterexamples); then exactly s Z x
    t Z holds. *)
Theorem lattice_on_two_axes : forall (E : Z * Z -> Prop) s t, 0 < s -> 0 < t -> subgroup plane E ->
  E (s, 0) -> E (0, t) ->
  (forall p, prime p -> (p | t) -> ~ E (0, t / p)) ->
  (forall p, prime p -> (p | s) -> ~ E (s / p, 0)) ->
  (forall p c, prime p -> (p | s) -> (p | t) -> 0 < c < p -> ~ E (s / p, c * (t / p))) ->
  forall a b, E (a, b) <-> (s | a) /\ (t | b).
Proof.
  intros E s t Hs Ht HE Es Et Rt Rs Rst.
  assert (M : forall k l, E (k * s, l * t)).
  { assert (N : forall k l, 0 <= k -> 0 <= l -> E (k * s, l * t)).
    { intros k l Hk Hl.
      replace (k * s, l * t) with (add plane (times plane (Z.to_nat k) (s, 0)) (times plane (Z.to_nat l) (0, t)))
        by (rewrite !times_plane; simpl; f_equal; lia).
      apply HE; now apply subgroup_times. }
    intros k l.
    replace (k * s, l * t) with
      (add plane (Z.max k 0 * s, Z.max l 0 * t) (opp plane (Z.max (- k) 0 * s, Z.max (- l) 0 * t)))
      by (simpl; f_equal; nia).
    apply HE; [| apply HE]; apply N; lia. }
  intros a b.
  apply (refuting_minimal_overgroups_refutes_the_rest plane E (fun u => (s | fst u) /\ (t | snd u)))
    with (a := (a, b)); trivial.
  - intros [u v]; simpl. destruct (Zdivide_dec s u); destruct (Zdivide_dec t v); intuition.
  - intros [u v] [[k K] [l L]]; simpl in *; subst. apply M.
  - intros [u v]. exists (Z.to_nat (s * t)). rewrite times_plane, Z2Nat.id by nia. simpl.
    split; [nia|]. split; [exists (t * u) | exists (s * v)]; ring.
  - intros [u v] p N Pp D. rewrite times_plane in D. simpl in *. destruct D as [Du Dv].
    assert (H2 := prime_ge_2 _ Pp). set (q := Z.of_nat p) in *.
    (* It is enough to find an integer k; whole multiples of s t may be added to it. *)
    assert (Enough : forall k x y i j, k * u = x + s * i -> k * v = y + t * j -> ~ E (x, y) ->
      exists k l, ((s | fst l) /\ (t | snd l)) /\ ~ E (add plane (times plane k (u, v)) l)).
    { intros k x y i j X Y R. destruct (natural_multiple (s * t) k ltac:(nia)) as (k' & m & K).
      exists k', (s * (- i - t * m * u), t * (- j - s * m * v)). rewrite times_plane; simpl.
      split; [split; eexists; apply Z.mul_comm|].
      replace (_ + s * _) with x by (rewrite K; nia). replace (_ + t * _) with y by (rewrite K; nia). trivial. }
    destruct (Zdivide_dec s u) as [Su|Su].
    + assert (Nv : ~ (t | v)) by tauto.
      destruct (prime_order t q v Ht Pp Dv Nv) as [Dp (k & j & K)].
      destruct Su as [i ->]. apply (Enough k 0 (t / q) (k * i) j); [ring | lia | now apply Rt].
    + destruct (prime_order s q u Hs Pp Du Su) as [Dp (k & i & K)].
      destruct (Zdivide_dec t (k * v)) as [[j Tv]|Tv].
      * apply (Enough k (s / q) 0 i j); [lia | lia | now apply Rs].
      * assert (Dt : (q | t)).
        { apply (prime_order t q (k * v)); trivial. destruct Dv as [w W]. exists (w * k).
          replace (q * (k * v)) with (k * (q * v)) by ring. rewrite W; ring. }
        destruct Dt as [r Er]. destruct Dv as [w W].
        assert (Wv : v = w * r) by (apply Z.mul_reg_l with q; [lia|]; rewrite W, Er; ring).
        pose proof (Z.div_mod (k * w) q ltac:(lia)) as DM. pose proof (Z.mod_pos_bound (k * w) q ltac:(lia)) as Bd.
        set (c := (k * w) mod q) in *. set (e := k * w / q) in *.
        assert (Tr : t / q = r) by (rewrite Er; apply Z.div_mul; lia).
        apply (Enough k (s / q) (c * (t / q)) i e).
        -- lia.
        -- rewrite Tr. subst v. rewrite Er. nia.
        -- destruct (Z.eq_dec c 0) as [C|C].
           ++ exfalso. apply Tv. exists e. subst v. rewrite Er. nia.
           ++ apply Rst; trivial; [exists r; lia | lia].
Qed.
