"""Whatever yields candidates: a search over compilers and flags, a model, a plugin."""
