"""The output folder of a run: its files, result.json and the contact sheet.

Knows the scores, not how they were computed. Called by run; film reads the folder.
"""
