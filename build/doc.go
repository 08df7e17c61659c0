// SPDX-License-Identifier: Apache-2.0

// Package build makes images from Containerfiles, through the buildah library.
//
// Words:
//
//	context    the directory whose files COPY and ADD see; a URL, a git repository, a tar or
//	           standard input become one in the session's temporary directory
//	session    one build command: an ID, the lock that it holds while it lives, and two directories
//	           in which all is found that a killed build leaves (session.go, leftovers.go)
//	stage      FROM and what follows, up to the next FROM
//	step       one instruction of a stage
//
// buildah does the work. Around it this package chooses the OCI runtime and the network of RUN as libctr does
// for a container, shows progress, and cleans up what a build that failed or died has left.
package build
