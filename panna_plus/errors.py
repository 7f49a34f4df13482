"""One exception tree: every message says what was expected, what was found and what to do."""


class PannaPlusError(Exception):
    """Base of all errors that a user can cause and mend; `exit_code` is what the command line returns."""

    exit_code = 1


class ConfigError(PannaPlusError):
    """A configuration file, option or argument is wrong."""

    exit_code = 2


class DataError(PannaPlusError):
    """Structures or labels cannot be used as they are."""

    exit_code = 3


class ModelFileError(PannaPlusError):
    """A model file is damaged, foreign or does not fit its purpose."""

    exit_code = 4


class NumericalError(PannaPlusError):
    """A computation gave a number that cannot be right."""

    exit_code = 5


def require(condition: bool, error: type[PannaPlusError], message: str) -> None:
    """Raise `error(message)` unless `condition` holds."""
    if not condition:
        raise error(message)
