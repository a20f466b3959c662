"""The claims of the coursework, each decided by its evidence.

translation   A1 A2        what a shift is
convolution   B1 B1' D5    convolution and its converse
pooling       B2 B3 C2 C3  what a pooling layer keeps
networks      B4 C1 C4 C5  whole networks
learning      C6 D3 D4     training on digits
counting      D1 D2        parameters
"""

from proofs.claims.claim import Claim
from proofs.claims.convolution import B1, B1_PRIME, D5
from proofs.claims.counting import D1, D2
from proofs.claims.learning import C6, D3, D4
from proofs.claims.networks import B4, C1, C4, C5
from proofs.claims.pooling import B2, B3, C2, C3
from proofs.claims.translation import A1, A2

CLAIMS: tuple[Claim, ...] = (
    A1, A2, B1, B1_PRIME, B2, B3, B4, C1, C2, C3, C4, C5, C6, D1, D2, D3, D4, D5,
)  # fmt: skip
"""All claims, in the order of the questions."""
