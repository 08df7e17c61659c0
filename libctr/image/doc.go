// Package image is what Berth knows of images: which there are, and how they come and go.
//
// It has two halves:
//
//	View     reads the files of a containers/storage store: no lock, no driver, no user
//	         namespace. images, image inspect and the resolution of a name for run use it.
//	Runtime  changes a store, through libimage: pull, load, save, import, tag, remove.
//	         An unprivileged user's store can only be changed inside the user namespace.
//
// The words are the image specification's. An image's ID is the digest of its config.
// A name is a full reference, docker.io/library/nginx:latest; a short name lacks the
// registry. A dangling image has no name and no child; an intermediate one no name but
// children, images that were built on it.
package image
