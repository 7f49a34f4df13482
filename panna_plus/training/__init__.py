"""Training of a potential on labelled frames, whatever its family."""
