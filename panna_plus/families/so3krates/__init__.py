"""Equivariant attention: features of atoms and Euclidean variables that exchange by weighted sums over neighbors."""
