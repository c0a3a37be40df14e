"""The folder a run leaves: its layout, result.json, the contact sheet.

Knows the scores, not how they were reached. Called by run; film reads the folder.
"""
