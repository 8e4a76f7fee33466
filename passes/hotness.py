"""hotness: which of this unit's functions the profile selects."""
