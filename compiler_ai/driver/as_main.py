"""What libexec/as runs: a file that is run is compiled anew each time, so all of it lies in modules, which are not."""

import gc
import sys

gc.disable()  # nothing lives long here
sys.path.insert(0, __file__.rpartition("/compiler_ai/libexec/../driver/")[0])

from compiler_ai.driver.shim import main
from compiler_ai.driver.starting import end, restore

restore(sys.argv[1])
end(main(sys.argv[2:]))
