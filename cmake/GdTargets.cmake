# One library per layer: gd_layer(NAME LIBS...) takes every .c of the folder it is called in.
# Linking is how a layer says what it may include; tests/lint checks the includes themselves.
set(GD_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Wvla -Wframe-larger-than=4096 -Wmissing-prototypes
    -Wstrict-prototypes -Wundef -Wwrite-strings)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND GD_WARNINGS -Wjump-misses-init -Wno-format-truncation)
endif()
if(GD_WERROR)
  list(APPEND GD_WARNINGS -Werror)
endif()

add_library(gd_options INTERFACE)
target_compile_options(gd_options INTERFACE ${GD_WARNINGS} -fno-strict-aliasing -fvisibility=hidden)
target_compile_definitions(gd_options INTERFACE _GNU_SOURCE GD_VERSION="${PROJECT_VERSION}")
target_include_directories(gd_options INTERFACE "${CMAKE_SOURCE_DIR}")
if(GD_SANITIZE)
  # instrumented code has larger frames, and hides from the compiler what is set before it is used
  target_compile_options(gd_options INTERFACE -fsanitize=${GD_SANITIZE} -fno-omit-frame-pointer -g
                         -Wframe-larger-than=65536 -Wno-maybe-uninitialized)
  target_link_options(gd_options INTERFACE -fsanitize=${GD_SANITIZE})
  if(GD_SANITIZE STREQUAL "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # gcc's thread sanitizer does not know fences; what ours order is atomic anyway
    target_compile_options(gd_options INTERFACE -Wno-tsan)
  endif()
else()
  target_compile_options(gd_options INTERFACE -fstack-protector-strong -fcf-protection)
  target_link_options(gd_options INTERFACE -Wl,-z,relro,-z,now)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(gd_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
endif()

function(gd_layer name)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC gd_options ${ARGN})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE gd_options ${ARGN})
  endif()
endfunction()

# gd_unit_tests(FOLDER LIBS...): one cmocka binary per tests/unit/FOLDER/test_*.c, linked with the layer it tests and
# with the rig*.c beside it.
function(gd_unit_tests folder)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/unit/${folder}/test_*.c")
  file(GLOB rigs CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/unit/${folder}/rig*.c")
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    if(TARGET ${name}) # two layers may have files of the same name
      string(REPLACE "/" "_" prefix ${folder})
      set(target ${prefix}_${name})
    else()
      set(target ${name})
    endif()
    add_executable(${target} ${source} ${rigs})
    target_link_libraries(${target} PRIVATE ${ARGN} PkgConfig::CMOCKA)
    add_test(NAME ${folder}/${name} COMMAND ${target})
    set_tests_properties(${folder}/${name} PROPERTIES TIMEOUT 300 LABELS unit)
  endforeach()
endfunction()
