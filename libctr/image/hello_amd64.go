// SPDX-License-Identifier: Apache-2.0

package image

import _ "embed"

//go:embed hello_amd64.tar
var helloArchive []byte
