"""Runs from files to files and solves in memory: one pipeline of prepare, balance, solve, write, score, report.

Knows every room below it; no terminal and no command line. Called by the command line and by users of the package.
"""
