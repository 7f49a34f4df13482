"""Building blocks that several potentials share."""
