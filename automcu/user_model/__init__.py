"""A model of the user's own: read, quantised with their data, with low-bit weights, compiled.

What `compile`, `check`, `build` and `flash` need of a model file, without any training.
"""
