// SPDX-License-Identifier: Apache-2.0

// Command ociregistry serves a registry that has the referrers API of the distribution specification 1.1, which
// Debian's docker-registry has not, on a port of 127.0.0.1 that the kernel chooses. It prints 127.0.0.1:PORT when it
// is ready, and keeps everything in memory.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "ociregistry:", err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	h := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	fmt.Fprintln(os.Stderr, "ociregistry:", http.Serve(l, h))
	os.Exit(1)
}
