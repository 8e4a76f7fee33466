"""The machine state at the entry of real calls, with the memory those calls touch."""
