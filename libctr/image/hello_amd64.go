package image

import _ "embed"

//go:embed hello_amd64.tar
var helloArchive []byte
