// SPDX-License-Identifier: Apache-2.0

package main

import "C" // for entering.c, which package rootless asks before the Go runtime starts
