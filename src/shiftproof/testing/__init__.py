"""For the tests of your own layers: `shiftproof.testing.strategies`, which needs Hypothesis."""
