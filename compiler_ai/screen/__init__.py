"""The gate between a proposer and the assembler: candidates are hostile input."""
