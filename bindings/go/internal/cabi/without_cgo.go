//go:build !cgo

package cabi

// A build without cgo, as those for other machines are unless they are told otherwise, ends with the name
// of this variable, which says what to do.
var _ = this_package_needs_cgo__set_CGO_ENABLED_to_1_and_CC_to_a_C_compiler_for_the_target__and_install_libphantomdb_for_it
