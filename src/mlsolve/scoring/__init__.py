"""Scores and previews of stacks, from arrays or from the layer files, in bands of rows.

Knows nothing of how the layers were found. Called by report, run and film.
"""
