# The targets interfuse::shared and interfuse::static, wherever this folder lies.
if(NOT CMAKE_SYSTEM_NAME STREQUAL "@SYSTEM@" OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(@PROCESSORS@)$"
   OR (CMAKE_SIZEOF_VOID_P AND NOT CMAKE_SIZEOF_VOID_P EQUAL @POINTER@))
  set(interfuse_FOUND FALSE)
  set(interfuse_NOT_FOUND_MESSAGE
    "this archive was built for @TARGET@; take the one for ${CMAKE_SYSTEM_NAME} on ${CMAKE_SYSTEM_PROCESSOR}")
  return()
endif()
set(interfuse_FOUND TRUE)
foreach(_interfuse_component IN LISTS interfuse_FIND_COMPONENTS)
  if(_interfuse_component MATCHES "^(shared|static)$")
    set(interfuse_${_interfuse_component}_FOUND TRUE)
  elseif(interfuse_FIND_REQUIRED_${_interfuse_component})
    set(interfuse_FOUND FALSE)
    set(interfuse_NOT_FOUND_MESSAGE "it has the components shared and static, no ${_interfuse_component}")
  endif()
endforeach()
if(NOT interfuse_FOUND OR TARGET interfuse::shared)
  return()
endif()

get_filename_component(_interfuse_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

# Global, so that a project that has this as a subdirectory sees them, too.
add_library(interfuse::shared SHARED IMPORTED GLOBAL)
set_target_properties(interfuse::shared PROPERTIES
  IMPORTED_LOCATION "${_interfuse_prefix}/lib/@SHARED@"
  IMPORTED_SONAME "@SONAME@"
  INTERFACE_INCLUDE_DIRECTORIES "${_interfuse_prefix}/include")

# With what rustc says such a library needs besides (--print native-static-libs).
add_library(interfuse::static STATIC IMPORTED GLOBAL)
set_target_properties(interfuse::static PROPERTIES
  IMPORTED_LOCATION "${_interfuse_prefix}/lib/libinterfuse.a"
  IMPORTED_LINK_INTERFACE_LANGUAGES "C"
  INTERFACE_LINK_LIBRARIES "@NATIVE_LIST@"
  INTERFACE_INCLUDE_DIRECTORIES "${_interfuse_prefix}/include")
unset(_interfuse_prefix)
unset(_interfuse_component)
