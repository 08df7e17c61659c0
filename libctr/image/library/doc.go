// SPDX-License-Identifier: Apache-2.0

// Package library changes the images of a store through libimage: pull, push, load, save, import,
// tag, remove. An unprivileged user's store can only be changed inside the user namespace. What only
// reads images is in package image.
package library
