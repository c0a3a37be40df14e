"""This process."""

import time


def age() -> float:
    """Return the seconds since this process was started; 0 if the system does not tell."""
    import psutil

    try:
        return max(0.0, time.time() - float(psutil.Process().create_time()))
    except (OSError, RuntimeError, psutil.Error):
        return 0.0
