"""The parts of the conversion of a model: which layers, which tolerances, plans ahead, back if anything fails."""
