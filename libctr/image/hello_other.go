//go:build !amd64

package image

// helloArchive is empty: contrib/hello has been built for amd64 only.
var helloArchive []byte
