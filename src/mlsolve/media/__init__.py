"""Media: what a printer leaves on a film, measured, as numbers that the solver and the scores compute with.

Knows profiles and their files. Must not know how a solve runs. Called by `run`, `scoring`, `report` and the command
line.
"""

from .media import Fit, Media, load_media, media_names

__all__ = ["Fit", "Media", "load_media", "media_names"]
