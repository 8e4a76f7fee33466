"""Whether a candidate is faster, without bias."""
