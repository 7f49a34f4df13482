"""Fixtures of the training tests."""

import pytest

from tests.training.small_runs import write_data


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Folder with train.xyz and test.xyz of the two-element set."""
    folder = tmp_path_factory.mktemp("two_elements")
    write_data(folder)
    return folder
