"""A run, from picture files to a folder of layers: prepared, solved and written by region, to be resumed."""
