"""Running: a network of the registry on frames of a video, directly and converted, as one piece of work."""
