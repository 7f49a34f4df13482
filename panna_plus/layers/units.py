"""Constants of nature of CODATA 2014, which the published models were trained with."""

BOHR = 0.5291772105638411  # Å
HARTREE = 27.211386024367243  # eV
COULOMB = 14.399645351950548  # eV Å / e²
