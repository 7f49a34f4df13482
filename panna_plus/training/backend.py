"""Choose what evaluates a potential: compiled operators, or the PyTorch reference."""

from panna_plus.errors import PannaPlusError
from panna_plus.native.torch_libraries import Say, be_quiet
from panna_plus.potential import Potential


def select_backend(potential: Potential, name: str, say: Say = be_quiet) -> None:
    """Choose what evaluates the potential.

    Parameters
    ----------
    potential : Potential
        On its device.
    name : 'auto', 'native' or 'torch'
        auto: the fastest that works here; `say` receives a line if it is not the fastest there is.
    """
    if name != "auto":
        potential.use_backend(name, say)
        return
    try:
        potential.use_backend(potential.backends[0], say)
    except PannaPlusError as error:
        reason = str(error).splitlines()[0]
        say(f"Evaluating by the PyTorch reference, which is slower, not by the native operators: {reason}")
