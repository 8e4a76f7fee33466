"""Whether a candidate behaves as its baseline, as far as running code can show it."""
