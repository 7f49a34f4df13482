import pytest

from panna_plus import errors
from panna_plus.errors import PannaPlusError, require


def test_every_error_has_its_own_exit_code():
    kinds = [errors.ConfigError, errors.DataError, errors.ModelFileError, errors.NumericalError]
    assert all(issubclass(k, PannaPlusError) for k in kinds)
    assert [k.exit_code for k in (PannaPlusError, *kinds)] == [1, 2, 3, 4, 5]


def test_require_raises_only_when_needed():
    require(True, PannaPlusError, "fine")
    with pytest.raises(errors.DataError, match="expected this"):
        require(False, errors.DataError, "expected this")
