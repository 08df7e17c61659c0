// SPDX-License-Identifier: Apache-2.0

// Command badregistry serves package badregistry on a port of 127.0.0.1 that the kernel
// chooses, and prints 127.0.0.1:PORT when it is ready.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/berth-containers/berth/test/badregistry"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "badregistry:", err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	fmt.Fprintln(os.Stderr, "badregistry:", http.Serve(l, &badregistry.Registry{}))
	os.Exit(1)
}
