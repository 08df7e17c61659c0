// SPDX-License-Identifier: Apache-2.0

//go:build !(seccomp && containers_image_openpgp && exclude_graphdriver_btrfs)

package spec

import _ "embed"

// The container libraries need build tags: seccomp for the filter of system calls, the other two to do without the headers of gpgme
// and btrfs. Without them this file is part of the package, and what it asks for is nowhere: the go command says so before it compiles anything.
//
//go:embed "build tags are missing: run make, or first eval \"$(make env)\" (CONTRIBUTING.md)"
var tags string
