import pytest

import fewlabel
from tests.interpreter import run_code


@pytest.mark.parametrize("name", fewlabel.__all__)
def test_every_public_name_is_there(name):
    assert getattr(fewlabel, name) is not None
    assert name in dir(fewlabel)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'KMedoids'"):
        fewlabel.KMedoids  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, fewlabel; print(sorted({'torch', 'sklearn', 'numpy'} & set(sys.modules)))"
    assert run_code(code).stdout.strip() == "[]"
