"""What bin/aicc runs: a file that is run is compiled anew each time, so all of it lies in modules, which are not."""

import gc
import sys

gc.disable()  # nothing lives long here
sys.path.insert(0, __file__.rpartition("/compiler_ai/driver/")[0])

try:
    from compiler_ai.driver.launch import main

    sys.exit(main(sys.argv[1:]))
except (ImportError, SyntaxError, NameError, AttributeError):  # an empty file is a module, too
    from compiler_ai.driver.damaged import run_script

    run_script(sys.argv[2:], sys.argv[1], AICC_DAMAGED="1")
