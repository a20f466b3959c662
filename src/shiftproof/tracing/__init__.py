"""Tracing: a model becomes a flat program, with its layers and the axes that are its grid."""
