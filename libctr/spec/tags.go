// SPDX-License-Identifier: Apache-2.0

//go:build !(seccomp && containers_image_openpgp && exclude_graphdriver_btrfs)

package spec

// The container libraries need build tags: seccomp for the filter of system calls, the other two to do without the headers of gpgme
// and btrfs. The compiler names this where they are missing.
var _ = build_tags_are_missing__run_make__or_eval_make_env__see_CONTRIBUTING_md
