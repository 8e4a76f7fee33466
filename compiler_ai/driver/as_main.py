"""What libexec/as runs: a file that is run is compiled anew each time, so all of it lies in modules, which are not."""

import gc
import os
import sys

gc.disable()  # nothing lives long here
package = __file__.rpartition("/libexec/../driver/")[0]
sys.path.insert(0, package.rpartition("/")[0])

try:
    from compiler_ai.driver.shim import main
    from compiler_ai.driver.starting import restore
except Exception as error:
    from compiler_ai.driver.damaged import run_script

    run_script([package + "/libexec/as", *sys.argv[2:]], sys.argv[1], AICC_SHIM_PYTHON=f"the shim ({error})")

restore(sys.argv[1])
os._exit(main(sys.argv[2:]))  # the interpreter is not taken down object by object, which costs a millisecond
