"""The solver: it computes the layers from coarse to fine, in rounds of tiles, with any store and any executor.

Knows no file names, no job files and no report. Called by run, which gives it pictures in a store.
"""
