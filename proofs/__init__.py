"""The theorems: what the kernel assumes, for all sizes, and the claims about CNNs that the suite audits.

    rules/          every formula of the kernel, proved by z3, by cvc5, and by identities that plain Python re-checks
    coq/            signals, windows, groups of shifts: one development without axioms
    checker/        a checker of certificates in Coq, proved, and run on files: `python -m proofs checker FILE...`
    claims/         each claim as told, its exact statement, the evidence, and the verdict that follows
    certificates/   golden certificates of the zoo, checked by the kernel alone

`python -m proofs` runs all of it; `pytest proofs` tests it. Reads `shiftproof` and its kernel; nothing reads this.
"""
