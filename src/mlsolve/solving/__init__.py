"""The solve: what is solved, from coarse to fine, in rounds of tiles, whatever holds the state and does the work.

Knows no file names, no job files and no report. Called by run, which gives it pictures in a store.
"""
