"""The assembly listing model: parsing, functions, CFG, liveness, normalisation, splicing."""
