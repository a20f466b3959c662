(** * Polyphase sampling: ties broken by the greatest word

    Of all ways to keep one cell in s the image chooses one. A score that no roll of a component changes says which are
    best; of these the one with the greatest word wins, where a component has one word for each of its cells: what it
    shows from there on, around the torus. A shift of the image permutes the components and rolls them, so it leaves the
    set of all words as it is, and with it the greatest one.

    A grid is a commutative group of cells: [Z] for one axis, pairs for images, and so on. *)

From Coq Require Import ZArith List Lia.
From Shifts Require Import Signals.
Import ListNotations.
Open Scope Z_scope.

Record grid := Grid {
  cell :> Type;
  plus : cell -> cell -> cell;
  minus : cell -> cell -> cell;
  plus_comm : forall u v, plus u v = plus v u;
  plus_assoc : forall u v w, plus u (plus v w) = plus (plus u v) w;
  minus_plus : forall u v, plus (minus u v) v = u;
  plus_minus : forall u v, minus (plus u v) v = u }.
Arguments plus {g}. Arguments minus {g}.

Definition moved {G : grid} {A} (D : G) (x : G -> A) : G -> A := fun u => x (minus u D).

(** How a grid is sampled: cell d of a component stands at [times d] and a phase. [turns] are the whole turns around the
    torus, in cells of a component, and [box] holds one cell for each place of it. *)
Record sampling (G : grid) := Sampling {
  times : G -> G;
  phases : list G;
  turns : G -> Prop;
  box : list G;
  times_plus : forall d e, times (plus d e) = plus (times d) (times e);
  phases_cover : forall u, exists d p, In p phases /\ u = plus (times d) p;
  box_covers : forall u, exists k n, In k box /\ turns n /\ u = plus k n }.
Arguments times {G}. Arguments phases {G}. Arguments turns {G}. Arguments box {G}.

Definition on_torus {G : grid} {A} (s : sampling G) (x : G -> A) : Prop :=
  forall n u, turns s n -> x (plus u (times s n)) = x u.

Definition component {G : grid} {A} (s : sampling G) (x : G -> A) (p : G) : G -> A :=
  fun d => x (plus (times s d) p).

Definition word {G : grid} {A} (s : sampling G) (y : G -> A) (u : G) : list A :=
  map (fun k => y (plus u k)) (box s).

(** A score that no roll changes, and an order of scores; nothing else is asked of the two. *)
Definition kept_by_rolls {G : grid} {A B} (score : (G -> A) -> B) : Prop :=
  forall y z t, z == moved t y -> score z = score y.

Definition best {G : grid} {A B} (s : sampling G) (score : (G -> A) -> B) (upto : B -> B -> Prop) x p : Prop :=
  In p (phases s) /\
  forall q, In q (phases s) -> upto (score (component s x q)) (score (component s x p)).

Definition wins {G : grid} {A B} (s : sampling G) (score : (G -> A) -> B) (upto : B -> B -> Prop)
  (before : list A -> list A -> Prop) (x : G -> A) (p u : G) : Prop :=
  best s score upto x p /\
  forall q v, best s score upto x q -> before (word s (component s x q) v) (word s (component s x p) u).

Definition antisymmetric {W} (before : W -> W -> Prop) : Prop :=
  forall v w, before v w -> before w v -> v = w.

(** ** A shift permutes the components, and rolls them *)

Lemma minus_spread {G : grid} (u v w : G) : minus (plus u v) w = plus u (minus v w).
Proof.
  rewrite <- (plus_minus G (plus u (minus v w)) w), <- plus_assoc. now rewrite minus_plus.
Qed.

Lemma component_moved {G : grid} {A} (s : sampling G) (x : G -> A) a q :
  exists d p, In p (phases s) /\
    forall u, component s (moved a x) q u = component s x p (plus u d).
Proof.
  destruct (phases_cover G s (minus q a)) as [d [p [P E]]]. exists d, p; split; trivial.
  intro u; unfold component, moved.
  rewrite minus_spread, E, times_plus, !plus_assoc. reflexivity.
Qed.

Lemma component_unmoved {G : grid} {A} (s : sampling G) (x : G -> A) a p :
  exists d q, In q (phases s) /\
    forall u, component s x p u = component s (moved a x) q (plus u d).
Proof.
  destruct (phases_cover G s (plus p a)) as [d [q [P E]]]. exists d, q; split; trivial.
  intro u; unfold component, moved.
  rewrite times_plus, <- plus_assoc, <- E, plus_assoc, plus_minus. reflexivity.
Qed.

Lemma rolled {G : grid} {A} (y z : G -> A) d : (forall u, z u = y (plus u d)) -> y == moved d z.
Proof. intros H u; unfold moved. now rewrite H, minus_plus. Qed.

Section Choice.
  Context {G : grid} {A B : Type} (s : sampling G) (score : (G -> A) -> B) (upto : B -> B -> Prop).
  Context (before : list A -> list A -> Prop).
  Hypothesis rolls : kept_by_rolls score.

  Lemma best_moved x a q : best s score upto (moved a x) q ->
    exists d p, best s score upto x p /\ forall u, component s (moved a x) q u = component s x p (plus u d).
  Proof.
    intros [Q H]. destruct (component_moved s x a q) as [d [p [P E]]].
    exists d, p; split; trivial; split; trivial. intros r R.
    destruct (component_unmoved s x a r) as [e [t [T F]]]. specialize (H t T).
    rewrite (rolls _ _ _ (rolled _ _ _ F)), <- (rolls _ _ _ (rolled _ _ _ E)) in H. exact H.
  Qed.

  Lemma best_unmoved x a p : best s score upto x p ->
    exists d q, best s score upto (moved a x) q /\ forall u, component s x p u = component s (moved a x) q (plus u d).
  Proof.
    intros [P H]. destruct (component_unmoved s x a p) as [d [q [Q E]]].
    exists d, q; split; trivial; split; trivial. intros r R.
    destruct (component_moved s x a r) as [e [t [T F]]]. specialize (H t T).
    rewrite (rolls _ _ _ (rolled _ _ _ F)), <- (rolls _ _ _ (rolled _ _ _ E)) in H. exact H.
  Qed.

  Lemma word_rolled (y z : G -> A) d u : (forall v, z v = y (plus v d)) -> word s z u = word s y (plus u d).
  Proof.
    intro H; unfold word; apply map_ext; intro k. rewrite H. f_equal.
    rewrite <- !plus_assoc. f_equal. apply plus_comm.
  Qed.

  Hypothesis order : antisymmetric before.

  Lemma winners_show_the_same x a p u p' u' :
    wins s score upto before x p u -> wins s score upto before (moved a x) p' u' ->
    word s (component s (moved a x) p') u' = word s (component s x p) u.
  Proof.
    intros [P W] [P' W']. apply order.
    - destruct (best_moved x a p' P') as [d [q [Q E]]]. rewrite (word_rolled _ _ d u' E). now apply W.
    - destruct (best_unmoved x a p P) as [d [q [Q E]]]. rewrite (word_rolled _ _ d u E). now apply W'.
  Qed.
End Choice.

Lemma same_words {G : grid} {A} (s : sampling G) (y z : G -> A) u u' :
  (forall n v, turns s n -> y (plus v n) = y v) -> (forall n v, turns s n -> z (plus v n) = z v) ->
  word s z u' = word s y u -> z == moved (minus u' u) y.
Proof.
  intros Y Z E w; unfold moved.
  destruct (box_covers G s (minus w u')) as [k [n [K [N F]]]].
  assert (H : w = plus (plus u' k) n).
  { rewrite <- plus_assoc, <- F, plus_comm. symmetry; apply minus_plus. }
  assert (J : minus w (minus u' u) = plus (plus u k) n).
  { rewrite <- (plus_minus G (plus (plus u k) n) (minus u' u)). f_equal. rewrite H.
    rewrite (plus_comm G _ (minus u' u)), !plus_assoc, minus_plus. reflexivity. }
  rewrite J, H, (Z n _ N), (Y n _ N).
  exact (ext_in_map E k K).
Qed.

Lemma component_turns {G : grid} {A} (s : sampling G) (x : G -> A) p :
  on_torus s x -> forall n v, turns s n -> component s x p (plus v n) = component s x p v.
Proof.
  intros T n v N; unfold component. rewrite times_plus, <- (T n (plus (times s v) p) N). f_equal.
  rewrite <- !plus_assoc. f_equal. apply plus_comm.
Qed.

Definition ordered {W} (before : W -> W -> Prop) : Prop :=
  (forall v w, before v w \/ before w v) /\ (forall u v w, before u v -> before v w -> before u w).

Lemma greatest {T} (before : T -> T -> Prop) (l : list T) a : In a l ->
  (forall v w, before v w \/ before w v) -> (forall u v w, before u v -> before v w -> before u w) ->
  exists g, In g l /\ forall v, In v l -> before v g.
Proof.
  intros I total trans; revert a I; induction l as [| b l IH]; intros a I; [destruct I |].
  assert (refl : forall v, before v v) by (intro v; destruct (total v v); trivial).
  destruct l as [| c l].
  - exists b; split; [now left | intros v [-> | []]; apply refl].
  - destruct (IH c (or_introl eq_refl)) as [g [Ig Hg]]. destruct (total b g) as [L | L].
    + exists g; split; [now right | intros v [<- | V]; auto].
    + exists b; split; [now left | intros v [<- | V]; [apply refl | eauto]].
Qed.

Lemma word_turns {G : grid} {A} (s : sampling G) (y : G -> A) u n :
  (forall n v, turns s n -> y (plus v n) = y v) -> turns s n -> word s y (plus u n) = word s y u.
Proof.
  intros Y N; unfold word; apply map_ext; intro k.
  rewrite <- plus_assoc, (plus_comm G n), plus_assoc. now apply Y.
Qed.

(** ** The claim *)

(** Polyphase sampling with ties broken by the greatest word keeps every shift of every image: where one image is a
    shift of the other, the components that win are rolls of each other, for any score that no roll changes, and any
    order in which two words before each other are one. *)
Theorem greatest_words_keep_every_shift :
  forall (G : grid) (A B : Type) (s : sampling G) (score : (G -> A) -> B) upto before,
  kept_by_rolls score -> antisymmetric before ->
  forall (x : G -> A) (a p u p' u' : G), on_torus s x ->
  wins s score upto before x p u -> wins s score upto before (moved a x) p' u' ->
  exists t, component s (moved a x) p' == moved t (component s x p).
Proof.
  intros G A B s score upto before R O x a p u p' u' T W W'.
  exists (minus u' u). apply (same_words s).
  - now apply component_turns.
  - apply component_turns. intros n v N; unfold moved.
    rewrite <- (T n (minus v a) N). f_equal.
    now rewrite (plus_comm G v), minus_spread, plus_comm.
  - eapply winners_show_the_same; eauto.
Qed.

(** A pool behind polyphase sampling with canonical ties is invariant under every shift, if no roll of the component
    that wins changes it. *)
Theorem pools_behind_greatest_words_are_invariant :
  forall (G : grid) (A B C : Type) (s : sampling G) (score : (G -> A) -> B) upto before (pool : (G -> A) -> C),
  kept_by_rolls score -> antisymmetric before -> kept_by_rolls pool ->
  forall (x : G -> A) (a p u p' u' : G), on_torus s x ->
  wins s score upto before x p u -> wins s score upto before (moved a x) p' u' ->
  pool (component s (moved a x) p') = pool (component s x p).
Proof.
  intros G A B C s score upto before pool R O P x a p u p' u' T W W'.
  destruct (greatest_words_keep_every_shift _ _ _ _ _ _ _ R O x a p u p' u' T W W') as [t E].
  exact (P _ _ t E).
Qed.

(** There is a winner for every image, where scores and words are ordered from the least to the greatest; so the claim
    above is about something. *)
Theorem some_word_wins :
  forall (G : grid) (A B : Type) (s : sampling G) (score : (G -> A) -> B) (upto : B -> B -> Prop) before,
  (forall a b, {upto a b} + {~ upto a b}) -> ordered upto -> ordered before ->
  forall (x : G -> A) (o : G), on_torus s x -> exists p u, wins s score upto before x p u.
Proof.
  intros G A B s score upto before D [total trans] [total' trans'] x o T.
  destruct (phases_cover G s o) as [_ [p0 [P0 _]]], (box_covers G s o) as [u0 [_ [U0 _]]].
  pose (value := fun p => score (component s x p)).
  destruct (greatest (fun p q => upto (value p) (value q)) (phases s) p0 P0) as [b [Hb Gb]];
    [now intros; apply total | now intros ? ? ?; apply trans |].
  pose (tied := filter (fun p => if D (value b) (value p) then true else false) (phases s)).
  assert (Tied : forall p, In p tied <-> best s score upto x p).
  { intro p; unfold tied, best; rewrite filter_In. destruct (D (value b) (value p)) as [d | d]; split; intros [P H].
    - split; trivial. intros q Q. eapply trans; [now apply Gb | exact d].
    - now split.
    - discriminate.
    - exfalso; apply d. now apply H. }
  assert (Pb : In b tied) by (apply Tied; split; trivial; exact Gb).
  pose (shown := fun c : G * G => word s (component s x (fst c)) (snd c)).
  destruct (greatest (fun c d => before (shown c) (shown d)) (list_prod tied (box s)) (b, u0)) as [[p u] [In1 Gr]];
    [now apply in_prod | now intros; apply total' | now intros ? ? ?; apply trans' |].
  apply in_prod_iff in In1 as [P U]. exists p, u; split; [now apply Tied |].
  intros q v Q. destruct (box_covers G s v) as [k [n [K [N ->]]]].
  rewrite (word_turns s (component s x q) k n (component_turns s x q T) N).
  apply (Gr (q, k)). apply in_prod; trivial. now apply Tied.
Qed.

(** ** The order of words *)

Inductive lexicographic {A} (less : A -> A -> Prop) : list A -> list A -> Prop :=
  | lexicographic_nil w : lexicographic less [] w
  | lexicographic_less a b v w : less a b -> lexicographic less (a :: v) (b :: w)
  | lexicographic_same a v w : lexicographic less v w -> lexicographic less (a :: v) (a :: w).

(** The lexicographic order of words is such an order: two words before each other are one, if of no two letters each is
    less than the other. *)
Theorem lexicographic_is_antisymmetric : forall A (less : A -> A -> Prop),
  (forall a b, less a b -> ~ less b a) -> antisymmetric (lexicographic less).
Proof.
  intros A less H v w L; induction L as [w | a b v w L | a v w L IH]; intro M.
  - now inversion M.
  - inversion M; subst; [exfalso; eapply H; eauto | exfalso; eapply H; eauto].
  - inversion M; subst; [exfalso; eapply H; eauto | f_equal; auto].
Qed.

(** It is total and transitive, if the order of letters is. *)
Theorem lexicographic_is_ordered : forall A (less : A -> A -> Prop),
  (forall a b, less a b \/ a = b \/ less b a) -> (forall a b c, less a b -> less b c -> less a c) ->
  ordered (lexicographic less).
Proof.
  intros A less three trans; split.
  - induction v as [| a v IH]; intros [| b w]; [left; constructor | left; constructor | right; constructor |].
    destruct (three a b) as [L | [-> | L]].
    + left; now constructor.
    + destruct (IH w); [left | right]; now constructor.
    + right; now constructor.
  - intros u v w L; revert w; induction L as [v | a b u v L | a u v L IH]; intros w M.
    + constructor.
    + inversion M; subst; apply lexicographic_less; eauto.
    + inversion M; subst; [apply lexicographic_less | apply lexicographic_same]; auto.
Qed.

(** ** Axes, and products of them *)

Definition line : grid.
Proof. refine (Grid Z Z.add Z.sub _ _ _ _); intros; lia. Defined.

Definition product (G H : grid) : grid.
Proof.
  refine (Grid (G * H) (fun u v => (plus (fst u) (fst v), plus (snd u) (snd v)))
                       (fun u v => (minus (fst u) (fst v), minus (snd u) (snd v))) _ _ _ _); intros; destruct u, v;
    try destruct w; cbn; f_equal; auto using plus_comm, plus_assoc, minus_plus, plus_minus.
Defined.

Definition upto (k : Z) : list Z := map Z.of_nat (seq 0 (Z.to_nat k)).

Lemma in_upto k r : 0 <= r < k -> In r (upto k).
Proof.
  intro R; apply in_map_iff. exists (Z.to_nat r); split; [lia | apply in_seq; lia].
Qed.

(** One axis of k m cells, of which every k-th is kept. *)
Definition every (k m : Z) (K : 0 < k) (M : 0 < m) : sampling line.
Proof.
  refine (Sampling line (fun d : Z => k * d) (upto k) (fun n : Z => (m | n)) (upto m) _ _ _); cbn; intros.
  - lia.
  - exists (u / k), (u mod k); split; [apply in_upto, Z.mod_pos_bound | apply Z.div_mod]; lia.
  - exists (u mod m), (u / m * m). split; [| split].
    + apply in_upto, Z.mod_pos_bound; lia.
    + apply Z.divide_factor_r.
    + pose proof (Z.div_mod u m); lia.
Defined.

(** Several axes, each sampled by itself. *)
Definition both {G H} (s : sampling G) (t : sampling H) : sampling (product G H).
Proof.
  refine (Sampling (product G H) (fun d => (times s (fst d), times t (snd d)))
    (list_prod (phases s) (phases t)) (fun n => turns s (fst n) /\ turns t (snd n)) (list_prod (box s) (box t)) _ _ _).
  - intros d e; cbn. now rewrite !times_plus.
  - intros [u v]. destruct (phases_cover G s u) as [d [p [P E]]], (phases_cover H t v) as [e [q [Q F]]].
    exists (d, e), (p, q); split; [now apply in_prod | cbn; congruence].
  - intros [u v]. destruct (box_covers G s u) as [k [n [K [N E]]]], (box_covers H t v) as [j [o [J [O F]]]].
    exists (k, j), (n, o); split; [now apply in_prod | split; [now split | cbn; congruence]].
Defined.

(** Images of k m x l n cells, of which polyphase sampling keeps every k-th row and l-th column: a shift of the image by
    any number of cells, whole strides or not, moves the winning component along by some whole number of its cells. *)
Theorem polyphase_images_keep_every_shift :
  forall k m l n (K : 0 < k) (M : 0 < m) (L : 0 < l) (N : 0 < n) A B (less : A -> A -> Prop),
  let s := both (every k m K M) (every l n L N) in
  forall (score : (product line line -> A) -> B) upto, kept_by_rolls score -> (forall a b, less a b -> ~ less b a) ->
  forall (x : Z * Z -> A), (forall u v, x (u + k * m, v) = x (u, v) /\ x (u, v + l * n) = x (u, v)) ->
  forall a b p u p' u',
  wins s score upto (lexicographic less) x p u ->
  wins s score upto (lexicographic less) (fun w => x (fst w - a, snd w - b)) p' u' ->
  exists r t, forall d e, x (k * d + fst p' - a, l * e + snd p' - b) = x (k * (d - r) + fst p, l * (e - t) + snd p).
Proof.
  intros k m l n K M L N A B less s score upto R H x T a b p u p' u' W W'.
  destruct (greatest_words_keep_every_shift (product line line) A B s score upto (lexicographic less) R
    (lexicographic_is_antisymmetric A less H) x (a, b) p u p' u') as [[r t] E]; trivial.
  - intros [i j] [v w] [[c C] [d D]]; cbn in *. subst.
    assert (P : forall w, periodic (k * m) (fun v => x (v, w))) by (intros ? ?; apply T).
    assert (Q : forall v, periodic (l * n) (fun w => x (v, w))) by (intros ? ?; apply T).
    replace (k * (c * m)) with (c * (k * m)) by ring. replace (l * (d * n)) with (d * (l * n)) by ring.
    rewrite (periodic_multiple _ _ c v (P (w + d * (l * n)))). apply (periodic_multiple _ _ d w (Q v)).
  - exists r, t. intros d e. exact (E (d, e)).
Qed.
