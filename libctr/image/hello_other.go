// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 && !arm64

package image

// helloArchive is empty: contrib/hello knows no other architecture.
var helloArchive []byte
