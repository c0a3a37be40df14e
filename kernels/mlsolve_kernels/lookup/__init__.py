"""Codes replaced by their values in a table, and values by codes. Used while pictures are read.

On a GPU, too, codes are replaced, so that pictures reach it as such.
"""
