"""Durations as people write them: `90`, `90s`, `10m`, `1h`."""

from __future__ import annotations

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration_s(text: str) -> float | None:
    """Return the seconds that `text` means, or None when it is not a positive duration."""
    number, unit_s = (text[:-1], _UNITS_S[text[-1]]) if text[-1:] in _UNITS_S else (text, 1.0)
    try:
        seconds = float(number) * unit_s
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None
