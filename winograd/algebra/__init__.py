"""What F(m, r) *is*: exact algorithms, their proofs, their nesting and their tile geometry. Nothing is rounded here."""
