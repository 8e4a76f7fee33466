"""aicc: a drop-in ``cc`` that replaces hot functions by verified, measured, faster bodies."""

from os.path import dirname as _dirname
from os.path import isdir as _isdir

__version__ = "0.1.0"

# In a source tree passes/ and toolchains/ lie beside this package; setup.cfg installs them inside it.
if not _isdir(_dirname(__file__) + "/passes"):
    __path__ = [*__path__, _dirname(_dirname(__file__))]
