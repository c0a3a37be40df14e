"""Scores and previews of stacks, from arrays or from layer files, in bands of rows.

Knows nothing about how the layers were solved. Called by report, run and film.
"""
