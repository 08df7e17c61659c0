package image

import _ "embed"

//go:embed hello_arm64.tar
var helloArchive []byte
