"""Checks of an installation and of a model: what `panna-plus doctor` and `panna-plus lammps-check` are made of."""
