"""Pictures: arrays, colour, sizes, and the only place that reads or writes picture files, in bands of rows.

Knows nothing of jobs, solves or runs. Called by every room above it: job, solving, scoring, report, run, film.
"""
