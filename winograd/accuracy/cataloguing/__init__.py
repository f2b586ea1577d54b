"""The parts of the catalogue: rows, candidates, figures, the build; published sets; comparisons."""
