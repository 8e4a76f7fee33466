"""Language models: one interface, its backends, and what keeps them within bounds."""
