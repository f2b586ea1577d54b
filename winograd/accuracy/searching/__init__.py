"""The parts of a search: families of candidates, descents, stages, the database, workers, results."""
