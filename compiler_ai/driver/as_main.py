"""What libexec/as runs: a file that is run is compiled anew each time, so all of it lies in modules, which are not."""

import gc
import sys

gc.disable()  # nothing lives long here
package = __file__.rpartition("/libexec/../driver/")[0]
sys.path.insert(0, package.rpartition("/")[0])

try:
    from compiler_ai.driver.shim import main
    from compiler_ai.driver.starting import end, restore

    restore(sys.argv[1])
    end(main(sys.argv[2:]))
except Exception as error:  # a damaged installation: the script does without us
    import posix

    environment = {**posix.environ, b"AICC_SHIM_PYTHON": f"the shim ({error})".encode()}
    posix.execve("/bin/sh", ["sh", package + "/libexec/as", *sys.argv[2:]], environment)
