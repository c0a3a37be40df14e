"""The format of figures in pages."""


def duration(milliseconds: float) -> str:
    """Return a time to three figures at most: "0.0831 ms", "8.31 ms", "206 ms", "3.91 s"."""
    value, unit = (milliseconds, "ms") if milliseconds < 1000 else (milliseconds / 1000, "s")
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def ratio(times: float) -> str:
    """Return a ratio of times: "3.6×", "50×"."""
    return f"{times:.0f}×" if times >= 10 else f"{times:.1f}×"
