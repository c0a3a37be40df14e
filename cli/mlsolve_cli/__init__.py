"""The command line: Typer verbs, progress, tables. No maths."""
