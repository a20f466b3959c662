"""What goes wrong in a statement, as opposed to in a proof."""


class Misstated(Exception):
    """A lemma, or a formula in it, is not of the form that the proofs are about; never a matter of a solver."""
