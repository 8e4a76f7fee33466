# aicc as CMake's compiler, with the archive tools for link-time optimisation: -DCMAKE_TOOLCHAIN_FILE=<this file>.
set(CMAKE_C_COMPILER aicc)
set(CMAKE_CXX_COMPILER aic++)
set(CMAKE_C_COMPILER_AR aicc-ar CACHE STRING "archiver for objects of -flto")
set(CMAKE_C_COMPILER_RANLIB aicc-ranlib CACHE STRING "indexer for archives of such objects")
set(CMAKE_CXX_COMPILER_AR aicc-ar CACHE STRING "archiver for objects of -flto")
set(CMAKE_CXX_COMPILER_RANLIB aicc-ranlib CACHE STRING "indexer for archives of such objects")
