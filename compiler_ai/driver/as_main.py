"""What libexec/as runs: a file that is run is compiled anew each time, so all of it lies in modules, which are not."""

import sys

sys.path.insert(0, __file__.rpartition("/compiler_ai/libexec/../driver/")[0])

from compiler_ai.driver.later import put_off
from compiler_ai.driver.shim import main
from compiler_ai.driver.starting import restore

put_off(
    "inspect"
)  # which `dataclasses` imports, for docstrings of classes that have none: a fifth of this process otherwise
restore(sys.argv[1])
sys.exit(main(sys.argv[2:]))
