"""How accepted bodies reach the program: spliced, behind a CPU check, or in an object of their own."""
