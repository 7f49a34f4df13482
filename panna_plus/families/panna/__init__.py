"""Local descriptors with one perceptron per element."""
