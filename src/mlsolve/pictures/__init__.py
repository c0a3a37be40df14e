"""Pictures: arrays, colour, resizing, and reading and writing of picture files, in bands of rows.

No other room reads or writes picture files. Knows nothing about jobs, solves or runs. Called by every room above
it: job, solving, scoring, report, run, film.
"""
