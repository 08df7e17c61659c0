// SPDX-License-Identifier: Apache-2.0

// Package image is what Berth knows of the images in a store: a View reads the files of
// containers/storage with no lock, no driver and no user namespace. images, image inspect and the
// resolution of a name for run use it. Package library below it changes a store: pull, load, save,
// import, tag, remove. They are two packages because a program that links the image library starts
// 10 ms later (docs/decisions/0005).
//
// The words are the image specification's. An image's ID is the digest of its config.
// A name is a full reference, docker.io/library/nginx:latest; a short name lacks the
// registry. A dangling image has no name and no child; an intermediate one no name but
// children, images that were built on it.
package image
